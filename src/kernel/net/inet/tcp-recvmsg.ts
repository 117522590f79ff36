/**
 * Reading from a TCP socket.
 *
 * Counterpart: `net/ipv4/tcp.c` (`tcp_recvmsg_locked`, `tcp_recv_urg`).
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Msg, SOL_TCP } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { putCmsg } from "../scm.ts";
import type { SkBuff } from "../skbuff.ts";
import { interruptedErrno, RCV_SHUTDOWN, SkState, SockCall } from "../sock.ts";
import { tcpCleanupRbuf } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { Urg } from "./tcp-states.ts";
import { tcpRcvSpaceAdjust } from "./tcp-window.ts";
import { tcpRecvError } from "./tcp-zerocopy.ts";

const { CLOSE, LISTEN } = SkState;
/** The loop has nothing to copy just now. */
const NOTHING = -2;
const TCP_CM_INQ = 36;
const ONE_BYTE = new Uint8Array(1);

/**
 * `tcp_recvmsg`.
 *
 * @errno ENOTCONN - never connected, or listening. EAGAIN - nothing to read. EINVAL - no urgent byte. EFAULT - the
 * buffer. Any pending error, once, but not after a FIN.
 * @behaviour C-13, C-18, C-22, C-23, C-30, C-31, C-32
 */
export function tcpRecvmsg(sk: TcpSock, task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
  if ((flags & Msg.ERRQUEUE) !== 0) return tcpRecvError(sk, task, msg);
  return section(new RecvState(sk, to, flags, msg), task);
}

/** One receive: where it stands. */
class RecvState extends SockCall {
  readonly sk: TcpSock;
  readonly to: IovIter;
  readonly flags: number;
  readonly msg: MsgHdr | null;
  /** `sock_rcvlowat`: with so many bytes it is content. */
  readonly target: number;
  copied = 0;
  /** Sequence number of the next byte to take; behind `copiedSeq` while peeking. */
  seq: number;
  slept = false;
  /** `tcp_rcv_space_adjust` has been called. */
  adjusted = false;

  constructor(sk: TcpSock, to: IovIter, flags: number, msg: MsgHdr | null) {
    super();
    this.sk = sk;
    this.to = to;
    this.flags = flags;
    this.msg = msg;
    this.target = ((flags & Msg.WAITALL) !== 0 ? to.count : Math.min(sk.opts.rcvlowat, to.count)) || 1;
    this.seq = sk.copiedSeq + ((flags & Msg.PEEK) !== 0 ? Math.max(sk.opts.peekOff, 0) : 0);
  }

  override get waitsForData(): boolean {
    return true;
  }

  get peeking(): boolean {
    return (this.flags & Msg.PEEK) !== 0;
  }

  /** Moves on by some bytes. */
  advance(bytes: number): void {
    this.seq += bytes;
    if (this.peeking) return;
    this.sk.copiedSeq = this.seq;
    this.sk.noteDequeued(bytes);
  }

  protected override section(task: Task): number {
    task.finishWait();
    return section(this, task);
  }

  protected override finish(task: Task, result: number): number {
    return this.msg === null ? result : this.msg.finish(task, result);
  }
}

function section(state: RecvState, task: Task): number {
  const { sk, msg } = state;
  sk.lock();
  let result: number;
  try {
    result = recvLocked(state, task);
  } finally {
    sk.unlock(); // also when something is not modelled: the socket can still be closed
  }
  if (result >= 0 && msg !== null && sk.tcpOpts.inq) putInq(sk, task, msg);
  return result;
}

/** `tcp_inq_hint`: what is left to read, and 1 behind a FIN, so that the program goes on. */
function putInq(sk: TcpSock, task: Task, msg: MsgHdr): void {
  const left = sk.rcvNxt - sk.copiedSeq;
  const data = new Uint8Array(4);
  new DataView(data.buffer).setInt32(0, left === 0 && sk.done ? 1 : left, true);
  putCmsg(task, msg, SOL_TCP, TCP_CM_INQ, data);
}

function recvLocked(state: RecvState, task: Task): number {
  const { sk, flags, to } = state;
  if (sk.state === LISTEN) return -Errno.ENOTCONN;
  if ((flags & Msg.OOB) !== 0) return recvUrg(state, task);
  do {
    if (sk.urgData !== 0 && sk.urgSeq === state.seq) {
      if (state.copied > 0) break;
      if (task.signalPending) return dontWait(state) ? -Errno.EAGAIN : interruptedErrno(sk.opts.rcvtimeo);
    }
    const skb = bufferAt(state);
    if (skb !== null) {
      const err = take(state, task, skb);
      if (err < 0) return finish(state, state.copied > 0 ? state.copied : err);
      continue;
    }
    if (state.copied >= state.target && sk.backlog === null) break;
    const answer = nothing(state, task);
    if (answer !== NOTHING) return finish(state, answer);
    if (sk.backlog !== null) {
      sk.flushBacklog();
      continue;
    }
    tcpCleanupRbuf(sk, state.copied);
    if (sk.backlog !== null) {
      sk.flushBacklog();
      continue;
    }
    return sleepForData(state, task);
  } while (to.count > 0);
  return finish(state, state.copied);
}

