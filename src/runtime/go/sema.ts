/**
 * Semaphores: what the locks of sync and the descriptors' locks wait on.
 *
 * Counterpart: `runtime/sema.go`. Each semaphore has its own queue here; the table that real Go keeps them in shows nowhere.
 */
import { mayGoOn, park } from "./ops.ts";
import { goready } from "./proc-ready.ts";
import { type G, type Op, SUSPENDED, Trap } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

class Waiter {
  readonly g: G;
  next: Waiter | null = null;
  /** The semaphore was handed over: it need not be taken again. */
  ticket = false;

  constructor(g: G) {
    this.g = g;
  }
}

export class Sema {
  value = 0;
  first: Waiter | null = null;
  last: Waiter | null = null;
  nwait = 0;

  /** `cansemacquire`. */
  tryAcquire(): boolean {
    if (this.value === 0) return false;
    this.value -= 1;
    return true;
  }

  queue(waiter: Waiter, lifo: boolean): void {
    this.nwait += 1;
    if (lifo) {
      waiter.next = this.first;
      this.first = waiter;
      this.last ??= waiter;
      return;
    }
    if (this.last === null) this.first = waiter;
    else this.last.next = waiter;
    this.last = waiter;
  }

  dequeue(): Waiter | null {
    const waiter = this.first;
    if (waiter === null) return null;
    this.first = waiter.next;
    if (this.first === null) this.last = null;
    this.nwait -= 1;
    return waiter;
  }
}

/** `semacquire1`. @param lifo - to the front of the queue: it has waited before. */
export class SemacquireOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #sched: Sched;
  readonly #sema: Sema;
  readonly #lifo: boolean;
  readonly #reason: string;
  #waiter: Waiter | null = null;

  constructor(sched: Sched, sema: Sema, lifo = false, reason = "semacquire") {
    this.#sched = sched;
    this.#sema = sema;
    this.#lifo = lifo;
    this.#reason = reason;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    const sched = this.#sched;
    if (this.#waiter === null && !mayGoOn(sched)) return SUSPENDED;
    if (this.#waiter?.ticket === true || this.#sema.tryAcquire()) return { done: true, value: undefined };
    this.#waiter = new Waiter(sched.getg());
    this.#sema.queue(this.#waiter, this.#lifo);
    park(sched, this.#reason, null, null);
    return SUSPENDED;
  }
}

/** `semrelease1` without a hand-off: readies the first waiter, who has to take it. */
export function semrelease(sched: Sched, sema: Sema): void {
  sema.value += 1;
  const waiter = sema.dequeue();
  if (waiter !== null) goready(sched, waiter.g);
}

/** `semrelease1(handoff)`: the first waiter gets it, and runs at once. */
export class SemreleaseHandoffOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #sched: Sched;
  readonly #sema: Sema;
  #yielded = false;

  constructor(sched: Sched, sema: Sema) {
    this.#sched = sched;
    this.#sema = sema;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    if (this.#yielded) return { done: true, value: undefined };
    const sema = this.#sema;
    sema.value += 1;
    const waiter = sema.dequeue();
    if (waiter === null) return { done: true, value: undefined };
    waiter.ticket = sema.tryAcquire();
    goready(this.#sched, waiter.g);
    if (!waiter.ticket) return { done: true, value: undefined };
    this.#yielded = true;
    this.#sched.m.trap = Trap.YIELD;
    return SUSPENDED;
  }
}
