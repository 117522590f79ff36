/** pingpong: one connection, two goroutines that bounce one byte. As traces/go/src/pingpong.go. */
import { counterLines, type GoMain, goOptions, spawnGo } from "epollsim/go";
import { defineProgram } from "epollsim/runtime";

export interface PingPong {
  readonly rounds: number;
  readonly net: string;
}

export function pingpong({ rounds, net }: PingPong): GoMain {
  const network = net === "unix" ? "unix" : "tcp4";
  const address = net === "unix" ? "@epollsim-pingpong" : "127.0.0.1:0";
  return function* main(rt) {
    const listen = yield* rt.listen(network, address);
    if (listen.err !== null) return rt.panic(listen.err.text);
    const ln = listen.value;
    const done = rt.chan<number>();
    rt.go("main.main.func1", function* () {
      const accept = yield* ln.accept();
      if (accept.err !== null) return rt.panic(accept.err.text);
      const c = accept.value;
      const b = new Uint8Array(1);
      for (let n = 0; ; n += 1) {
        const read = yield* c.read(b);
        if (read.err !== null) {
          yield* c.close();
          yield* done.send(n);
          return;
        }
        b[0] = (b[0] as number) + 1;
        const write = yield* c.write(b);
        if (write.err !== null) return rt.panic(write.err.text);
      }
    });
    const dial = yield* rt.dial(network, ln.addr);
    if (dial.err !== null) return rt.panic(dial.err.text);
    const c = dial.value;
    const b = new Uint8Array(1);
    for (let i = 0; i < rounds; i += 1) {
      yield* c.write(b);
      yield* c.read(b);
    }
    yield* c.close();
    yield* rt.println(`rounds ${yield* done.recv()} last ${b[0]}`);
    yield* ln.close();
  };
}

export const program = defineProgram({
  summary: "Two goroutines bounce one byte over one connection",
  options: {
    rounds: { default: 200, help: "round trips", min: 1 },
    net: { default: "tcp4", help: "the network", choices: ["tcp4", "unix"] },
    ...goOptions,
  },
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "pingpong", pingpong(options), options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return { rounds: options.rounds };
  },
});
