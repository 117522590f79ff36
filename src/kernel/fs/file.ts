/**
 * Open file descriptions.
 *
 * Counterpart: `include/linux/fs.h` (`struct file`, `struct file_operations`), `fs/file_table.c` (`fput`),
 * `include/linux/poll.h` (`poll_table`).
 * A description lives while somebody holds a reference: a descriptor, a call that sleeps on it, a message in flight.
 */
import type { Kernel } from "../kernel.ts";
import { assert, KernelBug, Unmodelled } from "../lib/assert.ts";
import type { List } from "../lib/list.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import type { Mutex } from "../sched/mutex.ts";
import type { Task } from "../sched/task.ts";
import type { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Open, Seek } from "../uapi/fcntl.ts";
import { In } from "../uapi/inotify.ts";
import type { Eventpoll } from "./eventpoll/eventpoll.ts";
import type { FileOwner } from "./fasync.ts";
import { type Dentry, type FsnotifyMark, fsnotifyFile, fsnotifyInodeGone } from "./fsnotify.ts";

/** `poll_table`: where a `poll` method names the wait queues that will announce a change. */
export abstract class PollTable {
  /** `poll_queue_proc`. */
  abstract queue(file: File, queue: WaitQueueHead): void;
}

/**
 * What `poll` gives instead of a mask when it would sleep: the epoll that it asks is in the middle of a scan. The caller
 * sleeps on `kernel.contended` and polls again, without naming the wait queues a second time.
 */
export const CONTENDED = -1;

/** An epoll item as the watched description sees it: on its `fEp` list. */
export interface EpollHook {
  /** The instance that watches. */
  readonly ep: Eventpoll;
  /**
   * `eventpoll_release_file`, for one item: the description goes away.
   *
   * @returns null; or the mutex that a scan holds: nothing was done, and the caller sleeps on it.
   */
  releaseFile(): Mutex | null;
}

/** What fstat shows of a file's inode. Times are not modelled. */
export class Inode {
  readonly ino: number;
  /** Type and permissions: `Mode`. */
  mode: number;
  readonly dev: number;
  readonly rdev: number;
  uid: number;
  nlink: number;
  /** What keeps the inode when it has no name: descriptions opened by name; of a directory, also those of what stands in it. */
  opens: number;
  /** The directory that a removed directory, still in use, stood in. */
  pinned: Inode | null;
  /** `i_fsnotify_marks`: who watches the inode; null when nobody ever did. */
  marks: Set<FsnotifyMark> | null;

  constructor(ino: number, mode: number, dev: number, rdev = 0) {
    this.ino = ino;
    this.mode = mode;
    this.dev = dev;
    this.rdev = rdev;
    this.uid = 0;
    this.nlink = 1;
    this.opens = 0;
    this.pinned = null;
    this.marks = null;
  }

  /** `i_size` in bytes. */
  get size(): number {
    return 0;
  }

  /** `st_blksize`. */
  get blksize(): number {
    return PAGE_SIZE;
  }

  /**
   * `->open` of a new description, by path or through /proc/self/fd.
   *
   * @param path - the text of its /proc/self/fd link.
   * @errno ENXIO - what has no open method: sockets and anonymous files (E-009).
   */
  open(_task: Task, _flags: number, _path: string): File | number {
    return -Errno.ENXIO;
  }
}

/** Flags that F_SETFL can change: `SETFL_MASK` of `fs/fcntl.c`. O_ASYNC is `->fasync`'s business. */
export const SETFL_MASK: number = Open.APPEND | Open.NONBLOCK | Open.DIRECT | Open.NOATIME;

export abstract class File {
  readonly kernel: Kernel;
  /** Counts descriptions, in the order of their birth. */
  readonly id: number;
  /**
   * Stands for the kernel address of the description: the first key of epoll's tree (E-058, ND-23). Linux's addresses are
   * arbitrary but constant; here they grow with age, unless a race is explored: then any order is possible until the
   * description is in a tree.
   */
  address: number;
  /** Null until somebody asks, where it can be made later: see `makeInode`. */
  #inode: Inode | null;
  /** `f_flags`: access mode and status flags; never O_CLOEXEC, which belongs to the descriptor. */
  flags: number;
  /** `f_pos` in bytes; only meaningful for files that seek. */
  pos: number;
  /** `f_ref`. */
  refs: number;
  /** `f_ep`: the epoll items that watch this description, newest first; null when there never was one. */
  fEp: List<EpollHook> | null;
  /** `f_owner`; null while nobody has set one. */
  fown: FileOwner | null;
  /** The epoll instance that this description is; null for every other type (`is_file_epoll`). */
  epoll: Eventpoll | null;

