/**
 * What two machines may answer differently though both are right: ids, clocks, numbers that a machine hands out.
 *
 * The list is short on purpose. Whatever is not here is compared. `portable` puts `?` in the place of what is free.
 *
 * | call | free |
 * | --- | --- |
 * | getpid, getppid, gettid, time, wait4 (a pid), fcntl F_GETOWN | the result |
 * | kcmp | whether 1 or 2: an order of addresses |
 * | clock_gettime, nanosleep, clock_nanosleep, wait4 (rusage) | the time given back |
 * | getitimer, setitimer, and `_gettime`, `_settime` of timers | `it_value` given back |
 * | select, pselect6, poll, ppoll, recvmmsg | the time that is left |
 * | fstat | device, inode, owner, block counts, times |
 * | getsockopt SO_COOKIE, SO_INCOMING_CPU, SO_INCOMING_NAPI_ID | the value |
 * | socket addresses | ports from the ephemeral range, autobound abstract names, netlink ids |
 * | credentials, `siginfo_t`, `signalfd_siginfo` | pid, uid, gid, times |
 */
import { Fcntl } from "../kernel/uapi/fcntl.ts";
import { SOL_SOCKET } from "../kernel/uapi/socket.ts";
import { evalInt } from "./abi/evaluate.ts";
import type { Expr, NamedExpr, Result, StrExpr, StructExpr } from "./ast.ts";
import { named, str, struct, sym } from "./build.ts";
import type { CallRun } from "./call-decoder.ts";
import type { Rendered } from "./render.ts";
import { printResult } from "./render.ts";
import { rebuild } from "./walk.ts";

const FREE: Expr = sym("?");

/** Lowest port that Linux hands out by itself (`ip_local_port_range`). */
const EPHEMERAL_PORT_MIN = 32768;
const SIGINFO_BYTES = 128;
const SIGNAL_MAX = 64;
/** `ssi_pid` and `ssi_uid`. */
const SIGINFO_SENDER = { from: 12, to: 20 } as const;

const FREE_RESULTS: ReadonlySet<string> = new Set(["getpid", "getppid", "gettid", "time", "wait4"]);

/** Fields that are free wherever they stand. */
const FREE_FIELDS: ReadonlySet<string> = new Set([
  "left",
  "nl_pid",
  "pid",
  "uid",
  "gid",
  "si_pid",
  "si_uid",
  "si_utime",
  "si_stime",
  "st_dev",
  "st_ino",
  "st_uid",
  "st_gid",
  "st_blksize",
  "st_blocks",
  "st_atime",
  "st_atime_nsec",
  "st_mtime",
  "st_mtime_nsec",
  "st_ctime",
  "st_ctime_nsec",
  "ru_utime",
  "ru_stime",
]);

/** Outputs that are a time. */
const TIME_OUTPUTS: ReadonlySet<string> = new Set(["clock_gettime", "clock_nanosleep", "nanosleep", "time"]);
const TIMER_OUTPUTS: ReadonlySet<string> = new Set([
  "getitimer",
  "setitimer",
  "timer_gettime",
  "timer_settime",
  "timerfd_gettime",
  "timerfd_settime",
]);
const FREE_SOCKET_OPTIONS: ReadonlySet<number> = new Set([49, 56, 57]);

/** Calls with an output that is free in part. */
const INEXACT: ReadonlySet<string> = new Set(["fstat", "rt_sigtimedwait", "wait4", "waitid"]);

/** A call's answer without its free parts. */
export interface PortableCall {
  /** `asleep`, `3`, `-1 EBADF`. */
  readonly result: string;
  /** What stands behind the result; null for nothing. */
  readonly output: Expr | null;
  /** By argument; null for an input. */
  readonly args: readonly (Expr | null)[];
}

/** Takes the free parts out of a call's answer. @param outputs - which arguments the call writes */
export function portable(run: CallRun, rendered: Rendered, outputs: readonly boolean[]): PortableCall {
  const { result } = rendered;
  const args = rendered.args.map((arg, index) => (outputs[index] === true ? portableArgument(run, arg, index) : null));
  const fields = (result?.output?.fields ?? []).filter((field) => !isNamed(field, "left"));
  const output = fields.length === 0 ? null : portableValue(struct(fields));
  return { result: result === null ? "asleep" : portableResult(run, result), output, args };
}

