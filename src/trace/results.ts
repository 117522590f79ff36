/**
 * What stands behind a call: its result, the words about it, the time it took.
 *
 * Counterpart: strace `syscall.c` (`syscall_exiting_trace`).
 */
import type { Expr, Result, StructExpr } from "./ast.ts";
import { endOfBrackets } from "./brackets.ts";
import { ColumnParser } from "./columns.ts";
import { ParseError } from "./errors.ts";
import { isDigit, startsWord } from "./lexer.ts";

const NO_ERRNOS: readonly (string | null)[] = [null];
/** `<blocked>`, `<unavailable>`: what stands behind a result without round brackets. */
const RESULT_MARK = /^<[a-z]+>/u;
const MARK_MAX = 20;

/** True for the text of a result that is a mark such as `<blocked>`, not words in brackets. */
export function isResultMark(text: string): boolean {
  return text.length <= MARK_MAX && RESULT_MARK.exec(text)?.[0] === text;
}

/** Reads the end of a call's line. */
export class ResultParser extends ColumnParser {
  /** Duration at the end of the line read last. */
  protected durationNs: number | null = null;

  /** ` = value ERRNO (text) <duration>`, or nothing at all. */
  protected result(): Result | null {
    this.skipBlanks();
    const text = this.text;
    if (text.charCodeAt(this.pos) !== 0x3d) {
      this.end();
      return null;
    }
    this.pos += 1;
    this.skipBlanks();
    const values: Expr[] = [];
    let errnos: readonly (string | null)[] = NO_ERRNOS;
    if (text.charCodeAt(this.pos) === 0x7b) errnos = this.#permitted(values);
    else {
      values.push(this.expr());
      const errno = this.#errno();
      if (errno !== null) errnos = [errno];
    }
    const words = this.#resultText();
    this.end();
    const output = words === null || errnos[0] !== null ? null : this.#output(words);
    return { values, errnos, text: words, output };
  }

  /** `{1 | -1 EAGAIN}`. */
  #permitted(values: Expr[]): readonly (string | null)[] {
    const errnos: (string | null)[] = [];
    const text = this.text;
    do {
      this.pos += 1;
      this.skipBlanks();
      // one operand: `|` separates the members
      values.push(this.single());
      errnos.push(this.#errno());
      this.#resultText(); // a sentence behind a member's errno says nothing new
      this.skipBlanks();
    } while (text.charCodeAt(this.pos) === 0x7c);
    if (text.charCodeAt(this.pos) !== 0x7d) this.fail("'|' or '}' in the permitted results");
    this.pos += 1;
    return errnos;
  }

  #errno(): string | null {
    const code = this.text.charCodeAt(this.pos);
    if (code !== 0x20 && code !== 0x09) return null;
    this.skipBlanks();
    return startsWord(this.text.charCodeAt(this.pos)) ? this.word().name : null;
  }

  /** `(Timeout)` without its brackets, or `<blocked>`, `<unavailable>` with them. */
  #resultText(): string | null {
    this.skipBlanks();
    const text = this.text;
    const start = this.pos;
    const code = text.charCodeAt(start);
    if (code === 0x3c && !isDigit(text.charCodeAt(start + 1))) {
      const mark = RESULT_MARK.exec(text.slice(start, start + MARK_MAX));
      if (mark === null) this.fail("'<blocked>', '<unavailable>' or a duration");
      this.pos = start + mark[0].length;
      return mark[0];
    }
    if (code !== 0x28) return null;
    const end = endOfBrackets(text, start);
    if (end === -1) this.fail("')' at the end of the result", text.length);
    this.pos = end;
    const words = text.slice(start + 1, end - 1);
    if (isResultMark(words)) this.fail(`'${words}' without its brackets`, start);
    return words;
  }

  /** The end of a call's line: a duration or a comment may stand there. */
  protected end(): void {
    this.durationNs = null;
    this.skipBlanks();
    const text = this.text;
    if (text.charCodeAt(this.pos) === 0x3c && isDigit(text.charCodeAt(this.pos + 1))) {
      this.pos += 1;
      const time = this.stamp(false);
      if (text.charCodeAt(this.pos) !== 0x3e) this.fail("'>' at the end of the duration");
      this.pos += 1;
      this.durationNs = time.seconds * 1e9 + time.nanos;
      if (!Number.isSafeInteger(this.durationNs)) this.fail("a duration of less than 104 days");
      this.skipBlanks();
    }
    if (this.pos < text.length && text.charCodeAt(this.pos) !== 0x23) this.fail("the end of the line");
  }

  /** Further output arguments in the words behind a result; null when they are just words. */
  #output(words: string): StructExpr | null {
    const code = words.charCodeAt(0);
    if (code !== 0x5b && code !== 0x7b && !/^(?:in|out|left|flags) /u.test(words)) return null;
    const { text, pos } = this;
    try {
      this.reset(`${words})`, this.line, this.file);
      const fields: Expr[] = [];
      for (;;) {
        const name = /^(?:in|out|left|flags|except) /u.exec(this.text.slice(this.pos, this.pos + 8));
        if (name === null) fields.push(this.item());
        else {
          this.pos += name[0].length;
          fields.push({ kind: "named", name: name[0].trimEnd(), value: this.expr() });
        }
        if (this.text.charCodeAt(this.pos) === 0x29 && this.pos === words.length) return { kind: "struct", fields };
        if (!this.comma(false)) return null;
      }
    } catch (error) {
      if (error instanceof ParseError) return null;
      throw error;
    } finally {
      this.reset(text, this.line, this.file);
      this.pos = pos;
    }
  }

  /** Passes `, `; true when what follows may follow an argument. */
  protected comma(resumed: boolean): boolean {
    const text = this.text;
    let code = text.charCodeAt(this.pos);
    if (code === 0x20 || code === 0x2f) {
      this.skipBlanks();
      code = text.charCodeAt(this.pos);
    }
    if (code === 0x2c) {
      this.pos += 1;
      this.skipBlanks();
      code = text.charCodeAt(this.pos);
      // `f(3,  <unfinished ...>` is right, this is not
      if (code === 0x29) this.fail("an argument behind ','");
      return true;
    }
    if (this.takeCut()) return true;
    return code === 0x29 || (resumed && (code === 0x7d || code === 0x5d)) || this.atUnfinished();
  }
}
