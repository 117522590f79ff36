/**
 * Generated scripts against a target: what diverges is shrunk, and told once however often it appears.
 */
import { parseScript, type Script } from "../trace/script.ts";
import { type Counterexample, judgeText, shrinkTo } from "./counterexample.ts";
import { diffScripts, type Worlds } from "./engine.ts";
import { generateScript } from "./generate.ts";
import { kindsOf } from "./kinds.ts";
import type { ScriptReport } from "./report.ts";

/** What to generate. */
export interface CampaignOptions {
  readonly seed: number;
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

/** With so many kinds of divergence found, more would tell nothing new. */
const KINDS_MAX = 20;
const CONFIRMATIONS = 2;

/** Runs generated scripts, in order. */
export async function* campaign(
  options: CampaignOptions,
  worlds: Worlds,
): AsyncGenerator<CampaignStep, void, undefined> {
  const { seed, from, count, stopped } = options;
  const seen = new Set<string>();
  let index = from;
  for await (const first of diffScripts(scripts(options), worlds)) {
    const report = await confirmed(first, index, seed, worlds);
    const counterexamples: NamedCounterexample[] = [];
    for (const kind of kindsOf(report)) {
      if (seen.has(kind) || seen.size >= KINDS_MAX || stopped()) continue;
      const small = await shrinkNew(kind, index, seed, worlds, seen);
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
  seed: number,
  worlds: Worlds,
  seen: Set<string>,
): Promise<NamedCounterexample | null> {
  const origin = `found by: epollsim diff --generate 1 --from ${index} --seed ${seed}`;
  const small = await shrinkTo(kind, generateScript(index, { seed }), origin, worlds, seen);
  if (small === null) return null;
  for (const shown of kindsOf(small.report)) seen.add(shown);
  return { ...small, name: `G-${seed}-${index}-${small.call}` };
}

/**
 * A divergence counts if it is there again each time, whatever the model chooses. Sleepers run on other processors, so now and
 * then one is quicker than the model's, which wait for the end of the call that wakes them.
 */
async function confirmed(report: ScriptReport, index: number, seed: number, worlds: Worlds): Promise<ScriptReport> {
  const [kind] = kindsOf(report);
  if (kind === undefined) return report;
  for (let again = 0; again < CONFIRMATIONS; again += 1) {
    const next = await judgeText(generateScript(index, { seed }), report.file, worlds, true);
    if (next !== null && kindsOf(next)[0] !== kind) return next;
  }
  return report;
}

function* scripts({ seed, from, count, stopped }: CampaignOptions): Generator<Script, void, undefined> {
  for (let index = from; index < from + count && !stopped(); index += 1) {
    yield parseScript(generateScript(index, { seed }), `seed ${seed}, script ${index}`);
  }
}
