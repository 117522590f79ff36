/**
 * Mistakes put into a recording: each takes a line that holds a result, and gives one that the kernel cannot have given there.
 */
import { evalInt, exitOf, field } from "../../src/trace/abi/evaluate.ts";
import type { CallLine, Expr, Line, Result, ResumedLine, StructExpr } from "../../src/trace/ast.ts";
import { array, hex, int, named, str, sym } from "../../src/trace/build.ts";
import { printExpr } from "../../src/trace/printer.ts";

export type ResultLine = CallLine | ResumedLine;

/** What an alteration may look at. */
export interface Site {
  readonly line: ResultLine;
  /** Where the call began: the line itself, or its first half. */
  readonly entry: ResultLine;
  /** All arguments. */
  readonly args: readonly Expr[];
  /** Events that earlier waits have reported. */
  readonly earlier: readonly Expr[];
  readonly random: () => number;
}

/** The altered line, or null where this mistake cannot be made. */
export type Alteration = (site: Site) => ResultLine | null;

const WAITS = /^epoll_p?wait2?$/;
const READS = /^(read|readv|recvfrom|recvmsg|accept|accept4)$/;
const WRITES = /^(write|writev|sendto|sendmsg)$/;
const GIVES = /^(socket|accept4?|epoll_create1?|eventfd2?|timerfd_create|signalfd4?|dup|inotify_init1?|openat)$/;
const MS = 1_000_000;

function returned(line: ResultLine): number | null {
  const [value] = line.result?.values ?? [];
  return line.result?.errnos[0] === null && value !== undefined ? evalInt(value) : null;
}

function success(value: Expr): Result {
  return { values: [value], errnos: [null], text: null, output: null };
}

function failure(errno: string): Result {
  return { values: [int(-1)], errnos: [errno], text: "altered", output: null };
}

function eventsOf(line: ResultLine): { readonly index: number; readonly items: readonly Expr[] } | null {
  if (!WAITS.test(line.name) || returned(line) === null) return null;
  const index = line.args.findIndex((arg) => exitOf(arg).kind === "array");
  const events = index === -1 ? null : exitOf(line.args[index] as Expr);
  if (events?.kind !== "array" || events.items.some((item) => item.kind !== "struct")) return null;
  return { index, items: events.items };
}

function withEvents(line: ResultLine, index: number, items: readonly Expr[]): ResultLine {
  const args = line.args.map((arg, at) => (at === index ? array(items) : arg));
  return { ...line, args, result: success(int(items.length)) };
}

function datum(item: Expr): string {
  const data = item.kind === "struct" ? field(item, "data", 1) : null;
  return data === null ? "" : printExpr(data);
}

const dropEvent: Alteration = ({ line, random }) => {
  const events = eventsOf(line);
  if (events === null || events.items.length === 0) return null;
  const at = Math.floor(random() * events.items.length);
  return withEvents(
    line,
    events.index,
    events.items.filter((_, index) => index !== at),
  );
};

const addEvent: Alteration = ({ line, args, earlier }) => {
  const events = eventsOf(line);
  const max = args[2] === undefined ? null : evalInt(args[2]);
  if (events === null || max === null || events.items.length >= max) return null;
  const there = new Set(events.items.map(datum));
  const other = earlier.find((item) => !there.has(datum(item)));
  return other === undefined ? null : withEvents(line, events.index, [...events.items, other]);
};

const reorderEvents: Alteration = ({ line }) => {
  const events = eventsOf(line);
  const [first, second, ...rest] = events?.items ?? [];
  if (events === null || first === undefined || second === undefined || datum(first) === datum(second)) return null;
  return withEvents(line, events.index, [second, first, ...rest]);
};

const otherMask: Alteration = ({ line, random }) => {
  const events = eventsOf(line);
  if (events === null || events.items.length === 0) return null;
  const at = Math.floor(random() * events.items.length);
  const item = events.items[at] as StructExpr;
  const mask = field(item, "events", 0);
  if (mask === null) return null;
  const names = new Set((mask.kind === "op" ? mask.items : [mask]).map(printExpr));
  const toggled = names.has("EPOLLHUP") ? "EPOLLERR" : "EPOLLHUP";
  const next = names.has(toggled) ? sym("EPOLLPRI") : sym(toggled);
  const fields = item.fields.map((entry) =>
    entry.kind === "named" && entry.name === "events" ? named("events", next) : entry,
  );
  return withEvents(
    line,
    events.index,
    events.items.map((entry, index) => (index === at ? { ...item, fields } : entry)),
  );
};

/** The buffer of a read in this line, whole or not. */
function bufferOf(
  line: ResultLine,
): { readonly index: number; readonly bytes: Uint8Array; readonly cut: boolean } | null {
  const index = line.args.findIndex((arg) => arg.kind === "str");
  const buffer = line.args[index];
  return buffer?.kind === "str" ? { index, bytes: buffer.bytes, cut: buffer.truncated } : null;
}

