/**
 * What programs cost: calls, switches, wake-ups and time asleep, counted for each process.
 */
import { callSites } from "./call-site.ts";

/** The running counts of one process. */
export class Costs {
  /** Calls by `CallSite.index`. */
  readonly calls: Float64Array = new Float64Array(callSites.length);
  /** How often one of its threads got the CPU that another had. */
  switches = 0;
  /** How often one of them went on after a sleep in a call. */
  wakeUps = 0;
  /** Time asleep in calls, in ns. */
  blockedNs = 0;
  /** Threads that it has had. */
  threads = 0;
}

/** What some processes have cost. */
export interface Counters {
  /** Calls by name, most frequent first. */
  readonly calls: ReadonlyMap<string, number>;
  readonly callsTotal: number;
  readonly switches: number;
  readonly wakeUps: number;
  /** Time asleep in calls, all threads together, in ns. */
  readonly blockedNs: number;
  readonly threads: number;
}

/** The sum of several processes. */
export function addCosts(all: Iterable<Costs>): Counters {
  const sums = { switches: 0, wakeUps: 0, blockedNs: 0, threads: 0 };
  const counts = new Float64Array(callSites.length);
  for (const costs of all) {
    sums.switches += costs.switches;
    sums.wakeUps += costs.wakeUps;
    sums.blockedNs += costs.blockedNs;
    sums.threads += costs.threads;
    for (const [index, count] of costs.calls.entries()) counts[index] = (counts[index] as number) + count;
  }
  const named = callSites.map(({ name, index }) => [name, counts[index] as number] as const);
  const calls = named.filter(([, count]) => count > 0).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return { calls: new Map(calls), callsTotal: calls.reduce((sum, [, count]) => sum + count, 0), ...sums };
}
