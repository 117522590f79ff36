/**
 * select.
 *
 * Counterpart: `runtime/select.go` (`selectgo`; ).
 */
import type { Chan, Received, SelectState } from "./chan.ts";
import { Sudog, type WaitQ } from "./chan.ts";
import { GoPanic } from "./fatal.ts";
import { mayGoOn, park } from "./ops.ts";
import { type G, type Op, SUSPENDED } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** A case: what it can do at once, and how it waits. `Chan.onRecv` and `Chan.onSend` make them. */
export interface SelectCase {
  /** @returns whether it happened. */
  attempt(): boolean;
  enqueue(g: G, select: SelectState, index: number): void;
  dequeue(): void;
  /** It was the one that woke the select. */
  finish(): void;
}

/** `case v, ok := <-ch`. `received` holds the value once the select has chosen it. A null channel is never ready. */
export class RecvCase<T> implements SelectCase {
  readonly #chan: Chan<T> | null;
  #sudog: Sudog<T> | null = null;
  received: Received<T> = { value: undefined, ok: false };

  constructor(chan: Chan<T> | null) {
    this.#chan = chan;
  }

  attempt(): boolean {
    const received = this.#chan?.tryRecv() ?? null;
    if (received === null) return false;
    this.received = received;
    return true;
  }

  enqueue(g: G, select: SelectState, index: number): void {
    this.#sudog = enqueue(this.#chan?.recvq, g, undefined, select, index);
  }

  dequeue(): void {
    if (this.#sudog !== null) this.#chan?.recvq.remove(this.#sudog);
  }

  finish(): void {
    const s = this.#sudog as Sudog<T>;
    this.received = { value: s.elem, ok: s.success };
  }
}

/** `case ch <- value`. */
export class SendCase<T> implements SelectCase {
  readonly #chan: Chan<T> | null;
  readonly #value: T;
  #sudog: Sudog<T> | null = null;

  constructor(chan: Chan<T> | null, value: T) {
    this.#chan = chan;
    this.#value = value;
  }

  attempt(): boolean {
    return this.#chan?.trySend(this.#value) ?? false;
  }

  enqueue(g: G, select: SelectState, index: number): void {
    this.#sudog = enqueue(this.#chan?.sendq, g, this.#value, select, index);
  }

  dequeue(): void {
    if (this.#sudog !== null) this.#chan?.sendq.remove(this.#sudog);
  }

  finish(): void {
    if (this.#sudog?.success !== true) throw new GoPanic("send on closed channel");
  }
}

function enqueue<T>(
  queue: WaitQ<T> | undefined,
  g: G,
  elem: T | undefined,
  select: SelectState,
  index: number,
): Sudog<T> | null {
  if (queue === undefined) return null;
  const s = new Sudog(g, elem, select, index);
  queue.enqueue(s);
  return s;
}

/** `select`. The result is the index of the case that happened, -1 for the default. */
export class SelectOp implements Op<number>, Iterator<undefined, number, undefined> {
  readonly #sched: Sched;
  readonly #cases: readonly SelectCase[];
  readonly #hasDefault: boolean;
  #waiting = false;

  constructor(sched: Sched, cases: readonly SelectCase[], hasDefault: boolean) {
    this.#sched = sched;
    this.#cases = cases;
    this.#hasDefault = hasDefault;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, number> {
    const sched = this.#sched;
    if (this.#waiting) return { done: true, value: this.#chosen() };
    if (!mayGoOn(sched)) return SUSPENDED;
    for (const index of this.#pollOrder()) {
      if ((this.#cases[index] as SelectCase).attempt()) return { done: true, value: index };
    }
    if (this.#hasDefault) return { done: true, value: -1 };
    const g = sched.getg();
    g.param = null;
    const select: SelectState = { done: false };
    for (const [index, c] of this.#cases.entries()) c.enqueue(g, select, index);
    this.#waiting = true;
    park(sched, this.#cases.length === 0 ? "select (no cases)" : "select", null, null);
    return SUSPENDED;
  }

  /** A random permutation, as `selectgo` makes it. */
  #pollOrder(): number[] {
    const order: number[] = [];
    for (let i = 0; i < this.#cases.length; i += 1) {
      const j = i === 0 ? 0 : this.#sched.host.choose("go.select", i + 1);
      order.push(order[j] as number);
      order[j] = i;
    }
    return order;
  }

  #chosen(): number {
    const s = this.#sched.getg().param as Sudog<unknown>;
    this.#sched.getg().param = null;
    for (const [index, c] of this.#cases.entries()) if (index !== s.index) c.dequeue();
    (this.#cases[s.index] as SelectCase).finish();
    return s.index;
  }
}
