/**
 * timerfd: expiries of a timer to wait for.
 *
 * Counterpart: `fs/timerfd.c` (`struct timerfd_ctx`), `kernel/time/hrtimer.c` (`hrtimer_forward`).
 * A periodic timer stops at its first expiry; whoever looks at it (read, gettime) adds what it has missed and starts it
 * again. Nothing in the model sets the clock, so TFD_TIMER_CANCEL_ON_SET is accepted and never cancels.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { waitEventLocked } from "../sched/wait-event.ts";
import { Hrtimer } from "../time/hrtimer.ts";
import { addSafe, clockNow, clockOffset, type Itimerspec, NSEC_PER_SEC } from "../time/timekeeping.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { Tfd } from "../uapi/time.ts";
import { File, noopSeek, type PollTable } from "./file.ts";

const EPOLLIN = Poll.IN;
const TICKS_SIZE = 8;
/** Before 6.10 a read took one buffer at a time: F-24. */
const READ_ITER_SINCE = 6010;

const scratch = new Uint8Array(TICKS_SIZE);
const scratchView = new DataView(scratch.buffer);

class TimerfdTimer extends Hrtimer {
  readonly ctx: TimerfdCtx;

  constructor(ctx: TimerfdCtx) {
    super();
    this.ctx = ctx;
  }

  override get ofProgram(): boolean {
    return true;
  }

  override fire(): void {
    this.ctx.triggered();
  }
}

export class TimerfdCtx extends File {
  readonly wqh: WaitQueueHead = new WaitQueueHead();
  readonly clockId: number;
  /** Expiries that nobody has read. */
  ticks: number;
  /** The timer has fired and was not started again since. */
  expired: boolean;
  /** `tintv`: the period, 0 for a timer that fires once. */
  interval: bigint;
  /** When it fires, or fired last, by `clockId`; 0 when it was never set. */
  expires: bigint;
  settimeFlags: number;
  readonly #timer: TimerfdTimer = new TimerfdTimer(this);

  /** @param flags - `TFD_NONBLOCK` or 0. */
  constructor(kernel: Kernel, clockId: number, flags: number) {
    super(kernel, kernel.anonInode, Open.RDWR | flags);
    this.clockId = clockId;
    this.ticks = 0;
    this.expired = false;
    this.interval = 0n;
    this.expires = 0n;
    this.settimeFlags = 0;
  }

  override get link(): string {
    return "anon_inode:[timerfd]";
  }

  override get hasWrite(): boolean {
    return false;
  }

  override get hasReadIter(): boolean {
    return this.kernel.profile.version >= READ_ITER_SINCE;
  }

  /** `timerfd_triggered`. @behaviour T-03, T-04 */
  triggered(): void {
    this.expired = true;
    this.ticks += 1;
    if (this.kernel.observer !== null) this.kernel.observer.enqueued(this, 1);
    this.wakeUp(this.wqh, 1, EPOLLIN);
  }

