/**
 * poll, ppoll, select, pselect6.
 *
 * Counterpart: `fs/select.c` (the SYSCALL_DEFINEs, `poll_select_set_timeout`).
 */

import { PollCall } from "../kernel/fs/poll.ts";
import { SelectCall, TimeLeft } from "../kernel/fs/select.ts";
import type { Task } from "../kernel/sched/task.ts";
import { importSigmask, withSigmask } from "./epoll.ts";
import { toInt, toUint } from "./registers.ts";

const TIME_SIZE = 16;
const MSEC_PER_SEC = 1e3;
const NSEC_PER_MSEC = 1e6;
const NSEC_PER_USEC = 1e3;
const USEC_PER_SEC = 1e6;

const scratch = new Uint8Array(TIME_SIZE);
const view = new DataView(scratch.buffer);

/**
 * poll(2).
 *
 * @param timeoutMs - milliseconds; negative waits for ever.
 * @returns number of entries with events, 0 on time-out, `BLOCKED`.
 * @errno EINVAL - more entries than RLIMIT_NOFILE. EFAULT - the array. EINTR - a signal.
 * @kernel fs/select.c `poll`, `do_sys_poll`
 * @behaviour F-26, F-29
 */
export function sysPoll(task: Task, ufds: number, nfds: number, timeoutMs: number): number {
  const timeout = toInt(timeoutMs);
  const call = task.kernel.pollFree.pop() ?? new PollCall();
  if (timeout < 0) {
    call.setForever();
  } else {
    const rest = timeout % MSEC_PER_SEC;
    call.setTimeout(task, (timeout - rest) / MSEC_PER_SEC, rest * NSEC_PER_MSEC, TimeLeft.NONE, 0);
  }
  return call.start(task, ufds, toUint(nfds), true);
}

/**
 * ppoll(2). The rest of the time is stored back, which the C library hides.
 *
 * @param tsp - address of a timespec; 0 waits for ever.
 * @errno EFAULT - the timespec, the mask or the array. EINVAL - a timespec out of range, sigsetsize, or as poll.
 * @kernel fs/select.c `ppoll`
 * @behaviour F-26
 */
export function sysPpoll(
  task: Task,
  ufds: number,
  nfds: number,
  tsp: number,
  sigmask: number,
  sigsetsize: number,
): number {
  const call = task.kernel.pollFree.pop() ?? new PollCall();
  let error = importTimespec(task, call, tsp);
  if (error === 0) error = importSigmask(task, sigmask, sigsetsize);
  if (error !== 0) return call.abandon(task, error);
  return withSigmask(task, call.start(task, ufds, toUint(nfds), false));
}

/**
 * select(2). The rest of the time is stored back.
 *
 * @param tvp - address of a timeval; 0 waits for ever. A tv_usec of a second or more is normalised.
 * @returns number of bits set in the three sets, 0 on time-out, `BLOCKED`.
 * @errno EFAULT - the timeval or a set. EINVAL - n or the time is negative. EBADF - a set names a closed descriptor.
 *   EINTR - a signal.
 * @kernel fs/select.c `kern_select`
 * @behaviour F-27, F-28
 */
export function sysSelect(task: Task, n: number, inp: number, outp: number, exp: number, tvp: number): number {
  const call = task.kernel.selectFree.pop() ?? new SelectCall();
  if (tvp === 0) {
    call.setForever();
  } else {
    const { mm } = task.process;
    if (mm.copyFromUser(scratch, 0, tvp, TIME_SIZE) < TIME_SIZE) return call.abandon(task, mm.fault());
    const usec = Number(view.getBigInt64(8, true));
    const seconds = Number(view.getBigInt64(0, true)) + Math.trunc(usec / USEC_PER_SEC);
    const error = call.setTimeout(task, seconds, (usec % USEC_PER_SEC) * NSEC_PER_USEC, TimeLeft.TIMEVAL, tvp);
    if (error !== 0) return call.abandon(task, error);
  }
  return call.start(task, toInt(n), inp, outp, exp);
}

/**
 * pselect6(2).
 *
 * @param sig - address of a pointer to the signal mask and its size; 0 for none.
 * @errno EFAULT - `sig`, the timespec, the mask or a set. EINVAL - the timespec or the mask's size, or as select.
 * @kernel fs/select.c `pselect6`, `do_pselect`
 * @behaviour F-27, F-28
 */
export function sysPselect6(
  task: Task,
  n: number,
  inp: number,
  outp: number,
  exp: number,
  tsp: number,
  sig: number,
): number {
  const { mm } = task.process;
  let sigmask = 0;
  let sigsetsize = 0;
  if (sig !== 0) {
    if (mm.copyFromUser(scratch, 0, sig, TIME_SIZE) < TIME_SIZE) return mm.fault();
    sigmask = Number(view.getBigUint64(0, true));
    sigsetsize = Number(view.getBigUint64(8, true));
  }
  const call = task.kernel.selectFree.pop() ?? new SelectCall();
  let error = importTimespec(task, call, tsp);
  if (error === 0) error = importSigmask(task, sigmask, sigsetsize);
  if (error !== 0) return call.abandon(task, error);
  return withSigmask(task, call.start(task, toInt(n), inp, outp, exp));
}

/** `get_timespec64` and the time-out it sets; none at address 0. */
function importTimespec(task: Task, call: PollCall | SelectCall, tsp: number): number {
  if (tsp === 0) {
    call.setForever();
    return 0;
  }
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, tsp, TIME_SIZE) < TIME_SIZE) return mm.fault();
  const seconds = Number(view.getBigInt64(0, true));
  return call.setTimeout(task, seconds, Number(view.getBigInt64(8, true)), TimeLeft.TIMESPEC, tsp);
}
