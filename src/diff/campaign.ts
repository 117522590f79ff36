/**
 * Generated scripts against a target: what diverges is shrunk, and told once however often it appears.
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
import { diffLowered, diffScripts, type Worlds } from "./engine.ts";
import { generateScript } from "./generate.ts";
import type { Divergence, ScriptReport } from "./report.ts";
import { shrinkScript } from "./shrink.ts";

/** What to generate. */
export interface CampaignOptions {
  readonly seed: number;
  /** Index of the first script. */
  readonly from: number;
  readonly count: number;
  /** Asked before each script. */
  readonly stopped: () => boolean;
}

/** A divergence as a script of a few lines. */
export interface Counterexample {
  /** Such as `G-7-123-epoll_wait`. */
  readonly name: string;
  /** A script whose expectations are the target's answers. */
  readonly text: string;
  readonly report: ScriptReport;
}

/** One generated script and what came of it. */
export interface CampaignStep {
  readonly index: number;
  readonly report: ScriptReport;
  /** The first script with its kind of divergence; null for the others. */
  readonly counterexample: Counterexample | null;
}

/** With so many kinds of divergence found, more would tell nothing new. */
const KINDS_MAX = 20;
/** Column of the results: as far right as the longest call wants, but no further than this. */
const WIDTH_MAX = 100;

/** Runs generated scripts, in order. */
export async function* campaign(
  options: CampaignOptions,
  worlds: Worlds,
): AsyncGenerator<CampaignStep, void, undefined> {
  const { seed, from, count, stopped } = options;
  const seen = new Set<string>();
  let index = from;
  for await (const report of diffScripts(scripts(options), worlds)) {
    const kind = kindOf(report);
    let counterexample: Counterexample | null = null;
    if (kind !== null && !seen.has(kind) && seen.size < KINDS_MAX && !stopped()) {
      counterexample = await shrinkIndex(index, seed, worlds);
      seen.add(kind);
      const shrunk = kindOf(counterexample.report);
      if (shrunk !== null && shrunk !== kind) {
        if (seen.has(shrunk)) counterexample = null;
        seen.add(shrunk);
      }
    }
    yield { index, report, counterexample };
    index += 1;
    if (stopped() || index >= from + count) return;
  }
}

function* scripts({ seed, from, count, stopped }: CampaignOptions): Generator<Script, void, undefined> {
  for (let index = from; index < from + count && !stopped(); index += 1) {
    yield parseScript(generateScript(index, { seed }), `seed ${seed}, script ${index}`);
  }
}

/** Two divergences of one kind are most likely one defect. */
function kindOf({ divergences }: ScriptReport): string | null {
  const first = divergences.find(isBetweenWorlds);
  if (first === undefined) return null;
  const { call, field, model, target } = first;
  const values = field === "result" && call !== "fdinfo" ? [shape(model), shape(target)] : [];
  return [family(call), field, ...values].join(" / ");
}

/** The three ways to wait do the same. */
function family(call: string): string {
  return call.replace(/^epoll_p?wait2?$/, "epoll_wait");
}

function sameFamily(a: Divergence, b: Divergence): boolean {
  return family(a.call) === family(b.call);
}

/** A result without its number. */
function shape(text: string | null): string {
  return text === null ? "" : text.replace(/0x[0-9a-f]+|\d+/g, "N");
}

async function shrinkIndex(index: number, seed: number, worlds: Worlds): Promise<Counterexample> {
  const file = `seed ${seed}, script ${index}`;
  const judge = async (text: string): Promise<ScriptReport | null> => {
    const script = parseOrNull(text, file);
    const target = worlds.targets[0];
    if (script === null || target === undefined) return null;
    return diffLowered(lower(script), worlds.model(script), target, worlds.state ?? false);
  };
  const whole = generateScript(index, { seed });
  const first = (await judge(whole))?.divergences.find(isBetweenWorlds);
  // the same call must differ in the same way: what shrinking itself breaks is no finding
  const small = await shrinkScript(whole, async (text) => {
    const found = (await judge(text))?.divergences.find(isBetweenWorlds);
    return found !== undefined && first !== undefined && found.field === first.field && sameFamily(found, first);
  });
  const report = (await judge(small)) as ScriptReport;
  const call = report.divergences[0]?.call ?? "end";
  const text = await withAnswers(small, worlds.targets[0] as Port, header(report, index, seed, worlds));
  return { name: `G-${seed}-${index}-${call}`, text, report };
}

/** Not one where both worlds contradict the script alike. */
function isBetweenWorlds({ model, target }: Divergence): boolean {
  return model !== target;
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

function header(report: ScriptReport, index: number, seed: number, { traits }: Worlds): string {
  const lines = [`# Found by a generated script: epollsim diff --generate 1 --from ${index} --seed ${seed}`];
  if (traits.release !== null) lines.push(`# The results are those of Linux ${traits.release}.`);
  for (const { call, field, model, target } of report.divergences.slice(0, 3)) {
    lines.push(
      `# The model said of ${call}, ${field}: ${model ?? "the same"}, not ${target ?? "that"}`.replaceAll("\n", " "),
    );
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
