/** The server as one thread on an edge-triggered reactor. */
import { Acceptor, listenTcp, type Program, Reactor, Sock, type Syscalls, type UserBuffer } from "epollsim/runtime";
import { IdleEcho, type IdleLimit } from "../lib/echo-connection.ts";
import type { ServerFigures, ServerOptions } from "./variants.ts";

/** Counts what it sends back. */
class CountedEcho extends IdleEcho {
  readonly #figures: ServerFigures;

  constructor(reactor: Reactor, buffer: UserBuffer, limit: IdleLimit, figures: ServerFigures) {
    super(reactor, buffer, limit);
    this.#figures = figures;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    this.#figures.bytes += count;
    super.received(sys, buf, count);
  }
}

export function reactorServer(sys: Syscalls, figures: ServerFigures, { port, idleMs }: ServerOptions): Program {
  const reactor = new Reactor(sys);
  const buffer = sys.memory.alloc(4096);
  const limit: IdleLimit = {
    idleMs,
    sys,
    idled: () => {
      figures.idleClosed += 1;
    },
  };
  const acceptor = new Acceptor((own, fd) => {
    new CountedEcho(reactor, buffer, limit, figures).open(own, fd);
    figures.accepted += 1;
    figures.idleTimers = reactor.timers.size;
  });
  reactor.add(sys, listenTcp(sys, "0.0.0.0", port, { flags: Sock.NONBLOCK }), acceptor);
  return reactor.loop(sys);
}
