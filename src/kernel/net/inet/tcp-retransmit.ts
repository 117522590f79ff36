/**
 * What a connection does when the wire may lose segments: measures round trips, sends again, probes a closed window.
 *
 * Counterpart: `net/ipv4/tcp_timer.c` (`tcp_retransmit_timer`, `tcp_write_timeout`, `tcp_probe_timer`), `net/ipv4/tcp_input.c`
 * (`tcp_rtt_estimator`, `tcp_fastretrans_alert`), `net/ipv4/tcp_output.c` (`tcp_schedule_loss_probe`,
 * `tcp_retransmit_skb`).
 * Only connections that leave the machine have one: nothing is lost on loopback. One timer serves three purposes, as
 * `icsk_pending` says: the loss probe, the retransmission, the window probe. It is not moved for every acknowledgment: it
 * fires where it was set, and goes on to where it ought to be.
 * Linux is free in when it sends again, and so is the model: there are no selective acknowledgments and no congestion window, what
 * may be sent is up to the receiver's window. The times of retransmissions and the end of patience are the kernel's.
 */
import { Hrtimer } from "../../time/hrtimer.ts";
import { Errno } from "../../uapi/errno.ts";
import { JIFFY_NS, SkState } from "../sock.ts";
import { tcpDoneWithError } from "./tcp-done.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { tcpRetransmitAt, tcpWriteWakeup } from "./tcp-write-xmit.ts";

/** `TCP_TIMEOUT_INIT`, `TCP_RTO_MIN`, `TCP_RTO_MAX`. */
const TIMEOUT_INIT_NS = 1e9;
const RTO_MIN_NS = 200e6;
const RTO_MAX_NS = 120e9;
/** `TCP_TIMEOUT_MIN`. */
const TIMEOUT_MIN_NS = 8e6;
/** What `tcp_orphan_retries` 0 stands for. */
const ORPHAN_RETRIES = 8;
/** Duplicate acknowledgments that stand for a loss. */
const REORDERING = 3;

/** What the timer is armed for: `ICSK_TIME_*`. */
const Pending = { NONE: 0, LOSS_PROBE: 1, RETRANSMIT: 2, PROBE0: 3 } as const;
type Pending = (typeof Pending)[keyof typeof Pending];

/** `tcp_model_timeout`: how long so many time-outs take that begin with `baseNs` and double. */
export function modelTimeout(boundary: number, baseNs: number): number {
  const doublings = Math.floor(Math.log2(RTO_MAX_NS / baseNs));
  if (boundary <= doublings) return (2 ** (boundary + 1) - 1) * baseNs;
  return (2 ** (doublings + 1) - 1) * baseNs + (boundary - doublings) * RTO_MAX_NS;
}

/** `usecs_to_jiffies`, in ns: time-outs are whole jiffies. */
function toJiffies(ns: number): number {
  return Math.ceil(ns / JIFFY_NS) * JIFFY_NS;
}

/** Smoothed round trip and its variation, as the kernel keeps them. */
class RttEstimator {
  /** ns; 0 before the first sample. */
  srttNs = 0;
  #mdevNs = 0;
  #mdevMaxNs = 0;
  #rttvarNs = 0;
  /** The variation may shrink once per window: beyond this sequence number. */
  #seq = 0;

