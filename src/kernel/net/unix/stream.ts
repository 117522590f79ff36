/**
 * AF_UNIX stream sockets.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_stream_sendmsg`, `unix_stream_read_generic`, `unix_poll`).
 * A send is cut into pieces; each is admitted while the charge is below sndbuf, is charged whole, wakes the reader, and
 * gives its charge back only when its last byte has been read (U-03, U-06). Nothing limits the receiver.
 * The path of a plain read or write allocates nothing once the pool of buffers is warm.
 */
import { sendSigurg } from "../../fs/fasync.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import { BLOCKED, type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Msg, Sock as SockType } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { Scm, scmRecv, scmSend } from "../scm.ts";
import { headTruesize, type SkBuff } from "../skbuff.ts";
import {
  type AcceptArg,
  interruptedErrno,
  OUT3,
  RCV_SHUTDOWN,
  SEND_SHUTDOWN,
  SHUTDOWN_MASK,
  SkState,
  SockCall,
} from "../sock.ts";
import { unixAccept, unixConnect, unixListen } from "./connection.ts";
import { peekFds, UnixSock } from "./unix-sock.ts";

const { ESTABLISHED, CLOSE, LISTEN } = SkState;
const { EAGAIN, EPIPE, EINVAL, EOPNOTSUPP, ENOTCONN, EISCONN, EPERM } = Errno;
const { DONTWAIT: MSG_DONTWAIT, PEEK: MSG_PEEK, OOB: MSG_OOB, WAITALL: MSG_WAITALL, NOSIGNAL: MSG_NOSIGNAL } = Msg;
const { SPLICE_PAGES: MSG_SPLICE_PAGES } = Msg;
const IN2 = Poll.IN | Poll.RDNORM;
const { ERR: EPOLLERR, HUP: EPOLLHUP, RDHUP: EPOLLRDHUP, PRI: EPOLLPRI } = Poll;

/** `UNIX_SKB_FRAGS_SZ`: most bytes of a piece that lie in pages rather than in the head. */
const FRAGS_BYTES = 32768;
/** What the cutting of pieces leaves below half of sndbuf. */
const PIECE_MARGIN = 64;
/** Deadline of a send that has not slept for the present piece. */
const NOT_WAITING = -2;

export class UnixStreamSock extends UnixSock {
  override get type(): number {
    return SockType.STREAM;
  }

  override embryo(): UnixStreamSock {
    return new UnixStreamSock(this.net);
  }

  override listen(task: Task, backlog: number): number {
    return unixListen(this, task, backlog);
  }

  override connect(task: Task, addr: Uint8Array, nonblock: boolean): number {
    return unixConnect(this, task, addr, nonblock);
  }

  override accept(task: Task, nonblock: boolean, arg: AcceptArg): number {
    return unixAccept(this, task, nonblock, arg);
  }

  /** `unix_poll`. @behaviour U-08, U-14, U-16, U-20, U-21, U-22, U-25 */
  override poll(): number {
    const { shutdown, state } = this;
    let mask = 0;
    if (this.err !== 0) mask |= EPOLLERR;
    if (shutdown !== 0) {
      if (shutdown === SHUTDOWN_MASK) mask |= EPOLLHUP;
      if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLRDHUP | IN2;
    }
    if (this.receiveQueue.first !== null) mask |= IN2;
    if (this.oobSkb !== null) mask |= EPOLLPRI;
    if (state === CLOSE) mask |= EPOLLHUP;
    if (this.writable()) mask |= OUT3;
    return mask;
  }

