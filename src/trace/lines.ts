/**
 * Bytes to lines, chunk by chunk. Only the line that is still open is kept, and it may not grow beyond a bound.
 */
import { ParseError } from "./errors.ts";

/** A line of `strace -s 1048576` fits, whatever its bytes are. */
export const LINE_BYTES_MAX: number = 16 * 1024 * 1024;

const LINE_FEED = 0x0a;
const NO_LINES: readonly string[] = [];
const BYTE_ORDER_MARK = "\u{feff}";

/** How to split. */
export interface SplitOptions {
  /** Name of the input in error messages. */
  readonly file?: string | null;
  /** Longest line allowed, in bytes. */
  readonly lineBytesMax?: number;
}

/** Splits a stream of UTF-8 into lines. */
export class LineSplitter {
  readonly #file: string | null;
  readonly #lineBytesMax: number;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** The open line, in the pieces it came in. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #nrLines = 0;

  constructor(options: SplitOptions = {}) {
    this.#file = options.file ?? null;
    this.#lineBytesMax = options.lineBytesMax ?? LINE_BYTES_MAX;
  }

  /** Lines handed out so far. */
  get nrLines(): number {
    return this.#nrLines;
  }

  /** The lines that end in this chunk, without their line feeds. The chunk may be reused afterwards. */
  push(chunk: Uint8Array): readonly string[] {
    const last = chunk.lastIndexOf(LINE_FEED);
    if (last === -1) {
      this.#keep(chunk);
      return NO_LINES;
    }
    const whole = this.#join(chunk.subarray(0, last));
    this.#keep(chunk.subarray(last + 1));
    return this.#split(whole);
  }

  /** The last line, when it had no line feed. */
  end(): readonly string[] {
    if (this.#pieceBytes === 0) return NO_LINES;
    return this.#split(this.#join(new Uint8Array(0)));
  }

  #keep(rest: Uint8Array): void {
    if (rest.length === 0) return;
    this.#pieceBytes += rest.length;
    if (this.#pieceBytes > this.#lineBytesMax) this.#tooLong(this.#nrLines + 1);
    this.#pieces.push(rest.slice());
  }

  /** The open line and what goes on from it; nothing is open afterwards. */
  #join(rest: Uint8Array): Uint8Array {
    if (this.#pieces.length === 0) return rest;
    const whole = new Uint8Array(this.#pieceBytes + rest.length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    whole.set(rest, at);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return whole;
  }

  /** A line feed never is part of another character in UTF-8, so whole lines can be decoded on their own. */
  #split(bytes: Uint8Array): readonly string[] {
    if (this.#nrLines === 0) this.#checkEncoding(bytes);
    const lines = this.#decoder.decode(bytes).split("\n");
    if (this.#nrLines === 0 && lines[0]!.startsWith(BYTE_ORDER_MARK)) lines[0] = lines[0]!.slice(1);
    if (bytes.length > this.#lineBytesMax) {
      const long = lines.findIndex((line) => line.length > this.#lineBytesMax);
      if (long !== -1) this.#tooLong(this.#nrLines + long + 1);
    }
    this.#nrLines += lines.length;
    return lines;
  }

  #checkEncoding(bytes: Uint8Array): void {
    const [first, second] = bytes;
    if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
      throw new ParseError(this.#file, 1, 1, "UTF-16 text", "UTF-8 or plain ASCII");
    }
  }

  #tooLong(line: number): never {
    const max = this.#lineBytesMax;
    throw new ParseError(this.#file, line, max + 1, `a line of more than ${max} bytes`, "a line feed before that");
  }
}
