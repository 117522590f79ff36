/**
 * The result of a litmus script for people: permitted set and histogram side by side.
 */
import type { LitmusReport, LitmusResult } from "../diff/litmus.ts";
import { litmusSums } from "../diff/litmus.ts";
import type { Io } from "./io.ts";

const PERCENT = 100;

/** One script. @param leftOut - why the kernel did not run it, or null */
export function litmusText({ report, exploration }: LitmusResult, leftOut: string | null, { style }: Io): string {
  const { file, outcomes, runs, schedules, pruned } = report;
  const lines = [style.strong(`== ${file}`)];
  const width = Math.max(String(runs).length, "seen".length);
  for (const [index, { outcome, permitted, seen }] of outcomes.entries()) {
    const number = String(index + 1).padStart(String(outcomes.length).length);
    const count = runs === 0 ? "" : `  ${String(seen).padStart(width)}`;
    const text = permitted ? outcome : style.bad(`SEEN AND NOT PERMITTED  ${outcome}`);
    lines.push(`${number}${seen === 0 && runs > 0 ? style.dim(count) : count}  ${text}`);
  }
  const { complete, preemptions } = exploration;
  const extent = complete
    ? "every schedule"
    : preemptions < 0
      ? "NOT every schedule: too many"
      : `every schedule with at most ${preemptions} preemption${preemptions === 1 ? "" : "s"} inside calls`;
  lines.push(style.dim(`${extent}: ${schedules} visited, ${pruned} branches pruned`));
  if (leftOut !== null) lines.push(style.dim(`not run on the kernel: ${leftOut}`));
  return lines.join("\n");
}

/** All scripts. @param target - title of the kernel, or null when only the model was asked */
export function sumsText(reports: readonly LitmusReport[], target: string | null, { style }: Io): string {
  const { permitted, seen, seen_not_permitted: wrong, runs, schedules, pruned } = litmusSums(reports);
  const shown = seen - wrong;
  const share = permitted === 0 ? 0 : Math.round((PERCENT * shown) / permitted);
  const lines = [];
  for (const report of reports) {
    if (target === null || reports.length < 2) break;
    const own = report.seen - report.seen_not_permitted;
    lines.push(
      style.dim(`${String(own).padStart(5)} of ${String(report.permitted).padStart(5)} shown  ${report.file}`),
    );
  }
  if (target !== null) lines.push(style.dim(`target: ${target}`));
  const verdict =
    wrong === 0 ? style.good("none seen and not permitted") : style.bad(`seen and not permitted: ${wrong}`);
  const kernel = target === null ? "" : `, runs ${runs}: permitted and seen ${shown} (${share}%), ${verdict}`;
  lines.push(`scripts ${reports.length}, schedules ${schedules}, pruned ${pruned}, permitted ${permitted}${kernel}`);
  return `${lines.join("\n")}\n`;
}
