/**
 * sync.WaitGroup, sync.Once and sync.Cond.
 *
 * Counterpart: `sync/waitgroup.go`, `sync/once.go`, `sync/cond.go`, `runtime/sema.go` (`notifyList`; ).
 */
import { GoPanic } from "../fatal.ts";
import { park } from "../ops.ts";
import { goready } from "../proc-ready.ts";
import { type G, type Go, Gstatus, type Op, SUSPENDED } from "../runtime2.ts";
import type { Sched } from "../sched.ts";
import { Sema, SemacquireOp, semrelease } from "../sema.ts";
import { Mutex } from "./mutex.ts";

export class WaitGroup {
  readonly #sched: Sched;
  #count = 0;
  #waiters = 0;
  readonly #sema: Sema = new Sema();

  constructor(sched: Sched) {
    this.#sched = sched;
  }

  /** @throws GoPanic when the count goes below zero. */
  add(delta: number): void {
    this.#count += delta;
    if (this.#count < 0) throw new GoPanic("sync: negative WaitGroup counter");
    if (this.#count > 0) return;
    for (; this.#waiters > 0; this.#waiters -= 1) semrelease(this.#sched, this.#sema);
  }

  done(): void {
    this.add(-1);
  }

  *wait(): Go<void> {
    if (this.#count === 0) return;
    this.#waiters += 1;
    yield* new SemacquireOp(this.#sched, this.#sema);
  }
}

export class Once {
  #done = false;
  readonly #mutex: Mutex;

  constructor(sched: Sched) {
    this.#mutex = new Mutex(sched);
  }

  *do(f: () => Go<void>): Go<void> {
    if (this.#done) return;
    yield* this.#mutex.lock();
    try {
      if (!this.#done) {
        try {
          yield* f();
        } finally {
          this.#done = true;
        }
      }
    } finally {
      yield* this.#mutex.unlock();
    }
  }
}

/** What a Cond is used with. */
export interface Locker {
  lock(): Go<void>;
  unlock(): Go<void>;
}

export class Cond {
  readonly #sched: Sched;
  readonly l: Locker;
  readonly #waiters: G[] = [];

  constructor(sched: Sched, locker: Locker) {
    this.#sched = sched;
    this.l = locker;
  }

  *wait(): Go<void> {
    this.#waiters.push(this.#sched.getg());
    yield* this.l.unlock();
    yield* new NotifyWaitOp(this.#sched, this.#waiters);
    yield* this.l.lock();
  }

  /** Readies the one that has waited longest. */
  signal(): void {
    const g = this.#waiters.shift();
    if (g !== undefined) notify(this.#sched, g);
  }

  /** Readies all, in the order of their waits. */
  broadcast(): void {
    for (const g of this.#waiters.splice(0)) notify(this.#sched, g);
  }
}

/** Readies a waiter that is parked; one that is still on its way will not park. */
function notify(sched: Sched, g: G): void {
  if (g.status === Gstatus.WAITING && g.waitreason === NotifyWaitOp.reason) goready(sched, g);
}

/** `notifyListWait`: parks unless the notification has come since the ticket was taken. */
class NotifyWaitOp implements Op<void>, Iterator<undefined, void, undefined> {
  static readonly reason = "sync.Cond.Wait";
  readonly #sched: Sched;
  readonly #waiters: readonly G[];
  #parked = false;

  constructor(sched: Sched, waiters: readonly G[]) {
    this.#sched = sched;
    this.#waiters = waiters;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    if (this.#parked || !this.#waiters.includes(this.#sched.getg())) return { done: true, value: undefined };
    this.#parked = true;
    park(this.#sched, NotifyWaitOp.reason, null, null);
    return SUSPENDED;
  }
}
