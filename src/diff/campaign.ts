/**
 * Generated scripts against a target: what diverges is shrunk, and told once however often it appears.
 */
import type { Port } from "../syscalls/port.ts";
import { ParseError } from "../trace/errors.ts";
import { lower } from "../trace/lower.ts";
import { outcome } from "../trace/outcome.ts";
import { printLine } from "../trace/printer.ts";
import { parseScript, type Script } from "../trace/script.ts";
import { diffLowered, diffScripts, type Worlds } from "./engine.ts";
import { generateScript } from "./generate.ts";
import type { ScriptReport } from "./report.ts";
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

const WIDTH = 72;

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
    if (kind !== null && !seen.has(kind) && !stopped()) {
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
  const [first] = divergences;
  if (first === undefined) return null;
  const { call, field, model, target } = first;
  return [call, field, shape(model), shape(target)].join(" / ");
}

/** A value without its numbers. */
function shape(text: string | null): string {
  return text === null
    ? ""
    : text.replace(/0x[0-9a-f]+|\d+/g, "N").replace(/(\{[^{}]*(\{[^{}]*\})?[^{}]*\}(, )?)+/g, "{}");
}

async function shrinkIndex(index: number, seed: number, worlds: Worlds): Promise<Counterexample> {
  const file = `seed ${seed}, script ${index}`;
  const judge = async (text: string): Promise<ScriptReport | null> => {
    const script = parseOrNull(text, file);
    const target = worlds.targets[0];
    if (script === null || target === undefined) return null;
    return diffLowered(lower(script), worlds.model(script), target, worlds.state ?? false);
  };
  const small = await shrinkScript(generateScript(index, { seed }), async (text) => {
    return ((await judge(text))?.diverged ?? 0) > 0;
  });
  const report = (await judge(small)) as ScriptReport;
  const call = report.divergences[0]?.call ?? "end";
  const text = await withAnswers(small, worlds.targets[0] as Port, header(report, index, seed, worlds));
  return { name: `G-${seed}-${index}-${call}`, text, report };
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

/** The script with the target's answers in place of its question marks. */
async function withAnswers(text: string, target: Port, head: string): Promise<string> {
  const lowered = lower(parseScript(text, "counterexample"));
  const result = await target.run(lowered.program);
  if (result.end !== "done") return head + text;
  const lines = outcome(lowered, result).lines.map((line) => printLine(line, { width: WIDTH }));
  return `${head}${lines.join("\n")}\n`;
}
