/**
 * clock_gettime, time, nanosleep, clock_nanosleep.
 *
 * Counterpart: `kernel/time/posix-timers.c`, `kernel/time/posix-stubs.c`, `kernel/time/hrtimer.c` (`do_nanosleep`).
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import { SleepingCall, type SyscallRegs, type Task, TaskState } from "../kernel/sched/task.ts";
import { clockNow, clockOffset, NSEC_PER_SEC, timespecValid, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { ClockId, TIMER_ABSTIME } from "../kernel/uapi/time.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const TIMESPEC_SIZE = 16;
const FOREVER = -1;

/** Clocks that can be read; the raw clock is the monotonic one, since nobody adjusts that. */
const READABLE: ReadonlySet<number> = new Set<number>([
  ClockId.REALTIME,
  ClockId.MONOTONIC,
  ClockId.MONOTONIC_RAW,
  ClockId.BOOTTIME,
]);
/** Clocks that can be slept by. */
const SLEEPABLE: ReadonlySet<number> = new Set<number>([ClockId.REALTIME, ClockId.MONOTONIC, ClockId.BOOTTIME]);
const NO_SLEEP: ReadonlySet<number> = new Set<number>([
  ClockId.THREAD_CPUTIME_ID,
  ClockId.MONOTONIC_RAW,
  ClockId.REALTIME_COARSE,
  ClockId.MONOTONIC_COARSE,
]);
/** Clocks that Linux has and the model has not: CPU time, tick time, alarm clocks, atomic time. */
const OTHER_CLOCKS: ReadonlySet<number> = new Set<number>(
  Object.values(ClockId).filter((clock) => !READABLE.has(clock)),
);

const scratch = new Uint8Array(TIMESPEC_SIZE);
const view = new DataView(scratch.buffer);

function putTimespec(task: Task, addr: number, ktime: bigint): number {
  const { mm } = task.process;
  view.setBigInt64(0, ktime / NSEC_PER_SEC, true);
  view.setBigInt64(8, ktime % NSEC_PER_SEC, true);
  return mm.copyToUser(addr, scratch, 0, TIMESPEC_SIZE) === TIMESPEC_SIZE ? 0 : mm.fault();
}

/**
 * clock_gettime(2).
 *
 * @errno EINVAL - no such clock. EFAULT - the address.
 * @throws Unmodelled for clocks of CPU time, ticks, alarms and atomic time, and those of other processes.
 * @kernel kernel/time/posix-timers.c `clock_gettime`
 */
export function sysClockGettime(task: Task, clockId: number, tp: number): number {
  const clock = toInt(clockId);
  if (!READABLE.has(clock)) return unknownClock(clock, "clock_gettime");
  return putTimespec(task, tp, clockNow(task.kernel.clock, clock));
}

/** `clockid_to_kclock`: negative ids are clocks of a process or of a device. */
function unknownClock(clock: number, call: string): number {
  if (clock < -1 || OTHER_CLOCKS.has(clock)) throw new Unmodelled(`${call} of clock ${clock}`);
  return EINVAL;
}

/**
 * time(2).
 *
 * @returns seconds since the epoch, also stored at `tloc` unless that is 0.
 * @errno EFAULT - the address.
 * @kernel kernel/time/time.c `time`
 */
export function sysTime(task: Task, tloc: number): number {
  const seconds = clockNow(task.kernel.clock, ClockId.REALTIME) / NSEC_PER_SEC;
  if (tloc !== 0) {
    const { mm } = task.process;
    view.setBigInt64(0, seconds, true);
    if (mm.copyToUser(tloc, scratch, 0, 8) < 8) return mm.fault();
  }
  return Number(seconds);
}

/**
 * clock_nanosleep(2). The rest of a time span is stored at `rmtp` when a signal ends the sleep.
 *
 * @errno EINVAL - no such clock, or a time out of range. EOPNOTSUPP - a clock that nobody can sleep by. EFAULT - the time.
 *   EINTR - a signal.
 * @throws Unmodelled for clocks of CPU time, alarms and atomic time.
 * @kernel kernel/time/posix-timers.c `clock_nanosleep`
 */
export function sysClockNanosleep(task: Task, clockId: number, flags: number, rqtp: number, rmtp: number): number {
  const clock = toInt(clockId);
  if (NO_SLEEP.has(clock)) return -Errno.EOPNOTSUPP;
  if (!SLEEPABLE.has(clock)) return unknownClock(clock, "clock_nanosleep");
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, rqtp, TIMESPEC_SIZE) < TIMESPEC_SIZE) return mm.fault();
  const seconds = view.getBigInt64(0, true);
  const nanoseconds = view.getBigInt64(8, true);
  if (!timespecValid(seconds, nanoseconds)) return EINVAL;
  const { clock: kernelClock } = task.kernel;
  const absolute = (toInt(flags) & TIMER_ABSTIME) !== 0;
  const offset = absolute ? clockOffset(kernelClock, clock) : -BigInt(kernelClock.nowNs);
  const expires = toKtime(seconds, nanoseconds) - offset;
  return new Nanosleep(expires, absolute, absolute ? 0 : rmtp).step(task);
}

/** nanosleep(2): clock_nanosleep by the monotonic clock. */
export function sysNanosleep(task: Task, rqtp: number, rmtp: number): number {
  return sysClockNanosleep(task, ClockId.MONOTONIC, 0, rqtp, rmtp);
}

/** `do_nanosleep`, and `hrtimer_nanosleep_restart`. */
class Nanosleep extends SleepingCall implements SyscallRegs {
  /** ns since boot. */
  readonly expires: bigint;
  readonly absolute: boolean;
  /** Where the rest goes after a signal; 0 for nowhere. */
  readonly rmtp: number;

  constructor(expires: bigint, absolute: boolean, rmtp: number) {
    super();
    this.expires = expires;
    this.absolute = absolute;
    this.rmtp = rmtp;
  }

  override step(task: Task): number {
    const left = this.expires - BigInt(task.kernel.clock.nowNs);
    if (left <= 0n) return 0;
    if (task.signalPending) return this.#interrupted(task, left);
    const deadlineNs = Number(this.expires);
    return task.sleep(this, TaskState.INTERRUPTIBLE, Number.isSafeInteger(deadlineNs) ? deadlineNs : FOREVER);
  }

  #interrupted(task: Task, left: bigint): number {
    if (this.absolute) return -Errno.ERESTARTNOHAND;
    const error = this.rmtp === 0 ? 0 : putTimespec(task, this.rmtp, left);
    if (error !== 0) return error;
    task.restartBlock = this;
    return -Errno.ERESTART_RESTARTBLOCK;
  }

  execute(task: Task): number {
    return this.step(task);
  }
}
