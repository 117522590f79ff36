/**
 * Sending what has been written.
 *
 * Counterpart: `net/ipv4/tcp_output.c` (`tcp_write_xmit`, `tcp_grow_skb`, `tso_fragment`, `tcp_mss_split_point`,
 * `tcp_tso_should_defer`, `tcp_nagle_test`).
 * The write queue keeps its bytes until they are acknowledged; what is sent is a copy. `sendHead` is the first buffer that has not
 * been sent; none is ever sent in part, for it is split first. A FIN is a sequence number behind the last buffer and goes with it.
 */
import { copySlab } from "../../mm/mm.ts";
import { EMPTY_TRUESIZE, MAX_FRAGS, type SkBuff } from "../skbuff.ts";
import { SkState } from "../sock.ts";
import { tcpCwndQuota, tcpCwndValidate, tcpPacketsOut } from "./tcp-congestion.ts";
import { NO_CLONE, piecesIn, piecesWith, shiftPieces, splitPieces } from "./tcp-fragment.ts";
import { tcpSendProbe, tcpTransmit, tcpTransmitPieces } from "./tcp-output.ts";
import { TcpFlag } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";

const { FIN, PSH, ACK, URG } = TcpFlag;
const MSS_DEFAULT = 536;
/** `sk_gso_max_size` of `lo`: most bytes of one buffer. */
const GSO_MAX_BYTES = 65_279;
/** `gso_max_size` of `lo`, and the headers that count in it. */
const FRAME_MAX = 65_536;
const FRAME_HEADERS = 66;
/** `tcp_min_tso_segs`, `tcp_tso_win_divisor`. */
const MIN_TSO_SEGMENTS = 2;
const WIN_DIVISOR = 3;

/** What becomes of a small segment at the end: bits of `nonagle`. */
export const Nagle = { OFF: 1, CORK: 2, PUSH: 4 } as const;

/** `tcp_bound_to_half_wnd`. */
function boundToHalfWindow(sk: TcpSock, bytes: number): number {
  const { maxWindow } = sk;
  if (maxWindow === 0) return bytes;
  return Math.min(bytes, Math.max(maxWindow > MSS_DEFAULT ? maxWindow >> 1 : maxWindow, 1));
}

/** `tcp_current_mss`: no more than half of the largest window that the peer ever offered. */
export function tcpCurrentMss(sk: TcpSock): number {
  return boundToHalfWindow(sk, sk.mss);
}

/** `tcp_xmit_size_goal`: how large a buffer of the write queue may grow. */
export function tcpSizeGoal(sk: TcpSock, mss: number): number {
  const most = boundToHalfWindow(sk, GSO_MAX_BYTES);
  return Math.max(most - (most % mss), mss);
}

/** `tp->nonagle`. */
function nonagleOf(sk: TcpSock): number {
  const { nodelay, cork } = sk.tcpOpts;
  return (nodelay ? Nagle.OFF : 0) | (cork ? Nagle.CORK : 0);
}

/** `tcp_push_pending_frames`. @param more - bits beyond those that the options set */
export function tcpPushPendingFrames(sk: TcpSock, more: number): void {
  tcpPush(sk, tcpCurrentMss(sk), nonagleOf(sk) | more);
}

/** `__tcp_push_pending_frames`. */
export function tcpPush(sk: TcpSock, mss: number, nonagle: number): void {
  if (sk.sndNxt >= sk.writeSeq || sk.state === SkState.SYN_SENT || sk.state === SkState.CLOSE) return;
  writeXmit(sk, mss, nonagle, false);
  if (sk.retransmit !== null) sk.retransmit.checkProbe();
  else sk.checkProbe();
}

/** `tcp_push_one`. */
export function tcpPushOne(sk: TcpSock, mss: number): void {
  writeXmit(sk, mss, Nagle.PUSH, true);
}

/** `tcp_push` at the end of a write. @param cork - more is said to follow */
export function tcpPushWritten(sk: TcpSock, mss: number, cork: boolean): void {
  tcpPush(sk, mss, nonagleOf(sk) | (cork ? Nagle.CORK : 0));
}

/** `tcp_send_fin`: queues a FIN behind all that was written. */
export function tcpSendFin(sk: TcpSock): void {
  sk.finQueued = true;
  sk.writeSeq += 1;
  tcpPush(sk, tcpCurrentMss(sk), Nagle.OFF);
}

/** `tcp_wnd_end`. */
function windowEnd(sk: TcpSock): number {
  return sk.sndUna + sk.sndWnd;
}

