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
const Phase = { BEGIN: 0, SLEPT: 1, DEEP: 2 } as const;
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

  constructor(sched: Sched, poller: Poller, gc: ForceGc) {
    this.#sched = sched;
    this.#poller = poller;
    this.#gc = gc;
  }

  /** One stretch between two sleeps. */
  step(m: M): void {
    switch (this.#phase) {
      case Phase.BEGIN:
        this.#events = pollBuffer(this.#sched);
        this.#sleep(m);
        return;
      case Phase.SLEPT:
        this.#sched.stats.sysmonRounds += 1;
        if (this.#deepSleep(m)) return;
        break;
      case Phase.DEEP:
        this.#endDeepSleep(m);
        break;
    }
    this.#look();
    this.#sleep(m);
  }

  /** `usleep(delay)`. */
  #sleep(m: M): void {
    if (this.#idle === 0) this.#delay = MIN_SLEEP_NS;
    else if (this.#idle > IDLE_ROUNDS) this.#delay = Math.min(this.#delay * 2, MAX_SLEEP_NS);
    this.#phase = Phase.SLEPT;
    m.sleeps = this.#sched.sys.nanosleep(this.#delay);
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
    m.sleeps = sched.sys.futexWait(m.park, 0, span);
    m.slack = true;
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
    if (sched.netpollInited && sched.lastpoll !== 0 && sched.lastpoll + FORCE_PREEMPT_NS < now) this.#poll(now);
    if (this.#retake(now)) this.#idle = 0;
    else this.#idle += 1;
    if (sched.lastGc + FORCE_GC_NS <= now) this.#gc.force();
  }

  /** Nobody has polled for 10 ms. */
  #poll(now: number): void {
    const sched = this.#sched;
    sched.lastpoll = now;
    sched.stats.netpollSysmon += 1;
    const list = new GList();
    const events = this.#events as EpollEvents;
    let found: number;
    do {
      found = this.#poller.wait(events, 0);
      sched.chargeCall("epoll_pwait");
    } while (!this.#poller.ready(events, found, 0, list));
    if (list.empty) return;
    sched.stats.netpollSysmonReady += 1;
    sched.nmidlelocked -= 1;
    injectglist(sched, list);
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
