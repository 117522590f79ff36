/**
 * read, write and their vectored forms.
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
import { toInt, toSize } from "./registers.ts";

const IOVEC_SIZE = 16;
const scratch = new Uint8Array(IOVEC_SIZE);
const scratchView = new DataView(scratch.buffer);
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
 * @returns total bytes, or a negative errno.
 * @errno EINVAL - more than 1024 segments, or a negative length. EFAULT - the vector, or a range outside user space.
 * @kernel lib/iov_iter.c `import_iovec`
 * @behaviour F-20
 */
export function importIovec(task: Task, vec: number, nrSegs: number): number {
  const { iter } = task;
  const { mm } = task.process;
  iter.clear();
  if (nrSegs < 0 || nrSegs > UIO_MAXIOV) return -Errno.EINVAL;
  let total = 0;
  for (let i = 0; i < nrSegs; i += 1) {
    if (mm.copyFromUser(scratch, 0, vec + i * IOVEC_SIZE, IOVEC_SIZE) < IOVEC_SIZE) return -Errno.EFAULT;
    const base = Number(scratchView.getBigUint64(0, true));
    const length = Number(scratchView.getBigInt64(8, true));
    if (length < 0) return -Errno.EINVAL;
    if (!accessOk(base, length)) return -Errno.EFAULT;
    const taken = Math.min(length, MAX_RW_COUNT - total);
    iter.addSegment(base, taken);
    total += taken;
  }
  return total;
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
  if (file === null || !file.canRead) return -Errno.EBADF;
  if (!file.hasRead) return -Errno.EINVAL;
  const total = importIovec(task, vec, toSize(nrSegs));
  if (total <= 0) return total;
  return holdIfBlocked(task, file, file.read(task, task.iter, file.nonblock));
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
  if (file === null || !file.canWrite) return -Errno.EBADF;
  if (!file.hasWrite) return -Errno.EINVAL;
  const total = importIovec(task, vec, toSize(nrSegs));
  if (total <= 0) return total;
  const result = file.hasWriteIter ? file.write(task, task.iter, file.nonblock) : writeEachSegment(task, file);
  return holdIfBlocked(task, file, result);
}

/**
 * `do_loop_readv_writev`: a file without `->write_iter` sees one write per segment; the first error ends it.
 *
 * @throws Unmodelled when a segment sleeps that is neither the first nor the last.
 */
function writeEachSegment(task: Task, file: File): number {
  const { iter } = task;
  let total = 0;
  while (iter.count > 0) {
    segment.mm = task.process.mm;
    iter.currentSegment(segment);
    const length = segment.count;
    const result = file.write(task, segment, file.nonblock);
    if (result === BLOCKED) {
      if (total > 0 || length < iter.count) throw new Unmodelled("writev of several segments that sleeps");
      return BLOCKED;
    }
    if (result < 0) return total === 0 ? result : total;
    total += result;
    if (result !== length) break;
    iter.advance(result);
  }
  return total;
}
