/**
 * What happened when a script ran: the trace of the run in strace's own form, and where it differs from the script's
 * expectations.
 */
import { Errno } from "../kernel/uapi/errno.ts";
import type { PortResult, StepResult } from "../syscalls/port.ts";
import { contentOf } from "./abi/blocks.ts";
import { evalBig, type Variables } from "./abi/evaluate.ts";
import { paramTypes } from "./abi/index.ts";
import { pollFlags } from "./abi/symbols.ts";
import type { ArrayExpr, CallLine, Expr, Line, Result, StrExpr } from "./ast.ts";
import { array, ellipsis, int, str } from "./build.ts";
import { type CallRun, readRun } from "./call-decoder.ts";
import { matches, sameItems } from "./compare.ts";
import { fdinfoItems, latin1, portableFdinfo, printItems } from "./fdinfo.ts";
import { printExpr } from "./printer.ts";
import {
  failure,
  firstHalf,
  printOutput,
  printResult,
  type Rendered,
  registerValue,
  render,
  secondHalf,
  success,
  wholeLine,
} from "./render.ts";
import type { CallPlan, Lowered, QueryPlan } from "./source-map.ts";
import { rebuild } from "./walk.ts";

/** A difference between a script's expectation and a run. */
export interface Comparison {
  /** 1-based line of the script file that holds the expectation. */
  readonly line: number;
  /** Index of that line in the expanded script. */
  readonly index: number;
  readonly task: string | null;
  readonly call: string;
  /** `result`, `output`, `blocked`, or `argument N (NAME)` counted from 1. */
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
  /** Rows of the catalogue that the line belongs to. */
  readonly ids: readonly string[];
}

/** What came of a run. */
export interface Outcome {
  /** The script's lines with its calls as they went. Ends where the run ended. */
  readonly lines: readonly Line[];
  /** Everything that is not as expected. */
  readonly comparisons: readonly Comparison[];
  /** How many expectations were checked. */
  readonly checked: number;
  readonly end: PortResult["end"];
  /** Why the run ended early, in words. */
  readonly reason: string;
}

/** Reads the results of a run. */
export function outcome(lowered: Lowered, result: PortResult): Outcome {
  return new OutcomeReader(lowered, result).read();
}

const ASLEEP = "asleep";

class OutcomeReader {
  readonly #lowered: Lowered;
  readonly #result: PortResult;
  readonly #comparisons: Comparison[] = [];
  /** What became of the script's lines, by their index; several where a call ended that should have slept. */
  readonly #made = new Map<number, Line[]>();
  #checked = 0;

  constructor(lowered: Lowered, result: PortResult) {
    this.#lowered = lowered;
    this.#result = result;
  }

  read(): Outcome {
    const { slots } = this.#lowered;
    const variables = (values: readonly number[]): Variables => {
      return (name) => {
        const slot = slots.get(name);
        return slot === undefined ? null : BigInt(values[slot] ?? 0);
      };
    };
    readRun(this.#lowered, this.#result, {
      call: (run, values) => this.#call(run, variables(values)),
      query: (plan, step, values) => this.#query(plan, step, variables(values)),
    });
    const { end, reason } = this.#result;
    this.#comparisons.sort((a, b) => a.index - b.index);
    return { lines: this.#lines(), comparisons: this.#comparisons, checked: this.#checked, end, reason };
  }

  /** Comments, directives and the like stay where they are, up to the last line that ran. */
  #lines(): Line[] {
    const last = Math.max(-1, ...this.#made.keys());
    const complete = this.#result.end === "done";
    const lines: Line[] = [];
    for (const [index, { line }] of this.#lowered.script.lines.entries()) {
      if (!complete && index > last) break;
      const made = this.#made.get(index);
      if (made !== undefined) lines.push(...made);
      else if (line.type !== "call" && line.type !== "resumed") lines.push(line);
    }
    return lines;
  }

