/**
 * eventfd: a 64-bit counter to wait for.
 *
 * Counterpart: `fs/eventfd.c` (`struct eventfd_ctx`).
 * Invariant: the count reaches 2^64-1 only by `signal`, never by a write.
 */
import type { Kernel } from "../kernel.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { wakeLast } from "../sched/preempt.ts";
import { SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { waitEventLocked } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { EventfdFlags, Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { File, noopSeek, type PollTable } from "./file.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, ERR: EPOLLERR, HUP: EPOLLHUP } = Poll;
const EAGAIN = -Errno.EAGAIN;
const EINVAL = -Errno.EINVAL;

const COUNT_SIZE = 8;
const WORD = 2 ** 32;
const WORD_MAX = WORD - 1;
/** fdinfo shows the id since 5.2 and the semaphore flag since 6.5. */
const ID_SHOWN = 5002;
const SEMAPHORE_SHOWN = 6005;

const scratch = new Uint8Array(COUNT_SIZE);
const scratchView = new DataView(scratch.buffer);

export class EventfdCtx extends File {
  readonly wqh: WaitQueueHead = new WaitQueueHead();
  /** The count, as two unsigned words: exact up to 2^64-1 without bigints. */
  low: number;
  high: number;
  readonly semaphore: boolean;
  readonly ctxId: number;

  /** `do_eventfd`. @param flags - `EFD_*`, already checked. */
  constructor(kernel: Kernel, count: number, flags: number) {
    super(kernel, kernel.anonInode, Open.RDWR | (flags & EventfdFlags.NONBLOCK));
    this.low = count;
    this.high = 0;
    this.semaphore = (flags & EventfdFlags.SEMAPHORE) !== 0;
    this.ctxId = kernel.eventfdIda.alloc();
  }

  override get link(): string {
    return "anon_inode:[eventfd]";
  }

  override get hasWriteIter(): boolean {
    return false;
  }

  /** `eventfd_poll`. @behaviour V-01, V-06 */
  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.wqh);
    if (this.high !== WORD_MAX) return this.empty ? EPOLLOUT : EPOLLIN | EPOLLOUT;
    if (this.low === WORD_MAX) return EPOLLIN | EPOLLERR;
    return this.low === WORD_MAX - 1 ? EPOLLIN : EPOLLIN | EPOLLOUT;
  }

  get empty(): boolean {
    return this.low === 0 && this.high === 0;
  }

  /**
   * `eventfd_read`: wakes everybody with key OUT.
   *
   * @errno EINVAL - room for less than 8 bytes, even when the count is 0. EAGAIN - the count is 0.
   * @behaviour V-02, V-03, V-08, V-09
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    if (to.count < COUNT_SIZE) return EINVAL;
    if (!this.empty) return this.consume(to);
    if (nonblock) return EAGAIN;
    return waitEventLocked(task, this.wqh, new EventfdRead(this));
  }

  /** `eventfd_ctx_do_read`, the wake and the copy: a copy that fails has consumed the count all the same. */
  consume(to: IovIter): number {
    const { observer } = this.kernel;
    if (observer !== null) observer.dequeued(this, this.semaphore ? 1 : this.low + this.high * WORD);
    if (this.semaphore) {
      scratchView.setUint32(0, 1, true);
      scratchView.setUint32(4, 0, true);
      if (this.low === 0) this.high -= 1;
      this.low = this.low === 0 ? WORD_MAX : this.low - 1;
    } else {
      scratchView.setUint32(0, this.low, true);
      scratchView.setUint32(4, this.high, true);
      this.low = 0;
      this.high = 0;
    }
    this.wakeUp(this.wqh, 1, EPOLLOUT);
    return to.copyTo(scratch, 0, COUNT_SIZE) === COUNT_SIZE ? COUNT_SIZE : to.fault();
  }

  /**
   * `eventfd_write`: wakes everybody with key IN, also when 0 is added.
   *
   * @errno EINVAL - not 8 bytes (less than 8 before 6.9), or the value 2^64-1. EAGAIN - the sum would exceed 2^64-2.
   * @behaviour V-04, V-05, V-07
   */
  override write(task: Task, from: IovIter, nonblock: boolean): number {
    const { count } = from;
    if (count < COUNT_SIZE || (count > COUNT_SIZE && this.kernel.profile.eventfdStrictWrite)) return EINVAL;
    if (from.copyFrom(scratch, 0, COUNT_SIZE) < COUNT_SIZE) return from.fault();
    const low = scratchView.getUint32(0, true);
    const high = scratchView.getUint32(4, true);
    if (low === WORD_MAX && high === WORD_MAX) return EINVAL;
    if (this.fits(low, high)) return this.add(task, low, high);
    if (nonblock) return EAGAIN;
    return waitEventLocked(task, this.wqh, new EventfdWrite(this, low, high));
  }

  /** Whether the count can grow by a value and stay below 2^64-1. */
  fits(low: number, high: number): boolean {
    const sumLow = this.low + low;
    const carry = sumLow > WORD_MAX ? 1 : 0;
    const sumHigh = this.high + high + carry;
    return sumHigh < WORD_MAX || (sumHigh === WORD_MAX && sumLow - carry * WORD < WORD_MAX);
  }

  /** The addition and its wake-up, with a preemption point between them. */
  add(task: Task, low: number, high: number): number {
    const sumLow = this.low + low;
    const carry = sumLow > WORD_MAX ? 1 : 0;
    this.low = sumLow - carry * WORD;
    this.high += high + carry;
    if (this.kernel.observer !== null) this.kernel.observer.enqueued(this, low + high * WORD);
    return wakeLast(this.kernel, task, this, this.wqh, EPOLLIN, COUNT_SIZE);
  }

  /** `eventfd_signal_mask`: the kernel's own increment; it stops at 2^64-1. @behaviour V-11 */
  signal(mask: number): void {
    if (this.low < WORD_MAX) {
      this.low += 1;
    } else if (this.high < WORD_MAX) {
      this.low = 0;
      this.high += 1;
    }
    if (this.kernel.observer !== null) this.kernel.observer.enqueued(this, 1);
    this.wakeUp(this.wqh, 1, EPOLLIN | mask);
  }

  /** `noop_llseek`. */
  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  /** `eventfd_release`. @behaviour V-13 */
  override release(): void {
    this.wakeUp(this.wqh, 1, EPOLLHUP);
    this.kernel.eventfdIda.free(this.ctxId);
  }

  /** `eventfd_show_fdinfo`. */
  override fdinfo(): string {
    const { version } = this.kernel.profile;
    const count = ((BigInt(this.high) << 32n) | BigInt(this.low)).toString(16).padStart(16);
    let text = `eventfd-count: ${count}\n`;
    if (version >= ID_SHOWN) text += `eventfd-id: ${this.ctxId}\n`;
    if (version >= SEMAPHORE_SHOWN) text += `eventfd-semaphore: ${this.semaphore ? 1 : 0}\n`;
    return text;
  }
}

/** A reader asleep until the count is not 0. */
class EventfdRead extends SleepingCall {
  readonly ctx: EventfdCtx;

  constructor(ctx: EventfdCtx) {
    super();
    this.ctx = ctx;
  }

  override step(task: Task): number {
    if (this.ctx.empty) return waitEventLocked(task, this.ctx.wqh, this);
    task.finishWait();
    return this.ctx.consume(task.iter);
  }
}

/** A writer asleep until its value fits. */
class EventfdWrite extends SleepingCall {
  readonly ctx: EventfdCtx;
  readonly low: number;
  readonly high: number;

  constructor(ctx: EventfdCtx, low: number, high: number) {
    super();
    this.ctx = ctx;
    this.low = low;
    this.high = high;
  }

  override step(task: Task): number {
    if (!this.ctx.fits(this.low, this.high)) return waitEventLocked(task, this.ctx.wqh, this);
    task.finishWait();
    return this.ctx.add(task, this.low, this.high);
  }
}
