/**
 * Timers: a heap of each P, and the marks by which other P's change them.
 *
 * Counterpart: `runtime/time.go` of Go 1.14 to 1.22.
 */
import { assert } from "./fatal.ts";
import type { P } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** Statuses of a timer. The passing ones of real Go (`timerRunning`, `timerModifying` ...) are never seen here. */
const TimerStatus = { NONE: 0, WAITING: 1, DELETED: 2, REMOVED: 3, MODIFIED_EARLIER: 4, MODIFIED_LATER: 5 } as const;
type TimerStatus = (typeof TimerStatus)[keyof typeof TimerStatus];

export const MAX_WHEN: number = Number.MAX_SAFE_INTEGER;

export class GoTimer {
  /** When it is due, in ns since boot. */
  when = 0;
  /** ns between ticks, 0 for one shot. */
  period = 0;
  nextwhen = 0;
  /** Runs on the scheduler's stack: it may ready goroutines, and may not wait. @param seq - `t.seq` at the start. */
  f: (seq: number, nowNs: number) => void;
  seq = 0;
  status: TimerStatus = TimerStatus.NONE;
  pp: P | null = null;

  constructor(f: (seq: number, nowNs: number) => void) {
    this.f = f;
  }
}

/** `siftupTimer`: four children a node. */
function siftup(heap: GoTimer[], from: number): void {
  let i = from;
  const t = heap[i] as GoTimer;
  while (i > 0) {
    const parent = (i - 1) >> 2;
    const other = heap[parent] as GoTimer;
    if (t.when >= other.when) break;
    heap[i] = other;
    i = parent;
  }
  heap[i] = t;
}

/** `siftdownTimer`. */
function siftdown(heap: GoTimer[], from: number): void {
  let i = from;
  const t = heap[i] as GoTimer;
  const n = heap.length;
  for (;;) {
    let child = 4 * i + 1;
    if (child >= n) break;
    // Go compares the two pairs first, and then the winners: equal times keep its order.
    if (child + 1 < n && whenAt(heap, child + 1) < whenAt(heap, child)) child += 1;
    let other = 4 * i + 3;
    if (other < n) {
      if (other + 1 < n && whenAt(heap, other + 1) < whenAt(heap, other)) other += 1;
      if (whenAt(heap, other) < whenAt(heap, child)) child = other;
    }
    if (whenAt(heap, child) >= t.when) break;
    heap[i] = heap[child] as GoTimer;
    i = child;
  }
  heap[i] = t;
}

function whenAt(heap: GoTimer[], i: number): number {
  return (heap[i] as GoTimer).when;
}

/** `doaddtimer`. */
function push(sched: Sched, p: P, t: GoTimer): void {
  sched.stats.timersAdded += 1;
  t.pp = p;
  t.status = TimerStatus.WAITING;
  p.timers.push(t);
  siftup(p.timers, p.timers.length - 1);
}

/** `dodeltimer0`. */
function removeFirst(p: P): void {
  const { timers } = p;
  (timers[0] as GoTimer).pp = null;
  const last = timers.pop() as GoTimer;
  if (timers.length === 0) {
    p.timerModifiedEarliest = 0;
    return;
  }
  timers[0] = last;
  siftdown(timers, 0);
}

/**
 * `addtimer`, without waking anybody.
 *
 * @returns whether it is the earliest of its heap now.
 */
export function insertTimer(sched: Sched, p: P, t: GoTimer): boolean {
  assert(t.status === TimerStatus.NONE || t.status === TimerStatus.REMOVED, "time: a timer is added twice");
  cleantimers(sched, p);
  push(sched, p, t);
  return p.timers[0] === t;
}

/** `cleantimers`: the head of the heap is neither deleted nor out of place. */
function cleantimers(sched: Sched, p: P): void {
  for (let t = p.timers[0]; t !== undefined; t = p.timers[0]) {
    if (t.status === TimerStatus.DELETED) {
      removeFirst(p);
      p.deletedTimers -= 1;
      t.status = TimerStatus.REMOVED;
    } else if (t.status === TimerStatus.MODIFIED_EARLIER || t.status === TimerStatus.MODIFIED_LATER) {
      t.when = t.nextwhen;
      removeFirst(p);
      push(sched, p, t);
    } else return;
  }
}

/** `deltimer`: marks it. @returns whether it was still to fire. */
export function deltimer(t: GoTimer): boolean {
  switch (t.status) {
    case TimerStatus.WAITING:
    case TimerStatus.MODIFIED_EARLIER:
    case TimerStatus.MODIFIED_LATER:
      t.status = TimerStatus.DELETED;
      if (t.pp !== null) t.pp.deletedTimers += 1;
      return true;
    default:
      return false;
  }
}

/** What `modtimer` leaves to its caller. */
export const Modified = { ADD: 0, EARLIER: 1, LATER: 2 } as const;
export type Modified = (typeof Modified)[keyof typeof Modified];

/** Whether `modtimer` found the timer still to fire. */
export function isPending(t: GoTimer): boolean {
  return (
    t.status === TimerStatus.WAITING ||
    t.status === TimerStatus.MODIFIED_EARLIER ||
    t.status === TimerStatus.MODIFIED_LATER
  );
}

