/**
 * The epoll instance: interest set, ready list, scans.
 *
 * Counterpart: `fs/eventpoll.c` (`struct eventpoll`).
 * Locking in Linux: `ep->mtx` around scans and the tree, a spinlock around the lists; here one step is atomic, and `mtx` is
 * seen taken only while a scan sleeps on a missing page.
 * Modelled: LT, ET, ONESHOT, EXCLUSIVE, nesting. Accepted without effect: WAKEUP, which this machine drops for want of PM
 * sleep (E-042), and the busy-poll parameters (E-202).
 * Invariants: see `invariants.ts`.
 */
import type { Kernel } from "../../kernel.ts";
import { assert } from "../../lib/assert.ts";
import { List } from "../../lib/list.ts";
import { type RbNode, RbTree, rbNext } from "../../lib/rbtree.ts";
import type { EraseCause } from "../../observer.ts";
import { Mutex } from "../../sched/mutex.ts";
import type { UserStruct } from "../../sched/process.ts";
import { SleepingCall, type Task } from "../../sched/task.ts";
import { WaitQueueHead } from "../../sched/wait.ts";
import { Epoll } from "../../uapi/epoll.ts";
import { Errno } from "../../uapi/errno.ts";
import { CONTENDED, type EpollHook, type File, type PollTable } from "../file.ts";
import { compareFfd, Epitem, EpPqueue } from "./epitem.ts";
import { reversePathCheck } from "./nesting.ts";

/** What an epoll descriptor reports when something in it is ready: E-177. */
const READY_MASK = Epoll.IN | Epoll.RDNORM;

export class Eventpoll {
  readonly kernel: Kernel;
  /** The description that this instance belongs to. Set once, when the description exists. */
  file: File | null;
  /** Who pays for the items: the creator (E-196). */
  readonly user: UserStruct;
  readonly mtx: Mutex;
  /** Sleepers of epoll_wait. */
  readonly wq: WaitQueueHead;
  /** Outer epolls and pollers of the descriptor. */
  readonly pollWait: WaitQueueHead;
  rdllist: List<Epitem>;
  /** The batch of the running scan; empty outside a scan. */
  txlist: List<Epitem>;
  /** A scan runs: arrivals go to `ovflist` (`ovflist != EP_UNACTIVE_PTR`). */
  scanning: boolean;
  /** Arrivals during a scan, newest first, chained by `Epitem.next`. */
  ovflist: Epitem | null;
  /** All items, by (description, number). */
  readonly rbr: RbTree<Epitem>;
  /** Mark and result of the latest loop check that came by. */
  gen: number;
  loopCheckDepth: number;
  busyPollUsecs: number;
  busyPollBudget: number;
  preferBusyPoll: boolean;

  constructor(kernel: Kernel, user: UserStruct) {
    this.kernel = kernel;
    this.file = null;
    this.user = user;
    this.mtx = new Mutex();
    this.wq = new WaitQueueHead();
    this.pollWait = new WaitQueueHead();
    this.rdllist = new List<Epitem>();
    this.txlist = new List<Epitem>();
    this.scanning = false;
    this.ovflist = null;
    this.rbr = new RbTree<Epitem>(compareFfd);
    this.gen = 0;
    this.loopCheckDepth = 0;
    this.busyPollUsecs = 0;
    this.busyPollBudget = 0;
    this.preferBusyPoll = false;
  }

  /** `refs`: the items by which outer epolls watch this one; null when nobody does. */
  get refs(): List<EpollHook> | null {
    const hooks = this.file?.fEp ?? null;
    return hooks !== null && hooks.length > 0 ? hooks : null;
  }

  /** `ep_events_available`: something may be ready; a running scan counts. */
  get eventsAvailable(): boolean {
    return this.rdllist.first !== null || this.scanning;
  }

  /** The queueing part of `ep_poll_callback`. */
  queueArrival(epi: Epitem, key: number): void {
    const { observer } = this.kernel;
    epi.arrivedBy = this.kernel.actor;
    if (this.scanning) {
      if (epi.onOvflist) return;
      epi.onOvflist = true;
      epi.queuedBy = this.kernel.actor;
      epi.next = this.ovflist;
      this.ovflist = epi;
      if (observer !== null) observer.queued(epi, "ovflist", "wake");
    } else if (epi.rdllink.list === null) {
      this.rdllist.addTail(epi.rdllink);
      epi.queuedBy = this.kernel.actor;
      if (observer !== null) observer.queued(epi, "rdllist", "wake");
    } else if (observer !== null) {
      observer.filtered(epi, key, "linked");
    }
  }

