/**
 * POSIX message queues: to the extent of opening and polling them.
 *
 * Counterpart: `ipc/mqueue.c` (`do_mq_open`, `mqueue_poll_file`).
 * The language has no calls that send or receive, so a queue stays empty. Refused (`Unmodelled`): attributes.
 */
import { File, Inode, type PollTable } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import type { UserStruct } from "../sched/process.ts";
import type { Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, NAME_MAX, Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";

const MQUEUE_DEV = 0x12;
/** The usual umask. */
const UMASK = 0o022;
/** `DFLT_QUEUESMAX`: more takes CAP_SYS_RESOURCE. */
const QUEUES_MAX = 256;
/** `MQ_BYTES_MAX`: RLIMIT_MSGQUEUE. */
const MSGQUEUE_LIMIT = 819_200;
/** What a queue of default size counts for: ten messages of 8192 bytes, each with two headers of 48. */
const DEFAULT_QUEUE_BYTES = 10 * (8192 + 48 + 48);
/** `FILENT_SIZE`. */
const FILE_SIZE = 80;
const MAY_READ = 4;
const MAY_WRITE = 2;

/** The queues of a machine (`struct ipc_namespace`), by name. */
export class Mqueues {
  readonly #byName = new Map<string, MqueueInode>();
  /** `UCOUNT_RLIMIT_MSGQUEUE`: bytes that each user's queues count for. */
  readonly #bytes = new Map<UserStruct, number>();

  /**
   * `do_mq_open`, with the name copied in and a number at hand.
   *
   * @errno EACCES - a name with a slash, "." or "..", or no permission. ENAMETOOLONG - more than 255 bytes. ENOENT - no
   *   such queue. EEXIST - O_EXCL. EINVAL - both access modes, or O_DIRECT. ENOSPC - too many queues. EMFILE - the
   *   user's queues are too large.
   * @behaviour O-07
   */
  open(task: Task, name: string, flags: number, mode: number): File | number {
    if (name === "." || name === ".." || name.includes("/")) return -Errno.EACCES;
    if (name.length > NAME_MAX) return -Errno.ENAMETOOLONG;
    if ((flags & Open.PATH) !== 0) throw new Unmodelled("mq_open(O_PATH)");
    let inode = this.#byName.get(name);
    if (inode === undefined) {
      if ((flags & Open.CREAT) === 0) return -Errno.ENOENT;
      const error = this.#charge(task);
      if (error !== 0) return error;
      inode = new MqueueInode(task.kernel, mode & 0o7777 & ~UMASK, task.process.user.uid);
      this.#byName.set(name, inode);
    } else {
      if ((flags & Open.CREAT) !== 0 && (flags & Open.EXCL) !== 0) return -Errno.EEXIST;
      if ((flags & Open.ACCMODE) === Open.ACCMODE) return -Errno.EINVAL;
      if (!mayOpen(task, inode, flags)) return -Errno.EACCES;
    }
    return (flags & Open.DIRECT) !== 0 ? -Errno.EINVAL : new MqueueFile(task.kernel, inode, flags, `/${name}`);
  }

  #charge(task: Task): number {
    const { user, capSysResource } = task.process;
    if (this.#byName.size >= QUEUES_MAX && !capSysResource) return -Errno.ENOSPC;
    const bytes = (this.#bytes.get(user) ?? 0) + DEFAULT_QUEUE_BYTES;
    if (bytes > MSGQUEUE_LIMIT) return -Errno.EMFILE;
    this.#bytes.set(user, bytes);
    return 0;
  }
}

function mayOpen(task: Task, inode: Inode, flags: number): boolean {
  if (task.process.privileged) return true;
  const access = flags & Open.ACCMODE;
  const wanted = (access === Open.WRONLY ? 0 : MAY_READ) | (access === Open.RDONLY ? 0 : MAY_WRITE);
  const shift = task.process.user.uid === inode.uid ? 6 : 0;
  return ((inode.mode >> shift) & wanted) === wanted;
}

/** `struct mqueue_inode_info`. */
class MqueueInode extends Inode {
  readonly waitQ: WaitQueueHead = new WaitQueueHead();

  constructor(kernel: Kernel, permissions: number, uid: number) {
    super(kernel.allocIno(), Mode.IFREG | permissions, MQUEUE_DEV);
    this.uid = uid;
  }

  override get size(): number {
    return FILE_SIZE;
  }

  override open(): number {
    throw new Unmodelled("open of a message queue by a path");
  }
}

/** An open queue. */
class MqueueFile extends File {
  readonly #waitQ: WaitQueueHead;
  readonly #link: string;

  constructor(kernel: Kernel, inode: MqueueInode, flags: number, link: string) {
    super(kernel, inode, flags);
    this.#waitQ = inode.waitQ;
    this.#link = link;
  }

  override get link(): string {
    return this.#link;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override get hasReadIter(): boolean {
    return false;
  }

  override get hasWrite(): boolean {
    return false;
  }

  /** `mqueue_poll_file`, of an empty queue. @behaviour O-07 */
  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.#waitQ);
    return Poll.OUT | Poll.WRNORM;
  }

  override read(_task: Task, _to: IovIter): number {
    throw new Unmodelled("read of a message queue");
  }

  override seek(): number {
    throw new Unmodelled("lseek of a message queue");
  }

  override ioctl(): number {
    throw new Unmodelled("ioctl of a message queue");
  }

  override truncate(): number {
    throw new Unmodelled("ftruncate of a message queue");
  }

  override fallocate(): number {
    throw new Unmodelled("fallocate of a message queue");
  }
}