/** `modtimer`: a timer in a heap is only marked; one in none must be added by the caller. */
export function marktimer(t: GoTimer, when: number): Modified {
  if (t.status === TimerStatus.NONE || t.status === TimerStatus.REMOVED) {
    t.when = when;
    return Modified.ADD;
  }
  const p = t.pp as P;
  if (t.status === TimerStatus.DELETED) p.deletedTimers -= 1;
  t.nextwhen = when;
  if (when >= t.when) {
    t.status = TimerStatus.MODIFIED_LATER;
    return Modified.LATER;
  }
  t.status = TimerStatus.MODIFIED_EARLIER;
  if (p.timerModifiedEarliest === 0 || when < p.timerModifiedEarliest) p.timerModifiedEarliest = when;
  return Modified.EARLIER;
}

/** `adjusttimers`: puts those that were moved forward in their places. */
function adjusttimers(sched: Sched, p: P, now: number): void {
  const earliest = p.timerModifiedEarliest;
  if (earliest === 0 || earliest > now) return;
  p.timerModifiedEarliest = 0;
  const { timers } = p;
  let kept = 0;
  for (const t of timers) {
    if (t.status === TimerStatus.DELETED) {
      t.status = TimerStatus.REMOVED;
      t.pp = null;
      p.deletedTimers -= 1;
      continue;
    }
    if (t.status !== TimerStatus.WAITING) {
      t.when = t.nextwhen;
      t.status = TimerStatus.WAITING;
      sched.stats.timersAdded += 1;
    }
    timers[kept++] = t;
  }
  timers.length = kept;
  for (let i = 1; i < kept; i += 1) siftup(timers, i);
}

/** `clearDeletedTimers`: more than a quarter of the heap is dead. */
function clearDeletedTimers(sched: Sched, p: P): void {
  p.timerModifiedEarliest = 1;
  adjusttimers(sched, p, MAX_WHEN);
}

/** `moveTimers`: those of a P that goes out of use. */
export function moveTimers(sched: Sched, to: P, from: P): void {
  for (const t of from.timers) {
    if (t.status === TimerStatus.DELETED) {
      t.status = TimerStatus.REMOVED;
      t.pp = null;
      continue;
    }
    if (t.status !== TimerStatus.WAITING) t.when = t.nextwhen;
    push(sched, to, t);
  }
  from.timers.length = 0;
  from.deletedTimers = 0;
  from.timerModifiedEarliest = 0;
}

/** `nobarrierWakeTime`: the earliest that may be due, 0 for none. */
export function wakeTime(p: P): number {
  const first = p.timers[0]?.when ?? 0;
  const modified = p.timerModifiedEarliest;
  return first === 0 || (modified !== 0 && modified < first) ? modified : first;
}

/** What `checkTimers` found. */
export interface TimerCheck {
  /** When the next is due, 0 for none. */
  pollUntil: number;
  ran: boolean;
}

/** `checkTimers`: runs what is due. @param out - reused by the caller. */
export function checkTimers(sched: Sched, p: P, own: boolean, out: TimerCheck): void {
  out.ran = false;
  out.pollUntil = 0;
  const next = wakeTime(p);
  if (next === 0) return;
  const now = sched.nanotime();
  if (now < next) {
    out.pollUntil = next;
    if (!own || p.deletedTimers <= p.timers.length >> 2) return;
  }
  if (p.timers.length > 0) {
    adjusttimers(sched, p, now);
    while (p.timers.length > 0) {
      const when = runtimer(sched, p, now);
      if (when !== 0) {
        if (when > 0) out.pollUntil = when;
        break;
      }
      out.ran = true;
    }
  }
  if (p.timers.length === 0) out.pollUntil = 0;
  if (own && p.deletedTimers > p.timers.length >> 2) clearDeletedTimers(sched, p);
}

/** `runtimer`. @returns 0 if one ran, -1 if none is left, else when the first is due. */
function runtimer(sched: Sched, p: P, now: number): number {
  for (;;) {
    const t = p.timers[0];
    if (t === undefined) return -1;
    if (t.status === TimerStatus.WAITING) {
      if (t.when > now) return t.when;
      runOneTimer(sched, p, t, now);
      return 0;
    }
    if (t.status === TimerStatus.DELETED) {
      removeFirst(p);
      p.deletedTimers -= 1;
      t.status = TimerStatus.REMOVED;
      if (p.timers.length === 0) return -1;
    } else {
      t.when = t.nextwhen;
      removeFirst(p);
      push(sched, p, t);
    }
  }
}

/** `runOneTimer`: a period keeps its phase and skips what was missed. */
function runOneTimer(sched: Sched, p: P, t: GoTimer, now: number): void {
  if (t.period > 0) {
    const late = now - t.when;
    t.when += t.period * (1 + Math.floor(late / t.period));
    siftdown(p.timers, 0);
  } else {
    removeFirst(p);
    t.status = TimerStatus.NONE;
  }
  sched.stats.timersRun += 1;
  t.f(t.seq, now);
}

/** `timeSleepUntil`: the earliest timer of all P's, `MAX_WHEN` for none. */
export function timeSleepUntil(sched: Sched): number {
  let next = MAX_WHEN;
  for (const p of sched.allp) {
    const when = wakeTime(p);
    if (when !== 0 && when < next) next = when;
  }
  return next;
}
