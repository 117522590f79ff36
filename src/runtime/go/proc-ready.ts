/**
 * Making goroutines runnable and running, and threads for them: ready, execute, wakep, startm, handoffp, injectglist, the idle lists.
 *
 * Counterpart: `runtime/proc.go`, `runtime/lock_futex.go` (notes).
 */
import { Sig } from "../../kernel/uapi/signal.ts";
import type { UserBuffer } from "../user-memory.ts";
import { assert, GoFatal } from "./fatal.ts";
import { Alloc } from "./malloc.ts";
import { runqput, runqputbatch } from "./runq.ts";
import { type Body, Cont, G, type GList, Gstatus, type M, type P, Pstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { wakeTime } from "./time-heap.ts";

/** `casgstatus`. */
export function casgstatus(g: G, from: Gstatus, to: Gstatus): void {
  assert(g.status === from, `goroutine ${g.goid} has status ${g.status}, not ${from}`);
  g.status = to;
}

/** `ready` / `goready`: into the runnext of the current P, and wake another. */
export function goready(sched: Sched, g: G): void {
  if (g.status !== Gstatus.WAITING) throw new GoFatal("bad g->status in ready");
  g.status = Gstatus.RUNNABLE;
  sched.stats.goready += 1;
  runqput(sched, sched.m.p as P, g, true);
  wakep(sched);
}

/** `execute`: the current M runs it next. */
export function execute(sched: Sched, g: G, inheritTime: boolean): void {
  const { m } = sched;
  m.curg = g;
  g.m = m;
  casgstatus(g, Gstatus.RUNNABLE, Gstatus.RUNNING);
  g.preempt = false;
  if (!inheritTime) (m.p as P).schedtick += 1;
  m.cont = Cont.RUN;
}

/** `newproc`: the `go` statement. */
export function newproc(sched: Sched, name: string, body: Body, system = false): G {
  const p = sched.m.p as P;
  let g = gfget(sched, p);
  if (g === null) {
    g = new G(name);
    sched.mallocgc(Alloc.G, true);
  }
  sched.goidgen += 1;
  sched.stats.goroutines += 1;
  g.begin(sched.goidgen, name, body, system);
  g.parent = sched.m.curg?.goid ?? 0;
  sched.allgs.add(g);
  runqput(sched, p, g, true);
  if (sched.mainStarted) wakep(sched);
  return g;
}

const G_FREE_MAX = 64;
const G_FREE_KEEP = 32;

/** `gfget`. */
function gfget(sched: Sched, p: P): G | null {
  if (p.gFree === null) {
    while (p.gFreeCount < G_FREE_KEEP && sched.gFree !== null) {
      const g = sched.gFree;
      sched.gFree = g.schedlink;
      sched.gFreeCount -= 1;
      g.schedlink = p.gFree;
      p.gFree = g;
      p.gFreeCount += 1;
    }
  }
  const g = p.gFree;
  if (g === null) return null;
  p.gFree = g.schedlink;
  p.gFreeCount -= 1;
  g.schedlink = null;
  return g;
}

/** `gfput`: at 64 free ones half of them go to the global list. */
export function gfput(sched: Sched, p: P, gp: G): void {
  gp.schedlink = p.gFree;
  p.gFree = gp;
  p.gFreeCount += 1;
  if (p.gFreeCount >= G_FREE_MAX) spill(sched, p, G_FREE_KEEP - 1);
}

/** `gfpurge`: all of them. */
export function gfpurge(sched: Sched, p: P): void {
  spill(sched, p, 0);
}

/** Free goroutines to the global list, until so many are left. */
function spill(sched: Sched, p: P, left: number): void {
  while (p.gFreeCount > left) {
    const g = p.gFree as G;
    p.gFree = g.schedlink;
    p.gFreeCount -= 1;
    g.schedlink = sched.gFree;
    sched.gFree = g;
    sched.gFreeCount += 1;
  }
}

/** `acquirep`. */
export function acquirep(m: M, p: P): void {
  assert(m.p === null && p.m === null && p.status === Pstatus.IDLE, "acquirep: this P is not free");
  m.p = p;
  p.m = m;
  p.status = Pstatus.RUNNING;
}

/** `releasep`. */
export function releasep(m: M): P {
  const p = m.p as P;
  assert(p.m === m && p.status === Pstatus.RUNNING, "releasep: not the owner of this P");
  m.p = null;
  p.m = null;
  p.status = Pstatus.IDLE;
  return p;
}

/** `pidleput`. */
export function pidleput(sched: Sched, p: P): void {
  assert(p.runqempty, "pidleput: the P has work");
  p.link = sched.pidle;
  p.idle = true;
  sched.pidle = p;
  sched.npidle += 1;
}

/** `pidleget`: the latest that went idle. */
export function pidleget(sched: Sched): P | null {
  const p = sched.pidle;
  if (p === null) return null;
  sched.pidle = p.link;
  p.link = null;
  p.idle = false;
  sched.npidle -= 1;
  return p;
}

/** `pidlegetSpinning`: without one, somebody who is about to idle has to spin. */
export function pidlegetSpinning(sched: Sched): P | null {
  const p = pidleget(sched);
  if (p === null && sched.version.needspinning) sched.needspinning = true;
  return p;
}

/** `mput`: to the list of idle Ms, and look whether anybody is left. */
export function mput(sched: Sched, m: M): void {
  m.schedlink = sched.midle;
  sched.midle = m;
  sched.nmidle += 1;
  checkdead(sched);
}

/** `mget`: the latest that parked. */
export function mget(sched: Sched): M | null {
  const m = sched.midle;
  if (m === null) return null;
  sched.midle = m.schedlink;
  m.schedlink = null;
  sched.nmidle -= 1;
  return m;
}

/** `noteclear`. */
export function noteclear(note: UserBuffer): void {
  note.bytes[0] = 0;
}

/** `notewakeup`: one futex wake by the running thread. */
export function notewakeup(sched: Sched, note: UserBuffer): void {
  assert(note.bytes[0] === 0, "notewakeup: woken twice");
  note.bytes[0] = 1;
  sched.sys.futexWake(note, 1);
  sched.chargeCall("futex");
}

/** `startm`: a thread for `p`, or for any idle P if null. */
export function startm(sched: Sched, wanted: P | null, spinning: boolean): void {
  let p = wanted;
  if (p === null) {
    p = spinning ? pidlegetSpinning(sched) : pidleget(sched);
    if (p === null) {
      if (spinning) sched.nmspinning -= 1;
      return;
    }
  }
  const m = mget(sched);
  if (m === null) {
    newm(sched, p, spinning);
    return;
  }
  sched.stats.wokeM += 1;
  m.spinning = spinning;
  m.nextp = p;
  notewakeup(sched, m.park);
}

/** `checkmcount`. */
export function checkmcount(sched: Sched): void {
  if (sched.allm.length - sched.nmfreed <= sched.maxmcount) return;
  throw new GoFatal(`thread exhaustion: program exceeds ${sched.maxmcount}-thread limit`);
}

/** `newm`: a thread that begins with this P. */
export function newm(sched: Sched, p: P, spinning: boolean): void {
  sched.stats.newm += 1;
  const m = sched.newM();
  checkmcount(sched);
  m.nextp = p;
  m.spinning = spinning;
  sched.newosproc(m);
}

/** `wakep`. */
export function wakep(sched: Sched): void {
  const { stats } = sched;
  stats.wakep += 1;
  // The newest looks at the spinners first.
  if (sched.npidle === 0 && !sched.version.needspinning) return;
  if (sched.nmspinning !== 0) {
    stats.wakepSpinner += 1;
    return;
  }
  if (sched.npidle === 0) {
    pidlegetSpinning(sched);
    return;
  }
  stats.wakepStartm += 1;
  sched.nmspinning += 1;
  startm(sched, null, true);
}

/** `handoffp`. `p` is idle and owned by the caller. */
export function handoffp(sched: Sched, p: P): void {
  sched.stats.handoffp += 1;
  if (!p.runqempty || sched.runq.length > 0) {
    startm(sched, p, false);
    return;
  }
  if (sched.gcwaiting) {
    stopP(sched, p);
    return;
  }
  if (sched.nmspinning + sched.npidle === 0) {
    sched.nmspinning = 1;
    sched.needspinning = false;
    startm(sched, p, true);
    return;
  }
  if (sched.npidle === sched.gomaxprocs - 1 && sched.lastpoll !== 0) {
    startm(sched, p, false);
    return;
  }
  const when = wakeTime(p);
  pidleput(sched, p);
  if (when !== 0) sched.wakeNetPoller(when);
}

/** A P has stopped for who stops the world; the last one wakes him. */
export function stopP(sched: Sched, p: P): void {
  p.status = Pstatus.GCSTOP;
  sched.stopwait -= 1;
  if (sched.stopwait === 0) notewakeup(sched, sched.stopnote);
}

/** `preemptone`, `preemptM`: the goroutine's flag, and one SIGURG to its thread. */
export function preemptone(sched: Sched, p: P): void {
  const { m } = p;
  if (m === null || m.curg === null || m === sched.m) return;
  m.curg.preempt = true;
  sched.stats.preemptions += 1;
  if (m.signalPending) return;
  m.signalPending = true;
  const { sys } = sched;
  sched.stopAtEntry();
  sys.tgkill(sys.getpid(), m.tid, Sig.URG);
  sched.stopAtExit("tgkill", -1, 0);
}

/** `injectglist`. */
export function injectglist(sched: Sched, list: GList): void {
  if (list.empty) return;
  sched.stats.injected += list.length;
  for (let g = list.head; g !== null; g = g.schedlink) casgstatus(g, Gstatus.WAITING, Gstatus.RUNNABLE);
  const { p } = sched.m;
  if (p === null) {
    const count = list.length;
    for (let g = list.pop(); g !== null; g = list.pop()) sched.runq.pushBack(g);
    startIdle(sched, count);
    return;
  }
  const { npidle } = sched;
  let count = 0;
  for (; count < npidle && !list.empty; count += 1) sched.runq.pushBack(list.pop() as G);
  if (count > 0) startIdle(sched, count);
  if (!list.empty) runqputbatch(sched, p, list);
  if (sched.version.injectWakes) wakep(sched);
}

function startIdle(sched: Sched, count: number): void {
  for (let n = count; n > 0 && sched.npidle > 0; n -= 1) {
    const p = sched.version.needspinning ? pidlegetSpinning(sched) : pidleget(sched);
    if (p === null) return;
    startm(sched, p, false);
  }
}

/** `checkdead`: nobody runs, nobody waits for the world outside, no timer is pending. */
export function checkdead(sched: Sched): void {
  if (sched.dead) return;
  const run = sched.allm.length - sched.nmfreed - sched.nmidle - sched.nmidlelocked - sched.nmsys;
  if (run > 0) return;
  let waiting = 0;
  for (const g of sched.allgs) {
    if (g.system) continue;
    if (g.status === Gstatus.WAITING || g.status === Gstatus.PREEMPTED) waiting += 1;
    else if (g.status === Gstatus.RUNNABLE || g.status === Gstatus.RUNNING || g.status === Gstatus.SYSCALL) {
      throw new Error(`go runtime: checkdead: goroutine ${g.goid} is runnable`);
    }
  }
  if (waiting === 0) throw new GoFatal("no goroutines (main called runtime.Goexit) - deadlock!");
  for (const p of sched.allp) if (p.timers.length > 0) return;
  throw new GoFatal("all goroutines are asleep - deadlock!");
}
