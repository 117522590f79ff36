/**
 * Two runs of one program compared with each other, without a look at the script's expectations.
 *
 * Call by call: what it gave back and wrote, byte by byte where nothing is free (see `freedom.ts`), whether it sleeps, and
 * which sleeping calls returned while its line ran.
 */
import type { PortResult, StepResult } from "../syscalls/port.ts";
import { sameBytes } from "./abi/blocks.ts";
import { paramTypes } from "./abi/index.ts";
import { type CallRun, readRun } from "./call-decoder.ts";
import { matches } from "./compare.ts";
import { latin1, portableFdinfo, sortedFdinfo } from "./fdinfo.ts";
import { isExact, type PortableCall, portable } from "./freedom.ts";
import { printExpr } from "./printer.ts";
import { render } from "./render.ts";
import type { CallPlan, Lowered, QueryPlan, StepRange } from "./source-map.ts";

/** A place where two runs differ. */
export interface RunDifference {
  /** Index of the line in the expanded script, and its 1-based line in the file. */
  readonly index: number;
  readonly line: number;
  readonly task: string | null;
  readonly call: string;
  /** `result`, `blocked`, `output`, `argument N (NAME)`, `memory`, `woken`, `end`. */
  readonly field: string;
  readonly first: string;
  readonly second: string;
  readonly ids: readonly string[];
}

type Answered = CallPlan | QueryPlan;

/** What one run answered. */
interface Answers {
  readonly calls: ReadonlyMap<CallPlan, CallRun>;
  readonly queries: ReadonlyMap<QueryPlan, StepResult>;
}

/** Compares two runs of a lowered script, in the order of its lines. Empty when nothing differs that may not differ. */
export function compareRuns(lowered: Lowered, first: PortResult, second: PortResult): RunDifference[] {
  return new RunComparison(lowered, first, second).compare();
}

function answers(lowered: Lowered, result: PortResult): Answers {
  const calls = new Map<CallPlan, CallRun>();
  const queries = new Map<QueryPlan, StepResult>();
  readRun(lowered, result, {
    call: (run) => {
      if (run.ended) calls.set(run.plan, run);
    },
    query: (plan, step) => {
      if (step !== null) queries.set(plan, step);
    },
  });
  return { calls, queries };
}

class RunComparison {
  readonly #lowered: Lowered;
  readonly #first: PortResult;
  readonly #second: PortResult;
  readonly #found: RunDifference[] = [];

  constructor(lowered: Lowered, first: PortResult, second: PortResult) {
    this.#lowered = lowered;
    this.#first = first;
    this.#second = second;
  }

  compare(): RunDifference[] {
    const a = answers(this.#lowered, this.#first);
    const b = answers(this.#lowered, this.#second);
    for (const plan of this.#lowered.plans) {
      if (plan.kind === "call") this.#call(plan, a.calls.get(plan), b.calls.get(plan));
      else if (plan.kind === "query") this.#query(plan, a.queries.get(plan), b.queries.get(plan));
      if (plan.kind !== "dump") this.#woken(plan);
    }
    this.#ends();
    return this.#found.sort((x, y) => x.index - y.index);
  }

  #differ(index: number, call: string, field: string, first: string, second: string): void {
    const { line, ids } = this.#lowered.script.lines[index]!;
    this.#found.push({ index, line: line.line, task: line.task, call, field, first, second, ids });
  }

  #call(plan: CallPlan, a: CallRun | undefined, b: CallRun | undefined): void {
    if (a === undefined || b === undefined || isSame(plan, a, b)) return;
    const index = plan.resumedLine ?? plan.line;
    const { name } = plan.signature;
    const left = portableCall(a);
    const right = portableCall(b);
    if (left.result !== right.result) {
      const asleep = a.decoder.ret === null || b.decoder.ret === null;
      this.#differ(index, name, asleep ? "blocked" : "result", left.result, right.result);
      return;
    }
    const before = this.#found.length;
    this.#values(index, plan, left, right);
    if (this.#found.length === before && isExact(a)) this.#memory(index, plan, a, b);
  }

  #values(index: number, plan: CallPlan, left: PortableCall, right: PortableCall): void {
    const text = ({ output }: PortableCall): string => (output === null ? "nothing" : printExpr(output));
    const { name } = plan.signature;
    if (text(left) !== text(right)) this.#differ(index, name, "output", text(left), text(right));
    for (const [at, first] of left.args.entries()) {
      const second = right.args[at] ?? null;
      if (first === null || second === null || printExpr(first) === printExpr(second)) continue;
      if (matches(first, second) && matches(second, first)) continue;
      const field = `argument ${at + 1} (${plan.signature.params[at]?.name ?? "?"})`;
      this.#differ(index, name, field, printExpr(first), printExpr(second));
    }
  }