  constructor(kernel: Kernel, inode: Inode | null, flags: number) {
    this.kernel = kernel;
    this.id = kernel.nextFileId++;
    this.address = this.id;
    this.#inode = inode;
    this.flags = flags & ~(Open.CLOEXEC | Open.CREAT | Open.EXCL | Open.NOCTTY | Open.TRUNC);
    this.pos = 0;
    this.refs = 1;
    this.fEp = null;
    this.fown = null;
    this.epoll = null;
  }

  get inode(): Inode {
    this.#inode ??= this.makeInode();
    return this.#inode;
  }

  /** The inode of a file that was made without: few programs ever look at a socket's. */
  protected makeInode(): Inode {
    throw new KernelBug("file: a description without an inode");
  }

  /** What names relative to this description begin at, if it is a directory. */
  namesBeginAt(_task: Task): Inode {
    return this.inode;
  }

  /** Text of the /proc/self/fd link. */
  abstract get link(): string;

  /** `FMODE_READ`, as `OPEN_FMODE` reads the access mode: mode 3 is neither. `FdTable.get` keeps O_PATH files away. */
  get canRead(): boolean {
    return ((this.flags + 1) & 1) !== 0;
  }

  /** `FMODE_WRITE`. */
  get canWrite(): boolean {
    return ((this.flags + 1) & 2) !== 0;
  }

  get nonblock(): boolean {
    return (this.flags & Open.NONBLOCK) !== 0;
  }

  /** `file_can_poll`: whether the file has a poll method. */
  get canPoll(): boolean {
    return true;
  }

  /** `FMODE_PREAD`, `FMODE_PWRITE`: the file can be read and written at any position. */
  get hasPositions(): boolean {
    return false;
  }

  /** Whether `read` exists at all: without it read(2) is EINVAL before any look at the buffer. */
  get hasRead(): boolean {
    return true;
  }

  get hasWrite(): boolean {
    return true;
  }

  /** Whether there is `->read_iter`: without it readv is one read per segment. */
  get hasReadIter(): boolean {
    return true;
  }

  /** Whether there is `->write_iter`: without it writev is one write per segment. */
  get hasWriteIter(): boolean {
    return true;
  }

  /**
   * `->poll`: names the wait queues through `pt` unless it is null, and reports the present mask.
   *
   * @param task - the caller: a signalfd answers for whoever asks.
   * @returns a mask, or `CONTENDED`.
   */
  abstract poll(task: Task, pt: PollTable | null): number;

  /**
   * `->read_iter` at the file's own position.
   *
   * @returns bytes read, 0 at the end, a negative errno, or `BLOCKED`.
   */
  read(_task: Task, _to: IovIter, _nonblock: boolean): number {
    return -Errno.EINVAL;
  }

  /** `->write_iter`. @returns bytes written, a negative errno, or `BLOCKED`. */
  write(_task: Task, _from: IovIter, _nonblock: boolean): number {
    return -Errno.EINVAL;
  }

  /** `->unlocked_ioctl`, after the generic requests. @errno ENOTTY - an unknown request, unless the file says else. */
  ioctl(_task: Task, _request: number, _arg: number): number {
    return -Errno.ENOTTY;
  }

  /** `->llseek`. @errno ESPIPE - the file has no position. */
  seek(_offset: number, _whence: number): number {
    return -Errno.ESPIPE;
  }

  /** `->check_flags` and O_DIRECT's own condition for F_SETFL. @returns 0 or a negative errno. */
  checkFlags(flags: number): number {
    return (flags & Open.DIRECT) !== 0 ? -Errno.EINVAL : 0;
  }

  /** Whether there is `->splice_read` of a file. Sockets have their own: see `SpliceSocketToPipe`. */
  get hasSpliceRead(): boolean {
    return false;
  }

  /** Whether a splice takes pages of the content as they lie (`filemap_splice_read`), rather than a copy. */
  get hasPages(): boolean {
    return false;
  }

