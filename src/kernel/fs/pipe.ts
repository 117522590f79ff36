/**
 * Pipes: a ring of page slots between readers and writers.
 *
 * Counterpart: `fs/pipe.c`, `include/linux/pipe_fs_i.h` (`struct pipe_inode_info`, `struct pipe_buffer`). Who opens, reads and
 * writes one: `pipe-file.ts`.
 * Locking in Linux: `pipe->mutex` around all of it; here one step is one section under that lock.
 * Modelled: slots, merging, packets, resizing, per-user limits. Not modelled: notification pipes.
 * Invariants (`checkPipe`): P1 0 <= head - tail <= ring size; P2 exactly the slots in use hold a page, and their bytes lie
 * within it; P3 `readers + writers >= files` counts the open descriptions.
 */
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import type { Page } from "../mm/page.ts";
import type { Process, UserStruct } from "../sched/process.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode } from "../uapi/fcntl.ts";
import { type File, Inode } from "./file.ts";
import type { PipeFile, PipeRead, PipeWrite } from "./pipe-file.ts";

/** `PIPE_DEF_BUFFERS`, `PIPE_MIN_DEF_BUFFERS` (1 before 5.14). */
const DEF_BUFFERS = 16;
const MIN_DEF_BUFFERS = 2;
const MIN_DEF_BUFFERS_TWO = 5014;
const PIPEFS_DEV = 0xe;
const SIZE_MAX = 2 ** 31;

/** `PIPE_BUF_FLAG_*`. */
export const PIPE_BUF_PACKET = 0x08;
export const PIPE_BUF_CAN_MERGE = 0x10;

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
      const packet = (buf.flags & PIPE_BUF_PACKET) !== 0;
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
    if ((buf.flags & PIPE_BUF_CAN_MERGE) === 0 || end + chars > PAGE_SIZE) return 0;
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

/** `put_pipe_info`. */
export function putPipeInfo(inode: PipeInode, pipe: PipeInodeInfo): void {
  pipe.files -= 1;
  if (pipe.files > 0) return;
  inode.pipe = null;
  pipe.free();
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
