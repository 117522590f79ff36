/**
 * What happened when a script ran: the trace of the run in strace's own form, and where it differs from the script's
 * expectations.
 */
import { Errno } from "../kernel/uapi/errno.ts";
import type { PortResult, StepResult } from "../syscalls/port.ts";
import { contentOf } from "./abi/blocks.ts";
import type { WordType } from "./abi/context.ts";
import { evalBig, type Variables } from "./abi/evaluate.ts";
import { paramTypes } from "./abi/index.ts";
import { pollFlags } from "./abi/symbols.ts";
import type { ArrayExpr, CallLine, Expr, Line, Result, StrExpr } from "./ast.ts";
import { array, ellipsis, int, str } from "./build.ts";
import { type CallDecoder, type CallRun, readRun } from "./call-decoder.ts";
import { matches, sameItems } from "./compare.ts";
import { fdinfoItems, latin1, portableFdinfo, printItems } from "./fdinfo.ts";
import { printExpr } from "./printer.ts";
import {
  diedLine,
  diesInside,
  failure,
  firstHalf,
  printOutput,
  printResult,
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
  /** The script's lines with its calls as they went; made when first asked for. Ends where the run ended. */
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
  /** Queries as they were answered, by the index of their line. */
  readonly #answers = new Map<number, CallLine>();
  readonly #runs: CallRun[] = [];
  #checked = 0;

  constructor(lowered: Lowered, result: PortResult) {
    this.#lowered = lowered;
    this.#result = result;
  }

  read(): Outcome {
    let values: readonly number[] = [];
    const variables: Variables = (name) => {
      const slot = this.#lowered.slots.get(name);
      return slot === undefined ? null : BigInt(values[slot] ?? 0);
    };
    readRun(this.#lowered, this.#result, {
      call: (run, slots) => {
        values = slots;
        this.#call(run, variables);
      },
      query: (plan, step, slots) => {
        values = slots;
        this.#query(plan, step, variables);
      },
    });
    return this.#outcome();
  }

  #outcome(): Outcome {
    const { end, reason } = this.#result;
    const comparisons = this.#comparisons.sort((a, b) => a.index - b.index);
    let lines: Line[] | null = null;
    const make = (): Line[] => this.#lines();
    return {
      comparisons,
      checked: this.#checked,
      end,
      reason,
      get lines(): Line[] {
        lines ??= make();
        return lines;
      },
    };
  }

  /** Comments, directives and the like stay where they are, up to the last line that ran. */
  #lines(): Line[] {
    const made = new Map<number, Line>(this.#answers);
    for (const run of this.#runs) this.#callLines(run, made);
    let last = -1;
    for (const index of made.keys()) last = Math.max(last, index);
    const complete = this.#result.end === "done";
    const lines: Line[] = [];
    for (const [index, { line }] of this.#lowered.script.lines.entries()) {
      if (!complete && index > last) break;
      const instead = made.get(index);
      if (instead !== undefined) lines.push(instead);
      else if (line.type !== "call" && line.type !== "resumed") lines.push(line);
    }
    return lines;
  }

  #callLines(run: CallRun, made: Map<number, Line>): void {
    const { plan } = run;
    const rendered = render(run);
    const call = this.#lowered.script.lines[plan.line]!.line as CallLine;
    const returned = rendered.result !== null;
    if (returned && diesInside(call)) {
      made.set(plan.line, diedLine(call, rendered));
    } else if (plan.resumedLine === null) {
      const whole = returned && (!call.unfinished || plan.blockedStep !== null);
      made.set(plan.line, whole ? wholeLine(call, rendered) : firstHalf(call, rendered, true));
    } else {
      made.set(plan.line, firstHalf(call, rendered, false));
      const at = this.#lowered.script.lines[plan.resumedLine]!.line.line;
      if (returned) made.set(plan.resumedLine, secondHalf(call, at, rendered));
    }
  }

  // calls

  #call(run: CallRun, variables: Variables): void {
    const { plan } = run;
    const stuck = this.#isStuck(plan);
    if (!run.entered && !stuck) return;
    this.#runs.push(run);
    if (plan.par) return; // an outcome, not an expectation
    if (plan.blockedStep !== null) {
      if (run.ended) this.#compareEnd(run);
    } else if (plan.expected !== null && (run.ended || stuck)) {
      this.#compareCall(run, plan.expected, variables);
    }
  }

  /** A call that never returns: it sleeps, or its task has ended. */
  #compareEnd(run: CallRun): void {
    const { plan, decoder } = run;
    const died = diesInside(this.#lowered.script.lines[plan.line]!.line as CallLine);
    const same = died ? decoder.ret !== null : decoder.ret === null;
    const expected = (): string => (died ? "its task has ended" : ASLEEP);
    this.#check(plan.line, plan.signature.name, "blocked", expected, same, () => resultText(run));
  }

  /** The run ended because this call never returned. */
  #isStuck(plan: CallPlan): boolean {
    const reached = this.#result.steps.length;
    return this.#result.end === "timeout" && (plan.callStep === reached || plan.resultStep === reached);
  }

  #compareCall(run: CallRun, expected: Result, variables: Variables): void {
    const { plan, decoder } = run;
    const { ret } = decoder;
    const { name } = plan.signature;
    const at = plan.resumedLine ?? plan.line;
    const asked = expected.values.length !== 1 || !isUnknown(expected.values[0]!);
    if (!plan.signature.noReturn && (asked || ret === null)) {
      const same = ret !== null && resultMatches(expected, ret, variables);
      const field = ret === null ? "blocked" : "result";
      this.#check(
        at,
        name,
        field,
        () => printResult(expected),
        same,
        () => resultText(run),
      );
    }
    if (ret === null) return;
    this.#compareArguments(run, ret, at, variables);
    if (expected.output === null || ret < 0) return;
    const wanted = expected.output;
    const output = plan.signature.describe?.(decoder)?.output ?? null;
    const same = output !== null && outputMatches(wanted.fields, output.fields, variables);
    const actual = (): string => (output === null ? "nothing" : printOutput(output));
    this.#check(at, name, "output", () => printOutput(wanted), same, actual);
  }

  #compareArguments(run: CallRun, ret: number, at: number, variables: Variables): void {
    const { plan, decoder } = run;
    const types = paramTypes(plan.signature, (index) => decoder.arg(index));
    for (const [index, type] of types.entries()) {
      const written = plan.args[index];
      const expected = written === undefined || !type.output ? null : contentOf(written);
      // after a failure only what the script placed at an address of its own is expected there
      if (expected === null || (ret < 0 && written?.kind !== "at")) continue;
      const register = registerValue(run, index);
      const actual = ret < 0 ? leftBehind(type, register, decoder) : type.fromWord(BigInt(register), decoder);
      const same = actual !== null && matches(ret < 0 ? openEnded(expected) : expected, actual, variables);
      const field = `argument ${index + 1} (${plan.signature.params[index]!.name})`;
      const text = (): string => (actual === null ? "nothing" : printExpr(actual));
      this.#check(at, plan.signature.name, field, () => printExpr(expected), same, text);
    }
  }

  // queries

  #query(plan: QueryPlan, step: StepResult | null, variables: Variables): void {
    if (step === null) return;
    const { line } = this.#lowered.script.lines[plan.line]!;
    const actual = queryResult(plan, step);
    const args = plan.args.map((arg) => withValues(arg, variables));
    this.#answers.set(plan.line, { ...(line as CallLine), args, result: actual });
    const { expected } = plan;
    if (expected === null) return;
    const same = queryMatches(plan, expected, actual, step, variables);
    this.#check(
      plan.line,
      plan.name,
      "result",
      () => printResult(expected),
      same,
      () => printResult(actual),
    );
  }

  #check(
    index: number,
    call: string,
    field: string,
    expected: () => string,
    same: boolean,
    actual: () => string,
  ): void {
    this.#checked += 1;
    if (same) return;
    const { line, ids } = this.#lowered.script.lines[index]!;
    const { task } = line;
    this.#comparisons.push({
      line: line.line,
      index,
      task,
      call,
      field,
      expected: expected(),
      actual: actual(),
      ids,
    });
  }
}

/** `asleep`, `3`, `-1 EBADF`. */
function resultText(run: CallRun): string {
  const { result } = render(run);
  return result === null ? ASLEEP : printResult(result);
}

/** What a failed call left at an address; null when that memory is not known. */
function leftBehind(type: WordType, addr: number, decoder: CallDecoder): Expr | null {
  const bytes = decoder.after(addr, Number.POSITIVE_INFINITY);
  return bytes === null || type.target === null ? null : type.target.decode(bytes, decoder);
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
    case "fdinfo_order":
      if (step.bytes === null) return failure(-Errno.EBADF);
      return success(array(fdinfoItems(latin1(step.bytes)).map(({ tfd }) => int(tfd))));
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
