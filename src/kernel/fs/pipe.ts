/**
 * Pipes: a ring of page slots between readers and writers.
 *
 * Counterpart: `fs/pipe.c`, `include/linux/pipe_fs_i.h` (`struct pipe_inode_info`, `struct pipe_buffer`).
 * Locking in Linux: `pipe->mutex` around all of it; here one step is one section under that lock.
 * Modelled: slots, merging, packets, resizing, per-user limits, every wake, signals. Not modelled: notification pipes.
 * A profile before 5.6 still sleeps on two queues and exclusively; Linux had one queue until 5.4 and plain sleepers until
 * 5.5, which shows only in who of several sleepers goes first.
 * Invariants (`checkPipe`): P1 0 <= head - tail <= ring size; P2 exactly the slots in use hold a page, and their bytes lie
 * within it; P3 `readers + writers >= files` counts the open descriptions.
 */
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import type { Page } from "../mm/page.ts";
import { wakeLast } from "../sched/preempt.ts";
import type { Process, UserStruct } from "../sched/process.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { waitEventExclusive } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { Band, killFasync } from "./fasync.ts";
import { File, Inode, type PollTable } from "./file.ts";

const EAGAIN = -Errno.EAGAIN;
const EPIPE = -Errno.EPIPE;
/** `EPOLLIN | EPOLLRDNORM`, `EPOLLOUT | EPOLLWRNORM`: the keys of data and of room. */
const IN2: number = Poll.IN | Poll.RDNORM;
const OUT2: number = Poll.OUT | Poll.WRNORM;
const { HUP: EPOLLHUP, ERR: EPOLLERR } = Poll;

/** `PIPE_DEF_BUFFERS`, `PIPE_MIN_DEF_BUFFERS` (1 before 5.14). */
const DEF_BUFFERS = 16;
const MIN_DEF_BUFFERS = 2;
const MIN_DEF_BUFFERS_TWO = 5014;
const PIPEFS_DEV = 0xe;
const SIZE_MAX = 2 ** 31;

/** `PIPE_BUF_FLAG_*`. */
const PACKET = 0x08;
export const CAN_MERGE = 0x10;

/** `struct pipe_buffer`: one slot of the ring. */
export class PipeBuffer {
  page: Page | null = null;
  offset = 0;
  len = 0;
  flags = 0;
}

/** A pipe's or FIFO's inode; `pipe` is there while a description is open (`i_pipe`). */
export class PipeInode extends Inode {
  readonly kernel: Kernel;
  /** `i_fop` is `pipeanon_fops`: made by pipe(2), so opening it again never waits and never fails. */
  readonly anonymous: boolean;
  pipe: PipeInodeInfo | null;

  constructor(kernel: Kernel, anonymous: boolean, permissions: number, dev: number = PIPEFS_DEV) {
    super(kernel.allocIno(), Mode.IFIFO | permissions, dev);
    this.kernel = kernel;
    this.anonymous = anonymous;
    this.pipe = null;
  }
}

export class PipeInodeInfo {
  readonly kernel: Kernel;
  readonly rdWait: WaitQueueHead = new WaitQueueHead();
  readonly wrWait: WaitQueueHead = new WaitQueueHead();
  /** The ring; its length, `ring_size`, is a power of two. */
  bufs: PipeBuffer[];
  /** Slots written and slots read since the start of the ring: slot n is `bufs[n & (ring_size - 1)]`. */
  head = 0;
  tail = 0;
  /** Who pays for the slots: the user who made the pipe. */
  readonly user: UserStruct;
  readers = 0;
  writers = 0;
  /** Descriptions, and opens under way. */
  files = 0;
  /** Opens ever, plus one: who waits for a partner waits for a change. */
  rCounter = 1;
  wCounter = 1;
  /** Somebody has polled this pipe: from then on each write wakes (P-18). */
  pollUsage = false;
  /** The latest `take` freed a slot in a way that writers must hear of. */
  madeRoom = false;
  /** `fasync_readers` and `fasync_writers`: descriptions whose owners get signals, the newest first; null for none. */
  fasyncReaders: PipeFile[] | null = null;
  fasyncWriters: PipeFile[] | null = null;
  /** A sleeping call that has ended and can be used again. */
  spareRead: PipeRead | null = null;
  spareWrite: PipeWrite | null = null;

