/**
 * Two runs of one script, compared with the script's expectations and with each other.
 *
 * The expectations are the outcome reader's business (src/trace/outcome.ts). Between the worlds everything is compared that
 * a call gives back, except where the script grants freedom, and where a machine's own circumstances show: its clock, its
 * process, inode and port numbers.
 */
import type { PortResult, StepResult } from "../syscalls/port.ts";
import type { WordType } from "../trace/abi/context.ts";
import { paramTypes } from "../trace/abi/index.ts";
import { pollFlags } from "../trace/abi/symbols.ts";
import type { Expr, StructExpr } from "../trace/ast.ts";
import { type CallRun, readRun } from "../trace/call-decoder.ts";
import { matches } from "../trace/compare.ts";
import { portableFdinfo } from "../trace/fdinfo.ts";
import { outcome } from "../trace/outcome.ts";
import { printExpr } from "../trace/printer.ts";
import { printOutput, printResult, type Rendered, render } from "../trace/render.ts";
import type { CallPlan, Lowered, QueryPlan } from "../trace/source-map.ts";
import type { Divergence, ScriptReport } from "./report.ts";
import type { StateFinding } from "./state-probes.ts";

/** Calls that tell of the machine, not of the rules: held to the script's expectations only. */
const OWN_CIRCUMSTANCES: ReadonlySet<string> = new Set([
  "accept",
  "accept4",
  "clock_gettime",
  "fstat",
  "getpeername",
  "getpid",
  "getsockname",
  "gettid",
  "kcmp",
  "recvfrom",
  "recvmsg",
  "time",
  "timerfd_gettime",
]);

const ASLEEP = "asleep";

/** A call or a query as one world saw it. */
interface Seen {
  readonly ret: number | null;
  /** By field: what it gave back, as text. */
  readonly rendered: Rendered | null;
  readonly step: StepResult | null;
  readonly run: CallRun | null;
}

type ComparedPlan = CallPlan | QueryPlan;

/** Everything that one world showed, by plan. Plans that it did not reach are missing. */
function seen(lowered: Lowered, result: PortResult): Map<ComparedPlan, Seen> {
  const all = new Map<ComparedPlan, Seen>();
  readRun(lowered, result, {
    call: (run) => {
      if (run.ended) all.set(run.plan, { ret: run.decoder.ret, rendered: render(run), step: null, run });
    },
    query: (plan, step) => {
      if (step !== null) all.set(plan, { ret: step.ret, rendered: null, step, run: null });
    },
  });
  return all;
}

/** Collects divergences by place, so that both worlds' answers to one question stand together. */
class Findings {
  readonly #lowered: Lowered;
  readonly #found = new Map<string, Divergence & { readonly index: number }>();

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

  has(index: number): boolean {
    return this.sorted().some((finding) => finding.index === index);
  }

