/**
 * Regular files in memory, with or without a name.
 *
 * Counterpart: `mm/shmem.c` and `mm/memfd.c`, `mm/filemap.c` (`generic_perform_write`), `generic_file_llseek`.
 * They are here because programs open and add them to an epoll, which refuses them (E-045), and splice from them.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import type { Page, PageAllocator } from "../mm/page.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Open, Seal, Seek } from "../uapi/fcntl.ts";
import { In } from "../uapi/inotify.ts";
import { DEFAULT_POLLMASK } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { type File, Inode, NamedFile } from "./file.ts";
import { fsnotifyFile, fsnotifyInode } from "./fsnotify.ts";

/** No test needs more, and one typing error in a size must not take the machine's memory. */
const SIZE_MAX = 64 * 1024 * 1024;
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const WRITE_ZEROES = 0x80;
const EPERM = -Errno.EPERM;
const SEALED_WRITE: number = Seal.WRITE | Seal.FUTURE_WRITE;

export class RegularInode extends Inode {
  /** `F_SEAL_*`. A file with a name, which lies in a tmpfs, has the one that forbids others. */
  seals: number;
  /** The page cache, by page of the file; null, or nothing, for a hole. Pipes may hold pages, too: see `SpliceFileToPipe`. */
  readonly #pages: (Page | null)[] = [];
  readonly #allocator: PageAllocator;
  #size = 0;

  constructor(kernel: Kernel, permissions: number, dev: number, seals: number = Seal.SEAL) {
    super(kernel.allocIno(), Mode.IFREG | permissions, dev);
    this.seals = seals;
    this.#allocator = kernel.pages;
  }

  override get size(): number {
    return this.#size;
  }

  override open(task: Task, flags: number, path: string): File {
    return new RegularFile(task.kernel, this, flags, path);
  }

  /** A page of the content; null for a hole, which reads as zeros. */
  page(index: number): Page | null {
    return this.#pages[index] ?? null;
  }

  /** The same, where a hole is filled. @throws Unmodelled beyond 64 MiB. */
  makePage(index: number): Page {
    const present = this.page(index);
    if (present !== null) return present;
    if ((index + 1) * PAGE_SIZE > SIZE_MAX) throw new Unmodelled(`a file of ${(index + 1) * PAGE_SIZE} bytes`);
    const page = this.#allocator.alloc();
    page.bytes.fill(0);
    while (this.#pages.length < index) this.#pages.push(null);
    this.#pages[index] = page;
    return page;
  }

  /** `i_size_write`; what a shorter file loses is gone. @throws Unmodelled beyond 64 MiB. */
  resize(size: number): void {
    if (size > SIZE_MAX) throw new Unmodelled(`a file of ${size} bytes`);
    if (size < this.#size) {
      this.discard(size, this.#pages.length * PAGE_SIZE);
      this.#pages.length = Math.min(this.#pages.length, Math.ceil(size / PAGE_SIZE));
    }
    this.#size = size;
  }

  /** `shmem_undo_range`: whole pages become holes, parts of pages zeros. */
  discard(from: number, to: number): void {
    const end = Math.min(to, this.#pages.length * PAGE_SIZE);
    for (let at = from; at < end; ) {
      const index = Math.floor(at / PAGE_SIZE);
      const next = Math.min(end, (index + 1) * PAGE_SIZE);
      const page = this.page(index);
      if (page !== null && next - at === PAGE_SIZE) {
        this.#allocator.put(page);
        this.#pages[index] = null;
      } else page?.bytes.fill(0, at % PAGE_SIZE, (at % PAGE_SIZE) + (next - at));
      at = next;
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#pages, this.#allocator, this.#size];
  }
}

const ZEROS = new Uint8Array(PAGE_SIZE);

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

  override get hasPages(): boolean {
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
    const { regular } = this;
    const want = Math.min(to.count, regular.size - this.pos);
    if (want <= 0) return 0;
    let done = 0;
    while (done < want) {
      const offset = this.pos % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, want - done);
      const page = regular.page(Math.floor(this.pos / PAGE_SIZE));
      const copied = to.copyTo(page?.bytes ?? ZEROS, offset, chunk);
      this.pos += copied;
      done += copied;
      if (copied < chunk) break;
    }
    if (done > 0) fsnotifyFile(this, In.ACCESS);
    return done === 0 ? to.fault() : done;
  }

  /**
   * `generic_perform_write`, page by page.
   *
   * @errno EFAULT - the buffer, if nothing could be copied. EPERM - a seal, if it forbids the first page.
   */
  override write(_task: Task, from: IovIter): number {
    if (from.count === 0) return 0;
    const { regular } = this;
    if ((this.flags & Open.APPEND) !== 0) this.pos = regular.size;
    let done = 0;
    let err = 0;
    while (err === 0 && from.count > 0) {
      const offset = this.pos % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, from.count);
      if (this.#isSealed(SEALED_WRITE, this.pos + chunk)) {
        err = EPERM;
        break;
      }
      const copied = from.copyFrom(regular.makePage(Math.floor(this.pos / PAGE_SIZE)).bytes, offset, chunk);
      this.pos += copied;
      done += copied;
      if (copied < chunk) err = from.fault();
      if (this.pos > regular.size) regular.resize(this.pos);
    }
    if (done > 0) fsnotifyFile(this, In.MODIFY);
    return done === 0 ? err : done;
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
    fsnotifyInode(this.inode, this.dentry, In.MODIFY);
    return 0;
  }

  /** @errno EPERM - a seal. EOPNOTSUPP - zeros by the device. @throws Unmodelled for the modes that only some file systems have. */
  override fallocate(mode: number, offset: number, length: number): number {
    const { regular } = this;
    if ((mode & PUNCH_HOLE) !== 0) {
      if ((regular.seals & SEALED_WRITE) !== 0) return EPERM;
      regular.discard(offset, offset + length);
      return 0;
    }
    if (mode === WRITE_ZEROES) return -Errno.EOPNOTSUPP;
    if ((mode & ~KEEP_SIZE) !== 0) throw new Unmodelled(`fallocate(mode ${mode})`);
    if (this.#isSealed(0, offset + length)) return EPERM;
    for (let at = offset; at < offset + length; at += PAGE_SIZE - (at % PAGE_SIZE)) {
      regular.makePage(Math.floor(at / PAGE_SIZE));
    }
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
