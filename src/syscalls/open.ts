/**
 * open, openat, mkdir, mknod, mknodat, unlink, unlinkat, memfd_create.
 *
 * Counterpart: `fs/open.c` (`do_sys_openat2`, `build_open_flags`), `fs/namei.c`, `mm/memfd.c`.
 */
import { DirInode } from "../kernel/fs/dir.ts";
import { FifoOpenCall } from "../kernel/fs/fifo.ts";
import { doFilpOpen, doMkdir, doMknod, doRmdir, doUnlink, mayMknod } from "../kernel/fs/namei.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { RegularFile, RegularInode } from "../kernel/fs/regular.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { AT_FDCWD, AT_REMOVEDIR, MemfdFlags, Open, PATH_MAX, Seal } from "../kernel/uapi/fcntl.ts";
import { installNew } from "./install.ts";
import { toInt, toUint } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
/** `VALID_OPEN_FLAGS`, `O_PATH_FLAGS`. */
const VALID_FLAGS =
  Open.ACCMODE |
  Open.CREAT |
  Open.EXCL |
  Open.NOCTTY |
  Open.TRUNC |
  Open.APPEND |
  Open.NONBLOCK |
  Open.SYNC |
  Open.DSYNC |
  Open.ASYNC |
  Open.DIRECT |
  Open.LARGEFILE |
  Open.DIRECTORY |
  Open.NOFOLLOW |
  Open.NOATIME |
  Open.CLOEXEC |
  Open.PATH |
  Open.TMPFILE;
const PATH_FLAGS = Open.DIRECTORY | Open.NOFOLLOW | Open.PATH | Open.CLOEXEC;
const PERMISSIONS = 0o7777;
const CHUNK = 64;
const MEMFD_NAME_MAX = 249;
const MEMFD_DEV = 0x1;
/** memfd_create takes the flags about execution since 6.3. */
const MEMFD_EXEC_SINCE = 6003;

const chunk = new Uint8Array(CHUNK);

/**
 * `getname`, `strncpy_from_user`: one character per byte.
 *
 * @errno EFAULT - no end before memory ends. ENAMETOOLONG - no end within `max` bytes.
 */
function userString(task: Task, addr: number, max: number): string | number {
  const { mm } = task.process;
  let text = "";
  while (text.length < max) {
    const want = Math.min(CHUNK, max - text.length);
    const copied = mm.copyFromUser(chunk, 0, addr + text.length, want);
    const end = chunk.subarray(0, copied).indexOf(0);
    text += String.fromCharCode(...chunk.subarray(0, end === -1 ? copied : end));
    if (end !== -1) return text;
    if (copied < want) return mm.fault();
  }
  return -Errno.ENAMETOOLONG;
}

/** A path. @errno ENOENT - it is empty; EFAULT, ENAMETOOLONG as `userString`. */
export function getname(task: Task, addr: number): string | number {
  const path = userString(task, addr, PATH_MAX);
  return path === "" ? -Errno.ENOENT : path;
}

/** Where a relative path begins. @errno EBADF - dirfd is not open. ENOTDIR - it is no directory. */
function startOf(task: Task, dirfd: number, path: string): DirInode | number {
  const fd = toInt(dirfd);
  const { cwd } = task.kernel.rootfs(task);
  if (fd === AT_FDCWD || path.startsWith("/")) return cwd;
  const file = task.process.files.getRaw(fd);
  if (file === null) return -Errno.EBADF;
  const start = file.namesBeginAt(task);
  return start instanceof DirInode ? start : -Errno.ENOTDIR;
}

/**
 * openat(2).
 *
 * @returns the lowest free descriptor, or `BLOCKED` for a FIFO whose other side nobody has opened.
 * @errno EINVAL - O_CREAT with O_DIRECTORY. EFAULT, ENAMETOOLONG, ENOENT - the path. EMFILE - no descriptor is free,
 *   before any look at the file. EBADF, ENOTDIR - dirfd. The rest: `doFilpOpen`.
 * @kernel fs/open.c `do_sys_openat2`
 * @behaviour E-009, P-35, P-36, P-37, P-38
 */
export function sysOpenat(task: Task, dirfd: number, filename: number, flags: number, mode: number): number {
  const wanted = openFlags(toInt(flags));
  if (wanted < 0) return wanted;
  const path = getname(task, filename);
  if (typeof path === "number") return path;
  const { files } = task.process;
  const fd = files.lowestFree();
  if (fd >= files.nofile) return -Errno.EMFILE;
  const start = startOf(task, dirfd, path);
  if (typeof start === "number") return start;
  const file = doFilpOpen(task, start, path, wanted, toUint(mode) & PERMISSIONS);
  if (typeof file === "number") return file;
  const cloexec = (wanted & Open.CLOEXEC) !== 0;
  if (file instanceof PipeFile && file.awaited !== 0) {
    files.reserve(fd);
    return new FifoOpenCall(file, fd, cloexec).step(task);
  }
  files.replace(fd, file, cloexec);
  return fd;
}

