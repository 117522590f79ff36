/**
 * Keepalive: whether the other side is still there.
 *
 * Counterpart: `net/ipv4/tcp_timer.c` (`tcp_keepalive_timer`).
 * Only connections that leave the machine have it: on loopback every probe is answered, and nobody can see one.
 */
import { Hrtimer } from "../../time/hrtimer.ts";
import { Errno } from "../../uapi/errno.ts";
import { SkState } from "../sock.ts";
import { tcpDoneWithError } from "./tcp-done.ts";
import { tcpSendActiveReset, tcpSendProbe } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";

const SECOND_NS = 1e9;

export class TcpKeepalive extends Hrtimer {
  readonly #sk: TcpSock;
  #probesOut = 0;
  /** When the latest answer to a probe could have come: an acknowledgment since then resets the count. */
  #probedNs = -1;

  constructor(sk: TcpSock) {
    super();
    this.#sk = sk;
  }

  /** `tcp_reset_keepalive_timer`: the idle time begins. */
  start(): void {
    const { clock } = this.#sk.net.kernel;
    clock.start(this, clock.nowNs + this.#sk.tcpOpts.keepidle * SECOND_NS);
  }

  /** When something last came from the other side. */
  #heardNs(): number {
    return Math.max(this.#sk.ack.lrcvNs, this.#sk.retransmit?.lastAckNs ?? 0);
  }

  override fire(): void {
    const sk = this.#sk;
    const { clock } = sk.net.kernel;
    if (sk.state === SkState.CLOSE || sk.state === SkState.SYN_SENT || !sk.opts.keepalive) return;
    const { keepidle, keepintvl, keepcnt, userTimeout } = sk.tcpOpts;
    const idleNs = keepidle * SECOND_NS;
    if (sk.sndNxt > sk.sndUna || sk.writeSeq > sk.sndNxt) {
      clock.start(this, clock.nowNs + idleNs); // retransmissions find out
      return;
    }
    const elapsedNs = clock.nowNs - this.#heardNs();
    if (this.#heardNs() > this.#probedNs) this.#probesOut = 0;
    if (elapsedNs < idleNs) {
      clock.start(this, clock.nowNs + idleNs - elapsedNs);
      return;
    }
    const over = userTimeout > 0 ? elapsedNs >= userTimeout * 1e6 && this.#probesOut > 0 : this.#probesOut >= keepcnt;
    if (over) {
      tcpSendActiveReset(sk);
      tcpDoneWithError(sk, Errno.ETIMEDOUT);
      return;
    }
    tcpSendProbe(sk);
    this.#probesOut += 1;
    this.#probedNs = clock.nowNs;
    clock.start(this, clock.nowNs + keepintvl * SECOND_NS);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#probesOut, this.#probedNs];
  }
}
