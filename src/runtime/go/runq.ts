/**
 * Run queues: the ring and the runnext of each P, and the global queue.
 *
 * Counterpart: `runtime/proc.go` (`runqput`, `runqget`, `runqgrab`, `globrunqget` ...).
 */
import { type G, type GList, type P, Pstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** Half of the 256 slots of a ring: what a full ring gives to the global queue, and the most that is taken from there. */
const HALF = 128;
const SIZE = 256;
const MASK = 255;

/** `runqput`. */
export function runqput(sched: Sched, p: P, g: G, next: boolean): void {
  let gp = g;
  if (next) {
    const old = p.runnext;
    p.runnext = gp;
    if (old === null) return;
    gp = old;
  }
  if (p.runqtail - p.runqhead < SIZE) {
    p.runq[p.runqtail & MASK] = gp;
    p.runqtail += 1;
    return;
  }
  for (let i = 0; i < HALF; i += 1) {
    sched.runq.pushBack(takeHead(p));
  }
  sched.runq.pushBack(gp);
}

function takeHead(p: P): G {
  const slot = p.runqhead & MASK;
  const g = p.runq[slot] as G;
  p.runq[slot] = null;
  p.runqhead += 1;
  return g;
}

/** `runqget`: runnext first, and that one inherits the time slice (`p.inheritTime`, R-024). */
export function runqget(sched: Sched, p: P): G | null {
  const next = p.runnext;
  if (next !== null) {
    p.runnext = null;
    p.inheritTime = true;
    sched.stats.pickRunnext += 1;
    return next;
  }
  p.inheritTime = false;
  if (p.runqhead === p.runqtail) return null;
  sched.stats.pickLocal += 1;
  return takeHead(p);
}

/** `globrunqget`: a share of the global queue; the first is returned, the others go to the ring. @param max - 0 for no limit. */
export function globrunqget(sched: Sched, p: P, max: number): G | null {
  const { runq } = sched;
  if (runq.length === 0) return null;
  let n = Math.min(runq.length, Math.floor(runq.length / sched.gomaxprocs) + 1, HALF);
  if (max > 0) n = Math.min(n, max);
  const g = runq.pop();
  for (n -= 1; n > 0; n -= 1) runqput(sched, p, runq.pop() as G, false);
  p.inheritTime = false;
  return g;
}

/** `runqputbatch`: as many as fit; the rest goes to the global queue. */
export function runqputbatch(sched: Sched, p: P, list: GList): void {
  while (!list.empty && p.runqtail - p.runqhead < SIZE) {
    p.runq[p.runqtail & MASK] = list.pop();
    p.runqtail += 1;
  }
  for (let g = list.pop(); g !== null; g = list.pop()) sched.runq.pushBack(g);
}

/** What a thief got, and what it has to do before it may look at a runnext. */
export const Grab = { NOTHING: 0, GOT: 1, SLEEP: 2 } as const;
export type Grab = (typeof Grab)[keyof typeof Grab];

/**
 * `runqsteal`: half of the victim's ring, rounded up, into the ring of `p` (R-048). The last one is `p.runnext`'s stand-in: it is
 * taken out with `takeTail`.
 *
 * @param stealRunNext - on the last pass: an empty ring's runnext may be taken too (R-049).
 * @param slept - the thief has already waited for the victim to run it.
 */
export function runqsteal(sched: Sched, p: P, victim: P, stealRunNext: boolean, slept: boolean): Grab {
  let n = victim.runqtail - victim.runqhead;
  n -= n >> 1;
  if (n === 0) {
    if (!stealRunNext || victim.runnext === null) return Grab.NOTHING;
    const inSyscall = sched.version.syscallKeepsRunning && victim.syscallm !== null;
    if (victim.status === Pstatus.RUNNING && !inSyscall && !slept) return Grab.SLEEP;
    p.runq[p.runqtail & MASK] = victim.runnext;
    p.runqtail += 1;
    victim.runnext = null;
    sched.stats.stolen += 1;
    return Grab.GOT;
  }
  sched.stats.stolen += n;
  for (; n > 0; n -= 1) {
    p.runq[p.runqtail & MASK] = takeHead(victim);
    p.runqtail += 1;
  }
  return Grab.GOT;
}

/** The last of the stolen ones is run at once. */
export function takeTail(p: P): G {
  p.runqtail -= 1;
  const slot = p.runqtail & MASK;
  const g = p.runq[slot] as G;
  p.runq[slot] = null;
  p.inheritTime = false;
  return g;
}
