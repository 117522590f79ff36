/**
 * sync.Mutex.
 *
 * Counterpart: `sync/mutex.go`, `runtime/proc.go` (`sync_runtime_canSpin`; ).
 */
import { GoFatal } from "../fatal.ts";
import { mayGoOn } from "../ops.ts";
import { type Go, type Op, SUSPENDED, Trap } from "../runtime2.ts";
import type { Sched } from "../sched.ts";
import { Sema, SemacquireOp, SemreleaseHandoffOp, semrelease } from "../sema.ts";

const LOCKED = 1;
const WOKEN = 2;
const STARVING = 4;
/** One waiter, in the state word. */
const WAITER = 8;
const STARVATION_NS = 1_000_000;
const ACTIVE_SPIN = 4;
/** Thirty pauses. */
const SPIN_NS = 120;

export class Mutex {
  readonly #sched: Sched;
  #state = 0;
  readonly #sema: Sema = new Sema();

  constructor(sched: Sched) {
    this.#sched = sched;
  }

  /** Whether somebody holds it. */
  get locked(): boolean {
    return (this.#state & LOCKED) !== 0;
  }

  get starving(): boolean {
    return (this.#state & STARVING) !== 0;
  }

  /** `TryLock`. */
  tryLock(): boolean {
    if ((this.#state & (LOCKED | STARVING)) !== 0) return false;
    this.#state |= LOCKED;
    return true;
  }

  /** `Lock`. */
  *lock(): Go<void> {
    if (this.#state === 0) {
      this.#state = LOCKED;
      return;
    }
    yield* this.#lockSlow();
  }

  *#lockSlow(): Go<void> {
    const sched = this.#sched;
    let waitStart = 0;
    let starving = false;
    let awoke = false;
    let iter = 0;
    for (;;) {
      const old = this.#state;
      if ((old & (LOCKED | STARVING)) === LOCKED && canSpin(sched, iter)) {
        if (!awoke && (old & WOKEN) === 0 && old >= WAITER) {
          this.#state |= WOKEN;
          awoke = true;
        }
        yield* new SpinOp(sched);
        iter += 1;
        continue;
      }
      let state = old;
      if ((old & STARVING) === 0) state |= LOCKED;
      if ((old & (LOCKED | STARVING)) !== 0) state += WAITER;
      if (starving && (old & LOCKED) !== 0) state |= STARVING;
      if (awoke) state &= ~WOKEN;
      this.#state = state;
      if ((old & (LOCKED | STARVING)) === 0) return;
      const queueLifo = waitStart !== 0;
      if (waitStart === 0) waitStart = sched.nanotime();
      yield* new SemacquireOp(sched, this.#sema, queueLifo);
      starving = starving || sched.nanotime() - waitStart > STARVATION_NS;
      if ((this.#state & STARVING) !== 0) {
        // Ownership was handed over: the state does not say so yet.
        this.#state += LOCKED - WAITER;
        if (!starving || this.#state >> 3 === 0) this.#state &= ~STARVING;
        return;
      }
      awoke = true;
      iter = 0;
    }
  }

  /** `Unlock`. @throws GoFatal when it is not locked. */
  *unlock(): Go<void> {
    if ((this.#state & LOCKED) === 0) throw new GoFatal("sync: unlock of unlocked mutex");
    this.#state &= ~LOCKED;
    if (this.#state === 0) return;
    if ((this.#state & STARVING) !== 0) {
      yield* new SemreleaseHandoffOp(this.#sched, this.#sema);
      return;
    }
    const old = this.#state;
    if (old >> 3 === 0 || (old & (LOCKED | WOKEN | STARVING)) !== 0) return;
    this.#state = (old - WAITER) | WOKEN;
    semrelease(this.#sched, this.#sema);
  }
}

/** `sync_runtime_canSpin`. */
function canSpin(sched: Sched, iter: number): boolean {
  if (iter >= ACTIVE_SPIN || sched.gomaxprocs <= sched.npidle + sched.nmspinning + 1) return false;
  return sched.m.p?.runqempty === true;
}

/** `sync_runtime_doSpin`: others run meanwhile. */
class SpinOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #sched: Sched;
  #spun = false;

  constructor(sched: Sched) {
    this.#sched = sched;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    if (!mayGoOn(this.#sched)) return SUSPENDED;
    if (this.#spun) return { done: true, value: undefined };
    this.#spun = true;
    this.#sched.charge(SPIN_NS);
    this.#sched.m.trap = Trap.BUSY;
    return SUSPENDED;
  }
}
