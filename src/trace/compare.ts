/**
 * Whether an expected value and an actual one mean the same.
 *
 * The expected side may leave out: `?` expects nothing, `...` ends an array, a struct or a string, fields that it does not
 * name are free. Order of flags and fields, number bases, symbols against numbers do not matter.
 */

import { bare, decodeData, evalBig, exitOf, type Variables } from "./abi/evaluate.ts";
import { signalShortNames } from "./abi/symbols.ts";
import type { Expr, StrExpr, StructExpr } from "./ast.ts";
import { printExpr } from "./printer.ts";

const SIGNALS = 64;

/** True when `actual` is what `expected` says. */
export function matches(expected: Expr, actual: Expr, variables: Variables | null = null): boolean {
  const left = content(expected);
  const right = content(actual);
  if (left === null || isOpen(left)) return true;
  if (right === null) return false;
  if (left.kind === "set" || right.kind === "set") return sameSets(left, right);
  if (left.kind === "str") return right.kind === "str" && sameStrings(left, right);
  if (left.kind === "array") return right.kind === "array" && sameLists(left.items, right.items, variables);
  if (left.kind === "struct") return right.kind === "struct" && sameStructs(left, right, variables);
  return sameValues(left, right, variables);
}

/** What stands behind a place, and what a change ended in; null for a place that expects nothing. */
function content(expr: Expr): Expr | null {
  const inner = exitOf(expr);
  // an empty place is an abstract unix address, whose marker is part of the value
  return inner.kind === "at" && inner.place !== "" ? inner.content : inner;
}

function isOpen(expr: Expr): boolean {
  return expr.kind === "ellipsis" || (expr.kind === "sym" && expr.name === "?");
}

/** Strings agree as far as both are known; a whole one must have the other's length. */
function sameStrings(expected: StrExpr, actual: StrExpr): boolean {
  const common = Math.min(expected.bytes.length, actual.bytes.length);
  for (let i = 0; i < common; i += 1) if (expected.bytes[i] !== actual.bytes[i]) return false;
  if (expected.bytes.length > common) return actual.truncated;
  return actual.bytes.length === common || expected.truncated;
}

function sameLists(expected: readonly Expr[], actual: readonly Expr[], variables: Variables | null): boolean {
  for (const [index, item] of expected.entries()) {
    if (item.kind === "ellipsis") return true;
    const other = actual[index];
    if (other === undefined || !matches(bare(item), bare(other), variables)) return false;
  }
  return expected.length === actual.length;
}

/** Like two arrays, but the order of the items is free. */
export function sameItems(expected: readonly Expr[], actual: readonly Expr[], variables: Variables | null): boolean {
  const rest = [...actual];
  for (const item of expected) {
    if (item.kind === "ellipsis") return true;
    const at = rest.findIndex((other) => matches(item, other, variables));
    if (at < 0) return false;
    rest.splice(at, 1);
  }
  return rest.length === 0;
}

function sameStructs(expected: StructExpr, actual: StructExpr, variables: Variables | null): boolean {
  return expected.fields.every((item, position) => {
    if (item.kind === "ellipsis") return true;
    const other = item.kind === "named" ? namedField(actual, item.name) : actual.fields[position];
    if (other === undefined) return false;
    return sameFields(item, other, variables);
  });
}

function namedField(struct: StructExpr, name: string): Expr | undefined {
  return struct.fields.find((field) => field.kind === "named" && field.name === name);
}

/** `epoll_data` has several forms: `{u32=4, u64=4}`, `{u64=4}`, `4`. */
function sameFields(expected: Expr, actual: Expr, variables: Variables | null): boolean {
  if (actual.kind !== "named" || actual.name !== "data") return matches(bare(expected), bare(actual), variables);
  const left = decodeData(expected, variables);
  const right = decodeData(actual, variables);
  return left === null || right === null ? matches(bare(expected), bare(actual), variables) : left === right;
}

function sameValues(expected: Expr, actual: Expr, variables: Variables | null): boolean {
  const left = evalBig(expected, variables);
  const right = evalBig(actual, variables);
  if (left !== null && right !== null) return sameNumbers(left, right);
  if (expected.kind === "call" && actual.kind === "call") {
    return expected.name === actual.name && sameLists(expected.args, actual.args, variables);
  }
  return printExpr(expected) === printExpr(actual);
}

/** Equal as 64 bits; or as 32 bits where both fit, so that -1 is 0xffffffff. */
function sameNumbers(a: bigint, b: bigint): boolean {
  if (BigInt.asUintN(64, a) === BigInt.asUintN(64, b)) return true;
  return fits32(a) && fits32(b) && BigInt.asUintN(32, a) === BigInt.asUintN(32, b);
}

function fits32(value: bigint): boolean {
  return value >= -0x8000_0000n && value <= 0xffff_ffffn;
}

/** Sets of signals or descriptors: order and complement do not matter. */
function sameSets(expected: Expr, actual: Expr): boolean {
  const left = members(expected);
  const right = members(actual);
  if (left === null || right === null) return false;
  if (left.size !== right.size) return left.has("...") && [...left].every((key) => key === "..." || right.has(key));
  return [...left].every((key) => right.has(key));
}

function members(expr: Expr): Set<string> | null {
  if (expr.kind !== "array" && expr.kind !== "set") return null;
  const keys = new Set(expr.items.map(memberKey));
  if (expr.kind === "array" || !expr.negated) return keys;
  const others = new Set<string>();
  for (let signal = 1; signal <= SIGNALS; signal += 1) {
    const key = `signal ${signal}`;
    if (!keys.has(key)) others.add(key);
  }
  return others;
}

function memberKey(expr: Expr): string {
  const inner = bare(expr);
  if (inner.kind === "ellipsis") return "...";
  if (inner.kind !== "sym") return String(evalBig(inner) ?? printExpr(inner));
  const signal = signalShortNames.indexOf(inner.name.replace(/^SIG/u, ""));
  return signal > 0 ? `signal ${signal}` : inner.name;
}
