/**
 * /dev/kmsg: the kernel's log, to the extent that a program which polls can know it.
 *
 * Counterpart: `kernel/printk/printk.c` (`kmsg_fops`).
 * A machine that has booted has a log, so a new description has records to read; what they say is the machine's own affair.
 * Behind them (lseek to the end) there is nothing, and nothing ever comes: the model logs nothing.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { waitEvent } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Open, Seek } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { type File, Inode, NamedFile, type PollTable } from "./file.ts";

const DEVTMPFS_DEV = 0x6;
/** `makedev(1, 11)`. */
const KMSG_RDEV = 0x10b;

export class KmsgInode extends Inode {
  readonly kernel: Kernel;
  /** `log_wait`: nobody wakes it, since nothing is logged. */
  readonly logWait: WaitQueueHead = new WaitQueueHead();

  constructor(kernel: Kernel) {
    super(kernel.allocIno(), Mode.IFCHR | 0o644, DEVTMPFS_DEV, KMSG_RDEV);
    this.kernel = kernel;
  }

  /** `devkmsg_open`. @throws Unmodelled for a reader without privilege: a sysctl decides. */
  override open(task: Task, flags: number, path: string): File {
    const reads = (flags & Open.ACCMODE) !== Open.WRONLY;
    if (reads && !task.process.privileged) throw new Unmodelled("open of /dev/kmsg without privilege");
    return new KmsgFile(this, flags, path);
  }
}

/** `struct devkmsg_user`. */
class KmsgFile extends NamedFile {
  readonly #wait: WaitQueueHead;
  /** The description stands behind the last record. */
  #atEnd = false;

  constructor(inode: KmsgInode, flags: number, path: string) {
    super(inode.kernel, inode, flags, path);
    this.#wait = inode.logWait;
  }

  override get hasReadIter(): boolean {
    return false;
  }

  override get hasPositions(): boolean {
    return true;
  }

  /** `devkmsg_poll`. @behaviour O-05 */
  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.#wait);
    return this.#atEnd ? 0 : Poll.IN | Poll.RDNORM;
  }

  /** `devkmsg_read`. @errno EAGAIN - behind the last record. @throws Unmodelled - a record. */
  override read(task: Task, _to: IovIter, _nonblock: boolean): number {
    if (!this.#atEnd) throw new Unmodelled("read of /dev/kmsg");
    return this.nonblock ? -Errno.EAGAIN : waitEvent(task, this.#wait, new KmsgRead(this));
  }

  override write(): number {
    throw new Unmodelled("write to /dev/kmsg");
  }

  /** `devkmsg_llseek`. @errno ESPIPE - an offset. EINVAL - an origin that is not known. */
  override seek(offset: number, whence: number): number {
    if (offset !== 0) return -Errno.ESPIPE;
    if (whence === Seek.DATA) throw new Unmodelled("lseek(SEEK_DATA) of /dev/kmsg");
    if (whence !== Seek.SET && whence !== Seek.END) return -Errno.EINVAL;
    this.#atEnd = whence === Seek.END;
    return 0;
  }
}

/** A reader asleep until something is logged. */
class KmsgRead extends SleepingCall {
  readonly #file: KmsgFile;

  constructor(file: KmsgFile) {
    super();
    this.#file = file;
  }

  override step(task: Task): number {
    task.finishWait();
    return this.#file.read(task, task.iter, false);
  }
}
