/**
 * `struct iovec` arrays: buffers behind buffers.
 *
 * Counterpart: `include/uapi/linux/uio.h`. strace prints `[{iov_base="abc", iov_len=3}]`; of an array that a call reads
 * into, as many bytes as the call returned are shared out over the buffers.
 */
import type { Expr } from "../ast.ts";
import { array as arrayExpr, int, named, str, struct } from "../build.ts";
import {
  type BlockType,
  BUFFER_MAX,
  type Count,
  countAtEntry,
  countAtExit,
  type Decoder,
  type Encoder,
} from "./context.ts";
import { entryOf, evalInt, field } from "./evaluate.ts";
import { Image, readWord } from "./image.ts";
import { printAddress } from "./words.ts";

const IOVEC_SIZE = 16;
const UIO_MAXIOV = 1024;

/** An array of iovecs whose buffers the call reads (`in`) or writes (`out`). */
export function iovecs(count: Count, direction: "in" | "out"): BlockType {
  return {
    kind: "block",
    room(expr: Expr | null, enc: Encoder): number {
      const listed = expr?.kind === "array" ? expr.items.length : 0;
      return Math.max(listed, Math.min(countAtEntry(count, enc) ?? 0, UIO_MAXIOV + 1)) * IOVEC_SIZE;
    },
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      const inner = entryOf(expr);
      if (inner.kind !== "array") enc.fail(inner, "not an iovec array", '[{iov_base="...", iov_len=N}]');
      for (const [index, item] of inner.items.entries()) {
        if (item.kind !== "ellipsis") encodeIovec(item, image, offset + index * IOVEC_SIZE, direction, enc);
      }
    },
    extent: (dec: Decoder): number => Math.min(countAtExit(count, dec), UIO_MAXIOV) * IOVEC_SIZE,
    decode: (bytes: Uint8Array, dec: Decoder): Expr =>
      decodeIovecs(bytes, direction, direction === "out" ? Math.max(0, dec.ret ?? 0) : Number.POSITIVE_INFINITY, dec),
  };
}

function encodeIovec(expr: Expr, image: Image, offset: number, direction: "in" | "out", enc: Encoder): void {
  const inner = entryOf(expr);
  if (inner.kind !== "struct") enc.fail(inner, "not an iovec", '{iov_base="...", iov_len=N}');
  const lengthExpr = field(inner, "iov_len", 1) ?? enc.fail(inner, "no iov_len", '{iov_base="...", iov_len=N}');
  const base = field(inner, "iov_base", 0) ?? enc.fail(inner, "no iov_base", '{iov_base="...", iov_len=N}');
  const length = Math.max(0, Math.min(evalInt(lengthExpr) ?? 0, BUFFER_MAX));
  image.put(offset, 8, encodeBase(base, length, direction, enc));
  image.put(offset + 8, 8, enc.word(lengthExpr));
}

function encodeBase(expr: Expr, length: number, direction: "in" | "out", enc: Encoder): bigint {
  const outer = entryOf(expr);
  if (outer.kind === "int") return BigInt.asUintN(64, outer.value);
  if (outer.kind === "sym" && outer.name !== "?") {
    const word = enc.word(outer);
    return typeof word === "bigint" ? word : 0n;
  }
  const content = outer.kind === "at" ? outer.content : outer;
  const bytes = content?.kind === "str" ? content.bytes : new Uint8Array(0);
  const room = Math.max(length, content?.kind === "str" ? enc.lengthOf(content) : 0);
  const addr = outer.kind === "at" ? enc.place(outer, room) : enc.reserve(room);
  const image = new Image(room);
  if (direction === "in") {
    if (content === null) return BigInt(addr);
    image.putBytes(0, bytes);
    enc.poke(addr, image);
  } else {
    enc.output(addr, room, !(outer.kind === "at" && outer.place === "buf"));
    if (content !== null && enc.hasUnbound(content)) enc.expect(addr, image, false, () => image.putBytes(0, bytes));
  }
  return BigInt(addr);
}

/** Prints an iovec array. @param budget - bytes to share out over the buffers. */
export function decodeIovecs(bytes: Uint8Array, direction: "in" | "out", budget: number, dec: Decoder): Expr {
  const items: Expr[] = [];
  let rest = budget;
  for (let offset = 0; offset + IOVEC_SIZE <= bytes.length; offset += IOVEC_SIZE) {
    const base = readWord(bytes, offset, 8, false);
    const length = Number(readWord(bytes, offset + 8, 8, false));
    const shown = Math.min(length, rest);
    rest -= shown;
    items.push(struct([named("iov_base", decodeBase(base, shown, direction, dec)), named("iov_len", int(length))]));
  }
  return arrayExpr(items);
}

function decodeBase(base: bigint, length: number, direction: "in" | "out", dec: Decoder): Expr {
  const where = printAddress(base, dec);
  if (where.kind === "sym") return where;
  if (direction === "out" && (dec.ret === null || dec.ret < 0)) return where;
  const bytes = direction === "in" ? dec.before(Number(base), length) : dec.after(Number(base), length);
  if (bytes === null) return where;
  const content = str(bytes.slice(), bytes.length < length);
  return where.kind === "at" ? { ...where, content } : content;
}
