/**
 * When a segment is acknowledged: at once, or later in the hope of something to send along.
 *
 * Counterpart: `net/ipv4/tcp_input.c` (`tcp_event_data_recv`, `tcp_measure_rcv_mss`, `__tcp_ack_snd_check`),
 * `net/ipv4/tcp_output.c` (`tcp_event_data_sent`, `tcp_event_ack_sent`).
 * A young connection acknowledges at once, as often as half of its window holds segments; one that has answered within
 * 40 ms of a segment is taken for interactive and waits. A FIN makes the receiver interactive, which is why the side that
 * sent it often stays in FIN_WAIT1 for 40 ms (C-44). Reading everything sends what waits.
 */
import { EMPTY_TRUESIZE, type SkBuff } from "../skbuff.ts";
import { TcpFlag, type TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { tcpGrowWindow, tcpMeasureRatio, tcpRcvRttMeasure, tcpSelectWindow } from "./tcp-window.ts";

/** `TCP_ATO_MIN` in ns. */
export const ATO_MIN_NS = 40e6;
const MAX_QUICKACKS = 16;
/** `TCP_TIMEOUT_MIN` scale: a pause longer than this starts quick acknowledgments again. */
const RTO_NS = 200e6;
const MSS_DEFAULT = 536;
const MSS_MIN = 88;
/** Bytes of a header with timestamps, and of one without options. */
const HEADER_BYTES = 32;
const PLAIN_HEADER_BYTES = 20;
const REMNANT = TcpFlag.FIN | TcpFlag.URG | TcpFlag.SYN | TcpFlag.PSH;

/** What the delayed-acknowledgment engine remembers: `icsk_ack`. */
export class AckState {
  /** An acknowledgment is owed. */
  pending = false;
  /** `ICSK_ACK_PUSHED`, `PUSHED2`: how many pushed segments it is owed for, as far as that matters. */
  pushed = 0;
  /** `ICSK_ACK_NOW`; `ICSK_ACK_NOMEM`: there was no memory for what came. */
  now = false;
  nomem = false;
  /** `TCP_ACK_DEFERRED`: it goes when the call lets go of the socket. */
  deferred = false;
  /** Quick acknowledgments left. */
  quick = 0;
  /** The connection is interactive. */
  pingpong = false;
  /** How long one waits, ns; 0 before the first data. */
  atoNs = 0;
  /** When the latest data came, ns. */
  lrcvNs = 0;
  lastSegment = 0;
}

/** `tcp_incr_quickack`. */
function moreQuickacks(sk: TcpSock): void {
  const { ack } = sk;
  const count = Math.trunc(sk.rcvWnd / (2 * sk.rcvMss)) || 2;
  ack.quick = Math.max(ack.quick, Math.min(count, MAX_QUICKACKS));
}

/** `tcp_measure_rcv_mss`: how large the peer's segments are, and whether it pushed. */
function measureRcvMss(sk: TcpSock, segment: TcpSegment, skb: SkBuff): void {
  const { ack } = sk;
  const length = skb.gsoSize || skb.len;
  const last = ack.lastSegment;
  ack.lastSegment = 0;
  if (length >= sk.rcvMss) {
    if (length > sk.rcvMss) tcpMeasureRatio(sk, skb.len, skb.len + EMPTY_TRUESIZE);
    sk.rcvMss = Math.min(length, sk.mss);
    if (segment.has(TcpFlag.PSH)) ack.pushed = Math.max(ack.pushed, 1);
    return;
  }
  const onWire = length + HEADER_BYTES;
  const full = onWire >= MSS_DEFAULT + PLAIN_HEADER_BYTES;
  if (full || (onWire >= MSS_MIN + PLAIN_HEADER_BYTES && (segment.flags & REMNANT) === 0)) {
    ack.lastSegment = length;
    if (length === last) {
      sk.rcvMss = length;
      return;
    }
  }
  ack.pushed = ack.pushed > 0 ? 2 : 1;
}

/** `tcp_event_data_recv`. */
export function tcpEventDataRecv(sk: TcpSock, segment: TcpSegment, skb: SkBuff): void {
  const { ack } = sk;
  const { nowNs } = sk.net.kernel.clock;
  ack.pending = true;
  measureRcvMss(sk, segment, skb);
  tcpRcvRttMeasure(sk, skb.len);
  const pause = nowNs - ack.lrcvNs;
  if (ack.atoNs === 0) {
    moreQuickacks(sk);
    ack.atoNs = ATO_MIN_NS;
  } else if (pause <= ATO_MIN_NS / 2) ack.atoNs = Math.floor(ack.atoNs / 2) + ATO_MIN_NS / 2;
  else if (pause < ack.atoNs) ack.atoNs = Math.min(Math.floor(ack.atoNs / 2) + pause, RTO_NS);
  else if (pause > RTO_NS) moreQuickacks(sk);
  ack.lrcvNs = nowNs;
  tcpGrowWindow(sk, skb.len);
}

/** `tcp_event_data_sent`: an answer that came soon makes the connection interactive. */
export function tcpEventDataSent(sk: TcpSock): void {
  const { ack } = sk;
  if (sk.net.kernel.clock.nowNs - ack.lrcvNs < ack.atoNs) ack.pingpong = true;
}

/** `tcp_event_ack_sent`: every segment but a SYN carries an acknowledgment. */
export function tcpEventAckSent(sk: TcpSock): void {
  const { ack } = sk;
  if (ack.pending && ack.quick > 0) {
    ack.quick -= 1;
    if (ack.quick === 0) ack.atoNs = ATO_MIN_NS;
  }
  ack.pending = false;
  ack.now = false;
  ack.nomem = false;
  ack.pushed = 0;
  sk.timer?.stopDelack();
}

/** `__tcp_ack_snd_check`. @returns whether it goes now */
export function tcpAckNow(sk: TcpSock): boolean {
  const { ack } = sk;
  const more = sk.rcvNxt - sk.rcvWup > sk.rcvMss;
  if (more && (sk.unread < sk.opts.rcvlowat || tcpSelectWindow(sk) >= sk.rcvWnd)) return true;
  return ack.now || (ack.quick > 0 && !ack.pingpong);
}

/** The condition of `tcp_cleanup_rbuf` for what waits. @param copied - bytes that the call has read. */
export function tcpAckAfterRead(sk: TcpSock, copied: number): boolean {
  const { ack } = sk;
  if (!ack.pending) return false;
  if (sk.rcvNxt - sk.rcvWup > sk.rcvMss) return true;
  if (copied <= 0 || sk.rmemAlloc > 0) return false;
  return ack.pushed === 2 || (ack.pushed === 1 && !ack.pingpong);
}
