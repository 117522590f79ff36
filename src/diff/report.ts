/**
 * What a comparison of two worlds found.
 */

/** One thing that is not as it should be. */
export interface Divergence {
  /** 1-based line of the script. */
  readonly line: number;
  readonly task: string | null;
  /** Name of the call; empty when the run as a whole went wrong. */
  readonly call: string;
  /** `result`, `output`, `blocked`, `argument 2 (events)`, `order` (of calls that sleep), `end` (of the run), `state`. */
  readonly field: string;
  /** What the script expects; null where it leaves that open. */
  readonly expected: string | null;
  /** What the model did; null if it did as expected. */
  readonly model: string | null;
  /** What the target did; null if it did as expected, or did not run. */
  readonly target: string | null;
  /** Rows of the catalogue that the line belongs to. */
  readonly ids: readonly string[];
}

/** What became of one script. */
export interface ScriptReport {
  readonly file: string;
  /** Every row that the script names. */
  readonly ids: readonly string[];
  /** Calls and queries of the script; 0 for a skipped one. */
  readonly calls: number;
  readonly agreed: number;
  /** Calls with at least one divergence. */
  readonly diverged: number;
  /** Why the target did not run it; null if it did. */
  readonly skipped: string | null;
  readonly divergences: readonly Divergence[];
  /** What a first run on the target showed, and a second one did not: the script agrees, but not every time. */
  readonly unsteady: readonly Divergence[];
}

/** What became of a row of the catalogue. */
export type RowStatus = "agreed" | "diverged" | "not-shown";

/** Several reports in one. */
export interface Summary {
  readonly scripts: number;
  readonly calls: number;
  readonly agreed: number;
  readonly diverged: number;
  readonly rows: Readonly<Record<string, RowStatus>>;
  readonly counterexamples: readonly string[];
}

/**
 * Sums up.
 *
 * @param notShown - rows of the catalogue that no script shows.
 * @param counterexamples - files with what generated scripts found.
 */
export function summarize(
  reports: readonly ScriptReport[],
  notShown: Iterable<string>,
  counterexamples: readonly string[],
): Summary {
  const rows = new Map<string, RowStatus>();
  for (const id of notShown) rows.set(id, "not-shown");
  for (const report of reports) {
    for (const id of report.ids)
      if (!rows.has(id) || report.skipped === null) rows.set(id, better(rows.get(id), report));
  }
  for (const { divergences } of reports)
    for (const { ids } of divergences) for (const id of ids) rows.set(id, "diverged");
  const sum = (of: (report: ScriptReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  return {
    scripts: reports.length,
    calls: sum((report) => report.calls),
    agreed: sum((report) => report.agreed),
    diverged: sum((report) => report.diverged),
    rows: Object.fromEntries([...rows].sort(([a], [b]) => compareIds(a, b))),
    counterexamples,
  };
}

function better(before: RowStatus | undefined, report: ScriptReport): RowStatus {
  if (report.skipped !== null) return before ?? "not-shown";
  return before === "diverged" ? before : "agreed";
}

/** `E-081` before `E-1000`, `E` before `P`. */
export function compareIds(a: string, b: string): number {
  const [letterA = "", numberA = "0"] = a.split("-");
  const [letterB = "", numberB = "0"] = b.split("-");
  if (letterA !== letterB) return letterA < letterB ? -1 : 1;
  return Number.parseInt(numberA, 10) - Number.parseInt(numberB, 10) || (a < b ? -1 : a > b ? 1 : 0);
}
