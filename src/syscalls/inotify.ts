/**
 * inotify_init, inotify_add_watch, inotify_rm_watch.
 *
 * Counterpart: `fs/notify/inotify/inotify_user.c`.
 */
import { DirInode } from "../kernel/fs/dir.ts";
import { InotifyGroup } from "../kernel/fs/inotify.ts";
import { inodePermission, kernPath } from "../kernel/fs/namei.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { IN_ALL_EVENTS, In } from "../kernel/uapi/inotify.ts";
import { installNew } from "./install.ts";
import { getname } from "./open.ts";
import { toInt } from "./registers.ts";

const INIT_FLAGS = Open.CLOEXEC | Open.NONBLOCK;
const ALL_INOTIFY_BITS =
  IN_ALL_EVENTS |
  In.UNMOUNT |
  In.Q_OVERFLOW |
  In.IGNORED |
  In.ONLYDIR |
  In.DONT_FOLLOW |
  In.EXCL_UNLINK |
  In.MASK_ADD |
  In.ISDIR |
  In.ONESHOT |
  In.MASK_CREATE;
const MAY_READ = 4;

/**
 * inotify_init1(2).
 *
 * @errno EINVAL - a flag besides IN_CLOEXEC and IN_NONBLOCK. EMFILE - no descriptor is free.
 * @kernel fs/notify/inotify/inotify_user.c `do_inotify_init`
 * @behaviour I-07
 */
export function sysInotifyInit1(task: Task, flags: number): number {
  const bits = toInt(flags);
  if ((bits & ~INIT_FLAGS) !== 0) return -Errno.EINVAL;
  const group = new InotifyGroup(task.kernel, bits & Open.NONBLOCK);
  return installNew(task, group, (bits & Open.CLOEXEC) !== 0);
}

/** inotify_init(2). @errno EMFILE - no descriptor is free. */
export function sysInotifyInit(task: Task): number {
  return sysInotifyInit1(task, 0);
}

/**
 * inotify_add_watch(2).
 *
 * @returns the number of the watch.
 * @errno EINVAL - the mask, or fd is no inotify. EBADF - fd. ENOENT, ENOTDIR, EACCES, EFAULT - the path. EEXIST -
 *   IN_MASK_CREATE of what is watched already.
 * @kernel fs/notify/inotify/inotify_user.c `inotify_add_watch`
 * @behaviour I-04, I-07
 */
export function sysInotifyAddWatch(task: Task, fd: number, pathname: number, mask: number): number {
  const bits = toInt(mask);
  if ((bits & ~ALL_INOTIFY_BITS) !== 0 || (bits & ALL_INOTIFY_BITS) === 0) return -Errno.EINVAL;
  const file = task.process.files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  if ((bits & In.MASK_ADD) !== 0 && (bits & In.MASK_CREATE) !== 0) return -Errno.EINVAL;
  if (!(file instanceof InotifyGroup)) return -Errno.EINVAL;
  const path = getname(task, pathname);
  if (typeof path === "number") return path;
  const inode = kernPath(task, task.kernel.rootfs(task).cwd, path);
  if (typeof inode === "number") return inode;
  if ((bits & In.ONLYDIR) !== 0 && !(inode instanceof DirInode)) return -Errno.ENOTDIR;
  if (!inodePermission(task, inode, MAY_READ)) return -Errno.EACCES;
  return file.updateWatch(inode, bits);
}

/**
 * inotify_rm_watch(2).
 *
 * @errno EBADF - fd. EINVAL - fd is no inotify, or no such watch.
 * @kernel fs/notify/inotify/inotify_user.c `inotify_rm_watch`
 * @behaviour I-05, I-07
 */
export function sysInotifyRmWatch(task: Task, fd: number, wd: number): number {
  const file = task.process.files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  return file instanceof InotifyGroup ? file.removeWatch(toInt(wd)) : -Errno.EINVAL;
}
