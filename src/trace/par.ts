/**
 * The part of a script whose tasks have no order, and what is looked at behind it.
 *
 * See docs/language.md, "Races". Without a `#! join` of its own a script ends with a look at every epoll of its ordered part:
 * the interest list, and what a wait that does not sleep would return.
 */
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import type { Register } from "../syscalls/port.ts";
import type { CallLine } from "./ast.ts";
import { LineParser } from "./parser.ts";
import { printExpr } from "./printer.ts";
import type { Script, ScriptLine } from "./script.ts";

/** Most epolls that are looked at without being asked. */
const PROBED_MAX = 8;

/** Where a call has its time-out: a number of milliseconds, or the address of a time (0: for ever). */
const TIMEOUTS: Partial<Record<SyscallName, { readonly arg: number; readonly pointer: boolean }>> = {
  epoll_wait: { arg: 3, pointer: false },
  epoll_pwait: { arg: 3, pointer: false },
  epoll_pwait2: { arg: 3, pointer: true },
  poll: { arg: 2, pointer: false },
  ppoll: { arg: 2, pointer: true },
  select: { arg: 4, pointer: true },
  pselect6: { arg: 4, pointer: true },
  nanosleep: { arg: 0, pointer: true },
  clock_nanosleep: { arg: 2, pointer: true },
};

/** Whether a call returns at last, whatever the others do: it has a time-out. */
export function endsByItself(name: SyscallName, args: readonly Register[]): boolean {
  const timeout = TIMEOUTS[name];
  if (timeout === undefined) return false;
  const value = args[timeout.arg] ?? 0;
  if (typeof value !== "number") return true;
  return timeout.pointer ? value !== 0 : (value | 0) >= 0;
}

/** The script with lines for a look at its epolls, where its author wrote no `#! join`. */
export function withProbes(script: Script): Script {
  const { par, lines } = script;
  if (par === null || par.to < lines.length || joined(script)) return script;
  const task = proberOf(script);
  const parser = new LineParser({ file: script.file });
  const last = lines.at(-1)?.line.line ?? 0;
  const probes: ScriptLine[] = [];
  for (const epoll of epollsOf(script)) {
    for (const call of [`fdinfo(${epoll}) = [...]`, `epoll_wait(${epoll}, ?, 16, 0) = ?`]) {
      const text = `${task} ${call}`;
      probes.push({ line: parser.parse(text, last), text, ids: [] });
    }
  }
  return { ...script, lines: [...lines, ...probes] };
}

/** Whether the part ends with a `#! join` that stands at the very end. */
function joined({ par, lines }: Script): boolean {
  const { line } = lines.at(-1)!;
  return par !== null && line.type === "directive" && line.word === "join";
}

/** How the ordered part names its epolls. */
function epollsOf({ par, lines }: Script): string[] {
  const epolls: string[] = [];
  for (const { line } of lines.slice(0, par?.from)) {
    if (line.type !== "call" || !/^epoll_create1?$/u.test(line.name)) continue;
    const [value] = line.result?.values ?? [];
    if (value !== undefined && (line.result?.errnos[0] ?? null) === null) epolls.push(printExpr(value));
  }
  return epolls.filter((name) => name !== "?").slice(0, PROBED_MAX);
}

/** A task that is certainly awake behind the race: the first one, if it is not in it, or one of our own. */
function proberOf({ par, lines }: Script): string {
  const first = lines.find(({ line }) => line.type === "call")?.line as CallLine | undefined;
  const ofFirst = lines.filter(({ line }) => line.type === "call" && line.task === first?.task);
  const racing = lines.slice(par?.from, par?.to).some((other) => ofFirst.includes(other));
  const asleep = (ofFirst.at(-1)?.line as CallLine | undefined)?.unfinished ?? false;
  return racing || asleep || (first?.task ?? null) === null ? "end" : first!.task!;
}
