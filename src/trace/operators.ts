/**
 * The operators of expressions: how strongly they bind, how they are written.
 */

/** Strength of an operator; `=>`, `=` and everything else is none. */
const STRENGTH: ReadonlyMap<string, number> = new Map([
  ["or", 1],
  ["||", 1],
  ["&&", 2],
  ["==", 3],
  ["!=", 3],
  ["|", 4],
  ["^", 5],
  ["&", 6],
  ["<<", 7],
  [">>", 7],
  ["+", 8],
  ["-", 8],
  ["*", 9],
  ["/", 9],
  ["%", 9],
]);

/** How strongly an operator binds (1 to 9), 0 when it is not one; the blank of side-by-side words binds least. */
export function operatorStrength(op: string): number {
  return STRENGTH.get(op) ?? 0;
}

/** Operators written with a blank on both sides. */
const SPACED = new Set(["&&", "||", "==", "!=", "&", "+", "-", "or"]);

/** True for an operator with a blank on both sides. */
export function isSpaced(op: string): boolean {
  return SPACED.has(op);
}
