/**
 * Channels.
 *
 * Counterpart: `runtime/chan.go`.
 */
import { GoPanic } from "./fatal.ts";
import { mayGoOn, park } from "./ops.ts";
import { goready } from "./proc-ready.ts";
import { type G, type Op, SUSPENDED } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** A goroutine that waits in a channel's queue. */
export class Sudog<T> {
  readonly g: G;
  /** The value to send, or the one received. */
  elem: T | undefined;
  /** False when a close has woken it. */
  success = false;
  next: Sudog<T> | null = null;
  prev: Sudog<T> | null = null;
  queue: WaitQ<T> | null = null;
  /** The select that this is a case of; its index there. */
  readonly select: SelectState | null;
  readonly index: number;

  constructor(g: G, elem: T | undefined, select: SelectState | null, index: number) {
    this.g = g;
    this.elem = elem;
    this.select = select;
    this.index = index;
  }
}

/** `g.selectDone`: the first waker wins. */
export interface SelectState {
  done: boolean;
}

/** `waitq`: in the order of arrival. */
export class WaitQ<T> {
  first: Sudog<T> | null = null;
  last: Sudog<T> | null = null;

  enqueue(s: Sudog<T>): void {
    s.queue = this;
    s.next = null;
    s.prev = this.last;
    if (this.last === null) this.first = s;
    else this.last.next = s;
    this.last = s;
  }

  remove(s: Sudog<T>): void {
    if (s.queue !== this) return;
    if (s.prev === null) this.first = s.next;
    else s.prev.next = s.next;
    if (s.next === null) this.last = s.prev;
    else s.next.prev = s.prev;
    s.queue = null;
    s.next = null;
    s.prev = null;
  }

  /** Skips who another case of its select has woken. */
  dequeue(): Sudog<T> | null {
    for (;;) {
      const s = this.first;
      if (s === null) return null;
      this.remove(s);
      if (s.select === null) return s;
      if (s.select.done) continue;
      s.select.done = true;
      return s;
    }
  }
}

/** What a receive gives: `ok` is false, and `value` undefined, on a closed and empty channel. */
export interface Received<T> {
  readonly value: T | undefined;
  readonly ok: boolean;
}

export class Chan<T> {
  readonly #sched: Sched;
  readonly cap: number;
  readonly #buf: T[] = [];
  /** Place of the oldest value in `#buf`, a ring once it has been filled. */
  #recvx = 0;
  #count = 0;
  closed = false;
  readonly recvq: WaitQ<T> = new WaitQ<T>();
  readonly sendq: WaitQ<T> = new WaitQ<T>();

  constructor(sched: Sched, cap: number) {
    this.#sched = sched;
    this.cap = cap;
  }

  get len(): number {
    return this.#count;
  }