  /** `timerfd_poll`. @behaviour T-01 */
  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.wqh);
    return this.ticks > 0 ? EPOLLIN : 0;
  }

  /**
   * `timerfd_read_iter`: takes all ticks, with those that a periodic timer has missed, and starts it again.
   *
   * @errno EINVAL - room for less than 8 bytes. EAGAIN - no tick. EFAULT - the buffer; the ticks are gone all the same.
   * @behaviour T-02, T-05, T-12
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    if (to.count < TICKS_SIZE) return -Errno.EINVAL;
    if (this.ticks > 0) return this.consume(to);
    if (nonblock) return -Errno.EAGAIN;
    return waitEventLocked(task, this.wqh, new TimerfdRead(this));
  }

  consume(to: IovIter): number {
    const missed = this.expired && this.interval > 0n ? this.#restart() : 0;
    scratchView.setBigUint64(0, BigInt(this.ticks + missed), true);
    if (this.kernel.observer !== null) this.kernel.observer.dequeued(this, this.ticks);
    this.ticks = 0;
    this.expired = false;
    const copied = to.copyTo(scratch, 0, TICKS_SIZE);
    return copied === 0 ? to.fault() : copied;
  }

  /** `hrtimer_forward_now` and `hrtimer_restart`. @returns periods missed beyond the tick already counted. */
  #restart(): number {
    const overruns = this.#forward();
    this.#start();
    return overruns - 1;
  }

  /** `hrtimer_forward_now`: moves the expiry past now. @returns by how many periods. */
  #forward(): number {
    const late = clockNow(this.kernel.clock, this.clockId) - this.expires;
    if (late < 0n) return 0;
    const periods = late / this.interval + 1n;
    this.expires = addSafe(this.expires, periods * this.interval);
    return Number(periods);
  }

  /** `hrtimer_start` at `expires`. One that is past fires at once; one beyond what the clock can count never. */
  #start(): void {
    const { clock } = this.kernel;
    const expiresNs = Number(this.expires - clockOffset(clock, this.clockId));
    if (expiresNs <= clock.nowNs) this.triggered();
    else if (Number.isSafeInteger(expiresNs)) clock.start(this.#timer, expiresNs);
  }

  /** `timerfd_get_remaining`. */
  #remaining(): bigint {
    const left = this.expires - clockNow(this.kernel.clock, this.clockId);
    return left < 0n ? 0n : left;
  }

  /**
   * `do_timerfd_settime`: forgets unread ticks, without a wake.
   *
   * @param flags - `TFD_TIMER_*`, already checked.
   * @returns what was set before.
   * @behaviour T-07, T-08, T-09
   */
  settime(flags: number, value: bigint, interval: bigint): Itimerspec {
    const { clock } = this.kernel;
    clock.cancel(this.#timer);
    if (this.expired && this.interval > 0n) this.#forward();
    const old = { value: this.#remaining(), interval: this.interval };
    this.expired = false;
    this.ticks = 0;
    this.interval = interval;
    this.expires = value;
    if (value > 0n) {
      if ((flags & Tfd.TIMER_ABSTIME) === 0) this.expires = addSafe(value, clockNow(clock, this.clockId));
      this.#start();
    }
    this.settimeFlags = flags;
    return old;
  }

  /** `do_timerfd_gettime`: starts an expired periodic timer again. @behaviour T-06 */
  gettime(): Itimerspec {
    if (this.expired && this.interval > 0n) {
      this.expired = false;
      this.ticks += this.#restart();
    }
    return { value: this.#remaining(), interval: this.interval };
  }

  /**
   * `timerfd_ioctl`.
   *
   * @errno ENOTTY - anything but TFD_IOC_SET_TICKS. EFAULT - the number. EINVAL - it is 0.
   * @behaviour T-14
   */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== Tfd.IOC_SET_TICKS) return -Errno.ENOTTY;
    const { mm } = task.process;
    if (mm.copyFromUser(scratch, 0, arg, TICKS_SIZE) < TICKS_SIZE) return mm.fault();
    const ticks = Number(scratchView.getBigUint64(0, true));
    if (ticks === 0) return -Errno.EINVAL;
    if (!Number.isSafeInteger(ticks)) throw new Unmodelled(`ioctl(TFD_IOC_SET_TICKS, ${ticks})`);
    this.ticks = ticks;
    this.wakeUp(this.wqh, 1, EPOLLIN);
    return 0;
  }

  /** `noop_llseek`. */
  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  override release(): void {
    this.kernel.clock.cancel(this.#timer);
  }

  /** `timerfd_show`. */
  override fdinfo(): string {
    const pair = (ktime: bigint) => `(${ktime / NSEC_PER_SEC}, ${ktime % NSEC_PER_SEC})`;
    return (
      `clockid: ${this.clockId}\nticks: ${this.ticks}\nsettime flags: 0${this.settimeFlags.toString(8)}\n` +
      `it_value: ${pair(this.#remaining())}\nit_interval: ${pair(this.interval)}\n`
    );
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#timer];
  }
}

/** A reader asleep until the timer expires. */
class TimerfdRead extends SleepingCall {
  readonly ctx: TimerfdCtx;

  constructor(ctx: TimerfdCtx) {
    super();
    this.ctx = ctx;
  }

  override step(task: Task): number {
    if (this.ctx.ticks === 0) return waitEventLocked(task, this.ctx.wqh, this);
    task.finishWait();
    return this.ctx.consume(task.iter);
  }
}
