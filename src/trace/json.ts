/**
 * The same lines for machines: NDJSON, one object a line. `docs/schema/trace-line.schema.json` describes it.
 *
 * It is the AST as it stands, with three differences, since JSON has neither 64-bit numbers nor bytes: a number beyond 2^53 is a
 * decimal string, `time.ns` always is one, and `bytes` is a string with one character (U+0000 to U+00FF) for each byte.
 *
 * Reading checks by hand what the schema says, many times faster than a validator; a test holds the two together.
 */
import type { Expr, Line, Result, TimeStamp } from "./ast.ts";
import { ParseError } from "./errors.ts";
import { decodeLine, Mismatch } from "./json-decode.ts";

/** Fields that are derived from others and so not written. */
type Derived = "num" | "seconds" | "nanos";

/** A value of the AST as it stands in JSON. */
export type Json<T> = T extends bigint
  ? number | string
  : T extends Uint8Array
    ? string
    : T extends readonly (infer U)[]
      ? readonly Json<U>[]
      : T extends object
        ? { readonly [K in Exclude<keyof T, Derived>]: Json<T[K]> }
        : T;

/** An expression as JSON. */
export type ExprJson = Json<Expr>;
/** A line as JSON. */
export type LineJson = Json<Line>;

/** One line as JSON text, without its line feed. */
export function printJson(line: Line): string {
  return JSON.stringify(lineToJson(line));
}

/** One line as a plain object. */
export function lineToJson(line: Line): LineJson {
  const time = line.time === null ? null : timeToJson(line.time);
  switch (line.type) {
    case "call":
    case "resumed":
      return { ...line, time, args: line.args.map(exprToJson), result: line.result && resultToJson(line.result) };
    case "signal":
      return { ...line, time, info: line.info && exprToJson(line.info) };
    default:
      return { ...line, time };
  }
}

function timeToJson(time: TimeStamp): Json<TimeStamp> {
  return { ns: time.ns.toString(), form: time.form, digits: time.digits };
}

function resultToJson(result: Result): Json<Result> {
  const output = result.output && { kind: "struct" as const, fields: result.output.fields.map(exprToJson) };
  return { values: result.values.map(exprToJson), errnos: result.errnos, text: result.text, output };
}

/** One expression as a plain object. */
export function exprToJson(expr: Expr): ExprJson {
  switch (expr.kind) {
    case "int": {
      const value = Number.isSafeInteger(expr.num) ? expr.num : expr.value.toString();
      return { kind: "int", value, base: expr.base, note: expr.note };
    }
    case "str":
      return { kind: "str", bytes: latin1(expr.bytes), truncated: expr.truncated };
    case "array":
    case "set":
    case "op":
    case "part":
      return { ...expr, items: expr.items.map(exprToJson) };
    case "struct":
      return { kind: "struct", fields: expr.fields.map(exprToJson) };
    case "call":
      return { kind: "call", name: expr.name, args: expr.args.map(exprToJson) };
    case "named":
      return { kind: "named", name: expr.name, value: exprToJson(expr.value) };
    case "change":
      return { ...expr, from: expr.from && exprToJson(expr.from), to: exprToJson(expr.to) };
    case "at":
      return { ...expr, content: expr.content && exprToJson(expr.content) };
    default:
      return expr;
  }
}

/** One character for each byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 1) text += String.fromCharCode(bytes[i]!);
  return text;
}

/**
 * One line from JSON text. The `line` it names is kept; `line` here is the one in the file, for error messages.
 *
 * @throws ParseError
 */
export function parseJson(text: string, line: number, file: string | null = null): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const at = /position (\d+)/u.exec(String(error));
    const column = at === null ? text.length : Number(at[1]);
    throw new ParseError(
      file,
      line,
      column + 1,
      String(error).replace(/^SyntaxError: /u, ""),
      "one JSON object on the line",
    );
  }
  try {
    return decodeLine(value);
  } catch (error) {
    if (error instanceof Mismatch) throw new ParseError(file, line, 1, error.found, error.expected);
    throw error;
  }
}
