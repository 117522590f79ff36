/**
 * Streams to lines of the language: strace text, scripts and NDJSON, in any mixture.
 */
import type { Line } from "./ast.ts";
import { ParseError } from "./errors.ts";
import { parseJson } from "./json.ts";
import { LineSplitter, type SplitOptions } from "./lines.ts";
import { LineParser, type ParseOptions } from "./parser.ts";
import { TaskResolver } from "./tasks.ts";

/** How to read a stream. */
export interface ReadOptions extends ParseOptions, SplitOptions {
  readonly file?: string | null;
  /** Called with a line that cannot be read, which is then passed over. Without it the error is thrown. */
  readonly onError?: (error: ParseError) => void;
}

const ATTACHED = " attached";
const QUOTE_MARK = 0x3e;
/** Nobody wraps longer lines by hand, and each is read three times. */
const WRAPPED_MAX = 4096;
/** `> ` in front of what a mail quotes. A stack frame of `-k` has a blank in front. */
const QUOTED = /^(?:> ?)+/u;

/** Turns chunks into lines. */
export class TraceReader {
  readonly #splitter: LineSplitter;
  readonly #parser: LineParser;
  readonly #file: string | null;
  readonly #lenient: boolean;
  readonly #onError: ((error: ParseError) => void) | null;
  readonly #tasks: TaskResolver = new TaskResolver();
  #nrLines = 0;
  /** The first part of a broken call. */
  #broken = "";
  /** A line of a recording that cannot be read: the next one may be its rest, wrapped by whoever pasted it. */
  #wrapped: { readonly text: string; readonly error: ParseError } | null = null;

  constructor(options: ReadOptions = {}) {
    this.#splitter = new LineSplitter(options);
    this.#parser = new LineParser(options);
    this.#file = options.file ?? null;
    this.#lenient = options.lenient ?? false;
    this.#onError = options.onError ?? null;
  }

  /** The lines that end in this chunk. */
  push(chunk: Uint8Array): Line[] {
    return this.#parse(this.#splitter.push(chunk));
  }

  /** The last line, when it had no line feed. A recording cut off while it was written may end in half a line: a note. */
  end(): Line[] {
    const texts = this.#splitter.end();
    if (!this.#lenient) return this.#parse(texts);
    try {
      return [...this.#parse(texts), ...this.#giveUp()];
    } catch (error) {
      if (!(error instanceof ParseError) || texts.length === 0) throw error;
      return [{ type: "note", line: this.#nrLines, task: null, time: null, text: texts[0]! }];
    }
  }

  #parse(texts: readonly string[]): Line[] {
    const lines: Line[] = [];
    for (const text of texts) {
      this.#nrLines += 1;
      try {
        const line = this.#line(this.#mended(text));
        if (line !== null) lines.push(this.#tasks.resolve(line));
      } catch (error) {
        if (this.#onError === null || !(error instanceof ParseError)) throw error;
        this.#onError(error);
      }
    }
    return lines;
  }

  /** The line of a text; null when it may go on in the next one. */
  #line(text: string): Line | null {
    if (!this.#lenient) return this.#parseText(text);
    const line = this.#joined(text);
    if (line !== null) return line;
    try {
      return this.#parseText(text.charCodeAt(0) === QUOTE_MARK ? text.replace(QUOTED, "") : text);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      if (text.length > WRAPPED_MAX) throw error;
      this.#giveUp();
      this.#wrapped = { text, error };
      return null;
    }
  }

  /** A wrapped line together with its rest; null when that makes no line. */
  #joined(text: string): Line | null {
    const wrapped = this.#wrapped;
    if (wrapped === null) return null;
    for (const between of [" ", ""]) {
      try {
        const line = this.#parseText(
          `${wrapped.text}${between}${text.replace(QUOTED, "").trimStart()}`.replace(QUOTED, ""),
        );
        this.#wrapped = null;
        return line;
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
      }
    }
    this.#giveUp();
    return null;
  }

  /** The line that could not be read is none. @throws ParseError - unless somebody listens. */
  #giveUp(): Line[] {
    const wrapped = this.#wrapped;
    this.#wrapped = null;
    if (wrapped === null) return [];
    if (this.#onError === null) throw wrapped.error;
    this.#onError(wrapped.error);
    return [];
  }

  /** No line of strace begins with a brace, every line of NDJSON does. */
  #parseText(text: string): Line {
    if (text.charCodeAt(0) === 0x7b) return parseJson(text, this.#nrLines, this.#file);
    return this.#parser.parse(text, this.#nrLines);
  }

  /** The text of a line; where a message broke a call, the message alone, and then the whole call in place of the next line. */
  #mended(text: string): string {
    if (this.#broken !== "") {
      const whole = this.#broken + text;
      this.#broken = "";
      return whole;
    }
    return text.endsWith(ATTACHED) ? this.#takeMessage(text) : text;
  }

  /**
   * On a terminal strace's own message may stand in the middle of a call: `clone(flags=SIGCHLDstrace: Process 12 attached`, and
   * in the next line `, child_tidptr=0x7f) = 12`.
   */
  #takeMessage(text: string): string {
    const process = text.lastIndexOf("Process ");
    const start = text.startsWith("strace: ", process - 8) ? process - 8 : process;
    const call = text.slice(0, start);
    if (process === -1 || !call.includes("(")) return text;
    this.#broken = call;
    return text.slice(start);
  }
}

/** The lines of a stream, an array for each chunk: for whoever reads millions of them. */
export async function* readBatches(
  chunks: AsyncIterable<Uint8Array>,
  options?: ReadOptions,
): AsyncGenerator<Line[], void> {
  const reader = new TraceReader(options);
  for await (const chunk of chunks) {
    const lines = reader.push(chunk);
    if (lines.length > 0) yield lines;
  }
  const lines = reader.end();
  if (lines.length > 0) yield lines;
}

/** The lines of a stream, one by one. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, options?: ReadOptions): AsyncGenerator<Line, void> {
  for await (const batch of readBatches(chunks, options)) yield* batch;
}

/** The lines of a text. */
export function parseText(text: string, options?: ReadOptions): Line[] {
  const reader = new TraceReader(options);
  return [...reader.push(new TextEncoder().encode(text)), ...reader.end()];
}
