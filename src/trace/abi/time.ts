/**
 * Clocks, sleeps, timer descriptors, and the structs of time that other calls take.
 *
 * Counterpart: `include/uapi/linux/time_types.h`, `fs/timerfd.c`, `kernel/time/posix-timers.c`.
 */
import { Errno } from "../../kernel/uapi/errno.ts";
import type { Expr } from "../ast.ts";
import { array as arrayExpr, set, sym } from "../build.ts";
import { boxed, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Decoder, Encoder, WordType } from "./context.ts";
import { entryOf } from "./evaluate.ts";
import { type Image, readWord } from "./image.ts";
import { declare, param, type Signature } from "./signature.ts";
import { clocks, signalShortNames, timerFlags, timerfdFlags } from "./symbols.ts";
import { enumeration, fd, flags, long, uint } from "./words.ts";

/** `struct __kernel_timespec`. */
export const timespec: BlockType = struct(16, [fieldAt(0, "tv_sec", long), fieldAt(8, "tv_nsec", long)]);

/** `struct __kernel_old_timeval`. */
export const timeval: BlockType = struct(16, [fieldAt(0, "tv_sec", long), fieldAt(8, "tv_usec", long)]);

/** `struct __kernel_itimerspec`. */
export const itimerspec: BlockType = struct(32, [
  fieldAt(0, "it_interval", timespec),
  fieldAt(16, "it_value", timespec),
]);

const NSIG = 64;

/** `sigset_t` of the kernel, 64 bits: `[USR1 USR2]`, `~[KILL STOP]`, `[]`. */
export const sigset: BlockType = {
  kind: "block",
  room: () => 8,
  encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
    const inner = entryOf(expr);
    if (inner.kind !== "set" && inner.kind !== "array") enc.fail(inner, "not a signal set", "[USR1 USR2] or ~[KILL]");
    let mask = 0n;
    for (const item of inner.items) mask |= 1n << BigInt(signalNumber(item, enc) - 1);
    if (inner.kind === "set" && inner.negated) mask = ~mask;
    image.put(offset, 8, mask);
  },
  extent: () => 8,
  decode: (bytes: Uint8Array): Expr => printSigset(readWord(bytes, 0, 8, false)),
};

/** A set of signals; one that holds two thirds of all is printed by what it lacks. */
export function printSigset(mask: bigint): Expr {
  const members: Expr[] = [];
  const others: Expr[] = [];
  for (let signal = 1; signal <= NSIG; signal += 1) {
    const name = signalShortNames[signal] ?? "";
    (((mask >> BigInt(signal - 1)) & 1n) === 1n ? members : others).push(sym(name));
  }
  if (members.length >= Math.floor((NSIG * 2) / 3)) return set(others, true);
  return members.length === 1 ? arrayExpr(members) : set(members);
}

function signalNumber(item: Expr, enc: Encoder): number {
  const name = item.kind === "sym" ? item.name : null;
  const found = name === null ? -1 : signalShortNames.indexOf(name.startsWith("SIG") ? name.slice(3) : name);
  if (found > 0) return found;
  const value = item.kind === "int" ? Number(item.value) : 0;
  return value >= 1 && value <= NSIG ? value : enc.fail(item, "not a signal", "a signal such as USR1");
}

const clock = enumeration(clocks);
const timespecIn: WordType = pointer(timespec, "in");
const remaining = pointer(onlyOnEintr(timespec), "out");

/** strace prints the remaining time only when the sleep was interrupted; otherwise the address. */
function onlyOnEintr(target: BlockType): BlockType {
  const extent = (dec: Decoder): number => (dec.ret === -Errno.EINTR ? target.extent(dec) : -1);
  return { ...target, extent, writtenOnFailure: true };
}

/** Declarations. */
export const timeCalls: readonly Signature[] = [
  declare("nanosleep", [param("req", timespecIn), param("rem", remaining, 0)]),
  declare("clock_nanosleep", [
    param("clockid", clock),
    param("flags", flags(timerFlags)),
    param("req", timespecIn),
    param("rem", remaining, 0),
  ]),
  declare("clock_gettime", [param("clockid", clock), param("tp", pointer(timespec, "out"))]),
  declare("time", [param("tloc", pointer(boxed(long), "out"))]),
  declare("alarm", [param("seconds", uint)]),
  declare("timerfd_create", [param("clockid", clock), param("flags", flags(timerfdFlags))]),
  declare("timerfd_settime", [
    param("fd", fd),
    param("flags", flags(timerfdFlags)),
    param("new_value", pointer(itimerspec, "in")),
    param("old_value", pointer(itimerspec, "out")),
  ]),
  declare("timerfd_gettime", [param("fd", fd), param("curr_value", pointer(itimerspec, "out"))]),
];
