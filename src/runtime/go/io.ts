/**
 * io.Copy, io.CopyN, io.LimitedReader, io.ReadFull, io.ReadAll, and text as bytes.
 *
 * Counterpart: `io/io.go`.
 */
import { EOF, ErrUnexpectedEOF, type GoError } from "./poll/errors.ts";
import type { Go, Op } from "./runtime2.ts";

/** What moved n bytes, and why it ended. */
export interface ReadResult {
  readonly n: number;
  readonly err: GoError | null;
}

export interface Reader {
  read(buf: Uint8Array): Op<ReadResult>;
  /** `io.WriterTo`: all of it; null when it has to be read and written. */
  writeTo?(w: Writer): Go<ReadResult | null>;
}

export interface Writer {
  write(buf: Uint8Array): Op<ReadResult>;
  /** `io.ReaderFrom`, likewise. */
  readFrom?(r: Reader): Go<ReadResult | null>;
}

/** `io.LimitedReader`: at most `n` bytes of another one. */
export class LimitedReader implements Reader {
  readonly r: Reader;
  /** Bytes left. */
  n: number;

  constructor(r: Reader, n: number) {
    this.r = r;
    this.n = n;
  }

  read(buf: Uint8Array): Op<ReadResult> {
    return this.#read(buf);
  }

  *#read(buf: Uint8Array): Go<ReadResult> {
    if (this.n <= 0) return { n: 0, err: EOF };
    const { n, err } = yield* this.r.read(buf.length > this.n ? buf.subarray(0, this.n) : buf);
    this.n -= n;
    return { n, err };
  }
}

const COPY_BYTES = 32_768;

/** What makes buffers that the collector knows of. */
interface Allocator {
  makeBytes(n: number): Uint8Array;
}

/** `io.Copy`: to the end of `src`. By sendfile or splice where there is a way, else by a buffer of 32 KiB. */
export function* copy(rt: Allocator, dst: Writer, src: Reader): Go<ReadResult> {
  let moved: ReadResult | null = null;
  if (src.writeTo !== undefined) moved = yield* src.writeTo(dst);
  if (moved === null && dst.readFrom !== undefined) moved = yield* dst.readFrom(src);
  if (moved !== null) return moved;
  const size = src instanceof LimitedReader ? Math.min(COPY_BYTES, Math.max(1, src.n)) : COPY_BYTES;
  const buf = rt.makeBytes(size);
  let n = 0;
  for (;;) {
    const got = yield* src.read(buf);
    if (got.n > 0) {
      const put = yield* dst.write(buf.subarray(0, got.n));
      n += put.n;
      if (put.err !== null) return { n, err: put.err };
    }
    if (got.err !== null) return { n, err: got.err === EOF ? null : got.err };
  }
}

/** `io.CopyN`: so many bytes, or EOF when there are fewer. */
export function* copyN(rt: Allocator, dst: Writer, src: Reader, n: number): Go<ReadResult> {
  const moved = yield* copy(rt, dst, new LimitedReader(src, n));
  return moved.err === null && moved.n < n ? { n: moved.n, err: EOF } : moved;
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
