/**
 * read, write and their vectored and positioned forms.
 *
 * Counterpart: `fs/read_write.c`.
 * Order of checks (F-16): descriptor, access mode, method, address range, vector, then the file's own.
 */
import type { File } from "../kernel/fs/file.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import { IovIter } from "../kernel/mm/iov-iter.ts";
import { accessOk, Mm } from "../kernel/mm/mm.ts";
import { BLOCKED, type Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { MAX_RW_COUNT, UIO_MAXIOV } from "../kernel/uapi/fcntl.ts";
import { toInt, toLong, toSize, toUint } from "./registers.ts";

const IOVEC_SIZE = 16;
const LONG_MAX = 2 ** 63;
const scratch = new Uint8Array(IOVEC_SIZE);
const scratchView = new DataView(scratch.buffer);
/** The vector of the call in progress. */
const bases: number[] = [];
const lengths: number[] = [];
/** Cursor over one segment; `mm` is set by its user. */
const segment = new IovIter(new Mm());

/** A call that sleeps on a description keeps it open (`fdget`): P-40, F-15. */
export function holdIfBlocked(task: Task, file: File, result: number): number {
  if (result === BLOCKED && task.held === null) task.held = file.get();
  return result;
}

/**
 * read(2).
 *
 * @returns bytes read, 0 at the end of the file.
 * @errno EBADF - not open, or not for reading. EINVAL - the file has no read. EFAULT - the buffer.
 * @kernel fs/read_write.c `ksys_read`, `vfs_read`
 * @behaviour F-16, F-17, F-18, F-19
 */
export function sysRead(task: Task, fd: number, buf: number, count: number): number {
  const file = task.process.files.get(toInt(fd));
  if (file === null || !file.canRead) return -Errno.EBADF;
  if (!file.hasRead) return -Errno.EINVAL;
  const length = toSize(count);
  if (!accessOk(buf, length)) return -Errno.EFAULT;
  task.iter.setBuffer(buf, Math.min(length, MAX_RW_COUNT));
  return holdIfBlocked(task, file, file.read(task, task.iter, file.nonblock));
}

/**
 * write(2).
 *
 * @errno EBADF - not open, or not for writing. EINVAL - the file has no write. EFAULT - the buffer.
 * @kernel fs/read_write.c `ksys_write`, `vfs_write`
 * @behaviour F-16, F-17, F-19
 */
export function sysWrite(task: Task, fd: number, buf: number, count: number): number {
  const file = task.process.files.get(toInt(fd));
  if (file === null || !file.canWrite) return -Errno.EBADF;
  if (!file.hasWrite) return -Errno.EINVAL;
  const length = toSize(count);
  if (!accessOk(buf, length)) return -Errno.EFAULT;
  task.iter.setBuffer(buf, Math.min(length, MAX_RW_COUNT));
  return holdIfBlocked(task, file, file.write(task, task.iter, file.nonblock));
}

/**
 * Copies a vector of user buffers into the task's cursor.
 *
 * @param nrSegs - an unsigned int: higher bits of the register do not count.
 * @returns total bytes, at most `MAX_RW_COUNT`, or a negative errno.
 * @errno EINVAL - more than 1024 segments, or a negative length. EFAULT - the vector, or a range outside user space: that
 *   is looked at when the whole vector has been read.
 * @kernel lib/iov_iter.c `import_iovec`
 * @behaviour F-20
 */
export function importIovec(task: Task, vec: number, nrSegs: number): number {
  const { iter } = task;
  const { mm } = task.process;
  const count = toUint(nrSegs);
  iter.clear();
  if (count > UIO_MAXIOV) return -Errno.EINVAL;
  for (let i = 0; i < count; i += 1) {
    if (mm.copyFromUser(scratch, 0, vec + i * IOVEC_SIZE, IOVEC_SIZE) < IOVEC_SIZE) return mm.fault();
    const length = wordAt(8);
    if (length >= LONG_MAX) return -Errno.EINVAL;
    bases[i] = wordAt(0);
    lengths[i] = length;
  }
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    const base = bases[i] as number;
    const length = lengths[i] as number;
    const taken = Math.min(length, MAX_RW_COUNT - total);
    if (!accessOk(base, count === 1 ? taken : length)) return -Errno.EFAULT;
    iter.addSegment(base, taken);
    total += taken;
  }
  return total;
}

/** An unsigned word of the segment that was just copied. */
function wordAt(offset: number): number {
  return scratchView.getUint32(offset + 4, true) * 2 ** 32 + scratchView.getUint32(offset, true);
}

/**
 * readv(2).
 *
 * @errno EBADF - not open, or not for reading. EINVAL - the vector, or the file has no read. EFAULT - as `importIovec`.
 * @kernel fs/read_write.c `do_readv`
 * @behaviour F-20
 */
