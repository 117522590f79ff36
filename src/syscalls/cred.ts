/**
 * Who a process is: its parent and its users.
 *
 * Counterpart: `kernel/sys.c` (`setresuid`, `setuid`, `getppid`).
 * A thread has credentials of its own in Linux; here they belong to the process, so one with several threads cannot change them.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { toInt, toUint } from "./registers.ts";

/** "Leave this one as it is." */
const KEEP = 0xffff_ffff;

/** getppid(2). @returns 0 when the parent is outside the model. @kernel kernel/sys.c `getppid` */
export function sysGetppid(task: Task): number {
  return task.process.parent?.tgid ?? 0;
}

/** getuid(2): the real user, who pays for epoll items. @kernel kernel/sys.c `getuid` @behaviour E-196 */
export function sysGetuid(task: Task): number {
  return task.process.user.uid;
}

/** geteuid(2): the user whose rights count. @kernel kernel/sys.c `geteuid` */
export function sysGeteuid(task: Task): number {
  return task.process.euid;
}

/**
 * setresuid(2). -1 keeps a user.
 *
 * @errno EPERM - not root, and a user that is none of the present three.
 * @throws Unmodelled - the process has several threads.
 * @kernel kernel/sys.c `__sys_setresuid`
 * @behaviour E-196
 */
export function sysSetresuid(task: Task, ruid: number, euid: number, suid: number): number {
  const { process, kernel } = task;
  const wanted = [toUint(ruid), toUint(euid), toUint(suid)];
  const present = [process.user.uid, process.euid, process.suid];
  if (!process.privileged && wanted.some((uid) => uid !== KEEP && !present.includes(uid))) return -Errno.EPERM;
  const [real, effective, saved] = wanted.map((uid, i) => (uid === KEEP ? present[i] : uid)) as [
    number,
    number,
    number,
  ];
  if ([real, effective, saved].every((uid, i) => uid === present[i])) return 0;
  if (process.threads.length > 1) throw new Unmodelled("setresuid by one of several threads");
  process.user = kernel.user(real);
  process.euid = effective;
  process.suid = saved;
  return 0;
}

/**
 * setuid(2): all three by root, the effective one by anybody else.
 *
 * @errno EPERM - not root, and neither the real nor the saved user. EINVAL - -1.
 * @throws Unmodelled - the process has several threads.
 * @kernel kernel/sys.c `__sys_setuid`
 */
export function sysSetuid(task: Task, uid: number): number {
  const { process } = task;
  const wanted = toInt(uid);
  if (wanted === -1) return -Errno.EINVAL;
  if (process.privileged) return sysSetresuid(task, wanted, wanted, wanted);
  if (toUint(uid) !== process.user.uid && toUint(uid) !== process.suid) return -Errno.EPERM;
  return sysSetresuid(task, -1, wanted, -1);
}
