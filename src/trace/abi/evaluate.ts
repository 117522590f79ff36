/**
 * What an expression is worth as a number, without knowing which argument it stands in.
 *
 * For readers of recorded calls (replay, doctor) and for the comparison of expected with actual values; nothing here
 * goes through bytes.
 */
import type { Expr, StructExpr } from "../ast.ts";
import { symbolValue } from "./symbol-table.ts";
import "./symbols.ts";

/** The value of a `$name`; null when it is not bound (yet). */
export type Variables = (name: string) => bigint | null;

/** The expression behind `name=`, and what a change ended in. */
export function bare(expr: Expr): Expr {
  let inner = expr;
  for (;;) {
    if (inner.kind === "named") inner = inner.value;
    else if (inner.kind === "change") inner = inner.to;
    else return inner;
  }
}

/** An argument as it was at entry: of `[128 => 16]` the `[128]`. */
export function entryOf(expr: Expr): Expr {
  if (expr.kind === "named") return entryOf(expr.value);
  return expr.kind === "change" && expr.from !== null ? bracketed(expr.brackets, expr.from) : expr;
}

/** An argument as the call left it: of `[128 => 16]` the `[16]`. */
export function exitOf(expr: Expr): Expr {
  if (expr.kind === "named") return exitOf(expr.value);
  return expr.kind === "change" ? bracketed(expr.brackets, expr.to) : expr;
}

function bracketed(brackets: "[]" | "{}" | "", inner: Expr): Expr {
  if (brackets === "[]") return { kind: "array", items: [inner] };
  return brackets === "{}" ? { kind: "struct", fields: [inner] } : inner;
}

/** The value of an expression; null when it has none (a string, `?`, an unknown symbol, an unbound name). */
export function evalBig(expr: Expr, variables: Variables | null = null): bigint | null {
  switch (expr.kind) {
    case "int":
      return expr.value;
    case "sym":
      return symbolValue(expr.name);
    case "var":
      return variables === null ? null : variables(expr.name);
    case "named":
      return evalBig(expr.value, variables);
    case "change":
      return evalBig(expr.to, variables);
    case "op":
      return evalOperation(expr.op, expr.items, variables);
    case "call":
      return evalCall(expr.name, expr.args, variables);
    default:
      return null;
  }
}

/** The value as a number; null when there is none, or when a double cannot hold it exactly. */
export function evalInt(expr: Expr, variables: Variables | null = null): number | null {
  if (expr.kind === "int" && Number.isSafeInteger(expr.num)) return expr.num;
  const value = evalBig(expr, variables);
  if (value === null) return null;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : null;
}

/** The value as 32 bits without sign: flag sets, event masks. */
export function evalUint32(expr: Expr, variables: Variables | null = null): number | null {
  const value = evalBig(expr, variables);
  return value === null ? null : Number(BigInt.asUintN(32, value));
}

/** A field of a struct by its name, or by its position in the old form without names; null when it is not there. */
export function field(expr: StructExpr, name: string, position: number): Expr | null {
  for (const item of expr.fields) if (item.kind === "named" && item.name === name) return item.value;
  const item = expr.fields[position];
  return item === undefined || item.kind === "named" || item.kind === "ellipsis" ? null : item;
}

/** One `struct epoll_event` of a trace. */
export interface EventValue {
  /** 32 bits without sign. */
  readonly events: number;
  readonly data: bigint;
}

/** `{events=EPOLLIN, data={u32=4, u64=4}}`, `{events=EPOLLIN, data=0x4}`, `{EPOLLIN, {u32=4, u64=4}}`. */
export function decodeEvent(expr: Expr, variables: Variables | null = null): EventValue | null {
  const inner = bare(expr);
  if (inner.kind !== "struct") return null;
  const mask = field(inner, "events", 0);
  const events = mask === null ? null : evalUint32(mask, variables);
  const dataExpr = field(inner, "data", 1);
  const data = dataExpr === null ? null : decodeData(dataExpr, variables);
  return events === null || data === null ? null : { events, data };
}

