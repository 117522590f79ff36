/**
 * Signals.
 *
 * Counterpart: `kernel/signal.c`, `fs/signalfd.c`; `struct kernel_sigaction` of x86-64.
 */
import type { Expr } from "../ast.ts";
import { printExpr } from "../printer.ts";
import { fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Decoder } from "./context.ts";
import { readWord } from "./image.ts";
import { siginfo } from "./siginfo.ts";
import { declare, param, type ResultOutput, type Signature, words } from "./signature.ts";
import { sigactionFlags, sigaltstackFlags, sigHandlers, signalfdFlags, sigprocmaskHow } from "./symbols.ts";
import { sigset, timespec } from "./time.ts";
import {
  address,
  enumeration,
  fd,
  flags,
  pid,
  printAddress,
  printedBy,
  printSignal,
  signal,
  uint,
  ulong,
} from "./words.ts";

const SA_RESTORER = 0x4000000n;

/** `SIG_DFL`, `SIG_IGN`, or the address of a handler. */
const handler = printedBy(address, (value, dec): Expr => {
  return sigHandlers.nameOf(value) === null ? printAddress(value, dec) : sigHandlers.printEnum(value);
});

const sigaction: BlockType = struct(32, [
  fieldAt(0, "sa_handler", handler),
  fieldAt(24, "sa_mask", sigset),
  fieldAt(8, "sa_flags", flags(sigactionFlags, 8)),
  fieldAt(16, "sa_restorer", address, (bytes) => (readWord(bytes, 8, 8, false) & SA_RESTORER) !== 0n),
]);

const stackT: BlockType = struct(24, [
  fieldAt(0, "ss_sp", address),
  fieldAt(8, "ss_flags", flags(sigaltstackFlags)),
  fieldAt(16, "ss_size", ulong),
]);

const setIn = pointer(sigset, "in");
const setOut = pointer(sigset, "out");
const sigsetsize = param("sigsetsize", ulong);

/** `10 (SIGUSR1)`. */
function describeSignal(dec: Decoder): ResultOutput | null {
  return dec.ret === null || dec.ret <= 0 ? null : words(printExpr(printSignal(BigInt(dec.ret))));
}

/** Declarations. */
export const signalCalls: readonly Signature[] = [
  declare("rt_sigaction", [
    param("sig", signal),
    param("act", pointer(sigaction, "in")),
    param("oact", pointer(sigaction, "out")),
    sigsetsize,
  ]),
  declare("sigaltstack", [param("uss", pointer(stackT, "in")), param("uoss", pointer(stackT, "out"))]),
  declare("rt_sigprocmask", [
    param("how", enumeration(sigprocmaskHow)),
    param("nset", setIn),
    param("oset", setOut),
    sigsetsize,
  ]),
  declare("rt_sigsuspend", [param("unewset", setIn), sigsetsize]),
  declare(
    "rt_sigtimedwait",
    [
      param("uthese", setIn),
      param("uinfo", pointer(siginfo, "out"), 0),
      param("uts", pointer(timespec, "in"), 0),
      param("sigsetsize", ulong, 8),
    ],
    { describe: describeSignal },
  ),
  declare("rt_sigqueueinfo", [param("pid", pid), param("sig", signal), param("uinfo", pointer(siginfo, "in"))]),
  declare("rt_sigpending", [param("uset", setOut), sigsetsize]),
  declare("kill", [param("pid", pid), param("sig", signal)]),
  declare("tkill", [param("pid", pid), param("sig", signal)]),
  declare("tgkill", [param("tgid", pid), param("pid", pid), param("sig", signal)]),
  declare("pidfd_send_signal", [
    param("pidfd", fd),
    param("sig", signal),
    param("info", pointer(siginfo, "in")),
    param("flags", uint),
  ]),
  declare("signalfd", [param("ufd", fd), param("user_mask", setIn), param("sizemask", ulong)]),
  declare("signalfd4", [
    param("ufd", fd),
    param("user_mask", setIn),
    param("sizemask", ulong),
    param("flags", flags(signalfdFlags)),
  ]),
  declare("pause", []),
];
