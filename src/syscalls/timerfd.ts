/**
 * timerfd_create, timerfd_settime, timerfd_gettime.
 *
 * Counterpart: `fs/timerfd.c`.
 */
import { type Itimer, TimerfdCtx } from "../kernel/fs/timerfd.ts";
import type { Task } from "../kernel/sched/task.ts";
import { NSEC_PER_SEC, timespecValid, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { ClockId, Tfd } from "../kernel/uapi/time.ts";
import { installNew } from "./install.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const ITIMERSPEC_SIZE = 32;
const CLOCKS: ReadonlySet<number> = new Set<number>([
  ClockId.REALTIME,
  ClockId.MONOTONIC,
  ClockId.BOOTTIME,
  ClockId.REALTIME_ALARM,
  ClockId.BOOTTIME_ALARM,
]);

const scratch = new Uint8Array(ITIMERSPEC_SIZE);
const view = new DataView(scratch.buffer);

function isAlarm(clockId: number): boolean {
  return clockId === ClockId.REALTIME_ALARM || clockId === ClockId.BOOTTIME_ALARM;
}

/**
 * timerfd_create(2).
 *
 * @errno EINVAL - an unknown flag or clock. EPERM - an alarm clock without CAP_WAKE_ALARM. EMFILE - no descriptor is free.
 * @kernel fs/timerfd.c `timerfd_create`
 * @behaviour T-11
 */
export function sysTimerfdCreate(task: Task, clockId: number, flags: number): number {
  const clock = toInt(clockId);
  const wanted = toInt(flags);
  if ((wanted & ~(Tfd.NONBLOCK | Tfd.CLOEXEC)) !== 0 || !CLOCKS.has(clock)) return EINVAL;
  if (isAlarm(clock) && !task.process.privileged) return -Errno.EPERM;
  const file = new TimerfdCtx(task.kernel, clock, wanted & Tfd.NONBLOCK);
  return installNew(task, file, (wanted & Tfd.CLOEXEC) !== 0);
}

/**
 * timerfd_settime(2).
 *
 * @param utmr - address of the new setting. @param otmr - where to store the old one; 0 for nowhere.
 * @errno EFAULT - `utmr`, before anything; `otmr`, with the timer set. EINVAL - an unknown flag, a time out of range, or not a
 *   timerfd. EBADF - not open. EPERM - an alarm clock without CAP_WAKE_ALARM.
 * @kernel fs/timerfd.c `do_timerfd_settime`
 * @behaviour T-07, T-08, T-09, T-11
 */
export function sysTimerfdSettime(task: Task, ufd: number, flags: number, utmr: number, otmr: number): number {
  const { files, mm, privileged } = task.process;
  if (mm.copyFromUser(scratch, 0, utmr, ITIMERSPEC_SIZE) < ITIMERSPEC_SIZE) return mm.fault();
  const [intervalSec, intervalNsec, valueSec, valueNsec] = [0, 8, 16, 24].map((at) => view.getBigInt64(at, true)) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const wanted = toInt(flags);
  if ((wanted & ~(Tfd.TIMER_ABSTIME | Tfd.TIMER_CANCEL_ON_SET)) !== 0) return EINVAL;
  if (!timespecValid(valueSec, valueNsec) || !timespecValid(intervalSec, intervalNsec)) return EINVAL;
  const file = files.get(toInt(ufd));
  if (file === null) return -Errno.EBADF;
  if (!(file instanceof TimerfdCtx)) return EINVAL;
  if (isAlarm(file.clockId) && !privileged) return -Errno.EPERM;
  const old = file.settime(wanted, toKtime(valueSec, valueNsec), toKtime(intervalSec, intervalNsec));
  return otmr === 0 ? 0 : putItimer(task, otmr, old);
}

/**
 * timerfd_gettime(2).
 *
 * @errno EBADF - not open. EINVAL - not a timerfd. EFAULT - the address.
 * @kernel fs/timerfd.c `do_timerfd_gettime`
 * @behaviour T-06, T-08, T-11
 */
export function sysTimerfdGettime(task: Task, ufd: number, otmr: number): number {
  const file = task.process.files.get(toInt(ufd));
  if (file === null) return -Errno.EBADF;
  if (!(file instanceof TimerfdCtx)) return EINVAL;
  return putItimer(task, otmr, file.gettime());
}

/** `put_itimerspec64`. */
function putItimer(task: Task, addr: number, { value, interval }: Itimer): number {
  const { mm } = task.process;
  view.setBigInt64(0, interval / NSEC_PER_SEC, true);
  view.setBigInt64(8, interval % NSEC_PER_SEC, true);
  view.setBigInt64(16, value / NSEC_PER_SEC, true);
  view.setBigInt64(24, value % NSEC_PER_SEC, true);
  return mm.copyToUser(addr, scratch, 0, ITIMERSPEC_SIZE) === ITIMERSPEC_SIZE ? 0 : mm.fault();
}
