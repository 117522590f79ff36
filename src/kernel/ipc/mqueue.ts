/**
 * POSIX message queues.
 *
 * Counterpart: `ipc/mqueue.c`.
 * A message goes from a sender straight to a sleeping receiver, and then nobody who polls is woken; so does the message of a sleeping
 * sender into the room that a receiver makes. Otherwise everybody who polls is woken, without a key.
 * Refused (`Unmodelled`): the file operations of a queue.
 * Invariant: nobody sleeps to receive while there is a message, nor to send while there is room.
 */
import { File, Inode, type PollTable } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import type { UserStruct } from "../sched/process.ts";
import { SleepingCall, type Task, TaskState } from "../sched/task.ts";
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
/** `DFLT_MSG`, `DFLT_MSGSIZE`, which are also the most without CAP_SYS_RESOURCE; `HARD_MSGMAX`, `HARD_MSGSIZEMAX`. */
const DEFAULT_MESSAGES = 10;
const DEFAULT_MESSAGE_BYTES = 8192;
const HARD_MESSAGES = 65_536;
const HARD_MESSAGE_BYTES = 16_777_216;
/** `struct msg_msg` and `struct posix_msg_tree_node`: what a message counts for beside its bytes. */
const PER_MESSAGE_BYTES = 48 + 48;
/** `FILENT_SIZE`. */
const FILE_SIZE = 80;
const MAY_READ = 4;
const MAY_WRITE = 2;

/** `struct mq_attr`, as far as mq_open looks at it. */
export interface MqueueLimits {
  readonly messages: number;
  readonly messageBytes: number;
}

/** The queues of a machine (`struct ipc_namespace`), by name. */
export class Mqueues {
  readonly #byName = new Map<string, MqueueInode>();
  /** `UCOUNT_RLIMIT_MSGQUEUE`: bytes that each user's queues count for. */
  readonly #bytes = new Map<UserStruct, number>();

  /**
   * `do_mq_open`, with the name copied in and a number at hand.
   *
   * @param limits - of a new queue; null for the usual ones.
   * @errno EACCES - a name with a slash, "." or "..", or no permission. ENAMETOOLONG - more than 255 bytes. ENOENT - no
   *   such queue. EEXIST - O_EXCL. EINVAL - both access modes, O_DIRECT, or limits out of range. ENOSPC - too many
   *   queues. EMFILE - the user's queues are too large.
   * @behaviour O-07
   */
  open(task: Task, name: string, flags: number, mode: number, limits: MqueueLimits | null): File | number {
    if (name === "." || name === ".." || name.includes("/")) return -Errno.EACCES;
    if (name.length > NAME_MAX) return -Errno.ENAMETOOLONG;
    if ((flags & Open.PATH) !== 0) throw new Unmodelled("mq_open(O_PATH)");
    let inode = this.#byName.get(name);
    if (inode === undefined) {
      if ((flags & Open.CREAT) === 0) return -Errno.ENOENT;
      const error = this.#charge(task, limits ?? DEFAULT_LIMITS);
      if (error !== 0) return error;
      inode = new MqueueInode(task.kernel, mode & 0o7777 & ~UMASK, task.process.user.uid, limits ?? DEFAULT_LIMITS);
      this.#byName.set(name, inode);
    } else {
      if ((flags & Open.CREAT) !== 0 && (flags & Open.EXCL) !== 0) return -Errno.EEXIST;
      if ((flags & Open.ACCMODE) === Open.ACCMODE) return -Errno.EINVAL;
      if (!mayOpen(task, inode, flags)) return -Errno.EACCES;
    }
    return (flags & Open.DIRECT) !== 0 ? -Errno.EINVAL : new MqueueFile(task.kernel, inode, flags, `/${name}`);
  }