export function sysReadv(task: Task, fd: number, vec: number, nrSegs: number): number {
  const file = task.process.files.get(toInt(fd));
  return file === null ? -Errno.EBADF : vfsReadv(task, file, vec, nrSegs, 0);
}

/**
 * writev(2): one write of the joined buffers.
 *
 * @errno EBADF - not open, or not for writing. EINVAL - the vector, or the file has no write. EFAULT - as `importIovec`.
 * @kernel fs/read_write.c `do_writev`
 * @behaviour F-20, P-32
 */
export function sysWritev(task: Task, fd: number, vec: number, nrSegs: number): number {
  const file = task.process.files.get(toInt(fd));
  return file === null ? -Errno.EBADF : vfsWritev(task, file, vec, nrSegs, 0);
}

/** `vfs_readv`: flags are looked at last, and not at all when there is nothing to read. */
function vfsReadv(task: Task, file: File, vec: number, nrSegs: number, flags: number): number {
  if (!file.canRead) return -Errno.EBADF;
  if (!file.hasRead) return -Errno.EINVAL;
  const total = importIovec(task, vec, nrSegs);
  if (total <= 0) return total;
  const error = checkRwFlags(file, flags, file.hasReadIter);
  if (error !== 0) return error;
  if (!file.hasReadIter) return holdIfBlocked(task, file, eachSegment(task, file, false));
  const nonblock = file.nonblock || (flags & Rwf.NOWAIT) !== 0;
  return holdIfBlocked(task, file, file.read(task, task.iter, nonblock));
}

/** `vfs_writev`. */
function vfsWritev(task: Task, file: File, vec: number, nrSegs: number, flags: number): number {
  if (!file.canWrite) return -Errno.EBADF;
  if (!file.hasWrite) return -Errno.EINVAL;
  const total = importIovec(task, vec, nrSegs);
  if (total <= 0) return total;
  const error = checkRwFlags(file, flags, file.hasWriteIter);
  if (error !== 0) return error;
  if (!file.hasWriteIter) return holdIfBlocked(task, file, eachSegment(task, file, true));
  const nonblock = file.nonblock || (flags & Rwf.NOWAIT) !== 0;
  return holdIfBlocked(task, file, file.write(task, task.iter, nonblock));
}

/**
 * `do_loop_readv_writev`: a file without an iterator method sees one call per segment; the first error ends it.
 *
 * @throws Unmodelled when a segment sleeps that is neither the first nor the last.
 */
function eachSegment(task: Task, file: File, write: boolean): number {
  const { iter } = task;
  let total = 0;
  while (iter.count > 0) {
    segment.mm = task.process.mm;
    iter.currentSegment(segment);
    const length = segment.count;
    const result = write ? file.write(task, segment, file.nonblock) : file.read(task, segment, file.nonblock);
    if (result === BLOCKED) {
      if (total > 0 || length < iter.count) throw new Unmodelled("a vector of several segments that sleeps");
      // A reader goes on with the task's cursor, which stands on the same, only segment.
      return BLOCKED;
    }
    if (result < 0) return total === 0 ? result : total;
    total += result;
    if (result !== length) break;
    iter.advance(result);
  }
  return total;
}

/** `RWF_*` with the release that brought each. */
const Rwf = { HIPRI: 1, DSYNC: 2, SYNC: 4, NOWAIT: 8, APPEND: 0x10, NOAPPEND: 0x20 } as const;
/** RWF_ATOMIC and RWF_DONTCACHE: a stream has neither. */
const STORAGE_ONLY = 0xc0;
const RWF_SINCE: readonly (readonly [flag: number, version: number])[] = [
  [Rwf.HIPRI, 4006],
  [Rwf.DSYNC, 4007],
  [Rwf.SYNC, 4007],
  [Rwf.NOWAIT, 4013],
  [Rwf.APPEND, 4016],
  [Rwf.NOAPPEND, 6009],
  [0x40, 6011],
  [0x80, 6014],
  [0x100, 6018],
];

/**
 * `kiocb_set_rw_flags`, and what `do_loop_readv_writev` says to flags. Flags about storage change nothing here.
 *
 * @errno EOPNOTSUPP - a flag that the kernel or the file does not know. EINVAL - RWF_APPEND with RWF_NOAPPEND.
 * @throws Unmodelled for flags about regular files.
 * @behaviour F-24
 */
