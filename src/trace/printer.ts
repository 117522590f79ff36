/**
 * Lines and expressions as text, in strace's own layout. What is printed parses to the same AST.
 *
 * Comments inside a call (`/* 2 vars *\/`), and whether a comma stood before `<unfinished ...>`, are not part of the AST and
 * so not printed.
 */
import type {
  CallLine,
  ExitLine,
  Expr,
  IntExpr,
  Line,
  OpExpr,
  PartExpr,
  Result,
  ResumedLine,
  TimeStamp,
} from "./ast.ts";
import { isSpaced, operatorStrength } from "./operators.ts";
import { isResultMark } from "./results.ts";
import { encodeString } from "./strings.ts";

/** Layout. */
export interface PrintOptions {
  /** Column of the `=` in front of a result, counted from 0 (strace: 40); null puts one blank before it. */
  readonly width?: number | null;
}

/** strace's alignment column (`acolumn`). */
export const STRACE_WIDTH = 40;

/** One line without its line feed. */
export function printLine(line: Line, options: PrintOptions = {}): string {
  switch (line.type) {
    case "blank":
      return "";
    case "comment":
      return `#${line.text}`;
    case "directive":
      return line.rest === "" ? `#! ${line.word}` : `#! ${line.word} ${line.rest}`;
    case "call":
      return printCall(line, options.width ?? 0);
    case "resumed":
      return printResumed(line, options.width ?? 0);
    case "signal": {
      const what = line.stopped ? `stopped by ${line.signal}` : line.signal;
      return `${columns(line)}--- ${what}${line.info === null ? "" : ` ${printExpr(line.info)}`} ---`;
    }
    case "exit":
      return `${columns(line)}+++ ${printExit(line)} +++`;
    case "note":
      return columns(line) + line.text;
  }
}

/** One expression. */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case "int":
      return expr.note === null ? printNumber(expr) : printNumber(expr) + printNote(expr.note);
    case "sym":
      return expr.note === null ? expr.name : expr.name + printNote(expr.note);
    case "str":
      return `"${encodeString(expr.bytes)}"${expr.truncated ? "..." : ""}`;
    case "array":
      return `[${printList(expr.items)}]`;
    case "set":
      return `${expr.negated ? "~" : ""}[${expr.items.map(printExpr).join(" ")}]`;
    case "struct":
      return `{${printList(expr.fields)}}`;
    case "op":
      return printOperators(expr);
    case "call":
      return `${expr.name}(${printList(expr.args)})`;
    case "named":
      return `${expr.name}=${startsWithArrow(expr.value) ? " " : ""}${printExpr(expr.value)}`;
    case "change": {
      const text = `${expr.from === null ? "" : `${printExpr(expr.from)} `}=> ${printExpr(expr.to)}`;
      return expr.brackets === "" ? text : expr.brackets[0] + text + expr.brackets[1];
    }
    case "var":
      return `$${expr.name}`;
    case "at": {
      const offset = expr.offset === 0 ? "" : expr.offset > 0 ? `+${expr.offset}` : `${expr.offset}`;
      const content = expr.content === null ? "" : printExpr(expr.content);
      if (expr.place === "") return `@${content}`;
      return `@${expr.place}${offset}${expr.content === null ? "" : `:${content}`}`;
    }
    case "ellipsis":
      return "...";
    case "part":
      return printPart(expr);
    case "raw":
      return expr.text;
  }
}

function printList(items: readonly Expr[]): string {
  let text = "";
  for (let i = 0; i < items.length; i += 1) text += i === 0 ? printExpr(items[i]!) : `, ${printExpr(items[i]!)}`;
  return text;
}

function printPart(part: PartExpr): string {
  return part.side === "head" ? part.brackets[0] + printList(part.items) : printList(part.items) + part.brackets[1];
}

function printNumber(expr: IntExpr): string {
  const value = Number.isSafeInteger(expr.num) ? expr.num : expr.value;
  if (expr.base === 10) return value.toString();
  const sign = value < 0 ? "-" : "";
  const digits = (value < 0 ? -value : value).toString(expr.base);
  // strace's %#03o: 000, 022, 0777
  return expr.base === 16 ? `${sign}0x${digits}` : `${sign}0${digits.padStart(2, "0")}`;
}

const DELETED = " (deleted)";

function printNote(note: string): string {
  // behind a backslash the bracket would be part of the path
  return note.endsWith(DELETED) && !note.endsWith(`\\${DELETED}`)
    ? `<${note.slice(0, -DELETED.length)}>(deleted)`
    : `<${note}>`;
}

function printOperators(expr: OpExpr): string {
  if (expr.items.length === 1) return expr.op + printPrefixed(expr.items[0]!);
  const between = isSpaced(expr.op) ? ` ${expr.op} ` : expr.op;
  const strength = operatorStrength(expr.op);
  return expr.items.map((item) => printOperand(item, strength)).join(between);
}