  /** `alloc_pipe_info`, its allocation: `slots` are accounted already. */
  constructor(kernel: Kernel, user: UserStruct, slots: number) {
    this.kernel = kernel;
    this.user = user;
    this.bufs = Array.from({ length: slots }, () => new PipeBuffer());
  }

  /**
   * `alloc_pipe_info`.
   *
   * @returns null when the user is over the hard limit.
   * @behaviour P-01, P-28
   */
  static alloc(kernel: Kernel, process: Process): PipeInodeInfo | null {
    const { user } = process;
    let slots = DEF_BUFFERS;
    const maxSlots = Math.floor(kernel.sysctl.get("fs.pipe-max-size") / PAGE_SIZE);
    if (slots > maxSlots && !process.capSysResource) slots = maxSlots;
    if (!process.privileged) {
      if (overLimit(kernel, "fs.pipe-user-pages-soft", user.pipeBufs + slots)) {
        slots = kernel.profile.version < MIN_DEF_BUFFERS_TWO ? 1 : MIN_DEF_BUFFERS;
      }
      if (overLimit(kernel, "fs.pipe-user-pages-hard", user.pipeBufs + slots)) return null;
    }
    user.pipeBufs += slots;
    return new PipeInodeInfo(kernel, user, slots);
  }

  /** `pipe_empty`. */
  get empty(): boolean {
    return this.head === this.tail;
  }

  /** `pipe_full`. */
  get full(): boolean {
    return this.head - this.tail >= this.bufs.length;
  }

  slot(index: number): PipeBuffer {
    return this.bufs[index & (this.bufs.length - 1)] as PipeBuffer;
  }

  /** `pipe_buf_release` and the new tail. */
  dropTail(): void {
    const buf = this.slot(this.tail);
    this.kernel.pages.put(buf.page as Page);
    buf.page = null;
    this.tail += 1;
  }

  /** Takes `chars` bytes out of a slot. */
  consume(buf: PipeBuffer, chars: number): void {
    buf.offset += chars;
    buf.len -= chars;
    if (this.kernel.observer !== null) this.kernel.observer.dequeued(this, chars);
  }

  /** Claims the next slot for `len` bytes of `page`, which the slot takes over. The ring must not be full. */
  push(page: Page, offset: number, len: number, flags: number): void {
    const buf = this.slot(this.head);
    assert(buf.page === null, "P2: a free slot holds a page");
    buf.page = page;
    buf.offset = offset;
    buf.len = len;
    buf.flags = flags;
    this.head += 1;
    if (this.kernel.observer !== null) this.kernel.observer.enqueued(this, len);
  }

  /**
   * The copying part of `anon_pipe_read`: from as many slots as there are and as the reader wants.
   *
   * @returns bytes read, 0 when the pipe is empty, or `-EFAULT` with the first slot untouched.
   * @behaviour P-06, P-12, P-21, P-29, P-31
   */
  take(to: IovIter): number {
    const { pipeReadWakes } = this.kernel.profile;
    let done = 0;
    this.madeRoom = pipeReadWakes === "full" && this.full;
    while (this.head !== this.tail) {
      const buf = this.slot(this.tail);
      const chars = Math.min(buf.len, to.count);
      if (to.copyTo((buf.page as Page).bytes, buf.offset, chars) < chars) {
        const fault = to.fault();
        return done === 0 ? fault : done;
      }
      done += chars;
      this.consume(buf, chars);
      const packet = (buf.flags & PACKET) !== 0;
      if (packet || buf.len === 0) {
        if (pipeReadWakes === "slot" || this.full) this.madeRoom = true;
        this.dropTail();
      }
      if (packet || to.count === 0) break;
    }
    return done;
  }

