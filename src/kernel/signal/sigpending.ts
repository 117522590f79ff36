/**
 * Signals that have been sent and not yet taken.
 *
 * Counterpart: `struct sigpending`, `struct sigqueue`, `kernel_siginfo_t` of `include/linux/signal_types.h`;
 * `collect_signal`, `flush_sigqueue_mask` and `siginfo_layout` of `kernel/signal.c`.
 * Invariants: each queued record's signal is in `signal`; a standard signal is queued at most once; SIGKILL never.
 */
import { assert } from "../lib/assert.ts";
import { Cld, Si, Sig } from "../uapi/signal.ts";
import type { PosixTimer } from "./posix-timer.ts";
import { Sigset } from "./sigset.ts";

/** What comes with a signal. */
export class SigInfo {
  readonly signo: number;
  /** `Si`, or `Cld` for SIGCHLD. */
  readonly code: number;
  errno = 0;
  pid = 0;
  uid = 0;
  /** Exit status or signal of a child. */
  status = 0;
  /** `sigval`, as an unsigned word. */
  value = 0n;
  /** The timer that sent it, and its id and overruns. */
  timer: PosixTimer | null = null;
  timerId = 0;
  overrun = 0;
  /** What happened to a file, as a poll mask, and its descriptor. */
  band = 0;
  fd = 0;

  constructor(signo: number, code: number) {
    this.signo = signo;
    this.code = code;
  }

  /** `SEND_SIG_PRIV`: from the kernel itself. */
  static fromKernel(signo: number): SigInfo {
    return new SigInfo(signo, Si.KERNEL);
  }

  /** `siginfo_layout`: which of the fields mean something. */
  get layout(): "kill" | "timer" | "child" | "queue" | "poll" {
    if (this.code === Si.TIMER) return "timer";
    if (this.band !== 0) return "poll";
    if (this.code < 0) return "queue";
    const fromChild = this.signo === Sig.CHLD && this.code >= Cld.EXITED && this.code <= Cld.CONTINUED;
    return fromChild ? "child" : "kill";
  }
}

export class SigPending {
  readonly signal: Sigset = new Sigset();
  readonly queue: SigInfo[] = [];

  /** `legacy_queue`: a standard signal that is pending already is not queued again. @behaviour S-03 */
  holds(sig: number): boolean {
    return sig < Sig.RTMIN && this.signal.has(sig);
  }

  /** Queues one signal; `info` null for SIGKILL, which brings none. */
  add(sig: number, info: SigInfo | null): void {
    if (info !== null) this.queue.push(info);
    this.signal.add(sig);
  }

  /** `collect_signal`: takes the oldest record of a signal; the signal stays pending while another record is there. */
  collect(sig: number): SigInfo {
    assert(this.signal.has(sig), "sigpending: collected a signal that is not pending");
    const index = this.queue.findIndex((info) => info.signo === sig);
    if (index === -1) {
      this.signal.del(sig);
      return new SigInfo(sig, Si.USER);
    }
    const [info] = this.queue.splice(index, 1);
    assert(info !== undefined, "sigpending: a record was lost");
    if (!this.queue.some((other) => other.signo === sig)) this.signal.del(sig);
    return info;
  }

  /** `flush_sigqueue_mask`: drops every pending signal of a set. @returns the dropped records. */
  flush(set: Sigset): SigInfo[] {
    const dropped = this.queue.filter((info) => set.has(info.signo));
    this.signal.andNot(set);
    if (dropped.length > 0) {
      const left = this.queue.filter((info) => !set.has(info.signo));
      this.queue.length = 0;
      this.queue.push(...left);
    }
    return dropped;
  }
}

/** The invariants above, and that a pending standard signal other than SIGKILL has at most one record. */
export function checkSigPending({ signal, queue }: SigPending): void {
  const seen = new Sigset();
  for (const { signo } of queue) {
    assert(signal.has(signo), "sigpending: a queued signal is not in the set");
    assert(signo !== Sig.KILL, "sigpending: SIGKILL has a record");
    assert(signo >= Sig.RTMIN || !seen.has(signo), "sigpending: a standard signal is queued twice");
    seen.add(signo);
  }
}