/** An operand, in brackets where it would otherwise be taken apart or swallow what follows. */
function printOperand(expr: Expr, strength: number): string {
  const text = printExpr(expr);
  if (expr.kind === "at" && expr.content !== null && expr.place !== "") return `(${text})`;
  return expr.kind === "op" && expr.items.length > 1 && operatorStrength(expr.op) <= strength ? `(${text})` : text;
}

/** What stands behind a sign: `-5` and `~[HUP]` would be read as a number and a set, `-52:54:00` as neither. */
function printPrefixed(expr: Expr): string {
  const plain = (expr.kind === "sym" && !/^\d/u.test(expr.name)) || expr.kind === "call" || expr.kind === "var";
  return plain ? printExpr(expr) : `(${printExpr(expr)})`;
}

function printCall(line: CallLine, width: number): string {
  const head = `${columns(line)}${line.name}(${printList(line.args)}`;
  const blocked = line.result?.text === "<blocked>";
  if (!line.unfinished || blocked)
    return `${head})${printResult(head.length + 1, line.result, width)}${duration(line)}`;
  if (line.result === null) return `${head} <unfinished ...>${duration(line)}`;
  return `${head} <unfinished ...>) = ${printValues(line.result)}${duration(line)}`;
}

function printResumed(line: ResumedLine, width: number): string {
  const first = line.args[0];
  const glue = first === undefined ? "" : startsWithArrow(first) ? " " : first.kind === "part" ? ", " : "";
  const head = `${columns(line)}<... ${line.name} resumed>${glue}${printList(line.args)})`;
  return head + printResult(head.length, line.result, width) + duration(line);
}

function startsWithArrow(expr: Expr): boolean {
  if (expr.kind === "part") return expr.items[0] !== undefined && startsWithArrow(expr.items[0]);
  return expr.kind === "change" && expr.from === null && expr.brackets === "";
}

/** ` = ...`, the sign in column `width`, or behind one blank when `column` is beyond. */
function printResult(column: number, result: Result | null, width: number): string {
  if (result === null) return "";
  return `${" ".repeat(Math.max(1, width - column))}= ${printValues(result)}`;
}

/** What stands behind `= `, the duration not included. */
function printValues(result: Result): string {
  const set = result.values.length > 1;
  const members = result.values.map((value, i) => {
    const text = set ? printOperand(value, 10) : printExpr(value);
    const errno = result.errnos[i] ?? null;
    return errno === null ? text : `${text} ${errno}`;
  });
  const values = set ? `{${members.join(" | ")}}` : members.join("");
  if (result.text === null) return values;
  return isResultMark(result.text) ? `${values} ${result.text}` : `${values} (${result.text})`;
}

function duration(line: CallLine | ResumedLine): string {
  const ns = line.durationNs;
  if (ns === null) return "";
  const digits = line.time?.digits === 9 || ns % 1000 !== 0 ? 9 : 6;
  const fraction = Math.floor((ns % 1e9) / 10 ** (9 - digits));
  return ` <${Math.floor(ns / 1e9)}.${String(fraction).padStart(digits, "0")}>`;
}

function printExit(line: ExitLine): string {
  switch (line.how) {
    case "exited":
      return `exited with ${line.status}`;
    case "superseded":
      return `superseded by execve in pid ${line.status}`;
    case "killed":
      return `killed by ${line.signal}${line.core ? " (core dumped)" : ""}`;
  }
}

/** Task and time, each with its blanks. A pid is padded to 5 as strace does; behind a name stand two blanks. */
function columns(line: { readonly task: string | null; readonly time: TimeStamp | null }): string {
  const { task, time } = line;
  let text = "";
  let own = 0;
  if (task !== null) {
    text = /^\d/u.test(task) ? `${task.padEnd(5)} ` : `${task}  `;
    own = Math.max(/^\d/u.test(task) ? 1 : 2, 6 - task.length) - (text.length - task.length);
  }
  if (time === null) return text;
  if (time.form !== "relative") return `${text}${printStamp(time)} `;
  // the parser knows this form by its padding, so there is always some
  const stamp = printStamp(time);
  const seconds = String(time.seconds).length;
  return `${text}${" ".repeat(own + Math.max(1, 6 - seconds))}${stamp} `;
}

/** A time stamp without the blanks around it. */
export function printStamp(time: TimeStamp): string {
  const fraction =
    time.digits === 0 ? "" : `.${String(Math.floor(time.nanos / 10 ** (9 - time.digits))).padStart(time.digits, "0")}`;
  if (time.form !== "clock") return time.seconds + fraction;
  const two = (n: number): string => String(n).padStart(2, "0");
  const { seconds } = time;
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}${fraction}`;
}
