/**
 * One watched (description, number) pair, and its hooks on the wait queues of the description.
 *
 * Counterpart: `fs/eventpoll.c` (`struct epitem`, `struct eppoll_entry`, `ep_poll_callback`).
 */

import { ListNode } from "../../lib/list.ts";
import { RbNode } from "../../lib/rbtree.ts";
import type { Mutex } from "../../sched/mutex.ts";
import { WaitQueueEntry, type WaitQueueHead } from "../../sched/wait.ts";
import { Epoll } from "../../uapi/epoll.ts";
import type { EpollHook, File } from "../file.ts";
import { PollTable } from "../file.ts";
import type { Eventpoll } from "./eventpoll.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, EXCLUSIVE: EPOLLEXCLUSIVE } = Epoll;
/** `EP_PRIVATE_BITS`: what is left of the mask after a one-shot report. */
export const EP_PRIVATE_BITS: number = Epoll.WAKEUP | Epoll.ONESHOT | Epoll.ET | Epoll.EXCLUSIVE;
const POLL_BITS = ~EP_PRIVATE_BITS;
const EPOLLINOUT_BITS = EPOLLIN | EPOLLOUT;
/** Key bit of a wait queue that is about to be freed. */
export const POLLFREE = 0x4000;

/** Its own link into `rbr`. */
export class Epitem extends RbNode<Epitem> implements EpollHook {
  /** Links into the ready list (or a scan's batch), and into the description's `fEp`. */
  readonly rdllink: ListNode<Epitem>;
  readonly fllink: ListNode<EpollHook>;
  readonly ep: Eventpoll;
  /** With `fd` the key in `rbr`: `struct epoll_filefd`. */
  readonly file: File;
  readonly fd: number;
  /** Requested mask, int32; only private bits are left after a one-shot report. */
  events: number;
  /** `epoll_data`: carried, never read. Two halves, since a bigint would cost an allocation a report. */
  dataLow: number;
  dataHigh: number;
  /** The next older arrival on `ep.ovflist`; meaningful while `onOvflist` (`next != EP_UNACTIVE_PTR`). */
  next: Epitem | null;
  onOvflist: boolean;
  /** `kernel.actor` when the item was put on the ready list. */
  queuedBy: object | null;
  /** `kernel.actor` of the latest wake-up that concerned the item, also if it stood on the ready list already. */
  arrivedBy: object | null;
  /** Hooks on the description's wait queues, newest first. */
  pwqlist: EppollEntry | null;

  constructor(ep: Eventpoll, file: File, fd: number, events: number, dataLow: number, dataHigh: number) {
    super(null);
    this.rdllink = new ListNode<Epitem>(this);
    this.fllink = new ListNode<EpollHook>(this);
    this.ep = ep;
    this.file = file;
    this.fd = fd;
    this.events = events;
    this.dataLow = dataLow;
    this.dataHigh = dataHigh;
    this.next = null;
    this.onOvflist = false;
    this.queuedBy = null;
    this.arrivedBy = null;
    this.pwqlist = null;
  }

  /** The link into `rbr`, which is the item itself. */
  get rbn(): RbNode<Epitem> {
    return this;
  }

  /** `eventpoll_release_file`: the description is gone, and no event says so (E-133, E-136). */
  releaseFile(): Mutex | null {
    const { ep } = this;
    if (ep.mtx.owner !== null) return ep.mtx;
    ep.remove(this, "release");
    return null;
  }
}

/** `ep_cmp_ffd`: by description, then by number (E-058). */
export function compareFfd(a: Epitem, b: Epitem): number {
  return a.file.address - b.file.address || a.fd - b.fd;
}

/** The item's hook on one wait queue: its wake function is `ep_poll_callback`. */
export class EppollEntry extends WaitQueueEntry {
  readonly base: Epitem;
  /** Null once the queue's owner died (POLLFREE). */
  whead: WaitQueueHead | null;
  readonly nextPwq: EppollEntry | null;

  constructor(base: Epitem, whead: WaitQueueHead) {
    super();
    this.base = base;
    this.whead = whead;
    this.nextPwq = base.pwqlist;
  }

  /**
   * `ep_poll_callback`: runs inside somebody's write or close, so it queues and wakes, no more.
   *
   * @returns whether an exclusive hook took the wake (E-146); always true for a plain one.
   */
  override wake(key: number): boolean {
    const { base } = this;
    const { ep, events } = base;
    const { exploring } = ep.kernel;
    let taken = false;
    if ((events & POLL_BITS) === 0 || (key !== 0 && (key & events) === 0)) {
      const { observer } = ep.kernel;
      if (exploring !== null) exploring.touch(ep, false);
      if (observer !== null) observer.filtered(base, key, (events & POLL_BITS) === 0 ? "disarmed" : "mask");
    } else {
      if (exploring !== null) exploring.touch(ep, true);
      ep.queueArrival(base, key);
      if (ep.wq.active) {
        if ((events & EPOLLEXCLUSIVE) !== 0 && (key & POLLFREE) === 0) taken = takesExclusive(events, key);
        ep.wq.wakeUp(1, 0);
      }
      if (ep.pollWait.active) ep.safewake();
    }
    if ((key & POLLFREE) !== 0) {
      this.whead?.remove(this);
      this.whead = null;
    }
    return taken || (events & EPOLLEXCLUSIVE) === 0;
  }
}

/** Only a key with one direction, and that one asked for, is taken; a key with neither always is. */
function takesExclusive(events: number, key: number): boolean {
  switch (key & EPOLLINOUT_BITS) {
    case EPOLLIN:
      return (events & EPOLLIN) !== 0;
    case EPOLLOUT:
      return (events & EPOLLOUT) !== 0;
    case 0:
      return true;
    default:
      return false;
  }
}

/** `struct ep_pqueue` with `ep_ptable_queue_proc`: hooks a new item on every queue that its file names. */
export class EpPqueue extends PollTable {
  readonly epi: Epitem;

  constructor(epi: Epitem) {
    super();
    this.epi = epi;
  }

  override queue(_file: File, whead: WaitQueueHead): void {
    const { epi } = this;
    const pwq = new EppollEntry(epi, whead);
    if ((epi.events & EPOLLEXCLUSIVE) !== 0) whead.addExclusive(pwq);
    else whead.add(pwq);
    epi.pwqlist = pwq;
  }
}
