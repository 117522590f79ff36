/**
 * `diff --generate`: scripts that nobody wrote, and what they find.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { campaign, type NamedCounterexample } from "../diff/campaign.ts";
import type { Worlds } from "../diff/engine.ts";
import { allFamilies } from "../diff/families/index.ts";
import { OPERATIONS_PER_SCRIPT } from "../diff/family-script.ts";
import { hashText } from "../diff/mix.ts";
import type { ScriptReport } from "../diff/report.ts";
import type { DiffOptions } from "./diff.ts";
import { divergenceText } from "./diff-text.ts";
import { UserError } from "./errors.ts";
import type { Io } from "./io.ts";
import { progress } from "./progress.ts";

/** Scripts for each type, when nobody says how many. */
const DEFAULT_SCRIPTS = 10;

/** What generated scripts showed. */
export interface Generated {
  readonly reports: readonly ScriptReport[];
  /** Files of counterexamples. */
  readonly saved: readonly string[];
  /** By type of file, where types were asked for. */
  readonly types: readonly TypeSums[];
}

/** What the scripts about one type of file came to. */
export interface TypeSums {
  readonly type: string;
  scripts: number;
  operations: number;
  /** Calls and queries, the looks behind each operation among them. */
  calls: number;
  diverged: number;
  counterexamples: number;
}

/** How many scripts the options ask for. @throws UserError for a combination that means nothing. */
export function scriptsToMake({ generate, only, ops }: DiffOptions): number {
  if (ops === undefined) return generate ?? (only === undefined ? 0 : only.length * DEFAULT_SCRIPTS);
  if (only === undefined) throw new UserError("diff: --ops without --only", "say what types of files: --only all");
  if (generate !== undefined)
    throw new UserError("diff: both --ops and --generate", "each says how many scripts: leave one out");
  return only.length * Math.ceil(ops / OPERATIONS_PER_SCRIPT);
}

/** Makes up and runs scripts up to number `end`; saves counterexamples as they are found. */
export async function generated(
  worlds: Worlds,
  made: number,
  options: DiffOptions,
  io: Io,
  stopped: () => boolean,
): Promise<Generated> {
  const { from, only = [] } = options;
  // operations are those of a whole run, wherever it goes on
  const count = options.ops === undefined ? made : Math.max(0, made - from);
  const reports: ScriptReport[] = [];
  const saved: string[] = [];
  const types = only.map(({ name }) => ({
    type: name,
    scripts: 0,
    operations: 0,
    calls: 0,
    diverged: 0,
    counterexamples: 0,
  }));
  if (count === 0) return { reports, saved, types };
  const seed = seedNumber(options.seed ?? "0");
  const bar = progress(io, "generated scripts", count);
  try {
    for await (const { index, report, counterexamples } of campaign({ seed, from, count, only, stopped }, worlds)) {
      reports.push(report);
      add(types[index % types.length], report, counterexamples.length);
      bar.update(reports.length, `counterexamples ${saved.length}`);
      if (options.json || counterexamples.length > 0) bar.hide();
      if (options.json) io.out(`${JSON.stringify(report)}\n`);
      for (const counterexample of counterexamples) saved.push(save(counterexample, options, io));
    }
  } finally {
    bar.stop();
  }
  const done = from + reports.length;
  if (stopped() && done < from + count) io.err(`stopped; go on with: ${rest(options, from + count, done)}\n`);
  return { reports, saved, types };
}

function add(sums: TypeSums | undefined, { calls, diverged, skipped }: ScriptReport, counterexamples: number): void {
  if (sums === undefined || skipped !== null) return;
  sums.scripts += 1;
  sums.operations += OPERATIONS_PER_SCRIPT;
  sums.calls += calls;
  sums.diverged += diverged;
  sums.counterexamples += counterexamples;
}

/** The options that do what is left. */
function rest({ only, ops, seed = "0" }: DiffOptions, end: number, done: number): string {
  const types =
    only === undefined ? "" : `--only ${only === allFamilies ? "all" : only.map(({ name }) => name).join(",")} `;
  const amount = ops === undefined ? `--generate ${end - done}` : `--ops ${ops}`;
  return `${types}${amount} --from ${done} --seed ${seed}`;
}

function save({ name, text, report }: NamedCounterexample, options: DiffOptions, io: Io): string {
  const file = join(options.save, `${name}.strace`);
  try {
    mkdirSync(options.save, { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new UserError(`${file}: cannot be written: ${(error as Error).message}`, "--save DIR names another folder");
  }
  if (!options.json) {
    io.out(`\n${io.style.strong(file)}\n${text}`);
    for (const divergence of report.divergences) io.out(`${divergenceText(name, divergence, "kernel", io.style)}\n`);
  }
  return file;
}

/** Any text is a seed: a number is itself, other text its hash (FNV-1a). */
function seedNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  return hashText(text);
}
