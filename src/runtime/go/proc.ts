/**
 * The scheduler: what an M does from one goroutine to the next.
 *
 * Counterpart: `runtime/proc.go` (`mstart`, `schedule`, `findRunnable`, `execute`, `park_m`, `goexit0`, `stopm` ...).
 * An M is the body of a thread of the machine. Where real Go's code would sleep in a system call, `step` returns and is called again
 * with the call's result; `m.cont` says where it goes on. Scheduler work takes no time by itself: it is charged to the M, and before a
 * goroutine goes on the M sleeps off what the clock is behind.
 */
import { Errno } from "../../kernel/uapi/errno.ts";
import { BLOCKED } from "../../syscalls/index.ts";
import type { Syscalls } from "../syscalls.ts";
import type { StepProgram } from "../thread.ts";
import type { EpollEvents } from "../user-memory.ts";
import { assert, Goexit, GoFatal, GoPanic } from "./fatal.ts";
import { type Poller, pollBuffer } from "./netpoll-epoll.ts";
import {
  acquirep,
  casgstatus,
  gfput,
  handoffp,
  injectglist,
  mput,
  noteclear,
  notewakeup,
  pidleget,
  pidlegetSpinning,
  pidleput,
  releasep,
  wakep,
} from "./proc-ready.ts";
import { exitsyscall } from "./proc-syscall.ts";
import { globrunqget, runqget, runqput } from "./runq.ts";
import { type Body, Cont, type G, GList, Gstatus, type M, type P, Trap } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { Steal, stealWork, stolen } from "./steal.ts";
import type { Sysmon } from "./sysmon.ts";
import { checkTimers, type TimerCheck, wakeTime } from "./time-heap.ts";

/** Every 61st time slice looks at the global queue first. */
const GLOBAL_TICK = 61;
/** A thief waits this long before it takes a runnext. */
const STEAL_SLEEP_NS = 3_000;

/** How a program ends, told to whoever runs it. */
export interface Ending {
  /** `panic`, or `throw`. @param g - the goroutine; null when it is none's. */
  died(error: GoPanic | GoFatal, g: G | null): void;
}

/** One M as the body of a thread. */
export class Mstart implements StepProgram {
  readonly #sched: Sched;
  readonly #poller: Poller;
  readonly #sysmon: Sysmon;
  readonly #ending: Ending;
  readonly #m: M;
  #events: EpollEvents | null = null;
  /** The thread is in a call that sleeps, not only using time. */
  #asleep = false;
  readonly #timers: TimerCheck = { pollUntil: 0, ran: false };

  constructor(sched: Sched, poller: Poller, sysmon: Sysmon, ending: Ending, m: M) {
    this.#sched = sched;
    this.#poller = poller;
    this.#sysmon = sysmon;
    this.#ending = ending;
    this.#m = m;
  }

  step(sys: Syscalls, result: number): number {
    const sched = this.#sched;
    const m = this.#m;
    m.sys = sys;
    sched.m = m;
    if (this.#asleep) {
      this.#asleep = false;
      m.ret = result;
      // A sleep that a time-out has ended overruns.
      const late = m.slack && (result === 0 || result === -Errno.ETIMEDOUT);
      sched.charge(sched.costs.wakeup + (late ? sched.costs.slack : 0));
      m.slack = false;
    }
    try {
      return this.#run();
    } catch (error) {
      if (!(error instanceof GoFatal)) throw error;
      this.#ending.died(error, null);
      return BLOCKED;
    }
  }

