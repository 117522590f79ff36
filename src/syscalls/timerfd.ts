/**
 * timerfd_create, timerfd_settime, timerfd_gettime.
 *
 * Counterpart: `fs/timerfd.c`.
 */
import { TimerfdCtx } from "../kernel/fs/timerfd.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { ClockId, Tfd } from "../kernel/uapi/time.ts";
import { installNew } from "./install.ts";
import { getItimerspec64, putItimerspec64 } from "./itimerspec.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const CLOCKS: ReadonlySet<number> = new Set<number>([
  ClockId.REALTIME,
  ClockId.MONOTONIC,
  ClockId.BOOTTIME,
  ClockId.REALTIME_ALARM,
  ClockId.BOOTTIME_ALARM,
]);

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
  const { files, privileged } = task.process;
  const spec = getItimerspec64(task, utmr);
  if (typeof spec === "number") return spec;
  const wanted = toInt(flags);
  if ((wanted & ~(Tfd.TIMER_ABSTIME | Tfd.TIMER_CANCEL_ON_SET)) !== 0) return EINVAL;
  if (spec === null) return EINVAL;
  const file = files.get(toInt(ufd));
  if (file === null) return -Errno.EBADF;
  if (!(file instanceof TimerfdCtx)) return EINVAL;
  if (isAlarm(file.clockId) && !privileged) return -Errno.EPERM;
  const old = file.settime(wanted, spec.value, spec.interval);
  return otmr === 0 ? 0 : putItimerspec64(task, otmr, old);
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
  return putItimerspec64(task, otmr, file.gettime());
}
