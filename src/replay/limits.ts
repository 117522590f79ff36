/**
 * RLIMIT_NOFILE, which decides about EMFILE. A process inherits it, so the recording tells it once; from then on it is what the
 * recorded calls make of it.
 */
import type { Process } from "../kernel/sched/process.ts";
import { evalBig, evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import type { Difference } from "./active-call.ts";
import { isSymbol, NOTHING } from "./records.ts";

interface Limit {
  readonly soft: bigint;
  readonly hard: bigint;
}

export class FileLimits {
  readonly #known = new WeakMap<Process, Limit>();
  readonly #highest: number;

  /** @param highest - the most numbers that a table of the model may have. */
  constructor(highest: number) {
    this.#highest = highest;
  }

  inherit(child: Process, parent: Process): void {
    const known = this.#known.get(parent);
    if (known !== undefined) this.#known.set(child, known);
  }

  /** A call that shows or changes limits is over. @returns its class; null when it was predicted, and right. */
  follow(process: Process, record: CallRecord): "assumed" | "ignored" | Difference | null {
    const { name, args, result } = record;
    const [, first, second] = args;
    const failed = (result?.errnos[0] ?? null) !== null;
    if (failed || !isSymbol(name === "prlimit64" ? first : args[0], "RLIMIT_NOFILE")) return "ignored";
    const target = name === "prlimit64" ? (evalInt(args[0] ?? NOTHING) ?? 0) : 0;
    if (target !== 0 && target !== process.tgid) return "ignored";
    const wanted = name === "prlimit64" ? second : name === "setrlimit" ? first : undefined;
    const shown = name === "prlimit64" ? args[3] : name === "getrlimit" ? first : undefined;
    const before = this.#known.get(process);
    const seen = limitOf(shown);
    const now = limitOf(wanted) ?? seen ?? before;
    if (now !== undefined) {
      this.#known.set(process, now);
      process.files.nofile = Math.min(Number(now.soft), this.#highest);
    }
    if (before === undefined) return "assumed";
    if (seen === undefined || shown === undefined || (seen.soft === before.soft && seen.hard === before.hard))
      return null;
    const predicted = `{rlim_cur=${before.soft}, rlim_max=${before.hard}}`;
    return { field: "old_rlim", recorded: printExpr(exitOf(shown)), predicted };
  }
}

/** `{rlim_cur=1024, rlim_max=4*1024}`; undefined for NULL. */
function limitOf(expr: Expr | undefined): Limit | undefined {
  const inner = expr === undefined ? null : exitOf(expr);
  if (inner?.kind !== "struct") return undefined;
  const [soft, hard] = [field(inner, "rlim_cur", 0), field(inner, "rlim_max", 1)];
  const [a, b] = [soft === null ? null : numberOf(soft), hard === null ? null : numberOf(hard)];
  return a === null || b === null ? undefined : { soft: a, hard: b };
}

function numberOf(expr: Expr): bigint | null {
  return expr.kind === "sym" && expr.name.includes("INFINITY") ? (1n << 64n) - 1n : evalBig(expr);
}