  /** `tcp_rtt_estimator`. */
  sample(rttNs: number, sndUna: number, sndNxt: number): void {
    if (this.srttNs === 0) {
      this.srttNs = Math.max(rttNs, 1);
      this.#mdevNs = 2 * rttNs;
      this.#rttvarNs = Math.max(this.#mdevNs, RTO_MIN_NS);
      this.#mdevMaxNs = this.#rttvarNs;
      this.#seq = sndNxt;
      return;
    }
    const error = rttNs - this.srttNs;
    this.srttNs += error / 8;
    const off = Math.abs(error) * 4 - this.#mdevNs;
    this.#mdevNs += error < 0 && off > 0 ? off / 32 : off / 4;
    if (this.#mdevNs > this.#mdevMaxNs) {
      this.#mdevMaxNs = this.#mdevNs;
      this.#rttvarNs = Math.max(this.#rttvarNs, this.#mdevMaxNs);
    }
    if (sndUna <= this.#seq) return;
    if (this.#mdevMaxNs < this.#rttvarNs) this.#rttvarNs -= (this.#rttvarNs - this.#mdevMaxNs) / 4;
    this.#seq = sndNxt;
    this.#mdevMaxNs = RTO_MIN_NS;
  }

  /** `tcp_set_rto`. */
  get rtoNs(): number {
    return this.srttNs === 0 ? TIMEOUT_INIT_NS : Math.min(toJiffies(this.srttNs + this.#rttvarNs), RTO_MAX_NS);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#mdevNs, this.#mdevMaxNs, this.#rttvarNs, this.#seq];
  }
}

export class TcpRetransmit extends Hrtimer {
  readonly #sk: TcpSock;
  readonly #rtt = new RttEstimator();
  #pending: Pending = Pending.NONE;
  /** When it is due; it may be armed for an earlier time. */
  #dueNs = 0;
  #rtoNs = TIMEOUT_INIT_NS;
  /** `icsk_retransmits`, `icsk_backoff`, `icsk_probes_out`. */
  #retransmits = 0;
  #backoff = 0;
  #probesOut = 0;
  /** `retrans_stamp`, `icsk_probes_tstamp`: when the first retransmission or window probe was sent, -1 for none. */
  #firstNs = -1;
  /** The end of one segment that is being timed, and when it was sent; -1 for none. */
  #timedSeq = -1;
  #timedNs = 0;
  #dupAcks = 0;
  /** `high_seq`: a loss is repaired when all up to there has been acknowledged; -1 while none is known. */
  #recoverSeq = -1;
  /** After a time-out everything up to there has been sent again; -1 outside. */
  #resentSeq = -1;
  /** When the latest acknowledgment came: `rcv_tstamp`. */
  lastAckNs: number;

  constructor(sk: TcpSock) {
    super();
    this.#sk = sk;
    this.lastAckNs = sk.net.kernel.clock.nowNs;
  }

  get #nowNs(): number {
    return this.#sk.net.kernel.clock.nowNs;
  }

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#sk.sndNxt === this.#sk.sndUna;
  }

  #start(pending: Pending, afterNs: number): void {
    const { clock } = this.#sk.net.kernel;
    this.#pending = pending;
    this.#dueNs = clock.nowNs + afterNs;
    if (!this.armed || this.expiresNs > this.#dueNs) clock.start(this, this.#dueNs);
  }

  /** The handshake took so long: the first sample. @param rttNs - -1 when the SYN had to be sent again */
  handshake(rttNs: number): void {
    if (rttNs < 0) return;
    this.#rtt.sample(rttNs, this.#sk.sndUna, this.#sk.sndNxt);
    this.#rtoNs = this.#rtt.rtoNs;
  }

  /** `tcp_event_new_data_sent`. @param seq - where what was just sent begins */
  sent(seq: number): void {
    const { sndUna, sndNxt } = this.#sk;
    if (this.#timedSeq < 0 && this.#recoverSeq < 0) {
      this.#timedSeq = sndNxt;
      this.#timedNs = this.#nowNs;
    }
    if (seq === sndUna || this.#pending === Pending.LOSS_PROBE || this.#pending === Pending.NONE) this.#schedule();
  }

  /** `tcp_schedule_loss_probe`, or `tcp_rearm_rto` where it does not apply. */
  #schedule(): void {
    const { sndUna, sndNxt, mss } = this.#sk;
    const { srttNs } = this.#rtt;
    if (this.#recoverSeq >= 0 || srttNs === 0 || this.#backoff > 0) {
      this.#start(Pending.RETRANSMIT, this.#rtoNs);
      return;
    }
    const single = sndNxt - sndUna <= mss;
    const probeNs = toJiffies(2 * srttNs) + (single ? RTO_MIN_NS : TIMEOUT_MIN_NS);
    this.#start(Pending.LOSS_PROBE, Math.min(probeNs, this.#rtoNs));
  }

  /**
   * `tcp_ack`, behind the removal of what was acknowledged.
   *
   * @param una - the first byte that was not acknowledged before. @param window - the send window before.
   */
  acked(una: number, window: number, segment: TcpSegment): void {
    const sk = this.#sk;
    this.lastAckNs = this.#nowNs;
    this.#probesOut = 0;
    if (sk.sndUna > una) this.#progress();
    else if (segment.length === 0 && segment.endSeq === segment.seq && sk.sndWnd === window && !this.idle) {
      this.#duplicate();
    }
  }

  #progress(): void {
    const sk = this.#sk;
    if (this.#timedSeq >= 0 && sk.sndUna >= this.#timedSeq) {
      this.#rtt.sample(this.#nowNs - this.#timedNs, sk.sndUna, sk.sndNxt);
      this.#timedSeq = -1;
    }
    this.#retransmits = 0;
    this.#backoff = 0;
    this.#firstNs = -1;
    this.#dupAcks = 0;
    this.#rtoNs = this.#rtt.rtoNs;
    if (this.#recoverSeq >= 0 && sk.sndUna >= this.#recoverSeq) {
      this.#recoverSeq = -1;
      this.#resentSeq = -1;
    }
    if (this.idle) {
      this.#pending = Pending.NONE;
      return;
    }
    this.#schedule();
    if (this.#recoverSeq >= 0) this.#repair();
  }

  /** The next hole; after a time-out two segments for each acknowledgment. */
  #repair(): void {
    if (this.#resentSeq < 0) {
      this.#resend(this.#sk.sndUna);
      return;
    }
    for (let count = 0; count < 2; count += 1) {
      const seq = Math.max(this.#resentSeq, this.#sk.sndUna);
      if (seq >= this.#recoverSeq) return;
      this.#resentSeq = this.#resend(seq);
    }
  }

  /** `tcp_retransmit_skb`: what was timed is not a sample any more (Karn). @returns where the segment ends */
  #resend(seq: number): number {
    this.#timedSeq = -1;
    return tcpRetransmitAt(this.#sk, seq);
  }

  #duplicate(): void {
    this.#dupAcks += 1;
    if (this.#dupAcks !== REORDERING || this.#recoverSeq >= 0) return;
    this.#recoverSeq = this.#sk.sndNxt;
    this.#resend(this.#sk.sndUna);
    this.#start(Pending.RETRANSMIT, this.#rtoNs);
  }

  /** `tcp_check_probe_timer`: nothing is under way, and what is written may not go. */
  checkProbe(): void {
    const { sndNxt, writeSeq } = this.#sk;
    if (!this.idle || sndNxt === writeSeq || this.#pending === Pending.PROBE0) return;
    this.#firstNs = -1;
    this.#backoff = 0;
    this.#start(Pending.PROBE0, Math.max(this.#rtoNs, RTO_MIN_NS));
  }

  override fire(): void {
    if (this.#pending === Pending.NONE) return;
    if (this.#dueNs > this.#nowNs) {
      this.#sk.net.kernel.clock.start(this, this.#dueNs);
      return;
    }
    const pending = this.#pending;
    this.#pending = Pending.NONE;
    if (pending === Pending.PROBE0) this.#probe0();
    else if (this.idle) return;
    else if (pending === Pending.LOSS_PROBE) this.#lossProbe();
    else this.#timeout();
  }

  /** `tcp_send_loss_probe`: the last segment again, so that an acknowledgment tells what is missing. */
  #lossProbe(): void {
    const { sndUna, sndNxt, mss } = this.#sk;
    this.#resend(Math.max(sndUna, sndNxt - mss));
    this.#start(Pending.RETRANSMIT, this.#rtoNs);
  }

  /** `tcp_retransmit_timer`. */
  #timeout(): void {
    const sk = this.#sk;
    if (this.#retransmits > 0 && this.#timedOut(this.#patience())) {
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    this.#recoverSeq = sk.sndNxt;
    this.#resentSeq = this.#resend(sk.sndUna);
    if (this.#firstNs < 0) this.#firstNs = this.#nowNs;
    this.#retransmits += 1;
    this.#backoff += 1;
    this.#rtoNs = Math.min(this.#rtoNs * 2, RTO_MAX_NS);
    this.#start(Pending.RETRANSMIT, this.#clampToUserTimeout(this.#rtoNs));
  }

  /** `tcp_write_timeout`: retransmissions before it gives up; fewer when nobody has the socket any more. */
  #patience(): number {
    return this.#sk.dead ? ORPHAN_RETRIES : this.#sk.net.kernel.sysctl.get("net.ipv4.tcp_retries2");
  }

  /** `retransmits_timed_out`. */
  #timedOut(boundary: number): boolean {
    const { userTimeout } = this.#sk.tcpOpts;
    const timeoutNs = userTimeout > 0 ? userTimeout * 1e6 : modelTimeout(boundary, RTO_MIN_NS);
    return this.#nowNs - this.#firstNs >= timeoutNs;
  }

  /** `tcp_clamp_rto_to_user_timeout`. */
  #clampToUserTimeout(rtoNs: number): number {
    const { userTimeout } = this.#sk.tcpOpts;
    if (userTimeout === 0) return rtoNs;
    const leftNs = userTimeout * 1e6 - (this.#nowNs - this.#firstNs);
    return Math.min(rtoNs, Math.max(leftNs, 1e6));
  }

  /** `tcp_probe_timer`, `tcp_send_probe0`. */
  #probe0(): void {
    const sk = this.#sk;
    if (!this.idle || sk.sndNxt === sk.writeSeq || sk.state === SkState.CLOSE) return;
    const { userTimeout } = sk.tcpOpts;
    const late = userTimeout > 0 && this.#firstNs >= 0 && this.#nowNs - this.#firstNs >= userTimeout * 1e6;
    const patience = sk.dead ? ORPHAN_RETRIES : sk.net.kernel.sysctl.get("net.ipv4.tcp_retries2");
    if (late || this.#probesOut > patience) {
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    if (this.#firstNs < 0) this.#firstNs = this.#nowNs;
    this.#probesOut += 1;
    this.#backoff += 1;
    tcpWriteWakeup(sk);
    if (!this.idle) return;
    this.#start(Pending.PROBE0, Math.min(Math.max(this.#rtoNs, RTO_MIN_NS) * 2 ** this.#backoff, RTO_MAX_NS));
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [
      this.#sk,
      this.#rtt,
      this.#pending,
      this.#dueNs,
      this.#rtoNs,
      this.#retransmits,
      this.#backoff,
      this.#probesOut,
      this.#firstNs,
      this.#timedSeq,
      this.#timedNs,
      this.#dupAcks,
      this.#recoverSeq,
      this.#resentSeq,
    ];
  }
}
