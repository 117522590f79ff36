/**
 * A chat room in goroutines: two for each member, one that reads and one that writes from a channel. Who does not read in time is
 * dropped, so that nobody waits for the slow.
 */
import {
  bytesOf,
  type Chan,
  type Conn,
  type Go,
  type GoMain,
  goOptions,
  type Runtime,
  spawnGo,
  textOf,
} from "epollsim/go";
import { defineProgram } from "epollsim/runtime";

const MS = 1_000_000;
const ADDRESS = "127.0.0.1:7000";
/** Lines that wait for a member's connection. */
const OUTBOX = 16;
const LINE_BYTES = 4096;

interface Room {
  readonly members: Map<Conn, Chan<Uint8Array>>;
  said: number;
  delivered: number;
  dropped: number;
}

function server(room: Room): GoMain {
  return function* main(rt) {
    const { value: ln, err } = yield* rt.listen("tcp4", ADDRESS);
    if (err !== null) return rt.panic(err.text);
    for (;;) {
      const { value: conn } = yield* ln.accept();
      if (conn === null) return;
      const outbox = rt.chan<Uint8Array>(OUTBOX);
      room.members.set(conn, outbox);
      rt.go("chat.write", () => writer(room, conn, outbox));
      rt.go("chat.read", () => reader(room, conn));
    }
  };
}

/** What a member says goes to all others; a member whose outbox is full is dropped. */
function* reader(room: Room, conn: Conn): Go<void> {
  const buf = new Uint8Array(LINE_BYTES);
  for (;;) {
    const { n, err } = yield* conn.read(buf);
    if (err !== null) break;
    room.said += 1;
    const line = buf.slice(0, n);
    for (const [other, outbox] of room.members) {
      if (other === conn || outbox.trySend(line)) continue;
      room.dropped += 1;
      yield* leave(room, other);
    }
  }
  yield* leave(room, conn);
}

function* leave(room: Room, conn: Conn): Go<void> {
  const outbox = room.members.get(conn);
  if (outbox === undefined) return;
  room.members.delete(conn);
  outbox.close();
  yield* conn.close();
}

function* writer(room: Room, conn: Conn, outbox: Chan<Uint8Array>): Go<void> {
  for (;;) {
    const line = yield* outbox.recv();
    if (line === undefined || (yield* conn.write(line)).err !== null) return;
    room.delivered += 1;
  }
}

interface Heard {
  lines: number;
  cutOff: number;
}

/** Talkers listen too; the slow ones never read. */
function members(heard: Heard, talkers: number, slow: number, lines: number): GoMain {
  return function* main(rt) {
    yield* rt.sleep(MS);
    const wg = rt.waitGroup();
    wg.add(talkers + slow);
    const silent: Conn[] = [];
    for (let i = 0; i < slow; i += 1) {
      const { value: conn } = yield* rt.dial("tcp4", ADDRESS);
      if (conn !== null) silent.push(conn);
    }
    for (const conn of silent) yield* conn.setReadBuffer(LINE_BYTES);
    for (let id = 0; id < talkers; id += 1) rt.go("member", () => talk(rt, heard, id, lines, wg));
    yield* rt.sleep(5_000 * MS);
    for (const conn of silent) {
      rt.go("slow", function* () {
        const buf = new Uint8Array(1 << 16);
        for (let err: unknown = null; err === null; ) ({ err } = yield* conn.read(buf));
        heard.cutOff += 1;
        yield* conn.close();
        wg.done();
      });
    }
    yield* wg.wait();
  };
}

function* talk(rt: Runtime, heard: Heard, id: number, lines: number, wg: { done(): void }): Go<void> {
  const { value: conn, err } = yield* rt.dial("tcp4", ADDRESS);
  if (err !== null) return rt.panic(err.text);
  rt.go("member.listen", function* () {
    const buf = new Uint8Array(1 << 16);
    for (;;) {
      const read = yield* conn.read(buf);
      heard.lines += textOf(buf, 0, read.n).split("\n").length - 1;
      if (read.err !== null) break;
    }
    wg.done();
  });
  yield* rt.sleep(10 * MS);
  for (let i = 0; i < lines; i += 1) {
    yield* conn.write(bytesOf(`${`member ${id} says line ${i} `.padEnd(LINE_BYTES - 1, ".")}\n`));
    yield* rt.sleep(2 * MS);
  }
  yield* rt.sleep(3_000 * MS);
  yield* conn.close();
}

export const program = defineProgram({
  summary: "A chat room in goroutines; members who do not read are dropped",
  options: {
    talkers: { default: 8, help: "members who talk and listen", min: 1 },
    slow: { default: 2, help: "members who never read", min: 0 },
    lines: { default: 150, help: "lines of each talker", min: 1 },
    ...goOptions,
  },
  *main({ machine, print, fail }, options) {
    const { talkers, slow, lines } = options;
    const box = machine();
    const room: Room = { members: new Map(), said: 0, delivered: 0, dropped: 0 };
    const heard: Heard = { lines: 0, cutOff: 0 };
    spawnGo(box, "chat", server(room), options, { daemon: true });
    spawnGo(box, "members", members(heard, talkers, slow, lines), options);
    yield box;
    print(`${room.said} reads, ${heard.lines} lines heard, ${room.dropped} slow readers dropped`);
    if (heard.lines !== talkers * (talkers - 1) * lines)
      fail(`${heard.lines} lines heard of ${talkers * (talkers - 1) * lines}`);
    if (room.dropped !== slow || heard.cutOff !== slow)
      fail(`${room.dropped} dropped and ${heard.cutOff} cut off of ${slow}`);
    return { lines: heard.lines, dropped: room.dropped };
  },
});
