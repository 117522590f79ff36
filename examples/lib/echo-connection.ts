/** The server side of the echo protocol, on a reactor. */
import { Connection, type Reactor, type Syscalls, type UserBuffer } from "epollsim/runtime";

/** Sends back what comes. */
export class Echo extends Connection {
  protected override readonly readBuffer: UserBuffer;

  /** @param buffer - serves all connections of a thread. */
  constructor(reactor: Reactor, buffer: UserBuffer) {
    super(reactor);
    this.readBuffer = buffer;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    this.send(sys, buf, count);
  }
}

/** How long connections may be quiet; one object for all of a server. */
export interface IdleLimit {
  readonly idleMs: number;
  readonly sys: Syscalls;
  /** Told of each connection that is closed for it. */
  readonly idled: () => void;
}

/** As `Echo`, and closed when nothing has come or gone for so long. */
export class IdleEcho extends Echo {
  readonly #limit: IdleLimit;
  /** It has been quiet for too long. */
  protected isIdle = false;

  constructor(reactor: Reactor, buffer: UserBuffer, limit: IdleLimit) {
    super(reactor, buffer);
    this.#limit = limit;
  }

  override open(sys: Syscalls, fd: number): void {
    super.open(sys, fd);
    this.reactor.timers.start(this, this.activeMs + this.#limit.idleMs);
  }

  /** Bytes only note their time: when the timer comes, who has been quiet for long enough is closed, others wait on. */
  override expired(): void {
    const { idleMs, sys } = this.#limit;
    const dueMs = this.activeMs + idleMs;
    if (dueMs > this.reactor.nowMs(sys)) this.reactor.timers.start(this, dueMs);
    else {
      this.isIdle = true;
      this.#limit.idled();
      this.close(sys);
    }
  }
}
