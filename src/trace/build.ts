/**
 * Builders of expressions: what a decoder needs to say a value in strace's form.
 */
import type {
  ArrayExpr,
  AtExpr,
  CallExpr,
  EllipsisExpr,
  Expr,
  NamedExpr,
  OpExpr,
  SetExpr,
  StrExpr,
  StructExpr,
  SymExpr,
} from "./ast.ts";
import { IntValue } from "./values.ts";

/** A decimal number. */
export function int(value: bigint | number): IntValue {
  return new IntValue(value, 10, null);
}

/** A hexadecimal number; 0 is written `0`. */
export function hex(value: bigint | number): IntValue {
  return new IntValue(value, value === 0 || value === 0n ? 10 : 16, null);
}

/** An octal number. */
export function octal(value: bigint | number): IntValue {
  return new IntValue(value, 8, null);
}

/** A symbol. */
export function sym(name: string): SymExpr {
  return { kind: "sym", name, note: null };
}

/** A string of bytes. */
export function str(bytes: Uint8Array, truncated = false): StrExpr {
  return { kind: "str", bytes, truncated };
}

/** `[a, b]`. */
export function array(items: readonly Expr[]): ArrayExpr {
  return { kind: "array", items };
}

/** `[a b]`, `~[a b]`. An empty set that is not negated is written as an empty array, as the parser reads it. */
export function set(items: readonly Expr[], negated = false): SetExpr | ArrayExpr {
  return items.length === 0 && !negated ? array([]) : { kind: "set", items, negated };
}

/** `{a=1, b=2}`. */
export function struct(fields: readonly Expr[]): StructExpr {
  return { kind: "struct", fields };
}

/** `name=value`. */
export function named(name: string, value: Expr): NamedExpr {
  return { kind: "named", name, value };
}

/** `name(args)`. */
export function call(name: string, args: readonly Expr[]): CallExpr {
  return { kind: "call", name, args };
}

/** `a|b`; a single operand stands alone. */
export function or(items: readonly Expr[]): Expr {
  return items.length === 1 ? items[0]! : op("|", items);
}

/** Operands joined by one operator. */
export function op(operator: string, items: readonly Expr[]): OpExpr {
  return { kind: "op", op: operator, items };
}

/** `@place+offset`, alone or with content. */
export function at(place: string, offset: number, content: Expr | null): AtExpr {
  return { kind: "at", place, offset, content };
}

/** `...`. */
export function ellipsis(): EllipsisExpr {
  return { kind: "ellipsis" };
}
