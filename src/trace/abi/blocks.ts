/**
 * Argument types that live in memory, and the pointers to them: structs, arrays, buffers, strings.
 */
import type { Expr } from "../ast.ts";
import { array as arrayExpr, at, int as intExpr, named, str, struct as structExpr } from "../build.ts";
import {
  type AbiType,
  type BlockType,
  type Count,
  countAtEntry,
  countAtExit,
  type Decoder,
  type Encoder,
  type WordType,
} from "./context.ts";
import { entryOf } from "./evaluate.ts";
import { Image, readWord, type Word } from "./image.ts";
import { printAddress, word } from "./words.ts";

/** Puts a value of any type at `offset`. */
export function encodeAt(type: AbiType, expr: Expr, image: Image, offset: number, enc: Encoder): void {
  if (type.kind === "block") type.encode(expr, image, offset, enc);
  else image.put(offset, type.size, type.toWord(expr, enc));
}

/** Reads a value of any type at `offset`. */
export function decodeAt(type: AbiType, bytes: Uint8Array, offset: number, dec: Decoder): Expr {
  if (type.kind === "block") return type.decode(bytes.subarray(offset), dec);
  return type.fromWord(readWord(bytes, offset, type.size, type.signed), dec);
}

/** A field of a struct. `when` says whether strace prints it; */
export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly type: AbiType;
  readonly when?: (bytes: Uint8Array) => boolean;
}

/** `name` of `type` at `offset`. */
export function fieldAt(offset: number, name: string, type: AbiType, when?: (bytes: Uint8Array) => boolean): Field {
  return when === undefined ? { name, offset, type } : { name, offset, type, when };
}

/** A struct of fixed size. Fields that a script leaves out are 0. */
export function struct(size: number, fields: readonly Field[]): BlockType {
  return {
    kind: "block",
    room: () => size,
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      encodeFields(fields, expr, image, offset, enc);
    },
    extent: () => size,
    decode: (bytes: Uint8Array, dec: Decoder): Expr => structExpr(decodeFields(fields, bytes, dec)),
  };
}

/** Puts the fields of a struct expression, by name or in their order. */
export function encodeFields(fields: readonly Field[], expr: Expr, image: Image, offset: number, enc: Encoder): void {
  const inner = entryOf(expr);
  if (inner.kind !== "struct") enc.fail(inner, "not a struct", `a struct {${fields.map((f) => f.name).join("=, ")}=}`);
  for (const [position, item] of inner.fields.entries()) {
    if (item.kind === "ellipsis") continue;
    const target = item.kind === "named" ? fields.find((candidate) => candidate.name === item.name) : fields[position];
    if (target === undefined) enc.fail(item, "no such field", `one of ${fields.map((f) => f.name).join(", ")}`);
    encodeAt(target.type, item.kind === "named" ? item.value : item, image, offset + target.offset, enc);
  }
}

/** The fields of a struct as strace prints them. */
export function decodeFields(fields: readonly Field[], bytes: Uint8Array, dec: Decoder): Expr[] {
  const shown = fields.filter((candidate) => candidate.when === undefined || candidate.when(bytes));
  return shown.map((shownField) => named(shownField.name, decodeAt(shownField.type, bytes, shownField.offset, dec)));
}

/**
 * An array of elements of fixed size.
 *
 * @param room - elements that the memory has room for; what the script lists counts too.
 * @param shown - elements that are printed.
 */
export function array(element: AbiType, elementSize: number, room: Count, shown: Count = room): BlockType {
  return {
    kind: "block",
    room(expr: Expr | null, enc: Encoder): number {
      const listed = expr?.kind === "array" ? expr.items.filter((item) => item.kind !== "ellipsis").length : 0;
      const counted = Math.min(countAtEntry(room, enc) ?? 0, Math.ceil((1024 * 1024) / elementSize));
      return Math.max(listed, counted) * elementSize;
    },
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      const inner = entryOf(expr);
      if (inner.kind !== "array") enc.fail(inner, "not an array", "an array [...]");
      for (const [position, item] of inner.items.entries()) {
        if (item.kind === "ellipsis") return;
        encodeAt(element, item, image, offset + position * elementSize, enc);
      }
    },
    extent: (dec: Decoder): number => countAtExit(shown, dec) * elementSize,
    decode(bytes: Uint8Array, dec: Decoder): Expr {
      const items: Expr[] = [];
      for (let offset = 0; offset + elementSize <= bytes.length; offset += elementSize) {
        items.push(decodeAt(element, bytes.subarray(offset, offset + elementSize), 0, dec));
      }
      return arrayExpr(items);
    },
  };
}

/** `[n]`: one number behind a pointer. */
export function boxed(type: WordType): BlockType {
  return array(type, type.size, 1);
}

/** An array of new descriptors, as pipe and socketpair give them: names in it are bound. */
export function fdPair(type: WordType): BlockType {
  return { ...array(type, type.size, 2), rebinds: true };
}