/** `build_open_how`, `build_open_flags`: O_PATH beats all but a few flags. */
function openFlags(flags: number): number {
  const valid = (flags | Open.LARGEFILE) & VALID_FLAGS;
  if ((valid & Open.PATH) !== 0) return valid & PATH_FLAGS;
  if ((valid & Open.CREAT) !== 0 && (valid & Open.DIRECTORY) !== 0) return EINVAL;
  if ((valid & Open.TMPFILE) !== 0) throw new Unmodelled("open(O_TMPFILE)");
  return valid;
}

/** open(2): openat from the working directory. */
export function sysOpen(task: Task, filename: number, flags: number, mode: number): number {
  return sysOpenat(task, AT_FDCWD, filename, flags, mode);
}

/**
 * mkdir(2).
 *
 * @errno EFAULT, ENAMETOOLONG, ENOENT - the path. The rest: `doMkdir`.
 * @kernel fs/namei.c `do_mkdirat`
 */
export function sysMkdir(task: Task, pathname: number, mode: number): number {
  const path = getname(task, pathname);
  if (typeof path === "number") return path;
  return doMkdir(task, task.kernel.rootfs(task).cwd, path, toUint(mode));
}

/**
 * mknodat(2): FIFOs, sockets and regular files. `dev` matters for devices only.
 *
 * @errno EPERM - a directory. EINVAL - an unknown type, before any look at the path. EFAULT, ENAMETOOLONG, ENOENT - the path. EBADF, ENOTDIR - dirfd. The
 *   rest: `doMknod`.
 * @kernel fs/namei.c `do_mknodat`
 */
export function sysMknodat(task: Task, dirfd: number, pathname: number, mode: number): number {
  const wanted = toUint(mode);
  const error = mayMknod(wanted);
  if (error !== 0) return error;
  const path = getname(task, pathname);
  if (typeof path === "number") return path;
  const start = startOf(task, dirfd, path);
  if (typeof start === "number") return start;
  const made = doMknod(task, start, path, wanted);
  return typeof made === "number" ? made : 0;
}

/** mknod(2): mknodat from the working directory. */
export function sysMknod(task: Task, pathname: number, mode: number): number {
  return sysMknodat(task, AT_FDCWD, pathname, mode);
}

/**
 * unlinkat(2).
 *
 * @errno EINVAL - a flag besides AT_REMOVEDIR. EFAULT, ENAMETOOLONG, ENOENT - the path. EBADF, ENOTDIR - dirfd. The rest:
 *   `doUnlink`, `doRmdir`.
 * @kernel fs/namei.c `do_unlinkat`, `do_rmdir`
 */
export function sysUnlinkat(task: Task, dirfd: number, pathname: number, flags: number): number {
  const wanted = toInt(flags);
  if ((wanted & ~AT_REMOVEDIR) !== 0) return EINVAL;
  const path = getname(task, pathname);
  if (typeof path === "number") return path;
  const start = startOf(task, dirfd, path);
  if (typeof start === "number") return start;
  return wanted === 0 ? doUnlink(task, start, path) : doRmdir(task, start, path);
}

/** unlink(2): unlinkat from the working directory. */
export function sysUnlink(task: Task, pathname: number): number {
  return sysUnlinkat(task, AT_FDCWD, pathname, 0);
}

/** Without MFD_ALLOW_SEALING the only seal is that there are no others. */
function firstSeals(flags: number): number {
  if ((flags & MemfdFlags.NOEXEC_SEAL) !== 0) return Seal.EXEC;
  return (flags & MemfdFlags.ALLOW_SEALING) !== 0 ? 0 : Seal.SEAL;
}

/**
 * memfd_create(2): a regular file without a name.
 *
 * @errno EINVAL - an unknown flag, both flags about execution, or a name of more than 249 bytes. EFAULT - the name. EMFILE -
 *   no descriptor is free.
 * @throws Unmodelled for huge pages.
 * @kernel mm/memfd.c `memfd_create`
 * @behaviour E-045, O-01
 */
export function sysMemfdCreate(task: Task, name: number, flags: number): number {
  const wanted = toUint(flags);
  const { kernel } = task;
  const execution = MemfdFlags.NOEXEC_SEAL | MemfdFlags.EXEC;
  const known = MemfdFlags.CLOEXEC | MemfdFlags.ALLOW_SEALING | MemfdFlags.HUGETLB;
  const valid = kernel.profile.version < MEMFD_EXEC_SINCE ? known : known | execution;
  if ((wanted & MemfdFlags.HUGETLB) !== 0) throw new Unmodelled("memfd_create(MFD_HUGETLB)");
  if ((wanted & ~valid) !== 0 || (wanted & execution) === execution) return EINVAL;
  const text = userString(task, name, MEMFD_NAME_MAX + 1);
  if (typeof text === "number") return text === -Errno.ENAMETOOLONG ? EINVAL : text;
  const permissions = (wanted & MemfdFlags.NOEXEC_SEAL) !== 0 ? 0o666 : 0o777;
  const inode = new RegularInode(kernel, permissions, MEMFD_DEV, firstSeals(wanted));
  inode.uid = task.process.user.uid;
  inode.nlink = 0;
  const file = new RegularFile(kernel, inode, Open.RDWR | Open.LARGEFILE, `/memfd:${text}`);
  return installNew(task, file, (wanted & MemfdFlags.CLOEXEC) !== 0);
}
