/**
 * Receiving on an AF_UNIX stream.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_stream_read_generic`, `unix_stream_recv_urg`, `manage_oob`).
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Msg } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { Scm, scmRecv } from "../scm.ts";
import type { SkBuff } from "../skbuff.ts";
import { interruptedErrno, MsgCall, RCV_SHUTDOWN, SkState } from "../sock.ts";
import type { UnixStreamSock } from "./stream.ts";
import { peekFds, type UnixSock } from "./unix-sock.ts";

const { ESTABLISHED } = SkState;
const { EAGAIN, EINVAL } = Errno;
const { DONTWAIT: MSG_DONTWAIT, PEEK: MSG_PEEK, OOB: MSG_OOB, WAITALL: MSG_WAITALL } = Msg;

/**
 * `unix_stream_recvmsg`, `unix_stream_read_generic`.
 *
 * @errno EINVAL - not connected; no urgent byte. EAGAIN - nothing to read. ECONNRESET - the peer closed with our data
 * unread, once. EFAULT - the buffer.
 * @behaviour U-06, U-15, U-17, U-18, U-43, U-44, U-45, U-46, U-47, U-50, U-52
 */
export function unixStreamRecvmsg(
  sk: UnixStreamSock,
  task: Task,
  to: IovIter,
  flags: number,
  msg: MsgHdr | null,
): number {
  if (sk.state !== ESTABLISHED) return -EINVAL;
  if ((flags & MSG_OOB) !== 0) return recvUrg(sk, task, to, flags, msg);
  return read(sk, task, to, flags, msg, null);
}

/** @param waiting - the call, if it has slept. */
function read(
  sk: UnixStreamSock,
  task: Task,
  to: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: UnixStreamRecv | null,
): number {
  const { opts, receiveQueue } = sk;
  const peeking = (flags & MSG_PEEK) !== 0;
  let copied = waiting === null ? 0 : waiting.copied;
  let scm = waiting === null ? null : waiting.scm;
  let checkCreds = waiting === null ? false : waiting.checkCreds;
  let err = 0;
  let skip = peeking && opts.peekOff > 0 ? opts.peekOff : 0;
  let skb = receiveQueue.first;
  for (;;) {
    if (skb !== null && (skb === sk.oobSkb || skb.consumed === skb.len)) {
      skb = manageOob(sk, skb, flags, copied);
      if (skb === null && copied > 0) break;
    }
    if (skb === null) {
      const target = waiting === null ? lowatTarget(flags, opts.rcvlowat, to.count + copied) : waiting.target;
      if (copied >= target) break;
      err = sk.takeError();
      if (err < 0 || (sk.shutdown & RCV_SHUTDOWN) !== 0) break;
      if ((flags & MSG_DONTWAIT) !== 0 || opts.rcvtimeo === 0 || (waiting !== null && task.timedOut)) {
        err = -EAGAIN;
        break;
      }
      if (task.signalPending) {
        scm?.destroy(sk.net);
        sk.net.runDelayed();
        return copied > 0 ? copied : interruptedErrno(waiting === null ? opts.rcvtimeo : waiting.deadlineNs);
      }
      const call = waiting ?? new UnixStreamRecv(sk, to, flags, msg, target);
      call.copied = copied;
      call.scm = scm;
      call.checkCreds = checkCreds;
      return waitForData(sk, task, call);
    }
    while (skb !== null && skip >= skb.len - skb.consumed) {
      skip -= skb.len - skb.consumed;
      skb = skb.next;
    }
    if (skb === null) continue;
    const unread: number = skb.len - skb.consumed;
    if (checkCreds) {
      if (!(scm as Scm).sameSender(skb.scm)) break;
    } else if (opts.passcred) {
      scm ??= new Scm();
      if (skb.scm !== null) scm.setCredentials(skb.scm.pid, skb.scm.uid, skb.scm.gid);
      checkCreds = true;
    }
    if (msg?.wantsName && skb.sk !== null) copyAddr(msg, skb);
    const chunk = Math.min(unread - skip, to.count);
    const done = to.slabTo(skb.slab, skb.offset + skb.consumed + skip, chunk);
    if (done < chunk) {
      const fault = task.process.mm.fault();
      to.revert(done);
      if (copied === 0) err = fault;
      break;
    }
    copied += chunk;
    if (peeking) {
      if (opts.peekOff >= 0) sk.ownOptions().peekOff += chunk;
      if (skb.scm !== null && skb.scm.fp !== null) {
        scm = peekFds(scm, skb);
        break;
      }
      skip = 0;
      skb = skb.next;
      if (skb === null) break;
      continue;
    }
    skb.consumed += chunk;
    sk.inq -= chunk;
    sk.noteDequeued(chunk);
    if (opts.peekOff >= 0) sk.ownOptions().peekOff = Math.max(opts.peekOff - chunk, 0);
    let gotFds = false;
    if (skb.scm !== null && skb.scm.fp !== null) {
      scm = sk.detachFds(scm, skb);
      gotFds = true;
    }
    if (skb.consumed < skb.len) break;
    receiveQueue.unlink(skb);
    sk.freeSkb(skb);
    if (gotFds || to.count === 0) break;
    skb = receiveQueue.first;
  }
  if (scm !== null || opts.passcred) {
    scmRecv(task, sk.net, msg, scm, opts.passcred);
    sk.net.runDelayed();
  }
  return copied > 0 ? copied : err;
}