  /**
   * `unix_stream_sendmsg`.
   *
   * @errno EPIPE - either end is shut, with SIGPIPE unless something was sent. EAGAIN - no room. ENOTCONN, EISCONN,
   * EOPNOTSUPP - as the state and the address demand. EFAULT - the buffer.
   * @behaviour U-03, U-05, U-08, U-11, U-12, U-15, U-19, U-35, U-54
   */
  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    let scm: Scm | null = null;
    if (msg !== null) {
      const sent = scmSend(task, this.net, msg);
      if (typeof sent === "number") return sent;
      scm = sent;
    }
    const err = this.#sendCheck(task, from, flags, msg);
    if (err < 0) return this.#sendEnd(scm, err);
    const length = (flags & MSG_OOB) !== 0 ? from.count - 1 : from.count;
    return this.#sendPieces(task, from, flags, msg, scm, 0, length, null);
  }

  #sendCheck(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    if ((flags & MSG_OOB) !== 0 && from.count === 0) return -EOPNOTSUPP;
    if (msg !== null && msg.name.length > 0) return this.state === ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
    if (this.peer === null) return -ENOTCONN;
    return (this.shutdown & SEND_SHUTDOWN) !== 0 ? this.#pipeError(task, flags, 0) : 0;
  }

  /** `out_pipe`. */
  #pipeError(task: Task, flags: number, sent: number): number {
    if (sent === 0 && (flags & MSG_NOSIGNAL) === 0) task.kernel.sigpipe(task);
    return -EPIPE;
  }

  /** Descriptors that no piece took along are put down. */
  #sendEnd(scm: Scm | null, result: number): number {
    if (scm !== null) {
      scm.destroy(this.net);
      this.net.runDelayed();
    }
    return result;
  }

  /**
   * The loop over the pieces, entered again after each sleep.
   *
   * @param sent - bytes sent by earlier sections of the call. @param length - bytes of the whole send.
   */
  #sendPieces(
    task: Task,
    from: IovIter,
    flags: number,
    msg: MsgHdr | null,
    scm: Scm | null,
    alreadySent: number,
    length: number,
    waiting: UnixStreamSend | null,
  ): number {
    const other = this.peer as UnixStreamSock;
    let sent = alreadySent;
    let size = waiting === null ? 0 : waiting.size;
    for (;;) {
      const urgent = sent === length;
      if (urgent && (flags & MSG_OOB) === 0) break;
      if (size === 0) size = urgent ? 1 : this.#pieceSize(length - sent, flags);
      let err = this.#admit(flags, waiting, task);
      if (err === BLOCKED) {
        const call = waiting ?? new UnixStreamSend(this, from, flags, msg, scm, length);
        call.sent = sent;
        call.size = size;
        return this.#waitForRoom(task, call);
      }
      if (err === 0) err = this.#sendPiece(task, other, from, flags, scm, sent, size, urgent);
      if (err < 0) return this.#sendEnd(scm, sent > 0 ? sent : err);
      sent += size;
      size = 0;
      if (waiting !== null) waiting.deadlineNs = NOT_WAITING;
      if (urgent) break;
    }
    return this.#sendEnd(scm, sent);
  }

  /** Bytes of the next piece: settled before there is room for it. */
  #pieceSize(left: number, flags: number): number {
    if ((flags & MSG_SPLICE_PAGES) !== 0) return left; // no more than the fragments of one buffer
    const { skbConfig } = this.net;
    const most = skbConfig.pageBytes - skbConfig.sharedInfoBytes + FRAGS_BYTES;
    return Math.min(left, (this.sndbuf >> 1) - PIECE_MARGIN, most);
  }

  /**
   * `sock_alloc_send_pskb` up to the allocation.
   *
   * @returns 0 to go on, `BLOCKED` to sleep, or a negative errno.
   */
  #admit(flags: number, waiting: UnixStreamSend | null, task: Task): number {
    if (this.err !== 0) return this.takeError();
    if ((this.shutdown & SEND_SHUTDOWN) !== 0) return -EPIPE;
    if (this.wmemAlloc - 1 < this.sndbuf) return 0;
    if ((flags & MSG_DONTWAIT) !== 0 || this.opts.sndtimeo === 0) return -EAGAIN;
    if (waiting !== null && waiting.deadlineNs >= 0 && task.timedOut) return -EAGAIN;
    if (task.signalPending) return interruptedErrno(this.opts.sndtimeo);
    return BLOCKED;
  }

  /** `sock_wait_for_wmem`. The timeout counts for one piece. */
  #waitForRoom(task: Task, call: UnixStreamSend): number {
    if (call.deadlineNs === NOT_WAITING) call.deadlineNs = this.deadline(this.opts.sndtimeo);
    task.wait.mask = 0;
    this.wq.add(task.wait);
    return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
  }

  /** One piece: charged, filled, queued. @returns 0 or a negative errno. */
  #sendPiece(
    task: Task,
    other: UnixStreamSock,
    from: IovIter,
    flags: number,
    scm: Scm | null,
    sent: number,
    size: number,
    urgent: boolean,
  ): number {
    const { net } = this;
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
    this.charge(skb, truesize);
    if (scm !== null) {
      const err = this.scmToSkb(task, skb, scm);
      if (err < 0) {
        this.freeSkb(skb);
        return err;
      }
    }
    this.maybeAddCreds(task, skb, other);
    if (from.slabFrom(skb.slab, skb.offset, size) < size) {
      this.freeSkb(skb);
      return task.process.mm.fault();
    }
    if (other.dead || (other.shutdown & RCV_SHUTDOWN) !== 0) {
      this.freeSkb(skb);
      return urgent ? -EPIPE : this.#pipeError(task, flags, sent);
    }
    if (skb.scm !== null && !other.acceptScm(skb.scm)) {
      this.freeSkb(skb);
      return -EPERM;
    }
    skb.queuedBy = this.net.kernel.actor;
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

  /** A send that slept, woken or timed out. */
  sendOn(task: Task, call: UnixStreamSend): number {
    task.finishWait();
    return this.#sendPieces(task, call.from, call.flags, call.msg, call.scm, call.sent, call.length, call);
  }

  /**
   * `unix_stream_recvmsg`, `unix_stream_read_generic`.
   *
   * @errno EINVAL - not connected; no urgent byte. EAGAIN - nothing to read. ECONNRESET - the peer closed with our data
   * unread, once. EFAULT - the buffer.
   * @behaviour U-06, U-15, U-17, U-18, U-43, U-44, U-45, U-46, U-47, U-50, U-52
   */
  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    if (this.state !== ESTABLISHED) return -EINVAL;
    if ((flags & MSG_OOB) !== 0) return this.#recvUrg(task, to, flags, msg);
    return this.#read(task, to, flags, msg, null);
  }

  /** @param waiting - the call, if it has slept. */
  #read(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: UnixStreamRecv | null): number {
    const { opts, receiveQueue } = this;
    const peeking = (flags & MSG_PEEK) !== 0;
    let copied = waiting === null ? 0 : waiting.copied;
    let scm = waiting === null ? null : waiting.scm;
    let checkCreds = waiting === null ? false : waiting.checkCreds;
    let err = 0;
    let skip = peeking && opts.peekOff > 0 ? opts.peekOff : 0;
    let skb = receiveQueue.first;
    for (;;) {
      if (skb !== null && (skb === this.oobSkb || skb.consumed === skb.len)) {
        skb = this.#manageOob(skb, flags, copied);
        if (skb === null && copied > 0) break;
      }
      if (skb === null) {
        const target = waiting === null ? lowatTarget(flags, opts.rcvlowat, to.count + copied) : waiting.target;
        if (copied >= target) break;
        err = this.takeError();
        if (err < 0 || (this.shutdown & RCV_SHUTDOWN) !== 0) break;
        if ((flags & MSG_DONTWAIT) !== 0 || opts.rcvtimeo === 0 || (waiting !== null && task.timedOut)) {
          err = -EAGAIN;
          break;
        }
        if (task.signalPending) {
          scm?.destroy(this.net);
          this.net.runDelayed();
          return copied > 0 ? copied : interruptedErrno(opts.rcvtimeo);
        }
        const call = waiting ?? new UnixStreamRecv(this, to, flags, msg, target);
        call.copied = copied;
        call.scm = scm;
        call.checkCreds = checkCreds;
        return this.#waitForData(task, call);
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
      if (msg?.wantsName && skb.sk !== null) this.#copyAddr(msg, skb);
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
        if (opts.peekOff >= 0) this.ownOptions().peekOff += chunk;
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
      this.inq -= chunk;
      this.noteDequeued(chunk);
      if (opts.peekOff >= 0) this.ownOptions().peekOff = Math.max(opts.peekOff - chunk, 0);
      let gotFds = false;
      if (skb.scm !== null && skb.scm.fp !== null) {
        scm = this.detachFds(scm, skb);
        gotFds = true;
      }
      if (skb.consumed < skb.len) break;
      receiveQueue.unlink(skb);
      this.freeSkb(skb);
      if (gotFds || to.count === 0) break;
      skb = receiveQueue.first;
    }
    if (scm !== null || opts.passcred) {
      scmRecv(task, this.net, msg, scm, opts.passcred);
      this.net.runDelayed();
    }
    return copied > 0 ? copied : err;
  }

  /** `unix_copy_addr`: the sender's name, if it has one. */
  #copyAddr(msg: MsgHdr, skb: SkBuff): void {
    const { name } = skb.sk as UnixSock;
    if (name !== null) msg.name = name.addr;
  }

  /** `unix_stream_data_wait`. */
  #waitForData(task: Task, call: UnixStreamRecv): number {
    task.wait.mask = 0;
    this.wq.add(task.wait);
    return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
  }

  /** A receive that slept, woken or timed out. */
  recvOn(task: Task, call: UnixStreamRecv): number {
    task.finishWait();
    return this.#read(task, call.to, call.flags, call.msg, call);
  }

  /** `manage_oob`: steps over consumed buffers and stops at the urgent byte. @returns where to go on, null for nowhere. */
  #manageOob(from: SkBuff, flags: number, copied: number): SkBuff | null {
    const { receiveQueue, opts } = this;
    const peeking = (flags & MSG_PEEK) !== 0;
    let skb: SkBuff | null = from;
    if (from.consumed === from.len) {
      if (copied > 0 && (this.oobSkb === null || from === this.oobSkb)) return null;
      skb = from.next;
      if (!peeking) {
        receiveQueue.unlink(from);
        this.freeSkb(from);
      }
      if (skb === null) return null;
    }
    if (skb !== this.oobSkb) return skb;
    if (copied > 0) return null;
    if (peeking) return opts.urginline ? skb : skb.next;
    this.oobSkb = null;
    if (opts.urginline) return skb;
    receiveQueue.unlink(skb);
    this.freeSkb(skb);
    return receiveQueue.first;
  }

  /** `unix_stream_recv_urg`. The byte's buffer stays as an empty one until the next read. */
  #recvUrg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    const { oobSkb } = this;
    if (this.opts.urginline || oobSkb === null) return -EINVAL;
    const peeking = (flags & MSG_PEEK) !== 0;
    if (!peeking) {
      this.oobSkb = null;
      this.inq -= 1;
      const { prev } = oobSkb;
      if (prev !== null && prev.consumed === prev.len) {
        this.receiveQueue.unlink(prev);
        this.freeSkb(prev);
      }
    }
    const room = Math.min(to.count, 1); // without room the byte is taken all the same
    const done = to.slabTo(oobSkb.slab, oobSkb.offset, room);
    if (!peeking) oobSkb.consumed += 1;
    if (done < room) return task.process.mm.fault();
    if (msg !== null) msg.flags |= MSG_OOB;
    return 1;
  }

  /** A read that steps over the urgent byte leaves it in the count (6.17 on). */
  protected override inqLen(): number {
    const counted = this.net.kernel.profile.unixInqCounter && this.state !== LISTEN;
    return counted ? this.inq : super.inqLen();
  }

  protected override atMark(): number {
    const { first } = this.receiveQueue;
    if (first === null) return 0;
    if (first === this.oobSkb) return 1;
    return first.consumed === first.len && (this.oobSkb === null || first.next === this.oobSkb) ? 1 : 0;
  }
}