  /**
   * The first part of `anon_pipe_write`: what sticks out beyond whole pages goes into the newest slot, if it fits there.
   *
   * @returns bytes merged, or `-EFAULT`.
   * @behaviour P-04, P-05, P-11, P-30, P-31
   */
  merge(from: IovIter): number {
    const chars = from.count % PAGE_SIZE;
    if (chars === 0 || this.empty) return 0;
    const buf = this.slot(this.head - 1);
    const end = buf.offset + buf.len;
    if ((buf.flags & CAN_MERGE) === 0 || end + chars > PAGE_SIZE) return 0;
    if (from.copyFrom((buf.page as Page).bytes, end, chars) < chars) return from.fault();
    buf.len += chars;
    if (this.kernel.observer !== null) this.kernel.observer.enqueued(this, chars);
    return chars;
  }

  /**
   * The loop of `anon_pipe_write`: fills new slots until the data or the room is used up. A page that cannot be filled
   * is thrown away (P-31); from 5.5 to 6.14 its slot stayed, with no bytes in it.
   *
   * @returns bytes stored. When some are left and the ring is not full, the copy failed.
   */
  append(from: IovIter, flags: number): number {
    const { pages, profile } = this.kernel;
    let done = 0;
    while (from.count > 0 && !this.full) {
      const chars = Math.min(PAGE_SIZE, from.count);
      const page = pages.alloc();
      if (from.copyFrom(page.bytes, 0, chars) < chars) {
        if (profile.pipeFaultLeavesSlot) this.push(page, 0, 0, flags);
        else pages.put(page);
        break;
      }
      this.push(page, 0, chars, flags);
      done += chars;
    }
    return done;
  }

  /** Unread bytes. */
  get unread(): number {
    let bytes = 0;
    for (let at = this.tail; at !== this.head; at += 1) bytes += this.slot(at).len;
    return bytes;
  }

  /**
   * `pipe_set_size`.
   *
   * @param size - an unsigned int, in bytes.
   * @returns the new size in bytes.
   * @errno EINVAL - more than 2^31. EPERM - growth beyond a limit. EBUSY - more slots are in use.
   * @behaviour P-25, P-26, P-27, P-28
   */
  setSize(file: File, process: Process, size: number): number {
    if (size > SIZE_MAX) return -Errno.EINVAL;
    const slots = Math.max(1, 2 ** Math.ceil(Math.log2(size / PAGE_SIZE)));
    const grows = slots > this.bufs.length;
    const { kernel, user } = this;
    if (grows && slots * PAGE_SIZE > kernel.sysctl.get("fs.pipe-max-size") && !process.capSysResource) {
      return -Errno.EPERM;
    }
    const userBufs = user.pipeBufs - this.bufs.length + slots;
    const over =
      overLimit(kernel, "fs.pipe-user-pages-hard", userBufs) || overLimit(kernel, "fs.pipe-user-pages-soft", userBufs);
    if (grows && over && !process.privileged) return -Errno.EPERM;
    if (slots < this.head - this.tail) return -Errno.EBUSY;
    this.#resizeRing(slots);
    user.pipeBufs = userBufs;
    file.wakeUp(this.wrWait, 1, 0);
    return slots * PAGE_SIZE;
  }

  /** `pipe_resize_ring`: the slots in use move to the start of the new ring. */
  #resizeRing(slots: number): void {
    const bufs: PipeBuffer[] = [];
    for (let at = this.tail; at !== this.head; at += 1) bufs.push(this.slot(at));
    this.head = bufs.length;
    this.tail = 0;
    while (bufs.length < slots) bufs.push(new PipeBuffer());
    this.bufs = bufs;
  }

  /** `free_pipe_info`: the last description is gone. */
  free(): void {
    while (!this.empty) this.dropTail();
    this.user.pipeBufs -= this.bufs.length;
  }
}

function overLimit(kernel: Kernel, sysctl: string, pages: number): boolean {
  const limit = kernel.sysctl.get(sysctl);
  return limit !== 0 && pages > limit;
}