  /** `mq_attr_ok`, and the limits of a user. */
  #charge(task: Task, { messages, messageBytes }: MqueueLimits): number {
    const { user, capSysResource } = task.process;
    if (this.#byName.size >= QUEUES_MAX && !capSysResource) return -Errno.ENOSPC;
    const most = capSysResource ? HARD_MESSAGES : DEFAULT_MESSAGES;
    const mostBytes = capSysResource ? HARD_MESSAGE_BYTES : DEFAULT_MESSAGE_BYTES;
    if (messages <= 0 || messageBytes <= 0 || messages > most || messageBytes > mostBytes) return -Errno.EINVAL;
    const bytes = (this.#bytes.get(user) ?? 0) + messages * (messageBytes + PER_MESSAGE_BYTES);
    if (bytes > MSGQUEUE_LIMIT) return -Errno.EMFILE;
    this.#bytes.set(user, bytes);
    return 0;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#byName, this.#bytes];
  }
}

function mayOpen(task: Task, inode: Inode, flags: number): boolean {
  if (task.process.privileged) return true;
  const access = flags & Open.ACCMODE;
  const wanted = (access === Open.WRONLY ? 0 : MAY_READ) | (access === Open.RDONLY ? 0 : MAY_WRITE);
  const shift = task.process.user.uid === inode.uid ? 6 : 0;
  return ((inode.mode >> shift) & wanted) === wanted;
}

const DEFAULT_LIMITS: MqueueLimits = { messages: DEFAULT_MESSAGES, messageBytes: DEFAULT_MESSAGE_BYTES };

interface Message {
  readonly bytes: Uint8Array;
  readonly priority: number;
}

/** `struct mqueue_inode_info`. */
class MqueueInode extends Inode {
  readonly waitQ: WaitQueueHead = new WaitQueueHead();
  readonly limits: MqueueLimits;
  /** The next to be received first. */
  readonly messages: Message[] = [];
  /** `e_wait_q`: who sleeps in mq_timedsend and in mq_timedreceive, the longest sleeper first. */
  readonly senders: MqSend[] = [];
  readonly receivers: MqReceive[] = [];

  constructor(kernel: Kernel, permissions: number, uid: number, limits: MqueueLimits) {
    super(kernel.allocIno(), Mode.IFREG | permissions, MQUEUE_DEV);
    this.uid = uid;
    this.limits = limits;
  }

  get full(): boolean {
    return this.messages.length >= this.limits.messages;
  }

  /** `msg_insert`: behind those of the same priority. */
  insert(message: Message): void {
    const at = this.messages.findIndex(({ priority }) => priority < message.priority);
    this.messages.splice(at < 0 ? this.messages.length : at, 0, message);
  }

  /** `pipelined_send`, or into the queue. */
  send(message: Message): void {
    const receiver = this.receivers.shift();
    if (receiver !== undefined) {
      receiver.serve(message);
      return;
    }
    this.insert(message);
    this.waitQ.wakeUp(1, 0);
  }

  /** `msg_get`, `pipelined_receive`. @returns null when there is no message. */
  take(): Message | null {
    const message = this.messages.shift();
    if (message === undefined) return null;
    const sender = this.senders.shift();
    if (sender === undefined) this.waitQ.wakeUp(1, 0);
    else {
      this.insert(sender.message);
      sender.serve(message);
    }
    return message;
  }

  override get size(): number {
    return FILE_SIZE;
  }

  override open(): number {
    throw new Unmodelled("open of a message queue by a path");
  }
}

/** `wq_sleep`: somebody in mq_timedsend or mq_timedreceive, in a queue of its kind until it is served. */
abstract class MqWait extends SleepingCall {
  readonly #task: Task;
  readonly #queue: MqWait[];
  readonly #deadlineNs: number;
  #served: Message | null = null;

  /** @param deadlineNs - absolute, -1 for none. */
  constructor(task: Task, queue: MqWait[], deadlineNs: number) {
    super();
    this.#task = task;
    this.#queue = queue;
    this.#deadlineNs = deadlineNs;
    queue.push(this);
  }

  /** What the call gives. @param message - that a receiver was handed. */
  protected abstract finish(message: Message): number;

  /** Whoever calls has taken it out of its queue. */
  serve(message: Message): void {
    this.#served = message;
    this.#task.wakeUp();
  }

