/**
 * `struct itimerspec64` in user memory, as timerfds and POSIX timers are set and read.
 *
 * Counterpart: `kernel/time/time.c` (`get_itimerspec64`, `put_itimerspec64`).
 */
import type { Task } from "../kernel/sched/task.ts";
import { type Itimerspec, NSEC_PER_SEC, timespecValid, toKtime } from "../kernel/time/timekeeping.ts";

const ITIMERSPEC_SIZE = 32;

const scratch = new Uint8Array(ITIMERSPEC_SIZE);
const view = new DataView(scratch.buffer);

/** @returns the setting; null when one of its times is out of range; a negative errno. @errno EFAULT - the address. */
export function getItimerspec64(task: Task, addr: number): Itimerspec | null | number {
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, ITIMERSPEC_SIZE) < ITIMERSPEC_SIZE) return mm.fault();
  const interval = timespec(0);
  const value = timespec(16);
  return interval === null || value === null ? null : { value, interval };
}

/** @returns 0, or a negative errno. @errno EFAULT - the address. */
export function putItimerspec64(task: Task, addr: number, { value, interval }: Itimerspec): number {
  const { mm } = task.process;
  view.setBigInt64(0, interval / NSEC_PER_SEC, true);
  view.setBigInt64(8, interval % NSEC_PER_SEC, true);
  view.setBigInt64(16, value / NSEC_PER_SEC, true);
  view.setBigInt64(24, value % NSEC_PER_SEC, true);
  return mm.copyToUser(addr, scratch, 0, ITIMERSPEC_SIZE) === ITIMERSPEC_SIZE ? 0 : mm.fault();
}

/** As a ktime; null when it is out of range. */
function timespec(offset: number): bigint | null {
  const seconds = view.getBigInt64(offset, true);
  const nanoseconds = view.getBigInt64(offset + 8, true);
  return timespecValid(seconds, nanoseconds) ? toKtime(seconds, nanoseconds) : null;
}
