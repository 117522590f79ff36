/**
 * Lowering the calls that are not system calls: `fdinfo(3)`, `poll_mask(4)`, `blocked(B)`, `peek(@buf, 8)`, `thaw(@frozen)`.
 */
import { type Step, UserLayout } from "../syscalls/port.ts";
import type { CallLine, Expr } from "./ast.ts";
import { type Draft, QUERY_ARGS } from "./draft.ts";
import { CallEncoder } from "./encoder.ts";
import { frozenPage, readableBytes } from "./places.ts";
import { printExpr } from "./printer.ts";
import type { QueryName, StepRange } from "./source-map.ts";

/** Lowers a call of the language that is no system call. */
export function lowerQuery(draft: Draft, name: QueryName, line: CallLine): void {
  const from = draft.steps.length;
  const task = draft.task(line.task);
  if (line.args.length !== QUERY_ARGS[name]) {
    draft.complain(name, `${line.args.length} arguments of ${name}`, String(QUERY_ARGS[name]));
  }
  const top = draft.arena.top;
  const step = queryStep(draft, name, line.args, task);
  draft.arena.release(top);
  draft.steps.push(step);
  const at = draft.steps.length - 1;
  if (name === "thaw") draft.settle();
  const steps: StepRange = { from, to: draft.steps.length };
  const { args, result: expected } = line;
  draft.plans.push({ kind: "query", line: draft.index, task, name, args, expected, step: at, steps });
}

function queryStep(draft: Draft, name: QueryName, args: readonly Expr[], task: number): Step {
  const encoder = new CallEncoder(draft, args, []);
  const [first, second] = args;
  switch (name) {
    case "fdinfo":
    case "fdinfo_order":
      return { op: "fdinfo", task, fd: draft.register(encoder.word(first!), first!) };
    case "poll_mask":
      return { op: "pollMask", task, fd: draft.register(encoder.word(first!), first!) };
    case "blocked":
      return { op: "blocked", task: taskNamed(draft, first!) };
    case "thaw":
      return { op: "thaw", page: thaw(draft, address(draft, first!, encoder), first!) };
    case "peek":
      return peek(draft, address(draft, first!, encoder), first!, encoder.argValue(1), second!);
  }
}

function address(draft: Draft, expr: Expr, encoder: CallEncoder): number {
  const word = encoder.word(expr);
  return typeof word === "bigint" ? Number(word) : draft.fail(expr, `'${printExpr(expr)}'`, "a place, such as @buf");
}

function taskNamed(draft: Draft, expr: Expr): number {
  const task = draft.tasks.indexOf(printExpr(expr));
  if (task >= 0) return task;
  return draft.fail(expr, `the unknown task '${printExpr(expr)}'`, `one of ${draft.tasks.join(", ")}`);
}

function thaw(draft: Draft, addr: number, expr: Expr): number {
  const page = frozenPage(addr);
  const { frozenPages } = UserLayout;
  if (page < 0 || page >= frozenPages) draft.fail(expr, `'${printExpr(expr)}'`, "@frozen, or @frozen+4096 and so on");
  draft.thawed.add(page);
  return page;
}

function peek(draft: Draft, addr: number, place: Expr, length: number | null, lengthExpr: Expr): Step {
  if (length === null || length < 0) draft.fail(lengthExpr, `'${printExpr(lengthExpr)}'`, "a number of bytes");
  if (readableBytes(addr, length, draft.thawed) < length) {
    draft.fail(place, `${length} bytes at ${printExpr(place)}`, "bytes that can be read");
  }
  return { op: "peek", addr, length };
}
