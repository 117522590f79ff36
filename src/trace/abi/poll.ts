/**
 * poll, ppoll, select, pselect6.
 *
 * Counterpart: `fs/select.c`. strace prints what these calls asked for in place of the arguments, and what they found in
 * brackets behind the result: `= 1 ([{fd=3, revents=POLLIN}])`, `= 1 (in [3], left {tv_sec=1, tv_nsec=0})`.
 */
import type { Expr } from "../ast.ts";
import { array as arrayExpr, int as intExpr, named, set, struct as structExpr } from "../build.ts";
import { array, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Decoder, Encoder, WordType } from "./context.ts";
import { entryOf } from "./evaluate.ts";
import { type Image, readWord } from "./image.ts";
import { declare, param, type ResultOutput, type Signature, values, words } from "./signature.ts";
import { pollFlags } from "./symbols.ts";
import { sigset, timespec, timeval } from "./time.ts";
import { fd, flags, int, uint, ulong } from "./words.ts";

const POLLFD_SIZE = 8;
const notNegative = (bytes: Uint8Array): boolean => readWord(bytes, 0, 4, true) >= 0n;

/** `struct pollfd` at entry. */
export const pollfd: BlockType = struct(POLLFD_SIZE, [
  fieldAt(0, "fd", fd),
  fieldAt(4, "events", flags(pollFlags, 2), notNegative),
  fieldAt(6, "revents", flags(pollFlags, 2), () => false),
]);

/** Content that is printed as it was at entry although the call changes it. */
function askedFor(target: BlockType): WordType {
  const asInput = pointer(target, "in");
  return { ...pointer(target, "inout"), output: false, fromWord: asInput.fromWord };
}

const pollfds: WordType = askedFor(array(pollfd, POLLFD_SIZE, { arg: 1 }));

function failedOrAsleep(dec: Decoder): boolean {
  return dec.ret === null || dec.ret < 0;
}

/** The descriptors with results. */
function describePoll(dec: Decoder): ResultOutput | null {
  if (failedOrAsleep(dec)) return null;
  if (dec.ret === 0) return words("Timeout");
  const bytes = dec.after(dec.arg(0), dec.arg(1) * POLLFD_SIZE);
  return bytes === null ? null : values([printRevents(bytes)]);
}

function printRevents(bytes: Uint8Array): Expr {
  const found: Expr[] = [];
  for (let offset = 0; offset + POLLFD_SIZE <= bytes.length; offset += POLLFD_SIZE) {
    const revents = readWord(bytes, offset + 6, 2, false);
    if (revents === 0n) continue;
    const number = intExpr(readWord(bytes, offset, 4, true));
    found.push(structExpr([named("fd", number), named("revents", pollFlags.printFlags(revents))]));
  }
  return arrayExpr(found);
}

/** ppoll also tells the time that is left; strace prints it when the call returned with events. */
function describePpoll(dec: Decoder): ResultOutput | null {
  const described = describePoll(dec);
  if (described === null || described.output === null) return described;
  const left = dec.arg(2) === 0 ? null : dec.after(dec.arg(2), 16);
  if (left === null) return described;
  return values([...described.output.fields, named("left", timespec.decode(left, dec))]);
}

const FD_SET_MAX = 1024;

/** `fd_set`: `[3 5]`; as many bits as the call's first argument says, in whole words of 8 bytes. */
const fdSet: BlockType = {
  kind: "block",
  room: (expr: Expr | null, enc: Encoder): number => {
    const listed = expr === null ? [] : members(expr).map((item) => Number(item.kind === "int" ? item.value : 0n) + 1);
    return fdSetBytes(Math.max(enc.argValue(0) ?? 0, ...listed, 1));
  },
  encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
    const inner = entryOf(expr);
    if (inner.kind !== "array" && inner.kind !== "set") enc.fail(inner, "not a descriptor set", "[3 5]");
    for (const item of inner.items) {
      const number = enc.word(item);
      if (typeof number !== "bigint") enc.fail(item, "a name in a descriptor set", "a number");
      if (number < 0n || number >= FD_SET_MAX) enc.fail(item, "not in 0..1023", "a descriptor number");
      const at = offset + Number(number / 8n);
      image.bytes[at] = (image.bytes[at] ?? 0) | (1 << Number(number % 8n));
    }
  },
  extent: (dec: Decoder): number => fdSetBytes(dec.arg(0)),
  decode: (bytes: Uint8Array, dec: Decoder): Expr => printFdSet(bytes, dec.arg(0)),
};

function members(expr: Expr): readonly Expr[] {
  return expr.kind === "array" || expr.kind === "set" ? expr.items : [];
}

function fdSetBytes(nfds: number): number {
  return Math.ceil(Math.max(0, Math.min(nfds, FD_SET_MAX)) / 64) * 8;
}

function printFdSet(bytes: Uint8Array, nfds: number): Expr {
  const found: Expr[] = [];
  for (let number = 0; number < nfds && number < bytes.length * 8; number += 1) {
    if (((bytes[number >> 3] ?? 0) & (1 << (number & 7))) !== 0) found.push(intExpr(number));
  }
  return found.length === 1 ? arrayExpr(found) : set(found);
}

const fds: WordType = askedFor(fdSet);
const SETS = ["in", "out", "except"] as const;

/** @param time - the struct behind the fifth argument. */
function describeSelect(time: BlockType): (dec: Decoder) => ResultOutput | null {
  return (dec) => {
    if (failedOrAsleep(dec)) return null;
    if (dec.ret === 0) return words("Timeout");
    const fields: Expr[] = [];
    for (const [index, name] of SETS.entries()) {
      const bytes = dec.arg(index + 1) === 0 ? null : dec.after(dec.arg(index + 1), fdSetBytes(dec.arg(0)));
      const found = bytes === null ? null : printFdSet(bytes, dec.arg(0));
      if (found !== null && members(found).length > 0) fields.push(named(name, found));
    }
    const left = dec.arg(4) === 0 ? null : dec.after(dec.arg(4), 16);
    if (left !== null) fields.push(named("left", time.decode(left, dec)));
    return values(fields);
  };
}

/** pselect6's last argument: `{sigmask=[], sigsetsize=8}`, a struct of a pointer and a size. */
const sigsetArg: BlockType = struct(16, [
  fieldAt(0, "sigmask", pointer(sigset, "in")),
  fieldAt(8, "sigsetsize", ulong),
]);

const setParams = [param("n", int), param("inp", fds), param("outp", fds), param("exp", fds)];

/** Declarations. */
export const pollCalls: readonly Signature[] = [
  declare("poll", [param("ufds", pollfds), param("nfds", uint), param("timeout", int)], { describe: describePoll }),
  declare(
    "ppoll",
    [
      param("ufds", pollfds),
      param("nfds", uint),
      param("tsp", askedFor(timespec)),
      param("sigmask", pointer(sigset, "in")),
      param("sigsetsize", ulong),
    ],
    { describe: describePpoll },
  ),
  declare("select", [...setParams, param("tvp", askedFor(timeval))], { describe: describeSelect(timeval) }),
  declare("pselect6", [...setParams, param("tsp", askedFor(timespec)), param("sig", pointer(sigsetArg, "in"))], {
    describe: describeSelect(timespec),
  }),
];
