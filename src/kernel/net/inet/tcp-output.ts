/**
 * Segments that carry no data, and how every segment leaves.
 *
 * Counterpart: `net/ipv4/tcp_output.c`. Data is sent by `tcp-write-xmit.ts`.
 */
import type { SkBuff } from "../skbuff.ts";
import { RCV_SHUTDOWN, SkState } from "../sock.ts";
import { tcpAckAfterRead, tcpEventAckSent, tcpEventDataSent } from "./tcp-ack.ts";
import { TcpFlag, TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { tcpAnnounceWindow, tcpSelectWindow, tcpStartWindow, tcpSynWindow } from "./tcp-window.ts";

const { FIN, SYN, RST, PSH, ACK } = TcpFlag;
/** `tcp_transmit_skb`: a segment with an acknowledgment and the present window. */
export function tcpTransmit(sk: TcpSock, flags: number, seq: number, urg: number, skb: SkBuff | null): void {
  const window = tcpAnnounceWindow(sk);
  tcpEventAckSent(sk);
  const { rcvSaddr, sport, daddr, dport, rcvNxt, net } = sk;
  const segment = new TcpSegment(rcvSaddr, sport, daddr, dport, flags, seq, rcvNxt, window, urg, skb);
  if (skb !== null) {
    tcpEventDataSent(sk);
    segment.sender = sk.retransmit === null ? sk : null;
  }
  net.deviceFor(daddr).xmit(segment);
}

/** `tcp_gso_segment`: what is too large for a device leaves in pieces, each a segment. @param pieces - the data, in order */
export function tcpTransmitPieces(
  sk: TcpSock,
  flags: number,
  seq: number,
  urg: number,
  pieces: readonly SkBuff[],
): void {
  const window = tcpAnnounceWindow(sk);
  tcpEventAckSent(sk);
  tcpEventDataSent(sk);
  const { rcvSaddr, sport, daddr, dport, rcvNxt, net } = sk;
  const last = pieces.at(-1);
  let at = seq;
  const segments = pieces.map((skb) => {
    const own = skb === last ? flags : flags & ~(PSH | FIN);
    const segment = new TcpSegment(rcvSaddr, sport, daddr, dport, own, at, rcvNxt, window, urg, skb);
    at += skb.len;
    segment.sender = sk;
    return segment;
  });
  net.loopback.xmitList(segments);
}

/** `tcp_send_ack`. */
export function tcpSendAck(sk: TcpSock): void {
  if (sk.state === SkState.CLOSE) return;
  tcpTransmit(sk, ACK, sk.sndNxt, 0, null);
}

/** The first segment of `tcp_connect`. */
export function tcpSendSyn(sk: TcpSock): void {
  tcpStartWindow(sk, sk, false);
  const { rcvSaddr, sport, daddr, dport, net, rcvWnd } = sk;
  net
    .deviceFor(daddr)
    .xmit(new TcpSegment(rcvSaddr, sport, daddr, dport, SYN, sk.sndUna, 0, tcpSynWindow(rcvWnd), 0, null));
}

/** `tcp_send_synack`: the answer to a SYN that crossed our own. */
export function tcpSendSynack(sk: TcpSock): void {
  tcpTransmit(sk, SYN | ACK, sk.sndUna, 0, null);
}

/** `tcp_send_active_reset`. */
export function tcpSendActiveReset(sk: TcpSock): void {
  tcpTransmit(sk, RST | ACK, sk.sndNxt, 0, null);
}

/** `tcp_xmit_probe_skb`: a sequence number that has been acknowledged, which has to be answered. */
export function tcpSendProbe(sk: TcpSock): void {
  tcpTransmit(sk, ACK, sk.sndUna - 1, 0, null);
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
    if (2 * left <= sk.windowClamp) {
      const window = tcpSelectWindow(sk);
      now = window > 0 && window >= 2 * left;
    }
  }
  if (now) tcpSendAck(sk);
}
