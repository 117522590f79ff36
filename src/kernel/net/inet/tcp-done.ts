/**
 * How connections end, from whichever side.
 *
 * Counterpart: `net/ipv4/tcp.c` (`tcp_set_state`, `tcp_done`, `tcp_disconnect`), `net/ipv4/tcp_input.c` (`tcp_reset`),
 * `net/ipv4/inet_connection_sock.c` (`inet_csk_destroy_sock`, `inet_csk_listen_stop`).
 */
import { Errno } from "../../uapi/errno.ts";
import { SHUTDOWN_MASK, SkState } from "../sock.ts";
import { AckState } from "./tcp-ack.ts";
import { tcpSendActiveReset } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { TimeWait } from "./tcp-timewait.ts";
import { tcpSendFin } from "./tcp-write-xmit.ts";

const { ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING } = SkState;

/** `tcp_clear_xmit_timers`. */
function clearTimers(sk: TcpSock): void {
  const { clock } = sk.net.kernel;
  if (sk.timer !== null) clock.cancel(sk.timer);
  if (sk.retransmit !== null) clock.cancel(sk.retransmit);
  if (sk.keepalive !== null) clock.cancel(sk.keepalive);
}

/** `tcp_set_state`. A closed socket is found by nobody; its port is free again unless bind had taken it. */
export function tcpSetState(sk: TcpSock, state: number): void {
  if (state === CLOSE) {
    sk.net.tcp.unhash(sk);
    if (!sk.portLocked) sk.putPort();
  }
  sk.state = state;
}

/** `tcp_close_state`. @returns whether a FIN is to be sent. */
function closeState(sk: TcpSock): boolean {
  switch (sk.state) {
    case ESTABLISHED:
    case SYN_RECV:
      tcpSetState(sk, FIN_WAIT1);
      return true;
    case CLOSE_WAIT:
      tcpSetState(sk, LAST_ACK);
      return true;
    case FIN_WAIT1:
    case FIN_WAIT2:
    case LAST_ACK:
    case CLOSING:
      return false;
    default:
      tcpSetState(sk, CLOSE);
      return false;
  }
}

/** `tcp_close_state` with the FIN that it may ask for. */
export function tcpCloseState(sk: TcpSock): void {
  if (closeState(sk)) tcpSendFin(sk);
}

/** `tcp_write_queue_purge`. */
function purgeWriteQueue(sk: TcpSock): void {
  for (let skb = sk.writeQueue.dequeue(); skb !== null; skb = sk.writeQueue.dequeue()) {
    sk.wmemQueuedBytes -= skb.truesize;
    sk.net.skbs.free(skb);
  }
  sk.sendHead = null;
  sk.lostSeq = -1;
  sk.sentSeq = 0;
  if (sk.zeroCopy !== null) sk.zeroCopy.purged();
}

/** Throws unread bytes away, and what came too early. */
export function purgeReceiveQueue(sk: TcpSock): void {
  for (const segment of sk.outOfOrder ?? []) segment.drop(sk.net);
  sk.outOfOrder = null;
  for (let skb = sk.receiveQueue.dequeue(); skb !== null; skb = sk.receiveQueue.dequeue()) {
    sk.rmemAlloc -= skb.truesize;
    sk.net.skbs.free(skb);
  }
}

/** `inet_csk_destroy_sock`: nobody has the socket any more and nothing is left to be done on the wire. */
export function tcpDestroySock(sk: TcpSock): void {
  clearTimers(sk);
  purgeWriteQueue(sk);
  purgeReceiveQueue(sk);
  sk.net.tcp.unhash(sk);
  sk.putPort();
}

/** `tcp_done`. */
export function tcpDone(sk: TcpSock): void {
  tcpSetState(sk, CLOSE);
  clearTimers(sk);
  sk.shutdown = SHUTDOWN_MASK;
  if (sk.dead) tcpDestroySock(sk);
  else sk.stateChange();
}

/** `tcp_done_with_error`: the state first, then the error, each with its wake (C-26). */
export function tcpDoneWithError(sk: TcpSock, err: number): void {
  sk.err = err;
  purgeWriteQueue(sk);
  tcpDone(sk);
  if (!sk.dead) sk.errorReport();
}

/** `tcp_reset`: what the peer's reset means here. @behaviour C-06, C-22, C-23 */
export function tcpReset(sk: TcpSock): void {
  switch (sk.state) {
    case SYN_SENT:
      tcpDoneWithError(sk, Errno.ECONNREFUSED);
      break;
    case CLOSE_WAIT:
      tcpDoneWithError(sk, Errno.EPIPE);
      break;
    case CLOSE:
      break;
    default:
      tcpDoneWithError(sk, Errno.ECONNRESET);
  }
}

/** `tcp_time_wait`: the socket is done, a `TimeWait` goes on for it. */
export function tcpTimeWait(sk: TcpSock, substate: number, timeoutNs: number): void {
  const timeWait = new TimeWait(sk, substate);
  sk.net.tcp.unhash(sk);
  timeWait.begin(timeoutNs);
  tcpDone(sk);
}

/** `tcp_need_reset`. */
function needsReset(state: number): boolean {
  return (
    state === ESTABLISHED || state === CLOSE_WAIT || state === FIN_WAIT1 || state === FIN_WAIT2 || state === SYN_RECV
  );
}

/**
 * `tcp_disconnect`: the socket is as good as new, but for an error that it may report once.
 *
 * @behaviour C-08, C-15, C-24, C-45
 */
export function tcpDisconnect(sk: TcpSock): void {
  const { state } = sk;
  if (state !== CLOSE) tcpSetState(sk, CLOSE);
  if (state === LISTEN) {
    tcpListenStop(sk);
  } else if (needsReset(state) || (sk.sndNxt !== sk.writeSeq && (state === CLOSING || state === LAST_ACK))) {
    tcpSendActiveReset(sk);
    sk.err = Errno.ECONNRESET;
  } else if (state === SYN_SENT) {
    sk.err = Errno.ECONNRESET;
  }
  clearTimers(sk);
  sk.retransmit = null;
  purgeReceiveQueue(sk);
  purgeWriteQueue(sk);
  sk.copiedSeq = sk.rcvNxt;
  sk.urgData = 0;
  sk.sndUrg = -1;
  if (sk.opts.peekOff !== -1) sk.ownOptions().peekOff = -1;
  sk.dport = 0;
  if (!sk.addrLocked) sk.rcvSaddr = sk.net.addrs.any(sk.family);
  sk.shutdown = 0;
  sk.done = false;
  sk.finQueued = false;
  Object.assign(sk.ack, new AckState());
  sk.congestion = null;
  sk.space = null;
  sk.windowClamp = 0;
  // what was acknowledged and sent stays as it was until the next connect, and SIOCOUTQ shows the gap
  sk.writeSeq += sk.maxWindow + 2;
  sk.disconnects += 1;
  sk.errorReport();
}

/**
 * `inet_csk_listen_stop`: connections that nobody accepted are reset.
 *
 * @behaviour C-14
 */
export function tcpListenStop(sk: TcpSock): void {
  const { listenState } = sk;
  if (listenState === null) return;
  sk.listenState = null;
  for (const request of listenState.requests) request.drop();
  for (const child of listenState.accepted) {
    tcpDisconnect(child);
    child.dead = true;
    tcpDestroySock(child);
  }
}
