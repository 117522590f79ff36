/**
 * What is left of a connection when its socket is gone.
 *
 * Counterpart: `net/ipv4/tcp_minisocks.c` (`tcp_time_wait`, `tcp_timewait_state_process`),
 * `net/ipv4/inet_timewait_sock.c`.
 * It answers the peer, keeps the port for a minute, and stands in for a closed socket that still waits for the peer's
 * FIN (sub-state FIN_WAIT2).
 */
import { Hrtimer } from "../../time/hrtimer.ts";
import type { Net } from "../net.ts";
import { SkState } from "../sock.ts";
import type { InetAddr } from "./addr.ts";
import type { PortOwner } from "./inet-sock.ts";
import { TcpFlag, TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** `TCP_TIMEWAIT_LEN`. */
const TIMEWAIT_NS = 60e9;
const { RST, SYN, FIN, ACK } = TcpFlag;

export class TimeWait extends Hrtimer implements PortOwner {
  readonly net: Net;
  readonly family: number;
  readonly uid: number;
  readonly state: number = SkState.TIME_WAIT;
  substate: number;
  readonly rcvSaddr: InetAddr;
  readonly num: number;
  readonly daddr: InetAddr;
  readonly dport: number;
  readonly v6only: boolean;
  readonly reuse: boolean;
  readonly reuseport: boolean;
  readonly sndNxt: number;
  rcvNxt: number;
  readonly rcvWnd: number;
  hashNext: unknown = null;

  /** @param substate - FIN_WAIT2 or TIME_WAIT. */
  constructor(sk: TcpSock, substate: number) {
    super();
    this.net = sk.net;
    this.family = sk.family;
    this.uid = sk.uid;
    this.substate = substate;
    this.rcvSaddr = sk.rcvSaddr;
    this.num = sk.num;
    this.daddr = sk.daddr;
    this.dport = sk.dport;
    this.v6only = sk.v6only;
    this.reuse = sk.reuse;
    this.reuseport = sk.reuseport;
    this.sndNxt = sk.sndNxt;
    this.rcvNxt = sk.rcvNxt;
    this.rcvWnd = sk.receiveWindow;
  }

  /** `inet_twsk_hashdance` and the timer. @param timeoutNs - how long it waits, at most a minute. */
  begin(timeoutNs: number): void {
    const { tcp, kernel } = this.net;
    tcp.ports.add(this.num, this, false);
    tcp.hash(this);
    kernel.clock.start(this, kernel.clock.nowNs + Math.min(timeoutNs, TIMEWAIT_NS));
  }

  /** `inet_twsk_deschedule_put`. */
  kill(): void {
    const { tcp, kernel } = this.net;
    kernel.clock.cancel(this);
    tcp.unhash(this);
    tcp.ports.remove(this.num, this);
  }

  override fire(): void {
    this.kill();
  }

  #sendAck(): void {
    const { net, rcvSaddr, num, daddr, dport, sndNxt, rcvNxt, rcvWnd } = this;
    net.deviceFor(daddr).xmit(new TcpSegment(rcvSaddr, num, daddr, dport, ACK, sndNxt, rcvNxt, rcvWnd, 0, null));
  }

  /**
   * `tcp_timewait_state_process`.
   *
   * @returns what the caller has to do: nothing more, answer with a reset, or treat it as a SYN for a new connection.
   */
  process(segment: TcpSegment): "done" | "reset" | "syn" {
    return this.substate === SkState.FIN_WAIT2 ? this.#finWait2(segment) : this.#timeWait(segment);
  }

  #finWait2(segment: TcpSegment): "done" | "reset" {
    if (segment.has(RST)) {
      this.kill();
      return "done";
    }
    if (segment.has(SYN) && segment.seq >= this.rcvNxt) return "reset";
    if (!segment.has(ACK) || segment.endSeq <= this.rcvNxt || segment.endSeq === segment.seq) return "done";
    if (!segment.has(FIN) || segment.endSeq !== this.rcvNxt + 1) {
      this.kill(); // data for a socket that nobody can read any more
      return "reset";
    }
    this.substate = SkState.TIME_WAIT;
    this.rcvNxt = segment.endSeq;
    const { clock } = this.net.kernel;
    clock.start(this, clock.nowNs + TIMEWAIT_NS);
    this.#sendAck();
    return "done";
  }

  #timeWait(segment: TcpSegment): "done" | "syn" {
    if (segment.has(RST)) {
      if (segment.seq === this.rcvNxt) this.kill();
      return "done";
    }
    if (segment.has(SYN) && !segment.has(ACK)) {
      this.kill();
      return "syn";
    }
    if (segment.seq !== this.rcvNxt || segment.endSeq !== segment.seq) this.#sendAck();
    return "done";
  }
}
