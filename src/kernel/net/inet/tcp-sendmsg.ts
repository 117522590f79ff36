/**
 * Writing to a TCP socket.
 *
 * Counterpart: `net/ipv4/tcp.c` (`tcp_sendmsg_locked`), `net/core/stream.c` (`sk_stream_wait_memory`,
 * `sk_stream_wait_connect`, `sk_stream_error`).
 * Room is asked for only when a new buffer has to be opened: what fits into the last one is taken without a question,
 * which is why writes succeed for a while after OUT is gone (C-03).
 */

import { Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import { BLOCKED, type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Msg } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { EMPTY_TRUESIZE, MAX_FRAGS, type SkBuff } from "../skbuff.ts";
import { interruptedErrno, SEND_SHUTDOWN, SkState, SockCall } from "../sock.ts";
import { fragmentPlace, fragmentRoom } from "./tcp-fragment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import {
  Nagle,
  tcpCurrentMss,
  tcpPush,
  tcpPushOne,
  tcpPushWritten,
  tcpReserve,
  tcpSizeGoal,
} from "./tcp-write-xmit.ts";
import { ZeroCopy, type ZeroCopyLot } from "./tcp-zerocopy.ts";

const { ESTABLISHED, CLOSE_WAIT, SYN_SENT, SYN_RECV } = SkState;
const MSG_FASTOPEN = 0x2000_0000;
/** After so many new buffers the backlog is processed. */
const FLUSH_EVERY = 16;

/**
 * `tcp_sendmsg`.
 *
 * @errno EPIPE - not connected, or shut, with SIGPIPE unless MSG_NOSIGNAL. EAGAIN - no room, or still connecting. EFAULT
 * - the buffer. Any pending error, once.
 * @behaviour C-03, C-22, C-23, C-30, C-32, C-33
 */
export function tcpSendmsg(sk: TcpSock, task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
  if (msg !== null && msg.control.length > 0) throw new Unmodelled("control data on a TCP socket");
  if ((flags & MSG_FASTOPEN) !== 0) throw new Unmodelled("MSG_FASTOPEN");
  return section(sk, task, from, flags, msg, null);
}

function section(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
): number {
  sk.lock();
  try {
    return (flags & Msg.ZEROCOPY) === 0
      ? sendLocked(sk, task, from, flags, msg, waiting, null)
      : sendZeroCopy(sk, task, from, flags, msg, waiting);
  } finally {
    sk.unlock(); // also when something is not modelled: the socket can still be closed
  }
}

function sendZeroCopy(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
): number {
  let lot: ZeroCopyLot | null = null;
  if (waiting !== null) {
    lot = waiting.lot;
  } else if (sk.opts.zerocopy && from.count > 0) {
    sk.zeroCopy ??= new ZeroCopy(sk);
    lot = sk.zeroCopy.begin(from.count);
  }
  const result = sendLocked(sk, task, from, flags, msg, waiting, lot);
  if (lot === null || sk.zeroCopy === null) return result;
  if (result !== BLOCKED) sk.zeroCopy.end(lot, result <= 0);
  else if (task.call instanceof TcpSend) task.call.lot = lot;
  return result;
}

