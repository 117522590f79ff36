/**
 * Sending and receiving with all that may go with the bytes.
 *
 * Counterpart: `net/socket.c` (`__sys_sendto`, `__sys_recvfrom`, `__sys_sendmsg`, `__sys_recvmsg`).
 * sendto and recvfrom look at the range of the buffer before the descriptor; sendmsg and recvmsg at the descriptor first.
 */

import { accessOk } from "../kernel/mm/mm.ts";
import { MsgHdr } from "../kernel/net/msghdr.ts";
import type { SocketFile } from "../kernel/net/socket.ts";
import { BLOCKED, type Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { MAX_RW_COUNT, UIO_MAXIOV } from "../kernel/uapi/fcntl.ts";
import { Msg } from "../kernel/uapi/socket.ts";
import { toInt, toSize } from "./registers.ts";
import { holdIfBlocked, importIovec } from "./rw.ts";
import { fetchAddr, lookupSocket, storeAddr } from "./socket.ts";

/** Flags that only the kernel may set: `MSG_INTERNAL_SENDMSG_FLAGS`. */
const INTERNAL_FLAGS = 0x811_0000;
/** `MSG_CMSG_COMPAT`, which a 64-bit call may not have. */
export const CMSG_COMPAT = 0x8000_0000;
const SOCKADDR_STORAGE_BYTES = 128;
/** `struct user_msghdr` and the offsets of what is written back. */
export const MSGHDR_BYTES = 56;
const NAMELEN_OFFSET = 8;
const CONTROLLEN_OFFSET = 40;
const FLAGS_OFFSET = 48;
/** `sysctl_optmem_max`: most control data of one send. Up to 36 bytes fit the stack. */
const OPTMEM_MAX = 131_072;
const STACK_CONTROL_BYTES = 36;

/** MSG_DONTWAIT for a non-blocking description. */
function callFlags(file: SocketFile, flags: number): number {
  return file.nonblock ? flags | Msg.DONTWAIT : flags;
}

/**
 * sendto(2); send(2) is sendto without an address.
 *
 * @returns bytes taken.
 * @errno EFAULT - the buffer's range, or the address. EBADF, ENOTSOCK - the descriptor. EINVAL - the address's length.
 * Others as the protocol's.
 * @kernel net/socket.c `__sys_sendto`
 * @behaviour U-05, U-35, U-54, F-25
 */
export function sysSendto(
  task: Task,
  fd: number,
  buf: number,
  lengthReg: number,
  flagsReg: number,
  addr: number,
  addrLength: number,
): number {
  const length = Math.min(toSize(lengthReg), MAX_RW_COUNT);
  if (!accessOk(buf, length)) return -Errno.EFAULT;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  let msg: MsgHdr | null = null;
  if (addr !== 0) {
    const name = fetchAddr(task, addr, toInt(addrLength));
    if (typeof name === "number") return name;
    msg = new MsgHdr();
    msg.name = name;
    msg.named = true;
  }
  task.iter.setBuffer(buf, length);
  const flags = callFlags(file, toInt(flagsReg) & ~INTERNAL_FLAGS);
  return holdIfBlocked(task, file, file.sk.sendmsg(task, task.iter, flags, msg));
}

/** recvfrom with room for an address. */
class RecvfromHdr extends MsgHdr {
  readonly addr: number;
  readonly lengthAddr: number;

  constructor(addr: number, lengthAddr: number) {
    super();
    this.addr = addr;
    this.lengthAddr = lengthAddr;
    this.wantsName = true;
  }

  override finish(task: Task, result: number): number {
    if (result < 0) return result;
    const err = storeAddr(task, this.name, this.addr, this.lengthAddr);
    return err < 0 ? err : result;
  }
}

/**
 * recvfrom(2); recv(2) is recvfrom without an address.
 *
 * @returns bytes received, 0 at the end.
 * @errno EFAULT - the buffer's range, or the room for the address. EBADF, ENOTSOCK - the descriptor. Others as the
 * protocol's.
 * @kernel net/socket.c `__sys_recvfrom`
 * @behaviour U-43, U-44, U-45, F-25
 */
export function sysRecvfrom(
  task: Task,
  fd: number,
  buf: number,
  lengthReg: number,
  flagsReg: number,
  addr: number,
  lengthAddr: number,
): number {
  const length = Math.min(toSize(lengthReg), MAX_RW_COUNT);
  if (!accessOk(buf, length)) return -Errno.EFAULT;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const msg = addr === 0 ? null : new RecvfromHdr(addr, lengthAddr);
  task.iter.setBuffer(buf, length);
  const result = file.sk.recvmsg(task, task.iter, callFlags(file, toInt(flagsReg)), msg);
  if (result === BLOCKED || msg === null) return holdIfBlocked(task, file, result);
  return msg.finish(task, result);
}

/** `struct user_msghdr`, as read. */
interface UserMsghdr {
  readonly nameAddr: number;
  readonly controlAddr: number;
  readonly controlLength: number;
  readonly flags: number;
}

const scratch = new Uint8Array(MSGHDR_BYTES);
const view = new DataView(scratch.buffer);

/**
 * `copy_msghdr_from_user`: also sets the task's cursor to the buffers.
 *
 * @param to - a message to send gets its destination; null for one to receive.
 * @errno EFAULT - the header, the destination or the vector. EINVAL - a negative length. EMSGSIZE - more than 1024 buffers.
 */
function fetchMsghdr(task: Task, addr: number, to: MsgHdr | null): UserMsghdr | number {
  if (task.process.mm.copyFromUser(scratch, 0, addr, MSGHDR_BYTES) < MSGHDR_BYTES) return -Errno.EFAULT;
  const nameAddr = Number(view.getBigUint64(0, true));
  const nameLength = nameAddr === 0 ? 0 : view.getInt32(NAMELEN_OFFSET, true);
  const vec = Number(view.getBigUint64(16, true));
  const nrSegs = Number(view.getBigUint64(24, true));
  const header: UserMsghdr = {
    nameAddr,
    controlAddr: Number(view.getBigUint64(32, true)),
    controlLength: Number(view.getBigUint64(CONTROLLEN_OFFSET, true)),
    flags: view.getInt32(FLAGS_OFFSET, true),
  };
  if (nameLength < 0) return -Errno.EINVAL;
  if (to !== null && nameLength > 0) {
    const name = fetchAddr(task, nameAddr, Math.min(nameLength, SOCKADDR_STORAGE_BYTES));
    if (typeof name === "number") return name;
    to.name = name;
    to.named = true;
  }
  if (nrSegs > UIO_MAXIOV) return -Errno.EMSGSIZE;
  const total = importIovec(task, vec, nrSegs);
  return total < 0 ? total : header;
}

/**
 * The control data of a message to send.
 *
 * @errno ENOBUFS - too much of it. EFAULT - its address.
 */
function fetchControl(task: Task, { controlAddr, controlLength }: UserMsghdr, msg: MsgHdr): number {
  if (controlLength > 0x7fff_ffff) return -Errno.ENOBUFS;
  if (controlLength > STACK_CONTROL_BYTES && controlLength >= OPTMEM_MAX) return -Errno.ENOBUFS;
  if (controlLength > 0) {
    msg.control = new Uint8Array(controlLength);
    const copied = task.process.mm.copyFromUser(msg.control, 0, controlAddr, controlLength);
    if (copied < controlLength) return -Errno.EFAULT;
  }
  return 0;
}

/** `___sys_sendmsg`. @param allowed - flags of the header itself that count. @returns as the protocol. */
export function sendOne(
  task: Task,
  file: SocketFile,
  addr: number,
  flags: number,
  allowed: number,
  msg: MsgHdr,
): number {
  const user = fetchMsghdr(task, addr, msg);
  if (typeof user === "number") return user;
  const err = fetchControl(task, user, msg);
  if (err < 0) return err;
  const all = (flags | (user.flags & allowed)) & ~INTERNAL_FLAGS;
  return file.sk.sendmsg(task, task.iter, callFlags(file, all), msg);
}

/**
 * sendmsg(2).
 *
 * @errno EINVAL - a compat flag, or a negative length. EBADF, ENOTSOCK - the descriptor. EFAULT - a pointer. EMSGSIZE -
 * too many buffers. ENOBUFS - too much control data. Others as the protocol's.
 * @kernel net/socket.c `__sys_sendmsg`
 * @behaviour U-08, U-48
 */
export function sysSendmsg(task: Task, fd: number, addr: number, flagsReg: number): number {
  const flags = toInt(flagsReg);
  if ((flags & CMSG_COMPAT) !== 0) return -Errno.EINVAL;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  return holdIfBlocked(task, file, sendOne(task, file, addr, flags, 0, new MsgHdr()));
}

/** recvmsg: writes address, flags and control length back into the user's header. */
export class RecvmsgHdr extends MsgHdr {
  readonly addr: number;
  nameAddr = 0;
  #controlStart = 0;

  constructor(addr: number) {
    super();
    this.addr = addr;
  }

  prepare(user: UserMsghdr, flags: number): void {
    this.nameAddr = user.nameAddr;
    this.wantsName = user.nameAddr !== 0;
    this.controlAddr = user.controlAddr;
    this.controlRoom = user.controlLength;
    this.#controlStart = user.controlAddr;
    this.flags = flags & Msg.CMSG_CLOEXEC;
  }

  override finish(task: Task, result: number): number {
    if (result < 0) return result;
    const { mm } = task.process;
    if (this.nameAddr !== 0) {
      const err = storeAddr(task, this.name, this.nameAddr, this.addr + NAMELEN_OFFSET);
      if (err < 0) return err;
    }
    const used = this.controlAddr - this.#controlStart;
    if (!mm.putUser32(this.addr + FLAGS_OFFSET, this.flags)) return -Errno.EFAULT;
    return mm.putUser64(this.addr + CONTROLLEN_OFFSET, used, 0) ? result : -Errno.EFAULT;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#controlStart];
  }
}

/** `___sys_recvmsg`, up to the protocol's answer. */
export function receiveOne(task: Task, file: SocketFile, flags: number, msg: RecvmsgHdr): number {
  const user = fetchMsghdr(task, msg.addr, null);
  if (typeof user === "number") return user;
  msg.prepare(user, flags);
  return file.sk.recvmsg(task, task.iter, callFlags(file, flags), msg);
}

/**
 * recvmsg(2).
 *
 * @returns bytes received, 0 at the end.
 * @errno EINVAL - a compat flag, or a negative length. EBADF, ENOTSOCK - the descriptor. EFAULT - a pointer. EMSGSIZE -
 * too many buffers. Others as the protocol's.
 * @kernel net/socket.c `__sys_recvmsg`
 * @behaviour U-42, U-49, U-50
 */
export function sysRecvmsg(task: Task, fd: number, addr: number, flagsReg: number): number {
  const flags = toInt(flagsReg);
  if ((flags & CMSG_COMPAT) !== 0) return -Errno.EINVAL;
  const file = lookupSocket(task, fd);
  if (typeof file === "number") return file;
  const msg = new RecvmsgHdr(addr);
  const result = receiveOne(task, file, flags, msg);
  return result === BLOCKED ? holdIfBlocked(task, file, result) : msg.finish(task, result);
}