  #make(index: number, line: Line): void {
    const made = this.#made.get(index);
    if (made === undefined) this.#made.set(index, [line]);
    else made.push(line);
  }

  // calls

  #call(run: CallRun, variables: Variables): void {
    const { plan, decoder } = run;
    const stuck = this.#isStuck(plan);
    if (!run.entered && !stuck) return;
    const rendered = render(run);
    this.#callLines(plan, rendered);
    if (plan.par) return; // an outcome, not an expectation
    if (plan.blockedStep !== null) {
      if (!run.ended) return;
      this.#check(plan.line, plan.signature.name, "blocked", ASLEEP, decoder.ret === null, () => printActual(rendered));
    } else if (plan.expected !== null && (run.ended || stuck)) {
      this.#compareCall(run, rendered, plan.expected, variables);
    }
  }

  /** The run ended because this call never returned. */
  #isStuck(plan: CallPlan): boolean {
    const reached = this.#result.steps.length;
    return this.#result.end === "timeout" && (plan.callStep === reached || plan.resultStep === reached);
  }

  #callLines(plan: CallPlan, rendered: Rendered): void {
    const { line } = this.#lowered.script.lines[plan.line]!;
    const call = line as CallLine;
    const { result } = rendered;
    if (plan.resumedLine === null) {
      const whole = result !== null && (!call.unfinished || plan.blockedStep !== null);
      this.#make(plan.line, whole ? wholeLine(call, rendered) : firstHalf(call, rendered, true));
      return;
    }
    this.#make(plan.line, firstHalf(call, rendered, false));
    const at = this.#lowered.script.lines[plan.resumedLine]!.line.line;
    if (result !== null) this.#make(plan.resumedLine, secondHalf(call, at, rendered));
  }

  #compareCall(run: CallRun, rendered: Rendered, expected: Result, variables: Variables): void {
    const { plan, decoder } = run;
    const name = plan.signature.name;
    const at = plan.resumedLine ?? plan.line;
    const { result } = rendered;
    if (!plan.signature.noReturn) {
      const asExpected = decoder.ret !== null && resultMatches(expected, decoder.ret, variables);
      const unasked = expected.values.length === 1 && isUnknown(expected.values[0]!);
      const field = result === null ? "blocked" : "result";
      if (!unasked || result === null) {
        this.#check(at, name, field, printResult(expected), asExpected, () => printActual(rendered));
      }
    }
    if (result === null || decoder.ret === null) return;
    this.#compareArguments(run, rendered, at, variables);
    if (expected.output === null || decoder.ret < 0) return;
    const { output } = result;
    const same = output !== null && outputMatches(expected.output.fields, output.fields, variables);
    this.#check(at, name, "output", printOutput(expected.output), same, () =>
      output === null ? "nothing" : printOutput(output),
    );
  }

  #compareArguments(run: CallRun, rendered: Rendered, at: number, variables: Variables): void {
    const { plan, decoder } = run;
    const types = paramTypes(plan.signature, (index) => decoder.arg(index));
    for (const [index, type] of types.entries()) {
      const written = plan.args[index];
      const expected = written === undefined || !type.output ? null : contentOf(written);
      if (expected === null) continue;
      let actual: Expr | null = rendered.args[index]!;
      let wanted = expected;
      if (decoder.ret! < 0) {
        // only what the script placed at an address of its own is expected there after a failure
        if (written!.kind !== "at") continue;
        const bytes = decoder.after(registerValue(run, index), Number.POSITIVE_INFINITY);
        actual = bytes === null || type.target === null ? null : type.target.decode(bytes, decoder);
        wanted = openEnded(expected);
      }
      const field = `argument ${index + 1} (${plan.signature.params[index]!.name})`;
      const same = actual !== null && matches(wanted, actual, variables);
      this.#check(at, plan.signature.name, field, printExpr(expected), same, () =>
        actual === null ? "nothing" : printExpr(actual),
      );
    }
  }

  // queries

  #query(plan: QueryPlan, step: StepResult | null, variables: Variables): void {
    if (step === null) return;
    const { line } = this.#lowered.script.lines[plan.line]!;
    const actual = queryResult(plan, step);
    const args = plan.args.map((arg) => withValues(arg, variables));
    this.#make(plan.line, { ...(line as CallLine), args, result: actual });
    if (plan.expected === null) return;
    const same = queryMatches(plan, plan.expected, actual, step, variables);
    this.#check(plan.line, plan.name, "result", printResult(plan.expected), same, () => printResult(actual));
  }

  #check(index: number, call: string, field: string, expected: string, same: boolean, actual: () => string): void {
    this.#checked += 1;
    if (same) return;
    const { line, ids } = this.#lowered.script.lines[index]!;
    const { task } = line;
    this.#comparisons.push({ line: line.line, index, task, call, field, expected, actual: actual(), ids });
  }
}

