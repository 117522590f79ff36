/**
 * Processes and threads: ids, ends, limits, kcmp, futex.
 *
 * Counterpart: `kernel/{exit,sys,kcmp,pid}.c`, `kernel/futex/syscalls.c`.
 */
import type { Expr, OpExpr } from "../ast.ts";
import { call, ellipsis, hex, int as intExpr, op, or, struct as structExpr, sym } from "../build.ts";
import { boxed, cstring, decodeFields, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Encoder, WordType } from "./context.ts";
import { entryOf, evalBig } from "./evaluate.ts";
import type { Word } from "./image.ts";
import { siginfo } from "./siginfo.ts";
import { declare, param, type Signature } from "./signature.ts";
import {
  futexFlags,
  futexOperations,
  kcmpTypes,
  pidfdFlags,
  prctlOptions,
  resources,
  waitidTypes,
  waitOptions,
} from "./symbols.ts";
import { timespec, timeval } from "./time.ts";
import {
  address,
  enumeration,
  fd,
  flags,
  int,
  pid,
  printSignal,
  rlimit,
  uid,
  uint,
  ulong,
  ulongHex,
  word,
} from "./words.ts";

type Args = (index: number) => number | null;

// wait4

const s = sym("s");

/** `{WIFEXITED(s) && WEXITSTATUS(s) == 0}`. */
function printStatus(value: bigint): Expr {
  const signal = value & 0x7fn;
  if (value === 0xffffn) return structExpr([call("WIFCONTINUED", [s])]);
  const high = (value >> 8n) & 0xffn;
  if ((value & 0xffn) === 0x7fn) return conditions("WIFSTOPPED", "WSTOPSIG", printSignal(high));
  if (signal === 0n) return conditions("WIFEXITED", "WEXITSTATUS", intExpr(high));
  const core = (value & 0x80n) === 0n ? [] : [call("WCOREDUMP", [s])];
  return conditions("WIFSIGNALED", "WTERMSIG", printSignal(signal), core);
}

function conditions(how: string, what: string, value: Expr, more: readonly Expr[] = []): Expr {
  return structExpr([op("&&", [call(how, [s]), op("==", [call(what, [s]), value]), ...more])]);
}

/** The status word that a condition describes; null for any other expression. */
function readStatus(expr: Expr): bigint | null {
  if (expr.kind !== "struct") return evalBig(expr);
  const [condition] = expr.fields;
  if (condition?.kind === "call" && condition.name === "WIFCONTINUED") return 0xffffn;
  const items = condition?.kind === "op" && condition.op === "&&" ? condition.items : [];
  const equation = items.find((item): item is OpExpr => item.kind === "op" && item.op === "==");
  const [what, value] = equation?.items ?? [];
  const number = value === undefined ? null : evalBig(value);
  if (what?.kind !== "call" || number === null) return null;
  if (what.name === "WEXITSTATUS") return number << 8n;
  if (what.name === "WSTOPSIG") return (number << 8n) | 0x7fn;
  const core = items.some((item) => item.kind === "call" && item.name === "WCOREDUMP");
  return what.name === "WTERMSIG" ? number | (core ? 0x80n : 0n) : null;
}

const status: WordType = {
  ...word(4, false, printStatus),
  toWord(expr: Expr, enc: Encoder): Word {
    const value = readStatus(entryOf(expr));
    return value ?? enc.fail(expr, "not a wait status", "{WIFEXITED(s) && WEXITSTATUS(s) == 0}");
  },
};

const rusageFields = [fieldAt(0, "ru_utime", timeval), fieldAt(16, "ru_stime", timeval)];

/** `struct rusage`: only its times are printed. */
const rusage: BlockType = {
  ...struct(144, rusageFields),
  decode: (bytes, dec) => structExpr([...decodeFields(rusageFields, bytes, dec), ellipsis()]),
};

// kcmp

const KCMP_FILE = 0;
const KCMP_EPOLL_TFD = 7;
const epollSlot: BlockType = struct(12, [fieldAt(0, "efd", uint), fieldAt(4, "tfd", uint), fieldAt(8, "toff", uint)]);

function kcmpIndex(second: boolean): (arg: Args) => WordType | null {
  return (arg) => {
    const type = arg(2);
    if (type === KCMP_FILE) return fd;
    if (type !== KCMP_EPOLL_TFD) return null;
    return second ? pointer(epollSlot, "in") : fd;
  };
}

// futex

const FUTEX_COMMAND = 127;
const Futex = {
  WAIT: 0,
  REQUEUE: 3,
  WAKE_OP: 5,
  LOCK_PI: 6,
  WAIT_BITSET: 9,
  WAKE_BITSET: 10,
  WAIT_REQUEUE_PI: 11,
} as const;
const FUTEX_WITH_TIMEOUT: ReadonlySet<number> = new Set([
  Futex.WAIT,
  Futex.LOCK_PI,
  Futex.WAIT_BITSET,
  Futex.WAIT_REQUEUE_PI,
]);

const futexOperation = word(4, false, (value) => {
  const operation = futexOperations.printEnum(value & ~256n);
  return (value & 256n) === 0n ? operation : or([operation, ...futexFlags.flagItems(256n)]);
});

