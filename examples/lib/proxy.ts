/** An HTTP proxy: a thread for each client, and a pool of connections to the server behind it. */
import {
  acceptThreads,
  type Blocking,
  ConnectionPool,
  connectTcp,
  listenTcp,
  PooledConnection,
  type Program,
  type ProgramFunction,
  SOL_SOCKET,
  So,
  type Syscalls,
  type UserBuffer,
  writeAll,
} from "epollsim/runtime";
import { formatMessage, isLast, type Message, MessageParser } from "./http.ts";
import { newServed, noteEnd, type Served } from "./served.ts";

const SECOND = 1_000_000_000;
const BUFFER_BYTES = 4096;

export interface ProxyOptions {
  readonly port: number;
  readonly serverPort: number;
  /** How long a client may be silent; 0 (unless given) for no limit. */
  readonly idleNs?: number;
  /** SO_SNDBUF of the clients' connections; the system's unless given. */
  readonly sndbuf?: number;
  readonly served?: Served;
  /** Is given the pool: whoever wants its figures. */
  readonly started?: (pool: ConnectionPool) => void;
}

/** Reads until a message is complete. @returns null at the end of the stream, or the errno that ended it. */
export function* readMessage(
  parser: MessageParser,
  read: () => Blocking<number>,
  buf: UserBuffer,
): Blocking<Message | number> {
  for (;;) {
    const message = parser.next();
    if (message !== null) return message;
    const count = yield* read();
    if (count <= 0) return -count;
    parser.push(buf.text(0, count));
  }
}

export function proxy(options: ProxyOptions): ProgramFunction {
  const { port, serverPort, idleNs = 0, sndbuf = 0, served = newServed(), started } = options;
  return function* (sys): Program {
    const pool = new ConnectionPool(
      sys,
      {
        maxOpen: 8,
        idleNs: 30 * SECOND,
        lifetimeNs: 600 * SECOND,
        readNs: 10 * SECOND,
        writeNs: 10 * SECOND,
        leakNs: 60 * SECOND,
        recycleNs: SECOND,
      },
      { connect: (own) => connectTcp(own, "127.0.0.1", serverPort), leaked: () => {} },
    );
    started?.(pool);
    sys.clone("recycler", (own) => pool.recycle(own));
    const lfd = listenTcp(sys, "0.0.0.0", port);
    if (sndbuf > 0) sys.setsockopt(lfd, SOL_SOCKET, So.SNDBUF, sndbuf);
    return yield* acceptThreads(sys, lfd, function* (own, fd) {
      served.accepted += 1;
      for (const name of idleNs > 0 ? [So.RCVTIMEO, So.SNDTIMEO] : []) own.setTimeout(fd, name, idleNs);
      noteEnd(served, yield* forward(own, fd, pool, served));
    });
  };
}

/** @returns why it ended: 0 or an errno. */
function* forward(sys: Syscalls, fd: number, pool: ConnectionPool, served: Served): Blocking<number> {
  const buf = sys.memory.alloc(BUFFER_BYTES);
  const parser = new MessageParser();
  const fromClient = function* (): Blocking<number> {
    return yield sys.read(fd, buf, BUFFER_BYTES);
  };
  let errno = 0;
  for (;;) {
    const request = yield* readMessage(parser, fromClient, buf);
    if (typeof request === "number") {
      errno = request;
      break;
    }
    const answer = yield* ask(sys, pool, buf, request);
    const text = formatMessage(answer?.start ?? "HTTP/1.1 502 Bad Gateway", { Via: "1.1 proxy" }, answer?.body ?? "");
    const block = sys.memory.allocText(text);
    const begunNs = sys.nowNs;
    const sent = yield* writeAll(sys, fd, block, block.length);
    if (sys.nowNs > begunNs) served.waits += 1;
    sys.memory.free(block);
    if (sent < 0) errno = -sent;
    if (sent < 0 || isLast(request)) break;
  }
  sys.memory.free(buf);
  return errno;
}

function* ask(sys: Syscalls, pool: ConnectionPool, buf: UserBuffer, request: Message): Blocking<Message | null> {
  const conn = yield* pool.take(sys, "ask()");
  if (!(conn instanceof PooledConnection)) return null;
  const block = sys.memory.allocText(formatMessage(request.start, { Host: "server" }, request.body));
  const sent = yield* conn.write(sys, block, block.length);
  sys.memory.free(block);
  const read = (): Blocking<number> => conn.read(sys, buf, BUFFER_BYTES);
  const answer = sent < 0 ? 0 : yield* readMessage(new MessageParser(), read, buf);
  pool.give(sys, conn);
  return typeof answer === "number" ? null : answer;
}