function printActual({ result }: Rendered): string {
  return result === null ? ASLEEP : printResult(result);
}

function isUnknown(expr: Expr): boolean {
  return expr.kind === "sym" && expr.name === "?";
}

/** Whether a result is one of those that are permitted. @param ret - negative errno on failure. */
export function resultMatches(expected: Result, ret: number, variables: Variables | null): boolean {
  return expected.values.some((value, index) => {
    const errno = expected.errnos[index] ?? null;
    if (isUnknown(value)) return true;
    if (errno !== null) return ret === -(Errno[errno as keyof typeof Errno] ?? 0);
    if (value.kind === "var") return ret >= 0;
    const number = evalBig(value, variables);
    return number === -1n ? ret < 0 : number !== null && BigInt(ret) === number;
  });
}

/** `left` is the time that a real call took, so it is not compared; nor are the words of flags beside their number. */
function outputMatches(expected: readonly Expr[], actual: readonly Expr[], variables: Variables): boolean {
  const compared = (field: Expr): boolean =>
    field.kind !== "named" || (field.name !== "left" && field.name !== "flags");
  const wanted = expected.filter(compared);
  const given = actual.filter(compared);
  if (wanted.length !== given.length) return false;
  return wanted.every((field, index) => {
    const other =
      field.kind === "named" ? given.find((item) => item.kind === "named" && item.name === field.name) : given[index];
    return other !== undefined && matches(field, other, variables);
  });
}

/** The expression with numbers in the place of names. */
function withValues(expr: Expr, variables: Variables): Expr {
  return rebuild(expr, (part) => {
    const value = part.kind === "var" ? variables(part.name) : null;
    return value === null ? part : int(value);
  });
}

/** The same content, with more allowed behind it. */
function openEnded(expr: Expr): Expr {
  if (expr.kind === "str") return { ...expr, bytes: expr.bytes, truncated: true } satisfies StrExpr;
  if (expr.kind === "array") return { ...expr, items: [...expr.items, ellipsis()] } satisfies ArrayExpr;
  return expr;
}

/** The answer to a query, in the form that the script expects it. */
function queryResult(plan: QueryPlan, step: StepResult): Result {
  switch (plan.name) {
    case "fdinfo": {
      if (step.bytes === null) return failure(-Errno.EBADF);
      const items = fdinfoItems(latin1(step.bytes));
      const wantsText = plan.expected?.values[0]?.kind === "str";
      return success(wantsText || (items.length === 0 && !wantsItems(plan)) ? str(step.bytes) : printItems(items));
    }
    case "poll_mask":
      return step.ret !== null && step.ret < 0
        ? failure(step.ret)
        : success(pollFlags.printFlags(BigInt(step.ret ?? 0)));
    case "blocked":
      return success(int(step.ret === null ? 1 : 0));
    case "thaw":
      return step.ret !== null && step.ret < 0 ? failure(step.ret) : success(int(0));
    case "peek":
      return step.bytes === null ? failure(-Errno.EFAULT) : success(str(step.bytes));
  }
}

function wantsItems(plan: QueryPlan): boolean {
  return plan.expected?.values[0]?.kind === "array";
}

function queryMatches(
  plan: QueryPlan,
  expected: Result,
  actual: Result,
  step: StepResult,
  variables: Variables,
): boolean {
  return expected.values.some((value, index) => {
    const errno = expected.errnos[index] ?? null;
    if (isUnknown(value)) return true;
    if (errno !== null) return actual.errnos[0] === errno;
    if (actual.errnos[0] !== null) return false;
    if (plan.name === "fdinfo") return fdinfoMatches(value, step.bytes ?? new Uint8Array(0), variables);
    return matches(value, actual.values[0] ?? array([]), variables);
  });
}

function fdinfoMatches(expected: Expr, bytes: Uint8Array, variables: Variables): boolean {
  const text = latin1(bytes);
  if (expected.kind === "array") {
    const items = printItems(fdinfoItems(text));
    return items.kind === "array" && sameItems(expected.items, items.items, variables);
  }
  if (expected.kind !== "str") return false;
  const wanted = portableFdinfo(latin1(expected.bytes));
  const given = portableFdinfo(text);
  return expected.truncated ? given.startsWith(wanted) : given === wanted;
}
