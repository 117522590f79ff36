/**
 * AF_UNIX datagrams, and what sequenced packets have of them.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_dgram_sendmsg`, `unix_dgram_recvmsg`, `unix_dgram_poll`),
 * `net/core/datagram.c`.
 * Two limits apply to a sender: its own charge, and, unless the receiver is connected back to it, the length of the
 * receiver's queue (U-36). Who meets the second while connected is put on the receiver's `peerWait` and told when a
 * message has been taken (U-38); who is not connected is not told at all (U-37).
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import { BLOCKED, type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Af, Msg, Sock as SockType } from "../../uapi/socket.ts";
import { DatagramRecv, type DatagramSock } from "../datagram.ts";
import type { MsgHdr } from "../msghdr.ts";
import { Scm, scmRecv, scmSend } from "../scm.ts";
import { headTruesize, type SkBuff } from "../skbuff.ts";
import { interruptedErrno, MsgCall, OUT3, RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SkState } from "../sock.ts";
import { waitForPeer } from "./connection.ts";
import { PeerWait, peekFds, UnixSock, validateAddr } from "./unix-sock.ts";

const { ESTABLISHED, CLOSE } = SkState;
const IN2 = Poll.IN | Poll.RDNORM;

/** What a message must leave free in sndbuf. */
const MESSAGE_MARGIN = 32;
/** Pages of the largest head: `SKB_MAX_ALLOC` is four pages less the shared info. */
const HEAD_PAGES = 4;

export class UnixDgramSock extends UnixSock implements DatagramSock {
  override get type(): number {
    return SockType.DGRAM;
  }

  override embryo(): UnixSock {
    return new UnixDgramSock(this.net);
  }

  /** `unix_dgram_poll`. @behaviour U-14, U-36, U-37, U-38, U-39, U-41 */
  override poll(): number {
    const { shutdown, state } = this;
    let mask = 0;
    if (this.err !== 0) mask |= Poll.ERR;
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= Poll.RDHUP | IN2;
    if (shutdown === SHUTDOWN_MASK) mask |= Poll.HUP;
    if (this.receiveQueue.first !== null) mask |= IN2;
    if (this.type === SockType.SEQPACKET && state === CLOSE) mask |= Poll.HUP;
    if (this.writable() && !this.#facesFullPeer()) mask |= OUT3;
    return mask;
  }

  #facesFullPeer(): boolean {
    const { peer } = this;
    return peer !== null && peer.peer !== this && peer.recvqFull() && this.#peerWakeMe(peer);
  }

