/**
 * signalfd and signalfd4.
 *
 * Counterpart: `fs/signalfd.c` (`do_signalfd4`).
 */
import { SignalfdCtx } from "../kernel/fs/signalfd.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Sfd } from "../kernel/uapi/signal.ts";
import { installNew } from "./install.ts";
import { toInt } from "./registers.ts";
import { importSigset } from "./signal.ts";

/**
 * signalfd4(2).
 *
 * @param ufd - -1 for a new one; else a signalfd, which gets another mask and wakes its waiters.
 * @errno EINVAL - sizemask, an unknown flag, or `ufd` is no signalfd. EFAULT - the mask. EBADF - `ufd` is not open. EMFILE - no
 *   descriptor is free.
 * @kernel fs/signalfd.c `do_signalfd4`
 * @behaviour S-07, S-08
 */
export function sysSignalfd4(task: Task, ufd: number, userMask: number, sizemask: number, flags: number): number {
  const mask = importSigset(task, userMask, sizemask);
  if (typeof mask === "number") return mask;
  const wanted = toInt(flags);
  if ((wanted & ~(Sfd.CLOEXEC | Sfd.NONBLOCK)) !== 0) return -Errno.EINVAL;
  const fd = toInt(ufd);
  if (fd === -1) {
    const file = new SignalfdCtx(task.kernel, mask, wanted & Sfd.NONBLOCK);
    return installNew(task, file, (wanted & Sfd.CLOEXEC) !== 0);
  }
  const file = task.process.files.get(fd);
  if (file === null) return -Errno.EBADF;
  if (!(file instanceof SignalfdCtx)) return -Errno.EINVAL;
  file.setMask(mask);
  file.wakeUp(task.process.sighand.signalfdWqh, 1, 0);
  return fd;
}

/** signalfd(2): signalfd4 without flags. @errno as signalfd4. @kernel fs/signalfd.c `signalfd` */
export function sysSignalfd(task: Task, ufd: number, userMask: number, sizemask: number): number {
  return sysSignalfd4(task, ufd, userMask, sizemask, 0);
}
