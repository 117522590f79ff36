/**
 * Opening FIFOs, and pipes once more through /proc/self/fd.
 *
 * Counterpart: `fs/pipe.c` (`fifo_open`, `wait_for_partner`, `wake_up_partner`).
 * A FIFO opened for one direction waits for somebody who opens it for the other. The counts of opens, not the numbers of
 * readers and writers, end that wait: a partner who has come and gone was there.
 */
import { SleepingCall, type Task } from "../sched/task.ts";
import { waitEvent } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import { type PipeInode, PipeInodeInfo, putPipeInfo } from "./pipe.ts";
import { PipeFile } from "./pipe-file.ts";

/**
 * `fifo_open`.
 *
 * @returns the description; while its `awaited` is not 0 the open is not over: see `FifoOpenCall`.
 * @errno ENXIO - for writing only, O_NONBLOCK and no reader. ENOMEM - the user's hard limit of pipe pages. EINVAL - access
 *   mode 3.
 * @behaviour P-35, P-36, P-37, P-38
 */
export function fifoOpen(inode: PipeInode, task: Task, flags: number, path: string): PipeFile | number {
  if (inode.pipe === null) inode.pipe = PipeInodeInfo.alloc(inode.kernel, task.process);
  const { pipe } = inode;
  if (pipe === null) return -Errno.ENOMEM;
  pipe.files += 1;
  const file = new PipeFile(inode, pipe, flags, inode.anonymous ? null : path);
  const error = connect(file, pipe);
  if (error !== 0) putPipeInfo(inode, pipe);
  return error === 0 ? file : error;
}

function connect(file: PipeFile, pipe: PipeInodeInfo): number {
  const { nonblock } = file;
  const { anonymous } = file.pipeInode;
  switch (file.flags & Open.ACCMODE) {
    case Open.RDONLY:
      pipe.rCounter += 1;
      pipe.readers += 1;
      if (pipe.readers === 1) file.wakeUp(pipe.rdWait, 0, 0);
      if (anonymous || pipe.writers > 0) return 0;
      if (nonblock) file.fPipe = pipe.wCounter;
      else file.awaited = pipe.wCounter;
      return 0;
    case Open.WRONLY:
      if (!anonymous && nonblock && pipe.readers === 0) return -Errno.ENXIO;
      pipe.wCounter += 1;
      pipe.writers += 1;
      if (pipe.writers === 1) file.wakeUp(pipe.rdWait, 0, 0);
      if (!anonymous && pipe.readers === 0) file.awaited = pipe.rCounter;
      return 0;
    case Open.RDWR:
      pipe.rCounter += 1;
      pipe.wCounter += 1;
      pipe.readers += 1;
      pipe.writers += 1;
      if (pipe.readers === 1 || pipe.writers === 1) file.wakeUp(pipe.rdWait, 0, 0);
      return 0;
    default:
      return -Errno.EINVAL;
  }
}

/** `wait_for_partner`: an open asleep until the other side opens too. Its descriptor is reserved already. */
export class FifoOpenCall extends SleepingCall {
  readonly file: PipeFile;
  readonly fd: number;
  readonly cloexec: boolean;

  constructor(file: PipeFile, fd: number, cloexec: boolean) {
    super();
    this.file = file;
    this.fd = fd;
    this.cloexec = cloexec;
  }

  /** @returns the descriptor, `BLOCKED`, or `-ERESTARTSYS`. */
  override step(task: Task): number {
    const { file } = this;
    const { pipe } = file;
    const { files } = task.process;
    if ((file.canRead ? pipe.wCounter : pipe.rCounter) !== file.awaited) {
      task.finishWait();
      file.awaited = 0;
      files.replace(this.fd, file, this.cloexec);
      return this.fd;
    }
    const result = waitEvent(task, pipe.rdWait, this);
    if (result === -Errno.ERESTARTSYS) {
      files.unreserve(this.fd);
      this.#giveUp();
    }
    return result;
  }

  /** The end of `fifo_open` after a signal. */
  #giveUp(): void {
    const { file } = this;
    const { pipe } = file;
    if (file.canRead) {
      pipe.readers -= 1;
      if (pipe.readers === 0) file.wakeUp(pipe.wrWait, 1, 0);
    } else {
      pipe.writers -= 1;
      if (pipe.writers === 0) file.wakeUp(pipe.rdWait, 0, 0);
    }
    putPipeInfo(file.pipeInode, pipe);
  }
}
