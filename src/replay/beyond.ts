import { TimerfdCtx } from "../kernel/fs/timerfd.ts";
import { ClockId, Tfd } from "../kernel/uapi/time.ts";
import { entryOf, evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall, Difference } from "./active-call.ts";
import { ExternalFile } from "./external.ts";
import { STAMP_ERROR_NS } from "./knowledge.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { descriptorsNamed, firstFile, isSymbol, mentions, NOTHING } from "./records.ts";
import { peerOf } from "./relations.ts";

const TICKS_SIZE = 8;
/** How much later than asked a timer may end a sleep of a task that has not said otherwise. */
const TIMER_SLACK_NS = 50_000;

/**
 * An expiry by a clock that counts from boot: no line tells when the recorded machine was booted, so nobody can say whether it
 * is past.
 */
export function isAbsoluteMonotonic(owner: ReplayTask, record: CallRecord): boolean {
  if (record.name === "clock_nanosleep") {
    return !isSymbol(record.args[0], "CLOCK_REALTIME") && isSymbol(record.args[1], "TIMER_ABSTIME");
  }
  if (record.name !== "timerfd_settime" || ((evalInt(record.args[1] ?? NOTHING) ?? 0) & Tfd.TIMER_ABSTIME) === 0)
    return false;
  const file = firstFile(owner, record);
  return file instanceof TimerfdCtx && file.clockId !== ClockId.REALTIME && file.clockId !== ClockId.REALTIME_ALARM;
}

/** Ticks of a periodic timer that are as many as the recorded ones, as exactly as the recording's times are. */
export function isTickError(owner: ReplayTask, call: ActiveCall): boolean {
  const { record } = call;
  const file = firstFile(owner, record);
  const recorded = record.args[1];
  const found = call.bytesRead(TICKS_SIZE);
  if (record.name !== "read" || !(file instanceof TimerfdCtx) || file.interval === 0n) return false;
  if (recorded?.kind !== "str" || recorded.bytes.length !== TICKS_SIZE || found === null) return false;
  const ticks = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const off = ticks(recorded.bytes) - ticks(found);
  return (off < 0n ? -off : off) * file.interval <= BigInt(STAMP_ERROR_NS);
}

/** The same for timer_getoverrun. */
export function isOverrunError({ task }: ReplayTask, { record, ret, value }: ActiveCall): boolean {
  const id = record.name === "timer_getoverrun" ? evalInt(record.args[0] ?? NOTHING) : null;
  const timer = id === null ? undefined : task.process.posixTimers.get(id);
  if (timer === undefined || value === null || value < 0 || ret < 0) return false;
  const off = BigInt(Math.abs(value - ret));
  return timer.interval > 0n && off * timer.interval <= BigInt(STAMP_ERROR_NS);
}

/** An interval timer by CPU time, which no recording shows. */
export function isOfCpuTime({ name, args }: CallRecord): boolean {
  return name.endsWith("itimer") && (isSymbol(args[0], "ITIMER_VIRTUAL") || isSymbol(args[0], "ITIMER_PROF"));
}

/** A call on a description of a kind that the model does not know: what it answers is not predicted. */
export function namesForeign({ task }: ReplayTask, record: CallRecord): boolean {
  return descriptorsNamed(record).some((fd) => {
    const file = task.process.files.getRaw(fd);
    return file instanceof ExternalFile && file.kind === "other";
  });
}

/** A sleep that had to be over when a signal ended it, as exactly as timers and the recording's times are. */
export function isHardlyOver({ name, args, entryNs, exitNs }: CallRecord): boolean {
  const index = name === "nanosleep" ? 0 : name === "clock_nanosleep" && !isSymbol(args[1], "TIMER_ABSTIME") ? 2 : -1;
  const asked = args[index] === undefined ? null : entryOf(args[index]);
  if (asked?.kind !== "struct" || entryNs === null || exitNs === null) return false;
  const [sec, nsec] = [field(asked, "tv_sec", 0), field(asked, "tv_nsec", 1)].map((part) => evalInt(part ?? NOTHING));
  const left = Number(exitNs - entryNs) - ((sec ?? 0) * 1e9 + (nsec ?? 0));
  return left >= 0 && left <= STAMP_ERROR_NS + TIMER_SLACK_NS;
}

/** Options whose values the kernel chooses by its own measure or by the machine's configuration. */
const MACHINE_FACTS: ReadonlySet<string> = new Set(
  "SO_RCVBUF SO_SNDBUF SO_INCOMING_CPU SO_INCOMING_NAPI_ID TCP_CONGESTION TCP_INFO TCP_MAXSEG".split(" "),
);

/** Who is at the other end of an AF_UNIX socket, or what descriptors came from there, and that is outside. */
export function tellsOfStranger(machine: Machine, owner: ReplayTask, record: CallRecord): boolean {
  const file = firstFile(owner, record);
  const peer = file === null ? null : peerOf(file);
  if (peer === null || !machine.strangers.has(peer)) return false;
  const [, message, option] = record.args;
  if (record.name === "getsockopt") return option?.kind === "sym" && option.name.startsWith("SO_PEER");
  const shown = record.name === "recvmsg" && message !== undefined ? exitOf(message) : null;
  return shown !== null && (mentions(shown, "SCM_RIGHTS") || mentions(shown, "SCM_CREDENTIALS"));
}

/** A bind to an address that the recorded machine has on one of its devices. */
export function isOwnAddress({ name, result }: CallRecord, { predicted }: Difference): boolean {
  return name === "bind" && (result?.errnos[0] ?? null) === null && predicted === "-1 EADDRNOTAVAIL";
}

export function isMachineFact({ name, args, result }: CallRecord): boolean {
  const option = args[2];
  const failed = (result?.errnos[0] ?? null) !== null;
  return name === "getsockopt" && !failed && option?.kind === "sym" && MACHINE_FACTS.has(option.name);
}
