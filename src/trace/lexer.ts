/**
 * The words of the language: numbers with their notes, symbols, strings, blanks and comments, read at one position of one
 * line by character code.
 */
import type { SymExpr } from "./ast.ts";
import { describeAt, ParseError } from "./errors.ts";
import { HASH_START, hashStep, internSym } from "./intern.ts";
import { endOfString, hexDigit } from "./strings.ts";
import { IntValue, StrValue } from "./values.ts";

/** Classes of characters, as bits of `CLASS`. */
const WORD_START = 1;
const WORD = 2;
const DIGIT = 4;

const CLASS = new Uint8Array(128);
for (let c = 0x30; c <= 0x39; c += 1) CLASS[c] = WORD | DIGIT;
for (let c = 0x41; c <= 0x5a; c += 1) CLASS[c] = CLASS[c + 0x20] = WORD | WORD_START;
CLASS[0x5f] = WORD | WORD_START; // _
CLASS[0x3f] = WORD | WORD_START; // ? as in `?`, `????`, `CAP_???`

/** True for a letter, `_` or `?`. */
export function startsWord(code: number): boolean {
  return code < 128 && (CLASS[code]! & WORD_START) !== 0;
}

/** True for a decimal digit. */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Small decimal numbers without a note: one object each. */
const SMALL: readonly IntValue[] = Array.from({ length: 1024 }, (_, n) => new IntValue(n, 10, null));
/** Digits that a double holds for certain. */
const SAFE_DECIMAL = 15;
const SAFE_HEX = 13;
/** Zeros in front included, more than any 64-bit number needs. */
const DIGITS_MAX = 32;

/** Reads the words of one line, left to right. */
export class Lexer {
  text = "";
  pos = 0;
  line = 0;
  file: string | null = null;

  /** Starts on a new line. */
  reset(text: string, line: number, file: string | null): void {
    this.text = text;
    this.pos = 0;
    this.line = line;
    this.file = file;
  }

  /** Throws: `expected` was not what stands at `pos`. */
  fail(expected: string, pos: number = this.pos): never {
    throw new ParseError(this.file, this.line, pos + 1, describeAt(this.text, pos), expected);
  }