/** A buffer of bytes. At entry the string, and zeros up to the length that the call is told. */
export function buffer(room: Count, shown: Count = room): BlockType {
  return {
    kind: "block",
    room(expr: Expr | null, enc: Encoder): number {
      const listed = expr?.kind === "str" ? enc.lengthOf(expr) : 0;
      return Math.max(listed, countAtEntry(room, enc) ?? 0);
    },
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      const inner = entryOf(expr);
      if (inner.kind !== "str") enc.fail(inner, "not a string", 'bytes "..."');
      image.putBytes(offset, inner.bytes);
    },
    extent: (dec: Decoder): number => countAtExit(shown, dec),
    decode: (bytes: Uint8Array, dec: Decoder): Expr => str(bytes.slice(), bytes.length < countAtExit(shown, dec)),
  };
}

const PATH_MAX = 4096;

/** A string with a NUL behind it. */
export const cstring: BlockType = {
  kind: "block",
  room: (expr: Expr | null): number => (expr?.kind === "str" ? expr.bytes.length + 1 : 1),
  encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
    const inner = entryOf(expr);
    if (inner.kind !== "str") enc.fail(inner, "not a string", 'a path "..."');
    image.putBytes(offset, inner.bytes);
    image.put(offset + inner.bytes.length, 1, 0n);
  },
  extent: () => PATH_MAX,
  decode(bytes: Uint8Array): Expr {
    const end = bytes.indexOf(0);
    return str(bytes.slice(0, end < 0 ? bytes.length : end), end < 0);
  },
};

/** Which way the content behind a pointer goes. */
export type Direction = "in" | "out" | "inout";

/**
 * A pointer. In place of the content a script may write `NULL`, a number, `@place` (with content: `@place:...`) or a
 * `$name`, which are the address itself.
 */
export function pointer(target: BlockType, direction: Direction): WordType {
  return {
    ...word(8, false, intExpr),
    output: direction !== "in",
    target,
    toWord: (expr, enc) => encodePointer(target, direction, expr, enc),
    fromWord: (value, dec) => decodePointer(target, direction, value, dec),
  };
}

function encodePointer(target: BlockType, direction: Direction, expr: Expr, enc: Encoder): Word {
  const outer = entryOf(expr);
  if (outer.kind === "int" || outer.kind === "var") return enc.word(outer);
  if (outer.kind === "sym" && outer.name !== "?") return enc.word(outer);
  const content = outer.kind === "at" ? outer.content : outer;
  const entry = content === null || (content.kind === "sym" && content.name === "?") ? null : entryOf(content);
  const room = target.room(entry, enc);
  const addr = outer.kind === "at" ? enc.place(outer, room) : enc.reserve(room);
  if (direction !== "out" && entry !== null) {
    const image = new Image(room);
    target.encode(entry, image, 0, enc);
    enc.poke(addr, image);
  } else if (direction === "in" && outer.kind !== "at") {
    enc.fail(outer, "no content", "the content, or an address");
  }
  if (direction !== "in") enc.output(addr, room, direction === "out" && !isShared(outer));
  if (direction === "out" && entry !== null && (target.rebinds === true || enc.hasUnbound(entry))) {
    const image = new Image(room);
    enc.expect(addr, image, target.rebinds === true, () => target.encode(entry, image, 0, enc));
  }
  return BigInt(addr);
}

function isShared(expr: Expr): boolean {
  return expr.kind === "at" && expr.place === "buf";
}

function decodePointer(target: BlockType, direction: Direction, value: bigint, dec: Decoder): Expr {
  const where = printAddress(value, dec);
  if (where.kind === "sym") return where;
  const content = decodeContent(target, direction, Number(BigInt.asUintN(64, value)), dec);
  if (content === null) return where;
  return where.kind === "at" ? at(where.place, where.offset, content) : content;
}

function decodeContent(target: BlockType, direction: Direction, addr: number, dec: Decoder): Expr | null {
  const extent = target.extent(dec);
  if (extent < 0) return null;
  const failed = dec.ret === null || (dec.ret < 0 && target.writtenOnFailure !== true);
  const before = direction === "out" ? null : dec.before(addr, extent);
  const after = direction === "in" || failed ? null : dec.after(addr, extent);
  if (before === null) return after === null ? null : target.decode(after, dec);
  const entry = target.decode(before, dec);
  return after === null || sameBytes(before, after) ? entry : change(entry, target.decode(after, dec), target);
}

/** `[128 => 16]` for boxes, `before => after` for the rest. */
function change(from: Expr, to: Expr, { changesOutside }: BlockType): Expr {
  const inside = from.kind === "array" && to.kind === "array" && changesOutside !== true;
  const [inner] = inside ? from.items : [];
  const [outcome] = inside ? to.items : [];
  if (inner !== undefined && outcome !== undefined) return { kind: "change", from: inner, to: outcome, brackets: "[]" };
  return { kind: "change", from, to, brackets: "" };
}

/** Whether two blocks hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** The content expression of a pointer argument: behind a place, or the argument itself; null for a bare address. */
export function contentOf(expr: Expr): Expr | null {
  const inner = expr.kind === "named" ? expr.value : expr;
  if (inner.kind === "at") return inner.content;
  return inner.kind === "int" || inner.kind === "var" || inner.kind === "sym" ? null : inner;
}
