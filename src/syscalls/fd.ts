/**
 * Descriptors and their flags: close, dup, fcntl, close_range; what can be asked of any open file: lseek, fstat,
 * ftruncate, fallocate, fsync, fchmod.
 *
 * Counterpart: `fs/file.c`, `fs/fcntl.c`, `fs/open.c`, `fs/stat.c`, `fs/sync.c`, `lseek` of `fs/read_write.c`.
 */
import { FileOwner } from "../kernel/fs/fasync.ts";
import { type File, NamedFile, SETFL_MASK } from "../kernel/fs/file.ts";
import { fsnotifyInode } from "../kernel/fs/fsnotify.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { RegularFile } from "../kernel/fs/regular.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import { PAGE_SIZE } from "../kernel/mm/mm.ts";
import { unshareFiles } from "../kernel/sched/exec.ts";
import { SleepingCall, type Task } from "../kernel/sched/task.ts";
import { finishTaskWork } from "../kernel/sched/task-work.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { CloseRange, Fcntl, FD_CLOEXEC, Mode, Open, Seek } from "../kernel/uapi/fcntl.ts";
import { In } from "../kernel/uapi/inotify.ts";
import { toInt, toLong, toUint } from "./registers.ts";

const INT_MIN = -(2 ** 31);
const SIGRTMAX = 64;
const EBADF = -Errno.EBADF;
const EINVAL = -Errno.EINVAL;
const EOPNOTSUPP = -Errno.EOPNOTSUPP;

/** fcntl(F_DUPFD_QUERY) exists since 6.10. */
const DUPFD_QUERY_SINCE = 6010;
/** Commands that an O_PATH descriptor takes: `check_fcntl_cmd`. */
const PATH_COMMANDS: ReadonlySet<number> = new Set<number>([
  Fcntl.DUPFD,
  Fcntl.DUPFD_CLOEXEC,
  Fcntl.DUPFD_QUERY,
  Fcntl.GETFD,
  Fcntl.SETFD,
  Fcntl.GETFL,
]);
/** Locks, leases, owners, hints: F_GETLK to F_GETOWNER_UIDS, F_SETLEASE to F_CREATED_QUERY, F_GET_RW_HINT on. */
const UNMODELLED_COMMANDS: ReadonlySet<number> = new Set<number>([
  5, 6, 7, 15, 16, 17, 36, 37, 38, 1024, 1025, 1026, 1028, 1035, 1036, 1037, 1038,
]);

/**
 * close(2).
 *
 * @errno EBADF - not open.
 * @kernel fs/file.c `close_fd`
 * @behaviour E-166, F-10, F-14, P-24
 */
export function sysClose(task: Task, fd: number): number {
  const file = task.process.files.take(toUint(fd));
  if (file === null) return EBADF;
  const mutex = file.tryPut();
  return mutex === null ? finishTaskWork(task, 0) : mutex.sleep(task, new CloseCall(file));
}

/** A close of the last reference that waits for an epoll's scan; the number is free already (E-166). */
class CloseCall extends SleepingCall {
  readonly #file: File;

  constructor(file: File) {
    super();
    this.#file = file;
  }