/** One open end of a pipe or FIFO, or both in one (P-37). */
export class PipeFile extends File {
  readonly pipeInode: PipeInode;
  readonly pipe: PipeInodeInfo;
  /** `f_pipe`: the writers' count when a FIFO was opened that had none; no HUP until it changes (P-36). */
  fPipe: number;
  /** Path of a FIFO, null for a pipe. */
  readonly path: string | null;
  /** An open that waits for the other side: the value that its count of opens has to leave behind. Else 0. */
  awaited: number;
  /** Cleared by the first splice (`pipe_clear_nowait`). */
  nowait: boolean;

  /** The caller counts the new description in `files`, `readers` and `writers`. */
  constructor(inode: PipeInode, pipe: PipeInodeInfo, flags: number, path: string | null) {
    super(inode.kernel, inode, flags);
    this.pipeInode = inode;
    this.pipe = pipe;
    this.fPipe = 0;
    this.path = path;
    this.awaited = 0;
    this.nowait = true;
  }

  override get link(): string {
    if (this.path === null) return `pipe:[${this.inode.ino}]`;
    return this.inode.nlink === 0 ? `${this.path} (deleted)` : this.path;
  }

  override get hasFasync(): boolean {
    return true;
  }

  override get hasNowait(): boolean {
    return this.nowait;
  }

  /** O_DIRECT is packet mode. */
  override checkFlags(_flags: number): number {
    return 0;
  }

  /** `pipe_poll`. @behaviour P-02, P-03, P-07, P-16, P-17, P-36, P-37 */
  override poll(_task: Task, pt: PollTable | null): number {
    const { pipe, canRead, canWrite } = this;
    pipe.pollUsage = true;
    if (pt !== null) {
      if (canRead) pt.queue(this, pipe.rdWait);
      if (canWrite) pt.queue(this, pipe.wrWait);
    }
    let mask = 0;
    if (canRead) {
      if (!pipe.empty) mask |= IN2;
      if (pipe.writers === 0 && this.fPipe !== pipe.wCounter) mask |= EPOLLHUP;
    }
    if (canWrite) {
      if (!pipe.full) mask |= OUT2;
      if (pipe.readers === 0) mask |= EPOLLERR;
    }
    return mask;
  }

  /**
   * `anon_pipe_read`.
   *
   * @returns bytes, or 0 at the end: the pipe is empty and nobody can write.
   * @errno EAGAIN - empty. EFAULT - the buffer; nothing is consumed.
   * @behaviour P-06, P-12, P-13, P-16, P-21, P-22, P-29
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    if (to.count === 0) return 0;
    const { pipe } = this;
    const result = pipe.take(to);
    if (result !== 0 || pipe.writers === 0) return this.finishRead(result, false);
    if (nonblock) return this.finishRead(EAGAIN, false);
    return waitEventExclusive(task, pipe.rdWait, PipeRead.start(this));
  }

  /** The wakes at the end of a read. A reader that slept took a wake-up that others need if it leaves data. */
  finishRead(result: number, slept: boolean): number {
    const { pipe } = this;
    if (pipe.madeRoom) this.wakeUp(pipe.wrWait, 1, OUT2);
    if (slept && !pipe.empty) this.wakeUp(pipe.rdWait, 1, IN2);
    if (pipe.fasyncWriters !== null) tell(pipe.fasyncWriters, Band.OUT);
    return result;
  }

  /**
   * `anon_pipe_write`.
   *
   * @errno EPIPE - nobody can read; SIGPIPE too. EAGAIN - full, nothing stored. EFAULT - the buffer.
   * @behaviour P-04, P-08, P-09, P-10, P-11, P-12, P-13, P-17, P-18, P-20, P-31, P-32
   */
  override write(task: Task, from: IovIter, nonblock: boolean): number {
    if (from.count === 0) return 0;
    const { pipe } = this;
    if (pipe.readers === 0) {
      this.kernel.sigpipe(task);
      return this.#finishWrite(task, EPIPE, false, false);
    }
    const wasEmpty = pipe.empty;
    const merged = pipe.merge(from);
    if (merged < 0 || from.count === 0) return this.#finishWrite(task, merged, wasEmpty, false);
    return this.fill(task, from, merged, wasEmpty, nonblock, null);
  }

