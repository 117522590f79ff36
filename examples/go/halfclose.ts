/** halfclose: shutdowns, resets, closes under somebody's hands. As traces/go/src/halfclose.go. */
import {
  bytesOf,
  type Conn,
  counterLines,
  EOF,
  ErrClosed,
  type Go,
  type GoError,
  goOptions,
  type Runtime,
  readAll,
  spawnGo,
  textOf,
} from "epollsim/go";
import { defineProgram, Errno } from "epollsim/runtime";
import { pair } from "./lib/pair.ts";

const MS = 1_000_000;

/** `errors.Is(err, syscall.E...)`. */
function isErrno(err: GoError | null, errno: number): boolean {
  return err?.errno === errno;
}

/** The client half-closes, the server goes on sending and closes later. */
function* orderly(rt: Runtime): Go<void> {
  const [a, b] = yield* pair(rt);
  const res = rt.chan<string>();
  rt.go("main.main.func1", function* () {
    const all = yield* readAll(b);
    if (all.err !== null) return rt.panic(all.err.text);
    for (let i = 0; i < 3; i += 1) {
      yield* rt.sleep(2 * MS);
      yield* b.write(bytesOf("reply"));
    }
    yield* b.closeWrite();
    yield* b.close();
    yield* res.send(textOf(all.bytes));
  });
  yield* a.write(bytesOf("hello "));
  yield* rt.sleep(MS);
  yield* a.write(bytesOf("world"));
  yield* a.closeWrite();
  const back = yield* readAll(a);
  if (back.err !== null) return rt.panic(back.err.text);
  yield* rt.println(`server got "${yield* res.recv()}" client got "${textOf(back.bytes)}"`);
  const { err } = yield* a.write(bytesOf("x"));
  yield* rt.println(`write after CloseWrite EPIPE: ${isErrno(err, Errno.EPIPE)}`);
  yield* a.close();
}

/** A goroutine is parked in Read on one end; its error goes to the channel. */
function* parkedReader(rt: Runtime, end: "a" | "b", act: (a: Conn, b: Conn) => Go<void>): Go<GoError | null> {
  const [a, b] = yield* pair(rt);
  const errs = rt.chan<GoError | null>();
  rt.go("main.main.func2", function* () {
    const { err } = yield* (end === "a" ? a : b).read(new Uint8Array(8));
    yield* errs.send(err);
  });
  yield* rt.sleep(3 * MS);
  yield* act(a, b);
  return (yield* errs.recv()) as GoError | null;
}

function* underItsHands(rt: Runtime): Go<void> {
  let ends: Conn[] = [];
  let err = yield* parkedReader(rt, "a", function* (a, b) {
    ends = [a, b];
    yield* a.closeRead();
  });
  yield* rt.println(`CloseRead wakes reader with EOF: ${err === EOF}`);
  for (const end of ends) yield* end.close();

  err = yield* parkedReader(rt, "a", function* (a, b) {
    ends = [b];
    yield* a.close();
  });
  yield* rt.println(`Close wakes reader with ErrClosed: ${err === ErrClosed}`);
  for (const end of ends) yield* end.close();

  err = yield* parkedReader(rt, "b", function* (a, b) {
    ends = [b];
    yield* a.setLinger(0);
    yield* a.close();
  });
  yield* rt.println(`linger 0 gives ECONNRESET: ${isErrno(err, Errno.ECONNRESET)}`);
  const [b] = ends as [Conn];
  const write = yield* b.write(bytesOf("x"));
  yield* rt.println(`write after reset fails: ${write.err !== null}`);
  yield* b.close();
}

/** What is unread at a close makes a reset of it. */
function* unread(rt: Runtime): Go<void> {
  const [a, b] = yield* pair(rt);
  yield* a.write(new Uint8Array(4096));
  yield* rt.sleep(2 * MS);
  yield* b.close();
  const { err } = yield* a.read(new Uint8Array(8));
  yield* rt.println(`unread data reset: ${isErrno(err, Errno.ECONNRESET)}`);
  yield* a.close();
}

/** A listener is closed with an acceptor parked; then nobody listens. */
function* closedListener(rt: Runtime): Go<void> {
  const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
  if (listen.err !== null) return rt.panic(listen.err.text);
  const ln = listen.value;
  const errs = rt.chan<GoError | null>();
  rt.go("main.main.func5", function* () {
    const accept = yield* ln.accept();
    yield* errs.send(accept.err);
  });
  yield* rt.sleep(3 * MS);
  yield* ln.close();
  yield* rt.println(`accept woken by Close: ${(yield* errs.recv()) === ErrClosed}`);
  const dial = yield* rt.dial("tcp4", ln.addr);
  yield* rt.println(`dial refused: ${isErrno(dial.err, Errno.ECONNREFUSED)}`);
}

export function* halfclose(rt: Runtime): Go<void> {
  yield* orderly(rt);
  yield* underItsHands(rt);
  yield* unread(rt);
  yield* closedListener(rt);
}

export const program = defineProgram({
  summary: "Half closes, resets, and closes while somebody waits",
  options: goOptions,
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "halfclose", halfclose, options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return {};
  },
});
