/**
 * Receiving: what a segment does to a socket.
 *
 * Counterpart: `net/ipv4/tcp_input.c`, `net/ipv4/tcp_ipv4.c` (`tcp_v4_do_rcv`).
 * The order of wakes is the kernel's: a FIN wakes with key 0 and then, as readable data, with RX4; a reset with key 0 and
 * then ERR; urgent data once for the byte and once for the queue.
 */
import { Band, sendSigurg } from "../../fs/fasync.ts";
import type { Net } from "../net.ts";
import { EMPTY_TRUESIZE, MAX_FRAGS, type SkBuff } from "../skbuff.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SkState } from "../sock.ts";
import { tcpAckNow, tcpEventDataRecv } from "./tcp-ack.ts";
import { tcpCwndGrow } from "./tcp-congestion.ts";
import { tcpCloseState, tcpDone, tcpReset, tcpTimeWait } from "./tcp-done.ts";
import { NO_CLONE } from "./tcp-fragment.ts";
import { tcpConnRequest } from "./tcp-listen.ts";
import { tcpSendAck, tcpSendSynack } from "./tcp-output.ts";
import { TcpFlag, TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { Urg } from "./tcp-states.ts";
import { TcpTimer } from "./tcp-timer.ts";
import { tcpInitBufferSpace, tcpSndbufExpand, tcpTryRmemSchedule } from "./tcp-window.ts";
import { tcpArrivedAlready, tcpPushPendingFrames, tcpUnsend } from "./tcp-write-xmit.ts";

const { FIN, SYN, RST, ACK, URG } = TcpFlag;
const {
  ESTABLISHED,
  SYN_SENT,
  SYN_RECV,
  FIN_WAIT1,
  FIN_WAIT2,
  TIME_WAIT,
  CLOSE,
  CLOSE_WAIT,
  LAST_ACK,
  LISTEN,
  CLOSING,
} = SkState;
/** `tcp_fin_timeout` and the longest that a `TimeWait` may take. */
const FIN_TIMEOUT_SEC = 60;

/** `tcp_v4_send_reset`: the answer to a segment that nobody wants. */
export function tcpSendReset(net: Net, segment: TcpSegment): void {
  if (segment.has(RST)) return;
  const { src, sport, dst, dport } = segment;
  const reply = segment.has(ACK)
    ? new TcpSegment(dst, dport, src, sport, RST, segment.ack, 0, 0, 0, null)
    : new TcpSegment(dst, dport, src, sport, RST | ACK, 0, segment.endSeq, 0, 0, null);
  net.deviceFor(src).xmit(reply);
}

/** `tcp_v4_do_rcv`: the socket is ours, or its owner is emptying the backlog. */
export function tcpDoRcv(sk: TcpSock, segment: TcpSegment): void {
  if (sk.state === ESTABLISHED) rcvEstablished(sk, segment);
  else if (!rcvStateProcess(sk, segment)) tcpSendReset(sk.net, segment);
  segment.drop(sk.net);
}

/** `tcp_rcv_established`. */
function rcvEstablished(sk: TcpSock, segment: TcpSegment): void {
  if (!validateIncoming(sk, segment)) return;
  ack(sk, segment);
  urg(sk, segment);
  dataQueue(sk, segment);
  if (sk.state === CLOSE) return;
  dataSndCheck(sk);
  ackSndCheck(sk);
}

/** `tcp_validate_incoming`: resets, stray SYNs, segments outside the window. @returns whether to go on. */
function validateIncoming(sk: TcpSock, segment: TcpSegment): boolean {
  if (segment.has(RST)) {
    if (segment.seq === sk.rcvNxt) tcpReset(sk);
    else if (segment.seq > sk.rcvNxt && segment.seq < sk.rcvNxt + sk.receiveWindow) tcpSendAck(sk);
    return false;
  }
  if (segment.endSeq < sk.rcvWup || segment.seq > sk.rcvNxt + sk.receiveWindow) {
    tcpSendAck(sk);
    return false;
  }
  if (segment.has(SYN) && sk.state !== SYN_RECV) {
    tcpSendAck(sk);
    return false;
  }
  return segment.has(ACK) || segment.has(SYN);
}

/** `tcp_ack`: what has been acknowledged leaves the write queue. @returns whether the acknowledgment is acceptable. */
function ack(sk: TcpSock, segment: TcpSegment): boolean {
  if (!segment.has(ACK)) return true;
  const { ack: upTo, window } = segment;
  const { sndUna: una, sndWnd: windowBefore } = sk;
  if (upTo > Math.max(sk.sndNxt, sk.sentSeq)) return false;
  if (upTo < una) return true;
  if (upTo > sk.sndNxt) tcpArrivedAlready(sk, upTo);
  sk.sndUna = upTo;
  sk.sndWnd = window;
  if (window > sk.maxWindow) sk.maxWindow = window;
  const { writeQueue } = sk;
  let acked = 0;
  for (let skb = writeQueue.first; skb !== null && skb.seq + skb.len <= upTo; skb = writeQueue.first) {
    if (skb === sk.sendHead) sk.sendHead = skb.next; // sent again, and had already
    acked += skb.segments;
    writeQueue.unlink(skb);
    sk.wmemQueuedBytes -= skb.truesize;
    sk.net.skbs.free(skb);
  }
  if (sk.lostSeq >= 0 && window > 0) tcpUnsend(sk);
  if (acked > 0 && sk.congestion !== null) tcpCwndGrow(sk, acked);
  if (sk.retransmit !== null) sk.retransmit.acked(una, windowBefore, segment);
  if (sk.zeroCopy !== null) sk.zeroCopy.acknowledged(upTo);
  return true;
}

/** `tcp_data_snd_check`. */
function dataSndCheck(sk: TcpSock): void {
  tcpPushPendingFrames(sk, 0);
  if (sk.nospace && sk.congestion !== null) tcpSndbufExpand(sk);
  sk.checkSpace();
}

/** `tcp_ack_snd_check`. Chance may turn it round: Linux decides by times that a machine's load moves. */
function ackSndCheck(sk: TcpSock): void {
  if (!sk.ack.pending) return;
  const asUsual = sk.net.kernel.chooser.choose("tcp.delack", 2) === 0;
  if (tcpAckNow(sk) === asUsual) {
    if (sk.owned) sk.ack.deferred = true;
    else tcpSendAck(sk);
    return;
  }
  sk.timer ??= new TcpTimer(sk);
  sk.timer.startDelack();
}

/** `tcp_urg`, `tcp_check_urg`. @behaviour C-30 */
function urg(sk: TcpSock, segment: TcpSegment): void {
  if (segment.has(URG)) checkUrg(sk, segment.urg);
  if (sk.urgData !== Urg.NOTYET || segment.skb === null) return;
  const at = sk.urgSeq - segment.seq;
  if (at < 0 || at >= segment.length) return;
  sk.urgData = Urg.VALID | (segment.skb.slab.bytes[segment.skb.offset + at] as number);
  if (!sk.dead) sk.dataReady();
}

function checkUrg(sk: TcpSock, pointer: number): void {
  if (sk.copiedSeq > pointer || pointer < sk.rcvNxt) return;
  if (sk.urgData !== 0 && pointer <= sk.urgSeq) return;
  if (sk.urgSeq === sk.copiedSeq && sk.urgData !== 0 && !sk.opts.urginline && sk.copiedSeq !== sk.rcvNxt) {
    sk.copiedSeq += 1; // an older urgent byte that nobody took is skipped
    const { first } = sk.receiveQueue;
    if (first !== null && sk.copiedSeq >= first.seq + first.len) {
      sk.eat(first);
    }
  }
  if (sk.file !== null) sendSigurg(sk.file);
  sk.urgData = Urg.NOTYET;
  sk.urgSeq = pointer;
}

/** `tcp_data_queue`. */
function dataQueue(sk: TcpSock, segment: TcpSegment): void {
  if (segment.endSeq === segment.seq) return;
  if (segment.seq !== sk.rcvNxt || (segment.skb !== null && sk.receiveWindow === 0)) {
    outOfLine(sk, segment);
    return;
  }
  inOrder(sk, segment);
  if (sk.outOfOrder !== null) closeGap(sk);
}

/** What is old, early, or more than the window takes: the peer has to know where we are. */
function outOfLine(sk: TcpSock, segment: TcpSegment): void {
  const fits = segment.skb === null || sk.receiveWindow > 0;
  if (fits && segment.seq < sk.rcvNxt && segment.endSeq > sk.rcvNxt) {
    inOrder(sk, segment);
    if (sk.outOfOrder !== null) closeGap(sk);
    return;
  }
  if (fits && segment.seq > sk.rcvNxt) keepEarly(sk, segment);
  tcpSendAck(sk);
}

/** `tcp_data_queue_ofo`: a segment behind a gap waits for it to close. */
function keepEarly(sk: TcpSock, segment: TcpSegment): void {
  sk.outOfOrder ??= [];
  const at = sk.outOfOrder.findIndex(({ endSeq }) => endSeq >= segment.endSeq);
  const other = sk.outOfOrder[at];
  if (other !== undefined && other.seq <= segment.seq) return; // there already
  const early = segment.split();
  sk.outOfOrder.splice(at < 0 ? sk.outOfOrder.length : at, 0, early);
}

/** `tcp_ofo_queue`: what waited for the gap to close, and an acknowledgment of it all at once. */
function closeGap(sk: TcpSock): void {
  for (let early = sk.outOfOrder?.[0]; early !== undefined && early.seq <= sk.rcvNxt; early = sk.outOfOrder?.[0]) {
    sk.outOfOrder?.shift();
    if (early.endSeq > sk.rcvNxt && !sk.done) inOrder(sk, early);
    early.drop(sk.net);
  }
  if (sk.outOfOrder?.length === 0) sk.outOfOrder = null;
  if (sk.state !== CLOSE) tcpSendAck(sk);
}

/** The next bytes, and perhaps some that are there already; a FIN behind them. */
function inOrder(sk: TcpSock, segment: TcpSegment): void {
  const { skb } = segment;
  if (skb !== null && skb.len > sk.rcvNxt - segment.seq) {
    if (!tcpTryRmemSchedule(sk, skb.len + EMPTY_TRUESIZE)) {
      noMemory(sk);
      if (sk.receiveQueue.first !== null) {
        if (segment.sender !== null && segment.sender.lostSeq < 0) segment.sender.lostSeq = segment.seq;
        return;
      }
    }
    segment.skb = null;
    queueRcv(sk, segment, skb);
    tcpEventDataRecv(sk, segment, skb);
  }
  if (segment.has(FIN)) {
    sk.rcvNxt += 1;
    fin(sk);
  }
  if (!sk.dead) sk.tcpDataReady();
}

/** The peer is told at once to stop, and the reader to read. */
function noMemory(sk: TcpSock): void {
  sk.ack.pending = true;
  sk.ack.now = true;
  sk.ack.nomem = true;
  if (!sk.dead) sk.dataReady();
}

/** `tcp_queue_rcv`. */
function queueRcv(sk: TcpSock, segment: TcpSegment, skb: SkBuff): void {
  const { last } = sk.receiveQueue;
  skb.seq = segment.seq;
  const end = skb.seq + skb.len;
  skb.truesize = skb.len;
  if (skb.mark !== NO_CLONE) skb.mark = end;
  if (last !== null && mayCoalesce(segment, last, skb)) {
    skb.joined = true;
    skb.mark = last.mark;
    skb.frags += last.frags;
  } else skb.truesize += EMPTY_TRUESIZE;
  skb.queuedBy = sk.net.kernel.actor;
  sk.receiveQueue.queueTail(skb);
  sk.rmemAlloc += skb.truesize;
  sk.noteEnqueued(end - sk.rcvNxt);
  sk.rcvNxt = end;
}

/**
 * `tcp_try_coalesce`: whether a buffer is merged into the last one, and costs only its bytes. Not into one whose bytes the sender
 * still holds, which is a clone.
 */
function mayCoalesce({ sender }: TcpSegment, last: SkBuff, skb: SkBuff): boolean {
  if (last.seq + last.len !== skb.seq || last.frags + skb.frags > MAX_FRAGS) return false;
  return sender === null || sender.sndUna >= last.mark;
}

/** `tcp_fin`. @behaviour C-19, C-44 */
function fin(sk: TcpSock): void {
  sk.ack.pending = true;
  sk.shutdown |= RCV_SHUTDOWN;
  sk.done = true;
  switch (sk.state) {
    case SYN_RECV:
    case ESTABLISHED:
      sk.state = CLOSE_WAIT;
      sk.ack.pingpong = true;
      break;
    case FIN_WAIT1:
      tcpSendAck(sk);
      sk.state = CLOSING;
      break;
    case FIN_WAIT2:
      tcpSendAck(sk);
      tcpTimeWait(sk, TIME_WAIT, Number.POSITIVE_INFINITY);
      break;
    default:
      break;
  }
  if (sk.dead) return;
  sk.stateChange();
  sk.wakeAsyncReader(sk.shutdown === SHUTDOWN_MASK || sk.state === CLOSE ? Band.HUP : Band.IN);
}

/** `tcp_rcv_synsent_state_process`. @returns whether the segment was in order; if not, it is answered with a reset. */
function rcvSynSent(sk: TcpSock, segment: TcpSegment): boolean {
  if (segment.has(ACK)) {
    if (segment.ack <= sk.sndUna || segment.ack > sk.sndNxt) return false;
    if (segment.has(RST)) {
      tcpReset(sk);
      return true;
    }
    if (!segment.has(SYN)) return true;
    ack(sk, segment);
    startReceiving(sk, segment);
    finishConnect(sk);
    sk.stateChange();
    sk.wakeAsyncAny(Band.OUT);
    tcpSendAck(sk);
    dataSndCheck(sk);
    return true;
  }
  if (segment.has(RST) || !segment.has(SYN)) return true;
  // The two SYNs have crossed: a connection to itself.
  sk.state = SYN_RECV;
  startReceiving(sk, segment);
  sk.sndWnd = segment.window;
  sk.maxWindow = segment.window;
  tcpSendSynack(sk);
  return true;
}

function startReceiving(sk: TcpSock, segment: TcpSegment): void {
  sk.rcvNxt = segment.seq + 1;
  sk.rcvWup = sk.rcvNxt;
  sk.copiedSeq = sk.rcvNxt;
}

/** `tcp_finish_connect`. */
function finishConnect(sk: TcpSock): void {
  const wasConnecting = sk.state === SYN_SENT;
  sk.state = ESTABLISHED;
  if (sk.timer !== null) {
    sk.net.kernel.clock.cancel(sk.timer);
    if (wasConnecting) sk.retransmit?.handshake(sk.timer.handshakeNs);
    sk.timer = null;
  }
  tcpInitBufferSpace(sk);
  if (sk.opts.keepalive) sk.keepaliveChanged();
}

/**
 * `tcp_rcv_state_process`: every state but ESTABLISHED and TIME_WAIT.
 *
 * @returns false if the segment deserves a reset.
 */
function rcvStateProcess(sk: TcpSock, segment: TcpSegment): boolean {
  switch (sk.state) {
    case CLOSE:
      return true;
    case LISTEN:
      if (segment.has(ACK)) return false;
      if (segment.has(SYN) && !segment.has(RST)) tcpConnRequest(sk, segment);
      return true;
    case SYN_SENT:
      return rcvSynSent(sk, segment);
    default:
      break;
  }
  if (!validateIncoming(sk, segment)) return true;
  if (!ack(sk, segment)) return sk.state !== SYN_RECV;
  if (!ackInState(sk, segment)) return true;
  urg(sk, segment);
  if (!receiving(sk, segment)) {
    tcpReset(sk);
    return false;
  }
  dataQueue(sk, segment);
  if ((sk.state as number) !== CLOSE) {
    dataSndCheck(sk);
    ackSndCheck(sk);
  }
  return true;
}

/** Step 5: what an acknowledgment does to the state. @returns false when the socket is done. */
function ackInState(sk: TcpSock, segment: TcpSegment): boolean {
  switch (sk.state) {
    case SYN_RECV:
      finishConnect(sk);
      sk.stateChange();
      sk.sndUna = segment.ack;
      sk.sndWnd = segment.window;
      if ((sk.shutdown & SEND_SHUTDOWN) !== 0) tcpCloseState(sk);
      return true;
    case FIN_WAIT1:
      return sk.sndUna === sk.writeSeq ? enterFinWait2(sk, segment) : true;
    case CLOSING:
      if (sk.sndUna !== sk.writeSeq) return true;
      tcpTimeWait(sk, TIME_WAIT, Number.POSITIVE_INFINITY);
      return false;
    case LAST_ACK:
      if (sk.sndUna !== sk.writeSeq) return true;
      tcpDone(sk);
      return false;
    default:
      return true;
  }
}

/** Our FIN is acknowledged. A socket that nobody has any more leaves the waiting to a `TimeWait`. */
function enterFinWait2(sk: TcpSock, segment: TcpSegment): boolean {
  sk.state = FIN_WAIT2;
  sk.shutdown |= SEND_SHUTDOWN;
  if (!sk.dead) {
    sk.stateChange();
    return true;
  }
  const { linger2 } = sk.tcpOpts;
  const carriesData = segment.length > 0;
  if (linger2 < 0 || carriesData) {
    tcpDone(sk);
    if (carriesData) tcpSendReset(sk.net, segment);
    return false;
  }
  if (segment.has(FIN)) return true;
  tcpTimeWait(sk, FIN_WAIT2, (linger2 || FIN_TIMEOUT_SEC) * 1e9);
  return false;
}

/** Step 7: data behind the peer's FIN is ignored; data for a side that is shut resets the connection. */
function receiving(sk: TcpSock, segment: TcpSegment): boolean {
  switch (sk.state) {
    case FIN_WAIT1:
    case FIN_WAIT2:
      return (sk.shutdown & RCV_SHUTDOWN) === 0 || segment.length === 0;
    default:
      return true;
  }
}
