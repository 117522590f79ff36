/**
 * The stop of the world: every P is taken from whoever has it, one after the other, something is done, and all go on.
 *
 * Counterpart: `runtime/proc.go` (`stopTheWorldWithSema`, `startTheWorldWithSema`, `procresize`, `destroy`), `preemptall`.
 */
import type { EpollEvents } from "../user-memory.ts";
import { type Poller, pollBuffer } from "./netpoll-epoll.ts";
import {
  acquirep,
  gfpurge,
  injectglist,
  mget,
  newm,
  noteclear,
  notewakeup,
  pidleget,
  pidleput,
  preemptone,
  wakep,
} from "./proc-ready.ts";
import { claimFromSyscall, inSyscall, wakeSysmon } from "./proc-syscall.ts";
import { takeTail } from "./runq.ts";
import { Cont, GList, type M, P, Pstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { moveTimers } from "./time-heap.ts";

/** After this long without a stop everybody is asked again. */
const ASK_AGAIN_NS = 100_000;

export class World {
  readonly #sched: Sched;
  readonly #poller: Poller;
  /** Done by a collection, while nobody runs. */
  readonly #collect: () => void;
  /** Every P that there ever was, by number: a dead one is used again. */
  readonly #everyP: P[] = [];
  #events: EpollEvents | null = null;
  /** How many P's there are to be, 0 for a collection. */
  #newprocs = 0;

  constructor(sched: Sched, poller: Poller, collect: () => void) {
    this.#sched = sched;
    this.#poller = poller;
    this.#collect = collect;
  }

  /**
   * `stopTheWorldWithSema`: P's in system calls and idle ones at once; who runs is asked to.
   *
   * @param newprocs - of GOMAXPROCS; 0 for a collection.
   */
  stop(m: M, newprocs: number): void {
    const sched = this.#sched;
    this.#newprocs = newprocs;
    sched.stopwait = sched.gomaxprocs;
    sched.gcwaiting = true;
    this.#preemptall();
    (m.p as P).status = Pstatus.GCSTOP;
    sched.stopwait -= 1;
    for (const p of sched.allp) {
      if (!inSyscall(p)) continue;
      claimFromSyscall(p);
      p.status = Pstatus.GCSTOP;
      p.syscalltick += 1;
      sched.stopwait -= 1;
    }
    for (let p = pidleget(sched); p !== null; p = pidleget(sched)) {
      p.status = Pstatus.GCSTOP;
      sched.stopwait -= 1;
    }
    if (sched.stopwait > 0) this.#await(m);
    else this.#stopped(m);
  }

  /** `notetsleep` on the stop note. */
  #await(m: M): void {
    const sched = this.#sched;
    m.cont = Cont.STOPPING;
    m.sleeps = sched.sys.futexWait(sched.stopnote, 0, ASK_AGAIN_NS);
    m.slack = true;
    sched.chargeCall("futex");
  }

  /** Goes on with a stop. @returns whether the world goes on, and with it the goroutine that stopped it. */
  step(m: M): boolean {
    const sched = this.#sched;
    if (m.cont === Cont.STARTING) {
      this.#start(m);
      return true;
    }
    if (sched.stopnote.bytes[0] === 0) {
      this.#preemptall();
      this.#await(m);
      return false;
    }
    noteclear(sched.stopnote);
    this.#stopped(m);
    return false;
  }

  #stopped(m: M): void {
    const sched = this.#sched;
    if (this.#newprocs === 0) {
      this.#collect();
      sched.charge(sched.costs.gcPause);
    }
    m.cont = Cont.STARTING;
  }

  #preemptall(): void {
    for (const p of this.#sched.allp) if (p.status === Pstatus.RUNNING) preemptone(this.#sched, p);
  }

  /** `startTheWorldWithSema`. */
  #start(m: M): void {
    const sched = this.#sched;
    if (sched.netpollInited) this.#poll();
    const runnable = this.procresize(this.#newprocs === 0 ? sched.gomaxprocs : this.#newprocs);
    sched.gcwaiting = false;
    if (sched.sysmonwait) wakeSysmon(sched);
    for (let p = runnable; p !== null; ) {
      const { link, m: owner } = p;
      p.link = null;
      p.m = null;
      if (owner === null) newm(sched, p, false);
      else {
        owner.nextp = p;
        notewakeup(sched, owner.park);
      }
      p = link;
    }
    wakep(sched);
    m.cont = Cont.RUN;
  }

  #poll(): void {
    const sched = this.#sched;
    this.#events ??= pollBuffer(sched);
    const list = new GList();
    let found: number;
    do {
      found = this.#poller.wait(this.#events, 0);
      sched.chargeCall("epoll_pwait");
    } while (!this.#poller.ready(this.#events, found, 0, list));
    injectglist(sched, list);
  }

  /**
   * `procresize`: makes P's or takes them out of use; what the latter have goes to the global queue and to the running P.
   *
   * @returns P's with work, linked; each has an idle M in `m`, or none.
   */
  procresize(count: number): P | null {
    const sched = this.#sched;
    const { allp, m } = sched;
    const old = allp.length;
    for (let id = old; id < count; id += 1) allp.push(this.#newP(id));
    if (m.p !== null && m.p.id < count) m.p.status = Pstatus.RUNNING;
    else {
      if (m.p !== null) m.p.m = null;
      m.p = null;
      const first = allp[0] as P;
      first.m = null;
      first.status = Pstatus.IDLE;
      acquirep(m, first);
    }
    for (let id = count; id < old; id += 1) this.#destroy(allp[id] as P);
    allp.length = count;
    sched.gomaxprocs = count;
    let runnable: P | null = null;
    for (let id = count - 1; id >= 0; id -= 1) {
      const p = allp[id] as P;
      if (p === m.p) continue;
      p.status = Pstatus.IDLE;
      if (p.runqempty) pidleput(sched, p);
      else {
        p.m = mget(sched);
        p.link = runnable;
        runnable = p;
      }
    }
    return runnable;
  }

  #newP(id: number): P {
    const p = this.#everyP[id] ?? new P(id);
    this.#everyP[id] = p;
    p.status = Pstatus.GCSTOP;
    return p;
  }

  /** `p.destroy`: its goroutines to the head of the global queue, in their order; its timers and dead goroutines to others. */
  #destroy(p: P): void {
    const sched = this.#sched;
    while (p.runqhead !== p.runqtail) sched.runq.pushFront(takeTail(p));
    if (p.runnext !== null) {
      sched.runq.pushFront(p.runnext);
      p.runnext = null;
    }
    moveTimers(sched, sched.m.p as P, p);
    gfpurge(sched, p);
    p.status = Pstatus.DEAD;
  }
}
