/**
 * The congestion window of a connection that stays on the machine.
 *
 * Counterpart: `net/ipv4/tcp_cong.c` (`tcp_slow_start`, `tcp_is_cwnd_limited`), `net/ipv4/tcp_output.c` (`tcp_cwnd_validate`).
 * Nothing is lost there, so it is always in slow start: it grows by what is acknowledged, as long as it is made use of. (Linux
 * may end that earlier, when acknowledgments come slowly.) Most connections never have more than a few segments under way; they
 * have no object of their own. Wires have none either: see `tcp-retransmit.ts`.
 */
import type { TcpSock } from "./tcp-sock.ts";

/** `TCP_INIT_CWND`. */
const INIT_CWND = 10;

export class TcpCongestion {
  cwnd: number = INIT_CWND;
  /** Most segments that were under way in the present window. */
  maxPacketsOut = 0;
  /** The window was used up since. */
  limited = false;
  /** `cwnd_usage_seq`: until this sequence number that holds. */
  usageSeq = 0;
}

/** `packets_out`: segments with data that are not acknowledged. */
export function tcpPacketsOut(sk: TcpSock): number {
  let count = 0;
  for (let skb = sk.writeQueue.first; skb !== null && skb !== sk.sendHead; skb = skb.next) count += skb.segments;
  return count;
}

/** `tcp_cwnd_test`: how many segments may go now. */
export function tcpCwndQuota(sk: TcpSock, packetsOut: number): number {
  const cwnd = sk.congestion === null ? INIT_CWND : sk.congestion.cwnd;
  return packetsOut >= cwnd ? 0 : Math.min(Math.max(cwnd >> 1, 1), cwnd - packetsOut);
}

/** `tcp_cwnd_validate`, after sending. */
export function tcpCwndValidate(sk: TcpSock, packetsOut: number): void {
  if (sk.congestion === null) {
    if (packetsOut * 2 <= INIT_CWND) return;
    sk.congestion = new TcpCongestion();
  }
  const { congestion } = sk;
  const limited = packetsOut >= congestion.cwnd;
  if (sk.sndUna < congestion.usageSeq && !limited && (congestion.limited || packetsOut <= congestion.maxPacketsOut)) {
    return;
  }
  congestion.limited = limited;
  congestion.maxPacketsOut = packetsOut;
  congestion.usageSeq = sk.sndNxt;
}

/** `tcp_slow_start`: so many segments have been acknowledged. */
export function tcpCwndGrow(sk: TcpSock, acked: number): void {
  const { congestion } = sk;
  if (congestion === null) return;
  if (congestion.limited || congestion.cwnd < 2 * congestion.maxPacketsOut) congestion.cwnd += acked;
}
