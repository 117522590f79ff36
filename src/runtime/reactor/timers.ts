/**
 * Time-outs of a program: a heap of deadlines in whole milliseconds, as epoll_wait counts them.
 *
 * A timer is armed where it stands in memory: who has a million connections makes each one a `Timer`.
 */

/** Something that happens once, at `deadlineMs`. */
export abstract class Timer {
  /** By the clock of the `Timers` that it is on. */
  deadlineMs = 0;
  /** Place in the heap, -1 while not armed. */
  timerIndex = -1;

  /** The time has come; the timer is no longer armed. */
  abstract expired(): void;
}

export class Timers {
  readonly #heap: Timer[] = [];

  /** How many are armed. */
  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline; -1 when none is armed. */
  get nextMs(): number {
    return this.#heap[0]?.deadlineMs ?? -1;
  }

  /** Arms a timer, or moves one that is armed. */
  start(timer: Timer, deadlineMs: number): void {
    const before = timer.deadlineMs;
    timer.deadlineMs = deadlineMs;
    if (timer.timerIndex === -1) {
      timer.timerIndex = this.#heap.length;
      this.#heap.push(timer);
      this.#up(timer);
    } else if (deadlineMs < before) this.#up(timer);
    else this.#down(timer);
  }

  cancel(timer: Timer): void {
    const index = timer.timerIndex;
    if (index === -1) return;
    timer.timerIndex = -1;
    const last = this.#heap.pop() as Timer;
    if (last === timer) return;
    this.#put(last, index);
    this.#up(last);
    this.#down(last);
  }

  /** Lets everything happen that is due. */
  expire(nowMs: number): void {
    for (let timer = this.#heap[0]; timer !== undefined && timer.deadlineMs <= nowMs; timer = this.#heap[0]) {
      this.cancel(timer);
      timer.expired();
    }
  }

  #put(timer: Timer, index: number): void {
    this.#heap[index] = timer;
    timer.timerIndex = index;
  }

  #up(timer: Timer): void {
    let index = timer.timerIndex;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = this.#heap[above] as Timer;
      if (parent.deadlineMs <= timer.deadlineMs) break;
      this.#put(parent, index);
      index = above;
    }
    this.#put(timer, index);
  }

  #down(timer: Timer): void {
    const heap = this.#heap;
    let index = timer.timerIndex;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && (heap[below + 1] as Timer).deadlineMs < (heap[below] as Timer).deadlineMs)
        below += 1;
      const child = heap[below] as Timer;
      if (child.deadlineMs >= timer.deadlineMs) break;
      this.#put(child, index);
      index = below;
    }
    this.#put(timer, index);
  }
}
