/**
 * What tracing does to a program's time: strace, as the programs are recorded with.
 *
 * Counterpart: none in Go; strace 6.1 (`next_event`, `printfd`, `get_sockaddr_by_inode`).
 * Every call has two stops, before and after what the kernel does. One tracer serves the stops of all threads, one after the other, in
 * the order in which they come. With -yy it says of each socket where it leads, which the kernel has to be asked for: at length, while
 * everybody who stops waits. What it has found it keeps; a socket that is neither connected nor listening is not found, and is asked
 * for again each time that it is named.
 */
import type { Host } from "./sched.ts";

/** All in ns. */
export interface TracerCosts {
  /** From a thread's stop until an idle tracer hears of it. */
  readonly notice: number;
  /** What the tracer does about a stop, up to the moment when the thread goes on. */
  readonly handle: number;
  /** More than that for a stop of another thread than the last: its line is cut in two. */
  readonly change: number;
  /** Asking the kernel where a socket leads. */
  readonly lookup: number;
  /** One stop in so many, not in ns: the thread finds its CPU taken and goes on late, if the run has a seed. At least 2. */
  readonly lateOneIn: number;
  /** By so much at most. */
  readonly late: number;
}

/** Steps in which a thread is late. */
const LATE_STEPS = 16;

export class Tracer {
  readonly #costs: TracerCosts;
  readonly #host: Host;
  /** Until when the tracer has its hands full. */
  #busyUntil = 0;
  /** Whose stop was the last. */
  #last = -1;
  /** Sockets whose ends it does not know yet, and whether it would find them now. */
  readonly #unknown: Map<number, boolean> = new Map();

  constructor(costs: TracerCosts, host: Host) {
    this.#costs = costs;
    this.#host = host;
  }

  /**
   * A thread is about to make a call.
   *
   * @param id - of the M.
   * @param fd - the descriptor that the call is about; negative for none.
   * @returns when the thread goes on.
   */
  enter(id: number, fd: number, nowNs: number): number {
    const found = this.#unknown.get(fd);
    if (found === true) this.#unknown.delete(fd);
    return this.#serve(id, nowNs, found === undefined ? 0 : this.#costs.lookup);
  }

  /** The kernel is done with the call. @returns when the thread goes on. */
  exit(id: number, name: string, fd: number, result: number, nowNs: number): number {
    const made = result >= 0 && (name === "socket" || name === "accept4");
    if (result >= 0 && name === "socket") this.#unknown.set(result, false);
    else if (name === "close") this.#unknown.delete(fd);
    else if ((name === "connect" || name === "bind") && this.#unknown.has(fd)) this.#unknown.set(fd, true);
    return this.#serve(id, nowNs, made ? this.#costs.lookup : 0);
  }

  #serve(id: number, nowNs: number, lookup: number): number {
    const { notice, handle, change } = this.#costs;
    const line = id === this.#last ? handle : handle + change;
    this.#last = id;
    this.#busyUntil = Math.max(nowNs + notice, this.#busyUntil) + line + lookup;
    return this.#busyUntil + this.#late();
  }

  #late(): number {
    const { lateOneIn, late } = this.#costs;
    if (this.#host.choose("go.tracer.late", lateOneIn) < lateOneIn - 1) return 0;
    return Math.ceil((late * (1 + this.#host.choose("go.tracer.by", LATE_STEPS))) / LATE_STEPS);
  }
}