  /** Whether there is `->splice_write`. */
  get hasSpliceWrite(): boolean {
    return false;
  }

  /** `FMODE_NOWAIT`: RWF_NOWAIT is understood. */
  get hasNowait(): boolean {
    return !this.hasPositions;
  }

  /** Whether there is `->fasync`, which keeps the O_ASYNC flag. */
  get hasFasync(): boolean {
    return false;
  }

  /** `->fasync`: O_ASYNC was set or cleared. */
  fasyncChanged(_on: boolean): void {}

  /** `->fsync`. @errno EINVAL - the file has none. */
  fsync(): number {
    return -Errno.EINVAL;
  }

  /** `do_ftruncate`. @errno EINVAL - not a regular file open for writing. */
  truncate(_length: number): number {
    return -Errno.EINVAL;
  }

  /** `vfs_fallocate` behind its checks, for a regular file. */
  fallocate(_mode: number, _offset: number, _length: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->release`: the last reference is gone. Runs after epoll has let go of the file. */
  release(): void {}

  /** `->show_fdinfo`: the lines behind the common ones, each with its newline. */
  fdinfo(): string {
    return "";
  }

  /** `__wake_up_poll` on a queue that this file's operation changes; whoever watches the model hears of it. */
  wakeUp(queue: WaitQueueHead, nrExclusive: number, key: number): void {
    if (this.kernel.observer !== null) this.kernel.observer.wakeUp(this, key);
    queue.wakeUp(nrExclusive, key);
  }

  /** `fget`. */
  get(): this {
    assert(this.refs > 0, "file: a reference to a released description");
    this.refs += 1;
    return this;
  }

  /**
   * `fput`; with the last reference `__fput`. The kernel defers that to the way back to user space, which no program
   * can tell from here, save that epoll items go before `->release` wakes anybody.
   */
  put(): void {
    if (this.tryPut() !== null)
      throw new Unmodelled(`the last reference to ${this.link} goes during a scan, not by close`);
  }

  /** `put` for a caller that can sleep. @returns null; or the mutex to sleep on before `finishPut`. */
  tryPut(): Mutex | null {
    this.refs -= 1;
    assert(this.refs >= 0, "file: more puts than gets");
    return this.refs > 0 ? null : this.finishPut();
  }

  /** `__fput`, or the rest of it: E-166, E-167. */
  finishPut(): Mutex | null {
    if (this.fEp !== null) {
      for (let node = this.fEp.first; node !== null; node = this.fEp.first) {
        const mutex = node.owner.releaseFile();
        if (mutex !== null) return mutex;
      }
    }
    if ((this.flags & Open.ASYNC) !== 0) this.fasyncChanged(false);
    this.release();
    return null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#inode];
  }
}

/** A description opened by its path. */
export abstract class NamedFile extends File {
  readonly path: string;
  /** The name that it was opened by; null when there was none. */
  dentry: Dentry | null;

  constructor(kernel: Kernel, inode: Inode, flags: number, path: string) {
    super(kernel, inode, flags);
    this.path = path;
    this.dentry = null;
    inode.opens += 1;
  }

  /** `FMODE_NONOTIFY`: watchers hear nothing of this description. */
  get nonotify(): boolean {
    return false;
  }

  /** What `__fput` tells watchers; the inode may go with its last description. */
  override release(): void {
    if ((this.flags & Open.PATH) === 0) fsnotifyFile(this, this.canWrite ? In.CLOSE_WRITE : In.CLOSE_NOWRITE);
    unpin(this.inode);
    if (this.dentry !== null) unpin(this.dentry.dir);
  }

  override get link(): string {
    return this.inode.nlink === 0 ? `${this.path} (deleted)` : this.path;
  }
}

/** One description less that keeps an inode: without a name, it goes with the last. */
function unpin(inode: Inode): void {
  inode.opens -= 1;
  if (inode.opens > 0 || inode.nlink > 0) return;
  fsnotifyInodeGone(inode);
  if (inode.pinned !== null) unpin(inode.pinned);
}

/** `no_llseek` is the default; this is `noop_llseek`: any known origin, and the position stays. */
export function noopSeek(pos: number, whence: number): number {
  return whence >= Seek.SET && whence <= Seek.HOLE ? pos : -Errno.EINVAL;
}
