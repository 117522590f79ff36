/**
 * What travels with a message beside its bytes: descriptors and credentials.
 *
 * Counterpart: `net/core/scm.c`, `include/net/scm.h`.
 * A description in flight is held by the message (E-134, U-51). Linux puts the references of a message down when the
 * caller returns to user space, after whatever else the call still wakes; `Net.delayedFput` keeps that order.
 */
import type { File } from "../fs/file.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { UserStruct } from "../sched/process.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Msg, Scm as ScmType, SOL_SOCKET } from "../uapi/socket.ts";
import type { MsgHdr } from "./msghdr.ts";
import type { Net } from "./net.ts";

/** `SCM_MAX_FD`. */
const SCM_MAX_FD = 253;
/** `sizeof(struct cmsghdr)`; control messages start on multiples of 8. */
export const CMSG_HEADER = 16;
const UCRED_BYTES = 12;
/** What a receiver reads of an id that was not sent: `overflowuid`. */
const OVERFLOW_ID = 65534;

/** `struct scm_cookie`, and `UNIXCB` of a queued buffer. */
export class Scm {
  /** Sender's process id; 0 when no credentials were sent. */
  pid = 0;
  uid: number = OVERFLOW_ID;
  gid: number = OVERFLOW_ID;
  /** Descriptions in flight, each with a reference; null for none. */
  fp: File[] | null = null;
  /** Whose `unix_inflight` the descriptors count for. */
  user: UserStruct | null = null;
  /** In the queue of a socket, and counted. */
  inflight = false;

  setCredentials(pid: number, uid: number, gid: number): void {
    this.pid = pid;
    this.uid = uid;
    this.gid = gid;
  }

  /** `unix_skb_scm_eq`. */
  sameSender(other: Scm | null): boolean {
    if (other === null) return this.pid === 0 && this.uid === OVERFLOW_ID && this.gid === OVERFLOW_ID;
    return this.pid === other.pid && this.uid === other.uid && this.gid === other.gid;
  }

  /** `scm_destroy`: the descriptions are not delivered. */
  destroy(net: Net): void {
    const { fp } = this;
    this.fp = null;
    if (fp !== null) for (let i = fp.length - 1; i >= 0; i -= 1) net.delayedFput(fp[i] as File);
  }
}

/** Group of a task: the model gives every user a group of its own, with the user's number. */
export function currentGid(task: Task): number {
  return task.process.user.uid;
}

function cmsgAlign(length: number): number {
  return (length + 7) & ~7;
}

/**
 * `__scm_send`: reads the control data of a message.
 *
 * @returns what is to travel, null for nothing, or a negative errno.
 * @errno EINVAL - a malformed header, an unknown type, more than 253 descriptors. EBADF - a descriptor is not open.
 * EPERM - credentials of somebody else.
 */
export function scmSend(task: Task, net: Net, msg: MsgHdr): Scm | number | null {
  const { control } = msg;
  if (control.length === 0) return null;
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  const scm = new Scm();
  for (let at = 0; at + CMSG_HEADER <= control.length; ) {
    const length = Number(view.getBigUint64(at, true));
    let err = length < CMSG_HEADER || length > control.length - at ? -Errno.EINVAL : 0;
    if (err === 0 && view.getInt32(at + 8, true) === SOL_SOCKET) err = scmAdd(task, view, at, length, scm);
    if (err < 0) {
      scm.destroy(net);
      net.runDelayed(); // the call is over
      return err;
    }
    at += cmsgAlign(length);
  }
  return scm.fp === null && scm.pid === 0 ? null : scm;
}

function scmAdd(task: Task, view: DataView, at: number, length: number, scm: Scm): number {
  const data = at + CMSG_HEADER;
  switch (view.getInt32(at + 12, true)) {
    case ScmType.RIGHTS:
      return scmFpCopy(task, view, data, Math.trunc((length - CMSG_HEADER) / 4), scm);
    case ScmType.CREDENTIALS:
      if (length !== CMSG_HEADER + UCRED_BYTES) return -Errno.EINVAL;
      return scmCredentials(
        task,
        view.getInt32(data, true),
        view.getUint32(data + 4, true),
        view.getUint32(data + 8, true),
        scm,
      );
    default:
      return -Errno.EINVAL;
  }
}

/** `scm_fp_copy`. */
function scmFpCopy(task: Task, view: DataView, data: number, count: number, scm: Scm): number {
  if (count <= 0) return 0;
  const present = scm.fp?.length ?? 0;
  if (count > SCM_MAX_FD || present + count > SCM_MAX_FD) return -Errno.EINVAL;
  scm.fp ??= [];
  scm.user = task.process.user;
  for (let i = 0; i < count; i += 1) {
    const file = task.process.files.getRaw(view.getInt32(data + i * 4, true));
    if (file === null) return -Errno.EBADF;
    scm.fp.push(file.get());
  }
  return 0;
}

