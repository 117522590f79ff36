/**
 * Lines: the columns in front (task, time), then a call, a resumed half, a signal, an exit, a message of strace's own, or one of
 * the script's comments and directives.
 *
 * Counterpart: strace `strace.c` (`print_signalled`, `print_exited`), `syscall.c` (`syscall_entering_trace`).
 */
import type { BlankLine, CallLine, ExitLine, Expr, Line, Result, ResumedLine, SignalLine } from "./ast.ts";
import { endOfRaw } from "./brackets.ts";
import { ParseError } from "./errors.ts";
import { startsWord } from "./lexer.ts";
import { ResultParser } from "./results.ts";

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

/** Arguments in unknown forms that one line may have; each costs a search for its end. */
const RAW_MAX = 64;
const EXIT_EXPECTED = "'exited with N', 'killed by SIG' or 'superseded by execve in pid N'";

/** Reads lines. One parser serves any number of lines, one at a time. */
export class LineParser extends ResultParser {
  readonly #lenient: boolean;
  readonly #file: string | null;
  #nrRaw = 0;

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
    this.#nrRaw = 0;
    this.columns();
    while (text.charCodeAt(this.pos) === 0x5b && this.#passBracket());
    return this.#body();
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
    else if (code === 0x23) return this.#hash();
    else if (this.task === null && this.time === null && this.pos >= text.length) return this.#blank();
    return this.#note();
  }

  #blank(): BlankLine {
    return { type: "blank", line: this.line, task: null, time: null };
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
    return { type: "note", line: this.line, task: this.task, time: this.time, text: rest };
  }

  #call(name: string): CallLine {
    this.pos += 1;
    const args: Expr[] = [];
    const unfinished = this.#args(args, false);
    let result: Result | null = null;
    if (unfinished) {
      if (this.text.charCodeAt(this.pos) === 0x29) {
        this.pos += 1;
        result = this.result();
      } else this.end();
    } else result = this.result();
    const { durationNs } = this;
    const blocked = result !== null && result.text === "<blocked>";
    return {
      type: "call",
      line: this.line,
      task: this.task,
      time: this.time,
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
    const result = this.result();
    const { durationNs } = this;
    return { type: "resumed", line: this.line, task: this.task, time: this.time, name, args, result, durationNs };
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
      if (!this.comma(resumed)) this.fail("',' or ')'");
    }
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
    this.#nrRaw += 1;
    if (end <= start || this.#nrRaw > RAW_MAX) {
      if (problem !== null) throw problem;
      this.fail("',' or ')'");
    }
    this.recover(end);
    return { kind: "raw", text: this.text.slice(start, end).trimEnd() };
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
    return { type: "signal", line: this.line, task: this.task, time: this.time, signal, info, stopped };
  }

  #exit(): ExitLine {
    const start = this.pos;
    const base = { type: "exit" as const, line: this.line, task: this.task, time: this.time };
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
