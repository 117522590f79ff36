/**
 * Sending a signal: who may, whether anybody would notice, who is woken.
 *
 * Counterpart: `kernel/signal.c` (`prepare_signal`, `__send_signal_locked`, `complete_signal`, `check_kill_permission`).
 * Not modelled: RLIMIT_SIGPENDING, so no queue is ever full; sessions, so SIGCONT needs the permission that others need.
 */
import { assert, Unmodelled } from "../lib/assert.ts";
import { type Process, StopState } from "../sched/process.ts";
import { type Task, TaskState } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Cld, SIG_DFL, Si, Sig, STOP_MASK, sigKernelCoredump, sigKernelStop, validSignal } from "../uapi/signal.ts";
import { SigInfo } from "./sigpending.ts";
import { Sigset } from "./sigset.ts";

const STOP_SIGNALS = new Sigset(STOP_MASK);
const CONT_SIGNAL = new Sigset(1 << (Sig.CONT - 1));

/** `prepare_kill_siginfo`, also `SEND_SIG_NOINFO`: from a program. @param code - `Si.USER`, or `Si.TKILL` to one thread. */
export function userInfo(sender: Task, sig: number, code: number = Si.USER): SigInfo {
  const info = new SigInfo(sig, code);
  info.pid = sender.process.tgid;
  info.uid = sender.process.user.uid;
  return info;
}

/**
 * `check_kill_permission` for a signal that a program sends.
 *
 * @errno EINVAL - no such signal. EPERM - another user's process.
 */
export function checkKillPermission(sender: Task, target: Process, sig: number): number {
  if (!validSignal(sig)) return -Errno.EINVAL;
  const from = sender.process;
  if (from === target || from.privileged) return 0;
  const users = [target.suid, target.user.uid];
  return users.includes(from.euid) || users.includes(from.user.uid) ? 0 : -Errno.EPERM;
}

/** To one thread: `PIDTYPE_PID`. Signal 0 sends nothing. */
export function sendToTask(target: Task, sig: number, info: SigInfo | null): void {
  if (sig !== 0) sendSignal(target, sig, info, true);
}

/** To a process: `PIDTYPE_TGID`, with its leader as the thread that is asked first. Signal 0 sends nothing. */
export function sendToProcess(target: Process, sig: number, info: SigInfo | null): void {
  const { leader } = target;
  if (sig !== 0 && leader !== null) sendSignal(leader, sig, info, false);
}

/** To the process of a thread that its sender has named, which is then asked first. Signal 0 sends nothing. */
export function sendToGroup(target: Task, sig: number, info: SigInfo | null): void {
  if (sig !== 0) sendSignal(target, sig, info, false);
}

/**
 * `__send_signal_locked`.
 *
 * @param toThread - for `target` alone, not for any thread of its process.
 * @returns whether the signal is pending now: not if it is ignored, or a standard signal that was pending already.
 */
function sendSignal(target: Task, sig: number, info: SigInfo | null, toThread: boolean): boolean {
  if (!prepareSignal(sig, target)) return false;
  const pending = toThread ? target.pending : target.process.sharedPending;
  if (pending.holds(sig)) return false;
  signalfdNotify(target.process);
  pending.add(sig, sig === Sig.KILL ? null : (info ?? SigInfo.fromKernel(sig)));
  completeSignal(sig, target, toThread);
  return true;
}

/**
 * `posixtimer_send_sigqueue`: the one record of a timer, which is never queued twice.
 *
 * @returns `ignored` when nobody would notice.
 */
export function sendTimerSignal(target: Task, info: SigInfo, toThread: boolean): "queued" | "pending" | "ignored" {
  const pending = toThread ? target.pending : target.process.sharedPending;
  const queued = pending.queue.includes(info);
  if (!prepareSignal(info.signo, target)) return queued ? "pending" : "ignored";
  if (queued) return "pending";
  signalfdNotify(target.process);
  pending.add(info.signo, info);
  completeSignal(info.signo, target, toThread);
  return "queued";
}

/** `signalfd_notify`: with key 0, whatever the signal and whatever the signalfds look for. @behaviour S-04 */
function signalfdNotify(process: Process): void {
  const { signalfdWqh } = process.sighand;
  if (signalfdWqh.active) signalfdWqh.wakeUp(1, 0);
}

/**
 * `prepare_signal`: what stop signals and SIGCONT do as soon as they are sent.
 *
 * @returns whether the signal is to be delivered. A tracer is shown ignored signals, too (`sig_ignored`).
 */
