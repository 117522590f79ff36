/**
 * futex(2): wait, wake and requeue.
 *
 * Counterpart: `kernel/futex/syscalls.c` (`do_futex`).
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import {
  checkFutexAddress,
  checkFutexValue,
  FutexWait,
  futexRequeue,
  futexWake,
  MATCH_ANY,
} from "../kernel/sched/futex.ts";
import type { Task } from "../kernel/sched/task.ts";
import { clockOffset, timespecValid, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { ClockId } from "../kernel/uapi/time.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const Op = { WAIT: 0, WAKE: 1, REQUEUE: 3, CMP_REQUEUE: 4, WAIT_BITSET: 9, WAKE_BITSET: 10, LAST: 13 } as const;
const PRIVATE = 128;
const CLOCK_REALTIME = 256;
const COMMAND: number = ~(PRIVATE | CLOCK_REALTIME);
/** Operations that allow the clock of the day: WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2. */
const WITH_REALTIME: ReadonlySet<number> = new Set([9, 11, 13]);
const TIMESPEC_SIZE = 16;
const FOREVER = -1;

const scratch = new Uint8Array(TIMESPEC_SIZE);
const view = new DataView(scratch.buffer);

/**
 * futex(2).
 *
 * @param utime - for the waits the address of a timespec, 0 for ever: a span for WAIT, a point of time for WAIT_BITSET.
 *   For the requeues it is how many of those who are not woken move to `uaddr2`.
 * @returns 0 when woken; the number of those woken, and moved.
 * @errno EAGAIN - the word has another value. ETIMEDOUT, EINTR - the wait was in vain. EINVAL - the address, the time, no bits,
 *   or a negative number of those to requeue. EFAULT - an address. ENOSYS - an unknown operation, or one that does not know the clock of the day.
 * @throws Unmodelled - WAKE_OP, priority inheritance.
 * @kernel kernel/futex/syscalls.c `futex`
 */
export function sysFutex(
  task: Task,
  uaddr: number,
  op: number,
  val: number,
  utime: number,
  uaddr2: number,
  val3: number,
): number {
  const operation = toInt(op);
  const command = operation & COMMAND;
  const shared = (operation & PRIVATE) === 0;
  const isWait = command === Op.WAIT || command === Op.WAIT_BITSET;
  const bitset = command === Op.WAIT_BITSET || command === Op.WAKE_BITSET ? toInt(val3) : MATCH_ANY;
  let deadlineNs: number = FOREVER;
  if (isWait && utime !== 0) {
    const deadline = readDeadline(task, utime, command === Op.WAIT, (operation & CLOCK_REALTIME) !== 0);
    if (deadline < 0n) return Number(deadline);
    deadlineNs = Number.isSafeInteger(Number(deadline)) ? Number(deadline) : FOREVER;
  }
  if ((operation & CLOCK_REALTIME) !== 0 && !WITH_REALTIME.has(command)) return -Errno.ENOSYS;
  if (command < 0 || command > Op.LAST || command === 2) return -Errno.ENOSYS;
  if (command === Op.REQUEUE || command === Op.CMP_REQUEUE) {
    const expected = command === Op.CMP_REQUEUE ? toInt(val3) : null;
    return requeue(task, uaddr, uaddr2, toInt(val), toInt(utime), expected, shared);
  }
  if (!isWait && command !== Op.WAKE && command !== Op.WAKE_BITSET) throw new Unmodelled(`futex operation ${command}`);
  if (bitset === 0) return EINVAL;
  const error = checkFutexAddress(task, uaddr, shared);
  if (error !== 0) return error;
  if (isWait) return new FutexWait(task, uaddr, toInt(val), deadlineNs, bitset, shared).execute(task);
  return futexWake(task, uaddr, toInt(val), bitset, shared);
}

/** `futex_requeue`. @param expected - what the word must be, or null */
function requeue(
  task: Task,
  uaddr: number,
  uaddr2: number,
  wakeMax: number,
  requeueMax: number,
  expected: number | null,
  shared: boolean,
): number {
  if (wakeMax < 0 || requeueMax < 0) return EINVAL;
  const error = checkFutexAddress(task, uaddr, shared) || checkFutexAddress(task, uaddr2, shared);
  if (error !== 0) return error;
  const differs = expected === null ? 0 : checkFutexValue(task, uaddr, expected);
  return differs === 0 ? futexRequeue(task, uaddr, uaddr2, wakeMax, requeueMax, shared) : differs;
}

/** `futex_init_timeout`. @returns ns since boot, or a negative errno. */
function readDeadline(task: Task, utime: number, isSpan: boolean, realtime: boolean): bigint {
  const { mm } = task.process;
  const { clock } = task.kernel;
  if (mm.copyFromUser(scratch, 0, utime, TIMESPEC_SIZE) < TIMESPEC_SIZE) return BigInt(mm.fault());
  const seconds = view.getBigInt64(0, true);
  const nanoseconds = view.getBigInt64(8, true);
  if (!timespecValid(seconds, nanoseconds)) return BigInt(EINVAL);
  const time = toKtime(seconds, nanoseconds);
  if (isSpan) return BigInt(clock.nowNs) + time;
  const point = realtime ? time - clockOffset(clock, ClockId.REALTIME) : time;
  return point < 0n ? 0n : point;
}
