/**
 * The echo server that every article on epoll writes in C, call by call: edge-triggered, so that each event has to be used up.
 *
 * Whoever reads once per event instead of until EAGAIN loses what is left: `--bug` does so, and the clients hang.
 */
import {
  Af,
  checked,
  defineProgram,
  Epoll,
  EpollCtl,
  Errno,
  Fcntl,
  Open,
  type Program,
  type ProgramFunction,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
} from "epollsim/runtime";
import { type EchoResult, echoClients } from "./lib/echo-clients.ts";

const PORT = 8080;
const MAX_EVENTS = 64;
/** Less than a message, so that one event takes several reads. */
const BUFFER_BYTES = 48;

export const program = defineProgram({
  summary: "An edge-triggered echo server in the style of C",
  options: {
    clients: { default: 50, help: "connections", min: 1 },
    rounds: { default: 5, help: "messages of each client", min: 1 },
    bug: { default: false, help: "read once per event: what is left is never heard of again" },
  },
  *main({ machine, fail }, { clients, rounds, bug }) {
    const box = machine();
    box.spawn("server", server(bug), { daemon: true });
    const result: EchoResult = { roundTrips: 0, wrong: 0 };
    box.spawn("clients", echoClients({ clients, rounds, port: PORT, messageBytes: 100 }, result));
    yield box;
    if (result.wrong > 0) fail(`${result.wrong} answers are wrong`);
    return { clients, round_trips: result.roundTrips };
  },
});

function setNonblocking(sys: Syscalls, fd: number): void {
  const flags = checked(sys.fcntl(fd, Fcntl.GETFL), "fcntl");
  checked(sys.fcntl(fd, Fcntl.SETFL, flags | Open.NONBLOCK), "fcntl");
}

function server(bug: boolean): ProgramFunction {
  return function* (sys): Program {
    const lfd = checked(sys.socket(Af.INET, Sock.STREAM), "socket");
    checked(sys.setsockopt(lfd, SOL_SOCKET, So.REUSEADDR, 1), "setsockopt");
    checked(sys.bind(lfd, sys.memory.sockaddrIn("127.0.0.1", PORT)), "bind");
    checked(sys.listen(lfd, 128), "listen");
    setNonblocking(sys, lfd);
    const epfd = checked(sys.epollCreate1(0), "epoll_create1");
    checked(sys.epollCtl(epfd, EpollCtl.ADD, lfd, Epoll.IN | Epoll.ET), "epoll_ctl");
    const events = sys.memory.allocEvents(MAX_EVENTS);
    const buf = sys.memory.alloc(BUFFER_BYTES);
    for (;;) {
      const count = checked(yield sys.epollWait(epfd, events, MAX_EVENTS, -1), "epoll_wait");
      for (let i = 0; i < count; i += 1) {
        const fd = events.data(i);
        if (fd !== lfd) {
          echo(sys, fd);
          continue;
        }
        for (let conn = sys.accept4(lfd, null, 0); conn !== -Errno.EAGAIN; conn = sys.accept4(lfd, null, 0)) {
          setNonblocking(sys, checked(conn, "accept4"));
          checked(sys.epollCtl(epfd, EpollCtl.ADD, conn, Epoll.IN | Epoll.RDHUP | Epoll.ET), "epoll_ctl");
        }
      }
    }

    function echo(own: Syscalls, fd: number): void {
      for (;;) {
        const n = own.read(fd, buf, BUFFER_BYTES);
        if (n === -Errno.EAGAIN) return;
        if (n <= 0) {
          own.close(fd); // takes it off the epoll instance
          return;
        }
        // The answers of these clients always fit the socket's buffer; examples/chat.ts shows what to do where they may not.
        checked(own.write(fd, buf, n), "write");
        if (bug) return;
      }
    }
  };
}