const longerRead: Alteration = ({ line, args }) => {
  const length = returned(line);
  const size = args[2] === undefined ? null : evalInt(args[2]);
  if (!/^(read|recvfrom)$/.test(line.name) || length === null || size === null || length >= size) return null;
  const buffer = bufferOf(line);
  if (buffer === null) return null;
  const bytes = buffer.cut ? buffer.bytes : new Uint8Array([...buffer.bytes, 0x78]);
  const next = line.args.map((arg, index) => (index === buffer.index ? str(bytes, buffer.cut) : arg));
  return { ...line, args: next, result: success(int(length + 1)) };
};

const otherBytes: Alteration = ({ line }) => {
  const length = returned(line);
  const buffer = bufferOf(line);
  if (!/^(read|recvfrom)$/.test(line.name) || length === null || buffer === null) return null;
  // what was cut off when it was written is not known when it is read
  if (buffer.cut || buffer.bytes.length === 0) return null;
  const bytes = buffer.bytes.slice();
  bytes[0] = (bytes[0] as number) ^ 0x15;
  return { ...line, args: line.args.map((arg, index) => (index === buffer.index ? str(bytes, buffer.cut) : arg)) };
};

const dataForEagain: Alteration = ({ line, args }) => {
  if (!READS.test(line.name) || line.result?.errnos[0] !== "EAGAIN") return null;
  if (line.name.startsWith("accept")) return { ...line, result: success(int(900)) };
  const at = line.args.findIndex((arg) => arg.kind === "int" && arg.base === 16);
  if (!/^(read|recvfrom)$/.test(line.name) || at === -1 || (evalInt(args[2] ?? int(0)) ?? 0) < 1) return null;
  const bytes = new Uint8Array(args[2] !== undefined && evalInt(args[2]) === 8 ? 8 : 1).fill(1);
  return {
    ...line,
    args: line.args.map((arg, index) => (index === at ? str(bytes) : arg)),
    result: success(int(bytes.length)),
  };
};

const eagainForData: Alteration = ({ line }) => {
  const length = returned(line);
  const buffer = bufferOf(line);
  if (!/^(read|recvfrom)$/.test(line.name) || length === null || length < 1 || buffer === null) return null;
  const args = line.args.map((arg, index) => (index === buffer.index ? hex(0x7ffd_0000_1000) : arg));
  return { ...line, args, result: failure("EAGAIN") };
};

/** How long a call was told to sleep at most, in ns; null where nobody knows. */
function askedNs(line: ResultLine): number | null {
  const index = line.name.includes("select")
    ? 4
    : line.name.startsWith("epoll")
      ? 3
      : line.name === "nanosleep"
        ? 0
        : 2;
  const asked = line.args[index];
  if (asked === undefined) return null;
  const given = asked.kind === "change" ? asked.from : asked;
  if (given === null) return null;
  if (given.kind !== "struct") return (evalInt(given) ?? Number.NaN) * MS;
  const seconds = field(given, "tv_sec", 0);
  const fine = field(given, "tv_nsec", 1) ?? field(given, "tv_usec", 1);
  if (seconds === null || fine === null) return null;
  const unit = line.name === "select" ? 1e3 : 1;
  return (evalInt(seconds) ?? Number.NaN) * 1e9 + (evalInt(fine) ?? Number.NaN) * unit;
}

const earlyTimeout: Alteration = ({ line }) => {
  const isWait = WAITS.test(line.name) || /^(poll|ppoll|select|pselect6|nanosleep|clock_nanosleep)$/.test(line.name);
  if (line.type !== "call" || !isWait || returned(line) !== 0 || line.durationNs === null) return null;
  const durationNs = Math.round(line.durationNs * 0.4);
  const asked = askedNs(line);
  // a sleep that lasted much longer than it was to is not too short yet
  if (line.durationNs < 20 * MS || (asked !== null && durationNs >= asked - 2 * MS)) return null;
  return { ...line, durationNs };
};

const openNumber: Alteration = ({ line }) => {
  const fd = returned(line);
  return GIVES.test(line.name) && fd !== null && fd > 3 ? { ...line, result: success(int(fd - 1)) } : null;
};

const higherNumber: Alteration = ({ line }) => {
  const fd = returned(line);
  return GIVES.test(line.name) && fd !== null && fd >= 3 ? { ...line, result: success(int(fd + 1)) } : null;
};

const shortWrite: Alteration = ({ line }) => {
  const length = returned(line);
  return WRITES.test(line.name) && length !== null && length > 1 ? { ...line, result: success(int(length - 1)) } : null;
};

const failedControl: Alteration = ({ line, args }) => {
  if (line.name !== "epoll_ctl" || returned(line) !== 0) return null;
  const isAdd = args[1] !== undefined && printExpr(args[1]) === "EPOLL_CTL_ADD";
  return { ...line, result: failure(isAdd ? "EEXIST" : "ENOENT") };
};

const successfulControl: Alteration = ({ line }) => {
  return line.name === "epoll_ctl" && (line.result?.errnos[0] ?? null) !== null
    ? { ...line, result: success(int(0)) }
    : null;
};