  /** `ep_poll_safewake`: the key says IN and nothing else (E-185). */
  safewake(): void {
    if (this.kernel.observer !== null) this.kernel.observer.safewake(this);
    this.pollWait.wakeUp(1, Epoll.IN);
  }

  /** `ep_start_scan`: the ready list becomes the batch. */
  startScan(): void {
    assert(!this.scanning && this.txlist.first === null, "eventpoll: two scans at once");
    const batch = this.rdllist;
    this.rdllist = this.txlist;
    this.txlist = batch;
    this.scanning = true;
    if (this.kernel.observer !== null) this.kernel.observer.scanStarted(this);
  }

  /** `ep_done_scan`: rest of the batch, then arrivals in order, then what the scan re-queued (E-070, E-168). */
  doneScan(): void {
    const { observer, profile } = this.kernel;
    const { ovflistInOrder, scanEndWakesOuter } = profile;
    let epi = this.ovflist;
    this.ovflist = null;
    while (epi !== null) {
      const { next } = epi;
      epi.next = null;
      epi.onOvflist = false;
      if (epi.rdllink.list === null) {
        // ovflist is newest first, so putting each in front restores the order of arrival.
        if (ovflistInOrder) this.rdllist.addHead(epi.rdllink);
        else this.rdllist.addTail(epi.rdllink);
        if (observer !== null) observer.queued(epi, "rdllist", "arrival");
      }
      epi = next;
    }
    this.scanning = false;
    const rest = this.txlist;
    if (rest.first !== null) {
      rest.appendAll(this.rdllist);
      this.txlist = this.rdllist;
      this.rdllist = rest;
    }
    if (observer !== null) observer.scanEnded(this);
    if (this.rdllist.first === null) return;
    if (this.wq.active) this.wq.wakeUp(1, 0);
    if (scanEndWakesOuter && this.pollWait.active) this.safewake();
  }

  /** `ep_item_poll`: an item whose description is going away reports nothing. @returns a mask, or `CONTENDED`. */
  itemPoll(task: Task, epi: Epitem, pt: PollTable | null): number {
    if (epi.file.refs === 0) return 0;
    const { exploring } = this.kernel;
    if (exploring !== null) exploring.touch(epi.file, false);
    const mask = epi.file.poll(task, pt);
    return mask === CONTENDED ? CONTENDED : mask & epi.events;
  }

  /**
   * `__ep_eventpoll_poll`: ready when some queued item still is; stale ones in front of it are dropped, none is consumed
   * (E-179).
   *
   * @returns a mask; or `CONTENDED` while a scan of this instance, or of one that it watches, sleeps (E-165). Linux would
   *   hold this instance's `mtx` while it waits for the inner one's; here it is free meanwhile.
   */
  readyPoll(task: Task): number {
    const { exploring } = this.kernel;
    if (exploring !== null) exploring.touch(this, true);
    if (this.mtx.owner !== null) {
      this.kernel.contended = this.mtx;
      return CONTENDED;
    }
    let mask = 0;
    this.startScan();
    for (let node = this.txlist.first; node !== null && mask === 0; ) {
      const { owner: epi, next } = node;
      const revents = this.itemPoll(task, epi, null);
      if (revents === CONTENDED) {
        this.#abandonScan();
        return CONTENDED;
      }
      if (revents !== 0) {
        mask = READY_MASK;
      } else {
        this.txlist.remove(node);
        if (this.kernel.observer !== null) this.kernel.observer.dropped(epi);
      }
      node = next;
    }
    this.doneScan();
    return mask;
  }

