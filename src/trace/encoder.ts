/**
 * The encoder of one call of a script: registers and memory as steps, and what to read back.
 */
import type { Step } from "../syscalls/port.ts";
import { UserLayout } from "../syscalls/port.ts";
import type { Encoder } from "./abi/context.ts";
import { entryOf, evalBig, evalInt, unknownSymbol } from "./abi/evaluate.ts";
import type { Image, Word } from "./abi/image.ts";
import { symbolNames } from "./abi/symbol-table.ts";
import type { AtExpr, Expr, StrExpr } from "./ast.ts";
import { nearest } from "./nearest.ts";
import { type Arena, PLACES, placeAddress, readableBytes, writableBytes } from "./places.ts";
import { printExpr } from "./printer.ts";
import type { Input, SlotPeek } from "./source-map.ts";
import { children } from "./walk.ts";

/** What untouched bytes of an output hold. */
export const UNTOUCHED = 0xaa;

/** Most bytes of one output that are filled before the call and read back behind it. */
export const OUTPUT_MAX: number = 64 * 1024;

const filler = new Uint8Array(OUTPUT_MAX).fill(UNTOUCHED);

/** Bytes to read back behind the call. */
export interface Output {
  readonly addr: number;
  readonly size: number;
}

/** Where the encoder complains, and where it finds names. */
export interface EncoderHost {
  readonly arena: Arena;
  readonly thawed: ReadonlySet<number>;
  /** The slot of a bound name; null when it is not bound. */
  slotOf(name: string): number | null;
  /** The slot that a name has from now on. */
  bind(name: string): number;
  boundNames(): Iterable<string>;
  fail(expr: Expr, found: string, expected: string): never;
}

/** Encodes the arguments of one call; see `Encoder`. */
export class CallEncoder implements Encoder {
  readonly steps: Step[] = [];
  readonly inputs: Input[] = [];
  readonly outputs: Output[] = [];
  readonly slotPeeks: SlotPeek[] = [];
  readonly #host: EncoderHost;
  readonly #args: readonly Expr[];
  readonly #missing: readonly (number | null)[];
  #rebind = false;
  /** Slots that the expected content binds; null outside of `expect`. */
  #bound: Set<number> | null = null;

  /** @param missing - values of arguments that a call which never returns may leave out */
  constructor(host: EncoderHost, args: readonly Expr[], missing: readonly (number | null)[]) {
    this.#host = host;
    this.#args = args;
    this.#missing = missing;
  }

  arg(index: number): Expr | null {
    const expr = this.#args[index];
    return expr === undefined ? null : entryOf(expr);
  }

  argValue(index: number): number | null {
    const expr = this.arg(index);
    if (expr === null) return this.#missing[index] ?? null;
    const content = expr.kind === "at" && expr.content !== null ? entryOf(expr.content) : expr;
    const boxed = content.kind === "array" && content.items.length === 1 ? content.items[0]! : content;
    return evalInt(entryOf(boxed));
  }

  word(expr: Expr): Word {
    const inner = entryOf(expr);
    if (inner.kind === "var") return { slot: this.#slot(inner, inner.name) };
    if (inner.kind === "at") return BigInt(this.place(inner, 16));
    const value = evalBig(inner);
    return value === null ? this.#noNumber(inner) : value;
  }

  #slot(expr: Expr, name: string): number {
    const slot = this.#host.slotOf(name);
    if (slot !== null && !this.#rebind) return slot;
    if (this.#bound !== null) {
      const fresh = this.#host.bind(name);
      this.#bound.add(fresh);
      return fresh;
    }
    const near = nearest(name, this.#host.boundNames());
    return this.fail(
      expr,
      `the name $${name}, which nothing has bound`,
      near === null ? "'= $name' before it" : `$${near}`,
    );
  }

  #noNumber(expr: Expr): never {
    const unknown = unknownSymbol(expr);
    if (unknown !== null) {
      const near = nearest(unknown, symbolNames());
      this.fail(expr, `the unknown symbol '${unknown}'`, near === null ? "a known symbol or a number" : `'${near}'`);
    }
    const text = printExpr(expr);
    return this.fail(expr, text === "?" ? "'?' in place of an input" : `'${text}'`, "a number, a symbol or a $name");
  }

  lengthOf(expr: StrExpr): number {
    return expr.bytes.length;
  }

  reserve(size: number): number {
    return this.#host.arena.reserve(size) ?? this.#exhausted(size);
  }

  #exhausted(size: number): never {
    const space = UserLayout.arenaBytes;
    return this.fail(this.#args[0] ?? { kind: "ellipsis" }, `${size} bytes for an argument`, `at most ${space} in all`);
  }

  place(expr: AtExpr, room: number): number {
    if (expr.place === "odd") return this.#host.arena.reserve(room, 1) ?? this.#exhausted(room);
    const addr = placeAddress(expr.place, expr.offset);
    if (addr === null) {
      const near = nearest(expr.place, PLACES);
      this.fail(
        expr,
        `the unknown place '@${expr.place}'`,
        near === null ? `one of @${PLACES.join(", @")}` : `@${near}`,
      );
    }
    return addr;
  }

  poke(addr: number, image: Image): void {
    const length = writableBytes(addr, image.bytes.length);
    if (length === 0 && image.bytes.length > 0) return;
    this.inputs.push({ addr, image, bytes: image.bytes });
    this.steps.push({ op: "poke", addr, bytes: image.bytes.subarray(0, length) });
    for (const { offset, size, slot } of image.patches) {
      if (offset + size <= length) this.steps.push({ op: "pokeSlot", addr: addr + offset, size, slot });
    }
  }

  output(addr: number, size: number, fill: boolean): void {
    const bytes = Math.min(size, OUTPUT_MAX);
    if (bytes === 0) return;
    this.outputs.push({ addr, size: bytes });
    const length = fill ? writableBytes(addr, bytes) : 0;
    if (length > 0) this.steps.push({ op: "poke", addr, bytes: filler.subarray(0, length) });
  }

  expect(addr: number, image: Image, rebind: boolean, encode: () => void): void {
    const bound = new Set<number>();
    this.#bound = bound;
    this.#rebind = rebind;
    encode();
    this.#bound = null;
    this.#rebind = false;
    for (const { offset, slot } of image.patches) {
      if (bound.has(slot) && readableBytes(addr + offset, 4, this.#host.thawed) === 4)
        this.slotPeeks.push({ addr: addr + offset, slot });
    }
  }

  hasUnbound(expr: Expr): boolean {
    if (expr.kind === "var") return this.#host.slotOf(expr.name) === null;
    return children(expr).some((child) => this.hasUnbound(child));
  }

  fail(expr: Expr, found: string, expected: string): never {
    return this.#host.fail(expr, found, expected);
  }
}