  sorted(): (Divergence & { readonly index: number })[] {
    return [...this.#found.values()].sort((a, b) => a.index - b.index);
  }
}

/**
 * Judges a script by its runs.
 *
 * @param target - null when only the model ran.
 * @param stateFindings - what looks between the steps found: see `ProbedProgram`.
 */
export function judge(
  lowered: Lowered,
  model: PortResult,
  target: PortResult | null,
  stateFindings: readonly StateFinding[] = [],
): ScriptReport {
  const { file, ids } = lowered.script;
  const findings = new Findings(lowered);
  for (const { index, call, field, expected, actual } of outcome(lowered, model).comparisons) {
    findings.add(index, call, field, { expected, model: actual, target: null });
  }
  const modelSaw = seen(lowered, model);
  const targetSaw = target === null ? null : seen(lowered, target);
  if (target !== null) {
    for (const { index, call, field, expected, actual } of outcome(lowered, target).comparisons) {
      findings.add(index, call, field, { expected, model: null, target: actual });
    }
  }
  const plans = lowered.plans.filter((plan) => plan.kind !== "dump");
  let compared = 0;
  for (const plan of plans) {
    const a = modelSaw.get(plan);
    const b = targetSaw === null ? a : targetSaw.get(plan);
    if (a === undefined || b === undefined) continue;
    compared += 1;
    if (target !== null) compareSeen(plan, a, b, findings);
  }
  if (target !== null) compareOrder(lowered, model, target, findings);
  for (const { line, call, field, model: here, target: there } of stateFindings) {
    findings.add(line, call, field, { expected: null, model: here, target: there });
  }
  compareEnds(lowered, model, target, findings);
  const divergences = findings.sorted();
  const lines = new Set(divergences.map(({ index }) => index));
  return {
    file,
    ids,
    calls: plans.length,
    agreed: Math.max(0, compared - lines.size),
    diverged: lines.size,
    skipped: null,
    divergences: divergences.map(({ index: _index, ...rest }) => rest),
  };
}

/** Line at which a plan's answer stands. */
function answerLine(plan: ComparedPlan): number {
  return plan.kind === "call" ? (plan.resumedLine ?? plan.line) : plan.line;
}

function compareSeen(plan: ComparedPlan, a: Seen, b: Seen, findings: Findings): void {
  if (isFree(plan)) return;
  const index = answerLine(plan);
  const differ = (field: string, model: string, target: string): void => {
    if (!findings.has(index)) findings.add(index, callName(plan), field, { expected: null, model, target });
  };
  if (plan.kind === "query") {
    compareQueries(plan, a, b, differ);
    return;
  }
  if (OWN_CIRCUMSTANCES.has(plan.signature.name)) return;
  const left = a.rendered!;
  const right = b.rendered!;
  if (a.ret !== b.ret) {
    differ(a.ret === null || b.ret === null ? "blocked" : "result", resultText(left), resultText(right));
    return;
  }
  compareOutputs(left.result?.output ?? null, right.result?.output ?? null, differ);
  const types: readonly WordType[] = paramTypes(plan.signature, (at) => a.run!.decoder.arg(at));
  for (const [at, type] of types.entries()) {
    const model = left.args[at];
    const target = right.args[at];
    if (!type.output || model === undefined || target === undefined || same(model, target)) continue;
    differ(`argument ${at + 1} (${plan.signature.params[at]!.name})`, printExpr(model), printExpr(target));
  }
}

function same(a: Expr, b: Expr): boolean {
  return printExpr(a) === printExpr(b) || matches(a, b);
}

/** The script permits several results: each world was held to the set already. */
function isFree({ expected }: ComparedPlan): boolean {
  return expected !== null && expected.values.length > 1;
}

function callName(plan: ComparedPlan): string {
  return plan.kind === "call" ? plan.signature.name : plan.name;
}

function resultText({ result }: Rendered): string {
  return result === null ? ASLEEP : printResult(result);
}

type Differ = (field: string, model: string, target: string) => void;

/** `left` is a time that passed, and `flags` repeats the result in words. */
function compareOutputs(model: StructExpr | null, target: StructExpr | null, differ: Differ): void {
  const text = (output: StructExpr | null): string => {
    if (output === null) return "nothing";
    const fields = output.fields.filter((field) => field.kind !== "named" || !["left", "flags"].includes(field.name));
    return printOutput({ ...output, fields });
  };
  if (text(model) !== text(target)) differ("output", text(model), text(target));
}

function compareQueries(plan: QueryPlan, a: Seen, b: Seen, differ: Differ): void {
  const texts: Record<QueryPlan["name"], (one: Seen) => string> = {
    fdinfo: ({ step }) => fdinfoText(step!.bytes),
    poll_mask: ({ ret }) => (ret === null ? "?" : printExpr(pollFlags.printFlags(BigInt(ret)))),
    blocked: ({ ret }) => (ret === null ? "1" : "0"),
    peek: ({ step }) => String(step!.bytes),
    thaw: () => "",
  };
  const text = texts[plan.name];
  if (text(a) !== text(b)) differ("result", text(a), text(b));
}

/** fdinfo without the machine's own numbers; the items of an epoll as a set, since their order is that of addresses. */
export function fdinfoText(bytes: Uint8Array | null): string {
  if (bytes === null) return "none";
  const text = portableFdinfo(String.fromCharCode(...bytes)).replace(/^(eventfd-id:).*$/gmu, "$1 ?");
  const lines = text.split("\n").map((line) => line.trimEnd());
  const items = lines.filter((line) => line.startsWith("tfd:")).sort();
  return [...lines.filter((line) => !line.startsWith("tfd:")), ...items].join("\n");
}

/** Which sleeping calls returned by the end of each line. */
function compareOrder(lowered: Lowered, model: PortResult, target: PortResult, findings: Findings): void {
  for (const plan of lowered.plans) {
    if (plan.kind === "dump" || isFree(plan)) continue;
    for (const range of [plan.steps, plan.kind === "call" ? plan.resumedSteps : null]) {
      if (range === null || range.to > Math.min(model.steps.length, target.steps.length)) continue;
      const a = woken(lowered, model, range.from, range.to);
      const b = woken(lowered, target, range.from, range.to);
      const index = range === plan.steps ? plan.line : answerLine(plan);
      if (a !== b) findings.add(index, callName(plan), "woken", { expected: null, model: a, target: b });
    }
  }
}

/** A new task is none that slept. */
function woken({ program, tasks }: Lowered, { steps }: PortResult, from: number, to: number): string {
  const woke = new Set<number>();
  for (let at = from; at < to; at += 1) {
    if (program.steps[at]?.op !== "spawn") for (const task of steps[at]?.woke ?? []) woke.add(task);
  }
  return woke.size === 0 ? "nobody" : [...woke].map((task) => tasks[task] ?? String(task)).join(", ");
}

/** A run that stopped early is a divergence of its own, unless both worlds sleep in the same call. */
function compareEnds(lowered: Lowered, model: PortResult, target: PortResult | null, findings: Findings): void {
  const text = (result: PortResult | null): string | null => {
    return result === null || result.end === "done" ? null : `${result.end}: ${result.reason}`;
  };
  if (text(model) === null && text(target) === null) return;
  const bothAsleep = model.end === "timeout" && target?.end === "timeout" && model.steps.length === target.steps.length;
  if (bothAsleep) return;
  const reached = Math.min(model.steps.length, target?.steps.length ?? model.steps.length);
  const plan = lowered.plans.findLast((candidate) => candidate.kind !== "dump" && candidate.steps.from <= reached);
  if (plan === undefined || plan.kind === "dump") return;
  findings.add(plan.line, callName(plan), "end", {
    expected: "every call runs",
    model: text(model),
    target: text(target),
  });
}
