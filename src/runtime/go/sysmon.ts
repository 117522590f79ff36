/**
 * sysmon: a thread without a P that looks after everybody else.
 *
 * Counterpart: `runtime/proc.go` (`sysmon`, `retake`; ).
 */

import { BLOCKED } from "../../syscalls/index.ts";
import type { EpollEvents } from "../user-memory.ts";
import { type Poller, pollBuffer } from "./netpoll-epoll.ts";
import { handoffp, injectglist, noteclear, preemptone } from "./proc-ready.ts";
import { claimFromSyscall, inSyscall } from "./proc-syscall.ts";
import { GList, type M, type P, Pstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { MAX_WHEN, timeSleepUntil } from "./time-heap.ts";

const USEC = 1_000;
const MIN_SLEEP_NS: number = 20 * USEC;
const MAX_SLEEP_NS: number = 10_000 * USEC;
/** After this many rounds with nothing to do the sleep begins to double. */
const IDLE_ROUNDS = 50;
/** `forcePreemptNS`; also the age of a poll and of a system call that sysmon minds. */
const FORCE_PREEMPT_NS: number = 10_000 * USEC;
/** `forcegcperiod`: two minutes. */
const FORCE_GC_NS = 120e9;

/** Where the thread stands. */
const Phase = { BEGIN: 0, SLEEP: 1, SLEPT: 2, DEEP: 3, POLL: 4, POLLED: 5 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

/** What sysmon asks of the collector. */
export interface ForceGc {
  /** Wakes the goroutine that collects. */
  force(): void;
}

export class Sysmon {
  readonly #sched: Sched;
  readonly #poller: Poller;
  readonly #gc: ForceGc;
  #phase: Phase = Phase.BEGIN;
  #idle = 0;
  #delay = 0;
  #events: EpollEvents | null = null;
  /** What the poll has found. */
  readonly #list: GList = new GList();
  /** When the round began. */
  #now = 0;

  constructor(sched: Sched, poller: Poller, gc: ForceGc) {
    this.#sched = sched;
    this.#poller = poller;
    this.#gc = gc;
  }

  /** One stretch between two sleeps; a tracer's stops cut it into more. */
  step(m: M): void {
    do this.#step(m);
    while (m.sleeps !== BLOCKED && this.#sched.tracer === null);
  }

  #step(m: M): void {
    switch (this.#phase) {
      case Phase.BEGIN:
        this.#events = pollBuffer(this.#sched);
        this.#stopBefore(Phase.SLEEP);
        return;
      case Phase.SLEEP:
        this.#sleep(m);
        return;
      case Phase.SLEPT:
        this.#sched.stats.sysmonRounds += 1;
        if (!this.#deepSleep(m)) this.#look();
        return;
      case Phase.DEEP:
        this.#endDeepSleep(m);
        this.#look();
        return;
      case Phase.POLL:
        this.#poll(m);
        return;
      case Phase.POLLED:
        this.#polled();
        this.#finish();
        return;
    }
  }

  /** The thread is about to make a call. */
  #stopBefore(next: Phase): void {
    this.#phase = next;
    this.#sched.stopAtEntry();
  }

  /** `usleep(delay)`. */
  #sleep(m: M): void {
    if (this.#idle === 0) this.#delay = MIN_SLEEP_NS;
    else if (this.#idle > IDLE_ROUNDS) this.#delay = Math.min(this.#delay * 2, MAX_SLEEP_NS);
    this.#phase = Phase.SLEPT;
    this.#sleepIn(m, "nanosleep", this.#sched.sys.nanosleep(this.#delay));
  }

  #sleepIn(m: M, name: string, result: number): void {
    if (this.#sched.tracer !== null) m.stopsAfter(name, -1, result);
    m.sleeps = result;
    m.slack = true;
  }

  /** All P's are idle, or the world stops: sleeps until the next timer, at most a minute. */
  #deepSleep(m: M): boolean {
    const sched = this.#sched;
    if (sched.npidle !== sched.gomaxprocs && !sched.gcwaiting) return false;
    const now = sched.nanotime();
    const next = timeSleepUntil(sched);
    if (next <= now) return false;
    sched.sysmonwait = true;
    sched.stats.sysmonDeepSleeps += 1;
    this.#phase = Phase.DEEP;
    const span = Math.min(FORCE_GC_NS / 2, next === MAX_WHEN ? MAX_WHEN : next - now);
    sched.stopAtEntry();
    this.#sleepIn(m, "futex", sched.sys.futexWait(m.park, 0, span));
    return m.sleeps === BLOCKED;
  }

  #endDeepSleep(m: M): void {
    const sched = this.#sched;
    const woken = m.park.bytes[0] !== 0;
    sched.sysmonwait = false;
    noteclear(m.park);
    if (!woken) return;
    this.#idle = 0;
    this.#delay = MIN_SLEEP_NS;
  }

  #look(): void {
    const sched = this.#sched;
    const now = sched.nanotime();
    this.#now = now;
    if (sched.netpollInited && sched.lastpoll !== 0 && sched.lastpoll + FORCE_PREEMPT_NS < now) {
      sched.lastpoll = now;
      this.#stopBefore(Phase.POLL);
    } else this.#finish();
  }

  /** The rest of a round. */
  #finish(): void {
    const now = this.#now;
    if (this.#retake(now)) this.#idle = 0;
    else this.#idle += 1;
    const sched = this.#sched;
    if (sched.lastGc + FORCE_GC_NS <= now) this.#gc.force();
    this.#stopBefore(Phase.SLEEP);
  }

  /** Nobody has polled for 10 ms. */
  #poll(m: M): void {
    const sched = this.#sched;
    sched.stats.netpollSysmon += 1;
    const events = this.#events as EpollEvents;
    let found: number;
    do {
      found = this.#poller.wait(events, 0);
      sched.chargeKernel("epoll_pwait");
    } while (!this.#poller.ready(events, found, 0, this.#list));
    this.#phase = Phase.POLLED;
    if (sched.tracer !== null) m.stopsAfter("epoll_pwait", -1, 0);
  }

  #polled(): void {
    const sched = this.#sched;
    if (this.#list.empty) return;
    sched.stats.netpollSysmonReady += 1;
    sched.nmidlelocked -= 1;
    injectglist(sched, this.#list);
    sched.nmidlelocked += 1;
  }

  /** `retake`. @returns whether a P was taken from a system call. */
  #retake(now: number): boolean {
    let n = 0;
    for (const p of this.#sched.allp) {
      if (p.status !== Pstatus.RUNNING && p.status !== Pstatus.SYSCALL) continue;
      const late = this.#preemptLate(p, now);
      if (inSyscall(p) && this.#retakeSyscall(p, now, late)) n += 1;
    }
    return n > 0;
  }

  /** A time slice of 10 ms is over. */
  #preemptLate(p: P, now: number): boolean {
    if (p.sysmonSchedtick !== p.schedtick) {
      p.sysmonSchedtick = p.schedtick;
      p.sysmonSchedwhen = now;
      return false;
    }
    if (p.sysmonSchedwhen + FORCE_PREEMPT_NS > now) return false;
    preemptone(this.#sched, p);
    return true;
  }

  /** */
  #retakeSyscall(p: P, now: number, late: boolean): boolean {
    const sched = this.#sched;
    if (!late && p.sysmonSyscalltick !== p.syscalltick) {
      p.sysmonSyscalltick = p.syscalltick;
      p.sysmonSyscallwhen = now;
      return false;
    }
    const others = sched.nmspinning + sched.npidle > 0;
    if (p.runqempty && others && p.sysmonSyscallwhen + FORCE_PREEMPT_NS > now) return false;
    sched.nmidlelocked -= 1;
    claimFromSyscall(p);
    p.syscalltick += 1;
    sched.stats.retaken += 1;
    handoffp(sched, p);
    sched.nmidlelocked += 1;
    return true;
  }
}
