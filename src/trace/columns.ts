/**
 * The columns in front of a line: task and time, in every form that strace has for them.
 *
 * Counterpart: strace `strace.c` (`printleader`).
 */
import { ArgParser } from "./args.ts";
import type { TimeStamp } from "./ast.ts";
import { isDigit, startsWord } from "./lexer.ts";
import { Stamp } from "./values.ts";

/** Seconds that only a date reaches; pids and relative times stay below. */
const DATE_SECONDS_MIN = 100_000_000;
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

/** Reads the columns of the line that it is at. */
export class ColumnParser extends ArgParser {
  protected task: string | null = null;
  protected time: TimeStamp | null = null;

  /** Reads task and time; `pos` is at the first character behind them, or at the first of a line that has none. */
  protected columns(): void {
    this.task = null;
    this.time = null;
    const text = this.text;
    let pos = 0;
    while (text.charCodeAt(pos) === 0x20 || text.charCodeAt(pos) === 0x09) pos += 1;
    this.pos = pos;
    const code = text.charCodeAt(pos);
    if (isDigit(code)) this.#numberColumns(pos);
    else if (startsWord(code)) this.#nameColumns();
    else if (code === 0x5b) this.#bracketColumns();
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
      this.time = this.stamp(blanks > 0);
      this.#endTime();
      return;
    }
    this.task = pidText(text, start, pos, value);
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
    this.task = text.slice(start, pos);
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
    this.task = pidText(text, start, this.pos, value);
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
    this.time = this.stamp(padded);
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
  protected stamp(padded: boolean): Stamp {
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
}
