/**
 * Timers that send a signal: timer_create and its relatives.
 *
 * Counterpart: `kernel/time/posix-timers.c` (`struct k_itimer`).
 * A timer has one record, queued at most once. A periodic timer is started again when its signal is taken; what it missed
 * in between is counted (`overrun`). One whose signal is ignored is started when that is no longer so.
 */
import type { Process } from "../sched/process.ts";
import type { Task } from "../sched/task.ts";
import { type Clock, Hrtimer } from "../time/hrtimer.ts";
import { addSafe, clockNow, clockOffset, type Itimerspec } from "../time/timekeeping.ts";
import { sendTimerSignal } from "./send.ts";
import type { SigInfo } from "./sigpending.ts";

const INT_MAX = 2 ** 31 - 1;

/** `POSIX_TIMER_DISARMED` and so on; `REQUEUE` has fired, and waits for its signal to be taken. */
const Status = { DISARMED: 0, ARMED: 1, REQUEUE: 2 } as const;

export class PosixTimer extends Hrtimer {
  readonly process: Process;
  readonly clock: Clock;
  readonly id: number;
  readonly clockId: number;
  /** The record that is queued; null for SIGEV_NONE. */
  readonly info: SigInfo | null;
  /** SIGEV_THREAD_ID; null sends to the process. */
  readonly thread: Task | null;
  /** By `clockId`. */
  #expires = 0n;
  #interval = 0n;
  #status: (typeof Status)[keyof typeof Status] = Status.DISARMED;
  /** Expiries beyond the one that a signal stands for, as they are counted and as the latest signal told. */
  #overrun = -1n;
  #overrunLast = 0n;
  /** The queued signal is of an earlier setting: it is dropped when it is taken. */
  #stale = false;
  #ignored = false;

  constructor(process: Process, clock: Clock, id: number, clockId: number, info: SigInfo | null, thread: Task | null) {
    super();
    this.process = process;
    this.clock = clock;
    this.id = id;
    this.clockId = clockId;
    this.info = info;
    this.thread = thread;
    if (info !== null) info.timer = this;
  }

  /** `it_interval` in ns; 0 for a timer that fires once. */
  get interval(): bigint {
    return this.#interval;
  }

  #now(): bigint {
    return clockNow(this.clock, this.clockId);
  }

  override get ofProgram(): boolean {
    return true;
  }

  /** `posix_timer_fn`. */
  override fire(): void {
    this.#status = this.#interval > 0n ? Status.REQUEUE : Status.DISARMED;
    this.#send();
  }

  #send(): void {
    const target = this.thread ?? this.process.leader;
    if (this.info === null || target === null || target.pid.task === null) return;
    this.#stale = false;
    const result = sendTimerSignal(target, this.info, this.thread !== null);
    this.#ignored = result === "ignored" && this.#interval > 0n;
  }

  /** `common_timer_get`. */
  get(): Itimerspec {
    if (this.#interval === 0n && this.#status === Status.DISARMED && this.info !== null)
      return { value: 0n, interval: 0n };
    const now = this.#now();
    if (this.#interval > 0n && this.#status !== Status.ARMED) this.#overrun += this.#forward(now);
    const left = this.#expires - now;
    const unset = this.#expires === 0n;
    return { value: left > 0n ? left : unset || this.info === null ? 0n : 1n, interval: this.#interval };
  }

  /** `hrtimer_forward`: moves the expiry past `now`. @returns by how many periods. */
  #forward(now: bigint): bigint {
    if (now < this.#expires || this.#expires === 0n) return 0n;
    const periods = (now - this.#expires) / this.#interval + 1n;
    this.#expires = addSafe(this.#expires, periods * this.#interval);
    return periods;
  }

  /** `common_timer_set`. @param value - 0 disarms. @param absolute - by the timer's clock. */
  set(value: bigint, interval: bigint, absolute: boolean): void {
    this.clock.cancel(this);
    this.#stale = true;
    this.#ignored = false;
    this.#status = Status.DISARMED;
    this.#interval = value === 0n ? 0n : interval;
    this.#overrunLast = 0n;
    this.#overrun = -1n;
    this.#expires = 0n;
    if (value === 0n) return;
    this.#expires = absolute ? value : addSafe(value, this.#now());
    if (this.info === null) return;
    this.#status = Status.ARMED;
    this.#start();
  }

  #start(): void {
    const expiresNs = Number(this.#expires - clockOffset(this.clock, this.clockId));
    if (expiresNs <= this.clock.nowNs) this.fire();
    else if (Number.isSafeInteger(expiresNs)) this.clock.start(this, expiresNs);
  }

  /** `posixtimer_deliver_signal`: its signal is taken. @returns whether it still counts. */
  deliver(info: SigInfo): boolean {
    if (this.#stale) return false;
    if (this.#interval === 0n) return true;
    this.#overrun += this.#forward(this.#now());
    this.#status = Status.ARMED;
    this.#overrunLast = this.#overrun;
    this.#overrun = -1n;
    info.overrun = this.getoverrun();
    this.#start();
    return true;
  }

  /** Its queued signal was thrown away, because nobody listens any more. */
  flushed(): void {
    this.#ignored = !this.#stale && this.#status === Status.REQUEUE;
  }

  /** `posixtimer_sig_unignore`: its signal is no longer ignored. */
  unignore(): void {
    if (this.#ignored) this.#send();
  }

  /** `timer_getoverrun`. */
  getoverrun(): number {
    return Math.min(Number(this.#overrunLast), INT_MAX);
  }

  /** `posix_timer_delete`. A signal that is queued is dropped when it is taken. */
  delete(): void {
    this.clock.cancel(this);
    this.#stale = true;
    this.#ignored = false;
    this.process.posixTimers.delete(this.id);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#expires, this.#interval, this.#status, this.#overrun, this.#overrunLast, this.#stale, this.#ignored];
  }
}
