/**
 * Sending on an AF_UNIX stream.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_stream_sendmsg`, `queue_oob`).
 * A send is cut into pieces; each is admitted while the charge is below sndbuf, is charged whole, wakes the reader, and
 * gives its charge back only when its last byte has been read (U-03, U-06). Nothing limits the receiver.
 */
import { sendSigurg } from "../../fs/fasync.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import { BLOCKED, type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Msg } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { type Scm, scmSend } from "../scm.ts";
import { headTruesize } from "../skbuff.ts";
import { interruptedErrno, MsgCall, RCV_SHUTDOWN, SEND_SHUTDOWN, SkState } from "../sock.ts";
import type { UnixStreamSock } from "./stream.ts";

const { ESTABLISHED } = SkState;
const { EAGAIN, EPIPE, EOPNOTSUPP, ENOTCONN, EISCONN, EPERM } = Errno;
const { DONTWAIT: MSG_DONTWAIT, OOB: MSG_OOB, NOSIGNAL: MSG_NOSIGNAL, SPLICE_PAGES: MSG_SPLICE_PAGES } = Msg;

/** `UNIX_SKB_FRAGS_SZ`: most bytes of a piece that lie in pages rather than in the head. */
const FRAGS_BYTES = 32768;
/** What the cutting of pieces leaves below half of sndbuf. */
const PIECE_MARGIN = 64;
/** Deadline of a send that has not slept for the present piece. */
const NOT_WAITING = -2;

/**
 * `unix_stream_sendmsg`.
 *
 * @errno EPIPE - either end is shut, with SIGPIPE unless something was sent. EAGAIN - no room. ENOTCONN, EISCONN,
 * EOPNOTSUPP - as the state and the address demand. EFAULT - the buffer.
 * @behaviour U-03, U-05, U-08, U-11, U-12, U-15, U-19, U-35, U-54
 */
export function unixStreamSendmsg(
  sk: UnixStreamSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
): number {
  let scm: Scm | null = null;
  if (msg !== null) {
    const sent = scmSend(task, sk.net, msg);
    if (typeof sent === "number") return sent;
    scm = sent;
  }
  const err = sendCheck(sk, task, from, flags, msg);
  if (err < 0) return sendEnd(sk, scm, err);
  const length = (flags & MSG_OOB) !== 0 ? from.count - 1 : from.count;
  return sendPieces(sk, task, from, flags, msg, scm, 0, length, null);
}

function sendCheck(sk: UnixStreamSock, task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
  if ((flags & MSG_OOB) !== 0 && from.count === 0) return -EOPNOTSUPP;
  if (msg !== null && msg.name.length > 0) return sk.state === ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
  if (sk.peer === null) return -ENOTCONN;
  return (sk.shutdown & SEND_SHUTDOWN) !== 0 ? pipeError(task, flags, 0) : 0;
}

/** `out_pipe`. */
function pipeError(task: Task, flags: number, sent: number): number {
  if (sent === 0 && (flags & MSG_NOSIGNAL) === 0) task.kernel.sigpipe(task);
  return -EPIPE;
}

/** Descriptors that no piece took along are put down. */
function sendEnd(sk: UnixStreamSock, scm: Scm | null, result: number): number {
  if (scm !== null) {
    scm.destroy(sk.net);
    sk.net.runDelayed();
  }
  return result;
}

/**
 * The loop over the pieces, entered again after each sleep.
 *
 * @param sent - bytes sent by earlier sections of the call. @param length - bytes of the whole send.
 */
function sendPieces(
  sk: UnixStreamSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  scm: Scm | null,
  alreadySent: number,
  length: number,
  waiting: UnixStreamSend | null,
): number {
  const other = sk.peer as UnixStreamSock;
  let sent = alreadySent;
  let size = waiting === null ? 0 : waiting.size;
  for (;;) {
    const urgent = sent === length;
    if (urgent && (flags & MSG_OOB) === 0) break;
    if (size === 0) size = urgent ? 1 : pieceSize(sk, length - sent, flags);
    let err = admit(sk, flags, waiting, task);
    if (err === BLOCKED) {
      const call = waiting ?? new UnixStreamSend(sk, from, flags, msg, scm, length);
      call.sent = sent;
      call.size = size;
      return waitForRoom(sk, task, call);
    }
    if (err === 0) err = sendPiece(sk, task, other, from, flags, scm, sent, size, urgent);
    if (err < 0) return sendEnd(sk, scm, sent > 0 ? sent : err);
    sent += size;
    size = 0;
    if (waiting !== null) waiting.deadlineNs = NOT_WAITING;
    if (urgent) break;
  }
  return sendEnd(sk, scm, sent);
}

