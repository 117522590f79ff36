/**
 * Delivery: one scan of the ready list, and the wait around it.
 *
 * Counterpart: `fs/eventpoll.c` (`ep_send_events`, `ep_poll`, `ep_autoremove_wake_function`).
 * A scan is one atomic section unless the copy to user space hits a missing page: then the task sleeps in the middle, with
 * `mtx` held and `ovflist` collecting arrivals, and goes on at the very same item. In exploration another CPU may get in
 * before the re-poll of each item.
 */
import { assert } from "../../lib/assert.ts";
import type { ListNode } from "../../lib/list.ts";
import { preempted } from "../../sched/preempt.ts";
import { BLOCKED, SleepingCall, type Task, TaskState } from "../../sched/task.ts";
import { detach, WaitQueueEntry } from "../../sched/wait.ts";
import { fatalSignalPending } from "../../signal/send.ts";
import { EPOLL_EVENT_SIZE, Epoll } from "../../uapi/epoll.ts";
import { Errno } from "../../uapi/errno.ts";
import { CONTENDED } from "../file.ts";
import { EP_PRIVATE_BITS, type Epitem } from "./epitem.ts";
import type { Eventpoll } from "./eventpoll.ts";

const { ONESHOT: EPOLLONESHOT, ET: EPOLLET } = Epoll;

/** No deadline: wait for ever. */
export const FOREVER = -1;

/** Where an `ep_poll` goes on when its task is stepped. */
const At = { MUTEX: 0, COPY: 1, WOKEN: 2, POLL: 3, ITEM: 4 } as const;

/** The wait entry of `ep_poll`: taken off the queue by every wake, even one that finds the task awake already. */
class EpollWaitEntry extends WaitQueueEntry {
  readonly call: EpollWaitCall;

  constructor(call: EpollWaitCall) {
    super();
    this.call = call;
  }

  override wake(): boolean {
    const { task } = this.call;
    detach(this);
    return task?.wakeUp() ?? false;
  }
}

/**
 * `ep_poll`: one per epoll_wait in progress. Kept by the machine for the next wait, since a server waits without end.
 */
export class EpollWaitCall extends SleepingCall {
  task: Task | null = null;
  #ep: Eventpoll | null = null;
  #events = 0;
  #maxevents = 0;
  #deadlineNs = 0;
  #timedOut = false;
  /** Present place in the scan. */
  #count = 0;
  #item: Epitem | null = null;
  #revents = 0;
  #at: (typeof At)[keyof typeof At] = At.WOKEN;
  readonly #entry = new EpollWaitEntry(this);
  readonly #free: EpollWaitCall[];

  constructor(free: EpollWaitCall[]) {
    super();
    this.#free = free;
  }

  /**
   * Begins the wait.
   *
   * @param deadlineNs - absolute, `FOREVER`, or 0 for a call that must not wait.
   * @returns number of events, 0 on time-out, `BLOCKED`, or a negative errno.
   * @errno EFAULT - the first event could not be stored; nothing is lost. EINTR - a signal came and nothing was ready.
   */
  start(task: Task, ep: Eventpoll, events: number, maxevents: number, deadlineNs: number): number {
    this.task = task;
    this.#ep = ep;
    this.#events = events;
    this.#maxevents = maxevents;
    this.#deadlineNs = deadlineNs;
    this.#timedOut = deadlineNs === 0;
    return this.#finish(this.#poll(task, ep, ep.eventsAvailable));
  }

  override step(task: Task): number {
    const ep = this.#ep;
    assert(ep !== null && this.task === task, "ep_poll: stepped outside a wait");
    switch (this.#at) {
      case At.MUTEX:
        return this.#finish(this.#harvest(task, ep));
      case At.COPY:
      case At.POLL:
      case At.ITEM:
        return this.#finish(this.#afterScan(task, ep, this.#scan(task, ep)));
      default:
        return this.#finish(this.#woken(task, ep));
    }
  }

