/**
 * Calls of a run as strace would have printed them.
 */
import { errnoName } from "../kernel/uapi/errno.ts";
import type { Decoder } from "./abi/context.ts";
import { paramTypes, registerOf, type Signature } from "./abi/index.ts";
import { strerror } from "./abi/strerror.ts";
import { ulong } from "./abi/words.ts";
import type { CallLine, Expr, Result, ResumedLine, StructExpr } from "./ast.ts";
import { hex, int, sym } from "./build.ts";
import type { CallRun } from "./call-decoder.ts";
import { printExpr } from "./printer.ts";

/** A call's arguments and result in strace's words. */
export interface Rendered {
  readonly args: readonly Expr[];
  /** How many arguments strace prints before the call returns. */
  readonly inputs: number;
  /** Null while the call sleeps. */
  readonly result: Result | null;
}

/** Decodes a call of a script. While it sleeps, outputs stand there as the script wrote them. */
export function render({ plan, decoder }: CallRun): Rendered {
  return renderCall(plan.signature, plan.args, decoder);
}

/** Decodes a call. @param written - what stands for outputs while it sleeps; without it, their addresses */
export function renderCall(signature: Signature, written: readonly Expr[], decoder: Decoder): Rendered {
  const types = paramTypes(signature, (index) => decoder.arg(index));
  const args: Expr[] = [];
  for (let index = 0; index < Math.max(types.length, written.length); index += 1) {
    const type = types[index] ?? ulong;
    const expr = written[index];
    if (type.output && decoder.ret === null && expr !== undefined) args.push(expr);
    else args.push(type.fromWord(BigInt(wordOf(signature, decoder, index)), decoder));
  }
  const firstOutput = types.findIndex((type) => type.output);
  return { args, inputs: firstOutput < 0 ? args.length : firstOutput, result: renderResult(signature, decoder) };
}

/** The register of the argument at `index`. */
export function registerValue({ plan, decoder }: CallRun, index: number): number {
  return wordOf(plan.signature, decoder, index);
}

function wordOf(signature: Signature, decoder: Decoder, index: number): number {
  return decoder.arg(registerOf(signature, index, (other) => decoder.arg(other)));
}

function renderResult(signature: Signature, decoder: Decoder): Result | null {
  const { ret } = decoder;
  if (ret === null) return null;
  if (ret < 0) return failure(ret);
  const described = signature.describe?.(decoder) ?? null;
  const value = described?.form === "hex" ? hex(ret) : int(ret);
  const output = described?.output ?? null;
  const text = output === null ? (described?.text ?? null) : printOutput(output);
  return { values: [value], errnos: [null], text: text === "" ? null : text, output };
}

/** `-1 EBADF (Bad file descriptor)`. @param ret - negative errno. */
export function failure(ret: number): Result {
  const name = errnoName(-ret);
  return { values: [int(-1)], errnos: [name], text: name === null ? `errno ${-ret}` : strerror(name), output: null };
}

/** A plain result. */
export function success(value: Expr): Result {
  return { values: [value], errnos: [null], text: null, output: null };
}

/** The words of `Result.output`: `[{fd=3, revents=POLLIN}], left {...}`; `in [3]`; `flags O_RDWR`. */
export function printOutput(output: StructExpr): string {
  return output.fields
    .map((field) => (field.kind === "named" ? `${field.name} ${printExpr(field.value)}` : printExpr(field)))
    .join(", ");
}

/** A result without its words: `-1 EBADF`, `3`. */
export function printResult(result: Result): string {
  const members = result.values.map((value, index) => {
    const errno = result.errnos[index] ?? null;
    return errno === null ? printExpr(value) : `${printExpr(value)} ${errno}`;
  });
  return members.length === 1 ? members[0]! : `{${members.join(" | ")}}`;
}

const ASLEEP: Result = { values: [sym("?")], errnos: [null], text: "<blocked>", output: null };

/** The line of a call that was entered and left at once. */
export function wholeLine(line: CallLine, { args, result }: Rendered): CallLine {
  return { ...line, args, unfinished: false, result };
}

/** The line of a call that other lines follow before its end; `asleep`: it never ends. */
export function firstHalf(line: CallLine, { args, inputs }: Rendered, asleep: boolean): CallLine {
  if (asleep && line.result !== null && !diesInside(line)) return { ...line, args, unfinished: true, result: ASLEEP };
  return { ...line, args: args.slice(0, inputs), unfinished: true, result: null };
}

const DIED: Result = { values: [sym("?")], errnos: [null], text: null, output: null };

/** Whether a line says that its task ended inside the call: `f(3 <unfinished ...>) = ?`. */
export function diesInside(line: CallLine): boolean {
  return line.unfinished && line.result !== null && line.result.text !== ASLEEP.text;
}

/** The line of a call whose task ended inside. */
export function diedLine(line: CallLine, { args, inputs }: Rendered): CallLine {
  return { ...line, args: args.slice(0, inputs), unfinished: true, result: DIED };
}

/** The line of its end. */
export function secondHalf(line: CallLine, at: number, { args, inputs, result }: Rendered): ResumedLine {
  const { name, task, time } = line;
  return { type: "resumed", line: at, task, time, name, args: args.slice(inputs), result, durationNs: null };
}
