/** A chat room on the reactor: every line goes to everybody, and who does not read is dropped. */
import {
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
  writeAll,
} from "epollsim/runtime";
import { ChatRooms } from "./lib/chat-room.ts";
import { LINE_BYTES } from "./lib/dialogues.ts";

const PORT = 6667;
/** Of each connection: small, so that a slow reader shows soon. */
const SNDBUF_BYTES = 8192;

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
    let rooms: ChatRooms | null = null;
    box.spawn(
      "server",
      (sys) => {
        const reactor = new Reactor(sys, { trigger: trigger as "edge" });
        const own = new ChatRooms(sys, reactor, { pendingMax, idleMs: 0 });
        rooms = own;
        const acceptor = own.acceptor((calls, member) => {
          checked(calls.setsockopt(member.fd, SOL_SOCKET, So.SNDBUF, SNDBUF_BYTES), "setsockopt");
          member.enter("");
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

    const figures = (rooms as ChatRooms | null)?.figures;
    const { lines: said = 0, sent = 0, dropped = 0, mostPending = 0 } = figures ?? {};
    print(`${said} lines said, ${sent} sent; at most ${mostPending} bytes waited for one reader`);
    print(`${dropped} slow readers dropped, ${cutOff} of ${slow} found themselves cut off`);
    const deaf = heard.filter((count) => count !== members * lines).length;
    if (deaf > 0) fail(`${deaf} members did not hear everything`);
    return { members, lines: said, dropped };
  },
});