  /** Passes blanks and comments. */
  skipBlanks(): void {
    const text = this.text;
    let pos = this.pos;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (code === 0x20 || code === 0x09) pos += 1;
      else if (code === 0x2f && text.charCodeAt(pos + 1) === 0x2a) {
        const end = text.indexOf("*/", pos + 2);
        if (end === -1) this.fail("'*/' at the end of the comment", text.length);
        pos = end + 2;
      } else break;
    }
    this.pos = pos;
  }

  /** A word without a note. The caller has seen its first character. */
  word(): SymExpr {
    const text = this.text;
    const start = this.pos;
    let pos = start;
    let hash = HASH_START;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (code >= 128 || (CLASS[code]! & WORD) === 0) {
        // a dot inside a name: `msg_hdr.msg_name`, never the start of `...`
        if (code !== 0x2e || !startsWord(text.charCodeAt(pos + 1)) || pos === start) break;
      }
      if (pos >= text.length) break;
      hash = hashStep(hash, code);
      pos += 1;
    }
    this.pos = pos;
    return internSym(text, start, pos, hash);
  }

  /** A number and its note. The caller has seen its first digit; `negative` tells of a sign in front. */
  int(negative: boolean): IntValue {
    const text = this.text;
    const start = this.pos;
    if (text.charCodeAt(start) === 0x30) {
      const next = text.charCodeAt(start + 1);
      if ((next | 0x20) === 0x78 && hexDigit(text.charCodeAt(start + 2)) >= 0) return this.#hex(negative);
      if (isDigit(next)) return this.#octal(negative);
    }
    let pos = start;
    let value = 0;
    for (let code = text.charCodeAt(pos); isDigit(code); code = text.charCodeAt(pos)) {
      value = value * 10 + (code - 0x30);
      pos += 1;
    }
    this.pos = pos;
    const code = text.charCodeAt(pos);
    if (code !== 0x3c && code !== 0x20 && value < 1024 && !negative) {
      if (startsWord(code)) this.fail("',' or the end of the number");
      return SMALL[value]!;
    }
    if (pos - start > SAFE_DECIMAL) return this.#big(start, "", negative, 10);
    return this.#number(value, negative, 10);
  }

  #hex(negative: boolean): IntValue {
    const text = this.text;
    const start = this.pos + 2;
    let pos = start;
    let value = 0;
    for (let digit = hexDigit(text.charCodeAt(pos)); digit >= 0; digit = hexDigit(text.charCodeAt(pos))) {
      value = value * 16 + digit;
      pos += 1;
    }
    this.pos = pos;
    if (pos - start > SAFE_HEX) return this.#big(start, "0x", negative, 16);
    return this.#number(value, negative, 16);
  }

  #octal(negative: boolean): IntValue {
    const text = this.text;
    const start = this.pos;
    let pos = start;
    let value = 0;
    for (let code = text.charCodeAt(pos); isDigit(code); code = text.charCodeAt(pos)) {
      if (code > 0x37) this.fail("an octal digit, since the number starts with 0", pos);
      value = value * 8 + (code - 0x30);
      pos += 1;
    }
    this.pos = pos;
    if (pos - start > SAFE_DECIMAL) return this.#big(start, "0o", negative, 8);
    return this.#number(value, negative, 8);
  }

  #number(value: number, negative: boolean, base: 8 | 10 | 16): IntValue {
    // `0 - 0` rather than `-0`, which is another number to some comparisons
    return new IntValue(negative ? 0 - value : value, base, this.#noteBehindNumber());
  }

  #big(start: number, prefix: string, negative: boolean, base: 8 | 10 | 16): IntValue {
    if (this.pos - start > DIGITS_MAX) this.fail("a number of at most 64 bits", start);
    const value = BigInt(prefix + this.text.slice(start, this.pos));
    return new IntValue(negative ? -value : value, base, this.#noteBehindNumber());
  }

  #noteBehindNumber(): string | null {
    const text = this.text;
    const code = text.charCodeAt(this.pos);
    if (code === 0x3c) return this.note();
    if (startsWord(code)) this.fail("',' or the end of the number");
    if (code !== 0x20 || text.charCodeAt(this.pos + 1) !== 0x2f || text.charCodeAt(this.pos + 2) !== 0x2a) return null;
    // -X verbose: `-100 /* AT_FDCWD */</tmp>`
    const end = text.indexOf("*/", this.pos);
    if (end === -1 || text.charCodeAt(end + 2) !== 0x3c || text.charCodeAt(end + 3) === 0x3c) return null;
    this.pos = end + 2;
    return this.note();
  }

  /**
   * The `-y` decoration at `pos`, null when there is none. Inside its square brackets (addresses, socket paths) a `->` and a
   * quoted `>` do not end it; a device has a second pair of angles: `</dev/null<char 1:3>>`.
   */
  note(): string | null {
    const text = this.text;
    const start = this.pos + 1;
    if (text.charCodeAt(start - 1) !== 0x3c || text.charCodeAt(start) === 0x3c) return null;
    let depth = 1;
    let square = 0;
    let pos = start;
    for (; pos < text.length; pos += 1) {
      const code = text.charCodeAt(pos);
      if (code === 0x3e) {
        if (square > 0 && text.charCodeAt(pos - 1) === 0x2d) continue;
        depth -= 1;
        if (depth === 0) break;
      } else if (code === 0x3c) depth += 1;
      else if (code === 0x5b) square += 1;
      else if (code === 0x5d) square -= 1;
      else if (code === 0x5c) pos += 1;
      else if (code === 0x22 && square > 0) pos = endOfString(text, pos + 1, this.file, this.line);
    }
    if (depth !== 0) this.fail("'>' at the end of the note", text.length);
    this.pos = pos + 1;
    const note = text.slice(start, pos);
    if (text.charCodeAt(pos + 1) !== 0x28 || !text.startsWith("(deleted)", pos + 1)) return note;
    this.pos = pos + 1 + "(deleted)".length;
    return `${note} (deleted)`;
  }

  /** A string literal with the `...` of a truncated one. The caller has seen its quote. */
  string(): StrValue {
    const start = this.pos + 1;
    const end = endOfString(this.text, start, this.file, this.line);
    this.pos = end + 1;
    const truncated = this.text.charCodeAt(end + 1) === 0x2e && this.text.startsWith("...", end + 1);
    if (truncated) this.pos = end + 4;
    return new StrValue(this.text.slice(start, end), truncated);
  }
}
