/**
 * What a file on a disk holds, as far as a recording tells: bytes that nobody knows, and as many as are asked for.
 */
import { File, Inode } from "../kernel/fs/file.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { SpliceFileToPipe } from "../kernel/fs/splice.ts";
import { SendfileToSocket } from "../kernel/fs/splice-socket.ts";
import type { IovIter } from "../kernel/mm/iov-iter.ts";
import { PAGE_SIZE } from "../kernel/mm/mm.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { SleepingCall, Task } from "../kernel/sched/task.ts";
import { DEFAULT_POLLMASK } from "../kernel/uapi/poll.ts";
import type { ExternalFile } from "./external.ts";
import { UNKNOWN_BYTE } from "./user-area.ts";

/** Who is outside and has taken so much in one call reads as fast as it comes, and has taken the rest as well. */
export const MOVED_MAX: number = 8 * 1024 * 1024;
const UNKNOWN: Uint8Array = new Uint8Array(PAGE_SIZE).fill(UNKNOWN_BYTE);

/** `i_size` is not known, but the call that asks is told where to stop. */
class EndlessInode extends Inode {
  override get size(): number {
    return Number.MAX_SAFE_INTEGER;
  }
}

class DiskContent extends File {
  override readonly link: string;

  constructor(disk: ExternalFile) {
    const { inode } = disk;
    super(disk.kernel, new EndlessInode(inode.ino, inode.mode, inode.dev), disk.flags);
    this.link = disk.link;
  }

  override get canPoll(): boolean {
    return false;
  }

  override poll(): number {
    return DEFAULT_POLLMASK;
  }

  override get hasSpliceRead(): boolean {
    return true;
  }

  override get hasPages(): boolean {
    return true;
  }

  override read(_task: Task, to: IovIter): number {
    let done = 0;
    while (to.count > 0) {
      const copied = to.copyTo(UNKNOWN, 0, Math.min(PAGE_SIZE, to.count));
      if (copied === 0) break;
      done += copied;
    }
    this.pos += done;
    return done;
  }
}

/** A sendfile of which the model moves the beginning only. */
class LongSendfile extends SendfileToSocket {
  readonly #length: number;

  constructor(content: File, output: SocketFile, at: number, length: number) {
    super(content, output, { addr: 0, value: at }, Math.min(length, MOVED_MAX));
    this.#length = length;
  }

  override step(task: Task): number {
    const result = super.step(task);
    return result === MOVED_MAX ? this.#length : result;
  }
}

/**
 * The call that moves a file's pages to where they are not copied: the room that they take there depends on how they lie.
 *
 * @param at - position in the file. @param nonblock - SPLICE_F_NONBLOCK. @param taken - the other end takes whatever comes.
 * @returns null for an output that takes copies, as a write does.
 */
export function diskSplice(
  disk: ExternalFile,
  output: File | null,
  at: number,
  length: number,
  nonblock: boolean,
  taken: boolean,
): SleepingCall | null {
  const content = new DiskContent(disk);
  if (output instanceof SocketFile && taken) return new LongSendfile(content, output, at, length);
  if (output instanceof SocketFile) return new SendfileToSocket(content, output, { addr: 0, value: at }, length);
  if (!(output instanceof PipeFile)) return null;
  return new SpliceFileToPipe(content, output, { addr: 0, value: at }, length, nonblock);
}
