/**
 * One divergence as a script of a few lines that anybody can run.
 */
import type { Port, PortResult } from "../syscalls/port.ts";
import type { Expr, Line } from "../trace/ast.ts";
import { int } from "../trace/build.ts";
import { readRun } from "../trace/call-decoder.ts";
import { ParseError } from "../trace/errors.ts";
import { lower } from "../trace/lower.ts";
import { outcome } from "../trace/outcome.ts";
import { printLine } from "../trace/printer.ts";
import { parseScript, type Script, type ScriptLine } from "../trace/script.ts";
import type { Lowered } from "../trace/source-map.ts";
import { diffLowered, diffOtherChoices, type Worlds } from "./engine.ts";
import { isBetweenWorlds, kindOf, kindsOf, sleepsForEver } from "./kinds.ts";
import type { ScriptReport } from "./report.ts";
import { dropLines, shrinkScript } from "./shrink.ts";

/** A small script that two worlds answer differently. */
export interface Counterexample {
  /** The call concerned. */
  readonly call: string;
  /** A script whose expectations are the target's answers. */
  readonly text: string;
  readonly report: ScriptReport;
}

/** Nothing in a generated script takes longer, even on a machine that has much else to do, unless it sleeps for ever. */
const WATCHDOG_NS = 5_000_000_000;
/** Column of the results: as far right as the longest call wants, but no further than this. */
const WIDTH_MAX = 100;

/**
 * Shrinks a script to what shows one kind of divergence.
 *
 * @param whole - a script that shows it, among others.
 * @param origin - where the script comes from: the first line of the counterexample.
 * @param known - kinds that the counterexample must not show.
 * @returns null if there is no such divergence without one of the known kinds: then it is their consequence. Null, too, if it is
 *   not there each time.
 */
export async function shrinkTo(
  kind: string,
  whole: string,
  origin: string,
  worlds: Worlds,
  known: ReadonlySet<string>,
): Promise<Counterexample | null> {
  const start = await withoutKnown(kind, whole, worlds, known);
  if (start === null) return null;
  const { asleep } = start;
  const small = await shrinkScript(start.text, async (text) => {
    const report = await judgeText(text, origin, worlds, asleep);
    return report !== null && showsOnly(kind, report, known);
  });
  const report = (await judgeText(small, origin, worlds, true)) as ScriptReport;
  const shown = report.divergences.find((found) => isBetweenWorlds(found) && kindOf(found) === kind);
  if (shown === undefined) return null; // it comes and goes
  const { call } = shown;
  const text = await withAnswers(small, worlds.targets[0] as Port, header(report, origin, worlds));
  return { call, text, report };
}

function showsOnly(kind: string, report: ScriptReport, known: ReadonlySet<string>): boolean {
  const kinds = kindsOf(report);
  return kinds.includes(kind) && !kinds.some((other) => known.has(other));
}

/** Leaves out the lines that show known kinds, until none is left. */
async function withoutKnown(
  kind: string,
  whole: string,
  worlds: Worlds,
  known: ReadonlySet<string>,
): Promise<{ text: string; asleep: boolean } | null> {
  let text = whole;
  for (;;) {
    const report = await judgeText(text, "generated", worlds, true);
    if (report === null || !kindsOf(report).includes(kind)) return null;
    if (showsOnly(kind, report, known)) return { text, asleep: sleepsForEver(report) };
    const bad = report.divergences.filter((found) => isBetweenWorlds(found) && known.has(kindOf(found)));
    text = dropLines(text, new Set(bad.map(({ line }) => line)));
  }
}

/**
 * Runs a script in both worlds.
 *
 * @param asleep - accept a script that sleeps for ever.
 * @returns null for a script that makes no sense, and unless `asleep` for one that sleeps for ever in one of the worlds.
 */
export async function judgeText(
  text: string,
  file: string,
  worlds: Worlds,
  asleep: boolean,
): Promise<ScriptReport | null> {
  const script = parseOrNull(text, file);
  const target = worlds.targets[0];
  if (script === null || target === undefined) return null;
  const lowered = lower(script, { watchdogNs: WATCHDOG_NS });
  // the target most likely sleeps where the model does, and there a sleep takes time
  if (!asleep && (await worlds.model(script).run(lowered.program)).end === "timeout") return null;
  const report = await diffLowered(lowered, worlds.model(script), target, worlds);
  if (!asleep && sleepsForEver(report)) return null;
  return report.diverged === 0 ? report : ((await diffOtherChoices(lowered, worlds, target)) ?? report);
}

function parseOrNull(text: string, file: string): Script | null {
  try {
    const script = parseScript(text, file);
    lower(script);
    return script;
  } catch (error) {
    if (error instanceof ParseError) return null;
    throw error;
  }
}

function header(report: ScriptReport, origin: string, { traits }: Worlds): string {
  const lines = [`# ${origin}`];
  if (traits.release !== null) lines.push(`# The results are those of Linux ${traits.release}.`);
  for (const { call, field, model, target } of report.divergences.filter(isBetweenWorlds).slice(0, 3)) {
    const answers = [`model ${model ?? "as expected"}`, `kernel ${target ?? "as expected"}`].join("; ");
    lines.push(`# ${call}, ${field}: ${answers}`.replaceAll("\n", " "));
  }
  return `${lines.join("\n")}\n`;
}

/** The script with the target's answers in place of its question marks, and numbers in place of its names. */
async function withAnswers(text: string, target: Port, head: string): Promise<string> {
  const lowered = lower(parseScript(text, "counterexample"));
  const result = await target.run(lowered.program);
  if (result.end !== "done") return head + text;
  const queries = queryNumbers(lowered, result);
  const lines = outcome(lowered, result).lines.map((line) => {
    const args = queries.get(line.line);
    return line.type === "call" && args !== undefined ? { ...line, args } : line;
  });
  const heads = lines.map((line) => printLine({ ...line, result: null } as Line).length + 1);
  const width = Math.max(0, ...heads.filter((length) => length <= WIDTH_MAX));
  return `${head}${lines.map((line) => printLine(line, { width })).join("\n")}\n`;
}

/** Arguments of queries by their line: an outcome has them as the script wrote them, names and all. */
function queryNumbers(lowered: Lowered, result: PortResult): Map<number, Expr[]> {
  const all = new Map<number, Expr[]>();
  const { slots, script } = lowered;
  readRun(lowered, result, {
    call: () => {},
    query: (plan, _step, values) => {
      const numbers = plan.args.map((arg) => {
        const slot = arg.kind === "var" ? slots.get(arg.name) : undefined;
        return slot === undefined ? arg : int(values[slot] ?? 0);
      });
      all.set((script.lines[plan.line] as ScriptLine).line.line, numbers);
    },
  });
  return all;
}