  /** Until the thread sleeps. */
  #run(): number {
    const sched = this.#sched;
    const m = this.#m;
    for (;;) {
      if (sched.dead) return BLOCKED;
      if (!sched.caughtUp()) return sched.sys.compute(m.busyUntil - sched.host.nowNs);
      switch (m.cont) {
        case Cont.RUN:
          this.#resume(m.curg as G);
          break;
        case Cont.SCHEDULE:
          this.#schedule();
          break;
        case Cont.EXITSYSCALL:
          this.#exitsyscall();
          break;
        case Cont.RAW:
          this.#takeResult(m.curg as G);
          m.cont = Cont.RUN;
          break;
        case Cont.STOPPED:
          this.#stopped();
          break;
        case Cont.POLLED:
          this.#polled();
          break;
        case Cont.STEAL:
          m.cont = Cont.SCHEDULE;
          break;
        case Cont.START:
          this.#start();
          break;
        case Cont.SYSMON:
          this.#sysmon.step(m);
          break;
      }
      if (m.sleeps === BLOCKED) {
        m.sleeps = 0;
        this.#asleep = true;
        return BLOCKED;
      }
    }
  }

  /** A call that may sleep. What it returns is in `m.ret` when the M goes on. */
  #sleepIn(result: number): void {
    const m = this.#m;
    if (result === BLOCKED) m.sleeps = BLOCKED;
    else m.ret = result;
  }

  /** `mstart1`. */
  #start(): void {
    const m = this.#m;
    const { sys } = this.#sched;
    this.#m.tid = sys.gettid();
    this.#sched.chargeCall("gettid");
    if (m.isSysmon) {
      m.cont = Cont.SYSMON;
      return;
    }
    this.#events = pollBuffer(this.#sched);
    if (m.nextp !== null) {
      acquirep(m, m.nextp);
      m.nextp = null;
    }
    m.cont = Cont.SCHEDULE;
  }

  // Running a goroutine

  /** `execute`. */
  #execute(g: G, inheritTime: boolean): void {
    const m = this.#m;
    m.curg = g;
    g.m = m;
    casgstatus(g, Gstatus.RUNNABLE, Gstatus.RUNNING);
    g.preempt = false;
    if (!inheritTime) (m.p as P).schedtick += 1;
    m.cont = Cont.RUN;
  }

  #resume(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    // Asked again after a pause it does not begin anything: threads that pause for each other would never get on.
    if (m.trap !== Trap.BUSY) sched.charge(sched.costs.step);
    m.trap = Trap.NONE;
    m.signalPending = false;
    let done: boolean | undefined;
    try {
      done = (g.body as Body).next().done;
    } catch (error) {
      if (error instanceof Goexit) done = true;
      else if (error instanceof GoPanic) {
        this.#ending.died(error, g);
        return;
      } else throw error;
    }
    if (sched.dead) return;
    if (done === true) this.#goexit(g);
    else this.#trapped(g, m.trap);
  }

  #trapped(g: G, trap: Trap): void {
    const sched = this.#sched;
    const m = this.#m;
    switch (trap) {
      case Trap.BUSY:
        return;
      case Trap.SYSCALL:
        m.cont = Cont.EXITSYSCALL;
        return;
      case Trap.BLOCKED:
        m.cont = Cont.EXITSYSCALL;
        m.sleeps = BLOCKED;
        m.returns = true;
        return;
      case Trap.RAW:
        m.cont = Cont.RAW;
        m.sleeps = BLOCKED;
        m.returns = true;
        return;
      case Trap.PARK:
        this.#park(g);
        return;
      case Trap.YIELD:
        casgstatus(g, Gstatus.RUNNING, Gstatus.RUNNABLE);
        this.#drop(g);
        runqput(sched, m.p as P, g, false);
        return;
      case Trap.SCHED:
      case Trap.PREEMPT:
        casgstatus(g, Gstatus.RUNNING, Gstatus.RUNNABLE);
        this.#drop(g);
        sched.runq.pushBack(g);
        if (trap === Trap.SCHED && sched.version.goschedWakes) wakep(sched);
        return;
      case Trap.NONE:
        throw new Error(`goroutine ${g.goid} (${g.name}) yielded something that is no operation: write 'yield*'`);
    }
  }

  /** `dropg`, and on to the scheduler. */
  #drop(g: G): void {
    g.m = null;
    this.#m.curg = null;
    this.#m.cont = Cont.SCHEDULE;
  }

  /** `park_m`: a refused park goes on at once. */
  #park(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    casgstatus(g, Gstatus.RUNNING, Gstatus.WAITING);
    this.#drop(g);
    const { waitunlockf, waitlock } = m;
    m.waitunlockf = null;
    m.waitlock = null;
    if (waitunlockf !== null && !waitunlockf(sched, g, waitlock)) {
      casgstatus(g, Gstatus.WAITING, Gstatus.RUNNABLE);
      this.#execute(g, true);
      return;
    }
    sched.stats.park(g.waitreason, g.system);
  }

  /** `goexit0`. */
  #goexit(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    casgstatus(g, Gstatus.RUNNING, Gstatus.DEAD);
    g.body = null;
    g.param = null;
    sched.allgs.delete(g);
    const locked = g.lockedm !== null;
    g.lockedm = null;
    m.lockedg = null;
    this.#drop(g);
    gfput(sched, m.p as P, g);
    if (locked) this.#endThread();
  }

  /** A goroutine that ends while it is locked takes its thread with it (`mexit`). */
  #endThread(): void {
    const sched = this.#sched;
    const m = this.#m;
    const p = releasep(m);
    handoffp(sched, p);
    sched.nmfreed += 1;
    m.cont = Cont.DEAD;
    sched.sys.exit(0);
    m.sleeps = BLOCKED;
  }

  #exitsyscall(): void {
    const sched = this.#sched;
    const m = this.#m;
    const g = m.curg as G;
    this.#takeResult(g);
    if (exitsyscall(sched)) {
      m.cont = Cont.RUN;
      return;
    }
    if (g.lockedm !== null) this.#stoplockedm();
    else this.#stopm();
  }

  /** A call that slept has a result for its goroutine. */
  #takeResult(g: G): void {
    const m = this.#m;
    if (!m.returns) return;
    m.returns = false;
    g.ret = m.ret;
    g.onReturn?.(m, m.ret);
    g.onReturn = null;
  }

  // Parking the thread

  /** `stopm`: idle until somebody has a P for it. */
  #stopm(): void {
    const sched = this.#sched;
    const m = this.#m;
    sched.stats.stopm += 1;
    mput(sched, m);
    this.#mpark();
  }

  /** `mPark`. */
  #mpark(): void {
    const m = this.#m;
    m.cont = Cont.STOPPED;
    this.#sleepIn(this.#sched.sys.futexWait(m.park, 0));
    this.#sched.chargeCall("futex");
  }

  #stopped(): void {
    const m = this.#m;
    if (m.park.bytes[0] === 0) {
      this.#mpark();
      return;
    }
    noteclear(m);
    acquirep(m, m.nextp as P);
    m.nextp = null;
    m.cont = Cont.SCHEDULE;
    if (m.lockedg !== null && m.lockedg.status === Gstatus.RUNNABLE && m.runLocked) {
      m.runLocked = false;
      this.#execute(m.lockedg, false);
    }
  }

  /** `stoplockedm`: hands the P on, and waits for the turn of the goroutine that only this thread runs. */
  #stoplockedm(): void {
    const sched = this.#sched;
    const m = this.#m;
    if (m.p !== null) handoffp(sched, releasep(m));
    sched.nmidlelocked += 1;
    this.#mpark();
  }

  /** `startlockedm`: the picked goroutine has a thread of its own; that one gets the P. */
  #startlockedm(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    const owner = g.lockedm as M;
    assert(owner !== m, "startlockedm: locked to me");
    sched.nmidlelocked -= 1;
    owner.nextp = releasep(m);
    owner.runLocked = true;
    notewakeup(sched, owner);
    this.#stopm();
  }

  // Finding work

  /** `schedule`. */
  #schedule(): void {
    const sched = this.#sched;
    const m = this.#m;
    if (m.lockedg !== null) {
      this.#stoplockedm();
      return;
    }
    sched.charge(sched.costs.schedule);
    const g = this.#findRunnable();
    if (g !== null) this.#picked(g);
  }

  #picked(g: G): void {
    const m = this.#m;
    const { inheritTime } = m.p as P;
    if (m.spinning) this.#resetspinning();
    if (g.lockedm !== null && g.lockedm !== m) this.#startlockedm(g);
    else this.#execute(g, inheritTime);
  }

  /** `resetspinning`: the next spinner is found at once. */
  #resetspinning(): void {
    const sched = this.#sched;
    this.#m.spinning = false;
    sched.nmspinning -= 1;
    assert(sched.nmspinning >= 0, "resetspinning: fewer than no spinners");
    wakep(sched);
  }

  /** `becomeSpinning`. */
  #becomeSpinning(): void {
    const sched = this.#sched;
    this.#m.spinning = true;
    sched.nmspinning += 1;
    sched.needspinning = false;
  }

  /** `findRunnable`, in its order. @returns null when the M sleeps now. */
  #findRunnable(): G | null {
    for (;;) {
      const g = this.#m.stealAt > 0 ? null : this.#ownWork();
      if (g !== null) return g;
      const stolenG = this.#steal();
      if (stolenG === Steal.GOT) return stolen(this.#sched, this.#m);
      if (stolenG === Steal.RESTART) continue;
      if (stolenG === Steal.SLEEP) return null;
      const last = this.#giveUp();
      if (last !== AGAIN) return last;
    }
  }

  /** Steps 2 to 9: timers, the 61st tick, the own queue, the global one, the poller. */
  #ownWork(): G | null {
    const sched = this.#sched;
    const { stats } = sched;
    const m = this.#m;
    const p = m.p as P;
    checkTimers(sched, p, true, this.#timers);
    m.pollUntil = this.#timers.pollUntil;
    if (p.schedtick % GLOBAL_TICK === 0 && sched.runq.length > 0) {
      stats.pickGlobalTick += 1;
      return globrunqget(sched, p, 1);
    }
    const own = runqget(sched, p);
    if (own !== null) return own;
    if (sched.runq.length > 0) {
      stats.pickGlobal += 1;
      return globrunqget(sched, p, 0);
    }
    return this.#pollOnce();
  }

  /** Step 9. The newest's rule of one such poll at a time has no effect: the call takes no time. */
  #pollOnce(): G | null {
    const sched = this.#sched;
    if (!sched.netpollInited || sched.netpollWaiters <= 0 || sched.lastpoll === 0) return null;
    sched.stats.netpollNonblocking += 1;
    const list = new GList();
    const events = this.#events as EpollEvents;
    while (!this.#poller.ready(events, this.#poller.wait(events, 0), 0, list));
    const g = list.pop();
    if (g === null) return null;
    sched.stats.pickNetpoll += 1;
    injectglist(sched, list);
    casgstatus(g, Gstatus.WAITING, Gstatus.RUNNABLE);
    (this.#m.p as P).inheritTime = false;
    return g;
  }

  /** Step 10. */
  #steal(): Steal {
    const sched = this.#sched;
    const m = this.#m;
    if (!m.spinning) {
      if (2 * sched.nmspinning >= sched.gomaxprocs - sched.npidle) return Steal.NOTHING;
      sched.stats.spinning += 1;
      this.#becomeSpinning();
    }
    const steal = stealWork(sched, m);
    if (steal === Steal.SLEEP) {
      m.cont = Cont.STEAL;
      m.slack = true;
      this.#sleepIn(sched.sys.nanosleep(STEAL_SLEEP_NS));
    }
    return steal;
  }

  /** Steps 12 to 15: gives the P up, looks again, polls, parks. @returns `AGAIN` to search from the top, null when the M sleeps. */
  #giveUp(): G | null | typeof AGAIN {
    const sched = this.#sched;
    const m = this.#m;
    if (sched.runq.length > 0) {
      sched.stats.pickGlobal += 1;
      return globrunqget(sched, m.p as P, 0);
    }
    if (sched.version.needspinning && !m.spinning && sched.needspinning) {
      this.#becomeSpinning();
      return AGAIN;
    }
    pidleput(sched, releasep(m));
    m.wasSpinning = m.spinning;
    if (m.spinning) {
      m.spinning = false;
      sched.nmspinning -= 1;
      const again = this.#recheck();
      if (again !== null) return again;
    }
    return this.#pollOrPark();
  }

  /** `checkRunqsNoP`, `checkTimersNoP`: what came in while the P was given up. */
  #recheck(): G | typeof AGAIN | null {
    const sched = this.#sched;
    const m = this.#m;
    if (sched.version.recheckGlobal && sched.runq.length > 0) {
      const p = pidlegetSpinning(sched);
      if (p !== null) {
        acquirep(m, p);
        this.#becomeSpinning();
        return globrunqget(sched, p, 0);
      }
    }
    for (const other of sched.allp) {
      if (other.idle || other.runqempty) continue;
      const p = pidlegetSpinning(sched);
      if (p === null) break;
      acquirep(m, p);
      this.#becomeSpinning();
      return AGAIN;
    }
    for (const other of sched.allp) {
      const when = wakeTime(other);
      if (when !== 0 && (m.pollUntil === 0 || when < m.pollUntil)) m.pollUntil = when;
    }
    return null;
  }

  /** Steps 14 and 15. */
  #pollOrPark(): G | typeof AGAIN | null {
    const sched = this.#sched;
    const m = this.#m;
    if (sched.netpollInited && (sched.netpollWaiters > 0 || m.pollUntil !== 0) && sched.lastpoll !== 0) {
      sched.pollUntil = m.pollUntil;
      sched.lastpoll = 0;
      const now = sched.nanotime();
      m.pollBefore = now;
      m.pollDelay = m.pollUntil === 0 ? -1 : Math.max(0, m.pollUntil - now);
      if (m.pollUntil === 0) sched.stats.netpollBlocking += 1;
      else sched.stats.netpollTimed += 1;
      this.#blockInPoll();
      return null;
    }
    if (m.pollUntil !== 0 && sched.netpollInited && (sched.pollUntil === 0 || sched.pollUntil > m.pollUntil)) {
      this.#poller.interrupt();
    }
    this.#stopm();
    return null;
  }

  #blockInPoll(): void {
    const m = this.#m;
    m.cont = Cont.POLLED;
    m.slack = true;
    this.#sleepIn(this.#poller.wait(this.#events as EpollEvents, m.pollDelay));
  }

  /** The rest of step 14, after the poll. */
  #polled(): void {
    const sched = this.#sched;
    const m = this.#m;
    const list = new GList();
    if (!this.#poller.ready(this.#events as EpollEvents, m.ret, m.pollDelay, list)) {
      this.#blockInPoll();
      return;
    }
    sched.pollUntil = 0;
    sched.lastpoll = sched.version.lastpollAfter ? sched.nanotime() : m.pollBefore;
    const p = pidleget(sched);
    if (p === null) {
      injectglist(sched, list);
      this.#stopm();
      return;
    }
    acquirep(m, p);
    const g = list.pop();
    if (g === null) {
      if (m.wasSpinning) this.#becomeSpinning();
      m.cont = Cont.SCHEDULE;
      return;
    }
    sched.stats.pickBlockingNetpoll += 1;
    injectglist(sched, list);
    casgstatus(g, Gstatus.WAITING, Gstatus.RUNNABLE);
    p.inheritTime = false;
    this.#picked(g);
  }
}

/** Search from the top. */
const AGAIN = "again";
