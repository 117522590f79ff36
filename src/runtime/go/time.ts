/**
 * time.Sleep, Timer, Ticker, After and AfterFunc.
 *
 * Counterpart: `time/sleep.go`, `time/tick.go`, `runtime/time.go` (`timeSleep`; ).
 */
import { Chan } from "./chan.ts";
import { GoPanic } from "./fatal.ts";
import { mayGoOn, park } from "./ops.ts";
import { goready, newproc } from "./proc-ready.ts";
import { type Body, type G, type Op, SUSPENDED } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { GoTimer } from "./time-heap.ts";
import type { Timers } from "./timers.ts";

/** What timers need of their runtime. */
export interface TimeRuntime {
  readonly sched: Sched;
  readonly timers: Timers;
}

/** `when`: now and a span, saturated. */
function when(sched: Sched, ns: number): number {
  return ns <= 0 ? sched.nanotime() : Math.min(sched.nanotime() + ns, Number.MAX_SAFE_INTEGER);
}

/** `timeSleep`: the timer is armed when the goroutine waits already; no time, no yield. */
export class SleepOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #rt: TimeRuntime;
  readonly #ns: number;
  #parked = false;

  constructor(rt: TimeRuntime, ns: number) {
    this.#rt = rt;
    this.#ns = ns;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    const { sched } = this.#rt;
    if (this.#parked || this.#ns <= 0) return { done: true, value: undefined };
    if (!mayGoOn(sched)) return SUSPENDED;
    this.#parked = true;
    const g = sched.getg();
    g.timer ??= new GoTimer(() => goready(sched, g));
    g.timer.when = when(sched, this.#ns);
    park(sched, "sleep", armTimer, this.#rt.timers);
    return SUSPENDED;
  }
}

/** `resetForSleep`. */
function armTimer(_sched: Sched, g: G, lock: unknown): boolean {
  const timer = g.timer as GoTimer;
  (lock as Timers).modify(timer, timer.when);
  return true;
}

/** `time.Timer` with a channel. */
export class Timer {
  readonly #rt: TimeRuntime;
  readonly #timer: GoTimer;
  /** Receives the time, in ns since boot. */
  readonly c: Chan<number>;

  constructor(rt: TimeRuntime, ns: number) {
    this.#rt = rt;
    this.c = new Chan<number>(rt.sched, 1);
    // The send never blocks: a value nobody has taken yet is enough.
    this.#timer = new GoTimer((_seq, now) => this.c.trySend(now));
    this.#timer.when = when(rt.sched, ns);
    rt.timers.add(this.#timer);
  }

  /** @returns whether it was still to fire. */
  stop(): boolean {
    const pending = this.#rt.timers.stop(this.#timer);
    return this.#sync(pending);
  }

  /** @returns whether it was still to fire. */
  reset(ns: number): boolean {
    const pending = this.#rt.timers.modify(this.#timer, when(this.#rt.sched, ns));
    return this.#sync(pending);
  }

  /** Newest Go: a value that was sent and not yet received is taken back, as if it had not fired. */
  #sync(pending: boolean): boolean {
    if (!this.#rt.sched.version.syncTimerChan || this.c.len === 0) return pending;
    this.c.drain();
    return true;
  }
}

/** `time.Ticker`: what is missed is skipped. */
export class Ticker {
  readonly #rt: TimeRuntime;
  readonly #timer: GoTimer;
  readonly c: Chan<number>;

  /** @throws GoPanic for a period that is not positive. */
  constructor(rt: TimeRuntime, ns: number) {
    if (ns <= 0) throw new GoPanic("non-positive interval for NewTicker");
    this.#rt = rt;
    this.c = new Chan<number>(rt.sched, 1);
    this.#timer = new GoTimer((_seq, now) => this.c.trySend(now));
    this.#timer.when = when(rt.sched, ns);
    this.#timer.period = ns;
    rt.timers.add(this.#timer);
  }

  stop(): void {
    this.#rt.timers.stop(this.#timer);
    if (this.#rt.sched.version.syncTimerChan) this.c.drain();
  }

  reset(ns: number): void {
    this.#timer.period = ns;
    this.#rt.timers.modify(this.#timer, when(this.#rt.sched, ns));
  }
}

/** What `AfterFunc` gives. */
export class FuncTimer {
  readonly #rt: TimeRuntime;
  readonly #timer: GoTimer;

  /** Starts a goroutine for `f` when it fires. */
  constructor(rt: TimeRuntime, ns: number, name: string, f: () => Body) {
    this.#rt = rt;
    this.#timer = new GoTimer(() => newproc(rt.sched, name, f()));
    this.#timer.when = when(rt.sched, ns);
    rt.timers.add(this.#timer);
  }

  stop(): boolean {
    return this.#rt.timers.stop(this.#timer);
  }

  reset(ns: number): boolean {
    return this.#rt.timers.modify(this.#timer, when(this.#rt.sched, ns));
  }
}
