/** The servers that swarms and load are let loose on: each started on a host of the machine, as daemons. */
import { type Conn, EOF, ErrDeadlineExceeded, type Go, type GoMain, goProgram, type Runtime } from "epollsim/go";
import {
  Acceptor,
  acceptThreads,
  Errno,
  listenTcp,
  type Machine,
  type Program,
  Reactor,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  type Thread,
  type Trigger,
  type UserBuffer,
  writeAll,
} from "epollsim/runtime";
import { edgeServer } from "../edge-echo.ts";
import { ChatRooms } from "./chat-room.ts";
import { ChatDialogue, type Dialogue, EchoDialogue, HttpDialogue } from "./dialogues.ts";
import { IdleEcho, type IdleLimit } from "./echo-connection.ts";
import { httpServer } from "./http-server.ts";
import { proxy } from "./proxy.ts";
import { noteEnd, type Served } from "./served.ts";

const NS_PER_MS = 1_000_000;
const BUFFER_BYTES = 4096;
const WORKERS = 3;
const BACKEND_PORT = 8000;
const REQUEST_MS = 20_000;
const PENDING_MAX = 65_536;
/** Members of a room of the chat. */
const ROOM = 4;

export interface Setting {
  readonly box: Machine;
  /** Where it runs. */
  readonly host: string;
  readonly port: number;
  /** A connection on which nothing moves for so long is closed. */
  readonly idleMs: number;
  readonly served: Served;
  /** SO_SNDBUF of the connections; the system's unless given. */
  readonly sndbuf?: number;
  /** What it computes for each event or request, in ns; nothing unless given. */
  readonly workNs?: number;
}

export interface Server {
  readonly summary: string;
  /** What becomes of clients that do not read: they are waited for, or dropped. */
  readonly slow: "served" | "dropped";
  readonly dialogue: (kind: string, index: number) => Dialogue;
  /** @returns the main threads of its processes. */
  readonly start: (setting: Setting) => Thread[];
}

const echo = (kind: string, index: number): Dialogue => new EchoDialogue(`${kind}-${index}`);
const http = (kind: string, index: number): Dialogue => new HttpDialogue(`${kind}-${index}`);
const chat = (kind: string, index: number): Dialogue =>
  new ChatDialogue(`${kind}-${index}`, `${kind}-${Math.floor(index / ROOM)}`);

/** By name, in the order of the table. */
export const servers: Readonly<Record<string, Server>> = {
  edge: {
    summary: "C's way: one thread, epoll edge-triggered, a buffer for each connection",
    slow: "served",
    dialogue: echo,
    start: ({ box, host, ...options }) => [
      box.spawn("edge", edgeServer({ ...options, bufferBytes: BUFFER_BYTES }), {
        daemon: true,
        host,
      }),
    ],
  },
  reuseport: {
    summary: "three processes with level-triggered reactors behind one port",
    slow: "served",
    dialogue: echo,
    start: (setting) =>
      Array.from({ length: WORKERS }, (_, worker) =>
        setting.box.spawn(`worker ${worker}`, (sys) => reactorServer(sys, setting, "level"), {
          daemon: true,
          host: setting.host,
        }),
      ),
  },
  threads: {
    summary: "a thread for each connection",
    slow: "served",
    dialogue: echo,
    start: ({ box, host, ...setting }) => [
      box.spawn("threads", (sys) => threadServer(sys, setting), { daemon: true, host }),
    ],
  },
  goroutines: {
    summary: "Go's way: a goroutine for each connection, with deadlines",
    slow: "served",
    dialogue: echo,
    start: ({ box, host, ...setting }) => [
      box.spawn("goroutines", goProgram(goServer(setting)), { daemon: true, host }),
    ],
  },
  http: {
    summary: "HTTP/1.1 on the reactor",
    slow: "served",
    dialogue: http,
    start: ({ box, host, ...options }) => [
      box.spawn("http", httpServer({ ...options, requestMs: REQUEST_MS }), {
        daemon: true,
        host,
      }),
    ],
  },
  proxy: {
    summary: "an HTTP proxy with a pool of connections to a server",
    slow: "served",
    dialogue: http,
    start: ({ box, host, port, idleMs, served, sndbuf = 0, workNs = 0 }) => {
      const idleNs = idleMs * NS_PER_MS;
      const backend = httpServer({ port: BACKEND_PORT, idleMs, requestMs: REQUEST_MS, workNs });
      const front = proxy({ port, serverPort: BACKEND_PORT, idleNs, sndbuf, served });
      return [box.spawn("backend", backend, { daemon: true, host }), box.spawn("proxy", front, { daemon: true, host })];
    },
  },
  chat: {
    summary: "chat rooms on the reactor",
    slow: "dropped",
    dialogue: chat,
    start: ({ box, host, ...setting }) => [
      box.spawn("chat", (sys) => chatServer(sys, setting), { daemon: true, host }),
    ],
  },
};