/** Whether the bytes behind a call's outputs can be compared as they are: nothing in them is free. */
export function isExact({ plan, decoder }: CallRun): boolean {
  const { name } = plan.signature;
  if (TIME_OUTPUTS.has(name) || TIMER_OUTPUTS.has(name) || INEXACT.has(name)) return false;
  if (name === "getsockopt") return decoder.arg(1) !== SOL_SOCKET;
  return !/^(?:accept|getsockname|getpeername|recv|select|pselect|ppoll|poll|read)/u.test(name);
}

function portableResult({ plan, decoder }: CallRun, result: Result): string {
  const { ret } = decoder;
  const { name } = plan.signature;
  if (ret === null || ret < 0) return printResult(result);
  if (FREE_RESULTS.has(name) && ret > 0) return "?";
  if (name === "fcntl" && decoder.arg(1) === Fcntl.GETOWN) return "?";
  if (name === "kcmp" && (ret === 1 || ret === 2)) return "1 or 2";
  return printResult(result);
}

function portableArgument({ plan, decoder }: CallRun, arg: Expr, index: number): Expr {
  const { name } = plan.signature;
  if (TIME_OUTPUTS.has(name)) return FREE;
  if (TIMER_OUTPUTS.has(name))
    return rebuild(arg, (part) => (isNamed(part, "it_value") ? named("it_value", FREE) : part));
  const isOption = name === "getsockopt" && index === 3 && decoder.arg(1) === SOL_SOCKET;
  return isOption && FREE_SOCKET_OPTIONS.has(decoder.arg(2)) ? FREE : portableValue(arg);
}

function isNamed(expr: Expr, name: string): expr is NamedExpr {
  return expr.kind === "named" && expr.name === name;
}

/** A value without what is free wherever it stands. */
export function portableValue(expr: Expr): Expr {
  return rebuild(expr, (part) => {
    if (part.kind === "str") return withoutSender(part);
    if (part.kind === "struct") return withoutCutCredentials(part);
    if (part.kind !== "named") return part;
    return FREE_FIELDS.has(part.name) || isEphemeral(part) || isAutobound(part) ? named(part.name, FREE) : part;
  });
}

/** `struct ucred` for which there was no room: the ids are bytes. */
function withoutCutCredentials(expr: StructExpr): StructExpr {
  const isCredentials = expr.fields.some(
    (part) => isNamed(part, "cmsg_type") && part.value.kind === "sym" && part.value.name === "SCM_CREDENTIALS",
  );
  if (!isCredentials) return expr;
  const fields = expr.fields.map((part) =>
    isNamed(part, "cmsg_data") && part.value.kind === "str" ? named("cmsg_data", FREE) : part,
  );
  return { ...expr, fields };
}

function isEphemeral({ name, value }: NamedExpr): boolean {
  if (name !== "sin_port" && name !== "sin6_port") return false;
  const port = value.kind === "call" && value.args[0] !== undefined ? evalInt(value.args[0]) : null;
  return port !== null && port >= EPHEMERAL_PORT_MIN;
}

/** The kernel's own abstract names are five hexadecimal digits. */
function isAutobound({ name, value }: NamedExpr): boolean {
  if (name !== "sun_path" || value.kind !== "at" || value.content?.kind !== "str") return false;
  const text = String.fromCharCode(...value.content.bytes.subarray(0, 8));
  return /^[0-9a-f]{5}$/u.test(text);
}

/** `signalfd_siginfo` records without who sent them. */
function withoutSender(expr: StrExpr): StrExpr {
  const { bytes } = expr;
  if (bytes.length === 0 || bytes.length % SIGINFO_BYTES !== 0) return expr;
  const copy = bytes.slice();
  for (let at = 0; at < bytes.length; at += SIGINFO_BYTES) {
    const [signo = 0, ...rest] = bytes.subarray(at, at + 4);
    if (signo < 1 || signo > SIGNAL_MAX || rest.some((byte) => byte !== 0)) return expr;
    copy.fill(0, at + SIGINFO_SENDER.from, at + SIGINFO_SENDER.to);
  }
  return str(copy, expr.truncated);
}
