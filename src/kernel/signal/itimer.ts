/**
 * The interval timers of a process.
 *
 * Counterpart: `kernel/time/itimer.c`.
 * A periodic timer is started again when its SIGALRM is taken, not when it fires: no second signal can come before.
 * Timers of CPU time can be read and cleared; no CPU time passes here, so setting one is refused (`Unmodelled`).
 */
import type { Process } from "../sched/process.ts";
import { type Clock, Hrtimer } from "../time/hrtimer.ts";
import type { Itimerspec } from "../time/timekeeping.ts";
import { Sig } from "../uapi/signal.ts";
import { sendToProcess } from "./send.ts";
import { SigInfo } from "./sigpending.ts";

/** One that is due shows this much: 0 would say that it is not set. */
const DUE_NS = 1000n;

/** ITIMER_REAL: `real_timer` and `it_real_incr`. */
export class Itimers extends Hrtimer {
  readonly #process: Process;
  readonly #clock: Clock;
  /** When it fires, or fired last, in ns since boot: exact where the clock cannot count. */
  #expires = 0n;
  #set = false;
  #interval = 0n;

  constructor(process: Process, clock: Clock) {
    super();
    this.#process = process;
    this.#clock = clock;
  }

  override get ofProgram(): boolean {
    return true;
  }

  /** `it_real_fn`. */
  override fire(): void {
    this.#set = false;
    sendToProcess(this.#process, Sig.ALRM, SigInfo.fromKernel(Sig.ALRM));
  }

  /** `do_getitimer`. */
  get(): Itimerspec {
    const left = this.#expires - BigInt(this.#clock.nowNs);
    return { value: this.#set ? (left > 0n ? left : DUE_NS) : 0n, interval: this.#interval };
  }

  /** `do_setitimer`. @param value - ns from now; 0 clears the timer. */
  set(value: bigint, interval: bigint): void {
    this.cancel();
    this.#interval = value === 0n ? 0n : interval;
    if (value !== 0n) this.#start(BigInt(this.#clock.nowNs) + value);
  }

  #start(expires: bigint): void {
    this.#expires = expires;
    this.#set = true;
    const expiresNs = Number(expires);
    if (Number.isSafeInteger(expiresNs)) this.#clock.start(this, expiresNs);
  }

  cancel(): void {
    this.#clock.cancel(this);
    this.#set = false;
  }

  /** `posixtimer_rearm_itimer`: its signal was taken. */
  rearm(): void {
    if (this.#set || this.#interval === 0n) return;
    const late = BigInt(this.#clock.nowNs) - this.#expires;
    this.#start(this.#expires + (late / this.#interval + 1n) * this.#interval);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#process, this.#clock, this.#expires, this.#set, this.#interval];
  }
}
