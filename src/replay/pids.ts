/**
 * Numbers of tasks: a recording's are the model's. Whoever has a number that the recording does not show is outside.
 */
import type { Process } from "../kernel/sched/process.ts";
import { isFatal } from "../kernel/signal/send.ts";
import { Sig } from "../kernel/uapi/signal.ts";
import { evalInt, field } from "../trace/abi/evaluate.ts";
import type { ExitLine, Expr } from "../trace/ast.ts";
import { sym } from "../trace/build.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import type { Machine, ReplayTask } from "./machine.ts";

/** Calls that name a task or a process, and which argument that is. */
const NAMED: ReadonlyMap<string, number> = new Map([
  ["kill", 0],
  ["pidfd_open", 0],
  ["rt_sigqueueinfo", 0],
  ["tgkill", 1],
  ["tkill", 0],
]);

/** Whether a call's result tells of a process that the recording does not show. */
export function namesStranger(machine: Machine, { name, args }: CallRecord): boolean {
  const arg = args[NAMED.get(name) ?? Number.NaN];
  const nr = arg === undefined ? null : evalInt(arg);
  return nr !== null && nr > 0 && !machine.pids.has(nr);
}

/** Whether a call sends to a group, and strangers in it explain its result. */
export function namesGroup({ name, args, result }: CallRecord): boolean {
  const nr = name === "kill" && args[0] !== undefined ? evalInt(args[0]) : null;
  const errno = result?.errnos[0] ?? null;
  return nr !== null && nr <= 0 && (errno === null || errno === "ESRCH" || errno === "EPERM");
}

/** The wait status of a task that is gone. */
export function endStatus({ how, status, signal, core }: ExitLine): number {
  if (how === "exited") return status << 8;
  return (evalInt(sym(signal ?? "SIGKILL")) ?? Sig.KILL) | (core ? 0x80 : 0);
}

/** A signal is on its way that ends the process. */
export function isDoomed(process: Process): boolean {
  const { sharedPending, threads } = process;
  if (sharedPending.signal.empty && threads.every((thread) => thread.pending.signal.empty)) return false;
  for (let sig = 1; sig < Sig.RTMIN; sig += 1) {
    const shared = sharedPending.signal.has(sig);
    if (!shared && !threads.some((thread) => thread.pending.signal.has(sig))) continue;
    if (isFatal(sig, process) && threads.some((thread) => !thread.blocked.has(sig))) return true;
  }
  return false;
}

/** What a successful call says of a process's group; the model does not make such calls. */
export function followGroup(machine: Machine, owner: ReplayTask, { name, args, result }: CallRecord): void {
  if ((result?.errnos[0] ?? null) !== null) return;
  if (name === "setsid") owner.task.process.pgid = owner.task.process.tgid;
  if (name !== "setpgid") return;
  const [pid, pgid] = args.map((arg) => evalInt(arg) ?? 0);
  const process = pid === 0 ? owner.task.process : machine.kernel.pids.get(pid ?? 0)?.task?.process;
  if (process !== undefined) process.pgid = pgid === 0 ? process.tgid : (pgid ?? 0);
}

/**
 * A child that the tracer does not follow has ended, as its parent has seen: by SIGCHLD, or as the result of a wait.
 *
 * @returns whether there is such a child.
 */
export function endUnseen(machine: Machine, parent: ReplayTask, pid: number, status: number, origin: object): boolean {
  const task = machine.kernel.pids.get(pid)?.task ?? null;
  const child = task === null ? null : machine.taskOf(task);
  if (task === null || task.exiting || child === null || child.shown || task.process.parent !== parent.task.process)
    return false;
  machine.end(child, status, origin);
  return true;
}

/** The wait status in a `siginfo_t` of SIGCHLD as strace prints it; null for a stop or a continuation. */
export function statusOfInfo(info: Expr): number | null {
  if (info.kind !== "struct") return null;
  const code = field(info, "si_code", 1);
  const status = field(info, "si_status", 4);
  if (code?.kind !== "sym" || status === null) return null;
  const number = evalInt(status);
  if (number === null) return null;
  if (code.name === "CLD_EXITED") return number << 8;
  if (code.name === "CLD_KILLED") return number;
  return code.name === "CLD_DUMPED" ? number | 0x80 : null;
}

/** The same for a child that a wait4 has found. */
export function endAwaited(machine: Machine, parent: ReplayTask, { name, args, result }: CallRecord): boolean {
  const [value] = result?.values ?? [];
  const pid = name === "wait4" && value !== undefined ? evalInt(value) : null;
  if (pid === null || pid <= 0) return false;
  const text = args[1] === undefined ? "" : printExpr(args[1]);
  if (/WIFSTOPPED|WIFCONTINUED/.test(text)) return false;
  const [, code] = /WEXITSTATUS\(s\) == (\d+)/.exec(text) ?? [];
  const [, signal] = /WTERMSIG\(s\) == (\w+)/.exec(text) ?? [];
  const status = signal === undefined ? Number(code ?? 0) << 8 : (evalInt(sym(signal)) ?? 0);
  return endUnseen(machine, parent, pid, status, result ?? parent);
}
