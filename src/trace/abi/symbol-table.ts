/**
 * Tables of C constants: from names to numbers, and back in the order in which strace prints them.
 *
 * C macro names are global, so every table registers its names in one dictionary; what a name means does not depend on
 * the argument it stands in.
 */
import type { Expr } from "../ast.ts";
import { hex, int, or, sym } from "../build.ts";

const dictionary = new Map<string, bigint>();

/** Makes names known that belong to no table: they are read, never printed. */
export function defineSymbols(values: Readonly<Record<string, number | bigint>>): void {
  for (const [name, value] of Object.entries(values)) dictionary.set(name, unsigned(value));
}

/** The value of a symbol that any table knows; null for an unknown one. */
export function symbolValue(name: string): bigint | null {
  return dictionary.get(name) ?? null;
}

/** Every known symbol. */
export function symbolNames(): IterableIterator<string> {
  return dictionary.keys();
}

/**
 * One table, in printing order. For flags each entry is tried in this order and takes its bits away; what is left is
 * printed in hexadecimal.
 */
export class SymbolTable {
  readonly #entries: readonly (readonly [string, bigint])[];
  readonly #byValue = new Map<bigint, string>();

  /** @param entries - names with values; a negative value is one of 32 bits with the top bit set. */
  constructor(entries: Readonly<Record<string, number | bigint>>) {
    this.#entries = Object.entries(entries).map(([name, value]) => [name, unsigned(value)]);
    for (const [name, value] of this.#entries) {
      if (!this.#byValue.has(value)) this.#byValue.set(value, name);
      dictionary.set(name, value);
    }
  }

  /** Names of this table. */
  names(): string[] {
    return this.#entries.map(([name]) => name);
  }

  /** The number of a name of this table; null if it has none such. */
  value(name: string): bigint | null {
    return this.#entries.find(([candidate]) => candidate === name)?.[1] ?? null;
  }

  /** The first name of a value; null if it has none. */
  nameOf(value: bigint): string | null {
    return this.#byValue.get(value) ?? null;
  }

  /** `printxval`: the name, or the number in hexadecimal. */
  printEnum(value: bigint): Expr {
    const name = this.nameOf(value);
    return name === null ? hex(value) : sym(name);
  }

  /** `printflags`: names joined by `|`, then unknown bits in hexadecimal; 0 by its name if it has one. */
  printFlags(value: bigint): Expr {
    const items = this.flagItems(value);
    if (items.length === 0) return value === 0n ? this.#zero() : hex(value);
    return or(items);
  }

  /** The operands of `printFlags`, none for 0. */
  flagItems(value: bigint): Expr[] {
    const items: Expr[] = [];
    let rest = value;
    for (const [name, bits] of this.#entries) {
      if (bits === 0n || (rest & bits) !== bits) continue;
      items.push(sym(name));
      rest &= ~bits;
    }
    if (rest !== 0n) items.push(hex(rest));
    return items;
  }

  #zero(): Expr {
    const name = this.nameOf(0n);
    return name === null ? int(0) : sym(name);
  }
}

function unsigned(value: number | bigint): bigint {
  if (typeof value === "bigint") return value;
  return value < 0 ? BigInt.asUintN(32, BigInt(value)) : BigInt(value);
}
