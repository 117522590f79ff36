/**
 * Generated scripts against a target: what diverges is shrunk, and told once however often it appears.
 */
import { parseScript, type Script } from "../trace/script.ts";
import { type Counterexample, judgeText, shrinkTo } from "./counterexample.ts";
import { diffScripts, type Worlds } from "./engine.ts";
import { type GenerateOptions, generateScript, scriptIdentity } from "./generate.ts";
import { kindsOf } from "./kinds.ts";
import type { ScriptReport } from "./report.ts";

/** What to generate. */
export interface CampaignOptions extends GenerateOptions {
  /** Index of the first script. */
  readonly from: number;
  readonly count: number;
  /** Asked before each script. */
  readonly stopped: () => boolean;
}

/** A counterexample with its name, such as `G-7-123-epoll_wait`. */
export interface NamedCounterexample extends Counterexample {
  readonly name: string;
}

/** One generated script and what came of it. */
export interface CampaignStep {
  readonly index: number;
  readonly report: ScriptReport;
  /** One for each kind of divergence that no earlier script has shown. */
  readonly counterexamples: readonly NamedCounterexample[];
}

/** With so many kinds of divergence found in one type of files, more would tell nothing new. */
const KINDS_MAX = 20;
const CONFIRMATIONS = 4;

/** Runs generated scripts, in order. */
export async function* campaign(
  options: CampaignOptions,
  given: Worlds,
): AsyncGenerator<CampaignStep, void, undefined> {
  const worlds = { ...given, expected: false };
  const { from, count, stopped } = options;
  const seenIn = new Map<string, Set<string>>();
  let index = from;
  for await (const first of diffScripts(scripts(options), worlds)) {
    const report = await confirmed(first, index, options, worlds);
    const counterexamples: NamedCounterexample[] = [];
    const family = scriptIdentity(index, options).family?.name ?? "";
    const seen = seenIn.get(family) ?? new Set<string>();
    seenIn.set(family, seen);
    for (const kind of kindsOf(report)) {
      if (seen.has(kind) || seen.size >= KINDS_MAX || stopped()) continue;
      const small = await shrinkNew(kind, index, options, worlds, seen);
      if (small !== null) counterexamples.push(small);
    }
    yield { index, report, counterexamples };
    index += 1;
    if (stopped() || index >= from + count) return;
  }
}

/** A counterexample of a new kind; null if it is but the consequence of a known one. */
async function shrinkNew(
  kind: string,
  index: number,
  options: CampaignOptions,
  worlds: Worlds,
  seen: Set<string>,
): Promise<NamedCounterexample | null> {
  const { seed } = options;
  const { family, index: own } = scriptIdentity(index, options);
  const only = family === null ? "" : ` --only ${family.name}`;
  const origin = `found by: epollsim diff --generate 1 --from ${own} --seed ${seed}${only}`;
  const small = await shrinkTo(kind, generateScript(index, options), origin, worlds, seen);
  if (small === null) return null;
  for (const shown of kindsOf(small.report)) seen.add(shown);
  return { ...small, name: ["G", seed, own, family?.name, small.call].filter((part) => part !== undefined).join("-") };
}

/**
 * A script counts as divergent if it diverges each time, whatever the model chooses. Sleepers run on other processors, so now and
 * then one is quicker than the model's, which wait for the end of the call that wakes them.
 */
async function confirmed(
  report: ScriptReport,
  index: number,
  options: CampaignOptions,
  worlds: Worlds,
): Promise<ScriptReport> {
  let last = report;
  for (let again = 0; again < CONFIRMATIONS && kindsOf(last).length > 0; again += 1) {
    last = (await judgeText(generateScript(index, options), report.file, worlds, true)) ?? last;
  }
  return last;
}

function* scripts(options: CampaignOptions): Generator<Script, void, undefined> {
  const { seed, from, count, stopped } = options;
  for (let index = from; index < from + count && !stopped(); index += 1) {
    const { family, index: own } = scriptIdentity(index, options);
    const name = family === null ? `script ${own}` : `${family.name} ${own}`;
    yield parseScript(generateScript(index, options), `seed ${seed}, ${name}`);
  }
}
