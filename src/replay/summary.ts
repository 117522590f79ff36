/**
 * The classes of a replayed call, and their counts.
 *
 * The table of docs/replay.md; the names are the contract of `replay --json`.
 */

/** `agreed`, `diverged`: predicted, and right or wrong. `assumed`: taken from the recording. */
export type CallClass = "agreed" | "diverged" | "assumed" | "unsupported" | "ignored";

/** A prediction that the recording contradicts. */
export interface Divergence {
  /** Line of the call's entry, and of its result. */
  readonly line: number | null;
  readonly exit_line: number | null;
  readonly task: string | null;
  readonly call: string;
  /** What part of the call differs: `result`, or the name of an argument. */
  readonly field: string;
  readonly recorded: string;
  readonly predicted: string;
}

export interface ReplaySummary {
  readonly file: string;
  readonly calls: number;
  readonly agreed: number;
  readonly diverged: number;
  readonly assumed: number;
  readonly unsupported: number;
  readonly ignored: number;
  readonly unsupported_calls: Readonly<Record<string, number>>;
  readonly first_divergence: Divergence | null;
}

/** Divergences that are kept in full; the rest is counted. */
const KEPT = 1000;

export class Tally {
  readonly counts: Record<CallClass, number> = { agreed: 0, diverged: 0, assumed: 0, unsupported: 0, ignored: 0 };
  readonly divergences: Divergence[] = [];
  readonly #unsupported = new Map<string, number>();

  count(kind: Exclude<CallClass, "diverged" | "unsupported">): void {
    this.counts[kind] += 1;
  }

  diverged(divergence: Divergence): void {
    this.counts.diverged += 1;
    if (this.divergences.length < KEPT) this.divergences.push(divergence);
  }

  unsupported(name: string): void {
    this.counts.unsupported += 1;
    this.#unsupported.set(name, (this.#unsupported.get(name) ?? 0) + 1);
  }

  summary(file: string): ReplaySummary {
    const { agreed, diverged, assumed, unsupported, ignored } = this.counts;
    const names = [...this.#unsupported].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    return {
      file,
      calls: agreed + diverged + assumed + unsupported + ignored,
      agreed,
      diverged,
      assumed,
      unsupported,
      ignored,
      unsupported_calls: Object.fromEntries(names),
      first_divergence: this.divergences[0] ?? null,
    };
  }
}

/** The sums over several files. */
export function addSummaries(summaries: readonly ReplaySummary[]): ReplaySummary {
  const names = new Map<string, number>();
  const sum = { calls: 0, agreed: 0, diverged: 0, assumed: 0, unsupported: 0, ignored: 0 };
  for (const summary of summaries) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += summary[key];
    for (const [name, count] of Object.entries(summary.unsupported_calls)) {
      names.set(name, (names.get(name) ?? 0) + count);
    }
  }
  const sorted = [...names].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return {
    file: "total",
    ...sum,
    unsupported_calls: Object.fromEntries(sorted),
    first_divergence: summaries.find((summary) => summary.first_divergence !== null)?.first_divergence ?? null,
  };
}