function checkRwFlags(file: File, flags: number, hasIter: boolean): number {
  if (flags === 0) return 0;
  if (!hasIter) return (flags & ~Rwf.HIPRI) === 0 ? 0 : -Errno.EOPNOTSUPP;
  let supported = 0;
  for (const [flag, version] of RWF_SINCE) if (file.kernel.profile.version >= version) supported |= flag;
  if ((flags & ~supported) !== 0) return -Errno.EOPNOTSUPP;
  const append = Rwf.APPEND | Rwf.NOAPPEND;
  if ((flags & append) === append) return -Errno.EINVAL;
  if (!file.hasPositions && (flags & STORAGE_ONLY) !== 0) return -Errno.EOPNOTSUPP;
  if ((flags & Rwf.NOWAIT) !== 0 && !file.hasPositions && !file.hasNowait) return -Errno.EOPNOTSUPP;
  const plain = Rwf.HIPRI | Rwf.DSYNC | Rwf.SYNC | (file.hasPositions ? 0 : Rwf.NOWAIT | append);
  if ((flags & ~plain) !== 0) throw new Unmodelled(`preadv2 or pwritev2 with flags 0x${flags.toString(16)}`);
  return 0;
}

/**
 * Runs one positioned call: the file's own position stays.
 *
 * @errno EINVAL - a negative position, before any look at the descriptor. EBADF - not open. ESPIPE - the file has no
 *   positions.
 */
function atPosition(task: Task, fd: number, pos: number, call: (file: File) => number): number {
  if (pos < 0) return -Errno.EINVAL;
  const file = task.process.files.get(toInt(fd));
  if (file === null) return -Errno.EBADF;
  if (!file.hasPositions) return -Errno.ESPIPE;
  const saved = file.pos;
  file.pos = pos;
  const result = call(file);
  file.pos = saved;
  return result;
}

/**
 * pread64(2).
 *
 * @errno EINVAL - a negative position, before any look at the descriptor. EBADF - not open. ESPIPE - the file has no
 *   positions. The rest as read.
 * @kernel fs/read_write.c `ksys_pread64`
 * @behaviour E-010, P-14, V-14
 */
export function sysPread64(task: Task, fd: number, buf: number, count: number, pos: number): number {
  return atPosition(task, fd, toLong(pos), () => sysRead(task, fd, buf, count));
}

/**
 * pwrite64(2).
 *
 * @errno as pread64, and as write.
 * @kernel fs/read_write.c `ksys_pwrite64`
 */
export function sysPwrite64(task: Task, fd: number, buf: number, count: number, pos: number): number {
  return atPosition(task, fd, toLong(pos), () => sysWrite(task, fd, buf, count));
}

/**
 * preadv(2). The upper half of the position is for 32-bit machines.
 *
 * @errno as pread64, and as readv.
 * @kernel fs/read_write.c `do_preadv`
 */
export function sysPreadv(task: Task, fd: number, vec: number, nrSegs: number, pos: number): number {
  return atPosition(task, fd, toLong(pos), (file) => vfsReadv(task, file, vec, nrSegs, 0));
}

/**
 * pwritev(2).
 *
 * @errno as pread64, and as writev.
 * @kernel fs/read_write.c `do_pwritev`
 */
export function sysPwritev(task: Task, fd: number, vec: number, nrSegs: number, pos: number): number {
  return atPosition(task, fd, toLong(pos), (file) => vfsWritev(task, file, vec, nrSegs, 0));
}

/**
 * preadv2(2): with position -1 a readv with flags.
 *
 * @errno EOPNOTSUPP - a flag. The rest as preadv, or as readv.
 * @kernel fs/read_write.c `preadv2`
 * @behaviour F-24
 */
export function sysPreadv2(
  task: Task,
  fd: number,
  vec: number,
  nrSegs: number,
  pos: number,
  _high: number,
  flags: number,
): number {
  const at = toLong(pos);
  if (at !== -1) return atPosition(task, fd, at, (file) => vfsReadv(task, file, vec, nrSegs, toInt(flags)));
  const file = task.process.files.get(toInt(fd));
  return file === null ? -Errno.EBADF : vfsReadv(task, file, vec, nrSegs, toInt(flags));
}

/**
 * pwritev2(2): with position -1 a writev with flags.
 *
 * @errno EOPNOTSUPP - a flag. The rest as pwritev, or as writev.
 * @kernel fs/read_write.c `pwritev2`
 */
export function sysPwritev2(
  task: Task,
  fd: number,
  vec: number,
  nrSegs: number,
  pos: number,
  _high: number,
  flags: number,
): number {
  const at = toLong(pos);
  if (at !== -1) return atPosition(task, fd, at, (file) => vfsWritev(task, file, vec, nrSegs, toInt(flags)));
  const file = task.process.files.get(toInt(fd));
  return file === null ? -Errno.EBADF : vfsWritev(task, file, vec, nrSegs, toInt(flags));
}