  #finish(result: number): number {
    if (result !== BLOCKED) {
      this.task = null;
      this.#ep = null;
      this.#free.push(this);
    }
    return result;
  }

  /** Events first, then the time-out, then a signal, then sleep: E-122, E-123. */
  #poll(task: Task, ep: Eventpoll, available: boolean): number {
    // Who is about to die takes nothing: E-132.
    if (available) return fatalSignalPending(task) ? -Errno.EINTR : this.#harvest(task, ep);
    if (this.#timedOut) return 0;
    if (task.signalPending) return -Errno.EINTR;
    // Something may have arrived while a scan that found nothing slept.
    if (ep.eventsAvailable) return this.#harvest(task, ep);
    // The check under ep->lock, the enqueueing and the sleep are one section, so nothing can slip in between.
    const deadlineNs = this.#deadlineNs;
    if (deadlineNs !== FOREVER && task.kernel.clock.nowNs >= deadlineNs) {
      this.#timedOut = true;
      return 0;
    }
    ep.wq.addExclusiveHead(this.#entry);
    this.#at = At.WOKEN;
    if (ep.kernel.observer !== null) ep.kernel.observer.waits(ep, task, deadlineNs);
    return task.sleep(this, TaskState.INTERRUPTIBLE, deadlineNs);
  }

  /** A wake takes the entry off the queue; still there means that only the time ran out, or a signal came: E-163. */
  #woken(task: Task, ep: Eventpoll): number {
    const queued = this.#entry.entry.list !== null;
    if (task.timedOut) this.#timedOut = true;
    if (queued) detach(this.#entry);
    return this.#poll(task, ep, !queued || !this.#timedOut);
  }

  /** `ep_try_send_events`, with `mtx`. */
  #harvest(task: Task, ep: Eventpoll): number {
    if (!ep.mtx.tryLock(task)) {
      this.#at = At.MUTEX;
      return ep.mtx.sleep(task, this);
    }
    ep.startScan();
    this.#count = 0;
    this.#item = null;
    return this.#afterScan(task, ep, this.#scan(task, ep));
  }

  #afterScan(task: Task, ep: Eventpoll, result: number): number {
    if (result === BLOCKED) return BLOCKED;
    ep.doneScan();
    ep.mtx.unlock(task);
    return result !== 0 ? result : this.#poll(task, ep, false);
  }

  /** The loop of `ep_send_events`. @returns events stored, -EFAULT, or `BLOCKED` at a missing page. */
  #scan(task: Task, ep: Eventpoll): number {
    const { txlist } = ep;
    const { exploring, observer } = ep.kernel;
    const { mm } = task.process;
    for (;;) {
      let epi = this.#item;
      let revents = this.#revents;
      if (epi === null) {
        const node: ListNode<Epitem> | null = this.#count < this.#maxevents ? txlist.first : null;
        if (node === null) return this.#count;
        if (exploring !== null && this.#at !== At.ITEM && exploring.preempt("ep_send_events")) {
          this.#at = At.ITEM;
          return preempted(task, this);
        }
        this.#at = At.WOKEN;
        epi = node.owner;
        txlist.remove(node);
        revents = CONTENDED;
      }
      if (revents === CONTENDED) {
        revents = ep.itemPoll(task, epi, null);
        if (revents === CONTENDED) return this.#sleepInPoll(task, ep, epi);
        if (revents === 0) {
          this.#item = null;
          if (observer !== null) observer.dropped(epi);
          continue;
        }
      }
      const to = this.#events + this.#count * EPOLL_EVENT_SIZE;
      if (!mm.putUser32(to, revents) || !mm.putUser64(to + 4, epi.dataLow, epi.dataHigh)) {
        if (mm.missingAt !== -1) {
          this.#item = epi;
          this.#revents = revents;
          this.#at = At.COPY;
          mm.faultWait.add(task.wait);
          return task.sleep(this, TaskState.UNINTERRUPTIBLE, -1);
        }
        txlist.addHead(epi.rdllink);
        return this.#count > 0 ? this.#count : -Errno.EFAULT;
      }
      this.#item = null;
      this.#count += 1;
      if (observer !== null) observer.delivered(epi, revents);
      if ((epi.events & EPOLLONESHOT) !== 0) {
        epi.events &= EP_PRIVATE_BITS;
        if (observer !== null) observer.disarmed(epi);
      } else if ((epi.events & EPOLLET) === 0) {
        ep.rdllist.addTail(epi.rdllink);
        epi.queuedBy = ep.kernel.actor;
        if (observer !== null) observer.queued(epi, "rdllist", "level");
      }
    }
  }

  /** The item is an epoll in the middle of a scan of its own: polled again once that is over. */
  #sleepInPoll(task: Task, ep: Eventpoll, epi: Epitem): number {
    const { contended } = ep.kernel;
    assert(contended !== null, "ep_poll: a poll was stopped by nobody");
    this.#item = epi;
    this.#revents = CONTENDED;
    this.#at = At.POLL;
    return contended.sleep(task, this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [
      this.#ep,
      this.#events,
      this.#maxevents,
      this.#deadlineNs,
      this.#timedOut,
      this.#count,
      this.#item,
      this.#revents,
      this.#at,
      this.#entry,
    ];
  }
}
