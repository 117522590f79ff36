/**
 * Questions to a recorded call: which descriptors, paths and flags it names, and which numbers it gave.
 */
import type { File } from "../kernel/fs/file.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import { evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import { signature } from "../trace/abi/index.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { GIVES_FD, NAMED_BY_PATH, OPENS } from "./knowledge.ts";
import type { ReplayTask } from "./machine.ts";

const PATH_MAX = 4096;

/** The path that a call names; null when it names none. */
export function pathOf(record: CallRecord): string | null {
  const expr = record.args[NAMED_BY_PATH.get(record.name) ?? Number.NaN];
  return expr?.kind === "str" ? String.fromCharCode(...expr.bytes.subarray(0, PATH_MAX)) : null;
}

export function noteOf(expr: Expr): string | null {
  return expr.kind === "int" ? expr.note : null;
}

export function isSymbol(expr: Expr | undefined, name: string): boolean {
  return expr?.kind === "sym" && expr.name === name;
}

/** `O_CLOEXEC`, `SFD_CLOEXEC|SFD_NONBLOCK` ... */
export function hasCloexec(expr: Expr): boolean {
  if (expr.kind === "op") return expr.items.some(hasCloexec);
  return expr.kind === "sym" && expr.name.endsWith("_CLOEXEC");
}

/** Whether a name stands anywhere in a value. */
export function mentions(expr: Expr, name: string): boolean {
  switch (expr.kind) {
    case "sym":
      return expr.name === name;
    case "op":
    case "array":
      return expr.items.some((item) => mentions(item, name));
    case "named":
      return mentions(expr.value, name);
    case "struct":
      return expr.fields.some((item) => mentions(item, name));
    case "change":
      return mentions(expr.to, name) || (expr.from !== null && mentions(expr.from, name));
    default:
      return false;
  }
}

const GIVING_REQUESTS: ReadonlySet<string> = new Set(
  "NS_GET_PARENT NS_GET_USERNS SIOCGSKNS TIOCGPTPEER TUNGETDEVNETNS".split(" "),
);

/** Whether a successful call outside the model has given a descriptor: those that always do, and an ioctl whose result has a note. */
export function givesFd({ name, args, result }: CallRecord): boolean {
  if (GIVES_FD.has(name)) return true;
  const value = result?.values[0];
  const request = args[1]?.kind === "sym" ? args[1].name : "";
  return name === "ioctl" && (GIVING_REQUESTS.has(request) || (value !== undefined && noteOf(value) !== null));
}

export function openFlags(record: CallRecord): number | null {
  if (record.name === "creat") return 1;
  const flags = record.args[record.name === "open" ? 1 : 2];
  return flags === undefined ? null : evalInt(flags);
}

/** `= ?`, or what a register held that nobody had set: the task ended inside the call, and nobody saw a result. */
export function isUnknown({ result }: CallRecord): boolean {
  if ((result?.errnos[0] ?? null) !== null) return false;
  return isSymbol(result?.values[0], "?") || (result?.text?.startsWith("errno ") ?? false);
}

export const NOTHING: Expr = { kind: "ellipsis" };

/** The number in the first argument, if that is a descriptor; null otherwise. */
export function firstFd(record: CallRecord): number | null {
  const arg = record.args[0];
  if (arg === undefined) return null;
  return noteOf(arg) !== null || takesFd(record.name) ? evalInt(arg) : null;
}

const FD_FIRST = new Map<string, boolean>();

/** Whether a call's first parameter is a descriptor. */
function takesFd(name: string): boolean {
  let answer = FD_FIRST.get(name);
  if (answer === undefined) {
    answer = /fd(_?in)?$|^fildes$/.test(signature(name)?.params[0]?.name ?? "");
    FD_FIRST.set(name, answer);
  }
  return answer;
}

/** The description behind the first argument. */
export function firstFile(owner: ReplayTask, record: CallRecord): File | null {
  const fd = firstFd(record);
  return fd === null ? null : owner.task.process.files.getRaw(fd);
}

/** The descriptions that a call's result depends on: its first one, what an epoll watches, what poll asks. */
export function* filesAsked(owner: ReplayTask, record: CallRecord): Generator<File, void, undefined> {
  const file = firstFile(owner, record);
  if (file !== null) yield file;
  for (let node = file?.epoll?.rbr.leftmost ?? null; node !== null; node = rbNext(node)) yield node.owner.file;
  if (record.name.includes("select")) yield* filesSelected(owner, record);
  const [set] = record.args;
  if (!record.name.endsWith("poll") || set?.kind !== "array") return;
  for (const item of set.items) {
    const number = item.kind === "struct" ? field(item, "fd", 0) : null;
    const polled = owner.task.process.files.getRaw(number === null ? -1 : (evalInt(number) ?? -1));
    if (polled !== null) yield polled;
  }
}

function* filesSelected(owner: ReplayTask, { args }: CallRecord): Generator<File, void, undefined> {
  for (const set of args.slice(1, 4)) {
    const asked = set.kind === "change" ? set.from : set;
    if (asked?.kind !== "array" && asked?.kind !== "set") continue;
    for (const item of asked.items) {
      const file = owner.task.process.files.getRaw(evalInt(item) ?? -1);
      if (file !== null) yield file;
    }
  }
}

/** The numbers that a recorded call gave, in the order of their allocation. */
export function newDescriptors(record: CallRecord): number[] {
  const { name, args, result } = record;
  const value = result?.values[0];
  const ret = value === undefined ? null : evalInt(value);
  if (ret === null || ret < 0) return [];
  if (name === "recvmsg") return descriptorsPassed(args[1]);
  if (name === "pipe" || name === "pipe2" || name === "socketpair") {
    const pair = args[name === "socketpair" ? 3 : 0];
    return pair?.kind === "array" ? pair.items.map((item) => evalInt(item) ?? 0) : [];
  }
  const duplicates =
    name === "dup" || (name === "fcntl" && args[1]?.kind === "sym" && args[1].name.startsWith("F_DUPFD"));
  return duplicates || givesFd(record) || OPENS.has(name) ? [ret] : [];
}

/** The numbers that SCM_RIGHTS gave in a `struct msghdr`. */
function descriptorsPassed(header: Expr | undefined): number[] {
  const message = header === undefined ? null : exitOf(header);
  const control = message?.kind === "struct" ? field(message, "msg_control", -1) : null;
  const fds: number[] = [];
  for (const item of control?.kind === "array" ? control.items : []) {
    const rights = item.kind === "struct" && isSymbol(field(item, "cmsg_type", -1) ?? undefined, "SCM_RIGHTS");
    const data = rights ? field(item, "cmsg_data", -1) : null;
    if (data?.kind === "array") fds.push(...data.items.map((fd) => evalInt(fd) ?? 0));
  }
  return fds;
}

/** The descriptors that a call names outside its arrays: its first argument, and what an epoll_ctl or a splice is about. */
export function descriptorsNamed(record: CallRecord): number[] {
  const { name, args } = record;
  const second = name === "epoll_ctl" || name === "splice" ? args[2] : name === "sendfile" ? args[1] : undefined;
  return [firstFd(record), second === undefined ? null : evalInt(second)].filter((fd) => fd !== null);
}
