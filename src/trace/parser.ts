/**
 * Lines: the columns in front (task, time), then a call, a resumed half, a signal, an exit, a message of strace's own, or one of
 * the script's comments and directives.
 *
 * Counterpart: strace `strace.c` (`printleader`, `print_signalled`, `print_exited`), `syscall.c` (`syscall_exiting_trace`).
 */
import { ArgParser } from "./args.ts";
import type { CallLine, ExitLine, Expr, Line, Result, ResumedLine, SignalLine, StructExpr, TimeStamp } from "./ast.ts";
import { ParseError } from "./errors.ts";
import { isDigit, startsWord } from "./lexer.ts";
import { Stamp } from "./values.ts";

/** How to read. */
export interface ParseOptions {
  /** Name of the input in error messages. */
  readonly file?: string | null;
  /**
   * For recordings: an argument in a form the grammar does not know becomes a `RawExpr`, and a line that is no strace line at
   * all (output of the traced program) a `NoteLine`. A script is read strictly, so that a slip is an error.
   */
  readonly lenient?: boolean;
}

/** Seconds that only a date reaches; pids and relative times stay below. */
const DATE_SECONDS_MIN = 100_000_000;
const NO_ERRNOS: readonly (string | null)[] = [null];
/** `<blocked>`, `<unavailable>`: what stands behind a result without round brackets. */
const RESULT_MARK = /^<[a-z]+>/u;
const MARK_MAX = 20;
const EXIT_EXPECTED = "'exited with N', 'killed by SIG' or 'superseded by execve in pid N'";

/** Reads lines. One parser serves any number of lines, one at a time. */
export class LineParser extends ArgParser {
  readonly #lenient: boolean;
  readonly #file: string | null;
  #task: string | null = null;
  #time: TimeStamp | null = null;

  constructor(options: ParseOptions = {}) {
    super();
    this.#lenient = options.lenient ?? false;
    this.#file = options.file ?? null;
  }

  /**
   * @param text - one line without its line feed
   * @param line - its 1-based number
   */
  parse(text: string, line: number): Line {
    this.reset(text.charCodeAt(text.length - 1) === 0x0d ? text.slice(0, -1) : text, line, this.#file);
    this.#task = null;
    this.#time = null;
    const first = this.#columns();
    return first ?? this.#body();
  }

  /** Reads task and time. Returns a line when it is one that has no such columns. */
  #columns(): Line | null {
    const text = this.text;
    let pos = 0;
    while (text.charCodeAt(pos) === 0x20 || text.charCodeAt(pos) === 0x09) pos += 1;
    this.pos = pos;
    const code = text.charCodeAt(pos);
    if (isDigit(code)) {
      this.#numberColumns(pos);
      return null;
    }
    if (startsWord(code)) {
      this.#nameColumns();
      return null;
    }
    if (pos >= text.length) return { type: "blank", line: this.line, task: null, time: null };
    if (code === 0x23) return this.#hash();
    if (code === 0x5b) this.#bracketColumns();
    return null;
  }

