/**
 * Starting, moving and stopping timers.
 *
 * Counterpart: `runtime/time.go` (`addtimer`, `modtimer`, `resettimer`), `runtime/proc.go` (`wakeNetPoller`).
 */
import type { Poller } from "./netpoll-epoll.ts";
import { wakep } from "./proc-ready.ts";
import type { P } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { deltimer, type GoTimer, insertTimer, isPending, Modified, marktimer } from "./time-heap.ts";

export class Timers {
  readonly #sched: Sched;
  readonly #poller: Poller;

  constructor(sched: Sched, poller: Poller) {
    this.#sched = sched;
    this.#poller = poller;
  }

  /** `addtimer`: into the heap of the current P. The first timer makes the poller. */
  add(t: GoTimer): void {
    this.#poller.init();
    const earliest = insertTimer(this.#sched, this.#sched.m.p as P, t);
    if (earliest || !this.#sched.version.wakeForEarliestOnly) this.wakeNetPoller(t.when);
  }

  /** `modtimer`. @returns whether it was still to fire. */
  modify(t: GoTimer, when: number): boolean {
    const pending = isPending(t);
    switch (marktimer(t, when)) {
      case Modified.ADD:
        this.add(t);
        break;
      case Modified.EARLIER:
        this.wakeNetPoller(when);
        break;
      case Modified.LATER:
        break;
    }
    return pending;
  }

  /** `deltimer`. @returns whether it was still to fire. */
  stop(t: GoTimer): boolean {
    return deltimer(t);
  }

  /** `wakeNetPoller`: the thread in the poller, or some thread that goes there. */
  wakeNetPoller(when: number): void {
    const sched = this.#sched;
    if (sched.lastpoll !== 0) {
      wakep(sched);
      return;
    }
    if (sched.pollUntil === 0 || sched.pollUntil > when) this.#poller.interrupt();
  }
}