  /**
   * The loop of `anon_pipe_write` until it ends or must wait for room.
   *
   * @param done - bytes stored so far.
   * @param call - the call when it has slept before, else null.
   */
  fill(task: Task, from: IovIter, done: number, wasEmpty: boolean, nonblock: boolean, call: PipeWrite | null): number {
    const { pipe } = this;
    const slept = call !== null;
    const packetized = (this.flags & Open.DIRECT) !== 0;
    const total = done + pipe.append(from, packetized ? PACKET : CAN_MERGE);
    if (from.count === 0) return this.#finishWrite(task, total, wasEmpty, slept);
    if (!pipe.full) {
      const fault = from.fault();
      return this.#finishWrite(task, total === 0 ? fault : total, wasEmpty, slept);
    }
    if (nonblock) return this.#finishWrite(task, total === 0 ? EAGAIN : total, wasEmpty, slept);
    if (task.signalPending) return this.#finishWrite(task, total === 0 ? -Errno.ERESTARTSYS : total, wasEmpty, slept);
    if (wasEmpty || (total > done && this.kernel.profile.pipeWriteWakes === "slot")) {
      this.wakeUp(pipe.rdWait, 1, IN2);
      if (pipe.fasyncReaders !== null) tell(pipe.fasyncReaders, Band.IN);
    }
    const sleeping = call ?? PipeWrite.start(this);
    sleeping.done = total;
    return waitEventExclusive(task, pipe.wrWait, sleeping);
  }

  /** `anon_pipe_write` after its sleep: the reader may have left meanwhile. */
  resumeWrite(task: Task, call: PipeWrite): number {
    const { pipe } = this;
    const { done } = call;
    const wasEmpty = pipe.empty;
    if (pipe.readers === 0) {
      this.kernel.sigpipe(task);
      return this.#finishWrite(task, done === 0 ? EPIPE : done, wasEmpty, true);
    }
    return this.fill(task, task.iter, done, wasEmpty, this.nonblock, call);
  }

  /** The wakes at the end of a write. P-20: a failed one wakes too, once somebody has polled the pipe. */
  #finishWrite(task: Task, result: number, wasEmpty: boolean, slept: boolean): number {
    const { pipe } = this;
    const { pipeWriteWakes } = this.kernel.profile;
    const wakes = pipeWriteWakes === "slot" ? result > 0 : wasEmpty || (pipeWriteWakes === "write" && pipe.pollUsage);
    if (wakes && !slept && pipe.fasyncReaders === null)
      return wakeLast(this.kernel, task, this, pipe.rdWait, IN2, result);
    if (wakes) this.wakeUp(pipe.rdWait, 1, IN2);
    if (pipe.fasyncReaders !== null) tell(pipe.fasyncReaders, Band.IN);
    if (slept && !pipe.full) this.wakeUp(pipe.wrWait, 1, OUT2);
    return result;
  }

  /** `pipe_fasync`. */
  override fasyncChanged(on: boolean): void {
    const { pipe } = this;
    if (this.canRead) pipe.fasyncReaders = changed(pipe.fasyncReaders, this, on);
    if (this.canWrite) pipe.fasyncWriters = changed(pipe.fasyncWriters, this, on);
  }

  /** `pipe_ioctl`. @errno EFAULT - the result's address. ENOTTY - another request. @behaviour P-15 */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== Ioctl.FIONREAD) return -Errno.ENOTTY;
    const { mm } = task.process;
    return mm.putUser32(arg, this.pipe.unread) ? 0 : mm.fault();
  }

  /** `pipe_release`. @behaviour P-23, P-24 */
  override release(): void {
    const { pipe } = this;
    if (this.canRead) pipe.readers -= 1;
    if (this.canWrite) pipe.writers -= 1;
    if ((pipe.readers === 0) !== (pipe.writers === 0)) {
      this.wakeUp(pipe.rdWait, 0, 0);
      this.wakeUp(pipe.wrWait, 0, 0);
      if (pipe.fasyncReaders !== null) tell(pipe.fasyncReaders, Band.IN);
      if (pipe.fasyncWriters !== null) tell(pipe.fasyncWriters, Band.OUT);
    }
    putPipeInfo(this.pipeInode, pipe);
  }
}

