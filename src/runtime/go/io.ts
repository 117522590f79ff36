/**
 * io.ReadFull, io.ReadAll and text as bytes.
 *
 * Counterpart: `io/io.go`.
 */
import { EOF, ErrUnexpectedEOF, type GoError } from "./poll/errors.ts";
import type { Go, Op } from "./runtime2.ts";

export interface Reader {
  read(buf: Uint8Array): Op<{ readonly n: number; readonly err: GoError | null }>;
}

export interface ReadResult {
  readonly n: number;
  readonly err: GoError | null;
}

/** `io.ReadFull`: fills the buffer, or says why not. */
export function* readFull(r: Reader, buf: Uint8Array): Go<ReadResult> {
  let n = 0;
  while (n < buf.length) {
    const got = yield* r.read(n === 0 ? buf : buf.subarray(n));
    n += got.n;
    if (got.err !== null && n < buf.length) return { n, err: got.err === EOF && n > 0 ? ErrUnexpectedEOF : got.err };
  }
  return { n, err: null };
}

const READ_ALL_START = 512;

/** `io.ReadAll`: to the end of the file; the buffer grows as Go's does. */
export function* readAll(r: Reader): Go<{ readonly bytes: Uint8Array; readonly err: GoError | null }> {
  let buf = new Uint8Array(READ_ALL_START);
  let length = 0;
  for (;;) {
    if (length === buf.length) {
      const bigger = new Uint8Array(buf.length + (buf.length < 256 ? buf.length : (buf.length + 768) >> 2));
      bigger.set(buf);
      buf = bigger;
    }
    const { n, err } = yield* r.read(buf.subarray(length));
    length += n;
    if (err !== null) return { bytes: buf.subarray(0, length), err: err === EOF ? null : err };
  }
}

/** `[]byte(s)`: UTF-8. */
export function bytesOf(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x1_0000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), ...[12, 6, 0].map((shift) => 0x80 | ((code >> shift) & 0x3f)));
  }
  return Uint8Array.from(bytes);
}

/** Bytes as text, one character each. */
export function textOf(bytes: Uint8Array, from = 0, to: number = bytes.length): string {
  let text = "";
  for (let i = from; i < to; i += 1) text += String.fromCharCode(bytes[i] as number);
  return text;
}
