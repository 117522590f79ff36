/**
 * Threads without work: parked until somebody has a P for them, for good with a goroutine of their own, or while the world stands still.
 *
 * Counterpart: `runtime/proc.go` (`stopm`, `mPark`, `stoplockedm`, `startlockedm`, `gcstopm`).
 */
import { BLOCKED } from "../../syscalls/index.ts";
import { assert } from "./fatal.ts";
import { acquirep, execute, handoffp, mput, noteclear, notewakeup, releasep, stopP } from "./proc-ready.ts";
import { Cont, type G, Gstatus, type M, type P } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** The running thread makes a call that may sleep. What it returned is in `m.ret` when the M goes on. */
export function sleepIn(sched: Sched, name: string, result: number): void {
  const { m } = sched;
  if (sched.tracer !== null) {
    sched.stopAtEntry();
    m.stopsAfter(name, -1, result);
  }
  if (result === BLOCKED) m.sleeps = BLOCKED;
  else m.ret = result;
}

/** `stopm`: idle until somebody has a P for it. */
export function stopm(sched: Sched): void {
  sched.stats.stopm += 1;
  mput(sched, sched.m);
  mPark(sched);
}

function mPark(sched: Sched): void {
  const { m } = sched;
  m.cont = Cont.STOPPED;
  sleepIn(sched, "futex", sched.sys.futexWait(m.park, 0));
  sched.chargeKernel("futex");
}

/** What follows `mPark` in its callers: takes the P, and what it was woken for. */
export function stopped(sched: Sched): void {
  const { m } = sched;
  if (m.park.bytes[0] === 0) {
    mPark(sched);
    return;
  }
  noteclear(m.park);
  acquirep(m, m.nextp as P);
  m.nextp = null;
  m.cont = Cont.SCHEDULE;
  if (m.lockedg !== null && m.lockedg.status === Gstatus.RUNNABLE && m.runLocked) {
    m.runLocked = false;
    execute(sched, m.lockedg, false);
  }
}

/** `stoplockedm`: hands the P on, and waits for the turn of the goroutine that only this thread runs. */
export function stoplockedm(sched: Sched): void {
  const { m } = sched;
  if (m.p !== null) handoffp(sched, releasep(m));
  sched.nmidlelocked += 1;
  mPark(sched);
}

/** `startlockedm`: the picked goroutine has a thread of its own; that one gets the P. */
export function startlockedm(sched: Sched, g: G): void {
  const { m } = sched;
  const owner = g.lockedm as M;
  assert(owner !== m, "startlockedm: locked to me");
  sched.nmidlelocked -= 1;
  owner.nextp = releasep(m);
  owner.runLocked = true;
  notewakeup(sched, owner.park);
  stopm(sched);
}

/** `gcstopm`: the world is to stop; the P is given to who stops it. */
export function gcstopm(sched: Sched): void {
  const { m } = sched;
  assert(sched.gcwaiting, "gcstopm: nobody stops the world");
  if (m.spinning) {
    m.spinning = false;
    sched.nmspinning -= 1;
  }
  stopP(sched, releasep(m));
  stopm(sched);
}
