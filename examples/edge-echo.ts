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
  Sig,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  type UserBuffer,
} from "epollsim/runtime";
import { type EchoResult, echoClients } from "./lib/echo-clients.ts";
import { newServed, noteEnd, type Served } from "./lib/served.ts";

const PORT = 8080;
const BACKLOG = 4096;
const MAX_EVENTS = 64;
const BUFFER_BYTES = 48;
const SIG_IGN = 1;
const OPEN = -1;
const TICK_MS = 1000;
const NS_PER_MS = 1_000_000;

export const program = defineProgram({
  summary: "An edge-triggered echo server in the style of C",
  options: {
    clients: { default: 50, help: "connections", min: 1 },
    rounds: { default: 5, help: "messages of each client", min: 1 },
    bug: { default: false, help: "read once per event: what is left is never heard of again" },
  },
  *main({ machine, fail }, { clients, rounds, bug }) {
    const box = machine();
    box.spawn("server", edgeServer({ port: PORT, bug }), { daemon: true });
    const result: EchoResult = { roundTrips: 0, wrong: 0 };
    box.spawn("clients", echoClients({ clients, rounds, port: PORT, messageBytes: 100 }, result));
    yield box;
    if (result.wrong > 0) fail(`${result.wrong} answers are wrong`);
    return { clients, round_trips: result.roundTrips };
  },
});

export interface EdgeOptions {
  readonly port: number;
  readonly bug?: boolean;
  /** A connection on which nothing has moved for so long is closed; 0 (unless given) for no limit. */
  readonly idleMs?: number;
  /** SO_SNDBUF of the connections; the system's unless given. */
  readonly sndbuf?: number;
  /** What one read takes; less than a message unless given, so that one event takes several. */
  readonly bufferBytes?: number;
  readonly served?: Served;
  /** What it computes for each event, in ns. */
  readonly workNs?: number;
}

/** `struct conn`: what has been read and not yet been written. */
interface Conn {
  readonly buf: UserBuffer;
  pos: number;
  len: number;
  activeNs: number;
}

function setNonblocking(sys: Syscalls, fd: number): void {
  const flags = checked(sys.fcntl(fd, Fcntl.GETFL), "fcntl");
  checked(sys.fcntl(fd, Fcntl.SETFL, flags | Open.NONBLOCK), "fcntl");
}

function listenOn(sys: Syscalls, port: number, sndbuf: number): number {
  const lfd = checked(sys.socket(Af.INET, Sock.STREAM), "socket");
  checked(sys.setsockopt(lfd, SOL_SOCKET, So.REUSEADDR, 1), "setsockopt");
  if (sndbuf > 0) checked(sys.setsockopt(lfd, SOL_SOCKET, So.SNDBUF, sndbuf), "setsockopt");
  checked(sys.bind(lfd, sys.memory.sockaddrIn("0.0.0.0", port)), "bind");
  checked(sys.listen(lfd, BACKLOG), "listen");
  setNonblocking(sys, lfd);
  return lfd;
}

export function edgeServer(options: EdgeOptions): ProgramFunction {
  const {
    port,
    bug = false,
    idleMs = 0,
    sndbuf = 0,
    bufferBytes = BUFFER_BYTES,
    workNs = 0,
    served = newServed(),
  } = options;
  return function* (sys): Program {
    sys.sigaction(Sig.PIPE, SIG_IGN); // who writes to a peer that is gone gets EPIPE, and lives
    const lfd = listenOn(sys, port, sndbuf);
    const epfd = checked(sys.epollCreate1(0), "epoll_create1");
    checked(sys.epollCtl(epfd, EpollCtl.ADD, lfd, Epoll.IN | Epoll.ET), "epoll_ctl");
    const events = sys.memory.allocEvents(MAX_EVENTS);
    const conns = new Map<number, Conn>();
    for (;;) {
      const timeout = idleMs > 0 && conns.size > 0 ? TICK_MS : -1;
      const count = checked(yield sys.epollWait(epfd, events, MAX_EVENTS, timeout), "epoll_wait");
      for (let i = 0; i < count; i += 1) {
        const fd = events.data(i);
        const conn = conns.get(fd);
        if (conn !== undefined) {
          if (workNs > 0) yield sys.compute(workNs);
          const errno = echo(sys, fd, conn);
          if (errno !== OPEN) end(sys, fd, conn, errno);
        } else if (fd === lfd) acceptAll(sys);
      }
      if (timeout > 0) closeIdle(sys);
    }

    function acceptAll(own: Syscalls): void {
      for (;;) {
        const fd = own.accept4(lfd, null, 0);
        if (fd === -Errno.EAGAIN) return;
        if (fd === -Errno.ECONNABORTED) continue;
        setNonblocking(own, checked(fd, "accept4"));
        served.accepted += 1;
        conns.set(fd, { buf: own.memory.alloc(bufferBytes), pos: 0, len: 0, activeNs: own.nowNs });
        // Once for both directions: with edges nobody is told again and again that there is room.
        checked(own.epollCtl(epfd, EpollCtl.ADD, fd, Epoll.IN | Epoll.OUT | Epoll.RDHUP | Epoll.ET), "epoll_ctl");
      }
    }

    /**
     * Writes what is left, then reads, until one of the two finds EAGAIN: only then another edge will come.
     *
     * @returns `OPEN`, or why the connection is over: 0 or an errno.
     */
    function echo(own: Syscalls, fd: number, conn: Conn): number {
      for (;;) {
        while (conn.pos < conn.len) {
          const n = own.write(fd, conn.buf.addr + conn.pos, conn.len - conn.pos);
          if (n === -Errno.EAGAIN) {
            served.waits += 1;
            return OPEN; // EPOLLOUT says when there is room; nothing is read before
          }
          if (n < 0) return -n;
          conn.pos += n;
        }
        const n = own.read(fd, conn.buf, bufferBytes);
        if (n === -Errno.EAGAIN) return OPEN;
        if (n <= 0) return -n;
        conn.pos = 0;
        conn.len = n;
        conn.activeNs = own.nowNs;
        if (bug) {
          checked(own.write(fd, conn.buf, n), "write");
          conn.pos = n;
          return OPEN;
        }
      }
    }

    function end(own: Syscalls, fd: number, conn: Conn, errno: number): void {
      noteEnd(served, errno);
      conns.delete(fd);
      own.memory.free(conn.buf);
      own.close(fd); // takes it off the epoll instance
    }

    function closeIdle(own: Syscalls): void {
      for (const [fd, conn] of conns) {
        if (own.nowNs - conn.activeNs >= idleMs * NS_PER_MS) end(own, fd, conn, Errno.EAGAIN);
      }
    }
  };
}