/** `scm_check_creds`: nobody but root may claim to be somebody else. */
function scmCredentials(task: Task, pid: number, uid: number, gid: number, scm: Scm): number {
  const { process } = task;
  if (!process.privileged && (pid !== process.tgid || uid !== process.user.uid || gid !== currentGid(task))) {
    return -Errno.EPERM;
  }
  if (uid === 0xffff_ffff || gid === 0xffff_ffff) return -Errno.EINVAL;
  if (pid !== process.tgid) throw new Unmodelled("SCM_CREDENTIALS with the pid of another process");
  scm.setCredentials(pid, uid, gid);
  return 0;
}

const header = new Uint8Array(CMSG_HEADER);
const headerView = new DataView(header.buffer);

/** `put_cmsg`: writes one control message, cut short when the room ends. */
export function putCmsg(task: Task, msg: MsgHdr, level: number, type: number, data: Uint8Array): void {
  if (msg.controlAddr === 0 || msg.controlRoom < CMSG_HEADER) {
    msg.flags |= Msg.CTRUNC;
    return;
  }
  let length = CMSG_HEADER + data.length;
  if (msg.controlRoom < length) {
    msg.flags |= Msg.CTRUNC;
    length = msg.controlRoom;
  }
  if (!putHeader(task, msg.controlAddr, length, level, type)) return;
  const body = length - CMSG_HEADER;
  if (task.process.mm.copyToUser(msg.controlAddr + CMSG_HEADER, data, 0, body) < body) return;
  advanceControl(msg, CMSG_HEADER + cmsgAlign(data.length));
}

function putHeader(task: Task, addr: number, length: number, level: number, type: number): boolean {
  headerView.setBigUint64(0, BigInt(length), true);
  headerView.setInt32(8, level, true);
  headerView.setInt32(12, type, true);
  return task.process.mm.copyToUser(addr, header, 0, CMSG_HEADER) === CMSG_HEADER;
}

function advanceControl(msg: MsgHdr, space: number): void {
  const step = Math.min(space, msg.controlRoom);
  msg.controlAddr += step;
  msg.controlRoom -= step;
}

/**
 * `scm_recv_unix`: delivers what came with a message.
 *
 * @param scm - null when nothing came, not even a message: credentials are then all 0.
 * @param msg - null for a read, which drops everything.
 */
export function scmRecv(task: Task, net: Net, msg: MsgHdr | null, scm: Scm | null, passcred: boolean): void {
  if (msg === null || msg.controlAddr === 0) {
    if (msg !== null && (passcred || scm?.fp)) msg.flags |= Msg.CTRUNC;
    scm?.destroy(net);
    return;
  }
  if (passcred) {
    const creds = new Uint8Array(UCRED_BYTES);
    const view = new DataView(creds.buffer);
    view.setInt32(0, scm?.pid ?? 0, true);
    view.setUint32(4, scm?.uid ?? 0, true);
    view.setUint32(8, scm?.gid ?? 0, true);
    putCmsg(task, msg, SOL_SOCKET, ScmType.CREDENTIALS, creds);
  }
  if (scm !== null && scm.fp !== null) detachFds(task, net, msg, scm);
}

/** `scm_detach_fds`: installs as many descriptors as there is room and numbers for; the others are closed. */
function detachFds(task: Task, net: Net, msg: MsgHdr, scm: Scm): void {
  const { fp } = scm;
  if (fp === null) return;
  const { files, mm } = task.process;
  const room = msg.controlRoom <= CMSG_HEADER ? 0 : Math.trunc((msg.controlRoom - CMSG_HEADER) / 4);
  const cloexec = (msg.flags & Msg.CMSG_CLOEXEC) !== 0;
  let count = 0;
  for (const file of fp.slice(0, room)) {
    const fd = files.lowestFree();
    if (fd >= files.nofile) break;
    if (!mm.putUser32(msg.controlAddr + CMSG_HEADER + count * 4, fd)) break;
    files.replace(fd, file.get(), cloexec);
    count += 1;
  }
  if (count > 0 && putHeader(task, msg.controlAddr, CMSG_HEADER + count * 4, SOL_SOCKET, ScmType.RIGHTS)) {
    advanceControl(msg, CMSG_HEADER + cmsgAlign(count * 4));
  }
  if (count < fp.length) msg.flags |= Msg.CTRUNC;
  scm.destroy(net);
}
