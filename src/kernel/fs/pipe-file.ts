/**
 * The open ends of a pipe: reading, writing, polling.
 *
 * Counterpart: `fs/pipe.c` (`pipeanon_fops`, `pipefifo_fops`).
 * Modelled: every wake, signals. A profile before 5.6 still sleeps on two queues and exclusively; Linux had one queue until 5.4
 * and plain sleepers until 5.5, which shows only in who of several sleepers goes first.
 */
import type { Kernel } from "../kernel.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { wakeLast } from "../sched/preempt.ts";
import type { Process } from "../sched/process.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { waitEventExclusive } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { Band, killFasync } from "./fasync.ts";
import { File, type PollTable } from "./file.ts";
import { PIPE_BUF_CAN_MERGE, PIPE_BUF_PACKET, PipeInode, PipeInodeInfo, putPipeInfo } from "./pipe.ts";

const EAGAIN = -Errno.EAGAIN;
const EPIPE = -Errno.EPIPE;
/** `EPOLLIN | EPOLLRDNORM`, `EPOLLOUT | EPOLLWRNORM`: the keys of data and of room. */
const IN2: number = Poll.IN | Poll.RDNORM;
const OUT2: number = Poll.OUT | Poll.WRNORM;
const { HUP: EPOLLHUP, ERR: EPOLLERR } = Poll;

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
    const total = done + pipe.append(from, packetized ? PIPE_BUF_PACKET : PIPE_BUF_CAN_MERGE);
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

/** A reader asleep until there is data or no writer is left. */
export class PipeRead extends SleepingCall {
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
export class PipeWrite extends SleepingCall {
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
