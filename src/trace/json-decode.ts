/**
 * JSON values to lines, with a check of every field that schema.ts describes.
 */
import type { Expr, Line, Result, StructExpr, TimeStamp } from "./ast.ts";
import { IntValue, Stamp } from "./values.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A field that is not what it should be. */
export class Mismatch extends Error {
  readonly found: string;
  readonly expected: string;

  constructor(path: string, value: unknown, expected: string) {
    const shown = value === undefined ? "nothing" : JSON.stringify(value);
    const found = `${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown} at ${path === "" ? "the top" : path}`;
    super(`found ${found}, expected ${expected}`);
    this.found = found;
    this.expected = expected;
  }
}

/** As in the parser. */
const DEPTH_MAX = 200;
const FORMS = ["unix", "clock", "relative"] as const;
const BASES = [8, 10, 16] as const;
const BRACKETS = ["{}", "[]"] as const;
const CHANGE_BRACKETS = ["[]", "{}", ""] as const;
const SIDES = ["head", "tail"] as const;
const ENDS = ["exited", "killed", "superseded"] as const;

function object(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Mismatch(path, value, "an object");
  return value as Fields;
}

function string(of: Fields, key: string, path: string): string {
  const value = of[key];
  if (typeof value !== "string") throw new Mismatch(`${path}.${key}`, value, "a string");
  return value;
}

function boolean(of: Fields, key: string, path: string): boolean {
  const value = of[key];
  if (typeof value !== "boolean") throw new Mismatch(`${path}.${key}`, value, "true or false");
  return value;
}

function integer(of: Fields, key: string, path: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = of[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw new Mismatch(`${path}.${key}`, value, min === 0 ? "a whole number, 0 or more" : "a whole number");
  }
  return value;
}

function oneOf<T extends string | number>(of: Fields, key: string, path: string, choices: readonly T[]): T {
  const value = of[key];
  if (!choices.includes(value as T)) {
    throw new Mismatch(`${path}.${key}`, value, `one of ${choices.map((c) => JSON.stringify(c)).join(", ")}`);
  }
  return value as T;
}

function list(of: Fields, key: string, path: string): readonly unknown[] {
  const value = of[key];
  if (!Array.isArray(value)) throw new Mismatch(`${path}.${key}`, value, "an array");
  return value;
}

function orNull<T>(
  of: Fields,
  key: string,
  path: string,
  read: (of: Fields, key: string, path: string) => T,
): T | null {
  return of[key] === null ? null : read(of, key, path);
}

function exprs(of: Fields, key: string, path: string, depth: number): readonly Expr[] {
  return list(of, key, path).map((item, i) => expr(item, `${path}.${key}[${i}]`, depth + 1));
}

function numeric(of: Fields, key: string, path: string): bigint | number {
  const value = of[key];
  if (typeof value === "string" && /^-?\d{1,32}$/u.test(value)) return BigInt(value);
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new Mismatch(`${path}.${key}`, value, "a whole number, as a decimal string when beyond 2^53");
}

function bytes(of: Fields, key: string, path: string): Uint8Array {
  const text = string(of, key, path);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new Mismatch(`${path}.${key}`, text, "characters U+0000 to U+00FF, one for each byte");
    out[i] = code;
  }
  return out;
}

/** An expression. */
function expr(value: unknown, path: string, depth: number): Expr {
  if (depth > DEPTH_MAX) throw new Mismatch(path, "…", `at most ${DEPTH_MAX} levels`);
  const of = object(value, path);
  const kind = string(of, "kind", path);
  const child = (key: string): Expr => expr(of[key], `${path}.${key}`, depth + 1);
  switch (kind) {
    case "int":
      return new IntValue(numeric(of, "value", path), oneOf(of, "base", path, BASES), orNull(of, "note", path, string));
    case "sym":
      return { kind, name: string(of, "name", path), note: orNull(of, "note", path, string) };
    case "str":
      return { kind, bytes: bytes(of, "bytes", path), truncated: boolean(of, "truncated", path) };
    case "array":
      return { kind, items: exprs(of, "items", path, depth) };
    case "set":
      return { kind, items: exprs(of, "items", path, depth), negated: boolean(of, "negated", path) };
    case "struct":
      return { kind, fields: exprs(of, "fields", path, depth) };
    case "op":
      return { kind, op: string(of, "op", path), items: exprs(of, "items", path, depth) };
    case "call":
      return { kind, name: string(of, "name", path), args: exprs(of, "args", path, depth) };
    case "named":
      return { kind, name: string(of, "name", path), value: child("value") };
    case "change": {
      const from = of.from === null ? null : child("from");
      return { kind, from, to: child("to"), brackets: oneOf(of, "brackets", path, CHANGE_BRACKETS) };
    }
    case "var":
      return { kind, name: string(of, "name", path) };
    case "at": {
      const content = of.content === null ? null : child("content");
      const offset = integer(of, "offset", path, Number.MIN_SAFE_INTEGER);
      return { kind, place: string(of, "place", path), offset, content };
    }
    case "ellipsis":
      return { kind };
    case "part": {
      const items = exprs(of, "items", path, depth);
      return { kind, side: oneOf(of, "side", path, SIDES), brackets: oneOf(of, "brackets", path, BRACKETS), items };
    }
    case "raw":
      return { kind, text: string(of, "text", path) };
    default:
      throw new Mismatch(`${path}.kind`, kind, "the kind of an expression: int, sym, str, array, struct, op ...");
  }
}

