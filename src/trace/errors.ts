/**
 * Bad input: where it is, what was read and what would be right.
 */

/** Text that is not the language. The message is `file:line:column: found X, expected Y`. */
export class ParseError extends Error {
  override readonly name = "ParseError";
  /** Name of the input as the user knows it; `<input>` when it has none. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** 1-based, in characters. */
  readonly column: number;
  readonly found: string;
  readonly expected: string;

  constructor(file: string | null, line: number, column: number, found: string, expected: string) {
    super(`${file ?? "<input>"}:${line}:${column}: found ${found}, expected ${expected}`);
    this.file = file ?? "<input>";
    this.line = line;
    this.column = column;
    this.found = found;
    this.expected = expected;
  }
}

const SHOWN_MAX = 24;

/** What stands at `pos`, in words: `'abc…'`, or `the end of the line`. */
export function describeAt(text: string, pos: number): string {
  if (pos >= text.length) return "the end of the line";
  const rest = text.slice(pos, pos + SHOWN_MAX);
  const shown = text.length > pos + SHOWN_MAX ? `${rest}…` : rest;
  return `'${shown.replace(/\p{Cc}/gu, "\u{fffd}")}'`;
}
