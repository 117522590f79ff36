/** The same echo server three ways. A variant starts its server as a daemon and says what to count. */
import { type Conn, type Go, goProgram, type Runtime } from "epollsim/go";
import {
  Acceptor,
  acceptThreads,
  listenTcp,
  type Machine,
  type Program,
  Reactor,
  Sock,
  type Thread,
  writeAll,
} from "epollsim/runtime";
import { Echo } from "../lib/echo-connection.ts";

const BUFFER_BYTES = 4096;

export interface Variant {
  /** Starts the server. @returns its main thread, whose process is what the table counts. */
  readonly start: (box: Machine, port: number) => Thread;
}

/** A thread for each connection, which sleeps in read. */
const threads: Variant = {
  start: (box, port) =>
    box.spawn(
      "threads",
      function* (sys): Program {
        return yield* acceptThreads(sys, listenTcp(sys, "127.0.0.1", port), function* (own, fd) {
          const buf = own.memory.alloc(BUFFER_BYTES);
          for (let n = yield own.read(fd, buf, BUFFER_BYTES); n > 0; n = yield own.read(fd, buf, BUFFER_BYTES)) {
            yield* writeAll(own, fd, buf, n);
          }
          own.memory.free(buf);
        });
      },
      { daemon: true },
    ),
};

/** One thread, which sleeps in epoll_wait. */
const reactor: Variant = {
  start: (box, port) =>
    box.spawn(
      "reactor",
      (sys) => {
        const loop = new Reactor(sys);
        const buffer = sys.memory.alloc(BUFFER_BYTES);
        const acceptor = new Acceptor((own, fd) => new Echo(loop, buffer).open(own, fd));
        loop.add(sys, listenTcp(sys, "127.0.0.1", port, { flags: Sock.NONBLOCK }), acceptor);
        return loop.loop(sys);
      },
      { daemon: true },
    ),
};

/** A goroutine for each connection, which blocks in name only. */
const goroutines: Variant = {
  start: (box, port) =>
    box.spawn(
      "goroutines",
      goProgram(function* main(rt) {
        const { value: ln, err } = yield* rt.listen("tcp4", `127.0.0.1:${port}`);
        if (err !== null) return rt.panic(err.text);
        for (;;) {
          const { value: conn } = yield* ln.accept();
          if (conn !== null) rt.go("echo", () => echoConn(rt, conn));
        }
      }),
      { daemon: true },
    ),
};

function* echoConn(rt: Runtime, conn: Conn): Go<void> {
  const buf = rt.makeBytes(BUFFER_BYTES);
  for (;;) {
    const { n, err } = yield* conn.read(buf);
    if (err !== null) break;
    yield* conn.write(buf.subarray(0, n));
  }
  yield* conn.close();
}

/** By name, in the order of the table. */
export const variants: Readonly<Record<string, Variant>> = { threads, reactor, goroutines };
