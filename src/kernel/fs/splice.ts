/**
 * splice and sendfile: what all of the family share, and files as an end.
 *
 * Counterpart: `fs/splice.c`, `do_sendfile` of `fs/read_write.c`. Two pipes are in `splice-pipes.ts`, memory is in `vmsplice.ts`,
 * sockets are in `splice-socket.ts`.
 * Their wakes are plain (key 0), whatever the pipe was before, and a slot freed from a pipe that was not full wakes writers
 * too: an item that waits only for OUT on a FIFO opened for both sides sees an edge when data is spliced in.
 * Pages of files are passed by reference: what a program writes to the file before the other end has read it, is read
 * changed.
 */
import { IovIter } from "../mm/iov-iter.ts";
import { Mm, PAGE_SIZE, Prot, Vma } from "../mm/mm.ts";
import type { Page } from "../mm/page.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { waitEvent } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { MAX_RW_COUNT, Open, Seek } from "../uapi/fcntl.ts";
import { In } from "../uapi/inotify.ts";
import type { File } from "./file.ts";
import { fsnotifyFile } from "./fsnotify.ts";
import type { PipeInodeInfo } from "./pipe.ts";
import type { PipeFile } from "./pipe-file.ts";
import { RegularFile } from "./regular.ts";

const EAGAIN = -Errno.EAGAIN;
const EINVAL = -Errno.EINVAL;
const EPIPE = -Errno.EPIPE;
const ERESTARTSYS = -Errno.ERESTARTSYS;
/** Pages that sendfile moves at a time between two files: the slots of its internal pipe. */
const DIRECT_BYTES: number = 16 * PAGE_SIZE;

/** A cursor over the kernel's own bytes, a whole number of pages: `iov_iter_kvec`. */
export function kernelIter(bytes: Uint8Array, length: number): IovIter {
  const mm = new Mm();
  mm.vmas.push(new Vma(PAGE_SIZE, bytes, Prot.RW, null));
  const iter = new IovIter(mm);
  iter.setBuffer(PAGE_SIZE, length);
  return iter;
}

/** `wakeup_pipe_readers`. */
export function wakeReaders(file: File, pipe: PipeInodeInfo): void {
  file.wakeUp(pipe.rdWait, 1, 0);
}

/** `wakeup_pipe_writers`. */
export function wakeWriters(file: File, pipe: PipeInodeInfo): void {
  file.wakeUp(pipe.wrWait, 1, 0);
}

/** A call between two files that may have to wait for either. Both stay open as long as it takes. */
export abstract class SpliceCall extends SleepingCall {
  readonly input: File;
  readonly output: File;
  readonly nonblock: boolean;

  constructor(input: File, output: File, nonblock: boolean) {
    super();
    this.input = input.get();
    this.output = output.get();
    this.nonblock = nonblock;
  }

  /** One try. @returns the call's result, or `BLOCKED` when the task waits. */
  protected abstract attempt(task: Task): number;

  override step(task: Task): number {
    const result = this.attempt(task);
    if (result === BLOCKED) return BLOCKED;
    task.finishWait();
    this.input.put();
    this.output.put();
    return result;
  }

  /** `ipipe_prep`. @returns 0 when there is data or nobody to bring any, else a negative errno or `BLOCKED`. */
  protected waitForData(task: Task, pipe: PipeInodeInfo): number {
    if (!pipe.empty || pipe.writers === 0) return 0;
    if (this.nonblock) return EAGAIN;
    return waitEvent(task, pipe.rdWait, this);
  }

  /** `opipe_prep`, `wait_for_space`. @errno EPIPE - nobody can read; SIGPIPE too. */
  protected waitForSpace(task: Task, pipe: PipeInodeInfo): number {
    if (pipe.readers === 0) {
      pipe.kernel.sigpipe(task);
      return EPIPE;
    }
    if (!pipe.full) return 0;
    if (this.nonblock) return EAGAIN;
    return waitEvent(task, pipe.wrWait, this);
  }
}

