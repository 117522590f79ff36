/**
 * An HTTP/1.1 server on the reactor, and in front of it a proxy: a thread for each client, and a pool of connections to the server.
 *
 * Clients keep their connections alive, and send their requests in pairs. One of them is a slow loris: it sends a byte a second, and is
 * shown the door when its request is not complete in time.
 */
import {
  Acceptor,
  acceptThreads,
  type Blocking,
  Connection,
  ConnectionPool,
  connectTcp,
  defineProgram,
  listenTcp,
  Msg,
  PooledConnection,
  type Program,
  type ProgramFunction,
  Reactor,
  Sock,
  type Syscalls,
  type UserBuffer,
  writeAll,
} from "epollsim/runtime";
import { BadMessage, formatMessage, isLast, type Message, MessageParser } from "./lib/http.ts";

const SERVER_PORT = 8000;
const PROXY_PORT = 8080;
const MS = 1_000_000;
const SECOND = 1000 * MS;
/** A request must be complete so long after its first byte. */
const REQUEST_MS = 5000;
const BUFFER_BYTES = 4096;

class HttpConnection extends Connection {
  protected override readonly readBuffer: UserBuffer;
  readonly #parser = new MessageParser();
  readonly #tooSlow: () => void;
  readonly #sys: Syscalls;

  constructor(reactor: Reactor, sys: Syscalls, buffer: UserBuffer, tooSlow: () => void) {
    super(reactor);
    this.#sys = sys;
    this.readBuffer = buffer;
    this.#tooSlow = tooSlow;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    this.#parser.push(buf.text(0, count));
    try {
      for (let request = this.#parser.next(); request !== null; request = this.#parser.next()) {
        this.#answer(sys, handle(request));
        if (isLast(request)) this.close(sys);
      }
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      this.#answer(sys, formatMessage(`HTTP/1.1 ${error.status}`, { Connection: "close" }, ""));
      this.close(sys);
    }
    if (!this.#parser.isInside) this.reactor.timers.cancel(this);
    else if (this.timerIndex === -1 && this.fd !== -1) this.reactor.timers.start(this, this.activeMs + REQUEST_MS);
  }

  #answer(sys: Syscalls, text: string): void {
    const block = sys.memory.allocText(text);
    this.send(sys, block, block.length);
    sys.memory.free(block);
  }

  override expired(): void {
    this.#tooSlow();
    this.#answer(this.#sys, formatMessage("HTTP/1.1 408 Request Timeout", { Connection: "close" }, ""));
    this.close(this.#sys);
  }
}

function handle({ start, body }: Message): string {
  const [method, path] = start.split(" ");
  if (method === "GET" && path?.startsWith("/hello/")) {
    return formatMessage(
      "HTTP/1.1 200 OK",
      { "Content-Type": "text/plain" },
      `hello ${path.slice("/hello/".length)}\n`,
    );
  }
  if (method === "POST" && path === "/echo") return formatMessage("HTTP/1.1 200 OK", {}, body);
  return formatMessage("HTTP/1.1 404 Not Found", {}, "");
}

function server(tooSlow: () => void): ProgramFunction {
  return (sys) => {
    const reactor = new Reactor(sys);
    const buffer = sys.memory.alloc(BUFFER_BYTES);
    const acceptor = new Acceptor((own, fd) => new HttpConnection(reactor, own, buffer, tooSlow).open(own, fd));
    reactor.add(sys, listenTcp(sys, "127.0.0.1", SERVER_PORT, { flags: Sock.NONBLOCK }), acceptor);
    return reactor.loop(sys);
  };
}

/** Reads until a message is complete. @returns null at the end of the stream. */
function* readMessage(parser: MessageParser, read: () => Blocking<number>, buf: UserBuffer): Blocking<Message | null> {
  for (;;) {
    const message = parser.next();
    if (message !== null) return message;
    const count = yield* read();
    if (count <= 0) return null;
    parser.push(buf.text(0, count));
  }
}

function proxy(stats: (pool: ConnectionPool) => void): ProgramFunction {
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
      { connect: (own) => connectTcp(own, "127.0.0.1", SERVER_PORT), leaked: () => {} },
    );
    stats(pool);
    sys.clone("recycler", (own) => pool.recycle(own));
    return yield* acceptThreads(sys, listenTcp(sys, "127.0.0.1", PROXY_PORT), (own, fd) => forward(own, fd, pool));
  };
}

function* forward(sys: Syscalls, fd: number, pool: ConnectionPool): Blocking<void> {
  const buf = sys.memory.alloc(BUFFER_BYTES);
  const parser = new MessageParser();
  const fromClient = function* (): Blocking<number> {
    return yield sys.read(fd, buf, BUFFER_BYTES);
  };
  for (;;) {
    const request = yield* readMessage(parser, fromClient, buf);
    if (request === null) break;
    const answer = yield* ask(sys, pool, buf, request);
    const text = formatMessage(answer?.start ?? "HTTP/1.1 502 Bad Gateway", { Via: "1.1 proxy" }, answer?.body ?? "");
    const block = sys.memory.allocText(text);
    const sent = yield* writeAll(sys, fd, block, block.length);
    sys.memory.free(block);
    if (sent < 0 || isLast(request)) break;
  }
  sys.memory.free(buf);
}