  #push(value: T): void {
    this.#buf[(this.#recvx + this.#count) % this.cap] = value;
    this.#count += 1;
  }

  #shift(): T {
    const value = this.#buf[this.#recvx] as T;
    this.#recvx = (this.#recvx + 1) % this.cap;
    this.#count -= 1;
    return value;
  }

  /** Throws away what is buffered: `timerchandrain`. */
  drain(): void {
    this.#count = 0;
  }

  /** `chansend` without waiting. @returns whether the value was taken. @throws GoPanic on a closed channel. */
  trySend(value: T): boolean {
    if (this.closed) throw new GoPanic("send on closed channel");
    const s = this.recvq.dequeue();
    if (s !== null) {
      this.#wake(s, value, true);
      return true;
    }
    if (this.#count >= this.cap) return false;
    this.#push(value);
    return true;
  }

  #wake(s: Sudog<T>, elem: T | undefined, success: boolean): void {
    s.elem = elem;
    s.success = success;
    s.g.param = s;
    goready(this.#sched, s.g);
  }

  /** `chanrecv` without waiting. @returns null when there is nothing. */
  tryRecv(): Received<T> | null {
    if (this.closed && this.#count === 0) return CLOSED;
    const s = this.sendq.dequeue();
    if (s === null) return this.#count > 0 ? { value: this.#shift(), ok: true } : null;
    let value = s.elem as T;
    if (this.cap > 0) {
      // The buffer is full: its head goes to the receiver, the sender's value to its tail.
      const head = this.#shift();
      this.#push(value);
      value = head;
    }
    this.#wake(s, undefined, true);
    return { value, ok: true };
  }

  /** `ch <- value`. */
  send(value: T): Op<void> {
    return new SendOp(this.#sched, this, value);
  }

  /** `<-ch`; undefined when it is closed. */
  recv(): Op<T | undefined> {
    return new RecvOp(this.#sched, this);
  }

  /** `v, ok := <-ch`. */
  recvOk(): Op<Received<T>> {
    return new RecvOkOp(this.#sched, this);
  }

  /**
   * `close(ch)`: all receivers, then all senders; they are stacked up first, so the one that waited last is readied first.
   *
   * @throws GoPanic on a closed channel.
   */
  close(): void {
    if (this.closed) throw new GoPanic("close of closed channel");
    this.closed = true;
    const stack: Sudog<T>[] = [];
    for (let s = this.recvq.dequeue(); s !== null; s = this.recvq.dequeue()) stack.push(s);
    for (let s = this.sendq.dequeue(); s !== null; s = this.sendq.dequeue()) stack.push(s);
    for (let s = stack.pop(); s !== undefined; s = stack.pop()) this.#wake(s, undefined, false);
  }
}

const CLOSED: Received<never> = { value: undefined, ok: false };

abstract class ChanOp<T, R> implements Op<R>, Iterator<undefined, R, undefined> {
  protected readonly sched: Sched;
  protected readonly chan: Chan<T>;
  protected waiting: Sudog<T> | null = null;

  constructor(sched: Sched, chan: Chan<T>) {
    this.sched = sched;
    this.chan = chan;
  }

  [Symbol.iterator](): this {
    return this;
  }

  abstract next(): IteratorResult<undefined, R>;

  protected wait(queue: WaitQ<T>, elem: T | undefined, reason: string): IteratorYieldResult<undefined> {
    const s = new Sudog<T>(this.sched.getg(), elem, null, 0);
    queue.enqueue(s);
    this.waiting = s;
    park(this.sched, reason, null, null);
    return SUSPENDED;
  }
}

class SendOp<T> extends ChanOp<T, void> {
  readonly #value: T;

  constructor(sched: Sched, chan: Chan<T>, value: T) {
    super(sched, chan);
    this.#value = value;
  }

  override next(): IteratorResult<undefined, void> {
    if (this.waiting !== null) {
      if (!this.waiting.success) throw new GoPanic("send on closed channel");
      return { done: true, value: undefined };
    }
    if (!mayGoOn(this.sched)) return SUSPENDED;
    if (this.chan.trySend(this.#value)) return { done: true, value: undefined };
    return this.wait(this.chan.sendq, this.#value, "chan send");
  }
}

class RecvOp<T> extends ChanOp<T, T | undefined> {
  override next(): IteratorResult<undefined, T | undefined> {
    if (this.waiting !== null) return { done: true, value: this.waiting.elem };
    if (!mayGoOn(this.sched)) return SUSPENDED;
    const received = this.chan.tryRecv();
    return received === null
      ? this.wait(this.chan.recvq, undefined, "chan receive")
      : { done: true, value: received.value };
  }
}

class RecvOkOp<T> extends ChanOp<T, Received<T>> {
  override next(): IteratorResult<undefined, Received<T>> {
    const { waiting } = this;
    if (waiting !== null) return { done: true, value: waiting.success ? { value: waiting.elem, ok: true } : CLOSED };
    if (!mayGoOn(this.sched)) return SUSPENDED;
    const received = this.chan.tryRecv();
    return received === null ? this.wait(this.chan.recvq, undefined, "chan receive") : { done: true, value: received };
  }
}
