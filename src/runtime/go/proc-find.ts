/**
 * The search for work, from an M that has nothing to run to one that runs something, polls or parks.
 *
 * Counterpart: `runtime/proc.go` (`schedule`, `findRunnable`, `resetspinning`, `checkRunqsNoP` ...).
 * Real Go's search takes time, in which others go on; here it does so at three places, each a `Cont` of its own: behind the
 * non-blocking poll, behind the look at the others' queues, and when the P has been given up.
 */
import type { EpollEvents } from "../user-memory.ts";
import { assert } from "./fatal.ts";
import type { Poller } from "./netpoll-epoll.ts";
import { gcstopm, sleepIn, startlockedm, stoplockedm, stopm } from "./proc-park.ts";
import {
  acquirep,
  casgstatus,
  execute,
  injectglist,
  pidleget,
  pidlegetSpinning,
  pidleput,
  releasep,
  wakep,
} from "./proc-ready.ts";
import { globrunqget, runqget } from "./runq.ts";
import { Cont, type G, GList, Gstatus, type M, type P } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { Steal, stealWork, stolen } from "./steal.ts";
import { checkTimers, type TimerCheck, wakeTime } from "./time-heap.ts";

/** Every 61st time slice looks at the global queue first. */
const GLOBAL_TICK = 61;
/** A thief waits this long before it takes a runnext. */
const STEAL_SLEEP_NS = 3_000;

export class Finder {
  readonly #sched: Sched;
  readonly #poller: Poller;
  readonly #m: M;
  readonly #events: EpollEvents;
  readonly #timers: TimerCheck = { pollUntil: 0, ran: false };

  constructor(sched: Sched, poller: Poller, m: M, events: EpollEvents) {
    this.#sched = sched;
    this.#poller = poller;
    this.#m = m;
    this.#events = events;
  }

  /** From one moment at which others can go on to the next. */
  step(): void {
    switch (this.#m.cont) {
      case Cont.SCHEDULE:
        this.#schedule();
        return;
      case Cont.LOOKED:
        this.#looked();
        return;
      case Cont.STEAL:
        this.#steal();
        return;
      case Cont.SEARCHED:
        this.#giveUp();
        return;
      case Cont.RELEASED:
        this.#released();
        return;
      case Cont.POLLED:
        this.#polled();
        return;
      default:
        assert(false, `findRunnable: nothing to go on with at ${this.#m.cont}`);
    }
  }

  /** `schedule`, and the top of `findRunnable`. */
  #schedule(): void {
    const sched = this.#sched;
    if (this.#m.lockedg !== null) {
      stoplockedm(sched);
      return;
    }
    if (sched.gcwaiting) {
      gcstopm(sched);
      return;
    }
    sched.charge(sched.costs.schedule);
    const g = this.#ownWork();
    if (g !== null) this.#picked(g);
    else if (this.#mayPoll()) this.#pollOnce();
    else this.#search();
  }

  #picked(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    const { inheritTime } = m.p as P;
    if (m.spinning) this.#resetspinning();
    if (g.lockedm !== null && g.lockedm !== m) startlockedm(sched, g);
    else execute(sched, g, inheritTime);
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

