/**
 * The form of a declaration: what a system call takes and gives.
 */
import type { SyscallName } from "../../kernel/uapi/unistd.ts";
import type { Expr, StructExpr } from "../ast.ts";
import { struct } from "../build.ts";
import type { Decoder, WordType } from "./context.ts";

/** A parameter: always of one type, or of the type that earlier arguments select (null: the call has no such argument). */
export interface Param {
  readonly name: string;
  readonly type: WordType | ((arg: (index: number) => number | null) => WordType | null);
  /** Value of an argument that a call which never returns leaves out; null if it must stand there. */
  readonly missing: number | null;
  /** The register that it travels in, counted from 0, where that is not its position. */
  readonly register: number | ((arg: (index: number) => number | null) => number) | null;
}

/** How a result is printed. */
export type ResultForm = "int" | "hex";

/** A further output that strace prints in brackets behind the result. */
export interface ResultOutput {
  /** Plain words, `Timeout`; null when `output` says it all. */
  readonly text: string | null;
  /** Values, in the form of `Result.output`. */
  readonly output: StructExpr | null;
  /** How the result itself is printed. */
  readonly form: ResultForm;
}

/** Words behind a result. */
export function words(text: string): ResultOutput {
  return { text, output: null, form: "int" };
}

/** Values behind a result. */
export function values(fields: readonly Expr[], form: ResultForm = "int"): ResultOutput {
  return { text: null, output: struct(fields), form };
}

/** What a system call takes and gives. */
export interface Signature {
  readonly name: SyscallName;
  readonly params: readonly Param[];
  /** Prints the result's words in brackets; null when there are none. */
  readonly describe: ((dec: Decoder) => ResultOutput | null) | null;
  /** The caller is gone afterwards (`exit`). */
  readonly noReturn: boolean;
}

/** Declares a parameter. */
export function param(
  name: string,
  type: Param["type"],
  missing: number | null = null,
  register: Param["register"] = null,
): Param {
  return { name, type, missing, register };
}

/** The register of the parameter at `index`. */
export function registerOf(signature: Signature, index: number, arg: (index: number) => number | null): number {
  const register = signature.params[index]?.register ?? null;
  return typeof register === "function" ? register(arg) : (register ?? index);
}

/** Declares a call that returns a number. */
export function declare(
  name: SyscallName,
  params: readonly Param[],
  more: Partial<Pick<Signature, "describe" | "noReturn">> = {},
): Signature {
  return { name, params, describe: null, noReturn: false, ...more };
}

/** The types of a call's arguments, given the values of those before them; stops at the first that is not there. */
export function paramTypes(signature: Signature, arg: (index: number) => number | null): WordType[] {
  const types: WordType[] = [];
  for (const { type } of signature.params) {
    const resolved = typeof type === "function" ? type(arg) : type;
    if (resolved === null) break;
    types.push(resolved);
  }
  return types;
}
