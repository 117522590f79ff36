/**
 * Two runs of one script, judged: by what the script expects (src/trace/outcome.ts), and by each other
 * (src/trace/run-diff.ts).
 *
 * Where a script permits a set of results, each world must be in the set; then the two need not be equal.
 */
import type { PortResult } from "../syscalls/port.ts";
import { outcome } from "../trace/outcome.ts";
import { compareRuns } from "../trace/run-diff.ts";
import type { Lowered } from "../trace/source-map.ts";
import type { Divergence, ScriptReport } from "./report.ts";
import type { StateFinding } from "./state-probes.ts";

/** A divergence with the index of its line, which orders lines of a loop. */
type Finding = Divergence & { readonly index: number };

const EVERY_CALL = "every call runs";

/** Collects divergences by place, so that both worlds' answers to one question stand together. */
class Findings {
  readonly #lowered: Lowered;
  readonly #found = new Map<string, Finding>();

  constructor(lowered: Lowered) {
    this.#lowered = lowered;
  }

  add(index: number, call: string, field: string, values: Pick<Divergence, "expected" | "model" | "target">): void {
    const key = `${index} ${field}`;
    const before = this.#found.get(key);
    const { line, ids } = this.#lowered.script.lines[index]!;
    const expected = values.expected ?? before?.expected ?? null;
    const model = values.model ?? before?.model ?? null;
    const target = values.target ?? before?.target ?? null;
    this.#found.set(key, { index, line: line.line, task: line.task, call, field, expected, model, target, ids });
  }

  lines(): Set<number> {
    return new Set([...this.#found.values()].map(({ index }) => index));
  }

  sorted(): Finding[] {
    return [...this.#found.values()].sort((a, b) => a.index - b.index);
  }
}

/**
 * Judges a script by its runs.
 *
 * @param target - null when only the model ran.
 * @param stateFindings - what looks between the steps found: see `ProbedProgram`.
 * @param expected - whether the script's results are expectations: those of a generated one mean nothing.
 */
export function judge(
  lowered: Lowered,
  model: PortResult,
  target: PortResult | null,
  stateFindings: readonly StateFinding[] = [],
  expected = true,
): ScriptReport {
  const { file, ids } = lowered.script;
  const findings = new Findings(lowered);
  if (expected) expectations(lowered, model, target, findings);
  if (target === null) endOfModel(lowered, model, findings);
  else betweenWorlds(lowered, model, target, findings);
  for (const { line, call, field, model: here, target: there } of stateFindings) {
    findings.add(line, call, field, { expected: null, model: here, target: there });
  }
  const calls = lowered.plans.filter((plan) => plan.kind !== "dump").length;
  const reached = Math.min(reachedCalls(lowered, model), target === null ? calls : reachedCalls(lowered, target));
  const diverged = findings.lines().size;
  return {
    file,
    ids,
    calls,
    agreed: Math.max(0, reached - diverged),
    diverged,
    skipped: null,
    divergences: findings.sorted().map(({ index: _index, ...rest }) => rest),
    unsteady: [],
  };
}

function expectations(lowered: Lowered, model: PortResult, target: PortResult | null, findings: Findings): void {
  for (const { index, call, field, expected, actual } of outcome(lowered, model).comparisons) {
    findings.add(index, call, field, { expected, model: actual, target: null });
  }
  if (target === null) return;
  for (const { index, call, field, expected, actual } of outcome(lowered, target).comparisons) {
    findings.add(index, call, field, { expected, model: null, target: actual });
  }
}

/** Where the worlds differ in something that the script says nothing about. */
function betweenWorlds(lowered: Lowered, model: PortResult, target: PortResult, findings: Findings): void {
  const judged = findings.lines();
  const free = freeLines(lowered);
  for (const { index, call, field, first, second } of compareRuns(lowered, model, target)) {
    if (judged.has(index) || (free.has(index) && field !== "end")) continue;
    if (field === "end") {
      const early = (text: string): string | null => (text === "done" ? null : text);
      findings.add(index, call, field, { expected: EVERY_CALL, model: early(first), target: early(second) });
      continue;
    }
    const [here, there] = call === "fdinfo" ? onlyDifferent(first, second) : [first, second];
    findings.add(index, call, field, { expected: null, model: here, target: there });
  }
}

/** Lines whose script permits several results. */
function freeLines({ plans }: Lowered): Set<number> {
  const lines = new Set<number>();
  for (const plan of plans) {
    if (plan.kind === "dump" || (plan.expected?.values.length ?? 0) < 2) continue;
    lines.add(plan.line);
    if (plan.kind === "call" && plan.resumedLine !== null) lines.add(plan.resumedLine);
  }
  return lines;
}

/** The lines that only one of two texts has. */
export function onlyDifferent(model: string, target: string): [string, string] {
  const a = model.split("\n");
  const b = target.split("\n");
  const rest = (mine: readonly string[], other: readonly string[]): string =>
    mine.filter((line) => !other.includes(line)).join("\n") || "no such line";
  return [rest(a, b), rest(b, a)];
}

/** A model that did not get to the end, when there is no other world to tell so. */
function endOfModel(lowered: Lowered, model: PortResult, findings: Findings): void {
  if (model.end === "done") return;
  const reached = model.steps.length;
  const plan = lowered.plans.findLast((candidate) => candidate.kind !== "dump" && candidate.steps.from <= reached);
  if (plan === undefined || plan.kind === "dump") return;
  const call = plan.kind === "call" ? plan.signature.name : plan.name;
  const ended = `${model.end}: ${model.reason}`;
  findings.add(plan.line, call, "end", { expected: EVERY_CALL, model: ended, target: null });
}

/** How many calls and queries a run came to. */
function reachedCalls({ plans }: Lowered, { steps }: PortResult): number {
  return plans.filter((plan) => plan.kind !== "dump" && plan.steps.from < steps.length).length;
}