  /** Bytes that no value shows: what lies behind the last event, what a failed call left behind. */
  #memory(index: number, plan: CallPlan, a: CallRun, b: CallRun): void {
    for (const { addr, length } of plan.peeks) {
      const left = a.decoder.after(addr, length);
      const right = b.decoder.after(addr, length);
      if (left === null || right === null || sameBytes(left, right)) continue;
      const at = left.findIndex((byte, i) => byte !== right[i]);
      const text = (bytes: Uint8Array): string => `+${at}: ${hexBytes(bytes.subarray(at, at + 16))}`;
      this.#differ(index, plan.signature.name, "memory", text(left), text(right));
      return;
    }
  }

  #query(plan: QueryPlan, a: StepResult | undefined, b: StepResult | undefined): void {
    if (a === undefined || b === undefined) return;
    const first = queryText(plan, a);
    const second = queryText(plan, b);
    if (first !== second) this.#differ(plan.line, plan.name, "result", first, second);
  }

  /** Which sleeping calls returned while a line ran. */
  #woken(plan: Answered): void {
    const name = plan.kind === "call" ? plan.signature.name : plan.name;
    this.#wokenIn(plan.steps, plan.line, name);
    if (plan.kind === "call" && plan.resumedSteps !== null) this.#wokenIn(plan.resumedSteps, plan.resumedLine!, name);
  }

  #wokenIn(range: StepRange, index: number, name: string): void {
    if (range.to > Math.min(this.#first.steps.length, this.#second.steps.length)) return;
    if (nobodyWoke(this.#first, range) && nobodyWoke(this.#second, range)) return;
    const first = this.#wokenTasks(this.#first, range);
    const second = this.#wokenTasks(this.#second, range);
    if (first !== second) this.#differ(index, name, "woken", first, second);
  }

  #wokenTasks({ steps }: PortResult, { from, to }: StepRange): string {
    const woke = new Set<number>();
    for (let at = from; at < to; at += 1) {
      // a new task is none that slept
      if (this.#lowered.program.steps[at]!.op !== "spawn") for (const task of steps[at]!.woke) woke.add(task);
    }
    const names = [...woke].sort((x, y) => x - y).map((task) => this.#lowered.tasks[task] ?? String(task));
    return names.length === 0 ? "nobody" : names.join(", ");
  }

  /** Runs that ended at different places, or for different reasons. */
  #ends(): void {
    const a = this.#first;
    const b = this.#second;
    if (a.end === b.end && a.steps.length === b.steps.length) return;
    const reached = Math.min(a.steps.length, b.steps.length);
    const plan = this.#lowered.plans.findLast(
      (candidate) => candidate.kind !== "dump" && candidate.steps.from <= reached,
    );
    if (plan === undefined || plan.kind === "dump") return;
    const text = ({ end, reason }: PortResult): string => (reason === "" ? end : `${end}: ${reason}`);
    this.#differ(plan.line, plan.kind === "call" ? plan.signature.name : plan.name, "end", text(a), text(b));
  }
}

function nobodyWoke({ steps }: PortResult, { from, to }: StepRange): boolean {
  for (let at = from; at < to; at += 1) if (steps[at]!.woke.length > 0) return false;
  return true;
}

/** The common case, without decoding: the same result and the same bytes. */
function isSame(plan: CallPlan, a: CallRun, b: CallRun): boolean {
  if (a.decoder.ret !== b.decoder.ret) return false;
  return plan.peeks.every(({ addr, length }) => {
    const left = a.decoder.after(addr, length);
    const right = b.decoder.after(addr, length);
    return left === right || (left !== null && right !== null && sameBytes(left, right));
  });
}

function portableCall(run: CallRun): PortableCall {
  const types = paramTypes(run.plan.signature, (index) => run.decoder.arg(index));
  return portable(
    run,
    render(run),
    types.map((type) => type.output),
  );
}

function queryText(plan: QueryPlan, { ret, bytes }: StepResult): string {
  switch (plan.name) {
    case "fdinfo":
    case "fdinfo_order": // the machine's own: what they have in common are the items
      return bytes === null ? "none" : sortedFdinfo(portableFdinfo(latin1(bytes)));
    case "peek":
      return bytes === null ? "none" : hexBytes(bytes);
    case "blocked":
      return ret === null ? "1" : "0";
    case "poll_mask":
      return String(ret);
    case "thaw":
      return "0";
  }
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