function sendLocked(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
  lot: ZeroCopyLot | null,
): number {
  let copied = waiting === null ? 0 : waiting.copied;
  let opened = 0;
  if (sk.state !== ESTABLISHED && sk.state !== CLOSE_WAIT) {
    const err = notConnected(sk, task, from, flags, msg, waiting);
    if (err !== 0) return err === BLOCKED ? BLOCKED : sendError(sk, task, flags, copied, err);
  }
  let mss = tcpCurrentMss(sk);
  let goal = sizeGoal(sk, mss, flags);
  do {
    if (sk.err !== 0 || (sk.shutdown & SEND_SHUTDOWN) !== 0) {
      return sendError(sk, task, flags, copied, -Errno.EPIPE);
    }
    if (from.count === 0) break;
    const tail = sk.sendHead === null ? null : sk.writeQueue.last;
    const fresh = tail === null || !takesMore(sk, task, tail, goal, lot);
    if (fresh) {
      if (!sk.memoryFree(0)) {
        const err = waitMemory(sk, task, from, flags, msg, waiting, copied, mss);
        if (err !== 0) return err === BLOCKED ? BLOCKED : sendError(sk, task, flags, copied, err);
        mss = tcpCurrentMss(sk);
        goal = sizeGoal(sk, mss, flags);
        continue;
      }
      if (opened >= FLUSH_EVERY) {
        opened = 0;
        if (sk.backlog !== null) {
          sk.flushBacklog();
          mss = tcpCurrentMss(sk);
          goal = sizeGoal(sk, mss, flags);
          continue;
        }
      }
      opened += 1;
    }
    const size = Math.min(fresh ? goal : goal - tail.len, from.count, fragmentRoom(task));
    const err = append(sk, task, from, size, fresh ? null : tail, goal);
    if (err < 0) return sendError(sk, task, flags, copied, err);
    const skb = sk.writeQueue.last as SkBuff;
    if (copied === 0) skb.push = false;
    if (from.count === 0 && (flags & Msg.EOR) !== 0) skb.eor = true;
    if (sk.zeroCopy !== null) sk.zeroCopy.appended(lot, size, fresh);
    copied += size;
    if (from.count === 0 || skb.len < goal || (flags & Msg.OOB) !== 0) continue;
    if (forcedPush(sk)) {
      markPush(sk);
      tcpPush(sk, mss, Nagle.PUSH);
    } else if (sk.sendHead === skb) tcpPushOne(sk, mss);
  } while (from.count > 0);
  push(sk, flags, copied, mss);
  return copied;
}

/** The `size_goal` of `tcp_send_mss`: urgent data goes in segments of its own. */
function sizeGoal(sk: TcpSock, mss: number, flags: number): number {
  return (flags & Msg.OOB) !== 0 ? mss : tcpSizeGoal(sk, mss);
}

/** Whether the last unsent buffer takes more, in the fragment that is at hand or in one more. */
function takesMore(sk: TcpSock, task: Task, tail: SkBuff, goal: number, lot: ZeroCopyLot | null): boolean {
  if (tail.eor || tail.len >= goal || (lot !== null && sk.zeroCopy !== null && !sk.zeroCopy.fits(lot))) return false;
  fragmentRoom(task);
  if (tail.frags < MAX_FRAGS || tail.mark === fragmentPlace(task)) return true;
  markPush(sk);
  return false;
}

/** `forced_push`: half of what the peer's window ever held has been written since the last one. */
function forcedPush(sk: TcpSock): boolean {
  return sk.writeSeq > sk.pushedSeq + (sk.maxWindow >> 1);
}

/** `tcp_mark_push`. */
function markPush(sk: TcpSock): void {
  const { last } = sk.writeQueue;
  if (sk.sendHead !== null && last !== null) last.push = true;
  sk.pushedSeq = sk.writeSeq;
}

/**
 * One fragment behind all others.
 *
 * @param tail - the buffer that takes it; null for a new one.
 */
function append(sk: TcpSock, task: Task, from: IovIter, size: number, tail: SkBuff | null, goal: number): number {
  const { skbs } = sk.net;
  const skb =
    tail === null
      ? skbs.alloc(Math.min(goal, from.count))
      : tcpReserve(sk, tail, Math.min(goal - tail.len, from.count));
  const before = tail === null ? 0 : skb.len;
  const copied = from.slabFrom(skb.slab, skb.offset + skb.consumed + before, size);
  if (copied < size) {
    if (tail === null) skbs.free(skb);
    from.revert(copied);
    return task.process.mm.fault();
  }
  if (tail === null) {
    skb.seq = sk.writeSeq;
    skb.truesize = EMPTY_TRUESIZE;
    skb.start = fragmentPlace(task);
    sk.writeQueue.queueTail(skb);
    sk.sendHead ??= skb;
    sk.wmemQueuedBytes += EMPTY_TRUESIZE;
  } else if (skb.mark !== fragmentPlace(task)) skb.frags += 1;
  skb.len = before + size;
  skb.truesize += size;
  task.fragment += size;
  skb.mark = fragmentPlace(task);
  sk.wmemQueuedBytes += size;
  sk.writeSeq += size;
  return 0;
}