/** `epoll_data`: `{u32=4, u64=4}`, `0x4`, `{ptr=0x4}`. */
export function decodeData(expr: Expr, variables: Variables | null = null): bigint | null {
  const inner = bare(expr);
  if (inner.kind !== "struct") return evalUint64(inner, variables);
  const whole = field(inner, "u64", 1) ?? field(inner, "ptr", -1) ?? field(inner, "u32", 0) ?? field(inner, "fd", -1);
  return whole === null ? null : evalUint64(whole, variables);
}

/** The event array of an epoll wait; null when it is an address, or abbreviated. */
export function decodeEvents(expr: Expr, variables: Variables | null = null): EventValue[] | null {
  const inner = bare(expr);
  if (inner.kind !== "array") return null;
  const events: EventValue[] = [];
  for (const item of inner.items) {
    const event = decodeEvent(item, variables);
    if (event === null) return null;
    events.push(event);
  }
  return events;
}

function evalUint64(expr: Expr, variables: Variables | null): bigint | null {
  const value = evalBig(expr, variables);
  return value === null ? null : BigInt.asUintN(64, value);
}

function evalOperation(op: string, items: readonly Expr[], variables: Variables | null): bigint | null {
  let total: bigint | null = null;
  for (const item of items) {
    const value = evalBig(item, variables);
    if (value === null) return null;
    total = total === null ? value : apply(op, total, value);
    if (total === null) return null;
  }
  return total !== null && items.length === 1 ? applyPrefix(op, total) : total;
}

function apply(op: string, left: bigint, right: bigint): bigint | null {
  switch (op) {
    case "|":
      return left | right;
    case "&":
      return left & right;
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "<<":
      return right < 0n || right > 63n ? null : left << right;
    case ">>":
      return right < 0n || right > 63n ? null : left >> right;
    default:
      return null;
  }
}

function applyPrefix(op: string, value: bigint): bigint | null {
  if (op === "~") return ~value;
  return op === "-" ? -value : value;
}

function evalCall(name: string, args: readonly Expr[], variables: Variables | null): bigint | null {
  const values = args.map((arg) => evalBig(arg, variables));
  const [first, second] = values;
  if (first === undefined || first === null) return null;
  switch (name) {
    case "htons":
      return swap(first, 2);
    case "htonl":
      return swap(first, 4);
    case "makedev":
      return second === undefined || second === null ? null : makedev(first, second);
    case "_IOC":
      return values.some((value) => value === null) ? null : ioctlRequest(values as bigint[]);
    default:
      return null;
  }
}

/** The number whose `size` bytes stand in the other order: network to host and back. */
export function swap(value: bigint, size: number): bigint {
  let rest = BigInt.asUintN(size * 8, value);
  let swapped = 0n;
  for (let i = 0; i < size; i += 1) {
    swapped = (swapped << 8n) | (rest & 0xffn);
    rest >>= 8n;
  }
  return swapped;
}

/** `gnu_dev_makedev`: the 64-bit device number. */
export function makedev(major: bigint, minor: bigint): bigint {
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn);
}

/** `_IOC(direction, type, number, size)`. */
function ioctlRequest([direction = 0n, type = 0n, number = 0n, size = 0n]: readonly bigint[]): bigint {
  return (direction << 30n) | (size << 16n) | (type << 8n) | number;
}

/** The first symbol of an expression that no table knows, and that is not `?`; null when all are known. */
export function unknownSymbol(expr: Expr): string | null {
  switch (expr.kind) {
    case "sym":
      return expr.name === "?" || symbolValue(expr.name) !== null ? null : expr.name;
    case "named":
      return unknownSymbol(expr.value);
    case "op":
      return firstUnknown(expr.items);
    case "call":
      return firstUnknown(expr.args);
    default:
      return null;
  }
}

function firstUnknown(items: readonly Expr[]): string | null {
  for (const item of items) {
    const name = unknownSymbol(item);
    if (name !== null) return name;
  }
  return null;
}
