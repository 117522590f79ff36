/**
 * A call put into memory and read back, without any world in between: what its signature encodes must decode to the same.
 */
import type { Decoder, Encoder } from "../../src/trace/abi/context.ts";
import { entryOf, evalBig, evalInt, exitOf } from "../../src/trace/abi/evaluate.ts";
import type { Image, Word } from "../../src/trace/abi/image.ts";
import { paramTypes, registerOf, type Signature, signature } from "../../src/trace/abi/index.ts";
import type { CallLine, Expr, StrExpr } from "../../src/trace/ast.ts";
import { CallDecoder } from "../../src/trace/call-decoder.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printExpr } from "../../src/trace/printer.ts";
import { printOutput } from "../../src/trace/render.ts";
import { rebuild } from "../../src/trace/walk.ts";

const MEMORY_START = 0x10_0000;

/** Places every block at the next free address. */
class MemoryEncoder implements Encoder {
  readonly blocks: { addr: number; bytes: Uint8Array }[] = [];
  readonly #args: readonly Expr[];
  /** The encoder of the same call at entry: lengths and addresses are those. */
  readonly #entry: MemoryEncoder | null;
  readonly addresses: number[] = [];
  #reserved = 0;
  #top = MEMORY_START;

  constructor(args: readonly Expr[], entry: MemoryEncoder | null = null) {
    this.#args = args;
    this.#entry = entry;
  }

  arg(index: number): Expr | null {
    const expr = this.#args[index];
    return expr === undefined ? null : entryOf(expr);
  }

  argValue(index: number): number | null {
    if (this.#entry !== null) return this.#entry.argValue(index);
    const outer = this.arg(index);
    const only = outer?.kind === "array" && outer.items.length === 1 ? entryOf(outer.items[0]!) : outer;
    return only === null ? null : evalInt(only);
  }

  word(expr: Expr): Word {
    return evalBig(entryOf(expr)) ?? this.fail(expr, printExpr(expr), "a number");
  }

  lengthOf(expr: StrExpr): number {
    return expr.bytes.length;
  }

  reserve(size: number): number {
    const addr = this.#entry?.addresses[this.#reserved] ?? this.#top;
    this.#reserved += 1;
    this.addresses.push(addr);
    this.#top = Math.ceil((addr + Math.max(size, 1)) / 16) * 16;
    return addr;
  }

  place(expr: Expr): number {
    return this.fail(expr, "a place", "content");
  }

  poke(addr: number, image: Image): void {
    this.blocks.push({ addr, bytes: image.bytes });
  }

  output(): void {}

  expect(addr: number, image: Image, _rebind: boolean, encode: () => void): void {
    encode();
    this.blocks.push({ addr, bytes: image.bytes });
  }

  /** So that outputs are encoded like inputs. */
  hasUnbound(): boolean {
    return true;
  }

  fail(expr: Expr, found: string, expected: string): never {
    throw new Error(`${printExpr(expr)}: ${found}, expected ${expected}`);
  }
}

/** An encoder for a block of its own. */
export function blockEncoder(): Encoder {
  return new MemoryEncoder([]);
}

/** A decoder for a block of its own, of a call that returned `ret`. */
export function blockDecoder(ret = 0): Decoder {
  const decoder = new CallDecoder([], []);
  decoder.ret = ret;
  return decoder;
}

function atExit(expr: Expr): Expr {
  return rebuild(expr, (part) => (part.kind === "named" ? { ...part, value: exitOf(part.value) } : exitOf(part)));
}

/** The call of a line after its way through memory: its arguments, and the words behind its result. */
export function throughMemory(text: string): { readonly args: string; readonly words: string | null } {
  const line = parseLine(text, 1) as CallLine;
  const declared = signature(line.name) as Signature;
  const entry = new MemoryEncoder(line.args);
  const exit = new MemoryEncoder(line.args.map(atExit), entry);
  const types = paramTypes(declared, (index) => entry.argValue(index));
  const registers: number[] = [0, 0, 0, 0, 0, 0];
  for (const [index, type] of types.entries()) {
    const word = type.toWord(line.args[index]!, entry) as bigint;
    registers[registerOf(declared, index, (at) => entry.argValue(at))] = Number(BigInt.asIntN(64, word));
    type.toWord(atExit(line.args[index]!), exit);
  }
  const decoder = new CallDecoder(registers, entry.blocks);
  const [value] = line.result?.values ?? [];
  decoder.ret = line.result?.errnos[0] != null ? -1 : value === undefined ? 0 : (evalInt(value) ?? 0);
  for (const { addr, bytes } of exit.blocks) decoder.readBack(addr, bytes);
  const args = types.map((type, index) => {
    const register = decoder.arg(registerOf(declared, index, (at) => decoder.arg(at)));
    return printExpr(type.fromWord(BigInt(register), decoder));
  });
  const described = decoder.ret >= 0 ? (declared.describe?.(decoder) ?? null) : null;
  const words = described?.output == null ? (described?.text ?? null) : printOutput(described.output);
  return { args: args.join(", "), words };
}
