/**
 * The echo server of the million as a Go program: a goroutine for each connection, which blocks in Read with a deadline.
 */
import { type CostModel, defaultCosts, ErrDeadlineExceeded, type GoMain, goProgram } from "epollsim/go";
import type { StepProgram } from "epollsim/runtime";
import type { ServerFigures, ServerOptions } from "./variants.ts";

const MESSAGE_BYTES = 16;
const NS_PER_MS = 1_000_000;
/** Every call takes as long as the way into the kernel and out, and Go code next to nothing: a million connections are made in seconds of virtual time. */
const quick: CostModel = { ...defaultCosts, step: 200, byte: 0, calls: {} };

export function goroutineServer(figures: ServerFigures, { port, idleMs }: ServerOptions): StepProgram {
  const idleNs = idleMs * NS_PER_MS;
  const main: GoMain = function* (rt) {
    const listen = yield* rt.listen("tcp4", `:${port}`);
    if (listen.err !== null) return rt.panic(listen.err.text);
    for (;;) {
      const accept = yield* listen.value.accept();
      if (accept.err !== null) return rt.panic(accept.err.text);
      const conn = accept.value;
      figures.accepted += 1;
      rt.go("echo", function* () {
        const buf = new Uint8Array(MESSAGE_BYTES);
        figures.idleTimers += 1;
        for (;;) {
          conn.setReadDeadline(rt.now() + idleNs);
          const { n, err } = yield* conn.read(buf);
          if (err !== null) {
            if (err === ErrDeadlineExceeded) figures.idleClosed += 1;
            break;
          }
          figures.bytes += n;
          yield* conn.write(n === buf.length ? buf : buf.subarray(0, n));
        }
        figures.idleTimers -= 1;
        yield* conn.close();
      });
    }
  };
  return goProgram(main, { costs: quick });
}
