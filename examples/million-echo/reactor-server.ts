/** The server as one thread on an edge-triggered reactor. */
import {
  Acceptor,
  Connection,
  listenTcp,
  type Program,
  Reactor,
  Sock,
  type Syscalls,
  type UserBuffer,
} from "epollsim/runtime";
import type { ServerFigures, ServerOptions } from "./variants.ts";

/** What all connections share. */
interface Shared {
  readonly figures: ServerFigures;
  readonly buffer: UserBuffer;
  readonly idleMs: number;
  readonly sys: Syscalls;
}

class EchoConnection extends Connection {
  readonly #shared: Shared;

  constructor(reactor: Reactor, shared: Shared) {
    super(reactor);
    this.#shared = shared;
  }

  protected override get readBuffer(): UserBuffer {
    return this.#shared.buffer;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    this.#shared.figures.bytes += count;
    this.send(sys, buf, count);
  }

  /** Bytes only note their time; whoever has been quiet for long enough when the timer comes is closed, others wait on. */
  override expired(): void {
    const { idleMs, sys, figures } = this.#shared;
    const dueMs = this.activeMs + idleMs;
    if (dueMs > this.reactor.nowMs(sys)) this.reactor.timers.start(this, dueMs);
    else {
      figures.idleClosed += 1;
      this.close(sys);
    }
  }
}

export function reactorServer(sys: Syscalls, figures: ServerFigures, { port, idleMs }: ServerOptions): Program {
  const reactor = new Reactor(sys);
  const shared: Shared = { figures, buffer: sys.memory.alloc(4096), idleMs, sys };
  const acceptor = new Acceptor((own, fd) => {
    const connection = new EchoConnection(reactor, shared);
    connection.open(own, fd);
    reactor.timers.start(connection, connection.activeMs + idleMs);
    figures.accepted += 1;
    figures.idleTimers = reactor.timers.size;
  });
  reactor.add(sys, listenTcp(sys, "0.0.0.0", port, { flags: Sock.NONBLOCK }), acceptor);
  return reactor.loop(sys);
}
