/**
 * Sending: what leaves the write queue, and the segments that carry no data.
 *
 * Counterpart: `net/ipv4/tcp_output.c`.
 * The write queue keeps its bytes until they are acknowledged; what is sent is a copy.
 */
import { copySlab } from "../../mm/mm.ts";
import type { SkBuff } from "../skbuff.ts";
import { RCV_SHUTDOWN, SkState, SOCK_RCVBUF_LOCK } from "../sock.ts";
import { tcpAckAfterRead, tcpEventAckSent, tcpEventDataSent } from "./tcp-ack.ts";
import { TcpFlag, TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";

const { FIN, SYN, RST, PSH, ACK, URG } = TcpFlag;
const MSS_DEFAULT = 536;
/** `tcp_rmem[2]`. */
const RMEM_MAX = 33_554_432;

/** `tcp_current_mss`: no more than half of the largest window that the peer ever offered. */
export function tcpCurrentMss(sk: TcpSock): number {
  const { mss, maxWindow } = sk;
  if (maxWindow === 0) return mss;
  return Math.min(mss, Math.max(maxWindow > MSS_DEFAULT ? maxWindow >> 1 : maxWindow, 1));
}

/** `rcv_wscale`: windows are announced in units of 2 to this power, enough for the largest that the buffer may become. */
function windowScale(sk: TcpSock): number {
  const largest = (sk.opts.userlocks & SOCK_RCVBUF_LOCK) !== 0 ? sk.rcvbuf >> 1 : RMEM_MAX;
  return Math.min(Math.max(31 - Math.clz32(largest) - 15, 0), 14);
}

/**
 * `__tcp_select_window`: half of the free receive buffer in whole units, or nothing when that is too little to be worth
 * announcing.
 */
export function tcpSelectWindow(sk: TcpSock): number {
  const full = sk.rcvbuf >> 1;
  const free = Math.max(0, (sk.rcvbuf - sk.rmemAlloc) >> 1);
  if (free < full >> 4 || free < Math.min(sk.rcvMss, full)) return 0;
  const unit = 1 << windowScale(sk);
  return Math.min(Math.ceil(free / unit) * unit, full);
}

/** `tcp_select_window`: what the next segment announces. A window once announced is never taken back. */
function announceWindow(sk: TcpSock): number {
  sk.rcvWnd = Math.max(sk.receiveWindow, tcpSelectWindow(sk));
  sk.rcvWup = sk.rcvNxt;
  return sk.rcvWnd;
}

/** `tcp_select_initial_window`. */
export function tcpInitialWindow(sk: TcpSock): number {
  return sk.rcvbuf >> 1;
}

function transmit(sk: TcpSock, flags: number, seq: number, urg: number, skb: SkBuff | null): void {
  const window = announceWindow(sk);
  tcpEventAckSent(sk);
  if (skb !== null) tcpEventDataSent(sk);
  const { rcvSaddr, sport, daddr, dport, rcvNxt, net } = sk;
  net.deviceFor(daddr).xmit(new TcpSegment(rcvSaddr, sport, daddr, dport, flags, seq, rcvNxt, window, urg, skb));
}

/** `tcp_send_ack`. */
export function tcpSendAck(sk: TcpSock): void {
  if (sk.state === SkState.CLOSE) return;
  transmit(sk, ACK, sk.sndNxt, 0, null);
}

/** The first segment of `tcp_connect`. */
export function tcpSendSyn(sk: TcpSock): void {
  sk.rcvWnd = tcpInitialWindow(sk);
  const { rcvSaddr, sport, daddr, dport, net, rcvWnd } = sk;
  net.deviceFor(daddr).xmit(new TcpSegment(rcvSaddr, sport, daddr, dport, SYN, sk.sndUna, 0, rcvWnd, 0, null));
}

/** `tcp_send_synack`: the answer to a SYN that crossed our own. */
export function tcpSendSynack(sk: TcpSock): void {
  transmit(sk, SYN | ACK, sk.sndUna, 0, null);
}

/** `tcp_send_active_reset`. */
export function tcpSendActiveReset(sk: TcpSock): void {
  transmit(sk, RST | ACK, sk.sndNxt, 0, null);
}

/** `tcp_send_fin`: queues a FIN behind all that was written. */
export function tcpSendFin(sk: TcpSock): void {
  sk.finQueued = true;
  sk.writeSeq += 1;
  tcpPushPendingFrames(sk, Nagle.PUSH);
}

/** What becomes of a small segment at the end: as the options say, sent in any case, held in any case. */
export const Nagle = { OPTIONS: 0, PUSH: 1, CORK: 2 } as const;
export type Nagle = (typeof Nagle)[keyof typeof Nagle];

/** `tcp_push_pending_frames`. */
export function tcpPushPendingFrames(sk: TcpSock, nagle: Nagle): void {
  if (sk.sndNxt >= sk.writeSeq || sk.state === SkState.SYN_SENT || sk.state === SkState.CLOSE) return;
  writeXmit(sk, nagle);
  if (sk.retransmit !== null) sk.retransmit.checkProbe();
}

/** `tcp_write_xmit`. */
function writeXmit(sk: TcpSock, nagle: Nagle): void {
  const mss = tcpCurrentMss(sk);
  let skb = firstUnsent(sk);
  let released = nagle === Nagle.PUSH;
  for (;;) {
    const room = sk.sndUna + sk.sndWnd - sk.sndNxt;
    if (skb === null) {
      if (sk.finQueued && sk.sndNxt === sk.writeSeq - 1 && room > 0) sendFin(sk);
      break;
    }
    const unsent = skb.seq + skb.len - sk.sndNxt;
    let size = segmentSize(unsent, room, mss);
    if (size > mss && sk.retransmit !== null) size = mss; // what the device would do (`tcp_gso_segment`)
    if (size === 0) break;
    const last = skb.next === null && size === unsent;
    // pieces that Linux keeps in one buffer wait together, and go together
    const rest = sk.writeSeq - sk.sndNxt - (sk.finQueued ? 1 : 0);
    if (rest <= room && rest < mss && !released) {
      if (nagleHolds(sk, nagle)) break;
      released = true;
    }
    sendData(sk, skb, size, mss, last);
    if (sk.sndNxt >= skb.seq + skb.len) skb = skb.next;
  }
  if (sk.sndNxt >= sk.writeSeq) sk.tailLength = 0;
}

function firstUnsent(sk: TcpSock): SkBuff | null {
  let skb = sk.writeQueue.last;
  if (skb === null || skb.seq + skb.len <= sk.sndNxt) return null;
  while (skb.prev !== null && skb.prev.seq + skb.prev.len > sk.sndNxt) skb = skb.prev;
  return skb;
}

/** How much may go now: all of it if the window allows, else whole segments only (`tcp_mss_split_point`). */
function segmentSize(unsent: number, room: number, mss: number): number {
  if (unsent <= room) return unsent;
  return room <= 0 ? 0 : room - (room % mss);
}

/** `tcp_nagle_check`: a small segment waits while an earlier small one is unacknowledged, or while corked. */
function nagleHolds(sk: TcpSock, nagle: Nagle): boolean {
  const { tcpOpts } = sk;
  if (sk.finQueued || sk.sndUrg >= sk.sndUna) return false;
  if (tcpOpts.cork || nagle === Nagle.CORK) return true;
  return !tcpOpts.nodelay && sk.sndNxt > sk.sndUna && sk.sndSml > sk.sndUna && sk.sndSml <= sk.sndNxt;
}

/** `size` bytes of a buffer, from `seq` on. */
function copyOf(sk: TcpSock, skb: SkBuff, seq: number, size: number): SkBuff {
  const copy = sk.net.skbs.alloc(size);
  copySlab(copy.slab, copy.offset, skb.slab, skb.offset + (seq - skb.seq), size);
  return copy;
}

function sendData(sk: TcpSock, skb: SkBuff, size: number, mss: number, last: boolean): void {
  const { sndNxt, sndUrg } = sk;
  const copy = copyOf(sk, skb, sndNxt, size);
  let flags = ACK | (last ? PSH : 0);
  if (sndUrg >= sndNxt) flags |= URG;
  sk.sndNxt = sndNxt + size;
  if (size < mss) sk.sndSml = sk.sndNxt;
  transmit(sk, flags, sndNxt, sndUrg, copy);
  if (sk.retransmit !== null) sk.retransmit.sent(sndNxt);
}

function sendFin(sk: TcpSock): void {
  const seq = sk.sndNxt;
  sk.sndNxt = sk.writeSeq;
  transmit(sk, FIN | ACK, seq, 0, null);
  if (sk.retransmit !== null) sk.retransmit.sent(seq);
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
    transmit(sk, FIN | ACK, seq, 0, null);
    return seq + 1;
  }
  const size = Math.min(skb.seq + skb.len, sk.sndNxt, seq + tcpCurrentMss(sk)) - seq;
  transmit(sk, ACK | PSH | (sk.sndUrg >= seq ? URG : 0), seq, sk.sndUrg, copyOf(sk, skb, seq, size));
  return seq + size;
}