/** `tcp_push`. */
function push(sk: TcpSock, flags: number, copied: number, mss: number): void {
  if (copied === 0 || sk.sendHead === null) return;
  const more = (flags & Msg.MORE) !== 0;
  if (!more || forcedPush(sk)) markPush(sk);
  if ((flags & Msg.OOB) !== 0) sk.sndUrg = sk.writeSeq - 1;
  tcpPushWritten(sk, mss, more);
}

/** Before a write waits for room: nothing is held back. */
function pushAll(sk: TcpSock, flags: number, mss: number): void {
  if (sk.sendHead === null) return;
  markPush(sk);
  if ((flags & Msg.OOB) !== 0) sk.sndUrg = sk.writeSeq - 1;
  tcpPush(sk, mss, Nagle.PUSH);
}

/** `do_error`: what was taken counts; else `sk_stream_error`. */
function sendError(sk: TcpSock, task: Task, flags: number, copied: number, error: number): number {
  if (copied > 0) {
    push(sk, flags, copied, tcpCurrentMss(sk));
    return copied;
  }
  let err = error;
  if (err === -Errno.EPIPE) err = sk.takeError() || -Errno.EPIPE;
  if (err === -Errno.EPIPE && (flags & Msg.NOSIGNAL) === 0) task.kernel.sigpipe(task);
  if (err === -Errno.EAGAIN && sk.writeQueue.first === null && sk.state !== SYN_SENT) sk.writeSpace();
  return err;
}

/** `sk_stream_wait_connect`. @returns 0 to go on, `BLOCKED`, or a negative errno. */
function notConnected(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
): number {
  for (;;) {
    const err = sk.takeError();
    if (err < 0) return err;
    if (sk.state === ESTABLISHED || sk.state === CLOSE_WAIT) return 0;
    if (sk.state !== SYN_SENT && sk.state !== SYN_RECV) return -Errno.EPIPE;
    if (sk.backlog === null) break;
    sk.flushBacklog();
  }
  return sleepForSend(sk, task, from, flags, msg, waiting, 0);
}

/** `sk_stream_wait_memory`. @returns 0 when there is room now, `BLOCKED`, or a negative errno. */
function waitMemory(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
  copied: number,
  mss: number,
): number {
  sk.nospace = true;
  if (copied > 0) pushAll(sk, flags, mss);
  if ((flags & Msg.DONTWAIT) === 0 && sk.opts.sndtimeo !== 0 && sk.backlog !== null) {
    sk.flushBacklog();
    if (sk.memoryFree(0)) return 0;
  }
  if (sk.err !== 0 || (sk.shutdown & SEND_SHUTDOWN) !== 0) return -Errno.EPIPE;
  return sleepForSend(sk, task, from, flags, msg, waiting, copied);
}

function sleepForSend(
  sk: TcpSock,
  task: Task,
  from: IovIter,
  flags: number,
  msg: MsgHdr | null,
  waiting: TcpSend | null,
  copied: number,
): number {
  if ((flags & Msg.DONTWAIT) !== 0 || sk.opts.sndtimeo === 0) return -Errno.EAGAIN;
  if (waiting !== null && task.timedOut) return -Errno.EAGAIN;
  if (task.signalPending) return interruptedErrno(sk.opts.sndtimeo);
  const call = waiting ?? new TcpSend(sk, from, flags, msg);
  call.copied = copied;
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

class TcpSend extends SockCall {
  readonly #sk: TcpSock;
  readonly #from: IovIter;
  readonly #flags: number;
  readonly #msg: MsgHdr | null;
  copied = 0;
  /** For MSG_ZEROCOPY. */
  lot: ZeroCopyLot | null = null;

  constructor(sk: TcpSock, from: IovIter, flags: number, msg: MsgHdr | null) {
    super();
    this.#sk = sk;
    this.#from = from;
    this.#flags = flags;
    this.#msg = msg;
    this.deadlineNs = sk.deadline(sk.opts.sndtimeo);
  }

  protected override section(task: Task): number {
    task.finishWait();
    return section(this.#sk, task, this.#from, this.#flags, this.#msg, this);
  }

  protected override finish(task: Task, result: number): number {
    return this.#msg === null ? result : this.#msg.finish(task, result);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#from, this.#flags, this.#msg];
  }
}