/** `sock_rcvlowat`. */
function lowatTarget(flags: number, lowat: number, size: number): number {
  return ((flags & MSG_WAITALL) !== 0 ? size : Math.min(lowat, size)) || 1;
}

/** A send that waits for room. */
class UnixStreamSend extends SockCall {
  readonly sk: UnixStreamSock;
  readonly from: IovIter;
  readonly flags: number;
  readonly msg: MsgHdr | null;
  readonly scm: Scm | null;
  readonly length: number;
  sent = 0;
  /** Bytes of the piece that waits. */
  size = 0;

  constructor(sk: UnixStreamSock, from: IovIter, flags: number, msg: MsgHdr | null, scm: Scm | null, length: number) {
    super();
    this.sk = sk;
    this.from = from;
    this.flags = flags;
    this.msg = msg;
    this.scm = scm;
    this.length = length;
    this.deadlineNs = NOT_WAITING;
  }

  protected override section(task: Task): number {
    return this.sk.sendOn(task, this);
  }

  protected override finish(task: Task, result: number): number {
    return this.msg === null ? result : this.msg.finish(task, result);
  }
}

/** A receive that waits for data. */
class UnixStreamRecv extends SockCall {
  override get waitsForData(): boolean {
    return true;
  }

  readonly sk: UnixStreamSock;
  readonly to: IovIter;
  readonly flags: number;
  readonly msg: MsgHdr | null;
  readonly target: number;
  copied = 0;
  scm: Scm | null = null;
  checkCreds = false;

  constructor(sk: UnixStreamSock, to: IovIter, flags: number, msg: MsgHdr | null, target: number) {
    super();
    this.sk = sk;
    this.to = to;
    this.flags = flags;
    this.msg = msg;
    this.target = target;
    this.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
  }

  protected override section(task: Task): number {
    return this.sk.recvOn(task, this);
  }

  protected override finish(task: Task, result: number): number {
    return this.msg === null ? result : this.msg.finish(task, result);
  }
}
