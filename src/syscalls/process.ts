/**
 * getpid, gettid, and the limit on descriptors.
 *
 * Counterpart: `kernel/sys.c`.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { toInt, toUint } from "./registers.ts";

const RLIMIT_NOFILE = 7;
const RLIM_NLIMITS = 16;
const RLIMIT_SIZE = 16;

const scratch = new Uint8Array(RLIMIT_SIZE);
const view = new DataView(scratch.buffer);

/** getpid(2). @returns the number of the caller's process. */
export function sysGetpid(task: Task): number {
  return task.process.tgid;
}

/** gettid(2). @returns the number of the calling thread. */
export function sysGettid(task: Task): number {
  return task.tid;
}

/**
 * prlimit64(2) of RLIMIT_NOFILE for the caller's own process. A lower limit leaves open descriptors above it usable.
 *
 * @param newRlim - address of the new limits, or 0. @param oldRlim - where to store the old ones, or 0.
 * @errno EFAULT - either address; for the second the change has happened. EINVAL - no such limit, or soft above hard.
 *   EPERM - hard above fs.nr_open, or raised without CAP_SYS_RESOURCE.
 * @throws Unmodelled for other limits and other processes.
 * @kernel kernel/sys.c `prlimit64`, `do_prlimit`
 * @behaviour F-06
 */
export function sysPrlimit64(task: Task, pid: number, resource: number, newRlim: number, oldRlim: number): number {
  const { process } = task;
  const { files, mm } = process;
  const change = newRlim !== 0;
  if (change && mm.copyFromUser(scratch, 0, newRlim, RLIMIT_SIZE) < RLIMIT_SIZE) return mm.fault();
  const soft = Number(view.getBigUint64(0, true));
  const hard = Number(view.getBigUint64(8, true));
  const target = toInt(pid);
  if (target !== 0 && target !== process.tgid && target !== task.tid)
    throw new Unmodelled(`prlimit64 of pid ${target}`);
  const which = toUint(resource);
  if (which >= RLIM_NLIMITS) return -Errno.EINVAL;
  if (which !== RLIMIT_NOFILE) throw new Unmodelled(`prlimit64(${which})`);
  const oldSoft = files.nofile;
  const oldHard = process.nofileMax;
  if (change) {
    if (soft > hard) return -Errno.EINVAL;
    if (hard > task.kernel.sysctl.get("fs.nr_open")) return -Errno.EPERM;
    if (hard > oldHard && !process.capSysResource) return -Errno.EPERM;
    files.nofile = soft;
    process.nofileMax = hard;
  }
  if (oldRlim === 0) return 0;
  view.setBigUint64(0, BigInt(oldSoft), true);
  view.setBigUint64(8, BigInt(oldHard), true);
  return mm.copyToUser(oldRlim, scratch, 0, RLIMIT_SIZE) === RLIMIT_SIZE ? 0 : mm.fault();
}
