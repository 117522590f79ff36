/**
 * What an argument type needs from its surroundings: to put a value into the machine before a call, and to read it back
 * behind it.
 */
import type { AtExpr, Expr, StrExpr } from "../ast.ts";
import type { Image, Word } from "./image.ts";

/** The side of a call that puts values into registers and user memory. */
export interface Encoder {
  /** The expression of another argument, as at entry; null when the call has none at `index`. */
  arg(index: number): Expr | null;
  /** The number that another argument has at entry (behind a pointer: the number there); null when nobody knows yet. */
  argValue(index: number): number | null;
  /** How many bytes a string stands for: a recording may know that it shows only the beginning. */
  lengthOf(expr: StrExpr): number;
  /** A number, or the slot of a `$name`; complains about anything else. */
  word(expr: Expr): Word;
  /** Fresh user memory, its first byte at a multiple of 16. */
  reserve(size: number): number;
  /** The address of a place. `room` bytes are reserved where the place is fresh memory. */
  place(expr: AtExpr, room: number): number;
  /** Puts a block at an address before the call; what lies behind an unmapped border is left out. */
  poke(addr: number, image: Image): void;
  /** The call may write `size` bytes there: they are read back behind it. `fill` makes untouched bytes visible. */
  output(addr: number, size: number, fill: boolean): void;
  /** Runs `encode` on content that is expected behind the call; names in it that are not bound yet are bound there. */
  expect(addr: number, image: Image, rebind: boolean, encode: () => void): void;
  /** Whether a `$name` in the expression is not bound yet. */
  hasUnbound(expr: Expr): boolean;
  /** Complains about an expression. */
  fail(expr: Expr, found: string, expected: string): never;
}

/** The side of a call that reads back. */
export interface Decoder {
  /** Result of the call; negative errno on failure. Null while the call sleeps. */
  readonly ret: number | null;
  /** A register of the call, as 64 bits with sign; 0 when it has none at `index`. */
  arg(index: number): number;
  /** At most `length` bytes at `addr` as the call found them; null when nothing is known of that memory. */
  before(addr: number, length: number): Uint8Array | null;
  /** At most `length` bytes at `addr` as the call left them; null when they were not read back. */
  after(addr: number, length: number): Uint8Array | null;
  /** The address in the script's own form: a place, or a number. */
  address(addr: bigint): Expr;
}

/** A value that fits a register or a cell of memory. */
export interface WordType {
  readonly kind: "word";
  /** Bytes of the cell in memory. */
  readonly size: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  /** Whether the call writes to memory behind this value; then strace prints it when the call returns. */
  readonly output: boolean;
  /** What lies behind a pointer; null for everything else. */
  readonly target: BlockType | null;
  toWord(expr: Expr, enc: Encoder): Word;
  fromWord(value: bigint, dec: Decoder): Expr;
}

/** A block of memory. */
export interface BlockType {
  readonly kind: "block";
  /** Bytes that the block takes at entry, or has room for. `expr` is null when nothing is written in its place. */
  room(expr: Expr | null, enc: Encoder): number;
  /** Puts the content at `offset` of the image, which has `room` bytes there. */
  encode(expr: Expr, image: Image, offset: number, enc: Encoder): void;
  /** Bytes to read back: at most this many are given to `decode`. Below 0: only the address is printed. */
  extent(dec: Decoder): number;
  decode(bytes: Uint8Array, dec: Decoder): Expr;
  /** Every `$name` in the content receives a new value, bound before or not: an array of new descriptors. */
  readonly rebinds?: boolean;
  /** A change is printed `[0] => [26]`, not `[0 => 26]`. */
  readonly changesOutside?: boolean;
  /** The call writes it though it fails (the rest of an interrupted sleep). */
  readonly writtenOnFailure?: boolean;
}

/** A type of an argument or a field. */
export type AbiType = WordType | BlockType;

/** How many bytes or elements: a fixed number, what another argument says, or what the call returned. */
export type Count = number | "result" | { readonly arg: number };

/** Most bytes that one buffer of a script has; a longer one is cut there. */
export const BUFFER_MAX: number = 1024 * 1024;

/** A count at entry; `BUFFER_MAX` caps it, null when nobody knows. */
export function countAtEntry(count: Count, enc: Encoder): number | null {
  if (typeof count === "number") return count;
  if (count === "result") return null;
  const value = enc.argValue(count.arg);
  return value === null ? null : Math.max(0, Math.min(value, BUFFER_MAX));
}

/** A count behind the call; 0 when it failed and the result says the count. */
export function countAtExit(count: Count, dec: Decoder): number {
  if (typeof count === "number") return count;
  if (count === "result") return Math.max(0, dec.ret ?? 0);
  return Math.max(0, Math.min(dec.arg(count.arg), BUFFER_MAX));
}
