/**
 * Work stealing.
 *
 * Counterpart: `runtime/proc.go` (`stealWork`, `randomOrder`; ).
 */
import { Grab, runqget, runqsteal, takeTail } from "./runq.ts";
import type { G, M, P } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { checkTimers, type TimerCheck, wakeTime } from "./time-heap.ts";

const PASSES = 4;

/** What `stealWork` came to. */
export const Steal = { NOTHING: 0, GOT: 1, RESTART: 2, SLEEP: 3 } as const;
export type Steal = (typeof Steal)[keyof typeof Steal];

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** `randomOrder`: a random start, and a random step that is coprime to the number of P's. */
function stealOrder(sched: Sched, order: number[]): void {
  const n = sched.gomaxprocs;
  const coprimes: number[] = [];
  for (let i = 1; i <= n; i += 1) if (gcd(i, n) === 1) coprimes.push(i);
  const start = sched.host.choose("go.steal.start", n);
  const step = coprimes[sched.host.choose("go.steal.step", coprimes.length)] as number;
  order.length = 0;
  for (let i = 0; i < n; i += 1) order.push((start + i * step) % n);
}

const timers: TimerCheck = { pollUntil: 0, ran: false };

/**
 * Four passes over all P's. A thief that has to wait before it may take a runnext stops with `SLEEP` and is called again: `m.stealAt`
 * says where it stood. `m.pollUntil` becomes the earliest timer seen; what was got, `stolen` gives.
 */
export function stealWork(sched: Sched, m: M): Steal {
  const p = m.p as P;
  const n = sched.gomaxprocs;
  const resumed = m.stealAt > 0;
  if (!resumed) m.ranTimer = false;
  let from = resumed ? m.stealAt - 1 : 0;
  m.stealAt = 0;
  let slept = resumed;
  for (; from < PASSES * n; from += 1) {
    // The P is wanted by who stops the world.
    if (sched.gcwaiting) return Steal.RESTART;
    if (from % n === 0 && !slept) stealOrder(sched, m.stealOrder);
    const last = from >= (PASSES - 1) * n;
    const victim = sched.allp[m.stealOrder[from % n] as number] as P;
    if (victim === p) continue;
    if (last && !slept && wakeTime(victim) !== 0) {
      checkTimers(sched, victim, false, timers);
      if (timers.pollUntil !== 0 && (m.pollUntil === 0 || timers.pollUntil < m.pollUntil))
        m.pollUntil = timers.pollUntil;
      if (timers.ran) {
        // What the timers readied is on the thief's own queue.
        if (!p.runqempty) return Steal.GOT;
        m.ranTimer = true;
      }
    }
    if (victim.idle) {
      slept = false;
      continue;
    }
    const grab = runqsteal(sched, p, victim, last, slept);
    slept = false;
    if (grab === Grab.GOT) {
      m.stolen = takeTail(p);
      return Steal.GOT;
    }
    if (grab === Grab.SLEEP) {
      m.stealAt = from + 1;
      return Steal.SLEEP;
    }
  }
  return m.ranTimer ? Steal.RESTART : Steal.NOTHING;
}

/** The goroutine that a successful `stealWork` is about. */
export function stolen(sched: Sched, m: M): G {
  const g = m.stolen;
  m.stolen = null;
  sched.stats.pickSteal += 1;
  if (g !== null) return g;
  const own = runqget(sched, m.p as P) as G;
  // Counted where real Go counts it: not as a pick from the own queue.
  if ((m.p as P).inheritTime) sched.stats.pickRunnext -= 1;
  else sched.stats.pickLocal -= 1;
  return own;
}