/** Where a buffer ends, with the FIN behind it. */
function endOf(sk: TcpSock, skb: SkBuff): number {
  return skb.seq + skb.len + (skb.next === null && sk.finQueued ? 1 : 0);
}

/** `tcp_write_xmit`. */
function writeXmit(sk: TcpSock, mss: number, nonagle: number, one: boolean): void {
  const onWire = sk.retransmit !== null;
  const most = Math.max(Math.trunc(GSO_MAX_BYTES / mss), MIN_TSO_SEGMENTS);
  let packetsOut = onWire ? 0 : tcpPacketsOut(sk);
  let sent = false;
  for (let skb = sk.sendHead; skb !== null; skb = sk.sendHead) {
    const quota = onWire ? most : Math.min(tcpCwndQuota(sk, packetsOut), most);
    if (quota === 0) break;
    if (quota * mss > skb.len) skb = grow(sk, skb, quota * mss - skb.len);
    if (!maySend(sk, skb, mss, quota, nonagle, one, packetsOut)) break;
    sendData(sk, skb, mss);
    packetsOut += skb.segments;
    sent = true;
    if (one) break;
  }
  if (sk.sendHead === null && sk.finQueued && sk.sndNxt === sk.writeSeq - 1 && windowEnd(sk) >= sk.writeSeq)
    sendFin(sk);
  if (!onWire && (sent || packetsOut > 0)) tcpCwndValidate(sk, packetsOut);
}

/** `tcp_snd_wnd_test`, `tcp_nagle_test`, `tcp_tso_should_defer`; what may not go is split off. */
function maySend(
  sk: TcpSock,
  skb: SkBuff,
  mss: number,
  quota: number,
  nonagle: number,
  one: boolean,
  packetsOut: number,
): boolean {
  const single = skb.len <= mss;
  if ((single ? endOf(sk, skb) : skb.seq + mss) > windowEnd(sk)) return false;
  if (single) return skb.next !== null || nagleLetsGo(sk, skb.len < mss, nonagle);
  if (!one && shouldDefer(sk, skb, mss, packetsOut)) return false;
  const limit = urgent(sk) ? mss : splitPoint(sk, skb, mss, quota, nonagle);
  if (skb.len > limit) split(sk, skb, limit);
  return true;
}

/** `tcp_urg_mode`. */
function urgent(sk: TcpSock): boolean {
  return sk.sndUrg >= sk.sndUna;
}

/** `tcp_nagle_test`, which a FIN and urgent data pass. */
function nagleLetsGo(sk: TcpSock, partial: boolean, nonagle: number): boolean {
  return (nonagle & Nagle.PUSH) !== 0 || sk.finQueued || urgent(sk) || !nagleHolds(sk, partial, nonagle);
}

/** `tcp_nagle_check`: a small segment waits while an earlier small one is unacknowledged, or while corked. */
function nagleHolds(sk: TcpSock, partial: boolean, nonagle: number): boolean {
  if (!partial) return false;
  if ((nonagle & Nagle.CORK) !== 0) return true;
  return nonagle === 0 && sk.sndNxt > sk.sndUna && sk.sndSml > sk.sndUna && sk.sndSml <= sk.sndNxt;
}

/**
 * `tcp_tso_should_defer`: with little window left, several segments wait for the acknowledgment of what was sent a moment ago,
 * which is to say since this call, or this acknowledgment, got hold of the socket.
 */
function shouldDefer(sk: TcpSock, skb: SkBuff, mss: number, packetsOut: number): boolean {
  if (sk.retransmit !== null) return false;
  const { sndWnd, burstSeq } = sk;
  const cwnd = sk.congestion === null ? 10 : sk.congestion.cwnd;
  const sendWindow = windowEnd(sk) - skb.seq;
  const congestionWindow = (cwnd - packetsOut) * mss;
  const limit = Math.min(sendWindow, congestionWindow);
  if (limit >= Math.max(Math.trunc(GSO_MAX_BYTES / mss), MIN_TSO_SEGMENTS) * mss) return false;
  if (skb.next !== null && limit >= skb.len) return false;
  if (limit >= Math.trunc(Math.min(sndWnd, cwnd * mss) / WIN_DIVISOR)) return false;
  if (sk.sndUna >= sk.sndNxt || sk.sndUna < burstSeq) return false;
  return limit <= skb.len || !sk.finQueued;
}

