/**
 * Listening: connection requests, and the queue of what has been established.
 *
 * Counterpart: `net/ipv4/inet_connection_sock.c` (`inet_csk_listen_start`, `inet_csk_reqsk_queue_hash_add`),
 * `net/ipv4/tcp_input.c` (`tcp_conn_request`), `net/ipv4/tcp_minisocks.c` (`tcp_check_req`, `tcp_child_process`).
 * The queue is full when it holds more than the backlog; a SYN that finds it so is dropped without an answer (C-09).
 */

import { Hrtimer } from "../../time/hrtimer.ts";
import { Errno } from "../../uapi/errno.ts";
import { SkState } from "../sock.ts";
import type { InetAddr } from "./addr.ts";
import { TcpFlag, TcpSegment, tcpMss } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { SocketState } from "./tcp-states.ts";
import { tcpSelectInitialWindow, tcpStartWindow, tcpSynWindow } from "./tcp-window.ts";

const { SYN, ACK, RST } = TcpFlag;
/** `TCP_TIMEOUT_INIT`, `TCP_RTO_MAX`. */
const TIMEOUT_INIT_NS = 1e9;
const RTO_MAX_NS = 120e9;
/** What a listening socket has beside an ordinary one. */
export class ListenState {
  /** Established and not yet accepted, the oldest first. */
  readonly accepted: TcpSock[] = [];
  readonly requests: Set<TcpRequest> = new Set();
}

/**
 * `inet_listen`.
 *
 * @errno EINVAL - connected or connecting. EADDRINUSE - somebody else listens there.
 * @behaviour C-09, C-33
 */
export function inetListen(sk: TcpSock, backlog: number): number {
  if (sk.socketState !== SocketState.UNCONNECTED) return -Errno.EINVAL;
  if (sk.state !== SkState.CLOSE && sk.state !== SkState.LISTEN) return -Errno.EINVAL;
  sk.maxAckBacklog = backlog;
  if (sk.state === SkState.LISTEN) return 0;
  sk.state = SkState.LISTEN;
  if (!sk.getPort(sk.num)) {
    sk.state = SkState.CLOSE;
    return -Errno.EADDRINUSE;
  }
  sk.listenState = new ListenState();
  sk.net.tcp.hashListener(sk);
  return 0;
}

/** `sk_acceptq_is_full`. */
function acceptqIsFull(sk: TcpSock): boolean {
  return sk.listenState === null || sk.listenState.accepted.length > sk.maxAckBacklog;
}

/** `tcp_conn_request`: a SYN has come for a listening socket. */
export function tcpConnRequest(sk: TcpSock, segment: TcpSegment): void {
  if (acceptqIsFull(sk) || sk.listenState === null) return;
  const request = new TcpRequest(sk, segment);
  sk.listenState.requests.add(request);
  sk.net.tcp.hash(request);
  request.sendSynack();
}

/** `struct request_sock`: a connection whose handshake is not over. */
export class TcpRequest extends Hrtimer {
  readonly listener: TcpSock;
  readonly rcvSaddr: InetAddr;
  readonly num: number;
  readonly daddr: InetAddr;
  readonly dport: number;
  readonly rcvIsn: number;
  /** `snt_isn`: the sequence number of our SYN. */
  readonly sntIsn: number;
  /** When the first SYN-ACK was sent; -1 when there was a second. */
  #sentNs = -1;
  /** The last ACK of the handshake came, and was held back for want of data. */
  acked = false;
  #timeouts = 0;
  hashNext: unknown = null;

  constructor(listener: TcpSock, syn: TcpSegment) {
    super();
    this.listener = listener;
    this.rcvSaddr = syn.dst;
    this.num = syn.dport;
    this.daddr = syn.src;
    this.dport = syn.sport;
    this.rcvIsn = syn.seq;
    const { net } = listener;
    this.sntIsn = net.deviceFor(syn.src).lossy ? net.tcp.nextIsn() : 0;
    this.#sentNs = net.kernel.clock.nowNs;
  }