const otherErrno: Alteration = ({ line }) => {
  const errno = line.result?.errnos[0] ?? null;
  if (errno === null || errno.startsWith("ERESTART") || errno === "EINTR" || errno === "EFAULT") return null;
  // it gives back what stood in a register when the handler began
  if (line.name === "rt_sigreturn") return null;
  return { ...line, result: failure(errno === "EBADF" ? "EINVAL" : "EBADF") };
};

const interruption: Alteration = ({ line }) => {
  return WAITS.test(line.name) && returned(line) !== null ? { ...line, result: failure("EINTR") } : null;
};

const otherDatum: Alteration = ({ line }) => {
  const events = eventsOf(line);
  const [first, second, ...rest] = (events?.items ?? []) as readonly StructExpr[];
  if (events === null || first === undefined || second === undefined) return null;
  // two events with the same mask would only have changed places
  if (datum(first) === datum(second) || maskText(first) === maskText(second)) return null;
  return withEvents(line, events.index, [withDatumOf(first, second), withDatumOf(second, first), ...rest]);
};

function maskText(item: StructExpr): string {
  const mask = field(item, "events", 0);
  return mask === null ? "" : printExpr(mask);
}

function withDatumOf(item: StructExpr, other: StructExpr): StructExpr {
  const data = field(other, "data", 1);
  const replaced = (entry: Expr): Expr =>
    data !== null && entry.kind === "named" && entry.name === "data" ? named("data", data) : entry;
  return { ...item, fields: item.fields.map(replaced) };
}

const wrongRevents: Alteration = ({ line }) => {
  const output = line.result?.output ?? null;
  const value = returned(line);
  if (!/^p?poll$/.test(line.name) || value === null || value < 1 || output?.kind !== "struct") return null;
  const [list] = output.fields;
  const [item, ...rest] = list?.kind === "array" ? list.items : [];
  if (item?.kind !== "struct" || field(item, "revents", 1) === null) return null;
  const mask = printExpr(field(item, "revents", 1) as Expr) === "POLLHUP" ? "POLLERR" : "POLLHUP";
  const fields = item.fields.map((entry) =>
    entry.kind === "named" && entry.name === "revents" ? named("revents", sym(mask)) : entry,
  );
  const shown = { ...output, fields: [array([{ ...item, fields }, ...rest]), ...output.fields.slice(1)] };
  return { ...line, result: { ...(line.result as Result), output: shown } };
};

/** The number in a read of 8 bytes: what an eventfd counted, how often a timer has expired. */
function countPlus(added: number, from: string): Alteration {
  return ({ line, args }) => {
    const buffer = bufferOf(line);
    const [fd] = args;
    if (line.name !== "read" || returned(line) !== 8 || buffer === null || buffer.bytes.length !== 8) return null;
    if (fd?.kind !== "int" || fd.note === null || !fd.note.includes(from)) return null;
    const bytes = buffer.bytes.slice();
    new DataView(bytes.buffer).setUint8(2, (bytes[2] as number) + added);
    return { ...line, args: line.args.map((arg, index) => (index === buffer.index ? str(bytes) : arg)) };
  };
}

const otherChild: Alteration = ({ line }) => {
  const pid = returned(line);
  return line.name === "wait4" && pid !== null && pid > 1 ? { ...line, result: success(int(pid + 1)) } : null;
};

/** More than was offered. */
const longerWrite: Alteration = ({ line, args }) => {
  const length = returned(line);
  const offered = args[2] === undefined ? null : evalInt(args[2]);
  if (!/^(write|sendto)$/.test(line.name) || length === null || length < 1 || length !== offered) return null;
  return { ...line, result: success(int(length + 1)) };
};

const moreReady: Alteration = ({ line }) => {
  const value = returned(line);
  const isQuestion = /^(p?poll|select|pselect6)$/.test(line.name);
  return isQuestion && value !== null && value > 0 ? { ...line, result: success(int(value + 1)) } : null;
};

/** Every mistake, by name. */
export const ALTERATIONS: ReadonlyMap<string, Alteration> = new Map([
  ["an event dropped", dropEvent],
  ["an event added", addEvent],
  ["events reordered", reorderEvents],
  ["an event's mask", otherMask],
  ["a longer read", longerRead],
  ["other bytes read", otherBytes],
  ["data for EAGAIN", dataForEagain],
  ["EAGAIN for data", eagainForData],
  ["a time-out too early", earlyTimeout],
  ["a number that is open", openNumber],
  ["a number too high", higherNumber],
  ["a shorter write", shortWrite],
  ["epoll_ctl failed", failedControl],
  ["epoll_ctl succeeded", successfulControl],
  ["another errno", otherErrno],
  ["an interruption", interruption],
  ["data of events swapped", otherDatum],
  ["an answer of poll", wrongRevents],
  ["an eventfd's count", countPlus(3, "eventfd")],
  // three 65,536ths: far beyond what a time stamp may be off, if the timer is no faster than 30 ns
  ["a timer's ticks", countPlus(3, "timerfd")],
  ["another child", otherChild],
  ["a longer write", longerWrite],
  ["one more is ready", moreReady],
]);

/** The events that a line reports. */
export function reportedEvents(line: Line): readonly Expr[] {
  return line.type === "call" || line.type === "resumed" ? (eventsOf(line)?.items ?? []) : [];
}
