/**
 * Finalizers: what is done for a value that the collector has found dropped, by a goroutine of the runtime.
 *
 * Counterpart: `runtime/mfinal.go` (`queuefinalizer`, `wakefing`, `runfinq`).
 */
import { park, SuspendOnce } from "./ops.ts";
import { goready } from "./proc-ready.ts";
import type { G, Go } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

export class Finalizers {
  readonly #queue: (() => Go<void>)[] = [];
  #waiting: G | null = null;

  queue(finalizer: () => Go<void>): void {
    this.#queue.push(finalizer);
  }

  /** There is something to do, and the goroutine waits for it: whoever looks for work next wakes it. */
  get due(): boolean {
    return this.#queue.length > 0 && this.#waiting !== null;
  }

  /** `wakefing`. */
  wake(sched: Sched): void {
    const g = this.#waiting as G;
    this.#waiting = null;
    goready(sched, g);
  }

  /** `runfinq`. */
  *run(sched: Sched): Go<void> {
    for (;;) {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) yield* next();
      yield* new SuspendOnce(() => {
        this.#waiting = sched.getg();
        park(sched, "finalizer wait", null, null);
        return true;
      });
    }
  }
}
