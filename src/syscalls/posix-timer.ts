/**
 * timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete.
 *
 * Counterpart: `kernel/time/posix-timers.c`.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { PosixTimer } from "../kernel/signal/posix-timer.ts";
import { SigInfo } from "../kernel/signal/sigpending.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Si, Sig } from "../kernel/uapi/signal.ts";
import { ClockId, TIMER_ABSTIME } from "../kernel/uapi/time.ts";
import { getItimerspec64, putItimerspec64 } from "./itimerspec.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const SIGEVENT_SIZE = 64;
/** `SIGEV_SIGNAL` and so on. */
const Sigev = { SIGNAL: 0, NONE: 1, THREAD: 2, THREAD_ID: 4 } as const;
const CLOCKS: ReadonlySet<number> = new Set<number>([
  ClockId.REALTIME,
  ClockId.MONOTONIC,
  ClockId.BOOTTIME,
  ClockId.TAI,
]);
/** Clocks of the time that a process or a thread has run, which the model does not count. */
const CPU_CLOCKS: ReadonlySet<number> = new Set<number>([ClockId.PROCESS_CPUTIME_ID, ClockId.THREAD_CPUTIME_ID]);
/** Clocks whose timers take a device that can wake the machine; the reference machine has none. */
const ALARM_CLOCKS: ReadonlySet<number> = new Set<number>([ClockId.REALTIME_ALARM, ClockId.BOOTTIME_ALARM]);
/** Clocks that can be read, and no more. */
const NO_TIMERS: ReadonlySet<number> = new Set<number>([
  ClockId.MONOTONIC_RAW,
  ClockId.REALTIME_COARSE,
  ClockId.MONOTONIC_COARSE,
]);

const scratch = new Uint8Array(SIGEVENT_SIZE);
const view = new DataView(scratch.buffer);

/**
 * timer_create(2).
 *
 * @param event - address of a sigevent; 0 for SIGALRM to the process. @param created - where to store the id.
 * @errno EINVAL - no such clock, or a sigevent that makes no sense. EOPNOTSUPP - a clock without timers; an alarm clock, which
 *   uses up a number all the same. EFAULT - an address.
 * @throws Unmodelled - clocks of the CPU time of others.
 * @kernel kernel/time/posix-timers.c `do_timer_create`
 */
export function sysTimerCreate(task: Task, clockId: number, event: number, created: number): number {
  const { process, kernel } = task;
  const { mm } = process;
  if (event !== 0 && mm.copyFromUser(scratch, 0, event, SIGEVENT_SIZE) < SIGEVENT_SIZE) return mm.fault();
  const clock = toInt(clockId);
  if (NO_TIMERS.has(clock)) return -Errno.EOPNOTSUPP;
  if (clock < -1) throw new Unmodelled(`timer_create with clock ${clock}`);
  if (!CLOCKS.has(clock) && !CPU_CLOCKS.has(clock) && !ALARM_CLOCKS.has(clock)) return EINVAL;
  const id = process.nextTimerId;
  process.nextTimerId += 1;
  const target = event === 0 ? standardTarget(id) : readSigevent(task, id);
  if (target === null) return EINVAL;
  if (!mm.putUser32(created, id)) return -Errno.EFAULT;
  if (ALARM_CLOCKS.has(clock)) return -Errno.EOPNOTSUPP;
  process.posixTimers.set(id, new PosixTimer(process, kernel.clock, id, clock, target.info, target.thread));
  return 0;
}

interface SignalTarget {
  /** Null for SIGEV_NONE. */
  readonly info: SigInfo | null;
  readonly thread: Task | null;
}

function timerInfo(sig: number, id: number, value: bigint): SigInfo {
  const info = new SigInfo(sig, Si.TIMER);
  info.timerId = id;
  info.value = value;
  return info;
}

function standardTarget(id: number): SignalTarget {
  return { info: timerInfo(Sig.ALRM, id, BigInt(id)), thread: null };
}

/** `good_sigevent`, of the sigevent in `scratch`. */
function readSigevent(task: Task, id: number): SignalTarget | null {
  const value = view.getBigUint64(0, true);
  const sig = view.getInt32(8, true);
  const notify = view.getInt32(12, true);
  if (notify === Sigev.NONE) return { info: null, thread: null };
  if (notify !== Sigev.SIGNAL && notify !== Sigev.THREAD && notify !== Sigev.THREAD_ID) return null;
  if (sig < 1 || sig > Sig.MAX) return null;
  const info = timerInfo(sig, id, value);
  if (notify !== Sigev.THREAD_ID) return { info, thread: null };
  const thread = task.kernel.pids.get(view.getInt32(16, true))?.task ?? null;
  return thread !== null && thread.process === task.process ? { info, thread } : null;
}

/**
 * timer_settime(2).
 *
 * @param setting - address of the new setting. @param old - where to store the old one, or 0.
 * @errno EINVAL - no setting, a time out of range, no such timer. EFAULT - either address; for the second the timer is set.
 * @throws Unmodelled - a timer by CPU time is started.
 * @kernel kernel/time/posix-timers.c `do_timer_settime`
 */
export function sysTimerSettime(task: Task, timerId: number, flags: number, setting: number, old: number): number {
  if (setting === 0) return EINVAL;
  const spec = getItimerspec64(task, setting);
  if (typeof spec === "number") return spec;
  const timer = task.process.posixTimers.get(toInt(timerId));
  if (spec === null || timer === undefined) return EINVAL;
  const { value, interval } = spec;
  if (value > 0n && CPU_CLOCKS.has(timer.clockId)) throw new Unmodelled("a timer that counts CPU time");
  const before = timer.get();
  timer.set(value, interval, (toInt(flags) & TIMER_ABSTIME) !== 0);
  return old === 0 ? 0 : putItimerspec64(task, old, before);
}

/**
 * timer_gettime(2).
 *
 * @errno EINVAL - no such timer. EFAULT - the address.
 * @kernel kernel/time/posix-timers.c `do_timer_gettime`
 */
export function sysTimerGettime(task: Task, timerId: number, setting: number): number {
  const timer = task.process.posixTimers.get(toInt(timerId));
  return timer === undefined ? EINVAL : putItimerspec64(task, setting, timer.get());
}

/**
 * timer_getoverrun(2).
 *
 * @returns expiries that the latest signal stands for besides the first. @errno EINVAL - no such timer.
 * @kernel kernel/time/posix-timers.c `timer_getoverrun`
 */
export function sysTimerGetoverrun(task: Task, timerId: number): number {
  return task.process.posixTimers.get(toInt(timerId))?.getoverrun() ?? EINVAL;
}

/** timer_delete(2). @errno EINVAL - no such timer. @kernel kernel/time/posix-timers.c `timer_delete` */
export function sysTimerDelete(task: Task, timerId: number): number {
  const timer = task.process.posixTimers.get(toInt(timerId));
  if (timer === undefined) return EINVAL;
  timer.delete();
  return 0;
}
