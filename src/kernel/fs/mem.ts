/**
 * The memory devices.
 *
 * Counterpart: `drivers/char/mem.c`. None of them has a poll method, so epoll refuses them (O-01, E-045).
 */
import type { Kernel } from "../kernel.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import type { Task } from "../sched/task.ts";
import { Mode } from "../uapi/fcntl.ts";
import { DEFAULT_POLLMASK } from "../uapi/poll.ts";
import { File, Inode } from "./file.ts";

/** `makedev(1, 3)`. */
const NULL_DEV = 0x103;
const DEVTMPFS_DEV = 0x5;

/** /dev/null. */
export class NullFile extends File {
  constructor(kernel: Kernel, flags: number) {
    super(kernel, new Inode(kernel.allocIno(), Mode.IFCHR | 0o666, DEVTMPFS_DEV, NULL_DEV), flags);
  }

  override get link(): string {
    return "/dev/null";
  }

  override get canPoll(): boolean {
    return false;
  }

  override poll(): number {
    return DEFAULT_POLLMASK;
  }

  override read(): number {
    return 0;
  }

  override write(_task: Task, from: IovIter): number {
    return from.count;
  }

  override seek(): number {
    return 0;
  }
}
