/**
 * Several messages with one call.
 *
 * Counterpart: `net/socket.c` (`__sys_sendmmsg`, `do_recvmmsg`).
 */
import { MsgHdr } from "../kernel/net/msghdr.ts";
import type { SocketFile } from "../kernel/net/socket.ts";
import { BLOCKED, type Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { UIO_MAXIOV } from "../kernel/uapi/fcntl.ts";
import { Msg } from "../kernel/uapi/socket.ts";
import { CMSG_COMPAT, MSGHDR_BYTES, RecvmsgHdr, receiveOne, sendOne } from "./msg.ts";
import { toInt, toUint } from "./registers.ts";
import { holdIfBlocked } from "./rw.ts";
import { lookupSocket } from "./socket.ts";

/** `struct mmsghdr`, with `msg_len` behind the message. */
const MMSGHDR_BYTES = 64;

const scratch = new Uint8Array(16);
const view = new DataView(scratch.buffer);

/** A message of a sendmmsg that may sleep: the batch goes on behind it. */
class BatchSendHdr extends MsgHdr {
  readonly batch: SendBatch;

  constructor(batch: SendBatch) {
    super();
    this.batch = batch;
  }

  override finish(task: Task, result: number): number {
    return this.batch.sent(task, result) ?? this.batch.run(task);
  }
}

/** `__sys_sendmmsg`: message after message until one fails. */
class SendBatch {
  readonly file: SocketFile;
  readonly vec: number;
  readonly count: number;
  readonly flags: number;
  #sent = 0;

  constructor(file: SocketFile, vec: number, count: number, flags: number) {
    this.file = file;
    this.vec = vec;
    this.count = count;
    this.flags = flags;
  }

  /** @returns the call's result, or `BLOCKED` inside a message. */
  run(task: Task): number {
    while (this.#sent < this.count) {
      const addr = this.vec + this.#sent * MMSGHDR_BYTES;
      const result = sendOne(task, this.file, addr, this.flags, Msg.EOR, new BatchSendHdr(this));
      if (result === BLOCKED) return BLOCKED;
      const end = this.sent(task, result);
      if (end !== null) return end;
    }
    return this.#sent;
  }

  /** One message is over. @returns the call's result, or null to go on: not after one that was sent in part only. */
  sent(task: Task, result: number): number | null {
    const err = result < 0 ? result : storeLength(task, this.vec, this.#sent, result);
    if (err < 0) return this.#sent > 0 ? this.#sent : err;
    this.#sent += 1;
    return task.iter.count > 0 ? this.#sent : null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sent];
  }
}

/** `msg_len` of one message. */
function storeLength(task: Task, vec: number, index: number, length: number): number {
  return task.process.mm.putUser32(vec + index * MMSGHDR_BYTES + MSGHDR_BYTES, length) ? 0 : -Errno.EFAULT;
}

/**
 * sendmmsg(2).
 *
 * @returns messages sent; an error only when there was none.
 * @errno as sendmsg.
 * @kernel net/socket.c `__sys_sendmmsg`
 * @behaviour U-08
 */
export function sysSendmmsg(task: Task, fd: number, vec: number, countReg: number, flagsReg: number): number {
  const flags = toInt(flagsReg);
  if ((flags & CMSG_COMPAT) !== 0) return -Errno.EINVAL;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const batch = new SendBatch(file, vec, Math.min(toUint(countReg), UIO_MAXIOV), flags);
  return holdIfBlocked(task, file, batch.run(task));
}

/** A message of a recvmmsg that may sleep. */
class BatchRecvHdr extends RecvmsgHdr {
  readonly batch: RecvBatch;

  constructor(addr: number, batch: RecvBatch) {
    super(addr);
    this.batch = batch;
  }

  override finish(task: Task, result: number): number {
    return this.batch.took(task, this.store(task, result), this.flags) ?? this.batch.run(task);
  }

  /** What recvmsg itself stores. */
  store(task: Task, result: number): number {
    return super.finish(task, result);
  }
}

/** `do_recvmmsg`. The timeout is looked at between messages only. */
class RecvBatch {
  readonly file: SocketFile;
  readonly vec: number;
  readonly count: number;
  flags: number;
  /** Absolute ns, -1 for none, and where what is left of it goes. */
  readonly endNs: number;
  readonly timeoutAddr: number;
  #received = 0;

  constructor(file: SocketFile, vec: number, count: number, flags: number, endNs: number, timeoutAddr: number) {
    this.file = file;
    this.vec = vec;
    this.count = count;
    this.flags = flags;
    this.endNs = endNs;
    this.timeoutAddr = timeoutAddr;
  }

  /** @returns the call's result, or `BLOCKED` inside a message. */
  run(task: Task): number {
    while (this.#received < this.count) {
      const msg = new BatchRecvHdr(this.vec + this.#received * MMSGHDR_BYTES, this);
      const result = receiveOne(task, this.file, this.flags & ~Msg.WAITFORONE, msg);
      if (result === BLOCKED) return BLOCKED;
      const end = this.took(task, msg.store(task, result), msg.flags);
      if (end !== null) return end;
    }
    return this.#end(task, 0);
  }

  /** One message is over. @returns the call's result, or null to go on. */
  took(task: Task, result: number, msgFlags: number): number | null {
    const err = result < 0 ? result : storeLength(task, this.vec, this.#received, result);
    if (err < 0) return this.#end(task, err);
    this.#received += 1;
    if ((this.flags & Msg.WAITFORONE) !== 0) this.flags |= Msg.DONTWAIT;
    const late = this.endNs >= 0 && task.kernel.clock.nowNs >= this.endNs;
    return late || (msgFlags & Msg.OOB) !== 0 ? this.#end(task, 0) : null;
  }

  #end(task: Task, err: number): number {
    const received = this.#received;
    if (received === 0) return err;
    if (err < 0 && err !== -Errno.EAGAIN) this.file.sk.err = -err;
    if (this.endNs < 0) return received;
    const leftNs = Math.max(this.endNs - task.kernel.clock.nowNs, 0);
    const { mm } = task.process;
    const sec = Math.trunc(leftNs / 1e9);
    const stored = mm.putUser64(this.timeoutAddr, sec | 0, Math.trunc(sec / 2 ** 32));
    return stored && mm.putUser64(this.timeoutAddr + 8, leftNs % 1e9, 0) ? received : -Errno.EFAULT;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#received];
  }
}

/**
 * recvmmsg(2).
 *
 * @returns messages received; an error that comes after the first is kept for the next call.
 * @errno EINVAL - a compat flag, or the timeout. EFAULT - a pointer. EBADF, ENOTSOCK - the descriptor. Others as
 * recvmsg.
 * @kernel net/socket.c `__sys_recvmmsg`
 * @behaviour U-42
 */
export function sysRecvmmsg(
  task: Task,
  fd: number,
  vec: number,
  countReg: number,
  flagsReg: number,
  timeoutAddr: number,
): number {
  const flags = toInt(flagsReg);
  if ((flags & CMSG_COMPAT) !== 0) return -Errno.EINVAL;
  const endNs = timeoutAddr === 0 ? -1 : fetchEnd(task, timeoutAddr);
  if (endNs < -1) return endNs;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  if ((flags & Msg.ERRQUEUE) === 0) {
    const err = file.sk.takeError();
    if (err < 0) return err;
  }
  const batch = new RecvBatch(file, vec, toUint(countReg), flags, endNs, timeoutAddr);
  return holdIfBlocked(task, file, batch.run(task));
}

/** @returns when a relative timeout is over, in absolute ns, or a negative errno. */
function fetchEnd(task: Task, addr: number): number {
  if (task.process.mm.copyFromUser(scratch, 0, addr, 16) < 16) return -Errno.EFAULT;
  const sec = Number(view.getBigInt64(0, true));
  const nsec = Number(view.getBigInt64(8, true));
  if (sec < 0 || nsec < 0 || nsec >= 1e9) return -Errno.EINVAL;
  return task.kernel.clock.nowNs + sec * 1e9 + nsec;
}
