/**
 * Regular files in memory, with or without a name.
 *
 * Counterpart: `mm/shmem.c` and `mm/memfd.c`, `mm/filemap.c` (`generic_perform_write`), `generic_file_llseek`.
 * They are here because programs open and add them to an epoll, which refuses them (E-045), and splice from them.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Open, Seal, Seek } from "../uapi/fcntl.ts";
import { In } from "../uapi/inotify.ts";
import { DEFAULT_POLLMASK } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { type File, Inode, NamedFile } from "./file.ts";
import { fsnotifyFile } from "./fsnotify.ts";

/** No test needs more, and one typing error in a size must not take the machine's memory. */
const SIZE_MAX = 64 * 1024 * 1024;
const SMALLEST_ALLOCATION = 4096;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const EPERM = -Errno.EPERM;
const SEALED_WRITE: number = Seal.WRITE | Seal.FUTURE_WRITE;

export class RegularInode extends Inode {
  /** `F_SEAL_*`. A file with a name, which lies in a tmpfs, has the one that forbids others. */
  seals: number;
  #bytes = new Uint8Array(0);
  #size = 0;

  constructor(kernel: Kernel, permissions: number, dev: number, seals: number = Seal.SEAL) {
    super(kernel.allocIno(), Mode.IFREG | permissions, dev);
    this.seals = seals;
  }

  override get size(): number {
    return this.#size;
  }

  /** The content; its length may exceed `size`. Bytes beyond `size` are 0. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  override open(task: Task, flags: number, path: string): File {
    return new RegularFile(task.kernel, this, flags, path);
  }

  /** Makes room for `size` bytes. @throws Unmodelled beyond 64 MiB. */
  reserve(size: number): void {
    if (size > SIZE_MAX) throw new Unmodelled(`a file of ${size} bytes`);
    if (size <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(SMALLEST_ALLOCATION, 2 * this.#bytes.length, size));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  /** `i_size_write`; what a shorter file loses is gone. */
  resize(size: number): void {
    this.reserve(size);
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }
}

export class RegularFile extends NamedFile {
  readonly regular: RegularInode;

  constructor(kernel: Kernel, inode: RegularInode, flags: number, path: string) {
    super(kernel, inode, flags, path);
    this.regular = inode;
  }

  override get canPoll(): boolean {
    return false;
  }

  override poll(): number {
    return DEFAULT_POLLMASK;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override get hasSpliceRead(): boolean {
    return true;
  }

  override get hasSpliceWrite(): boolean {
    return true;
  }

  /** @throws Unmodelled for O_DIRECT, which each file system takes or refuses in its own way. */
  override checkFlags(flags: number): number {
    if ((flags & Open.DIRECT) !== 0) throw new Unmodelled("O_DIRECT on a regular file");
    return 0;
  }

  /** `filemap_read`. @errno EFAULT - the buffer, if nothing could be copied. */
  override read(_task: Task, to: IovIter): number {
    const { bytes, size } = this.regular;
    const want = Math.min(to.count, size - this.pos);
    if (want <= 0) return 0;
    const copied = to.copyTo(bytes, this.pos, want);
    this.pos += copied;
    if (copied > 0) fsnotifyFile(this, In.ACCESS);
    return copied === 0 ? to.fault() : copied;
  }

  /** `generic_perform_write`. @errno EFAULT - the buffer, if nothing could be copied. EPERM - a seal. */
  override write(_task: Task, from: IovIter): number {
    if (from.count === 0) return 0;
    const { regular } = this;
    if ((this.flags & Open.APPEND) !== 0) this.pos = regular.size;
    if (this.#isSealed(SEALED_WRITE, this.pos + from.count)) return EPERM;
    regular.reserve(this.pos + from.count);
    const copied = from.copyFrom(regular.bytes, this.pos, from.count);
    if (copied === 0) return from.fault();
    this.pos += copied;
    if (this.pos > regular.size) regular.resize(this.pos);
    fsnotifyFile(this, In.MODIFY);
    return copied;
  }

  /** `generic_file_llseek`. @errno EINVAL - a negative position. */
  override seek(offset: number, whence: number): number {
    if (whence > Seek.END) throw new Unmodelled("lseek(SEEK_DATA or SEEK_HOLE)");
    let pos = offset;
    if (whence === Seek.CUR) pos += this.pos;
    if (whence === Seek.END) pos += this.regular.size;
    if (pos < 0) return -Errno.EINVAL;
    this.pos = pos;
    return pos;
  }

  /** @errno EFAULT - the result's address. ENOTTY - anything but FIONREAD. */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== Ioctl.FIONREAD) return -Errno.ENOTTY;
    const { mm } = task.process;
    return mm.putUser32(arg, this.regular.size - this.pos) ? 0 : mm.fault();
  }

  override fsync(): number {
    return 0;
  }

  /** @errno EPERM - a seal. */
  override truncate(length: number): number {
    if (this.#isSealed(0, length)) return EPERM;
    const { seals, size } = this.regular;
    if (length < size && (seals & Seal.SHRINK) !== 0) return EPERM;
    this.regular.resize(length);
    fsnotifyFile(this, In.MODIFY);
    return 0;
  }

  /** @errno EPERM - a seal. @throws Unmodelled for the modes that only some file systems have. */
  override fallocate(mode: number, offset: number, length: number): number {
    const { regular } = this;
    if ((mode & PUNCH_HOLE) !== 0) {
      if ((regular.seals & SEALED_WRITE) !== 0) return EPERM;
      regular.bytes.fill(0, offset, Math.min(offset + length, regular.size));
      return 0;
    }
    if ((mode & ~KEEP_SIZE) !== 0) throw new Unmodelled(`fallocate(mode ${mode})`);
    if (this.#isSealed(0, offset + length)) return EPERM;
    if ((mode & KEEP_SIZE) === 0 && offset + length > regular.size) regular.resize(offset + length);
    return 0;
  }

  /** Whether a seal forbids to write, or to reach up to `end`. */
  #isSealed(forbidding: number, end: number): boolean {
    const { seals, size } = this.regular;
    return (seals & forbidding) !== 0 || ((seals & Seal.GROW) !== 0 && end > size);
  }

  /** `memfd_get_seals`. */
  get seals(): number {
    return this.regular.seals;
  }

  /**
   * `memfd_add_seals`.
   *
   * @errno EPERM - the description is not writable, or F_SEAL_SEAL is set. EINVAL - an unknown seal.
   * @throws Unmodelled for F_SEAL_WRITE, which waits for whoever holds pages, and for F_SEAL_EXEC.
   */
  addSeals(seals: number): number {
    if (!this.canWrite) return EPERM;
    if ((seals & ~Seal.ALL) !== 0) return -Errno.EINVAL;
    if ((this.regular.seals & Seal.SEAL) !== 0) return EPERM;
    if ((seals & (Seal.WRITE | Seal.EXEC)) !== 0) throw new Unmodelled("F_SEAL_WRITE and F_SEAL_EXEC");
    this.regular.seals |= seals;
    return 0;
  }
}