/** `tcp_xmit_probe_skb`: a sequence number that has been acknowledged, which has to be answered. */
export function tcpSendProbe(sk: TcpSock): void {
  transmit(sk, ACK, sk.sndUna - 1, 0, null);
}

/** `tcp_write_wakeup`: as much as the window lets pass, or a probe. */
export function tcpWriteWakeup(sk: TcpSock): void {
  const room = sk.sndUna + sk.sndWnd - sk.sndNxt;
  const skb = firstUnsent(sk);
  if (room <= 0) tcpSendProbe(sk);
  else if (skb === null) sendFin(sk);
  else {
    const unsent = skb.seq + skb.len - sk.sndNxt;
    const mss = tcpCurrentMss(sk);
    sendData(sk, skb, Math.min(unsent, room, mss), mss, true);
  }
}

/**
 * `tcp_cleanup_rbuf`: after reading, sends an acknowledgment that waited, or tells of a window that has at least doubled.
 *
 * @param copied - bytes that this call has read so far.
 */
export function tcpCleanupRbuf(sk: TcpSock, copied: number): void {
  if (sk.state === SkState.CLOSE) return;
  let now = tcpAckAfterRead(sk, copied);
  if (!now && copied > 0 && (sk.shutdown & RCV_SHUTDOWN) === 0) {
    const left = sk.receiveWindow;
    if (2 * left <= sk.rcvbuf >> 1) {
      const window = tcpSelectWindow(sk);
      now = window > 0 && window >= 2 * left;
    }
  }
  if (now) tcpSendAck(sk);
}