/** Bytes of the next piece: settled before there is room for it. */
function pieceSize(sk: UnixStreamSock, left: number, flags: number): number {
  if ((flags & MSG_SPLICE_PAGES) !== 0) return left; // no more than the fragments of one buffer
  const { skbConfig } = sk.net;
  const most = skbConfig.pageBytes - skbConfig.sharedInfoBytes + FRAGS_BYTES;
  return Math.min(left, (sk.sndbuf >> 1) - PIECE_MARGIN, most);
}

/**
 * `sock_alloc_send_pskb` up to the allocation.
 *
 * @returns 0 to go on, `BLOCKED` to sleep, or a negative errno.
 */
function admit(sk: UnixStreamSock, flags: number, waiting: UnixStreamSend | null, task: Task): number {
  if (sk.err !== 0) return sk.takeError();
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
  if (sk.wmemAlloc - 1 < sk.sndbuf) return 0;
  if ((flags & MSG_DONTWAIT) !== 0 || sk.opts.sndtimeo === 0) return -EAGAIN;
  if (waiting !== null && waiting.deadlineNs >= 0 && task.timedOut) return -EAGAIN;
  if (task.signalPending) return interruptedErrno(sk.opts.sndtimeo);
  return BLOCKED;
}

/** `sock_wait_for_wmem`. The timeout counts for one piece. */
function waitForRoom(sk: UnixStreamSock, task: Task, call: UnixStreamSend): number {
  if (call.deadlineNs === NOT_WAITING) call.deadlineNs = sk.deadline(sk.opts.sndtimeo);
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

/** One piece: charged, filled, queued. @returns 0 or a negative errno. */
function sendPiece(
  sk: UnixStreamSock,
  task: Task,
  other: UnixStreamSock,
  from: IovIter,
  flags: number,
  scm: Scm | null,
  sent: number,
  size: number,
  urgent: boolean,
): number {
  const { net } = sk;
  const { skbConfig } = net;
  const headMax = skbConfig.pageBytes - skbConfig.sharedInfoBytes;
  let truesize: number;
  if ((flags & MSG_SPLICE_PAGES) !== 0) {
    truesize = headTruesize(skbConfig, 0) + size;
  } else if (size <= headMax) {
    truesize = headTruesize(skbConfig, size);
  } else {
    const page = skbConfig.pageBytes;
    const paged = Math.ceil((size - headMax) / page) * page;
    truesize = headTruesize(skbConfig, size - Math.min(size, paged)) + paged;
  }
  const skb = net.skbs.alloc(size);
  sk.charge(skb, truesize);
  if (scm !== null) {
    const err = sk.scmToSkb(task, skb, scm);
    if (err < 0) {
      sk.freeSkb(skb);
      return err;
    }
  }
  sk.maybeAddCreds(task, skb, other);
  if (from.slabFrom(skb.slab, skb.offset, size) < size) {
    sk.freeSkb(skb);
    return task.process.mm.fault();
  }
  if (other.dead || (other.shutdown & RCV_SHUTDOWN) !== 0) {
    sk.freeSkb(skb);
    return urgent ? -EPIPE : pipeError(task, flags, sent);
  }
  if (skb.scm !== null && !other.acceptScm(skb.scm)) {
    sk.freeSkb(skb);
    return -EPERM;
  }
  skb.queuedBy = sk.net.kernel.actor;
  other.receiveQueue.queueTail(skb);
  other.inq += size;
  other.noteEnqueued(size);
  if (urgent) {
    other.oobSkb = skb;
    if (other.file !== null) sendSigurg(other.file);
  }
  other.dataReady();
  return 0;
}

/** A send that waits for room. */
class UnixStreamSend extends MsgCall {
  readonly sk: UnixStreamSock;
  readonly from: IovIter;
  readonly flags: number;
  readonly scm: Scm | null;
  readonly length: number;
  sent = 0;
  /** Bytes of the piece that waits. */
  size = 0;

  constructor(sk: UnixStreamSock, from: IovIter, flags: number, msg: MsgHdr | null, scm: Scm | null, length: number) {
    super(msg);
    this.sk = sk;
    this.from = from;
    this.flags = flags;
    this.scm = scm;
    this.length = length;
    this.deadlineNs = NOT_WAITING;
  }

  protected override section(task: Task): number {
    task.finishWait();
    return sendPieces(this.sk, task, this.from, this.flags, this.msg, this.scm, this.sent, this.length, this);
  }
}
