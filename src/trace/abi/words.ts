/**
 * Argument types that fit a register: numbers, symbols, flag sets, modes.
 */
import type { Expr } from "../ast.ts";
import { hex, int as intExpr, octal, op, or, sym } from "../build.ts";
import type { Decoder, Encoder, WordType } from "./context.ts";
import { entryOf } from "./evaluate.ts";
import type { Word } from "./image.ts";
import type { SymbolTable } from "./symbol-table.ts";
import { fileTypes, modeBits, openAccessModes, openFlags, signals, socketFlags, socketTypes } from "./symbols.ts";

/** Numbers beyond are not exact in a register of the model: of a narrow argument only its own bits count. */
const INT64_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

type Size = 1 | 2 | 4 | 8;

/** A number in a cell of `size` bytes, printed by `print`. */
export function word(size: Size, signed: boolean, print: (value: bigint) => Expr): WordType {
  const truncate = (value: bigint): bigint =>
    signed ? BigInt.asIntN(size * 8, value) : BigInt.asUintN(size * 8, value);
  return {
    kind: "word",
    size,
    signed,
    output: false,
    target: null,
    toWord: (expr: Expr, enc: Encoder): Word => {
      const given = enc.word(entryOf(expr));
      return typeof given === "bigint" && size < 8 && (given > INT64_SAFE || given < -INT64_SAFE)
        ? truncate(given)
        : given;
    },
    fromWord: (value: bigint, _dec: Decoder): Expr => print(truncate(value)),
  };
}

/** A type with other printing, same otherwise. */
export function printedBy(type: WordType, print: (value: bigint, dec: Decoder) => Expr): WordType {
  return { ...type, fromWord: print };
}

/** `int`. */
export const int: WordType = word(4, true, intExpr);
/** `unsigned int`. */
export const uint: WordType = word(4, false, intExpr);
/** `unsigned short`. */
export const ushort: WordType = word(2, false, intExpr);
/** `unsigned char`. */
export const byte: WordType = word(1, false, intExpr);
/** `long`, `off_t`. */
export const long: WordType = word(8, true, intExpr);
/** `unsigned long`, `size_t`. */
export const ulong: WordType = word(8, false, intExpr);
/** `unsigned long`, printed in hexadecimal. */
export const ulongHex: WordType = word(8, false, hex);
/** An address that is printed, never followed. */
export const address: WordType = printedBy(ulong, (value, dec) => printAddress(value, dec));
/** A descriptor. */
export const fd: WordType = word(4, true, intExpr);
/** A process or thread id. */
export const pid: WordType = word(4, true, intExpr);

/** A user or group id; -1 leaves one as it is. */
export const uid: WordType = word(4, false, (value) => intExpr(value === 0xffff_ffffn ? -1 : value));

/** `NULL`, a place, or a number in hexadecimal. */
export function printAddress(value: bigint, dec: Decoder): Expr {
  return value === 0n ? sym("NULL") : dec.address(BigInt.asUintN(64, value));
}

/** A descriptor in the place where a path starts: `AT_FDCWD`. */
export const dirFd: WordType = word(4, true, (value) => (value === -100n ? sym("AT_FDCWD") : intExpr(value)));

/** One symbol out of a table. */
export function enumeration(table: SymbolTable, size: Size = 4): WordType {
  return word(size, false, (value) => table.printEnum(value));
}

/** Bits out of a table. */
export function flags(table: SymbolTable, size: Size = 4): WordType {
  return word(size, false, (value) => table.printFlags(value));
}

/** Flags of `open`: access mode first. */
export const openMode: WordType = word(4, false, printOpenFlags);

/** `O_RDWR|O_NONBLOCK`. */
export function printOpenFlags(value: bigint): Expr {
  return or([openAccessModes.printEnum(value & 3n), ...openFlags.flagItems(value & ~3n)]);
}

/** A socket type with its flags; one that has no name is printed whole, as a number. */
export const socketType: WordType = word(4, false, (value) => {
  const name = socketTypes.nameOf(value & 0xfn);
  return name === null ? hex(value) : or([sym(name), ...socketFlags.flagItems(value & ~0xfn)]);
});

/** Permission bits in octal, `0600`; with a file type `S_IFIFO|0666`. */
export function printMode(value: bigint): Expr {
  const type = fileTypes.nameOf(value & 0o170000n);
  const items: Expr[] = type === null ? [] : [sym(type)];
  items.push(...modeBits.flagItems(value & 0o7000n));
  const rest = type === null ? value & ~0o7000n : value & 0o777n;
  items.push(octal(rest));
  return or(items);
}

/** `mode_t` with a file type. */
export const fileMode: WordType = word(4, false, printMode);

/** `mode_t` of permissions: octal. */
export const mode: WordType = word(4, false, octal);

/** A signal number: `SIGUSR1`, 0. */
export const signal: WordType = word(4, true, (value) => (value === 0n ? intExpr(0) : printSignal(value)));

/** A signal by its full name, or its number. */
export function printSignal(value: bigint): Expr {
  const name = signals.nameOf(value);
  return name === null ? intExpr(value) : sym(name);
}

/** A resource limit: `8192*1024` where it is a multiple, `RLIM64_INFINITY`. */
export const rlimit: WordType = word(8, false, (value) => {
  if (value === 0xffff_ffff_ffff_ffffn) return sym("RLIM64_INFINITY");
  return value > 1024n && value % 1024n === 0n ? op("*", [intExpr(value / 1024n), intExpr(1024)]) : intExpr(value);
});