function struct(of: Fields, key: string, path: string): StructExpr {
  const value = expr(of[key], `${path}.${key}`, 0);
  if (value.kind !== "struct") throw new Mismatch(`${path}.${key}`, of[key], "a struct");
  return value;
}

function result(of: Fields, key: string, path: string): Result {
  const at = `${path}.${key}`;
  const value = object(of[key], at);
  const values = exprs(value, "values", at, 0);
  const errnos = list(value, "errnos", at).map((errno, i) => {
    if (errno !== null && typeof errno !== "string")
      throw new Mismatch(`${at}.errnos[${i}]`, errno, "a string or null");
    return errno;
  });
  if (values.length === 0) throw new Mismatch(`${at}.values`, value.values, "one value or more");
  if (errnos.length !== values.length)
    throw new Mismatch(`${at}.errnos`, value.errnos, "as many members as values has");
  return { values, errnos, text: orNull(value, "text", at, string), output: orNull(value, "output", at, struct) };
}

function time(of: Fields, key: string, path: string): TimeStamp {
  const at = `${path}.${key}`;
  const value = object(of[key], at);
  const text = string(value, "ns", at);
  if (!/^\d{1,21}$/u.test(text)) throw new Mismatch(`${at}.ns`, text, "nanoseconds as a decimal string");
  const ns = BigInt(text);
  const seconds = Number(ns / 1_000_000_000n);
  return new Stamp(
    oneOf(value, "form", at, FORMS),
    seconds,
    Number(ns % 1_000_000_000n),
    integer(value, "digits", at, 0, 9),
  );
}

function nonNegative(of: Fields, key: string, path: string): number {
  return integer(of, key, path, 0);
}

/** A line. @throws Mismatch */
export function decodeLine(value: unknown): Line {
  const of = object(value, "");
  const type = string(of, "type", "");
  const line = nonNegative(of, "line", "");
  const task = orNull(of, "task", "", string);
  const stamp = orNull(of, "time", "", time);
  switch (type) {
    case "call":
    case "resumed": {
      const name = string(of, "name", "");
      const args = exprs(of, "args", "", 0);
      const ends = orNull(of, "result", "", result);
      const durationNs = orNull(of, "durationNs", "", nonNegative);
      const base = { line, task, time: stamp, name, args, result: ends, durationNs };
      return type === "resumed" ? { type, ...base } : { type, ...base, unfinished: boolean(of, "unfinished", "") };
    }
    case "signal": {
      const info = of.info === null ? null : expr(of.info, ".info", 0);
      return {
        type,
        line,
        task,
        time: stamp,
        signal: string(of, "signal", ""),
        info,
        stopped: boolean(of, "stopped", ""),
      };
    }
    case "exit": {
      const status = nonNegative(of, "status", "");
      const signal = orNull(of, "signal", "", string);
      return {
        type,
        line,
        task,
        time: stamp,
        how: oneOf(of, "how", "", ENDS),
        status,
        signal,
        core: boolean(of, "core", ""),
      };
    }
    case "note":
    case "comment":
      return { type, line, task, time: stamp, text: string(of, "text", "") };
    case "directive":
      return { type, line, task, time: stamp, word: string(of, "word", ""), rest: string(of, "rest", "") };
    case "blank":
      return { type, line, task, time: stamp };
    default:
      throw new Mismatch(".type", type, "call, resumed, signal, exit, note, directive, comment or blank");
  }
}