/** `unix_copy_addr`: the sender's name, if it has one. */
function copyAddr(msg: MsgHdr, skb: SkBuff): void {
  const { name } = skb.sk as UnixSock;
  if (name !== null) msg.name = name.addr;
}

/** `unix_stream_data_wait`. */
function waitForData(sk: UnixStreamSock, task: Task, call: UnixStreamRecv): number {
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

/** `manage_oob`: steps over consumed buffers and stops at the urgent byte. @returns where to go on, null for nowhere. */
function manageOob(sk: UnixStreamSock, from: SkBuff, flags: number, copied: number): SkBuff | null {
  const { receiveQueue, opts } = sk;
  const peeking = (flags & MSG_PEEK) !== 0;
  let skb: SkBuff | null = from;
  if (from.consumed === from.len) {
    if (copied > 0 && (sk.oobSkb === null || from === sk.oobSkb)) return null;
    skb = from.next;
    if (!peeking) {
      receiveQueue.unlink(from);
      sk.freeSkb(from);
    }
    if (skb === null) return null;
  }
  if (skb !== sk.oobSkb) return skb;
  if (copied > 0) return null;
  if (peeking) return opts.urginline ? skb : skb.next;
  sk.oobSkb = null;
  if (opts.urginline) return skb;
  receiveQueue.unlink(skb);
  sk.freeSkb(skb);
  return receiveQueue.first;
}

/** `unix_stream_recv_urg`. The byte's buffer stays as an empty one until the next read. */
function recvUrg(sk: UnixStreamSock, task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
  const { oobSkb } = sk;
  if (sk.opts.urginline || oobSkb === null) return -EINVAL;
  const peeking = (flags & MSG_PEEK) !== 0;
  if (!peeking) {
    sk.oobSkb = null;
    sk.inq -= 1;
    const { prev } = oobSkb;
    if (prev !== null && prev.consumed === prev.len) {
      sk.receiveQueue.unlink(prev);
      sk.freeSkb(prev);
    }
  }
  const room = Math.min(to.count, 1); // without room the byte is taken all the same
  const done = to.slabTo(oobSkb.slab, oobSkb.offset, room);
  if (!peeking) oobSkb.consumed += 1;
  if (done < room) return task.process.mm.fault();
  if (msg !== null) msg.flags |= MSG_OOB;
  return 1;
}

/** `sock_rcvlowat`. */
function lowatTarget(flags: number, lowat: number, size: number): number {
  return ((flags & MSG_WAITALL) !== 0 ? size : Math.min(lowat, size)) || 1;
}

/** A receive that waits for data. */
class UnixStreamRecv extends MsgCall {
  override get waitsForData(): boolean {
    return true;
  }

  readonly sk: UnixStreamSock;
  readonly to: IovIter;
  readonly flags: number;
  readonly target: number;
  copied = 0;
  scm: Scm | null = null;
  checkCreds = false;

  constructor(sk: UnixStreamSock, to: IovIter, flags: number, msg: MsgHdr | null, target: number) {
    super(msg);
    this.sk = sk;
    this.to = to;
    this.flags = flags;
    this.target = target;
    this.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
  }

  protected override section(task: Task): number {
    task.finishWait();
    return read(this.sk, task, this.to, this.flags, this.msg, this);
  }
}
