/**
 * vmsplice: user memory into a pipe, and a pipe's data into user memory.
 *
 * Counterpart: `fs/splice.c` (`vmsplice_to_pipe`, `vmsplice_to_user`).
 * Linux puts the pages of the program into the pipe, which shows what is written to them later; the model copies when the call
 * is made.
 */
import { IovIter } from "../mm/iov-iter.ts";
import { Mm, PAGE_SIZE } from "../mm/mm.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import type { PipeInodeInfo } from "./pipe.ts";
import type { PipeFile } from "./pipe-file.ts";
import { SpliceCall, wakeReaders, wakeWriters } from "./splice.ts";

/** The buffer that a cursor is in. */
const segment: IovIter = new IovIter(new Mm());

/** `vmsplice_to_pipe`: one slot per page of user memory, none of which can be merged into. @behaviour P-34 */
export class VmspliceToPipe extends SpliceCall {
  readonly #pipe: PipeInodeInfo;

  /** The task's cursor holds the buffers. O_NONBLOCK of the pipe does not matter, the flag does. */
  constructor(file: PipeFile, nonblock: boolean) {
    super(file, file, nonblock);
    this.#pipe = file.pipe;
  }

  protected override attempt(task: Task): number {
    const pipe = this.#pipe;
    const wait = this.waitForSpace(task, pipe);
    if (wait !== 0) return wait;
    const result = this.#fill(task);
    if (result > 0) wakeReaders(this.output, pipe);
    return result;
  }

  /** `iter_to_pipe`. @errno EFAULT - the first buffer. */
  #fill(task: Task): number {
    const { iter } = task;
    const pipe = this.#pipe;
    let done = 0;
    while (iter.count > 0 && !pipe.full) {
      iter.currentSegment(segment);
      const offset = segment.address % PAGE_SIZE;
      const chars = Math.min(segment.count, PAGE_SIZE - offset);
      if (chars === 0) {
        iter.advance(0);
        continue;
      }
      const page = pipe.kernel.pages.alloc();
      if (iter.copyFrom(page.bytes, offset, chars) < chars) {
        pipe.kernel.pages.put(page);
        const fault = iter.fault();
        return done === 0 ? fault : done;
      }
      pipe.push(page, offset, chars, 0);
      done += chars;
    }
    return done;
  }
}

/** `vmsplice_to_user`: a read of the pipe that wakes as a splice does. */
export class VmspliceToUser extends SpliceCall {
  readonly #pipe: PipeInodeInfo;

  /** The task's cursor holds the buffers. */
  constructor(file: PipeFile, nonblock: boolean) {
    super(file, file, nonblock);
    this.#pipe = file.pipe;
  }

  protected override attempt(task: Task): number {
    const pipe = this.#pipe;
    if (task.signalPending) return -Errno.ERESTARTSYS;
    const wait = this.waitForData(task, pipe);
    if (wait !== 0) return wait;
    const { iter } = task;
    const tailBefore = pipe.tail;
    let done = 0;
    while (iter.count > 0 && !pipe.empty) {
      const buf = pipe.slot(pipe.tail);
      if (buf.page === null) break;
      const chars = Math.min(buf.len, iter.count);
      if (iter.copyTo(buf.page.bytes, buf.offset, chars) < chars) {
        const fault = iter.fault();
        if (done === 0) done = fault;
        break;
      }
      pipe.consume(buf, chars);
      done += chars;
      if (buf.len === 0) pipe.dropTail();
    }
    if (pipe.tail !== tailBefore) wakeWriters(this.input, pipe);
    return done;
  }
}