  /** @errno ERESTARTSYS - a signal. ETIMEDOUT - the time is over. */
  sleep(): number {
    const task = this.#task;
    const late = this.#deadlineNs >= 0 && this.#deadlineNs <= task.kernel.clock.nowNs;
    if (!late && !task.signalPending) return task.sleep(this, TaskState.INTERRUPTIBLE, this.#deadlineNs);
    return this.#giveUp(task.signalPending ? -Errno.ERESTARTSYS : -Errno.ETIMEDOUT);
  }

  override step(task: Task): number {
    if (this.#served !== null) return this.finish(this.#served);
    return task.timedOut ? this.#giveUp(-Errno.ETIMEDOUT) : this.sleep();
  }

  #giveUp(error: number): number {
    this.#queue.splice(this.#queue.indexOf(this), 1);
    return error;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#task, this.#queue, this.#deadlineNs, this.#served];
  }
}

class MqSend extends MqWait {
  readonly message: Message;

  constructor(task: Task, inode: MqueueInode, message: Message, deadlineNs: number) {
    super(task, inode.senders, deadlineNs);
    this.message = message;
  }

  protected override finish(): number {
    return 0;
  }
}

class MqReceive extends MqWait {
  readonly #store: (message: Message) => number;

  constructor(task: Task, inode: MqueueInode, deadlineNs: number, store: (message: Message) => number) {
    super(task, inode.receivers, deadlineNs);
    this.#store = store;
  }

  protected override finish(message: Message): number {
    return this.#store(message);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#store];
  }
}

/** An open queue. */
export class MqueueFile extends File {
  readonly #queue: MqueueInode;
  readonly #link: string;

  constructor(kernel: Kernel, inode: MqueueInode, flags: number, link: string) {
    super(kernel, inode, flags);
    this.#queue = inode;
    this.#link = link;
  }

  /** Most bytes of a message. */
  get messageBytes(): number {
    return this.#queue.limits.messageBytes;
  }

  /** `struct mq_attr` of the description: O_NONBLOCK, the limits, and messages that wait. */
  get attributes(): readonly number[] {
    const { limits, messages } = this.#queue;
    return [this.flags & Open.NONBLOCK, limits.messages, limits.messageBytes, messages.length];
  }

  /**
   * `do_mq_timedsend`, behind its checks.
   *
   * @param deadlineNs - -1 for none. @errno EAGAIN - full. ETIMEDOUT, ERESTARTSYS - it slept for nothing.
   * @behaviour O-07
   */
  send(task: Task, bytes: Uint8Array, priority: number, deadlineNs: number): number {
    const queue = this.#queue;
    const message = { bytes, priority };
    if (!queue.full) {
      queue.send(message);
      return 0;
    }
    return (this.flags & Open.NONBLOCK) !== 0 ? -Errno.EAGAIN : new MqSend(task, queue, message, deadlineNs).sleep();
  }

  /**
   * `do_mq_timedreceive`, behind its checks.
   *
   * @param store - hands the message to the user; gives the call's result.
   * @errno EAGAIN - empty. ETIMEDOUT, ERESTARTSYS - it slept for nothing.
   * @behaviour O-07
   */
  receive(task: Task, deadlineNs: number, store: (message: Message) => number): number {
    const message = this.#queue.take();
    if (message !== null) return store(message);
    if ((this.flags & Open.NONBLOCK) !== 0) return -Errno.EAGAIN;
    return new MqReceive(task, this.#queue, deadlineNs, store).sleep();
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

  /** `mqueue_poll_file`. @behaviour O-07 */
  override poll(_task: Task, pt: PollTable | null): number {
    const queue = this.#queue;
    if (pt !== null) pt.queue(this, queue.waitQ);
    const readable = queue.messages.length > 0 ? Poll.IN | Poll.RDNORM : 0;
    return queue.full ? readable : readable | Poll.OUT | Poll.WRNORM;
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

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#queue, this.#link];
  }
}