  override step(task: Task): number {
    const mutex = this.#file.finishPut();
    return mutex === null ? finishTaskWork(task, 0) : mutex.sleep(task, this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#file];
  }
}

/**
 * dup(2): the lowest free number, without FD_CLOEXEC.
 *
 * @errno EBADF - not open. EMFILE - no descriptor is free.
 * @kernel fs/file.c `dup`
 * @behaviour F-01, F-02, F-06, F-07
 */
export function sysDup(task: Task, fildes: number): number {
  const file = task.process.files.getRaw(toUint(fildes));
  return file === null ? EBADF : dupTo(task, file, 0, false);
}

function dupTo(task: Task, file: File, from: number, cloexec: boolean): number {
  const fd = task.process.files.install(file, cloexec, from);
  if (fd >= 0) file.get();
  return fd;
}

/**
 * dup2(2). A number duplicated onto itself stays as it is.
 *
 * @errno EBADF - oldfd is not open, or newfd is not below RLIMIT_NOFILE.
 * @kernel fs/file.c `dup2`
 * @behaviour F-03, F-04, F-05
 */
export function sysDup2(task: Task, oldfd: number, newfd: number): number {
  const from = toUint(oldfd);
  if (from === toUint(newfd)) return task.process.files.getRaw(from) === null ? EBADF : from;
  return sysDup3(task, oldfd, newfd, 0);
}

/**
 * dup3(2): closes what was open under the new number, with all that follows from it.
 *
 * @errno EINVAL - a flag besides O_CLOEXEC, or equal numbers. EBADF - as dup2. EBUSY - the new number belongs to a call
 *   that is still making its description.
 * @kernel fs/file.c `ksys_dup3`, `do_dup2`
 * @behaviour F-03, F-04, F-05, F-06
 */
export function sysDup3(task: Task, oldfd: number, newfd: number, flags: number): number {
  const { files } = task.process;
  const wanted = toInt(flags);
  const from = toUint(oldfd);
  const to = toUint(newfd);
  if ((wanted & ~Open.CLOEXEC) !== 0) return EINVAL;
  if (from === to) return EINVAL;
  if (to >= files.nofile) return EBADF;
  const file = files.getRaw(from);
  if (file === null) return EBADF;
  if (files.isReserved(to)) return -Errno.EBUSY;
  files.replace(to, file.get(), wanted !== 0)?.put();
  return finishTaskWork(task, to);
}

/**
 * close_range(2): closes, or marks close-on-exec, what is open from `first` to `last`.
 *
 * @errno EINVAL - an unknown flag, or first > last.
 * @kernel fs/file.c `close_range`
 * @behaviour F-11
 */
export function sysCloseRange(task: Task, first: number, last: number, flags: number): number {
  const wanted = toUint(flags);
  const from = toUint(first);
  const to = toUint(last);
  if ((wanted & ~(CloseRange.UNSHARE | CloseRange.CLOEXEC)) !== 0) return EINVAL;
  if (from > to) return EINVAL;
  const { process } = task;
  if ((wanted & CloseRange.UNSHARE) !== 0) {
    if (process.threads.length > 1) throw new Unmodelled("close_range(CLOSE_RANGE_UNSHARE) by one of several threads");
    unshareFiles(process);
  }
  const { files } = process;
  const end = Math.min(to + 1, files.end);
  if ((wanted & CloseRange.CLOEXEC) === 0) files.closeMany(from, end, () => true);
  else for (let fd = files.nextOpen(from); fd < end; fd = files.nextOpen(fd + 1)) files.setCloexec(fd, true);
  return finishTaskWork(task, 0);
}

/**
 * fcntl(2).
 *
 * @errno EBADF - not open; an O_PATH descriptor for most commands; F_SETPIPE_SZ of what is no pipe. EINVAL - an unknown
 *   command; F_DUPFD from RLIMIT_NOFILE on; a flag that the file refuses. EMFILE - F_DUPFD finds no number. The rest:
 *   `PipeInodeInfo.setSize`.
 * @throws Unmodelled for locks, leases, signals and hints.
 * @kernel fs/fcntl.c `do_fcntl`
 * @behaviour F-02, F-07, F-08, F-09, P-25, P-26
 */
export function sysFcntl(task: Task, fd: number, cmd: number, arg: number): number {
  const number = toUint(fd);
  const command = toUint(cmd);
  const { files } = task.process;
  const file = files.getRaw(number);
  if (file === null) return EBADF;
  if ((file.flags & Open.PATH) !== 0 && !PATH_COMMANDS.has(command)) return EBADF;
  switch (command) {
    case Fcntl.DUPFD:
    case Fcntl.DUPFD_CLOEXEC:
      if (toUint(arg) >= files.nofile) return EINVAL;
      return dupTo(task, file, toUint(arg), command === Fcntl.DUPFD_CLOEXEC);
    case Fcntl.DUPFD_QUERY: {
      if (task.kernel.profile.version < DUPFD_QUERY_SINCE) return EINVAL;
      const other = files.getRaw(toUint(arg));
      if (other === null) return EBADF;
      return other === file ? 1 : 0;
    }
    case Fcntl.GETFD:
      return files.cloexec(number) ? FD_CLOEXEC : 0;
    case Fcntl.SETFD:
      files.setCloexec(number, (toInt(arg) & FD_CLOEXEC) !== 0);
      return 0;
    case Fcntl.GETFL:
      return file.flags;
    case Fcntl.SETFL:
      return setfl(task, file, number, toInt(arg));
    case Fcntl.SETOWN:
      return setOwner(task, file, toInt(arg));
    case Fcntl.GETOWN:
      return file.fown?.pid?.task == null ? 0 : file.fown.pid.nr;
    case Fcntl.SETSIG:
      if (toInt(arg) < 0 || toInt(arg) > SIGRTMAX) return EINVAL;
      owner(file).signum = toInt(arg);
      return 0;
    case Fcntl.GETSIG:
      return file.fown?.signum ?? 0;
    case Fcntl.SETPIPE_SZ:
      return file instanceof PipeFile ? file.pipe.setSize(file, task.process, toUint(arg)) : EBADF;
    case Fcntl.GETPIPE_SZ:
      return file instanceof PipeFile ? file.pipe.bufs.length * PAGE_SIZE : EBADF;
    case Fcntl.ADD_SEALS:
      return file instanceof RegularFile ? file.addSeals(toUint(arg)) : addSealsElsewhere(file);
    case Fcntl.GET_SEALS:
      return file instanceof RegularFile ? file.seals : EINVAL;
    default:
      if (UNMODELLED_COMMANDS.has(command)) throw new Unmodelled(`fcntl(${command})`);
      return EINVAL;
  }
}

function owner(file: File): FileOwner {
  file.fown ??= new FileOwner();
  return file.fown;
}

/** `f_setown`. @errno ESRCH - nobody has that id. EINVAL - INT_MIN. @throws Unmodelled for a process group. */
function setOwner(task: Task, file: File, who: number): number {
  if (who === INT_MIN) return EINVAL;
  if (who < 0) throw new Unmodelled("fcntl(F_SETOWN) to a process group");
  const pid = who === 0 ? null : (task.kernel.pids.get(who) ?? null);
  if (who !== 0 && pid === null) return -Errno.ESRCH;
  owner(file).set(task, pid, false);
  return 0;
}

/** `memfd_add_seals` on a file that has none. */
function addSealsElsewhere(file: File): number {
  return file.canWrite ? EINVAL : -Errno.EPERM;
}

/** `setfl`. @behaviour F-09 */
function setfl(task: Task, file: File, fd: number, flags: number): number {
  const { process } = task;
  const noatime = (flags & ~file.flags & Open.NOATIME) !== 0;
  if (noatime && !process.privileged && process.user.uid !== file.inode.uid) return -Errno.EPERM;
  const error = file.checkFlags(flags);
  if (error !== 0) return error;
  setFasync(file, fd, (flags & Open.ASYNC) !== 0);
  file.flags = (flags & SETFL_MASK) | (file.flags & ~SETFL_MASK);
  return 0;
}

/** `->fasync`. @errno ENOTTY - the file has none. */
export function setFasync(file: File, fd: number, on: boolean): number {
  if (on === ((file.flags & Open.ASYNC) !== 0)) return 0;
  if (!file.hasFasync) return -Errno.ENOTTY;
  file.flags ^= Open.ASYNC;
  if (on) owner(file).fd = fd;
  file.fasyncChanged(on);
  return 0;
}

/**
 * lseek(2).
 *
 * @returns the new position.
 * @errno EBADF - not open. EINVAL - an unknown origin, also on a file without a position. ESPIPE - no position.
 * @kernel fs/read_write.c `ksys_lseek`
 * @behaviour E-011, P-14, V-14
 */
export function sysLseek(task: Task, fd: number, offset: number, whence: number): number {
  const file = task.process.files.get(toUint(fd));
  if (file === null) return EBADF;
  const origin = toUint(whence);
  return origin > Seek.HOLE ? EINVAL : file.seek(toLong(offset), origin);
}

const STAT_SIZE = 144;
const stat = new Uint8Array(STAT_SIZE);
const statView = new DataView(stat.buffer);
const BLOCK_SIZE = 512;

/**
 * fstat(2): `struct stat` of x86-64. The times are 0: the model keeps none.
 *
 * @errno EBADF - not open. EFAULT - the address.
 * @kernel fs/stat.c `newfstat`
 * @behaviour E-008, P-15
 */
export function sysFstat(task: Task, fd: number, statbuf: number): number {
  const { files, mm } = task.process;
  const file = files.getRaw(toUint(fd));
  if (file === null) return EBADF;
  const { ino, mode, dev, rdev, uid, nlink, size, blksize } = file.inode;
  stat.fill(0);
  statView.setBigUint64(0, BigInt(dev), true);
  statView.setBigUint64(8, BigInt(ino), true);
  statView.setBigUint64(16, BigInt(nlink), true);
  statView.setUint32(24, mode, true);
  statView.setUint32(28, uid, true);
  statView.setBigUint64(40, BigInt(rdev), true);
  statView.setBigInt64(48, BigInt(size), true);
  statView.setBigInt64(56, BigInt(blksize), true);
  statView.setBigInt64(64, BigInt(Math.ceil(size / PAGE_SIZE) * (PAGE_SIZE / BLOCK_SIZE)), true);
  return mm.copyToUser(statbuf, stat, 0, STAT_SIZE) === STAT_SIZE ? 0 : mm.fault();
}

/**
 * ftruncate(2).
 *
 * @errno EINVAL - a negative length (before any look at the descriptor), or not a regular file open for writing.
 *   EBADF - not open.
 * @kernel fs/open.c `do_sys_ftruncate`, `do_ftruncate`
 * @behaviour E-012, V-14
 */
export function sysFtruncate(task: Task, fd: number, length: number): number {
  const size = toLong(length);
  if (size < 0) return EINVAL;
  const file = task.process.files.get(toUint(fd));
  if (file === null) return EBADF;
  return file.canWrite ? file.truncate(size) : EINVAL;
}

const Falloc = {
  KEEP_SIZE: 0x01,
  PUNCH_HOLE: 0x02,
  COLLAPSE: 0x08,
  ZERO: 0x10,
  INSERT: 0x20,
  UNSHARE: 0x40,
  WRITE_ZEROES: 0x80,
} as const;
const FALLOC_MODES: number = Falloc.PUNCH_HOLE | Falloc.COLLAPSE | Falloc.ZERO | Falloc.INSERT | Falloc.UNSHARE;
const WRITE_ZEROES_SINCE = 6017;
/** Modes that must, and that must not, come with FALLOC_FL_KEEP_SIZE. */
const KEEP_NEEDED: number = Falloc.PUNCH_HOLE;
const KEEP_REFUSED: number = Falloc.COLLAPSE | Falloc.INSERT | Falloc.WRITE_ZEROES;

/**
 * fallocate(2).
 *
 * @errno EBADF - not open, or not for writing. EINVAL - the range. EOPNOTSUPP - the mode. ESPIPE - a pipe. EISDIR - a
 *   directory. ENODEV - no regular file.
 * @kernel fs/open.c `vfs_fallocate`
 * @behaviour E-012
 */
export function sysFallocate(task: Task, fd: number, mode: number, offset: number, length: number): number {
  const file = task.process.files.get(toUint(fd));
  if (file === null) return EBADF;
  const wanted = toInt(mode);
  if (toLong(offset) < 0 || toLong(length) <= 0) return EINVAL;
  const { version } = task.kernel.profile;
  const modes = version >= WRITE_ZEROES_SINCE ? FALLOC_MODES | Falloc.WRITE_ZEROES : FALLOC_MODES;
  if ((wanted & ~(modes | Falloc.KEEP_SIZE)) !== 0) return EOPNOTSUPP;
  const kind = wanted & modes;
  if ((kind & (kind - 1)) !== 0) return EOPNOTSUPP;
  const keep = (wanted & Falloc.KEEP_SIZE) !== 0;
  if ((kind & (keep ? KEEP_REFUSED : KEEP_NEEDED)) !== 0) return EOPNOTSUPP;
  if (!file.canWrite) return EBADF;
  const type = file.inode.mode & Mode.IFMT;
  if (type === Mode.IFIFO) return -Errno.ESPIPE;
  if (type === Mode.IFDIR) return -Errno.EISDIR;
  if (type !== Mode.IFREG && type !== Mode.IFBLK) return -Errno.ENODEV;
  return file.fallocate(wanted, offset, length);
}

/**
 * fsync(2).
 *
 * @errno EBADF - not open. EINVAL - nothing to write back to.
 * @kernel fs/sync.c `do_fsync`
 * @behaviour E-012, P-14
 */
export function sysFsync(task: Task, fd: number): number {
  return task.process.files.get(toUint(fd))?.fsync() ?? EBADF;
}

/**
 * fchmod(2).
 *
 * @errno EBADF - not open. EPERM - not the owner. EOPNOTSUPP - the inode that all anonymous files share.
 * @kernel fs/open.c `chmod_common`
 * @behaviour E-012
 */
export function sysFchmod(task: Task, fd: number, mode: number): number {
  const { files, user, privileged } = task.process;
  const file = files.get(toUint(fd));
  if (file === null) return EBADF;
  const { inode } = file;
  if (inode === task.kernel.anonInode) return EOPNOTSUPP;
  if (!privileged && user.uid !== inode.uid) return -Errno.EPERM;
  inode.mode = (inode.mode & Mode.IFMT) | (toInt(mode) & 0o7777);
  if (file instanceof NamedFile) fsnotifyInode(inode, file.dentry, In.ATTRIB);
  return 0;
}