/** `tcp_mss_split_point`: how much of a buffer may go. */
function splitPoint(sk: TcpSock, skb: SkBuff, mss: number, quota: number, nonagle: number): number {
  const window = windowEnd(sk) - skb.seq;
  const most = mss * quota;
  if (most <= window && skb.next !== null) return most;
  const needed = Math.min(skb.len, window);
  if (most <= needed) return most;
  const partial = needed % mss;
  return nagleHolds(sk, partial !== 0, nonagle) ? needed - partial : needed;
}

/** `tcp_grow_skb`: what follows joins the buffer. @returns the buffer, which may have needed larger storage */
function grow(sk: TcpSock, skb: SkBuff, amount: number): SkBuff {
  const { next } = skb;
  if (next === null || skb.eor) return skb;
  const moved = Math.min(amount, next.len);
  if (piecesWith(skb, next, moved) > MAX_FRAGS) return skb;
  const larger = tcpReserve(sk, skb, moved);
  copySlab(larger.slab, larger.offset + larger.consumed + larger.len, next.slab, next.offset + next.consumed, moved);
  larger.len += moved;
  larger.truesize += moved;
  shiftPieces(larger, next, moved);
  next.len -= moved;
  next.truesize -= moved;
  next.seq += moved;
  next.consumed += moved;
  if (next.len > 0) return larger;
  larger.push ||= next.push;
  larger.eor = next.eor;
  sk.wmemQueuedBytes -= next.truesize;
  sk.writeQueue.unlink(next);
  sk.net.skbs.free(next);
  return larger;
}

/** Room for `more` bytes behind those of an unsent buffer. @returns it, or one that has taken its place */
export function tcpReserve(sk: TcpSock, skb: SkBuff, more: number): SkBuff {
  const { skbs } = sk.net;
  if (skb.consumed + skb.len + more <= skb.capacity) return skb;
  const larger = skbs.alloc(Math.max(skb.len + more, 2 * skb.len));
  copySlab(larger.slab, larger.offset, skb.slab, skb.offset + skb.consumed, skb.len);
  larger.len = skb.len;
  larger.seq = skb.seq;
  larger.truesize = skb.truesize;
  larger.frags = skb.frags;
  larger.start = skb.start;
  larger.mark = skb.mark;
  larger.push = skb.push;
  larger.eor = skb.eor;
  sk.writeQueue.queueAfter(skb, larger);
  sk.writeQueue.unlink(skb);
  if (sk.sendHead === skb) sk.sendHead = larger;
  skbs.free(skb);
  return larger;
}

/** `tso_fragment`: what is beyond `limit` becomes a buffer of its own. */
function split(sk: TcpSock, skb: SkBuff, limit: number): void {
  const length = skb.len - limit;
  const rest = sk.net.skbs.alloc(length);
  copySlab(rest.slab, rest.offset, skb.slab, skb.offset + skb.consumed + limit, length);
  rest.seq = skb.seq + limit;
  rest.truesize = EMPTY_TRUESIZE + length;
  splitPieces(skb, rest, limit);
  rest.push = skb.push;
  rest.eor = skb.eor;
  skb.push = false;
  skb.eor = false;
  skb.len = limit;
  skb.truesize -= length;
  sk.wmemQueuedBytes += EMPTY_TRUESIZE;
  sk.writeQueue.queueAfter(skb, rest);
}

/** `tcp_event_new_data_sent`, `tcp_minshall_update`. */
function sendData(sk: TcpSock, skb: SkBuff, mss: number): void {
  const { seq, len } = skb;
  const end = endOf(sk, skb);
  skb.gsoSize = len > mss ? mss : 0;
  const segments = skb.segments;
  sk.sendHead = skb.next;
  if (sk.retransmit === null) {
    sk.sndNxt = end;
    if (len < segments * mss) sk.sndSml = end;
    if (len + FRAME_HEADERS >= FRAME_MAX && skb.gsoSize > 0) emitPieces(sk, skb, mss, end);
    else emit(sk, skb, seq, len, end);
    return;
  }
  // what the device would make of it (`tcp_gso_segment`)
  for (let from = 0; from < len; from += mss) {
    const size = Math.min(mss, len - from);
    sk.sndNxt = from + size === len ? end : seq + from + size;
    if (size < mss) sk.sndSml = sk.sndNxt;
    emit(sk, skb, seq + from, size, sk.sndNxt);
    sk.retransmit.sent(seq + from);
  }
}