function dontWait(state: RecvState): boolean {
  return (state.flags & Msg.DONTWAIT) !== 0 || state.sk.opts.rcvtimeo === 0;
}

/** The buffer with the next byte. */
function bufferAt(state: RecvState): SkBuff | null {
  let skb = state.sk.receiveQueue.first;
  while (skb !== null && state.seq >= skb.seq + skb.len) skb = skb.next;
  return skb;
}

/** There is nothing to copy. @returns the answer, or `NOTHING` to wait. */
function nothing(state: RecvState, task: Task): number {
  const { sk, copied } = state;
  const ended = (sk.shutdown & RCV_SHUTDOWN) !== 0;
  const impatient = dontWait(state) || (state.slept && task.timedOut);
  if (copied > 0) {
    const stop = impatient || sk.err !== 0 || sk.state === CLOSE || ended || task.signalPending;
    return stop ? copied : NOTHING;
  }
  if (sk.done) return 0;
  const err = sk.takeError();
  if (err < 0) return err;
  if (ended) return 0;
  if (sk.state === CLOSE) return -Errno.ENOTCONN;
  if (impatient) return -Errno.EAGAIN;
  return task.signalPending ? interruptedErrno(sk.opts.rcvtimeo) : NOTHING;
}

/** Copies from one buffer; the urgent byte ends what one call gives, and is skipped by the next. */
function take(state: RecvState, task: Task, skb: SkBuff): number {
  const { sk, to, flags } = state;
  let used = Math.min(skb.seq + skb.len - state.seq, to.count);
  if (sk.urgData !== 0) {
    const ahead = sk.urgSeq - state.seq;
    if (ahead > 0 && ahead < used) used = ahead;
    else if (ahead === 0 && used > 0 && !sk.opts.urginline) {
      state.advance(1);
      used -= 1;
    }
  }
  if (used > 0) {
    if ((flags & Msg.TRUNC) !== 0) to.advance(used);
    else {
      const done = to.slabTo(skb.slab, skb.offset + (state.seq - skb.seq), used);
      if (done < used) {
        to.revert(done);
        return task.process.mm.fault();
      }
    }
    state.advance(used);
    state.copied += used;
    movePeekOffset(state, used);
  }
  if (sk.urgData !== 0 && sk.copiedSeq > sk.urgSeq) sk.urgData = 0;
  if (!state.peeking && state.seq >= skb.seq + skb.len) {
    const more = skb.next?.joined === true && to.count > 0;
    sk.eat(skb);
    if (more) return 0;
  }
  if (used > 0) {
    tcpRcvSpaceAdjust(sk, !state.adjusted);
    state.adjusted = true;
  }
  return 0;
}

function movePeekOffset(state: RecvState, used: number): void {
  const { opts } = state.sk;
  if (opts.peekOff < 0) return;
  state.sk.ownOptions().peekOff = state.peeking ? opts.peekOff + used : Math.max(opts.peekOff - used, 0);
}

function finish(state: RecvState, result: number): number {
  tcpCleanupRbuf(state.sk, state.copied);
  return result;
}

/** `sk_wait_data`. */
function sleepForData(state: RecvState, task: Task): number {
  const { sk } = state;
  if (!state.slept) state.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
  state.slept = true;
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  return task.sleep(state, TaskState.INTERRUPTIBLE, state.deadlineNs);
}

/** `tcp_recv_urg`: never waits. */
function recvUrg(state: RecvState, task: Task): number {
  const { sk, to, msg } = state;
  if (sk.opts.urginline || sk.urgData === 0 || sk.urgData === Urg.READ) return -Errno.EINVAL;
  if (sk.state === CLOSE && !sk.done) return -Errno.ENOTCONN;
  if ((sk.urgData & Urg.VALID) === 0) {
    return sk.state === CLOSE || (sk.shutdown & RCV_SHUTDOWN) !== 0 ? 0 : -Errno.EAGAIN;
  }
  ONE_BYTE[0] = sk.urgData & 0xff;
  if (!state.peeking) sk.urgData = Urg.READ;
  if (msg !== null) msg.flags |= Msg.OOB;
  if (to.count === 0) {
    if (msg !== null) msg.flags |= Msg.TRUNC;
    return 0;
  }
  if ((state.flags & Msg.TRUNC) === 0 && to.copyTo(ONE_BYTE, 0, 1) < 1) return task.process.mm.fault();
  return 1;
}