/** `FUTEX_BITSET_MATCH_ANY`, or the bits in hexadecimal. */
const futexBits = word(4, false, (value) => (value === 0xffff_ffffn ? sym("FUTEX_BITSET_MATCH_ANY") : hex(value)));

function command(arg: Args): number {
  return (arg(1) ?? 0) & FUTEX_COMMAND;
}

function isBitset(arg: Args): boolean {
  return command(arg) === Futex.WAIT_BITSET || command(arg) === Futex.WAKE_BITSET;
}

function movesWaiters(arg: Args): boolean {
  const operation = command(arg);
  return (operation >= Futex.REQUEUE && operation <= Futex.WAKE_OP) || operation > Futex.WAKE_BITSET;
}

/** The fourth argument as strace prints it: a timeout, a second count, or the bits to wake (register 5). */
function futexFourth(arg: Args): WordType | null {
  if (FUTEX_WITH_TIMEOUT.has(command(arg))) return pointer(timespec, "in");
  if (command(arg) === Futex.WAKE_BITSET) return futexBits;
  return movesWaiters(arg) ? ulong : null;
}

/** The fifth: the second futex, or the bits to wait for (register 5). */
function futexFifth(arg: Args): WordType | null {
  if (command(arg) === Futex.WAIT_BITSET) return futexBits;
  return movesWaiters(arg) ? address : null;
}

// prctl

const PR_GET_NAME = 16;
const PR_SET_NAME = 15;
const PR_GET_PDEATHSIG = 2;
const PR_SET_TIMERSLACK = 29;
const PRCTL_WITHOUT_ARGUMENT: ReadonlySet<number> = new Set([3, 27, 30, 39]);

function prctlArg(arg: Args): WordType | null {
  switch (arg(0)) {
    case PR_SET_NAME:
      return pointer(cstring, "in");
    case PR_GET_NAME:
      return pointer({ ...cstring, room: () => 16 }, "out");
    case PR_GET_PDEATHSIG:
      return pointer(boxed(int), "out");
    case PR_SET_TIMERSLACK:
      return ulong;
    default:
      return PRCTL_WITHOUT_ARGUMENT.has(arg(0) ?? -1) ? null : ulongHex;
  }
}

/** argv and envp: what a program is told. A script goes on as it is, whatever stands there, so no memory is made for it. */
const programWords: WordType = {
  ...address,
  toWord: (expr: Expr, enc: Encoder): Word => (expr.kind === "array" ? 0n : address.toWord(expr, enc)),
};

const none = (): null => null;
const limits: BlockType = struct(16, [fieldAt(0, "rlim_cur", rlimit), fieldAt(8, "rlim_max", rlimit)]);

/** Declarations. */
export const processCalls: readonly Signature[] = [
  declare("getpid", []),
  declare("gettid", []),
  declare("getppid", []),
  declare("getuid", []),
  declare("geteuid", []),
  declare("setuid", [param("uid", uid)]),
  declare("setresuid", [param("ruid", uid), param("euid", uid), param("suid", uid)]),
  declare("sched_yield", []),
  declare("execve", [
    param("filename", pointer(cstring, "in")),
    param("argv", programWords),
    param("envp", programWords),
  ]),
  declare("exit", [param("error_code", int)], { noReturn: true }),
  declare("exit_group", [param("error_code", int)], { noReturn: true }),
  declare("wait4", [
    param("upid", pid),
    param("stat_addr", pointer(boxed(status), "out"), 0),
    param("options", flags(waitOptions), 0),
    param("ru", pointer(rusage, "out"), 0),
  ]),
  declare("waitid", [
    param("which", enumeration(waitidTypes)),
    param("upid", pid),
    param("infop", pointer(siginfo, "out"), 0),
    param("options", flags(waitOptions), 4),
    param("ru", pointer(rusage, "out"), 0),
  ]),
  declare("prlimit64", [
    param("pid", pid),
    param("resource", enumeration(resources)),
    param("new_rlim", pointer(limits, "in")),
    param("old_rlim", pointer(limits, "out")),
  ]),
  declare("prctl", [
    param("option", enumeration(prctlOptions)),
    param("arg2", prctlArg),
    param("arg3", none),
    param("arg4", none),
    param("arg5", none),
  ]),
  declare("kcmp", [
    param("pid1", pid),
    param("pid2", pid),
    param("type", enumeration(kcmpTypes)),
    param("idx1", kcmpIndex(false)),
    param("idx2", kcmpIndex(true)),
  ]),
  declare("futex", [
    param("uaddr", address),
    param("op", futexOperation),
    param("val", uint),
    param("timeout", futexFourth, null, (arg) => (command(arg) === Futex.WAKE_BITSET ? 5 : 3)),
    param("uaddr2", futexFifth, null, (arg) => (isBitset(arg) ? 5 : 4)),
    param("val3", (arg) => (movesWaiters(arg) && command(arg) !== Futex.REQUEUE ? uint : null)),
  ]),
  declare("pidfd_open", [param("pid", pid), param("flags", flags(pidfdFlags))]),
];