/** What the loopback device does not take whole. */
function emitPieces(sk: TcpSock, skb: SkBuff, mss: number, end: number): void {
  const { seq, len } = skb;
  const pieces: SkBuff[] = [];
  for (let from = 0; from < len; from += mss) {
    const size = Math.min(mss, len - from);
    const piece = copyOf(sk, skb, seq + from, size);
    piece.frags = piecesIn(skb, from, size);
    piece.mark = NO_CLONE;
    pieces.push(piece);
  }
  tcpTransmitPieces(sk, flagsOf(sk, skb, seq, len, end), seq, sk.sndUrg, pieces);
}

function flagsOf(sk: TcpSock, skb: SkBuff, seq: number, size: number, end: number): number {
  const last = seq + size === skb.seq + skb.len;
  return ACK | (last && skb.push ? PSH : 0) | (sk.sndUrg >= seq ? URG : 0) | (end > seq + size ? FIN : 0);
}

function emit(sk: TcpSock, skb: SkBuff, seq: number, size: number, end: number): void {
  tcpTransmit(sk, flagsOf(sk, skb, seq, size, end), seq, sk.sndUrg, copyOf(sk, skb, seq, size));
}

function sendFin(sk: TcpSock): void {
  const seq = sk.sndNxt;
  sk.sndNxt = sk.writeSeq;
  tcpTransmit(sk, FIN | ACK, seq, 0, null);
  if (sk.retransmit !== null) sk.retransmit.sent(seq);
}

/** `size` bytes of a buffer, from `seq` on. */
function copyOf(sk: TcpSock, skb: SkBuff, seq: number, size: number): SkBuff {
  const copy = sk.net.skbs.alloc(size);
  copySlab(copy.slab, copy.offset, skb.slab, skb.offset + skb.consumed + (seq - skb.seq), size);
  copy.frags = skb.frags;
  copy.mark = 0;
  copy.gsoSize = size === skb.len ? skb.gsoSize : 0;
  return copy;
}

/** The buffer of the write queue with that byte; null for a FIN. */
function bufferAt(sk: TcpSock, seq: number): SkBuff | null {
  let skb = sk.writeQueue.first;
  while (skb !== null && seq >= skb.seq + skb.len) skb = skb.next;
  return skb;
}

/** `__tcp_retransmit_skb`: what was sent from `seq` on, once more. @returns where the segment ends */
export function tcpRetransmitAt(sk: TcpSock, seq: number): number {
  const skb = bufferAt(sk, seq);
  if (skb === null) {
    tcpTransmit(sk, FIN | ACK, seq, 0, null);
    return seq + 1;
  }
  const size = Math.min(skb.seq + skb.len, sk.sndNxt, seq + tcpCurrentMss(sk)) - seq;
  tcpTransmit(sk, ACK | PSH | (sk.sndUrg >= seq ? URG : 0), seq, sk.sndUrg, copyOf(sk, skb, seq, size));
  return seq + size;
}

/** `tcp_write_wakeup`: as much as the window lets pass, or a probe. */
export function tcpWriteWakeup(sk: TcpSock): void {
  const room = windowEnd(sk) - sk.sndNxt;
  const skb = sk.sendHead;
  if (room <= 0) tcpSendProbe(sk);
  else if (skb === null) sendFin(sk);
  else {
    const mss = tcpCurrentMss(sk);
    const size = Math.min(room, mss);
    if (skb.len > size) split(sk, skb, size);
    skb.push = true;
    sendData(sk, skb, mss);
  }
}

/**
 * There is a window again after the peer has thrown segments away: they are sent once more. (Linux finds out by a timer, or by what
 * it sends next.)
 */
export function tcpUnsend(sk: TcpSock): void {
  const { lostSeq, sendHead } = sk;
  sk.lostSeq = -1;
  let skb = sendHead;
  for (let at = sk.writeQueue.last; at !== null && at.seq + at.len > lostSeq; at = at.prev) skb = at;
  if (skb === null || skb === sendHead) return;
  sk.sendHead = skb;
  sk.sentSeq = Math.max(sk.sentSeq, sk.sndNxt);
  sk.sndNxt = skb.seq;
}

/** Behind the gap the peer had kept what `tcpUnsend` took back: with the gap closed, that is acknowledged too. */
export function tcpArrivedAlready(sk: TcpSock, upTo: number): void {
  for (let skb = sk.sendHead; skb !== null && skb.seq < upTo; skb = sk.sendHead) {
    if (skb.seq + skb.len > upTo) split(sk, skb, upTo - skb.seq);
    sk.sendHead = skb.next;
  }
  sk.sndNxt = upTo;
}
