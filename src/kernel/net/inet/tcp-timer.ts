/**
 * The timer of a TCP socket: retransmission of a SYN, an acknowledgment that waits for company, and what has been written but does
 * not fit into the window, or is corked.
 *
 * Counterpart: `net/ipv4/tcp_timer.c`.
 * A SYN that is lost, or meets a full accept queue (C-09), is sent again after 1 s, five times at that distance and then at
 * doubling ones (`tcp_syn_linear_timeouts`), until the connection times out: after so many retries, or as long as `tcp_syn_retries`
 * doubling time-outs would have taken, or as TCP_USER_TIMEOUT says. Everything else that a wire
 * may lose is the business of `tcp-retransmit.ts`.
 */

import { Hrtimer } from "../../time/hrtimer.ts";
import { Errno } from "../../uapi/errno.ts";
import { SkState } from "../sock.ts";
import { ATO_MIN_NS } from "./tcp-ack.ts";
import { tcpDoneWithError } from "./tcp-done.ts";
import { tcpSendAck, tcpSendSyn, tcpSendSynack } from "./tcp-output.ts";
import { modelTimeout } from "./tcp-retransmit.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { tcpWriteWakeup } from "./tcp-write-xmit.ts";

/** `TCP_TIMEOUT_INIT`, `TCP_RTO_MAX`. */
const TIMEOUT_INIT_NS = 1e9;
const RTO_MAX_NS = 120e9;
/** `TCP_RTO_MIN`: what an acknowledgment waits at most. */
const RTO_NS = 200e6;

export class TcpTimer extends Hrtimer {
  readonly #sk: TcpSock;
  #retransmits = 0;
  #rtoNs = TIMEOUT_INIT_NS;
  #synNs = 0;
  /** When an acknowledgment is due, -1 for never. The timer fires no later. */
  #delackNs = -1;
  /** When a window probe is due, -1 for never, and how many there were (`icsk_backoff`). */
  #probeNs = -1;
  #backoff = 0;

  constructor(sk: TcpSock) {
    super();
    this.#sk = sk;
  }

  /** Arms it for the first SYN of a connection, which is about to be sent. */
  startSyn(): void {
    this.#retransmits = 0;
    this.#rtoNs = TIMEOUT_INIT_NS;
    const { clock } = this.#sk.net.kernel;
    this.#synNs = clock.nowNs;
    clock.start(this, clock.nowNs + this.#rtoNs);
  }

  /** How long the handshake took, ns; -1 when the SYN was sent more than once. */
  get handshakeNs(): number {
    return this.#retransmits > 0 ? -1 : this.#sk.net.kernel.clock.nowNs - this.#synNs;
  }

  /**
   * `tcp_send_delayed_ack`. The time is only noted while the timer is armed: taking it in and out of the heap for every
   * segment would cost more than the segment.
   */
  startDelack(): void {
    const { clock } = this.#sk.net.kernel;
    if (this.#delackNs >= 0) return;
    this.#delackNs = clock.nowNs + (this.#sk.ack.atoNs || ATO_MIN_NS);
    if (!this.armed || this.expiresNs > this.#delackNs) clock.start(this, this.#delackNs);
  }

  /** The acknowledgment went along with something, or is not owed any more. */
  stopDelack(): void {
    this.#delackNs = -1;
  }

  /** Arms it for a window probe (`tcp_probe0_when`), unless one is due already. */
  startProbe(): void {
    if (this.#probeNs >= 0) return;
    const { clock } = this.#sk.net.kernel;
    this.#probeNs = clock.nowNs + this.#probeWaitNs;
    if (!this.armed || this.expiresNs > this.#probeNs) clock.start(this, this.#probeNs);
  }

  get #probeWaitNs(): number {
    return Math.min(RTO_NS * 2 ** this.#backoff, RTO_MAX_NS);
  }

  /** `tcp_retransmit_timer`, `tcp_delack_timer`, `tcp_probe_timer`. */
  override fire(): void {
    const sk = this.#sk;
    const { clock } = sk.net.kernel;
    if (handshaking(sk)) this.#retransmitSyn(sk);
    else {
      if (this.#delackNs >= 0 && this.#delackNs <= clock.nowNs) {
        this.#delackNs = -1;
        if (sk.ack.pending) this.#delayedAck(sk);
      }
      if (this.#probeNs >= 0 && this.#probeNs <= clock.nowNs) {
        this.#probeNs = -1;
        this.#probe0(sk);
      }
      const next =
        this.#probeNs < 0 || (this.#delackNs >= 0 && this.#delackNs < this.#probeNs) ? this.#delackNs : this.#probeNs;
      if (next >= 0 && sk.timer === this) clock.start(this, next);
    }
    // A connection that is quiet needs none: most of a million are.
    if (!this.armed && sk.timer === this) sk.timer = null;
  }

  /** `tcp_probe_timer`: an orphan is given up once `icsk_backoff` has stretched its pause to TCP_RTO_MAX, 120 s. */
  #probe0(sk: TcpSock): void {
    if (sk.sndUna < sk.sndNxt || sk.sndNxt === sk.writeSeq || sk.state === SkState.CLOSE) {
      this.#backoff = 0;
      return;
    }
    if (sk.dead && RTO_NS * 2 ** this.#backoff >= RTO_MAX_NS) {
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    const { sndNxt } = sk;
    this.#backoff += 1;
    tcpWriteWakeup(sk);
    if (sk.sndNxt > sndNxt) this.#backoff = 0; // its acknowledgment is a sample of the round trip
    if (sk.timer === this) sk.checkProbe();
  }

  #delayedAck(sk: TcpSock): void {
    const { ack } = sk;
    if (ack.pingpong) {
      ack.pingpong = false;
      ack.atoNs = ATO_MIN_NS;
    } else ack.atoNs = Math.min(ack.atoNs * 2, RTO_NS);
    tcpSendAck(sk);
  }

  #retransmitSyn(sk: TcpSock): void {
    const { sysctl, clock } = sk.net.kernel;
    const { syncnt, userTimeout } = sk.tcpOpts;
    const linear = sysctl.get("net.ipv4.tcp_syn_linear_timeouts");
    const retries = syncnt || sysctl.get("net.ipv4.tcp_syn_retries");
    const patienceNs = userTimeout > 0 ? userTimeout * 1e6 : modelTimeout(retries, TIMEOUT_INIT_NS);
    const late = this.#retransmits > 0 && clock.nowNs - this.#synNs >= patienceNs;
    if (late || this.#retransmits >= retries + linear) {
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    if (sk.state === SkState.SYN_SENT) tcpSendSyn(sk);
    else tcpSendSynack(sk);
    this.#retransmits += 1;
    if (this.#retransmits > linear) this.#rtoNs = Math.min(this.#rtoNs * 2, RTO_MAX_NS);
    if (!handshaking(sk)) return;
    const leftNs = userTimeout > 0 ? Math.max(patienceNs - (clock.nowNs - this.#synNs), 1e6) : this.#rtoNs;
    clock.start(this, clock.nowNs + Math.min(this.#rtoNs, leftNs));
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#retransmits, this.#rtoNs, this.#synNs, this.#delackNs, this.#probeNs, this.#backoff];
  }
}

/** The SYN is not answered; or two have crossed, and ours is not acknowledged. */
function handshaking({ state }: TcpSock): boolean {
  return state === SkState.SYN_SENT || state === SkState.SYN_RECV;
}
