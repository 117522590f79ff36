/**
 * A chat room on the reactor: every line goes to everybody. Whoever does not read is not waited for: when too much waits for a
 * slow reader, it is dropped, and the others never notice.
 */
import {
  Acceptor,
  Connection,
  checked,
  connectTcp,
  defineProgram,
  Errno,
  listenTcp,
  Msg,
  type Program,
  Reactor,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  type UserBuffer,
  writeAll,
} from "epollsim/runtime";

const PORT = 6667;
const LINE_BYTES = 64;
/** Of each connection: small, so that a slow reader shows soon. */
const SNDBUF_BYTES = 8192;

interface Room {
  readonly members: Set<Member>;
  readonly pendingMax: number;
  readonly buffer: UserBuffer;
  lines: number;
  sent: number;
  dropped: number;
  mostPending: number;
}

class Member extends Connection {
  readonly #room: Room;

  constructor(reactor: Reactor, room: Room) {
    super(reactor);
    this.#room = room;
    room.members.add(this);
  }

  protected override get readBuffer(): UserBuffer {
    return this.#room.buffer;
  }

  /** Lines are of one length, so what has come is whole lines. */
  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    const room = this.#room;
    room.lines += count / LINE_BYTES;
    for (const member of room.members) {
      member.send(sys, buf, count);
      room.sent += count / LINE_BYTES;
      const pending = member.pendingBytes;
      room.mostPending = Math.max(room.mostPending, pending);
      if (pending <= room.pendingMax) continue;
      room.dropped += 1;
      member.close(sys);
    }
  }

  protected override closed(): void {
    this.#room.members.delete(this);
  }
}

export const program = defineProgram({
  summary: "Chat broadcast on the reactor, with slow readers that are dropped",
  options: {
    members: { default: 20, help: "who talks and listens", min: 1 },
    slow: { default: 2, help: "who only joins, and does not read" },
    lines: { default: 200, help: "lines that each member says", min: 1 },
    pendingMax: { default: 16_384, help: "bytes that may wait for a reader", min: 1 },
    trigger: { default: "edge", help: "how the server asks for events", choices: ["edge", "level", "oneshot"] },
  },
  *main({ machine, print, fail }, { members, slow, lines, pendingMax, trigger }) {
    const box = machine();
    const heard = new Array<number>(members).fill(0);
    let cutOff = 0;
    let room: Room | null = null;
    box.spawn(
      "server",
      (sys) => {
        const reactor = new Reactor(sys, { trigger: trigger as "edge" });
        const buffer = sys.memory.alloc(LINE_BYTES * 16);
        const own: Room = { members: new Set(), pendingMax, buffer, lines: 0, sent: 0, dropped: 0, mostPending: 0 };
        room = own;
        const acceptor = new Acceptor((calls, fd) => {
          checked(calls.setsockopt(fd, SOL_SOCKET, So.SNDBUF, SNDBUF_BYTES), "setsockopt");
          new Member(reactor, own).open(calls, fd);
        });
        reactor.add(sys, listenTcp(sys, "127.0.0.1", PORT, { flags: Sock.NONBLOCK }), acceptor);
        return reactor.loop(sys);
      },
      { daemon: true },
    );
    for (let index = 0; index < members; index += 1) box.spawn(`member ${index}`, (sys) => member(sys, index));
    for (let index = 0; index < slow; index += 1) box.spawn(`slow ${index}`, slowReader);
    yield box;

    function* member(sys: Syscalls, index: number): Program {
      yield sys.nanosleep(1_000_000); // the server listens by then, whoever runs first
      const fd = yield* connectTcp(sys, "127.0.0.1", PORT);
      sys.clone(`voice ${index}`, function* (own): Program {
        const line = own.memory.alloc(LINE_BYTES);
        for (let i = 0; i < lines; i += 1) {
          yield own.nanosleep(5_000_000); // everybody has joined before the first line
          line.bytes.fill(0x2e);
          line.write(`member ${index} says line ${i}`);
          yield* writeAll(own, fd, line, LINE_BYTES);
        }
      });
      const buf = sys.memory.alloc(4096);
      let bytes = 0;
      while (bytes < members * lines * LINE_BYTES) {
        const n = yield sys.read(fd, buf, buf.length);
        if (n <= 0) break;
        bytes += n;
      }
      heard[index] = bytes / LINE_BYTES;
      sys.close(fd);
    }

    function* slowReader(sys: Syscalls): Program {
      yield sys.nanosleep(1_000_000);
      const fd = yield* connectTcp(sys, "127.0.0.1", PORT);
      checked(sys.setsockopt(fd, SOL_SOCKET, So.RCVBUF, 4096), "setsockopt");
      yield sys.nanosleep(3_600_000_000_000);
      const buf = sys.memory.alloc(4096);
      let n = sys.recv(fd, buf, buf.length, Msg.DONTWAIT);
      while (n > 0) n = sys.recv(fd, buf, buf.length, Msg.DONTWAIT);
      if (n !== -Errno.EAGAIN) cutOff += 1;
      sys.close(fd);
    }

    const { lines: said, sent, dropped, mostPending } = room ?? { lines: 0, sent: 0, dropped: 0, mostPending: 0 };
    print(`${said} lines said, ${sent} sent; at most ${mostPending} bytes waited for one reader`);
    print(`${dropped} slow readers dropped, ${cutOff} of ${slow} found themselves cut off`);
    const deaf = heard.filter((count) => count !== members * lines).length;
    if (deaf > 0) fail(`${deaf} members did not hear everything`);
    return { members, lines: said, dropped };
  },
});