  /** Puts the batch back: nothing has arrived, since the scan never slept. */
  #abandonScan(): void {
    const batch = this.txlist;
    this.txlist = this.rdllist;
    this.rdllist = batch;
    this.scanning = false;
    if (this.kernel.observer !== null) this.kernel.observer.scanEnded(this);
  }

  /** `ep_find`. */
  find(file: File, fd: number): Epitem | null {
    let node = this.rbr.root;
    while (node !== null) {
      const epi = node.owner;
      const order = file.address - epi.file.address || fd - epi.fd;
      if (order === 0) return epi;
      node = order > 0 ? node.right : node.left;
    }
    return null;
  }

  /** An address of a description that no tree knows yet: somewhere among those of this one, by choice (ND-23). */
  #anyAddress(): number {
    const { chooser } = this.kernel;
    const addresses: number[] = [];
    for (let node = this.rbr.leftmost; node !== null; node = rbNext(node)) {
      if (addresses.at(-1) !== node.owner.file.address) addresses.push(node.owner.file.address);
    }
    const at = addresses.length - chooser.choose("slab", addresses.length + 1);
    const [below, above] = [addresses[at - 1], addresses[at]];
    if (below === undefined) return (above ?? 0) - 1;
    return above === undefined ? below + 1 : (below + above) / 2;
  }

  /**
   * `ep_insert`.
   *
   * @param fullCheck - the new link may lengthen wake-up paths: count them.
   * @returns 0, or `BLOCKED` when the file is an epoll in the middle of a scan.
   * @errno ENOSPC - the creator's watches are used up. EINVAL - too many wake-up paths from some file.
   */
  insert(task: Task, file: File, fd: number, events: number, low: number, high: number, fullCheck: boolean): number {
    const { kernel, user } = this;
    if (user.epollWatches >= kernel.sysctl.get("fs.epoll.max_user_watches")) return -Errno.ENOSPC;
    user.epollWatches += 1;
    if (kernel.exploring !== null && file.fEp === null) file.address = this.#anyAddress();
    const epi = new Epitem(this, file, fd, events, low, high);
    file.fEp ??= new List<EpollHook>();
    file.fEp.addHead(epi.fllink);
    this.rbr.insert(epi.rbn);
    if (kernel.observer !== null) kernel.observer.rbInsert(this, epi);
    if (fullCheck && !reversePathCheck(kernel.epnested, file)) {
      this.remove(epi, "refused");
      return -Errno.EINVAL;
    }
    return this.#look(task, epi, new EpPqueue(epi), "add");
  }

  /** `ep_modify`: the new mask first, then a fresh look at the file (E-081). */
  modify(task: Task, epi: Epitem, events: number, low: number, high: number): number {
    epi.events = events;
    epi.dataLow = low;
    epi.dataHigh = high;
    if (this.kernel.observer !== null) this.kernel.observer.modified(epi);
    return this.#look(task, epi, null, "mod");
  }

  /** The look at the file that ends an ADD or a MOD. */
  #look(task: Task, epi: Epitem, pt: PollTable | null, cause: "add" | "mod"): number {
    const revents = this.itemPoll(task, epi, pt);
    if (revents === CONTENDED) {
      assert(this.mtx.tryLock(task), "eventpoll: a change of the set while somebody holds it");
      return new LookCall(this, epi, cause).sleep(task);
    }
    if (revents !== 0) this.queueReady(epi, cause);
    return 0;
  }

  /** Puts an item that was found ready on the list, and tells whoever waits. */
  queueReady(epi: Epitem, cause: "add" | "mod"): void {
    if (epi.rdllink.list !== null) return;
    this.rdllist.addTail(epi.rdllink);
    epi.queuedBy = this.kernel.actor;
    if (this.kernel.observer !== null) this.kernel.observer.queued(epi, "rdllist", cause);
    if (this.wq.active) this.wq.wakeUp(1, 0);
    if (this.pollWait.active) this.safewake();
  }

  /** `__ep_remove`. The caller has `mtx`: no scan runs. */
  remove(epi: Epitem, cause: EraseCause): void {
    assert(!this.scanning, "eventpoll: an item is removed during a scan");
    for (let pwq = epi.pwqlist; pwq !== null; pwq = pwq.nextPwq) pwq.whead?.remove(pwq);
    epi.pwqlist = null;
    epi.file.fEp?.remove(epi.fllink);
    this.rbr.erase(epi.rbn);
    epi.rdllink.list?.remove(epi.rdllink);
    this.user.epollWatches -= 1;
    if (this.kernel.observer !== null) this.kernel.observer.rbErase(this, epi, cause);
  }

  /** `ep_clear_and_put`: the last reference to the instance is gone. */
  clear(): void {
    if (this.pollWait.active) this.safewake();
    for (let node = this.rbr.leftmost; node !== null; ) {
      const next: RbNode<Epitem> | null = rbNext(node);
      this.remove(node.owner, "epoll");
      node = next;
    }
  }
}

/** An epoll_ctl that holds `mtx` and waits to look inside another epoll, which is in the middle of a scan. */
class LookCall extends SleepingCall {
  readonly #ep: Eventpoll;
  readonly #epi: Epitem;
  readonly #cause: "add" | "mod";

  constructor(ep: Eventpoll, epi: Epitem, cause: "add" | "mod") {
    super();
    this.#ep = ep;
    this.#epi = epi;
    this.#cause = cause;
  }

  sleep(task: Task): number {
    const { contended } = task.kernel;
    assert(contended !== null, "eventpoll: a poll was stopped by nobody");
    return contended.sleep(task, this);
  }

  override step(task: Task): number {
    const revents = this.#ep.itemPoll(task, this.#epi, null);
    if (revents === CONTENDED) return this.sleep(task);
    if (revents !== 0) this.#ep.queueReady(this.#epi, this.#cause);
    this.#ep.mtx.unlock(task);
    return 0;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#ep, this.#epi, this.#cause];
  }
}