  /** `tcp_v4_send_synack`, and the timer for the next. */
  sendSynack(): void {
    const { listener, rcvSaddr, num, daddr, dport } = this;
    const { net } = listener;
    const { clock } = net.kernel;
    clock.start(this, clock.nowNs + Math.min(TIMEOUT_INIT_NS * 2 ** this.#timeouts, RTO_MAX_NS));
    const { window } = tcpSelectInitialWindow(listener, tcpMss(net.deviceFor(daddr), daddr));
    net
      .deviceFor(daddr)
      .xmit(
        new TcpSegment(
          rcvSaddr,
          num,
          daddr,
          dport,
          SYN | ACK,
          this.sntIsn,
          this.rcvIsn + 1,
          tcpSynWindow(window),
          0,
          null,
        ),
      );
  }

  /** `reqsk_timer_handler`, `syn_ack_recalc`. */
  override fire(): void {
    const { deferAccept } = this.listener.tcpOpts;
    const retries = this.listener.net.kernel.sysctl.get("net.ipv4.tcp_synack_retries");
    const expired = this.#timeouts >= (this.acked ? deferAccept : retries);
    if (expired) {
      this.drop();
      return;
    }
    const resend = !this.acked || this.#timeouts >= deferAccept - 1;
    this.#timeouts += 1;
    this.#sentNs = -1;
    if (resend) this.sendSynack();
    else {
      const { clock } = this.listener.net.kernel;
      clock.start(this, clock.nowNs + Math.min(TIMEOUT_INIT_NS * 2 ** this.#timeouts, RTO_MAX_NS));
    }
  }

  /** `inet_csk_reqsk_queue_drop`. */
  drop(): void {
    const { net } = this.listener;
    net.kernel.clock.cancel(this);
    net.tcp.unhash(this);
    this.listener.listenState?.requests.delete(this);
  }

  /**
   * `tcp_check_req`: the segment that should end the handshake.
   *
   * @returns the new socket, which has the segment still to process; null; or that the segment deserves a reset.
   * @behaviour C-41
   */
  check(segment: TcpSegment): TcpSock | null | "reset" {
    const { listener } = this;
    if (segment.has(RST)) {
      this.drop();
      return null;
    }
    if (segment.has(SYN)) {
      this.sendSynack();
      return null;
    }
    if (!segment.has(ACK)) return null;
    if (segment.ack !== this.sntIsn + 1) return "reset";
    if (acceptqIsFull(listener)) return null;
    if (this.#timeouts < listener.tcpOpts.deferAccept && segment.endSeq === this.rcvIsn + 1) {
      this.acked = true;
      return null;
    }
    this.drop();
    return this.#createChild(segment);
  }

  /** `tcp_v4_syn_recv_sock`, `tcp_create_openreq_child`. */
  #createChild(segment: TcpSegment): TcpSock {
    const { listener, rcvSaddr, num, daddr, dport } = this;
    const child = listener.child();
    child.rcvSaddr = rcvSaddr;
    child.num = num;
    child.sport = num;
    child.daddr = daddr;
    child.dport = dport;
    child.state = SkState.SYN_RECV;
    child.sndUna = this.sntIsn;
    child.sndNxt = this.sntIsn + 1;
    child.writeSeq = child.sndNxt;
    child.pushedSeq = child.writeSeq;
    child.rcvNxt = this.rcvIsn + 1;
    child.rcvWup = child.rcvNxt;
    child.copiedSeq = child.rcvNxt;
    child.sndWnd = segment.window;
    child.maxWindow = segment.window;
    const { tcp, kernel } = listener.net;
    child.takeRoute();
    tcpStartWindow(child, listener, true);
    child.retransmit?.handshake(this.#sentNs < 0 ? -1 : kernel.clock.nowNs - this.#sentNs);
    tcp.ports.add(num, child, false);
    tcp.hash(child);
    listener.listenState?.accepted.push(child);
    child.queuedBy = listener.net.kernel.actor;
    listener.noteEnqueued(1);
    return child;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sentNs, this.#timeouts];
  }
}
