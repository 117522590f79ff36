/**
 * POSIX message queues.
 *
 * Counterpart: `ipc/mqueue.c`.
 */
import { MqueueFile, type MqueueLimits } from "../kernel/ipc/mqueue.ts";
import type { Task } from "../kernel/sched/task.ts";
import { clockOffset, timespecValid, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { ClockId } from "../kernel/uapi/time.ts";
import { getname } from "./open.ts";
import { toInt, toSize, toUint } from "./registers.ts";

const EBADF = -Errno.EBADF;
const EINVAL = -Errno.EINVAL;
/** `MQ_PRIO_MAX`. */
const PRIO_MAX = 32_768;
/** `struct mq_attr`: flags, most messages, their most bytes, messages that wait; four words to spare. */
const ATTR_BYTES = 64;
const TIMESPEC_BYTES = 16;

const scratch = new Uint8Array(ATTR_BYTES);
const view = new DataView(scratch.buffer);

/**
 * mq_open(2). The name has no slash here: libc takes it off. The descriptor is always close-on-exec.
 *
 * @errno EFAULT, ENAMETOOLONG, ENOENT - the name. EFAULT - the attributes. EMFILE - no descriptor is free. The rest:
 *   `Mqueues.open`.
 * @kernel ipc/mqueue.c `do_mq_open`
 * @behaviour O-07
 */
export function sysMqOpen(task: Task, nameAddr: number, flags: number, mode: number, attr: number): number {
  const limits = attr === 0 ? null : readLimits(task, attr);
  if (typeof limits === "number") return limits;
  const name = getname(task, nameAddr);
  if (typeof name === "number") return name;
  const { files } = task.process;
  if (files.lowestFree() >= files.nofile) return -Errno.EMFILE;
  const file = task.kernel.mqueues.open(task, name, toInt(flags), toUint(mode), limits);
  return typeof file === "number" ? file : files.install(file, true);
}

function readLimits(task: Task, addr: number): MqueueLimits | number {
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, ATTR_BYTES) < ATTR_BYTES) return mm.fault();
  return { messages: Number(view.getBigInt64(8, true)), messageBytes: Number(view.getBigInt64(16, true)) };
}

/** `prepare_timeout`: absolute, by the time of day. @returns ns since boot, -1 for none. @errno EFAULT, EINVAL */
function readDeadline(task: Task, addr: number): number | { readonly errno: number } {
  if (addr === 0) return -1;
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, TIMESPEC_BYTES) < TIMESPEC_BYTES) return { errno: mm.fault() };
  const seconds = view.getBigInt64(0, true);
  const nanoseconds = view.getBigInt64(8, true);
  if (!timespecValid(seconds, nanoseconds)) return { errno: EINVAL };
  const since = toKtime(seconds, nanoseconds) - clockOffset(task.kernel.clock, ClockId.REALTIME);
  return since < 0n ? 0 : Number(since);
}

/** The queue behind a descriptor. @param access - the mode that it must not have. */
function queueOf(task: Task, fd: number, access: number): MqueueFile | null {
  const file = task.process.files.get(toInt(fd));
  return file instanceof MqueueFile && (file.flags & Open.ACCMODE) !== access ? file : null;
}

/**
 * mq_timedsend(2).
 *
 * @errno EFAULT, EINVAL - the time-out. EINVAL - the priority. EBADF - no queue that is open for writing. EMSGSIZE - too
 *   long. EFAULT - the message. The rest: `MqueueFile.send`.
 * @kernel ipc/mqueue.c `do_mq_timedsend`
 * @behaviour O-07
 */
export function sysMqTimedsend(
  task: Task,
  fd: number,
  addr: number,
  length: number,
  priority: number,
  timeout: number,
): number {
  const deadline = readDeadline(task, timeout);
  if (typeof deadline !== "number") return deadline.errno;
  if (toUint(priority) >= PRIO_MAX) return EINVAL;
  const file = queueOf(task, fd, Open.RDONLY);
  if (file === null) return EBADF;
  const size = toSize(length);
  if (size > file.messageBytes) return -Errno.EMSGSIZE;
  const bytes = new Uint8Array(size);
  const { mm } = task.process;
  if (mm.copyFromUser(bytes, 0, addr, size) < size) return mm.fault();
  return file.send(task, bytes, toUint(priority), deadline);
}

/**
 * mq_timedreceive(2).
 *
 * @param priorityAddr - where to store the message's priority, or 0.
 * @returns bytes of the message.
 * @errno EFAULT, EINVAL - the time-out. EBADF - no queue that is open for reading. EMSGSIZE - no room for the longest message.
 *   EFAULT - an address; the message is lost. The rest: `MqueueFile.receive`.
 * @kernel ipc/mqueue.c `do_mq_timedreceive`
 * @behaviour O-07
 */
export function sysMqTimedreceive(
  task: Task,
  fd: number,
  addr: number,
  length: number,
  priorityAddr: number,
  timeout: number,
): number {
  const deadline = readDeadline(task, timeout);
  if (typeof deadline !== "number") return deadline.errno;
  const file = queueOf(task, fd, Open.WRONLY);
  if (file === null) return EBADF;
  if (toSize(length) < file.messageBytes) return -Errno.EMSGSIZE;
  return file.receive(task, deadline, ({ bytes, priority }) => {
    const { mm } = task.process;
    if (priorityAddr !== 0 && !mm.putUser32(priorityAddr, priority)) return -Errno.EFAULT;
    return mm.copyToUser(addr, bytes, 0, bytes.length) < bytes.length ? mm.fault() : bytes.length;
  });
}

/**
 * mq_getsetattr(2): of what is set, O_NONBLOCK alone counts.
 *
 * @errno EFAULT - an address. EINVAL - another flag. EBADF - no queue.
 * @kernel ipc/mqueue.c `do_mq_getsetattr`
 * @behaviour O-07
 */
export function sysMqGetsetattr(task: Task, fd: number, setting: number, old: number): number {
  const { mm, files } = task.process;
  let nonblock: number | null = null;
  if (setting !== 0) {
    if (mm.copyFromUser(scratch, 0, setting, ATTR_BYTES) < ATTR_BYTES) return mm.fault();
    const flags = Number(view.getBigInt64(0, true));
    if ((flags & ~Open.NONBLOCK) !== 0) return EINVAL;
    nonblock = flags;
  }
  const file = files.get(toInt(fd));
  if (!(file instanceof MqueueFile)) return EBADF;
  scratch.fill(0);
  for (const [index, word] of file.attributes.entries()) view.setBigInt64(8 * index, BigInt(word), true);
  if (nonblock !== null) file.flags = (file.flags & ~Open.NONBLOCK) | nonblock;
  if (old === 0) return 0;
  return mm.copyToUser(old, scratch, 0, ATTR_BYTES) < ATTR_BYTES ? mm.fault() : 0;
}
