/**
 * alarm, getitimer, setitimer.
 *
 * Counterpart: `kernel/time/itimer.c`.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Itimers } from "../kernel/signal/itimer.ts";
import { type Itimerspec, NSEC_PER_SEC, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { toInt, toUint } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const ITIMERVAL_SIZE = 32;
const NSEC_PER_USEC = 1000n;
const USEC_PER_SEC = 1_000_000n;
/** ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. */
const ITIMER_REAL = 0;
const ITIMER_LAST = 2;
const NOT_SET: Itimerspec = { value: 0n, interval: 0n };

const scratch = new Uint8Array(ITIMERVAL_SIZE);
const view = new DataView(scratch.buffer);

function realTimer({ process, kernel }: Task): Itimers {
  process.itimers ??= new Itimers(process, kernel.clock);
  return process.itimers;
}

/**
 * alarm(2): SIGALRM after some seconds; 0 for none.
 *
 * @returns seconds that were left of an earlier one, rounded, but at least 1.
 * @kernel kernel/time/itimer.c `alarm_setitimer`
 */
export function sysAlarm(task: Task, seconds: number): number {
  const timer = realTimer(task);
  const { value } = timer.get();
  timer.set(BigInt(toUint(seconds)) * NSEC_PER_SEC, 0n);
  const usec = (value % NSEC_PER_SEC) / NSEC_PER_USEC;
  const left = Number(value / NSEC_PER_SEC);
  return (left === 0 && usec > 0n) || usec >= USEC_PER_SEC / 2n ? left + 1 : left;
}

/**
 * getitimer(2).
 *
 * @errno EINVAL - no such timer. EFAULT - the address.
 * @kernel kernel/time/itimer.c `do_getitimer`
 */
export function sysGetitimer(task: Task, which: number, value: number): number {
  const timer = toInt(which);
  if (timer < ITIMER_REAL || timer > ITIMER_LAST) return EINVAL;
  return putItimer(task, value, timer === ITIMER_REAL ? realTimer(task).get() : NOT_SET);
}

/**
 * setitimer(2). A null new value clears the timer.
 *
 * @param value - address of the new setting. @param ovalue - where to store the old one, or 0.
 * @errno EFAULT - either address; for the second the timer is set. EINVAL - no such timer, or a time out of range.
 * @throws Unmodelled - a timer of CPU time.
 * @kernel kernel/time/itimer.c `do_setitimer`
 */
export function sysSetitimer(task: Task, which: number, value: number, ovalue: number): number {
  const { mm } = task.process;
  scratch.fill(0);
  if (value !== 0 && mm.copyFromUser(scratch, 0, value, ITIMERVAL_SIZE) < ITIMERVAL_SIZE) return mm.fault();
  const interval = readTimeval(0);
  const next = readTimeval(16);
  if (interval === null || next === null) return EINVAL;
  const timer = toInt(which);
  if (timer < ITIMER_REAL || timer > ITIMER_LAST) return EINVAL;
  let old = NOT_SET;
  if (timer === ITIMER_REAL) {
    old = realTimer(task).get();
    realTimer(task).set(next, interval);
  } else if (next !== 0n) {
    throw new Unmodelled("setitimer of a timer of CPU time");
  }
  return ovalue === 0 ? 0 : putItimer(task, ovalue, old);
}

/** A `struct timeval` in `scratch`, in ns; null when it is out of range. */
function readTimeval(offset: number): bigint | null {
  const seconds = view.getBigInt64(offset, true);
  const usec = view.getBigInt64(offset + 8, true);
  if (seconds < 0n || usec < 0n || usec >= USEC_PER_SEC) return null;
  return toKtime(seconds, usec * NSEC_PER_USEC);
}

/** `put_itimerval`. */
function putItimer(task: Task, addr: number, { value, interval }: Itimerspec): number {
  const { mm } = task.process;
  for (const [offset, ns] of [
    [0, interval],
    [16, value],
  ] as const) {
    view.setBigInt64(offset, ns / NSEC_PER_SEC, true);
    view.setBigInt64(offset + 8, (ns % NSEC_PER_SEC) / NSEC_PER_USEC, true);
  }
  return mm.copyToUser(addr, scratch, 0, ITIMERVAL_SIZE) === ITIMERVAL_SIZE ? 0 : mm.fault();
}
