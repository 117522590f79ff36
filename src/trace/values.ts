/**
 * The values that every line is full of, in forms that cost little until somebody looks inside: numbers without a bigint,
 * strings without decoded bytes, time stamps without 64-bit arithmetic.
 */
import type { IntExpr, StrExpr, TimeStamp } from "./ast.ts";
import { decodeString } from "./strings.ts";

/** A number. Kept as a double when that is exact; the bigint is made on demand. */
export class IntValue implements IntExpr {
  readonly kind = "int";
  readonly num: number;
  readonly base: 8 | 10 | 16;
  readonly note: string | null;
  readonly #big: bigint | null;

  constructor(value: bigint | number, base: 8 | 10 | 16, note: string | null) {
    this.num = Number(value);
    this.base = base;
    this.note = note;
    this.#big = typeof value === "bigint" && !Number.isSafeInteger(this.num) ? value : null;
  }

  get value(): bigint {
    return this.#big ?? BigInt(this.num);
  }
}

/** A string literal of a line: its text between the quotes, decoded when `bytes` is first read. */
export class StrValue implements StrExpr {
  readonly kind = "str";
  readonly truncated: boolean;
  #source: string;
  #bytes: Uint8Array | null = null;

  /** @param source - well-formed text between the quotes, escapes included. */
  constructor(source: string, truncated: boolean) {
    this.#source = source;
    this.truncated = truncated;
  }

  get bytes(): Uint8Array {
    if (this.#bytes === null) {
      this.#bytes = decodeString(this.#source);
      this.#source = ""; // a slice would keep the whole input chunk alive
    }
    return this.#bytes;
  }
}

/** A time stamp. */
export class Stamp implements TimeStamp {
  readonly form: "unix" | "clock" | "relative";
  readonly seconds: number;
  readonly nanos: number;
  readonly digits: number;

  constructor(form: "unix" | "clock" | "relative", seconds: number, nanos: number, digits: number) {
    this.form = form;
    this.seconds = seconds;
    this.nanos = nanos;
    this.digits = digits;
  }

  get ns(): bigint {
    return BigInt(this.seconds) * 1_000_000_000n + BigInt(this.nanos);
  }
}
