/**
 * The virtual clock and its timers.
 *
 * Counterpart: `kernel/time/hrtimer.c`. Time stands still while anything can run; the scheduler then moves it to the next
 * expiry. A timer is never early. Timer slack (E-112, E-113) only makes real timers late, which the catalogue leaves
 * open (ND-22); the model expires them on the nanosecond.
 */
import { assert } from "../lib/assert.ts";
import type { KernelObserver } from "../observer.ts";

export abstract class Hrtimer {
  /** Absolute expiry in ns since boot; meaningful while `index` is not -1. */
  expiresNs = 0;
  /** Order of arming: ties expire in this order. */
  seq = 0;
  /** Place in the heap, -1 while not armed. */
  index = -1;

  /** `function` of the timer: runs at expiry, the timer is no longer armed. */
  abstract fire(): void;

  get armed(): boolean {
    return this.index !== -1;
  }

  /** A program set it: in a race it may run out before or after anything else. Those of protocols wait until nobody can run. */
  get ofProgram(): boolean {
    return false;
  }
}

export class Clock {
  /** ns since boot, an integer (exact to 2^53: 104 days). */
  nowNs: number;
  /** ns since the epoch at boot: CLOCK_REALTIME is `nowNs + bootEpochNs`. */
  readonly bootEpochNs: bigint;
  /** Told of each expiry; the kernel's own observer. */
  observer: KernelObserver | null = null;
  readonly #heap: Hrtimer[] = [];
  #seq = 0;

  constructor(nowNs: number, bootEpochNs: bigint) {
    this.nowNs = nowNs;
    this.bootEpochNs = bootEpochNs;
  }

  /** `hrtimer_start`, absolute. An expiry in the past fires when the clock is next looked at. */
  start(timer: Hrtimer, expiresNs: number): void {
    if (timer.index !== -1) this.cancel(timer);
    timer.expiresNs = expiresNs;
    timer.seq = this.#seq++;
    timer.index = this.#heap.length;
    this.#heap.push(timer);
    this.#up(timer);
    if (this.observer !== null) this.observer.armed(timer);
  }

  /** `hrtimer_cancel`. @returns whether it was armed. */
  cancel(timer: Hrtimer): boolean {
    const { index } = timer;
    if (index === -1) return false;
    assert(this.#heap[index] === timer, "hrtimer: an armed timer is not in its place");
    const last = this.#heap.pop() as Hrtimer;
    timer.index = -1;
    if (last !== timer) {
      last.index = index;
      this.#heap[index] = last;
      this.#up(last);
      this.#down(last);
    }
    return true;
  }

  /** Expiry of the next timer in ns, or -1 when none is armed. */
  nextExpiryNs(): number {
    return this.#heap[0]?.expiresNs ?? -1;
  }

  /** Whether the next timer to expire is one that a program set. */
  get nextIsOfProgram(): boolean {
    return this.#heap[0]?.ofProgram === true;
  }

  /** Moves the time on (never back) and fires, in order, every timer that is due. */
  advanceTo(nowNs: number): void {
    for (;;) {
      const timer = this.#heap[0];
      if (timer === undefined || timer.expiresNs > nowNs) break;
      if (timer.expiresNs > this.nowNs) this.nowNs = timer.expiresNs;
      this.cancel(timer);
      if (this.observer !== null) this.observer.expired(timer);
      timer.fire();
    }
    if (nowNs > this.nowNs) this.nowNs = nowNs;
  }

  #before(a: Hrtimer, b: Hrtimer): boolean {
    return a.expiresNs < b.expiresNs || (a.expiresNs === b.expiresNs && a.seq < b.seq);
  }

  #up(timer: Hrtimer): void {
    while (timer.index > 0) {
      const parentIndex = (timer.index - 1) >> 1;
      const parent = this.#heap[parentIndex] as Hrtimer;
      if (!this.#before(timer, parent)) return;
      this.#swap(timer, parent);
    }
  }

  #down(timer: Hrtimer): void {
    for (;;) {
      const leftIndex = 2 * timer.index + 1;
      const left = this.#heap[leftIndex];
      if (left === undefined) return;
      const right = this.#heap[leftIndex + 1];
      const child = right !== undefined && this.#before(right, left) ? right : left;
      if (!this.#before(child, timer)) return;
      this.#swap(child, timer);
    }
  }

  #swap(a: Hrtimer, b: Hrtimer): void {
    const { index } = a;
    a.index = b.index;
    b.index = index;
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [[...this.#heap].sort((a, b) => (this.#before(a, b) ? -1 : 1))];
  }
}