  /** `623 `, `623 1795.5 `, `12:34:56 `, `     0.000123 `: columns that begin with a digit. */
  #numberColumns(blanks: number): void {
    const text = this.text;
    const start = this.pos;
    let pos = start;
    let value = 0;
    for (let code = text.charCodeAt(pos); isDigit(code); code = text.charCodeAt(pos)) {
      value = value * 10 + (code - 0x30);
      pos += 1;
    }
    const code = text.charCodeAt(pos);
    if (code === 0x2e || code === 0x3a || blanks > 0 || value >= DATE_SECONDS_MIN) {
      this.#time = this.#stamp(blanks > 0);
      this.#endTime();
      return;
    }
    this.#task = pidText(text, start, pos, value);
    this.pos = pos;
    if (code === 0x3c) this.note(); // -Y: the command's name
    const width = pos - start;
    const from = this.#endColumn();
    // strace pads the pid to 5 and seconds since the last line to 6
    this.#timeColumn(this.pos - from > Math.max(1, 6 - width));
  }

  /** `A  `, `reader 0.000123 `; nothing when the word is the call itself. */
  #nameColumns(): void {
    const text = this.text;
    const start = this.pos;
    let pos = start + 1;
    for (
      let code = text.charCodeAt(pos);
      startsWord(code) || isDigit(code) || code === 0x2d;
      code = text.charCodeAt(pos)
    ) {
      pos += 1;
    }
    if (text.charCodeAt(pos) !== 0x20 && text.charCodeAt(pos) !== 0x09) return;
    let next = pos;
    while (text.charCodeAt(next) === 0x20 || text.charCodeAt(next) === 0x09) next += 1;
    // strace 4 says `Process 12 attached` without its own name in front
    if (isDigit(text.charCodeAt(next)) && text.startsWith("Process ", start)) return;
    if (!this.#startsBody(next) && !isDigit(text.charCodeAt(next))) return;
    this.#task = text.slice(start, pos);
    this.pos = next;
    this.#timeColumn(next - pos > Math.max(2, 6 - (pos - start)));
  }

  /** True when a call, `<...`, `---`, `+++` or a stack frame may begin here. */
  #startsBody(pos: number): boolean {
    const code = this.text.charCodeAt(pos);
    return startsWord(code) || code === 0x3c || code === 0x2d || code === 0x2b || code === 0x3e;
  }

  /** `[pid  623] `, with `-Y` `[pid  623<nginx>] `. */
  #bracketColumns(): void {
    const text = this.text;
    if (!text.startsWith("[pid ", this.pos)) return;
    this.pos += 5;
    this.skipBlanks();
    const start = this.pos;
    const value = isDigit(text.charCodeAt(start)) ? this.#digits(10) : this.fail("a pid");
    this.#task = pidText(text, start, this.pos, value);
    if (text.charCodeAt(this.pos) === 0x3c) this.note();
    if (text.charCodeAt(this.pos) !== 0x5d) this.fail("']' behind the pid");
    this.pos += 1;
    const from = this.#endColumn();
    this.#timeColumn(this.pos - from > 1);
  }

  /** Passes the blanks behind a column and returns where they began. */
  #endColumn(): number {
    const from = this.pos;
    const code = this.text.charCodeAt(from);
    if (code !== 0x20 && code !== 0x09) this.fail("a blank behind the column");
    this.skipBlanks();
    return from;
  }

  #timeColumn(padded: boolean): void {
    if (!isDigit(this.text.charCodeAt(this.pos))) return;
    this.#time = this.#stamp(padded);
    this.#endTime();
  }

  /** `12:34:56.000 (+     0.001) `: asked for both forms, strace prints both; the first says all. */
  #endTime(): void {
    this.#endColumn();
    if (this.text.charCodeAt(this.pos) !== 0x28) return;
    const both = /^\(\+ *\d+(?:\.\d+)?\) +/u.exec(this.text.slice(this.pos, this.pos + 40));
    if (both !== null) this.pos += both[0].length;
  }

  /** `1795.123`, `12:34:56.000001`, `1795431087`. @param padded - blanks in front show that it is strace's relative form. */
  #stamp(padded: boolean): Stamp {
    const text = this.text;
    let form: "unix" | "clock" | "relative" = padded ? "relative" : "unix";
    let seconds = this.#digits(12);
    if (text.charCodeAt(this.pos) === 0x3a) {
      form = "clock";
      for (let part = 0; part < 2; part += 1) {
        if (text.charCodeAt(this.pos) !== 0x3a || !isDigit(text.charCodeAt(this.pos + 1))) this.fail("a time HH:MM:SS");
        this.pos += 1;
        seconds = seconds * 60 + this.#digits(2);
      }
    }
    if (text.charCodeAt(this.pos) !== 0x2e) return new Stamp(form, seconds, 0, 0);
    this.pos += 1;
    const start = this.pos;
    const fraction = this.#digits(9);
    const digits = this.pos - start;
    return new Stamp(form, seconds, fraction * (POWERS[9 - digits] ?? 1), digits);
  }

  /** A plain decimal number of 1 to `digitsMax` digits. */
  #digits(digitsMax: number): number {
    const text = this.text;
    const start = this.pos;
    let pos = start;
    let value = 0;
    for (let code = text.charCodeAt(pos); isDigit(code); code = text.charCodeAt(pos)) {
      value = value * 10 + (code - 0x30);
      pos += 1;
    }
    this.pos = pos;
    if (pos === start || pos - start > digitsMax) this.fail(`1 to ${digitsMax} digits`, start);
    return value;
  }

  #hash(): Line {
    const text = this.text;
    const pos = this.pos;
    if (text.charCodeAt(pos + 1) !== 0x21) {
      return { type: "comment", line: this.line, task: null, time: null, text: text.slice(pos + 1) };
    }
    const words = /^\s*(\S+)(?:\s+(.*\S))?\s*$/u.exec(text.slice(pos + 2));
    if (words === null) return this.fail("a word behind '#!', such as 'id', 'seed' or 'kernel'", pos + 2);
    return { type: "directive", line: this.line, task: null, time: null, word: words[1]!, rest: words[2] ?? "" };
  }

  #body(): Line {
    const text = this.text;
    const code = text.charCodeAt(this.pos);
    if (startsWord(code)) {
      const start = this.pos;
      const name = this.word().name;
      if (text.charCodeAt(this.pos) === 0x28) return this.#call(name);
      this.pos = start;
    } else if (code === 0x3c && text.startsWith("<... ", this.pos)) return this.#resumed();
    else if (code === 0x2d && text.startsWith("--- ", this.pos)) return this.#signal();
    else if (code === 0x2b && text.startsWith("+++ ", this.pos)) return this.#exit();
    else if (code === 0x5b && this.#passBracket()) return this.#body();
    return this.#note();
  }

  /** Passes the columns of `-i` and `-n`: `[00007f1b2c3d4e5f] `, `[ 232] `. */
  #passBracket(): boolean {
    const end = /^\[ *[0-9a-f?]+\] /u.exec(this.text.slice(this.pos, this.pos + 32));
    if (end === null) return false;
    this.pos += end[0].length;
    return true;
  }

  #note(): Line {
    const rest = this.text.slice(this.pos);
    const known = /^(?:\S*strace: |Process \d+ |> |\| |\* \d+ bytes )/u.test(rest);
    if (!known && !this.#lenient) this.fail("a call, '<... NAME resumed>', '--- SIGNAL', '+++ exited' or '#'");
    return { type: "note", line: this.line, task: this.#task, time: this.#time, text: rest };
  }

  #call(name: string): CallLine {
    this.pos += 1;
    const args: Expr[] = [];
    const unfinished = this.#args(args, false);
    let result: Result | null = null;
    if (unfinished) {
      if (this.text.charCodeAt(this.pos) === 0x29) {
        this.pos += 1;
        result = this.#result();
      }
      this.#end();
    } else result = this.#result();
    const durationNs = this.#takeDuration();
    const blocked = result !== null && result.text === "<blocked>";
    return {
      type: "call",
      line: this.line,
      task: this.#task,
      time: this.#time,
      name,
      args,
      unfinished: unfinished || blocked,
      result,
      durationNs,
    };
  }

  #resumed(): ResumedLine {
    this.pos += 5;
    const text = this.text;
    if (!startsWord(text.charCodeAt(this.pos))) this.fail("the name of a call");
    const name = this.word().name;
    if (!text.startsWith(" resumed>", this.pos)) this.fail("' resumed>'");
    this.pos += " resumed>".length;
    const args: Expr[] = [];
    if (this.#args(args, true)) {
      // the task died before the second half: `<... nanosleep resumed> <unfinished ...>) = ?`
      if (text.charCodeAt(this.pos) !== 0x29) this.fail("')'");
      this.pos += 1;
    }
    const result = this.#result();
    const durationNs = this.#takeDuration();
    return { type: "resumed", line: this.line, task: this.#task, time: this.#time, name, args, result, durationNs };
  }

  /**
   * Arguments up to and with `)`, or up to and with `<unfinished ...>`, which returns true.
   *
   * @param resumed - a second half may begin with the comma of a list that the first half began, and may close brackets
   */
  #args(args: Expr[], resumed: boolean): boolean {
    const text = this.text;
    this.skipBlanks();
    if (resumed && text.charCodeAt(this.pos) === 0x2c) {
      this.pos += 1;
      this.skipBlanks();
    }
    for (;;) {
      const code = text.charCodeAt(this.pos);
      if (code === 0x29) {
        this.pos += 1;
        return false;
      }
      if (code === 0x3c && this.atUnfinished()) {
        this.pos = text.indexOf(">", this.pos) + 1;
        return true;
      }
      if (resumed && (code === 0x7d || code === 0x5d)) this.#tail(args, code === 0x7d ? "{}" : "[]");
      else args.push(this.#lenient ? this.#lenientItem() : this.item());
      if (!this.#comma(resumed)) this.fail("',' or ')'");
    }
  }

  /** Passes `, `; true when what follows may follow an argument. */
  #comma(resumed: boolean): boolean {
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

  /** The arguments so far turn out to end a bracket that the first half opened. */
  #tail(args: Expr[], brackets: "{}" | "[]"): void {
    this.pos += 1;
    const items = args.splice(0);
    args.push({ kind: "part", side: "tail", brackets, items });
  }

  #lenientItem(): Expr {
    const start = this.pos;
    let problem: unknown;
    try {
      const item = this.item();
      this.skipBlanks();
      const code = this.text.charCodeAt(this.pos);
      if (code === 0x2c || code === 0x29 || code === 0x7d || code === 0x5d || this.atUnfinished()) return item;
      problem = null;
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      problem = error;
    }
    const end = endOfRaw(this.text, start);
    if (end <= start) {
      if (problem !== null) throw problem;
      this.fail("',' or ')'");
    }
    this.recover(end);
    return { kind: "raw", text: this.text.slice(start, end).trimEnd() };
  }

  #durationNs: number | null = null;

  #takeDuration(): number | null {
    const duration = this.#durationNs;
    this.#durationNs = null;
    return duration;
  }

  /** ` = value ERRNO (text) <duration>`, or nothing at all. */
  #result(): Result | null {
    this.skipBlanks();
    const text = this.text;
    if (text.charCodeAt(this.pos) !== 0x3d) {
      this.#end();
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
    this.#end();
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
  #end(): void {
    this.skipBlanks();
    const text = this.text;
    if (text.charCodeAt(this.pos) === 0x3c && isDigit(text.charCodeAt(this.pos + 1))) {
      this.pos += 1;
      const time = this.#stamp(false);
      if (text.charCodeAt(this.pos) !== 0x3e) this.fail("'>' at the end of the duration");
      this.pos += 1;
      this.#durationNs = time.seconds * 1e9 + time.nanos;
      if (!Number.isSafeInteger(this.#durationNs)) this.fail("a duration of less than 104 days");
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
      this.reset(`${words})`, this.line, this.#file);
      const fields: Expr[] = [];
      for (;;) {
        const name = /^(?:in|out|left|flags|except) /u.exec(this.text.slice(this.pos, this.pos + 8));
        if (name === null) fields.push(this.item());
        else {
          this.pos += name[0].length;
          fields.push({ kind: "named", name: name[0].trimEnd(), value: this.expr() });
        }
        if (this.text.charCodeAt(this.pos) === 0x29 && this.pos === words.length) return { kind: "struct", fields };
        if (!this.#comma(false)) return null;
      }
    } catch (error) {
      if (error instanceof ParseError) return null;
      throw error;
    } finally {
      this.reset(text, this.line, this.#file);
      this.pos = pos;
    }
  }

  #signal(): SignalLine {
    this.pos += 4;
    const text = this.text;
    const stopped = text.startsWith("stopped by ", this.pos);
    if (stopped) this.pos += "stopped by ".length;
    if (!startsWord(text.charCodeAt(this.pos))) this.fail("the name of a signal");
    const signal = this.word().name;
    this.skipBlanks();
    let info: Expr | null = null;
    if (text.charCodeAt(this.pos) === 0x7b) info = this.expr();
    // strace 4.6 and older: `--- SIGALRM (Alarm clock) @ 0 (0) ---`
    else if (text.charCodeAt(this.pos) === 0x28) this.pos = Math.max(text.lastIndexOf("---"), this.pos);
    this.skipBlanks();
    if (!text.startsWith("---", this.pos)) this.fail("'---'");
    return { type: "signal", line: this.line, task: this.#task, time: this.#time, signal, info, stopped };
  }

  #exit(): ExitLine {
    const start = this.pos;
    const base = { type: "exit" as const, line: this.line, task: this.#task, time: this.#time };
    const words =
      /^\+\+\+ (?:exited with (\d{1,3})|killed by (\w+)( \(core dumped\))?|superseded by execve in pid (\d+)) \+\+\+\s*$/u.exec(
        this.text.slice(start),
      );
    if (words === null) return this.fail(EXIT_EXPECTED, start + 4);
    const [, status, signal, core, pid] = words;
    if (status !== undefined) return { ...base, how: "exited", status: Number(status), signal: null, core: false };
    if (pid !== undefined) return { ...base, how: "superseded", status: Number(pid), signal: null, core: false };
    return { ...base, how: "killed", status: 0, signal: signal!, core: core !== undefined };
  }
}

/** True for the text of a result that is a mark such as `<blocked>`, not words in brackets. */
export function isResultMark(text: string): boolean {
  return text.length <= MARK_MAX && RESULT_MARK.exec(text)?.[0] === text;
}

const POWERS: readonly number[] = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/** Pids as text, one string for each: the latest of those that share a slot. */
const pidValues: number[] = new Array<number>(1024).fill(-1);
const pidTexts: string[] = new Array<string>(1024).fill("");

function pidText(text: string, start: number, end: number, value: number): string {
  const slot = value & 1023;
  if (pidValues[slot] === value && pidTexts[slot]!.length === end - start) return pidTexts[slot]!;
  pidValues[slot] = value;
  pidTexts[slot] = text.slice(start, end);
  return pidTexts[slot]!;
}

/**
 * The position behind the bracket that closes the one at `start`, -1 when none does. Several pairs in a row are one:
 * `(No such file or directory) (INJECTED)`.
 */
function endOfBrackets(text: string, start: number): number {
  let depth = 0;
  for (let pos = start; pos < text.length; pos += 1) {
    const code = text.charCodeAt(pos);
    if (code === 0x28) depth += 1;
    else if (code === 0x22) {
      pos = closingQuote(text, pos);
      if (pos === -1) return -1;
    } else if (code === 0x29) {
      depth -= 1;
      if (depth === 0 && !text.startsWith(" (", pos + 1)) return pos + 1;
    }
  }
  return -1;
}

/** The position of the quote that ends the string at `quote`, -1 when none does. */
function closingQuote(text: string, quote: number): number {
  for (let pos = quote + 1; pos < text.length; pos += 1) {
    const code = text.charCodeAt(pos);
    if (code === 0x22) return pos;
    if (code === 0x5c) pos += 1;
  }
  return -1;
}

/** The end of an argument in an unknown form: the next comma or bracket at its own level; -1 when there is none. */
function endOfRaw(text: string, start: number): number {
  let depth = 0;
  for (let pos = start; pos < text.length; pos += 1) {
    const char = text[pos]!;
    if (char === '"') {
      pos = closingQuote(text, pos);
      if (pos === -1) return -1;
    } else if ("([{".includes(char)) depth += 1;
    else if (depth === 0 && (",)]}".includes(char) || text.startsWith(" <unfinished", pos))) return pos;
    else if (")]}".includes(char)) depth -= 1;
  }
  return -1;
}

/** Every option a default, for `parseLine`. */
const strict = new LineParser();

/**
 * One line of strace text or of a script.
 *
 * @param line - its 1-based number
 * @throws ParseError with file, line, column, what was found and what was expected
 */
export function parseLine(text: string, line: number, options?: string | null | ParseOptions): Line {
  if (options == null) return strict.parse(text, line);
  return new LineParser(typeof options === "string" ? { file: options } : options).parse(text, line);
}
