/** An HTTP/1.1 server on the reactor: kept connections, pipelined requests, and limits for whoever is slow. */
import {
  Acceptor,
  Connection,
  listenTcp,
  type ProgramFunction,
  Reactor,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  type UserBuffer,
} from "epollsim/runtime";
import { BadMessage, formatMessage, isLast, type Message, MessageParser } from "./http.ts";
import { newServed, type Served } from "./served.ts";

const BUFFER_BYTES = 4096;

export interface HttpServerOptions {
  readonly port: number;
  /** A request must be complete so long after its first byte. */
  readonly requestMs: number;
  /** How long a connection may be kept without a request. */
  readonly idleMs: number;
  /** SO_SNDBUF of the connections; the system's unless given. */
  readonly sndbuf?: number;
  readonly served?: Served;
  /** What it computes for each event, in ns. */
  readonly workNs?: number;
  /** A request has not come in time. */
  readonly tooSlow?: () => void;
}

class HttpConnection extends Connection {
  protected override readonly readBuffer: UserBuffer;
  readonly #parser = new MessageParser();
  readonly #sys: Syscalls;
  readonly #options: HttpServerOptions;
  readonly #served: Served;
  /** When the first byte of an incomplete request came, in ms; -1 between requests. */
  #begunMs = -1;
  #idled = false;

  constructor(reactor: Reactor, sys: Syscalls, buffer: UserBuffer, options: HttpServerOptions, served: Served) {
    super(reactor);
    this.#sys = sys;
    this.readBuffer = buffer;
    this.#options = options;
    this.#served = served;
  }

  override open(sys: Syscalls, fd: number): void {
    super.open(sys, fd);
    this.#arm();
  }

  #arm(): void {
    const { requestMs, idleMs } = this.#options;
    const dueMs = this.#begunMs === -1 ? this.activeMs + idleMs : this.#begunMs + requestMs;
    this.reactor.timers.start(this, dueMs);
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
    if (this.fd === -1) return;
    if (!this.#parser.isInside) this.#begunMs = -1;
    else if (this.#begunMs === -1) this.#begunMs = this.activeMs;
    this.#arm();
  }

  #answer(sys: Syscalls, text: string): void {
    const block = sys.memory.allocText(text);
    this.send(sys, block, block.length);
    if (this.pendingBytes > 0) this.#served.waits += 1;
    sys.memory.free(block);
  }

  override expired(): void {
    const sys = this.#sys;
    if (this.#begunMs !== -1) {
      this.#options.tooSlow?.();
      this.#answer(sys, formatMessage("HTTP/1.1 408 Request Timeout", { Connection: "close" }, ""));
    } else if (this.activeMs + this.#options.idleMs > this.reactor.nowMs(sys)) {
      this.#arm(); // an answer has gone out meanwhile
      return;
    }
    this.#idled = true;
    this.close(sys);
  }

  protected override closed(_sys: Syscalls, errno: number): void {
    if (this.#idled) this.#served.idle += 1;
    else if (errno > 0) this.#served.reset += 1;
    else this.#served.ended += 1;
  }
}

function handle({ start, body }: Message): string {
  const [method, path] = start.split(" ");
  if (method === "GET" && path?.startsWith("/hello/")) {
    const text = `hello ${path.slice("/hello/".length)}\n`;
    return formatMessage("HTTP/1.1 200 OK", { "Content-Type": "text/plain" }, text);
  }
  if (method === "POST" && path === "/echo") return formatMessage("HTTP/1.1 200 OK", {}, body);
  return formatMessage("HTTP/1.1 404 Not Found", {}, "");
}

export function httpServer(options: HttpServerOptions): ProgramFunction {
  const { served = newServed(), sndbuf = 0, workNs = 0, port } = options;
  return (sys) => {
    const reactor = new Reactor(sys, { eventNs: workNs });
    const buffer = sys.memory.alloc(BUFFER_BYTES);
    const acceptor = new Acceptor((own, fd) => {
      served.accepted += 1;
      new HttpConnection(reactor, own, buffer, options, served).open(own, fd);
    });
    const lfd = listenTcp(sys, "0.0.0.0", port, { flags: Sock.NONBLOCK });
    if (sndbuf > 0) sys.setsockopt(lfd, SOL_SOCKET, So.SNDBUF, sndbuf);
    reactor.add(sys, lfd, acceptor);
    return reactor.loop(sys);
  };
}
