/**
 * The bracket around a system call of a goroutine: the P may be taken away in between.
 *
 * Counterpart: `runtime/proc.go` (`entersyscall`, `exitsyscall`; ).
 */
import { acquirep, casgstatus, handoffp, notewakeup, pidleget, releasep, stopP } from "./proc-ready.ts";
import { type G, Gstatus, type M, type P, Pstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** Whether the goroutine of this P is in a system call. */
export function inSyscall(p: P): boolean {
  return p.status === Pstatus.SYSCALL || p.syscallm !== null;
}

/** `entersyscall`: no queue is touched, no thread is started. */
export function entersyscall(sched: Sched): void {
  const { m } = sched;
  const p = m.p as P;
  sched.stats.entersyscall += 1;
  casgstatus(m.curg as G, Gstatus.RUNNING, Gstatus.SYSCALL);
  if (sched.sysmonwait) wakeSysmon(sched);
  m.oldp = p;
  m.p = null;
  if (sched.version.syscallKeepsRunning) {
    p.syscallm = m;
  } else {
    p.m = null;
    p.status = Pstatus.SYSCALL;
  }
  if (sched.gcwaiting) entersyscallGcwait(sched, p);
}

/** `entersyscall_gcwait`: who stops the world need not wait for this P. */
function entersyscallGcwait(sched: Sched, p: P): void {
  claimFromSyscall(p);
  p.syscalltick += 1;
  stopP(sched, p);
}

/** `entersyscallblock`: a call known to sleep hands its P on at once. */
export function entersyscallblock(sched: Sched): void {
  const { m } = sched;
  sched.stats.entersyscall += 1;
  casgstatus(m.curg as G, Gstatus.RUNNING, Gstatus.SYSCALL);
  if (sched.sysmonwait) wakeSysmon(sched);
  const p = releasep(m);
  m.oldp = p;
  p.syscalltick += 1;
  handoffp(sched, p);
}

/** sysmon's deep sleep ends when a thread enters or leaves a system call. */
export function wakeSysmon(sched: Sched): void {
  sched.sysmonwait = false;
  notewakeup(sched, (sched.sysmon as M).park);
}

/** Takes a P out of the system call of whoever left it there. */
export function claimFromSyscall(p: P): void {
  p.status = Pstatus.IDLE;
  p.syscallm = null;
  p.m = null;
}

/**
 * `exitsyscall`: the old P, else any idle one, else the global queue.
 *
 * @returns whether the goroutine goes on; if not, the M has lost it and has to park.
 */
export function exitsyscall(sched: Sched): boolean {
  const { m, stats } = sched;
  const g = m.curg as G;
  const oldp = m.oldp as P;
  m.oldp = null;
  const kept = sched.version.syscallKeepsRunning ? oldp.syscallm === m : oldp.status === Pstatus.SYSCALL;
  if (kept) {
    claimFromSyscall(oldp);
    acquirep(m, oldp);
    stats.exitsyscallOldP += 1;
  } else {
    const p = pidleget(sched);
    if (p === null) {
      stats.exitsyscallNoP += 1;
      casgstatus(g, Gstatus.SYSCALL, Gstatus.RUNNABLE);
      g.m = null;
      m.curg = null;
      sched.runq.pushBack(g);
      return false;
    }
    if (sched.sysmonwait) wakeSysmon(sched);
    acquirep(m, p);
    stats.exitsyscallOtherP += 1;
  }
  (m.p as P).syscalltick += 1;
  casgstatus(g, Gstatus.SYSCALL, Gstatus.RUNNING);
  return true;
}
