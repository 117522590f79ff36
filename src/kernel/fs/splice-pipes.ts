/**
 * splice and tee between two pipes.
 *
 * Counterpart: `fs/splice.c` (`splice_pipe_to_pipe`, `link_pipe`).
 */
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { PIPE_BUF_CAN_MERGE, type PipeInodeInfo } from "./pipe.ts";
import type { PipeFile } from "./pipe-file.ts";
import { SpliceCall, wakeReaders, wakeWriters } from "./splice.ts";

/** From pipe to pipe, once there is data, and room for it. */
abstract class PipeToPipe extends SpliceCall {
  protected readonly ipipe: PipeInodeInfo;
  protected readonly opipe: PipeInodeInfo;
  protected readonly length: number;

  constructor(input: PipeFile, output: PipeFile, length: number, nonblock: boolean) {
    super(input, output, nonblock || input.nonblock || output.nonblock);
    this.ipipe = input.pipe;
    this.opipe = output.pipe;
    this.length = length;
  }

  /** @returns bytes that the output got. */
  protected abstract transfer(): number;

  protected override attempt(task: Task): number {
    const { ipipe, opipe } = this;
    let result = this.waitForData(task, ipipe);
    if (result === 0 && opipe.full) result = this.waitForSpace(task, opipe);
    if (result !== 0) return result;
    if (opipe.readers === 0) {
      ipipe.kernel.sigpipe(task);
      return -Errno.EPIPE;
    }
    const slotsBefore = ipipe.tail;
    const done = this.transfer();
    if (done > 0) wakeReaders(this.output, opipe);
    if (ipipe.tail !== slotsBefore) wakeWriters(this.input, ipipe);
    return done;
  }
}

/** `splice_pipe_to_pipe`: moves whole slots, and shares the page of one that is wanted in part only. @behaviour P-33, F-23 */
export class SplicePipeToPipe extends PipeToPipe {
  protected override transfer(): number {
    const { ipipe, opipe, length } = this;
    let left = length;
    while (left > 0 && !ipipe.empty && !opipe.full) {
      const buf = ipipe.slot(ipipe.tail);
      const { page, offset, len, flags } = buf;
      if (page === null) break;
      page.refs += 1;
      if (left >= len) {
        opipe.push(page, offset, len, flags);
        ipipe.consume(buf, len);
        ipipe.dropTail();
        left -= len;
      } else {
        opipe.push(page, offset, left, flags & ~PIPE_BUF_CAN_MERGE);
        ipipe.consume(buf, left);
        left = 0;
      }
    }
    return length - left;
  }
}

/** `do_tee`, `link_pipe`: the output gets what the input keeps. @behaviour F-23 */
export class TeeCall extends PipeToPipe {
  protected override transfer(): number {
    const { ipipe, opipe, length } = this;
    let done = 0;
    for (let at = ipipe.tail; at !== ipipe.head && !opipe.full && done < length; at += 1) {
      const { page, offset, len, flags } = ipipe.slot(at);
      if (page === null) break;
      const taken = Math.min(len, length - done);
      page.refs += 1;
      opipe.push(page, offset, taken, flags & ~PIPE_BUF_CAN_MERGE);
      done += taken;
    }
    return done;
  }
}
