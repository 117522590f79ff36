/**
 * Wait queues.
 *
 * Counterpart: `kernel/sched/wait.c`, `include/linux/wait.h`.
 * Order matters and is the kernel's: plain entries go to the head, exclusive ones to the tail, except that `epoll_wait`
 * puts its exclusive entry at the head too, so that the newest sleeper is woken first.
 */
import { List, ListNode } from "../lib/list.ts";

/**
 * `struct wait_queue_entry` with its wake function. There are four kinds: a sleeping task, a task in `epoll_wait`, a
 * poll(2) table entry and epoll's hook on a watched file; the call in `wakeUp` stays polymorphic, not megamorphic.
 */
export abstract class WaitQueueEntry extends ListNode<WaitQueueEntry> {
  /** `WQ_FLAG_EXCLUSIVE`: counts against the number of exclusive entries to wake. */
  exclusive: boolean;

  constructor() {
    super(null);
    this.exclusive = false;
  }

  /** The link, which is the entry itself. */
  get entry(): ListNode<WaitQueueEntry> {
    return this;
  }

  /**
   * `wait_queue_func_t`. Runs in the waker's time.
   *
   * @param key - poll mask that changed; 0 when the waker does not say.
   * @returns whether the entry accepted the wake; only then an exclusive entry is counted.
   */
  abstract wake(key: number): boolean;
}

export class WaitQueueHead extends List<WaitQueueEntry> {
  /** The list of entries, which is the queue itself. */
  get head(): List<WaitQueueEntry> {
    return this;
  }

  /** `waitqueue_active`. */
  get active(): boolean {
    return this.first !== null;
  }

  /** `add_wait_queue`: at the head. */
  add(entry: WaitQueueEntry): void {
    entry.exclusive = false;
    this.addHead(entry);
  }

  /** `add_wait_queue_exclusive`: at the tail. */
  addExclusive(entry: WaitQueueEntry): void {
    entry.exclusive = true;
    super.addTail(entry);
  }

  /** `__add_wait_queue_entry_tail`: not exclusive, yet at the tail (eventfd and timerfd readers). */
  override addTail(entry: WaitQueueEntry): void {
    entry.exclusive = false;
    super.addTail(entry);
  }

  /** `__add_wait_queue_exclusive`: exclusive, yet at the head. Only `ep_poll` does so. */
  addExclusiveHead(entry: WaitQueueEntry): void {
    entry.exclusive = true;
    this.addHead(entry);
  }

  /** `remove_wait_queue`; nothing happens if a wake has removed the entry already. */
  override remove(entry: WaitQueueEntry): void {
    if (entry.list === this) super.remove(entry);
  }

  /**
   * `__wake_up_common`.
   *
   * @param nrExclusive - how many exclusive entries may accept; 0 wakes all.
   * @param key - poll mask that changed; 0 for a plain wake-up.
   */
  wakeUp(nrExclusive: number, key: number): void {
    let left = nrExclusive;
    let node = this.first;
    while (node !== null) {
      const { next, owner } = node; // the entry may take itself off the queue
      if (owner.wake(key) && owner.exclusive && --left === 0) return;
      node = next;
    }
  }
}

/** Takes an entry off whatever queue it is on. */
export function detach(entry: WaitQueueEntry): void {
  entry.list?.remove(entry);
}
