/**
 * Outputs that a replay does not predict, or not exactly: CPU time, the time that was left of a select or a timer.
 */
import { evalInt, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import { matches } from "../trace/compare.ts";

/** Fields that tell how fast the recorded machine was. */
const SPEED: ReadonlySet<string> = new Set(["left", "si_utime", "si_stime"]);
/** The argument that holds nothing else: `struct rusage`. */
export const USAGE = "ru";
/** The parameter that tells of an inode: its number, device and times are the machine's. */
export const STATUS = "statbuf";
const NS_PER_S = 1e9;
const NS_PER_US = 1e3;

/** The recorded output without what is not predicted. */
export function withoutSpeed(expr: Expr): Expr {
  if (expr.kind !== "struct") return expr;
  return { ...expr, fields: expr.fields.filter((item) => item.kind !== "named" || !SPEED.has(item.name)) };
}

/** `{it_interval={...}, it_value={...}}` whose times left differ by no more than the recording's times may be off. */
export function sameTimeLeft(recorded: Expr, predicted: Expr, stampErrorNs: number): boolean {
  if (recorded.kind !== "struct" || predicted.kind !== "struct") return false;
  const [a, b] = [field(recorded, "it_value", 1), field(predicted, "it_value", 1)];
  const [c, d] = [field(recorded, "it_interval", 0), field(predicted, "it_interval", 0)];
  if (a === null || b === null || c === null || d === null || !matches(c, d)) return false;
  const [left, found] = [nanoseconds(a), nanoseconds(b)];
  return left !== null && found !== null && Math.abs(left - found) <= stampErrorNs;
}

/** `{tv_sec=1, tv_nsec=5}`, `{tv_sec=1, tv_usec=5}`. */
function nanoseconds(expr: Expr): number | null {
  if (expr.kind !== "struct") return null;
  const seconds = evalInt(field(expr, "tv_sec", 0) ?? expr);
  const fine = field(expr, "tv_nsec", 1);
  const coarse = field(expr, "tv_usec", 1);
  const rest = fine !== null ? evalInt(fine) : coarse === null ? null : evalInt(coarse);
  if (seconds === null || rest === null) return null;
  return seconds * NS_PER_S + rest * (fine !== null ? 1 : NS_PER_US);
}