  /** `unix_dgram_peer_wake_me`. @returns whether a wake from `other` is to be waited for. */
  #peerWakeMe(other: UnixSock): boolean {
    if (other.dead) return false;
    if (this.peerWake === null) {
      this.peerWake = other;
      other.peerWait ??= new PeerWait();
      other.peerWait.relays.unshift(this);
    }
    return true;
  }

  /** `unix_dgram_peer_wake_disconnect_wakeup`. */
  #stopWaitingFor(other: UnixSock): void {
    this.peerWakeDisconnect(other);
    this.wakeWriters();
  }

  /** `unix_may_send`. */
  protected maySend(other: UnixSock): boolean {
    return other.peer === null || other.peer === this;
  }

  /**
   * `unix_dgram_connect`.
   *
   * @errno EINVAL - the address. EPERM - the other is connected to somebody else. ECONNREFUSED, ENOENT, EPROTOTYPE - as
   * `findOther`.
   * @behaviour U-30, U-40
   */
  override connect(task: Task, addr: Uint8Array, _nonblock: boolean): number {
    if (addr.length < 2) return -Errno.EINVAL;
    let other: UnixSock | null = null;
    if (addr[0] !== Af.UNSPEC || addr[1] !== 0) {
      const err = validateAddr(addr);
      if (err < 0) return err;
      if (this.opts.passcred && this.name === null) this.autobind();
      const found = this.findOther(task, addr);
      if (typeof found === "number") return found;
      if (!this.maySend(found)) return -Errno.EPERM;
      this.state = ESTABLISHED;
      found.state = ESTABLISHED;
      other = found;
    }
    const old = this.peer;
    this.peer = other;
    if (old === null) return 0;
    if (other === null) this.state = CLOSE;
    this.#stopWaitingFor(old);
    if (other !== old) {
      this.#disconnected(old);
      if (old.peer === null) old.state = CLOSE;
    }
    return 0;
  }

  /** `unix_dgram_disconnected`: what the former peer sent is lost, and it is told so. */
  #disconnected(other: UnixSock): void {
    const { receiveQueue } = this;
    if (receiveQueue.first === null) return;
    for (let skb = receiveQueue.dequeue(); skb !== null; skb = receiveQueue.dequeue()) this.freeSkb(skb);
    this.net.runDelayed();
    this.peerWait?.wakeUp(0, 0);
    if (other.dead || other.peer !== this) return;
    other.err = Errno.ECONNRESET;
    other.errorReport();
  }

  /**
   * `unix_dgram_sendmsg`.
   *
   * @errno EOPNOTSUPP - MSG_OOB. EMSGSIZE - larger than sndbuf allows. EAGAIN - no room. ENOTCONN - no destination.
   * EPERM - the receiver is connected to somebody else. EPIPE - an end is shut. ECONNREFUSED - the peer has gone.
   * EFAULT - the buffer. EINVAL, ENOENT, EPROTOTYPE - the destination.
   * @behaviour U-03, U-11, U-15, U-36, U-37, U-39, U-41, U-54
   */
  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    const scm = msg === null ? null : scmSend(task, this.net, msg);
    if (typeof scm === "number") return scm;
    const call = new UnixDgramSend(this, from, flags, msg, scm);
    const err = this.#sendCheck(from.count, flags, call.name);
    return err < 0 ? this.#sendEnd(call, err) : this.sendOn(task, call);
  }

  #sendCheck(length: number, flags: number, name: Uint8Array | null): number {
    if ((flags & Msg.OOB) !== 0) return -Errno.EOPNOTSUPP;
    if (name !== null) {
      const err = validateAddr(name);
      if (err < 0) return err;
    }
    if (this.opts.passcred && this.name === null) this.autobind();
    return length > this.sndbuf - MESSAGE_MARGIN ? -Errno.EMSGSIZE : 0;
  }

  #sendEnd(call: UnixDgramSend, result: number): number {
    const { skb, scm } = call;
    if (skb !== null) this.freeSkb(skb);
    scm?.destroy(this.net);
    if (skb !== null || scm !== null) this.net.runDelayed();
    return result;
  }

  /** A send from the reservation of its charge on; entered again after each sleep. */
  sendOn(task: Task, call: UnixDgramSend): number {
    task.finishWait();
    if (call.skb === null) {
      const err = this.#allocate(task, call);
      if (err === BLOCKED) return BLOCKED;
      if (err < 0) return this.#sendEnd(call, err);
    } else if (task.signalPending) {
      return this.#sendEnd(call, interruptedErrno(call.deadlineNs));
    }
    return this.#deliver(task, call, call.skb as unknown as SkBuff);
  }

  #deliver(task: Task, call: UnixDgramSend, skb: SkBuff): number {
    let other = call.other ?? this.#destination(task, call);
    if (typeof other !== "number" && other.dead && other !== this.peer && call.name !== null) {
      other = this.#destination(task, call); // it was closed while we slept; somebody else may have the name now
    }
    if (typeof other === "number") return this.#sendEnd(call, other);
    call.other = other;
    const err = this.#deliverable(task, call, other, skb);
    if (err === BLOCKED) return BLOCKED;
    if (err < 0) return this.#sendEnd(call, err);
    const { len } = skb;
    call.skb = null;
    other.receiveQueue.queueTail(skb);
    other.noteEnqueued(len);
    other.dataReady();
    return this.#sendEnd(call, len);
  }

  /** `sock_alloc_send_pskb`, and the copy. */
  #allocate(task: Task, call: UnixDgramSend): number {
    const { opts, net } = this;
    const { from } = call;
    if (this.err !== 0) return this.takeError();
    if ((this.shutdown & SEND_SHUTDOWN) !== 0) return -Errno.EPIPE;
    if (this.wmemAlloc - 1 >= this.sndbuf) {
      if (call.nonblock || opts.sndtimeo === 0 || (call.slept && task.timedOut)) return -Errno.EAGAIN;
      if (task.signalPending) return interruptedErrno(opts.sndtimeo);
      if (!call.slept) call.deadlineNs = this.deadline(opts.sndtimeo);
      call.slept = true;
      task.wait.mask = 0;
      this.wq.add(task.wait);
      return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
    }
    const skb = net.skbs.alloc(from.count);
    this.charge(skb, this.#truesize(from.count));
    call.skb = skb;
    call.slept = false;
    if (call.scm !== null) {
      const err = this.scmToSkb(task, skb, call.scm);
      if (err < 0) return err;
    }
    return from.slabFrom(skb.slab, skb.offset, skb.len) < skb.len ? task.process.mm.fault() : 0;
  }

  /** Up to four pages in the head, the rest in pages. */
  #truesize(length: number): number {
    const { skbConfig } = this.net;
    const page = skbConfig.pageBytes;
    const headMax = page * HEAD_PAGES - skbConfig.sharedInfoBytes;
    if (length <= headMax) return headTruesize(skbConfig, length);
    const paged = Math.ceil(Math.min(length - headMax, skbConfig.maxFrags * page) / page) * page;
    return headTruesize(skbConfig, length - paged) + paged;
  }

  #destination(task: Task, call: UnixDgramSend): UnixSock | number {
    if (call.name !== null) return this.findOther(task, call.name);
    return this.peer ?? -Errno.ENOTCONN;
  }

  /** Whether the receiver takes the message now. @returns 0, `BLOCKED`, or a negative errno. */
  #deliverable(task: Task, call: UnixDgramSend, other: UnixSock, skb: SkBuff): number {
    this.maybeAddCreds(task, skb, other);
    if (!this.maySend(other)) return -Errno.EPERM;
    if (other.dead) return this.#peerGone(other);
    if ((other.shutdown & RCV_SHUTDOWN) !== 0) return -Errno.EPIPE;
    if (skb.scm !== null && skb.scm.fp !== null && !other.opts.passrights) return -Errno.EPERM;
    if (other !== this && other.peer !== this && other.recvqFull()) return this.#queueFull(task, call, other);
    if (skb.scm !== null) other.acceptScm(skb.scm);
    return 0;
  }

  /** The peer has been closed: the first send says so and lets go of it. */
  #peerGone(other: UnixSock): number {
    if (this.type === SockType.SEQPACKET) return -Errno.EPIPE;
    if (this.peer !== other) return -Errno.ECONNRESET;
    this.peer = null;
    this.#stopWaitingFor(other);
    this.state = CLOSE;
    this.#disconnected(other);
    return -Errno.ECONNREFUSED;
  }

  #queueFull(task: Task, call: UnixDgramSend, other: UnixSock): number {
    const { sndtimeo } = this.opts;
    const timedOut = call.slept && task.timedOut;
    if (call.nonblock || sndtimeo === 0 || timedOut) {
      if (this.peer === other) this.#peerWakeMe(other);
      return -Errno.EAGAIN;
    }
    if (!call.slept) call.deadlineNs = this.deadline(sndtimeo);
    call.slept = true;
    return waitForPeer(task, other, call);
  }

  /**
   * `unix_dgram_recvmsg`.
   *
   * @errno EOPNOTSUPP - MSG_OOB. EAGAIN - no message. EFAULT - the buffer; the message is lost. ENOTCONN - a sequenced
   * packet socket that lost its connection. Any pending error, before any message.
   * @behaviour U-11, U-15, U-18, U-38, U-42, U-49
   */
  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    if ((flags & Msg.OOB) !== 0) return -Errno.EOPNOTSUPP;
    return this.recvOn(task, to, flags, msg, null);
  }

  /** See `DatagramSock`. */
  recvOn(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: DatagramRecv | null): number {
    task.finishWait();
    const peeking = (flags & Msg.PEEK) !== 0;
    const err = this.takeError();
    if (err < 0) return err;
    let skip = 0;
    let skb = this.receiveQueue.first;
    if (peeking && this.opts.peekOff >= 0) {
      skip = this.opts.peekOff;
      while (skb !== null && skip >= skb.len && (skip > 0 || skb.peeked)) {
        skip -= skb.len;
        skb = skb.next;
      }
    }
    if (skb === null) return this.#noMessage(task, to, flags, msg, waiting);
    if (peeking) skb.peeked ||= skb.len === 0;
    else {
      this.receiveQueue.unlink(skb);
      this.noteDequeued(skb.len);
    }
    this.peerWait?.wakeUp(1, OUT3);
    const result = this.#copyOut(task, to, flags, msg, skb, skip);
    if (!peeking) {
      this.nrFds -= skb.scm?.fp?.length ?? 0;
      this.freeSkb(skb);
    }
    this.net.runDelayed();
    return result;
  }

  /** Waits for a message, unless the end has come. */
  #noMessage(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: DatagramRecv | null): number {
    const { opts } = this;
    const ended = (this.shutdown & RCV_SHUTDOWN) !== 0;
    if ((flags & Msg.DONTWAIT) !== 0 || opts.rcvtimeo === 0 || (waiting !== null && task.timedOut)) {
      return ended && this.type === SockType.SEQPACKET ? 0 : -Errno.EAGAIN;
    }
    if (ended) return 0;
    if (this.type === SockType.SEQPACKET && this.state !== ESTABLISHED) return -Errno.ENOTCONN;
    return (waiting ?? new DatagramRecv(this, to, flags, msg)).wait(task);
  }

  #copyOut(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, skb: SkBuff, skip: number): number {
    const { opts } = this;
    if (msg?.wantsName && skb.sk !== null) msg.name = (skb.sk as UnixSock).name?.addr ?? msg.name;
    const left = skb.len - skip;
    const size = Math.min(to.count, left);
    if (size < left && msg !== null) msg.flags |= Msg.TRUNC;
    if (to.slabTo(skb.slab, skb.offset + skip, size) < size) return task.process.mm.fault();
    const peeking = (flags & Msg.PEEK) !== 0;
    let scm: Scm | null = null;
    if (skb.scm !== null) {
      scm = new Scm();
      scm.setCredentials(skb.scm.pid, skb.scm.uid, skb.scm.gid);
      if (skb.scm.fp !== null) {
        if (peeking) peekFds(scm, skb);
        else this.detachFds(scm, skb);
      }
    }
    if (opts.peekOff >= 0) {
      this.ownOptions().peekOff = peeking ? opts.peekOff + size : Math.max(opts.peekOff - skb.len, 0);
    }
    if (scm !== null || opts.passcred) scmRecv(task, this.net, msg, scm, opts.passcred);
    return (flags & Msg.TRUNC) !== 0 ? left : size;
  }
}

/** A send; made for each, as a datagram may wait at two places. */
class UnixDgramSend extends MsgCall {
  readonly sk: UnixDgramSock;
  readonly from: IovIter;
  readonly scm: Scm | null;
  readonly name: Uint8Array | null;
  readonly nonblock: boolean;
  /** The message, once it is charged and filled. */
  skb: SkBuff | null = null;
  other: UnixSock | null = null;
  /** It has slept at the present place. */
  slept = false;

  constructor(sk: UnixDgramSock, from: IovIter, flags: number, msg: MsgHdr | null, scm: Scm | null) {
    super(msg);
    this.sk = sk;
    this.from = from;
    this.scm = scm;
    this.name = msg !== null && msg.name.length > 0 ? msg.name : null;
    this.nonblock = (flags & Msg.DONTWAIT) !== 0;
    this.deadlineNs = -1;
  }

  protected override section(task: Task): number {
    return this.sk.sendOn(task, this);
  }
}