function prepareSignal(sig: number, target: Task): boolean {
  const { process } = target;
  if (process.groupExit) return false;
  if (sigKernelStop(sig)) {
    flushAll(process, CONT_SIGNAL);
  } else if (sig === Sig.CONT) {
    flushAll(process, STOP_SIGNALS);
    for (const thread of process.threads) {
      thread.stopPending = false;
      thread.wakeStopped();
    }
    const stopped = process.stopState === StopState.STOPPED;
    if (stopped || process.groupStopCount > 0) {
      process.cldNotice = stopped ? Cld.CONTINUED : Cld.STOPPED;
      process.stopState = StopState.CONTINUED;
      process.groupStopCount = 0;
      process.groupExitCode = 0;
    }
  }
  return process.traced || isBlocked(target, sig) || !process.sighand.ignores(sig);
}

/** Blocked signals are never ignored: the action may have changed when they are unblocked. */
function isBlocked(task: Task, sig: number): boolean {
  return task.blocked.has(sig) || task.realBlocked.has(sig);
}

/** `flush_sigqueue_mask` on every queue of a process; a timer's record goes back to its timer. */
export function flushAll(process: Process, set: Sigset): void {
  const dropped = process.sharedPending.flush(set);
  for (const thread of process.threads) dropped.push(...thread.pending.flush(set));
  for (const { timer } of dropped) timer?.flushed();
}

/** `wants_signal`: a thread with a signal to deal with is passed over, since it will see this one, too. */
function wantsSignal(sig: number, task: Task): boolean {
  if (task.blocked.has(sig) || task.exiting) return false;
  if (sig === Sig.KILL) return true;
  return task.state !== TaskState.STOPPED && !task.signalPending;
}

/**
 * `complete_signal`: finds the thread to wake; a fatal signal takes the whole process down at once. When a traced process takes
 * a signal is told by its recording; only rt_sigtimedwait fetches it without a word.
 */
function completeSignal(sig: number, suggested: Task, toThread: boolean): void {
  const { process } = suggested;
  const taker = wantsSignal(sig, suggested) ? suggested : toThread ? null : nextTaker(sig, process);
  if (taker === null) return;
  if (process.traced) {
    if (taker.realBlocked.has(sig)) signalWakeUp(taker, false);
    return;
  }
  if (isFatal(sig, process) && !taker.realBlocked.has(sig)) {
    beginGroupExit(process, sig);
    for (const thread of process.threads) killThread(thread);
    return;
  }
  signalWakeUp(taker, false);
}

function nextTaker(sig: number, process: Process): Task | null {
  const { threads } = process;
  if (threads.length === 1) return null;
  const from = Math.max(0, threads.indexOf(process.currTarget ?? (threads[0] as Task)));
  for (let i = 0; i < threads.length; i += 1) {
    const thread = threads[(from + i) % threads.length] as Task;
    if (!wantsSignal(sig, thread)) continue;
    process.currTarget = thread;
    return thread;
  }
  return null;
}

/** `sig_fatal`, for a signal that leaves no core: those take their way through the dying thread. */
export function isFatal(sig: number, { sighand }: Process): boolean {
  if (sigKernelStop(sig) || sigKernelCoredump(sig)) return false;
  return sighand.action(sig).handler === SIG_DFL && !sighand.ignores(sig);
}

/** `SIGNAL_GROUP_EXIT`. @param code - the wait status. */
export function beginGroupExit(process: Process, code: number): void {
  assert(!process.groupExit, "signal: a process ends once");
  process.groupExit = true;
  process.groupExitCode = code;
  process.groupStopCount = 0;
}

/** Has one thread of an ending process end: the loop of `zap_other_threads`. */
export function killThread(thread: Task): void {
  thread.stopPending = false;
  if (thread.exiting) return;
  thread.pending.signal.add(Sig.KILL);
  signalWakeUp(thread, true);
}

/**
 * `signal_wake_up`.
 *
 * @param fatal - also out of a stop.
 * @throws Unmodelled - a fatal signal for a task that waits for a missing page.
 */
export function signalWakeUp(task: Task, fatal: boolean): void {
  task.signalPending = true;
  if (task.inUserMode) {
    task.kernel.interruptUserMode(task);
  } else if (task.state === TaskState.INTERRUPTIBLE || (fatal && task.call?.killable === true)) {
    task.wakeUp();
  } else if (fatal && task.state === TaskState.STOPPED) {
    task.wakeStopped();
  } else if (fatal && task.wait.entry.list === task.process.mm.faultWait.head) {
    throw new Unmodelled("a fatal signal for a task that waits for a missing page");
  }
}

/** `fatal_signal_pending`. */
export function fatalSignalPending(task: Task): boolean {
  return task.signalPending && task.pending.signal.has(Sig.KILL);
}
