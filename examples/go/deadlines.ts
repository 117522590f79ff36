/** deadlines: set, moved, over, and a write that nobody reads. As traces/go/src/deadlines.go. */
import {
  bytesOf,
  type Conn,
  counterLines,
  ErrDeadlineExceeded,
  type Go,
  goOptions,
  type Runtime,
  spawnGo,
} from "epollsim/go";
import { defineProgram } from "epollsim/runtime";
import { pair } from "./lib/pair.ts";

const MS = 1_000_000;
const SECOND = 1_000 * MS;
const MEGABYTE: number = 1 << 20;

interface Outcome {
  readonly n: number;
  readonly err: { readonly timeout: boolean } | null;
}

function* step(rt: Runtime, name: string, f: () => Go<Outcome>): Go<void> {
  const { n, err } = yield* f();
  const timeout = err?.timeout ?? false;
  const exceeded = err === ErrDeadlineExceeded;
  yield* rt.println(
    `${name.padEnd(22)} n>0=${n > 0} err=${err !== null} timeout=${timeout} deadlineExceeded=${exceeded}`,
  );
}

/** Deadlines of the reading side, one after the other. */
function* readDeadlines(rt: Runtime, a: Conn, b: Conn, buf: Uint8Array): Go<void> {
  const read = function* (deadline: number | null): Go<Outcome> {
    if (deadline !== null) b.setReadDeadline(deadline);
    return yield* b.read(buf);
  };
  yield* step(rt, "past-deadline", () => read(rt.now() - SECOND));
  yield* step(rt, "past-deadline-data", function* () {
    yield* a.write(bytesOf("x"));
    yield* rt.sleep(2 * MS);
    return yield* b.read(buf);
  });
  yield* step(rt, "cleared-deadline", () => read(0));
  yield* step(rt, "timeout-20ms", () => read(rt.now() + 20 * MS));
  yield* step(rt, "after-timeout", () => read(null));
  yield* step(rt, "extended", function* () {
    b.setReadDeadline(rt.now() + 10 * MS);
    rt.go("main.main.func6.1", function* () {
      yield* rt.sleep(4 * MS);
      b.setReadDeadline(rt.now() + 60 * MS);
      yield* rt.sleep(20 * MS);
      yield* a.write(bytesOf("late"));
    });
    return yield* b.read(buf);
  });
  yield* step(rt, "shortened", function* () {
    b.setReadDeadline(rt.now() + 5 * SECOND);
    rt.go("main.main.func7.1", function* () {
      yield* rt.sleep(5 * MS);
      b.setReadDeadline(rt.now());
    });
    return yield* b.read(buf);
  });
  yield* step(rt, "combined-deadline", function* () {
    b.setDeadline(rt.now() + 15 * MS);
    return yield* b.read(buf);
  });
}

/** A peer that does not read, and then does. */
function* fullBuffer(rt: Runtime, a: Conn, b: Conn): Go<void> {
  yield* step(rt, "write-timeout", function* () {
    a.setWriteDeadline(rt.now() + 40 * MS);
    const big = new Uint8Array(MEGABYTE);
    for (let total = 0; ; ) {
      const { n, err } = yield* a.write(big);
      total += n;
      if (err !== null) return { n: total, err };
    }
  });
  b.setDeadline(0);
  b.setReadDeadline(rt.now() + 30 * MS);
  const big = new Uint8Array(MEGABYTE);
  let drained = 0;
  for (;;) {
    const { n, err } = yield* b.read(big);
    drained += n;
    if (err !== null) break;
  }
  yield* rt.println(`drained>0 ${drained > 0}`);
}

/** Each message moves the deadline on; silence ends the connection. */
function* idleTimeout(rt: Runtime, a: Conn, b: Conn, buf: Uint8Array): Go<void> {
  const done = rt.chan<number>();
  rt.go("main.main.func10", function* () {
    for (let n = 0; ; n += 1) {
      b.setReadDeadline(rt.now() + 12 * MS);
      const { err } = yield* b.read(buf);
      if (err !== null) {
        yield* b.close();
        yield* done.send(n);
        return;
      }
    }
  });
  for (let i = 0; i < 3; i += 1) {
    yield* a.write(bytesOf("tick"));
    yield* rt.sleep(5 * MS);
  }
  yield* rt.println(`idle closed after ${yield* done.recv()} messages`);
  const { err } = yield* a.read(buf);
  yield* rt.println(`client sees ${err}`);
  yield* a.close();
}

export function* deadlines(rt: Runtime): Go<void> {
  const buf = new Uint8Array(256);
  const [a, b] = yield* pair(rt);
  yield* readDeadlines(rt, a, b, buf);
  yield* fullBuffer(rt, a, b);
  yield* a.close();
  yield* b.close();
  const [c, d] = yield* pair(rt);
  yield* idleTimeout(rt, c, d, buf);
  const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
  if (listen.err !== null) return rt.panic(listen.err.text);
  listen.value.setDeadline(rt.now() + 10 * MS);
  const accept = yield* listen.value.accept();
  yield* rt.println(`accept deadline ${accept.err === ErrDeadlineExceeded}`);
  yield* listen.value.close();
}

export const program = defineProgram({
  summary: "Deadlines: set, moved, over, and a write that nobody reads",
  options: goOptions,
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "deadlines", deadlines, options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return {};
  },
});
