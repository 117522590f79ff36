/**
 * Signals as a recording shows them.
 *
 * strace sees when a task takes a signal (`--- SIGTERM {...} ---`), ignored ones too, since the tracer stops the task for each.
 * The model knows what was sent: by calls of the recording, by timers, by ends of children. What it has not sent came from
 * outside. So an interrupted call is predicted when a signal was on its way, and taken from the recording when the line
 * behind it shows a signal that nobody in it has sent.
 */
import { type Process, StopState } from "../kernel/sched/process.ts";
import { takeShown } from "../kernel/signal/deliver.ts";
import { notifyParentCldstop } from "../kernel/signal/job-control.ts";
import { isFatal } from "../kernel/signal/send.ts";
import { Sigaction } from "../kernel/signal/sighand.ts";
import { hasUnblockedSignal, ownSigmask, setBlocked } from "../kernel/signal/sigmask.ts";
import { Sigset } from "../kernel/signal/sigset.ts";
import { Cld, Sa, SIG_DFL, SIG_IGN } from "../kernel/uapi/signal.ts";
import { evalBig, evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import { signalShortNames } from "../trace/abi/symbols.ts";
import { printSigset } from "../trace/abi/time.ts";
import type { Expr, SignalLine } from "../trace/ast.ts";
import { sym } from "../trace/build.ts";
import { matches } from "../trace/compare.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import type { Difference } from "./active-call.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { endUnseen, statusOfInfo } from "./pids.ts";

/** A handler that has begun: the mask that its return brings back. */
export interface SignalFrame {
  readonly mask: Sigset;
}

const WORD = 32n;
const SIG_MAX = 64;

/** Follows a line that shows a signal. @param stampErrorNs - how much the recording's times may be off. */
export function followSignal(machine: Machine, owner: ReplayTask, line: SignalLine, stampErrorNs: number): void {
  const sig = evalInt(sym(line.signal));
  if (sig === null || sig < 1 || sig > SIG_MAX) return;
  const { process } = owner.task;
  if (line.stopped) {
    followStop(process, sig);
    return;
  }
  noticeChild(machine, owner, line);
  if (!hasUnblockedSignal(owner.task)) fireTimers(machine, owner, stampErrorNs);
  takeShown(owner.task, sig);
  if (process.cldNotice !== 0) {
    const why = process.cldNotice;
    process.cldNotice = 0;
    notifyParentCldstop(process, why);
  }
  const { handler } = process.sighand.action(sig);
  if (handler !== SIG_DFL && handler !== SIG_IGN) beginHandler(owner, sig);
  else if (isFatal(sig, process)) owner.exiting ??= line;
}

/** `do_signal_stop`, by the first thread that shows it. The threads go on when the recording says so. */
function followStop(process: Process, sig: number): void {
  if (process.stopState === StopState.STOPPED) return;
  process.stopState = StopState.STOPPED;
  process.groupExitCode = sig;
  notifyParentCldstop(process, Cld.STOPPED);
}

/** SIGCHLD of a child that the tracer does not follow. */
function noticeChild(machine: Machine, owner: ReplayTask, line: SignalLine): void {
  const { info } = line;
  const pid = info?.kind === "struct" ? field(info, "si_pid", 2) : null;
  const status = info === null ? null : statusOfInfo(info);
  if (pid !== null && status !== null) endUnseen(machine, owner, evalInt(pid) ?? 0, status, line);
}

/** A timer that is due may have sent the signal: as exactly as the recording's times are. */
function fireTimers(machine: Machine, owner: ReplayTask, stampErrorNs: number): void {
  const { clock } = machine.kernel;
  const limit = clock.nowNs + stampErrorNs;
  for (let next = clock.nextExpiryNs(); next >= 0 && next <= limit; next = clock.nextExpiryNs()) {
    clock.advanceTo(Math.max(next, clock.nowNs));
    if (hasUnblockedSignal(owner.task)) return;
  }
}

/** `handle_signal`, `signal_delivered`. */
function beginHandler(owner: ReplayTask, sig: number): void {
  const { task } = owner;
  const action = task.process.sighand.action(sig);
  owner.frames.push({ mask: ownSigmask(task).clone() });
  task.restoreSigmask = false;
  const during = task.blocked.clone();
  during.or(action.mask);
  if ((action.flags & Sa.NODEFER) === 0n) during.add(sig);
  if ((action.flags & Sa.RESETHAND) !== 0n) action.handler = SIG_DFL;
  setBlocked(task, during);
}

/** A call begins: a mask that an interrupted call has left in force for a handler ends with it, since none came. */
export function leaveCallMask({ task }: ReplayTask): void {
  if (!task.restoreSigmask || task.call !== null) return;
  task.restoreSigmask = false;
  setBlocked(task, task.savedSigmask);
}

/**
 * rt_sigreturn: the mask of the handler's frame is in force again. A handler that was left by a jump leaves its frame behind.
 *
 * @returns null when the mask is as predicted; "unknown" when the recording begins inside the handler.
 */
export function followSigreturn(owner: ReplayTask, { args }: CallRecord): Difference | "unknown" | null {
  const [context] = args;
  const mask = context?.kind === "struct" ? field(context, "mask", 0) : null;
  const recorded = mask === null ? null : sigsetOf(mask);
  const { frames } = owner;
  const innermost = frames[frames.length - 1];
  if (recorded === null || mask === null) {
    const left = frames.pop();
    if (left !== undefined) setBlocked(owner.task, left.mask);
    return left === undefined ? "unknown" : null;
  }
  const at = frames.findLastIndex((frame) => matches(mask, printMask(frame.mask)));
  frames.length = at === -1 ? Math.max(0, frames.length - 1) : at;
  setBlocked(owner.task, recorded);
  if (at !== -1) return null;
  if (innermost === undefined) return "unknown";
  return { field: "mask", recorded: printExpr(mask), predicted: printExpr(printMask(innermost.mask)) };
}

function printMask({ low, high }: Sigset): Expr {
  return printSigset((BigInt(high >>> 0) << WORD) | BigInt(low >>> 0));
}

/** `[USR1 RT_1]`, `~[KILL]`; null for another form. */
function sigsetOf(expr: Expr): Sigset | null {
  if (expr.kind !== "set" && expr.kind !== "array") return null;
  const mask = new Sigset();
  for (const item of expr.items) {
    const sig = item.kind === "sym" ? signalShortNames.indexOf(item.name.replace(/^SIG/, "")) : (evalInt(item) ?? 0);
    if (sig < 1 || sig > SIG_MAX) return null;
    mask.add(sig);
  }
  if (expr.kind === "set" && expr.negated) mask.invert();
  return mask;
}

/**
 * What a program finds where it looks for the first time, it has inherited: an ignored signal, a mask.
 *
 * @returns whether the call has shown such a thing; it is to be made again then.
 */
export function learnInherited(machine: Machine, owner: ReplayTask, { name, args }: CallRecord): boolean {
  const old = args[2];
  if (old === undefined || (name !== "rt_sigaction" && name !== "rt_sigprocmask")) return false;
  if (name === "rt_sigprocmask") {
    const mask = owner.maskKnown ? null : sigsetOf(exitOf(old));
    if (mask === null) return false;
    setBlocked(owner.task, mask);
    return true;
  }
  const sig = args[0] === undefined ? null : evalInt(args[0]);
  const action = machine.actionsKnown(owner).has(sig ?? 0) ? null : actionOf(exitOf(old));
  if (sig === null || action === null || sig < 1 || sig > SIG_MAX) return false;
  for (const { task } of machine.tasks.values()) {
    const mine = task.process.sighand.action(sig);
    if (task.process === owner.task.process || mine.handler === SIG_DFL) mine.set(action);
  }
  return true;
}

/** A program has looked at what it inherited, or has set it. */
export function noteLooked(machine: Machine, owner: ReplayTask, { name, args }: CallRecord): void {
  if (name === "rt_sigprocmask") owner.maskKnown = true;
  if (name === "rt_sigaction" && args[0] !== undefined) machine.actionsKnown(owner).add(evalInt(args[0]) ?? 0);
}

/** `{sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}`; null for another form. */
function actionOf(expr: Expr): Sigaction | null {
  if (expr.kind !== "struct") return null;
  const handler = field(expr, "sa_handler", 0);
  const mask = field(expr, "sa_mask", 1);
  const flags = field(expr, "sa_flags", 2);
  const restorer = field(expr, "sa_restorer", 3);
  const action = new Sigaction();
  action.handler = handler === null ? SIG_DFL : (evalBig(handler) ?? SIG_DFL);
  action.flags = flags === null ? 0n : (evalBig(flags) ?? 0n);
  action.restorer = restorer === null ? 0n : (evalBig(restorer) ?? 0n);
  const blocked = mask === null ? null : sigsetOf(mask);
  if (blocked !== null) action.mask.set(blocked);
  return action;
}
