/**
 * exit, exit_group, wait4, waitid.
 *
 * Counterpart: `kernel/exit.c`.
 */
import { PidfdFile } from "../kernel/fs/pidfd.ts";
import { doExit, doGroupExit } from "../kernel/sched/exit.ts";
import type { Task } from "../kernel/sched/task.ts";
import { WaitCall, type WaitEnd, type Waited, type WaitTarget } from "../kernel/sched/wait-child.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Sig } from "../kernel/uapi/signal.ts";
import { Wait, WaitFor } from "../kernel/uapi/wait.ts";
import { toInt } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const INT_MIN = -(2 ** 31);
const RUSAGE_SIZE = 144;
/** Bytes of a `siginfo_t` that waitid writes. */
const WAITID_INFO_SIZE = 28;
const WAIT4_OPTIONS = Wait.NOHANG | Wait.STOPPED | Wait.CONTINUED | Wait.NOTHREAD | Wait.CLONE | Wait.ALL;
const WAITID_OPTIONS = WAIT4_OPTIONS | Wait.NOWAIT | Wait.EXITED;

/** Nobody uses time here: every field of a `struct rusage` is 0. */
const noUsage = new Uint8Array(RUSAGE_SIZE);
const scratch = new Uint8Array(WAITID_INFO_SIZE);
const view = new DataView(scratch.buffer);

/** The wait status of a program that ends by itself. */
function exitCode(code: number): number {
  return (toInt(code) & 0xff) << 8;
}

/** exit(2): this thread ends. @returns `BLOCKED`: never. @kernel kernel/exit.c `do_exit` @behaviour E-135, D-03 */
export function sysExit(task: Task, code: number): number {
  return doExit(task, exitCode(code));
}

/** exit_group(2): the process ends. @returns `BLOCKED`: never. @kernel kernel/exit.c `do_group_exit` @behaviour E-135 */
export function sysExitGroup(task: Task, code: number): number {
  return doGroupExit(task, exitCode(code));
}

/**
 * wait4(2).
 *
 * @param upid - a process; -1 any; 0 or another negative number a process group.
 * @param stat - where to store the wait status, or 0. @param ru - where to store the resources used (none), or 0.
 * @returns the child's number; 0 under WNOHANG.
 * @errno EINVAL - options. ECHILD - no such child. ESRCH - the lowest number. EFAULT - an address; the child is gone.
 * @kernel kernel/exit.c `kernel_wait4`
 */
export function sysWait4(task: Task, upid: number, stat: number, options: number, ru: number): number {
  const wanted = toInt(options);
  if ((wanted & ~WAIT4_OPTIONS) !== 0) return EINVAL;
  const pid = toInt(upid);
  if (pid === INT_MIN) return -Errno.ESRCH;
  const target: WaitTarget = pid === -1 ? null : pid === 0 ? -task.process.pgid : pid;
  const end: WaitEnd = (waiter, outcome) => {
    if (typeof outcome === "number") return outcome;
    const { mm } = waiter.process;
    if (stat !== 0 && !mm.putUser32(stat, outcome.word)) return -Errno.EFAULT;
    return putUsage(waiter, ru) ? outcome.pid : -Errno.EFAULT;
  };
  return new WaitCall(target, wanted | Wait.EXITED, end).step(task);
}

function putUsage(task: Task, ru: number): boolean {
  return ru === 0 || task.process.mm.copyToUser(ru, noUsage, 0, RUSAGE_SIZE) === RUSAGE_SIZE;
}

/**
 * waitid(2).
 *
 * @param infop - where to store what SIGCHLD would tell, zeros if there is nothing to tell; or 0. @param ru - as wait4.
 * @errno EINVAL - options, or what the number means. ECHILD - no such child. EBADF - not a pidfd. EAGAIN - a pidfd with
 *   NONBLOCK, and nothing yet. EFAULT - an address, also where the call fails otherwise.
 * @kernel kernel/exit.c `kernel_waitid`
 * @behaviour D-05
 */
export function sysWaitid(task: Task, which: number, upid: number, infop: number, options: number, ru: number): number {
  const wanted = toInt(options);
  const prepared = prepareWaitid(task, toInt(which), toInt(upid), wanted);
  const again = typeof prepared !== "number" && prepared.nonblock && (wanted & Wait.NOHANG) === 0;
  const end: WaitEnd = (waiter, outcome) => {
    if (typeof outcome !== "number") {
      return putUsage(waiter, ru) && putInfo(waiter, infop, outcome) ? 0 : -Errno.EFAULT;
    }
    if (!putInfo(waiter, infop, null)) return -Errno.EFAULT;
    return outcome === 0 && again ? -Errno.EAGAIN : outcome;
  };
  if (typeof prepared === "number") return end(task, prepared);
  return new WaitCall(prepared.target, again ? wanted | Wait.NOHANG : wanted, end).step(task);
}

/** `kernel_waitid_prepare`. */
function prepareWaitid(
  { process }: Task,
  which: number,
  id: number,
  options: number,
): { target: WaitTarget; nonblock: boolean } | number {
  if ((options & ~WAITID_OPTIONS) !== 0) return EINVAL;
  if ((options & (Wait.EXITED | Wait.STOPPED | Wait.CONTINUED)) === 0) return EINVAL;
  switch (which) {
    case WaitFor.ALL:
      return { target: null, nonblock: false };
    case WaitFor.PID:
      return id <= 0 ? EINVAL : { target: id, nonblock: false };
    case WaitFor.PGID:
      return id < 0 ? EINVAL : { target: -(id === 0 ? process.pgid : id), nonblock: false };
    case WaitFor.PIDFD: {
      if (id < 0) return EINVAL;
      const file = process.files.get(id);
      return file instanceof PidfdFile ? { target: file.pidRef.nr, nonblock: file.nonblock } : -Errno.EBADF;
    }
    default:
      return EINVAL;
  }
}

function putInfo(task: Task, infop: number, found: Waited | null): boolean {
  if (infop === 0) return true;
  scratch.fill(0);
  if (found !== null) {
    view.setInt32(0, Sig.CHLD, true);
    view.setInt32(8, found.cause, true);
    view.setInt32(16, found.pid, true);
    view.setInt32(20, found.uid, true);
    view.setInt32(24, found.status, true);
  }
  // The padding between code and pid is left alone.
  const { mm } = task.process;
  return mm.copyToUser(infop, scratch, 0, 12) === 12 && mm.copyToUser(infop + 16, scratch, 16, 12) === 12;
}
