/**
 * pidfd: the end of a process to wait for.
 *
 * Counterpart: `fs/pidfs.c` (`pidfd_poll`, `pidfd_show_fdinfo`), `kernel/fork.c`.
 */
import type { Kernel } from "../kernel.ts";
import type { Pid } from "../sched/pid.ts";
import type { Task } from "../sched/task.ts";
import { Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { File, type PollTable } from "./file.ts";

const IN2: number = Poll.IN | Poll.RDNORM;
/** Until 6.8 a pidfd was an anonymous inode, and a reaped process did not show as HUP: D-01. */
const PIDFS_SINCE = 6009;

export class PidfdFile extends File {
  readonly pidRef: Pid;

  /** @param flags - `PIDFD_NONBLOCK`, `PIDFD_THREAD`. */
  constructor(kernel: Kernel, pid: Pid, flags: number) {
    super(kernel, kernel.anonInode, Open.RDWR | (flags & Open.NONBLOCK));
    this.flags |= flags & Open.EXCL; // PIDFD_THREAD
    this.pidRef = pid;
  }

  override get link(): string {
    return "anon_inode:[pidfd]";
  }

  /** @behaviour D-04 */
  override get hasRead(): boolean {
    return false;
  }

  override get hasWrite(): boolean {
    return false;
  }

  /** A file of pidfs has positions as any file, though it cannot be read at them. */
  override get hasPositions(): boolean {
    return this.kernel.profile.version >= PIDFS_SINCE;
  }

  override get hasNowait(): boolean {
    return true;
  }

  /** It was opened for one thread: signals go to that alone. */
  get forThread(): boolean {
    return (this.flags & Open.EXCL) !== 0;
  }

  /** `pidfd_poll`. @behaviour D-01, D-03 */
  override poll(_task: Task, pt: PollTable | null): number {
    const { waitPidfd, task } = this.pidRef;
    if (pt !== null) pt.queue(this, waitPidfd);
    if (task === null) return this.kernel.profile.version >= PIDFS_SINCE ? IN2 | Poll.HUP : IN2;
    const { process } = task;
    const delayed = task === process.leader && process.threads.length > 1; // `delay_group_leader`
    return task.exiting && !delayed ? IN2 : 0;
  }

  /** `pidfd_show_fdinfo`. */
  override fdinfo(): string {
    const nr = this.pidRef.task === null ? -1 : this.pidRef.nr;
    return `Pid:\t${nr}\nNSpid:\t${nr}\n`;
  }
}