function* ask(sys: Syscalls, pool: ConnectionPool, buf: UserBuffer, request: Message): Blocking<Message | null> {
  const conn = yield* pool.take(sys, "ask()");
  if (!(conn instanceof PooledConnection)) return null;
  const block = sys.memory.allocText(formatMessage(request.start, { Host: "server" }, request.body));
  const sent = yield* conn.write(sys, block, block.length);
  sys.memory.free(block);
  const read = (): Blocking<number> => conn.read(sys, buf, BUFFER_BYTES);
  const answer = sent < 0 ? null : yield* readMessage(new MessageParser(), read, buf);
  pool.give(sys, conn);
  return answer;
}

export const program = defineProgram({
  summary: "An HTTP/1.1 server, a proxy with a pool of connections, keep-alive clients and a slow loris",
  options: {
    clients: { default: 40, help: "clients of the proxy", min: 1 },
    rounds: { default: 10, help: "pairs of requests of each", min: 1 },
  },
  *main({ machine, print, fail }, { clients, rounds }) {
    const box = machine();
    let tooSlow = 0;
    let pool: ConnectionPool | null = null;
    let answered = 0;
    let wrong = 0;
    let loris = "";
    const noteSlow = (): void => {
      tooSlow += 1;
    };
    const notePool = (own: ConnectionPool): void => {
      pool = own;
    };
    box.spawn("server", server(noteSlow), { daemon: true });
    box.spawn("proxy", proxy(notePool), { daemon: true });
    for (let index = 0; index < clients; index += 1) box.spawn(`client ${index}`, (sys) => client(sys, index));
    box.spawn("loris", slowLoris);
    yield box;

    function* client(sys: Syscalls, index: number): Program {
      yield sys.nanosleep(MS); // both listen by then, whoever runs first
      const fd = yield* connectTcp(sys, "127.0.0.1", PROXY_PORT);
      const buf = sys.memory.alloc(BUFFER_BYTES);
      const parser = new MessageParser();
      const read = function* (): Blocking<number> {
        return yield sys.read(fd, buf, BUFFER_BYTES);
      };
      for (let round = 0; round < rounds; round += 1) {
        const said = `client ${index}, round ${round}. `.repeat(20);
        const get = formatMessage(`GET /hello/${index}-${round} HTTP/1.1`, { Host: "proxy" }, "");
        const block = sys.memory.allocText(get + formatMessage("POST /echo HTTP/1.1", { Host: "proxy" }, said));
        yield* writeAll(sys, fd, block, block.length);
        sys.memory.free(block);
        for (const expected of [`hello ${index}-${round}\n`, said]) {
          const answer = yield* readMessage(parser, read, buf);
          answered += 1;
          if (answer?.start !== "HTTP/1.1 200 OK" || answer.body !== expected) wrong += 1;
        }
        yield sys.nanosleep(20 * MS);
      }
      sys.close(fd);
    }

    /** Talks to the server itself. */
    function* slowLoris(sys: Syscalls): Program {
      yield sys.nanosleep(MS);
      const fd = yield* connectTcp(sys, "127.0.0.1", SERVER_PORT);
      const begun = sys.nowNs;
      const buf = sys.memory.allocText("GET /hello/loris HTTP/1.1\r\nHost: server\r\nX: y\r\n\r\n");
      for (let at = 0; at < buf.length; at += 1) {
        if ((yield sys.send(fd, buf.addr + at, 1, Msg.NOSIGNAL)) < 0) break;
        yield sys.nanosleep(SECOND);
        const n = sys.recv(fd, buf, buf.length, Msg.DONTWAIT);
        if (n < 0) continue;
        loris = `${buf.text(0, n).split("\r\n")[0] ?? ""} after ${Math.round((sys.nowNs - begun) / SECOND)} s`;
        break;
      }
      sys.close(fd);
    }

    const stats = (pool as ConnectionPool | null)?.stats;
    const requests = 2 * clients * rounds;
    print(
      `${answered} answers of ${requests}, by ${stats?.opened ?? 0} connections of the proxy's, taken ${stats?.reused ?? 0} times again`,
    );
    print(`slow loris: ${loris}`);
    if (wrong > 0 || answered !== requests) fail(`${wrong} answers are wrong, ${requests - answered} are missing`);
    if (tooSlow !== 1) fail(`${tooSlow} requests were too slow, not 1`);
    return { clients, requests, pool_waits: stats?.waited ?? 0 };
  },
});
