/**
 * One object for each word of the language: symbols, call and field names come back as the same `SymExpr`, so a line costs
 * no string per word and holds no slice of the input chunk.
 */
import type { SymExpr } from "./ast.ts";

const SLOTS = 8192;
const slots: (SymExpr | null)[] = new Array<SymExpr | null>(SLOTS).fill(null);

/** Start value of the hash that `internSym` expects. */
export const HASH_START = 5381;

/** The hash after one more character. */
export function hashStep(hash: number, code: number): number {
  return (Math.imul(hash, 31) + code) | 0;
}

/**
 * The symbol `text[start, end)` without a note.
 *
 * @param hash - of its characters, from `HASH_START` by `hashStep`. A slot keeps its latest owner, so the table is bounded.
 */
export function internSym(text: string, start: number, end: number, hash: number): SymExpr {
  const slot = (hash ^ (hash >>> 13)) & (SLOTS - 1);
  const known = slots[slot];
  if (known != null && isAt(text, start, end, known.name)) return known;
  // a copy of its own, since a slice would keep the input chunk alive
  const name = `${text.slice(start, end)} `.slice(0, -1);
  const made: SymExpr = { kind: "sym", name, note: null };
  slots[slot] = made;
  return made;
}

function isAt(text: string, start: number, end: number, name: string): boolean {
  const length = name.length;
  if (length !== end - start) return false;
  for (let i = 0; i < length; i += 1) if (text.charCodeAt(start + i) !== name.charCodeAt(i)) return false;
  return true;
}
