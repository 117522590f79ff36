/**
 * The timer of a TCP socket: retransmission of a SYN, and an acknowledgment that waits for company.
 *
 * Counterpart: `net/ipv4/tcp_timer.c`.
 * Nothing is lost on a loopback wire but the SYN that meets a full accept queue (C-09): it is sent again after 1 s, five
 * times at that distance and then at doubling ones (`tcp_syn_linear_timeouts`, `tcp_syn_retries`), until the connection
 * times out.
 */

import { Hrtimer } from "../../time/hrtimer.ts";
import { Errno } from "../../uapi/errno.ts";
import { SkState } from "../sock.ts";
import { ATO_MIN_NS } from "./tcp-ack.ts";
import { tcpDoneWithError } from "./tcp-done.ts";
import { tcpSendAck, tcpSendSyn } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** `TCP_TIMEOUT_INIT`, `TCP_RTO_MAX`. */
const TIMEOUT_INIT_NS = 1e9;
const RTO_MAX_NS = 120e9;
/** `TCP_RTO_MIN`: what an acknowledgment waits at most. */
const RTO_NS = 200e6;
const SYN_RETRIES = 6;
const LINEAR_TIMEOUTS = 4;

export class TcpTimer extends Hrtimer {
  readonly #sk: TcpSock;
  #retransmits = 0;
  #rtoNs = TIMEOUT_INIT_NS;
  /** When an acknowledgment is due, -1 for never. The timer fires no later. */
  #delackNs = -1;

  constructor(sk: TcpSock) {
    super();
    this.#sk = sk;
  }

  /** Arms it for the SYN that was just sent. */
  startSyn(): void {
    const { clock } = this.#sk.net.kernel;
    clock.start(this, clock.nowNs + this.#rtoNs);
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

  /** `tcp_retransmit_timer`, `tcp_delack_timer`. */
  override fire(): void {
    const sk = this.#sk;
    const { clock } = sk.net.kernel;
    if (sk.state === SkState.SYN_SENT) this.#retransmitSyn(sk);
    else if (this.#delackNs > clock.nowNs) clock.start(this, this.#delackNs);
    else if (this.#delackNs >= 0 && sk.ack.pending) {
      this.#delackNs = -1;
      this.#delayedAck(sk);
    }
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
    const retries = (sk.tcpOpts.syncnt || SYN_RETRIES) + LINEAR_TIMEOUTS;
    if (this.#retransmits >= retries) {
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    tcpSendSyn(sk);
    this.#retransmits += 1;
    if (this.#retransmits > LINEAR_TIMEOUTS) this.#rtoNs = Math.min(this.#rtoNs * 2, RTO_MAX_NS);
    if (sk.state === SkState.SYN_SENT) this.startSyn();
  }
}
