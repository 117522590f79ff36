/**
 * The scheduler: what an M does from one goroutine to the next.
 *
 * Counterpart: `runtime/proc.go` (`mstart`, `execute`, `park_m`, `goexit0`, `exitsyscall0` ...); the search for work is in
 * proc-find.ts, threads without work are in proc-park.ts, the stop of the world is in proc-world.ts.
 * An M is the body of a thread of the machine. Where real Go's code would sleep in a system call, `step` returns and is called again
 * with the call's result; `m.cont` says where it goes on. Scheduler work takes no time by itself: it is charged to the M, and before it
 * goes on the M sleeps off what the clock is behind. So each `m.cont` is also a moment at which other threads can do something.
 */
import { Errno } from "../../kernel/uapi/errno.ts";
import { BLOCKED } from "../../syscalls/index.ts";
import type { Syscalls } from "../syscalls.ts";
import type { StepProgram } from "../thread.ts";
import { Goexit, GoFatal, GoPanic } from "./fatal.ts";
import type { Gc } from "./gc.ts";
import { type Poller, pollBuffer } from "./netpoll-epoll.ts";
import { Finder } from "./proc-find.ts";
import { stoplockedm, stopm, stopped } from "./proc-park.ts";
import { acquirep, casgstatus, execute, gfput, handoffp, releasep, wakep } from "./proc-ready.ts";
import { exitsyscall } from "./proc-syscall.ts";
import type { World } from "./proc-world.ts";
import { runqput } from "./runq.ts";
import { type Body, Cont, type G, Gstatus, type M, type P, Trap } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import type { Sysmon } from "./sysmon.ts";

/** How a program ends, told to whoever runs it. */
export interface Ending {
  /** `panic`, or `throw`. @param g - the goroutine; null when it is none's. */
  died(error: GoPanic | GoFatal, g: G | null): void;
}

/** What the threads of one process share. */
export interface Shared {
  readonly sched: Sched;
  readonly poller: Poller;
  readonly sysmon: Sysmon;
  readonly world: World;
  readonly gc: Gc;
  readonly ending: Ending;
}

/** One M as the body of a thread. */
export class Mstart implements StepProgram {
  readonly #sched: Sched;
  readonly #poller: Poller;
  readonly #sysmon: Sysmon;
  readonly #world: World;
  readonly #gc: Gc;
  readonly #ending: Ending;
  readonly #m: M;
  #find: Finder | null = null;
  /** The thread is in a call that sleeps, not only using time. */
  #asleep = false;

  constructor({ sched, poller, sysmon, world, gc, ending }: Shared, m: M) {
    this.#sched = sched;
    this.#poller = poller;
    this.#sysmon = sysmon;
    this.#world = world;
    this.#gc = gc;
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
      m.callResult = result;
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
      if (m.inCall !== "") sched.stopAfterCall();
      else this.#goOn();
      if (m.sleeps === BLOCKED) {
        m.sleeps = 0;
        this.#asleep = true;
        return BLOCKED;
      }
    }
  }

  /** From where the M stands to the next such place. */
  #goOn(): void {
    const m = this.#m;
    switch (m.cont) {
      case Cont.RUN:
        this.#resume(m.curg as G);
        return;
      case Cont.EXITSYSCALL:
        this.#exitsyscall();
        return;
      case Cont.RAW:
        this.#takeResult(m.curg as G);
        m.cont = Cont.RUN;
        return;
      case Cont.STOPPED:
        stopped(this.#sched);
        return;
      case Cont.START:
        this.#start();
        return;
      case Cont.SYSMON:
        this.#sysmon.step(m);
        return;
      case Cont.STOPPING:
      case Cont.STARTING:
        if (this.#world.step(m)) this.#goesOn(m.curg as G);
        return;
      default:
        (this.#find as Finder).step();
    }
  }

  /** `mstart1`. */
  #start(): void {
    const m = this.#m;
    const { sys } = this.#sched;
    m.tid = sys.gettid();
    this.#sched.chargeCall("gettid");
    sys.setSigmask(false);
    if (m.isSysmon) {
      m.cont = Cont.SYSMON;
      return;
    }
    this.#find = new Finder(this.#sched, this.#poller, m, pollBuffer(this.#sched));
    if (m.nextp !== null) {
      acquirep(m, m.nextp);
      m.nextp = null;
    }
    m.cont = Cont.SCHEDULE;
  }

  // Running a goroutine

  #resume(g: G): void {
    const sched = this.#sched;
    const m = this.#m;
    // Asked again after a pause it does not begin anything: threads that pause for each other would never get on.
    if (m.trap !== Trap.BUSY) sched.charge(sched.costs.step);
    m.trap = Trap.NONE;
    m.signalPending = false;
    let done: boolean | undefined;
    try {
      done = (g.inRuntime ?? (g.body as Body)).next().done;
    } catch (error) {
      if (error instanceof Goexit) done = true;
      else if (error instanceof GoPanic) {
        this.#ending.died(error, g);
        return;
      } else throw error;
    }
    if (sched.dead) return;
    if (done === true && g.inRuntime !== null) {
      g.inRuntime = null;
      m.trap = Trap.BUSY;
      return;
    }
    m.done = done === true;
    this.#goesOn(g);
  }

  #goesOn(g: G): void {
    const m = this.#m;
    if (m.done) this.#goexit(g);
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
        if (g.gcStarts && trap === Trap.SCHED) {
          this.#startGc(g, this.#gc.startAndYield());
          return;
        }
        this.#goschedImpl(g, trap === Trap.PREEMPT);
        return;
      case Trap.GCSTART:
        // Its operation has not begun, and is asked again behind this.
        this.#startGc(g, this.#gc.start());
        return;
      case Trap.STOPTHEWORLD:
        // Behind the stop, the goroutine goes on.
        m.trap = Trap.BUSY;
        this.#world.stop(m, m.newprocs);
        return;
      case Trap.NONE:
        throw new Error(`goroutine ${g.goid} (${g.name}) yielded something that is no operation: write 'yield*'`);
    }
  }

  /** Before the goroutine goes on, it does this. */
  #startGc(g: G, start: Body): void {
    g.gcStarts = false;
    g.inRuntime = start;
    this.#m.trap = Trap.BUSY;
  }

  /** `goschedImpl`: the newest keeps whom a stop of the world has preempted where it is. */
  #goschedImpl(g: G, preempted: boolean): void {
    const sched = this.#sched;
    casgstatus(g, Gstatus.RUNNING, Gstatus.RUNNABLE);
    this.#drop(g);
    if (preempted && sched.gcwaiting && sched.version.preemptedForStopIsNext) {
      runqput(sched, this.#m.p as P, g, true);
    } else sched.runq.pushBack(g);
    if (sched.version.goschedWakes) wakep(sched);
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
      execute(sched, g, true);
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
    if (g.lockedm !== null) stoplockedm(sched);
    else stopm(sched);
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
}