type Quiet = Omit<Setting, "box" | "host">;

function listen(sys: Syscalls, { port, sndbuf = 0 }: Quiet, flags: number, reuseport = false): number {
  const lfd = listenTcp(sys, "0.0.0.0", port, { flags, reuseport });
  if (sndbuf > 0) sys.setsockopt(lfd, SOL_SOCKET, So.SNDBUF, sndbuf);
  return lfd;
}

/** Tells how it ended, and when there was no room. */
class CountedEcho extends IdleEcho {
  readonly #served: Served;

  constructor(reactor: Reactor, buffer: UserBuffer, limit: IdleLimit, served: Served) {
    super(reactor, buffer, limit);
    this.#served = served;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    super.received(sys, buf, count);
    if (this.pendingBytes > 0) this.#served.waits += 1;
  }

  protected override closed(_sys: Syscalls, errno: number): void {
    noteEnd(this.#served, this.isIdle ? Errno.EAGAIN : errno);
  }
}

function reactorServer(sys: Syscalls, setting: Quiet, trigger: Trigger): Program {
  const { idleMs, served, workNs = 0 } = setting;
  const reactor = new Reactor(sys, { trigger, eventNs: workNs });
  const buffer = sys.memory.alloc(BUFFER_BYTES);
  const limit: IdleLimit = { idleMs, sys, idled: () => {} };
  const acceptor = new Acceptor((own, fd) => {
    served.accepted += 1;
    new CountedEcho(reactor, buffer, limit, served).open(own, fd);
  });
  reactor.add(sys, listen(sys, setting, Sock.NONBLOCK, true), acceptor);
  return reactor.loop(sys);
}

function threadServer(sys: Syscalls, setting: Quiet): Program {
  const { idleMs, served, workNs = 0 } = setting;
  return acceptThreads(sys, listen(sys, setting, 0), function* (own, fd) {
    served.accepted += 1;
    for (const name of [So.RCVTIMEO, So.SNDTIMEO]) own.setTimeout(fd, name, idleMs * NS_PER_MS);
    const buf = own.memory.alloc(BUFFER_BYTES);
    let n = yield own.read(fd, buf, BUFFER_BYTES);
    while (n > 0) {
      if (workNs > 0) yield own.compute(workNs);
      const begunNs = own.nowNs;
      const sent = yield* writeAll(own, fd, buf, n);
      if (own.nowNs > begunNs) served.waits += 1;
      n = sent < 0 ? sent : yield own.read(fd, buf, BUFFER_BYTES);
    }
    noteEnd(served, -n);
    own.memory.free(buf);
  });
}

function goServer(setting: Quiet): GoMain {
  const { port, served } = setting;
  return function* main(rt) {
    const { value: ln, err } = yield* rt.listen("tcp4", `:${port}`);
    if (err !== null) return rt.panic(err.text);
    for (;;) {
      const { value: conn } = yield* ln.accept();
      if (conn === null) return;
      served.accepted += 1;
      rt.go("echo", () => echoConn(rt, conn, setting));
    }
  };
}

function* echoConn(rt: Runtime, conn: Conn, { idleMs, served, sndbuf = 0, workNs = 0 }: Quiet): Go<void> {
  if (sndbuf > 0) yield* conn.setWriteBuffer(sndbuf);
  const buf = rt.makeBytes(BUFFER_BYTES);
  for (;;) {
    conn.setDeadline(rt.now() + idleMs * NS_PER_MS);
    const { n, err } = yield* conn.read(buf);
    if (n > 0 && workNs > 0) yield* rt.work(workNs);
    const begun = rt.now();
    const failure = err ?? (yield* conn.write(buf.subarray(0, n))).err;
    if (rt.now() - begun > NS_PER_MS) served.waits += 1;
    if (failure === null) continue;
    noteEnd(served, failure === EOF ? 0 : failure === ErrDeadlineExceeded ? Errno.EAGAIN : failure.errno);
    yield* conn.close();
    return;
  }
}

function chatServer(sys: Syscalls, setting: Quiet): Program {
  const { idleMs, served, workNs = 0 } = setting;
  const reactor = new Reactor(sys, { eventNs: workNs });
  const rooms = new ChatRooms(sys, reactor, { pendingMax: PENDING_MAX, idleMs });
  const acceptor = rooms.acceptor((_own, member) => {
    served.accepted += 1;
    member.onClosed = (how) => {
      served[how] += 1;
    };
  });
  reactor.add(sys, listen(sys, setting, Sock.NONBLOCK), acceptor);
  return reactor.loop(sys);
}