/** `fasync_helper`. */
function changed(list: PipeFile[] | null, file: PipeFile, on: boolean): PipeFile[] | null {
  const others = (list ?? []).filter((other) => other !== file);
  if (on) return [file, ...others];
  return others.length > 0 ? others : null;
}

/** `kill_fasync`. */
function tell(files: readonly PipeFile[], band: number): void {
  for (const file of files) killFasync(file, band);
}

/** `put_pipe_info`. */
export function putPipeInfo(inode: PipeInode, pipe: PipeInodeInfo): void {
  pipe.files -= 1;
  if (pipe.files > 0) return;
  inode.pipe = null;
  pipe.free();
}

/** A reader asleep until there is data or no writer is left. */
class PipeRead extends SleepingCall {
  file: PipeFile;

  constructor(file: PipeFile) {
    super();
    this.file = file;
  }

  static start(file: PipeFile): PipeRead {
    const { pipe } = file;
    const call = pipe.spareRead ?? new PipeRead(file);
    pipe.spareRead = null;
    call.file = file;
    return call;
  }

  override step(task: Task): number {
    const { file } = this;
    const { pipe } = file;
    if (pipe.empty && pipe.writers !== 0) return waitEventExclusive(task, pipe.rdWait, this);
    task.finishWait();
    pipe.spareRead = this;
    return file.finishRead(pipe.take(task.iter), true);
  }
}

/** A writer asleep until there is room or no reader is left. */
class PipeWrite extends SleepingCall {
  file: PipeFile;
  /** Bytes stored so far. */
  done: number;

  constructor(file: PipeFile) {
    super();
    this.file = file;
    this.done = 0;
  }

  static start(file: PipeFile): PipeWrite {
    const { pipe } = file;
    const call = pipe.spareWrite ?? new PipeWrite(file);
    pipe.spareWrite = null;
    call.file = file;
    return call;
  }

  override step(task: Task): number {
    const { file } = this;
    const { pipe } = file;
    if (pipe.full && pipe.readers !== 0 && !task.signalPending) return waitEventExclusive(task, pipe.wrWait, this);
    task.finishWait();
    const result = file.resumeWrite(task, this);
    if (result !== BLOCKED) pipe.spareWrite = this;
    return result;
  }
}

/**
 * `create_pipe_files`: the two ends of a new pipe. Null when the user's hard limit is reached.
 *
 * @param flags - O_NONBLOCK for both ends, O_DIRECT for the writer.
 */
export function createPipeFiles(kernel: Kernel, process: Process, flags: number): [PipeFile, PipeFile] | null {
  const pipe = PipeInodeInfo.alloc(kernel, process);
  if (pipe === null) return null;
  const inode = new PipeInode(kernel, true, 0o600);
  inode.uid = process.user.uid;
  inode.pipe = pipe;
  pipe.files = 2;
  pipe.readers = 1;
  pipe.writers = 1;
  // The writer is made first, as in Linux: its description is the older one.
  const writer = new PipeFile(inode, pipe, Open.WRONLY | (flags & (Open.NONBLOCK | Open.DIRECT)), null);
  const reader = new PipeFile(inode, pipe, Open.RDONLY | (flags & Open.NONBLOCK), null);
  return [reader, writer];
}

/** @throws KernelBug naming the invariant that does not hold. */
export function checkPipe(pipe: PipeInodeInfo): void {
  const used = pipe.head - pipe.tail;
  assert(used >= 0 && used <= pipe.bufs.length, "P1: the ring holds more than it has slots");
  for (let i = 0; i < pipe.bufs.length; i += 1) {
    const { page, offset, len } = pipe.slot(pipe.tail + i);
    assert((page !== null) === i < used, "P2: a slot in use without a page, or a page in a free slot");
    assert(page === null || (offset >= 0 && len >= 0 && offset + len <= PAGE_SIZE), "P2: bytes outside the page");
  }
  assert(pipe.readers + pipe.writers >= pipe.files, "P3: a description is neither reader nor writer");
}