/** A position that the caller gave by address, or the file's own. */
export interface SplicePos {
  /** 0: the file's own. */
  readonly addr: number;
  value: number;
}

const word = new Uint8Array(8);
const wordView = new DataView(word.buffer);

/** Stores where a file was left. @returns the call's result, or `-EFAULT`. */
export function storePos(task: Task, file: File, pos: SplicePos, result: number): number {
  if (pos.addr === 0) {
    file.pos = pos.value;
    return result;
  }
  if (result < 0) return result;
  const { mm } = task.process;
  wordView.setBigInt64(0, BigInt(pos.value), true);
  return mm.copyToUser(pos.addr, word, 0, 8) === 8 ? result : mm.fault();
}

/** `splice_file_to_pipe`. @errno EINVAL - the file has no splice_read. @behaviour F-23 */
export class SpliceFileToPipe extends SpliceCall {
  readonly #pipe: PipeInodeInfo;
  readonly #pos: SplicePos;
  readonly #length: number;

  constructor(input: File, output: PipeFile, pos: SplicePos, length: number, nonblock: boolean) {
    super(input, output, nonblock || output.nonblock);
    this.#pipe = output.pipe;
    this.#pos = pos;
    this.#length = length;
  }

  protected override attempt(task: Task): number {
    const pipe = this.#pipe;
    const wait = this.waitForSpace(task, pipe);
    if (wait !== 0) return wait;
    const result = this.#read(task);
    if (result > 0) wakeReaders(this.output, pipe);
    return storePos(task, this.input, this.#pos, result);
  }

  /** `do_splice_read`: no more than there are free slots. */
  #read(task: Task): number {
    const { input } = this;
    const pipe = this.#pipe;
    if (this.#length === 0) return 0;
    const unsupported = spliceReadError(input);
    if (unsupported !== 0) return unsupported;
    const room = (pipe.bufs.length - (pipe.head - pipe.tail)) * PAGE_SIZE;
    const length = Math.min(this.#length, room, MAX_RW_COUNT);
    if (input instanceof RegularFile) return this.#share(input, length);
    const bytes = new Uint8Array(Math.ceil(length / PAGE_SIZE) * PAGE_SIZE);
    const result = readAt(task, input, this.#pos, bytes, length);
    for (let done = 0; done < result; done += PAGE_SIZE) {
      const chars = Math.min(PAGE_SIZE, result - done);
      const page = pipe.kernel.pages.alloc();
      page.bytes.set(bytes.subarray(done, done + chars));
      pipe.push(page, 0, chars, 0);
    }
    return result;
  }

  /** `shmem_file_splice_read`: the pipe holds the file's own pages, and shows what is written to them later. */
  #share(input: RegularFile, length: number): number {
    const { regular } = input;
    const pipe = this.#pipe;
    let done = 0;
    while (done < length && this.#pos.value < regular.size && !pipe.full) {
      const offset = this.#pos.value % PAGE_SIZE;
      const chars = Math.min(PAGE_SIZE - offset, length - done, regular.size - this.#pos.value);
      const page = regular.page(Math.floor(this.#pos.value / PAGE_SIZE));
      if (page !== null) page.refs += 1;
      pipe.push(page ?? zeroPage(pipe), offset, chars, 0);
      this.#pos.value += chars;
      done += chars;
    }
    if (done > 0) fsnotifyFile(input, In.ACCESS);
    return done;
  }
}

/** What a hole shows. */
function zeroPage(pipe: PipeInodeInfo): Page {
  const page = pipe.kernel.pages.alloc();
  page.bytes.fill(0);
  return page;
}

/** @errno EINVAL - no `->splice_read`. */
function spliceReadError(file: File): number {
  return file.hasSpliceRead ? 0 : EINVAL;
}

/** @errno EINVAL - no `->splice_write`. */
function spliceWriteError(file: File): number {
  return file.hasSpliceWrite ? 0 : EINVAL;
}

/** One read into kernel memory at a position, which moves on. */
export function readAt(task: Task, file: File, pos: SplicePos, bytes: Uint8Array, length: number): number {
  const saved = file.pos;
  file.pos = pos.value;
  const result = file.read(task, kernelIter(bytes, length), true);
  pos.value = file.pos;
  file.pos = saved;
  return result;
}

/** One write from kernel memory at a position, which moves on. */
function writeAt(task: Task, file: File, pos: SplicePos, bytes: Uint8Array, length: number): number {
  const saved = file.pos;
  file.pos = pos.value;
  const result = file.write(task, kernelIter(bytes, length), true);
  pos.value = file.pos;
  file.pos = saved;
  return result;
}

/** `splice_from_pipe`, `iter_file_splice_write`. @errno EINVAL - the file has no splice_write. @behaviour F-23 */
export class SplicePipeToFile extends SpliceCall {
  readonly #pipe: PipeInodeInfo;
  readonly #pos: SplicePos;
  readonly #length: number;

  constructor(input: PipeFile, output: File, pos: SplicePos, length: number, nonblock: boolean) {
    super(input, output, nonblock || input.nonblock);
    this.#pipe = input.pipe;
    this.#pos = pos;
    this.#length = length;
  }

  protected override attempt(task: Task): number {
    const pipe = this.#pipe;
    if (!this.output.hasSpliceWrite) return EINVAL;
    if (task.signalPending) return ERESTARTSYS;
    const wait = this.waitForData(task, pipe);
    if (wait !== 0) return wait;
    if (pipe.empty) return 0;
    const tailBefore = pipe.tail;
    const result = this.#feed(task);
    if (pipe.tail !== tailBefore) wakeWriters(this.input, pipe);
    return storePos(task, this.output, this.#pos, result);
  }

  #feed(task: Task): number {
    const pipe = this.#pipe;
    let done = 0;
    while (done < this.#length && !pipe.empty) {
      const buf = pipe.slot(pipe.tail);
      if (buf.page === null) break;
      const chars = Math.min(buf.len, this.#length - done);
      const bytes = new Uint8Array(Math.ceil(chars / PAGE_SIZE) * PAGE_SIZE);
      bytes.set(buf.page.bytes.subarray(buf.offset, buf.offset + chars));
      const written = writeAt(task, this.output, this.#pos, bytes, chars);
      if (written < 0) return done === 0 ? written : done;
      pipe.consume(buf, written);
      done += written;
      if (buf.len === 0) pipe.dropTail();
    }
    return done;
  }
}

/** @errno EINVAL - the input cannot seek; O_APPEND. */
export function spliceDirectError(input: File, output: File): number {
  const seekable = input.seek(0, Seek.CUR) !== -Errno.ESPIPE; // `FMODE_LSEEK`
  return (output.flags & Open.APPEND) !== 0 || !seekable ? EINVAL : 0;
}

/**
 * `do_splice_direct`: between two files that are no pipes.
 *
 * @returns bytes moved; `pos` has moved by as many.
 * @errno EINVAL - the input cannot seek or be spliced, or the output cannot; O_APPEND.
 */
export function spliceDirect(task: Task, input: File, pos: SplicePos, output: File, length: number): number {
  const error = spliceDirectError(input, output);
  if (error !== 0) return error;
  const bytes = new Uint8Array(DIRECT_BYTES);
  const outPos = { addr: 0, value: output.pos };
  let done = 0;
  while (done < length) {
    const unsupported = spliceReadError(input);
    if (unsupported !== 0) return unsupported;
    const got = readAt(task, input, pos, bytes, Math.min(DIRECT_BYTES, length - done));
    if (got <= 0) return done === 0 ? got : finishDirect(output, outPos, done);
    const refused = spliceWriteError(output);
    const put = refused !== 0 ? refused : writeAt(task, output, outPos, bytes, got);
    if (put < got) pos.value -= got - Math.max(0, put);
    if (put <= 0) return done === 0 ? put : finishDirect(output, outPos, done);
    done += put;
    if (put < got) break;
  }
  return finishDirect(output, outPos, done);
}

function finishDirect(output: File, outPos: SplicePos, done: number): number {
  output.pos = outPos.value;
  return done;
}
