/**
 * Expressions as trees: visiting and rebuilding them.
 */
import type { Expr } from "./ast.ts";

/** The expressions that an expression is made of. */
export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case "array":
    case "set":
    case "op":
    case "part":
      return expr.items;
    case "struct":
      return expr.fields;
    case "call":
      return expr.args;
    case "named":
      return [expr.value];
    case "change":
      return expr.from === null ? [expr.to] : [expr.from, expr.to];
    case "at":
      return expr.content === null ? [] : [expr.content];
    default:
      return [];
  }
}

/**
 * The expression with every part replaced by what `replace` gives for it, from the inside outwards. `replace` returns its
 * argument for what stays.
 */
export function rebuild(expr: Expr, replace: (part: Expr) => Expr): Expr {
  const each = (items: readonly Expr[]): Expr[] => items.map((item) => rebuild(item, replace));
  switch (expr.kind) {
    case "array":
    case "set":
    case "op":
    case "part":
      return replace({ ...expr, items: each(expr.items) });
    case "struct":
      return replace({ ...expr, fields: each(expr.fields) });
    case "call":
      return replace({ ...expr, args: each(expr.args) });
    case "named":
      return replace({ ...expr, value: rebuild(expr.value, replace) });
    case "change":
      return replace({
        ...expr,
        from: expr.from === null ? null : rebuild(expr.from, replace),
        to: rebuild(expr.to, replace),
      });
    case "at":
      return replace({ ...expr, content: expr.content === null ? null : rebuild(expr.content, replace) });
    default:
      return replace(expr);
  }
}