  /** `goto top`. */
  #again(): void {
    this.#m.cont = Cont.SCHEDULE;
  }

  /** Steps 2 to 8: timers, the 61st tick, finalizers, the own queue, the global one. */
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
    if (sched.finalizers.due) sched.finalizers.wake(sched);
    const own = runqget(sched, p);
    if (own !== null) return own;
    if (sched.runq.length === 0) return null;
    stats.pickGlobal += 1;
    return globrunqget(sched, p, 0);
  }

  /** Whether step 9 takes place. */
  #mayPoll(): boolean {
    const sched = this.#sched;
    if (!sched.netpollInited || sched.netpollWaiters <= 0 || sched.lastpoll === 0) return false;
    return !(sched.pollingNet && sched.version.onePollAtOnce);
  }

  /** Step 9: what is ready now. The call takes its time, and what it found is looked at behind it. */
  #pollOnce(): void {
    const sched = this.#sched;
    const m = this.#m;
    sched.pollingNet = true;
    sched.stats.netpollNonblocking += 1;
    sched.stopAtEntry();
    m.ret = this.#poller.wait(this.#events, 0);
    sched.chargeKernel("epoll_pwait");
    if (sched.tracer !== null) m.stopsAfter("epoll_pwait", -1, m.ret);
    m.cont = Cont.LOOKED;
  }

  /** The rest of step 9. */
  #looked(): void {
    const sched = this.#sched;
    const m = this.#m;
    const list = new GList();
    if (!this.#poller.ready(this.#events, m.ret, 0, list)) {
      this.#pollOnce();
      return;
    }
    sched.pollingNet = false;
    const g = list.pop();
    if (g === null) {
      this.#search();
      return;
    }
    sched.stats.pickNetpoll += 1;
    this.#run(g, list);
  }

  /** Runs the first of a netpoll's list, and injects the others. */
  #run(g: G, others: GList): void {
    injectglist(this.#sched, others);
    casgstatus(g, Gstatus.WAITING, Gstatus.RUNNABLE);
    (this.#m.p as P).inheritTime = false;
    this.#picked(g);
  }

  /** Step 10, if it takes place. */
  #search(): void {
    const sched = this.#sched;
    const m = this.#m;
    if (!m.spinning) {
      if (2 * sched.nmspinning >= sched.gomaxprocs - sched.npidle) {
        this.#searched();
        return;
      }
      sched.stats.spinning += 1;
      this.#becomeSpinning();
    }
    this.#steal();
  }

  #steal(): void {
    const sched = this.#sched;
    const m = this.#m;
    switch (stealWork(sched, m)) {
      case Steal.GOT:
        this.#picked(stolen(sched, m));
        return;
      case Steal.RESTART:
        this.#again();
        return;
      case Steal.SLEEP:
        m.cont = Cont.STEAL;
        m.slack = true;
        sleepIn(sched, "nanosleep", sched.sys.nanosleep(STEAL_SLEEP_NS));
        return;
      case Steal.NOTHING:
        this.#searched();
        return;
    }
  }

  #searched(): void {
    const sched = this.#sched;
    sched.charge(sched.costs.search);
    this.#m.cont = Cont.SEARCHED;
  }

  /** Step 12: the P is given up, unless something has come in. */
  #giveUp(): void {
    const sched = this.#sched;
    const m = this.#m;
    if (sched.gcwaiting) {
      this.#again();
      return;
    }
    if (sched.runq.length > 0) {
      sched.stats.pickGlobal += 1;
      this.#picked(globrunqget(sched, m.p as P, 0) as G);
      return;
    }
    if (!m.spinning && sched.needspinning) {
      this.#becomeSpinning();
      this.#again();
      return;
    }
    pidleput(sched, releasep(m));
    m.wasSpinning = m.spinning;
    sched.charge(sched.costs.release);
    m.cont = Cont.RELEASED;
  }

  /** Step 13: who was spinning is it no longer, and looks once more for what has come in meanwhile. */
  #released(): void {
    const sched = this.#sched;
    const m = this.#m;
    if (m.spinning) {
      m.spinning = false;
      sched.nmspinning -= 1;
      if (this.#recheckGlobal() || this.#recheckRunqs()) return;
      for (const other of sched.allp) {
        const when = wakeTime(other);
        if (when !== 0 && (m.pollUntil === 0 || when < m.pollUntil)) m.pollUntil = when;
      }
    }
    this.#pollOrPark();
  }

  #recheckGlobal(): boolean {
    const sched = this.#sched;
    if (!sched.version.recheckGlobal || sched.runq.length === 0) return false;
    const p = pidlegetSpinning(sched);
    if (p === null) return false;
    acquirep(this.#m, p);
    this.#becomeSpinning();
    this.#picked(globrunqget(sched, p, 0) as G);
    return true;
  }

  /** `checkRunqsNoP`. */
  #recheckRunqs(): boolean {
    const sched = this.#sched;
    if (!sched.allp.some((p) => !p.idle && !p.runqempty)) return false;
    const p = pidlegetSpinning(sched);
    if (p === null) return false;
    acquirep(this.#m, p);
    this.#becomeSpinning();
    this.#again();
    return true;
  }

  /** Steps 14 and 15. */
  #pollOrPark(): void {
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
      return;
    }
    if (m.pollUntil !== 0 && sched.netpollInited && (sched.pollUntil === 0 || sched.pollUntil > m.pollUntil)) {
      this.#poller.interrupt();
    }
    stopm(sched);
  }

  #blockInPoll(): void {
    const m = this.#m;
    m.cont = Cont.POLLED;
    m.slack = true;
    sleepIn(this.#sched, "epoll_pwait", this.#poller.wait(this.#events, m.pollDelay));
  }

  /** The rest of step 14, after the poll. */
  #polled(): void {
    const sched = this.#sched;
    const m = this.#m;
    const list = new GList();
    sched.chargeKernel("epoll_pwait");
    if (!this.#poller.ready(this.#events, m.ret, m.pollDelay, list)) {
      this.#blockInPoll();
      return;
    }
    sched.pollUntil = 0;
    sched.lastpoll = sched.version.lastpollAfter ? sched.nanotime() : m.pollBefore;
    const p = pidleget(sched);
    if (p === null) {
      injectglist(sched, list);
      stopm(sched);
      return;
    }
    acquirep(m, p);
    const g = list.pop();
    if (g !== null) {
      sched.stats.pickBlockingNetpoll += 1;
      this.#run(g, list);
      return;
    }
    if (m.wasSpinning) this.#becomeSpinning();
    this.#again();
  }
}
