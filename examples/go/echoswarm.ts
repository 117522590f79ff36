/** echoswarm: a goroutine-per-connection echo server and a swarm of clients. As traces/go/src/echoswarm.go. */
import { counterLines, type GoMain, goOptions, readFull, spawnGo } from "epollsim/go";
import { defineProgram } from "epollsim/runtime";

export interface EchoSwarm {
  readonly conns: number;
  readonly rounds: number;
  readonly size: number;
}

const BUFFER_BYTES = 4096;
const LETTERS = 26;
const LETTER_A = 97;

export function echoswarm({ conns, rounds, size }: EchoSwarm): GoMain {
  return function* main(rt) {
    const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
    if (listen.err !== null) return rt.panic(listen.err.text);
    const ln = listen.value;
    let served = 0;
    let bytes = 0;
    const srv = rt.waitGroup();
    srv.add(conns);
    rt.go("main.main.func1", function* () {
      for (;;) {
        const accept = yield* ln.accept();
        if (accept.err !== null) return;
        const c = accept.value;
        rt.go("main.main.func1.1", function* () {
          const buf = rt.makeBytes(BUFFER_BYTES);
          for (;;) {
            const { n, err } = yield* c.read(buf);
            if (n > 0) {
              bytes += n;
              const write = yield* c.write(buf.subarray(0, n));
              if (write.err !== null) break;
            }
            if (err !== null) {
              served += 1;
              break;
            }
          }
          yield* c.close();
          srv.done();
        });
      }
    });

    const cli = rt.waitGroup();
    const dialed = rt.waitGroup();
    const start = rt.chan<never>();
    dialed.add(conns);
    cli.add(conns);
    for (let id = 0; id < conns; id += 1) {
      rt.go("main.main.func2", function* () {
        const dial = yield* rt.dial("tcp4", ln.addr);
        if (dial.err !== null) return rt.panic(dial.err.text);
        const c = dial.value;
        dialed.done();
        yield* start.recv();
        const msg = new Uint8Array(size).fill(LETTER_A + (id % LETTERS));
        const rep = new Uint8Array(size);
        for (let r = 0; r < rounds; r += 1) {
          yield* c.write(msg);
          const { err } = yield* readFull(c, rep);
          if (err !== null) return rt.panic(err.text);
          if (rep[0] !== msg[0]) return rt.panic("wrong echo");
        }
        yield* c.close();
        cli.done();
      });
    }
    yield* dialed.wait();
    start.close();
    yield* cli.wait();
    yield* srv.wait();
    yield* ln.close();
    yield* rt.println(`conns=${conns} rounds=${rounds} served=${served} bytes=${bytes}`);
  };
}

export const program = defineProgram({
  summary: "A goroutine per connection echoes, and a swarm of clients asks",
  options: {
    conns: { default: 10, help: "number of client connections", min: 1 },
    rounds: { default: 5, help: "exchanges per connection", min: 1 },
    size: { default: 64, help: "bytes per message", min: 1 },
    ...goOptions,
  },
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "echoswarm", echoswarm(options), options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return { conns: options.conns, rounds: options.rounds };
  },
});
