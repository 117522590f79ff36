/**
 * Taking signals: on the way back to user mode, and by calls that fetch them.
 *
 * Counterpart: `kernel/signal.c` (`dequeue_signal`, `get_signal`, `signal_delivered`), `arch/x86/kernel/signal.c`
 * (`arch_do_signal_or_restart`, `handle_signal`), `kernel/entry/common.c` (`exit_to_user_mode_loop`).
 * A handler runs to its end at once: its frame is the mask that its return brings back. A call that is to be restarted is made
 * again, so the program sees it go on sleeping. No core is ever dumped.
 */
import { doGroupExit } from "../sched/exit.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Sa, SIG_DFL, SIG_IGN, Sig, sigKernelIgnore, sigKernelStop } from "../uapi/signal.ts";
import { doSignalStop, notifyParentCldstop } from "./job-control.ts";
import type { Sigaction } from "./sighand.ts";
import { recalcSigpending, setBlocked } from "./sigmask.ts";
import type { SigInfo } from "./sigpending.ts";
import type { Sigset } from "./sigset.ts";

const { ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } = Errno;
const EINTR = -Errno.EINTR;

/**
 * `dequeue_signal`: the thread's own signals first, then those of the process.
 *
 * @param blocked - signals to leave alone.
 * @returns null when there is none.
 * @behaviour S-03, S-05
 */
export function dequeueSignal(task: Task, blocked: Sigset): SigInfo | null {
  const { process, pending } = task;
  for (;;) {
    const own = pending.signal.nextOutside(blocked);
    const { sharedPending } = process;
    const sig = own !== 0 ? own : sharedPending.signal.nextOutside(blocked);
    const info = sig === 0 ? null : (own !== 0 ? pending : sharedPending).collect(sig);
    if (own === 0 && sig === Sig.ALRM) process.itimers?.rearm();
    recalcSigpending(task);
    if (info === null) return null;
    if (sigKernelStop(sig)) task.stopDequeued = true;
    if (info.timer === null || info.timer.deliver(info)) return info;
  }
}

/**
 * `ptrace_signal`: a tracer has been shown that the task takes this signal.
 *
 * @returns its record, null when the model knows of none.
 */
export function takeShown(task: Task, sig: number): SigInfo | null {
  const { process, pending } = task;
  const own = pending.signal.has(sig);
  if (!own && !process.sharedPending.signal.has(sig)) return null;
  const info = (own ? pending : process.sharedPending).collect(sig);
  if (!own && sig === Sig.ALRM) process.itimers?.rearm();
  info.timer?.deliver(info);
  return info;
}

/** What `get_signal` found besides a signal with a handler. */
const Got = { NOTHING: 0, GONE: -1 } as const;

/**
 * `get_signal`: does what signals do by themselves, up to the first with a handler.
 *
 * @returns its number; or that there is none, or that the task has stopped or died.
 */
function getSignal(task: Task): number {
  const { process } = task;
  for (;;) {
    if (process.cldNotice !== 0) {
      const why = process.cldNotice;
      process.cldNotice = 0;
      notifyParentCldstop(process, why);
    }
    if (process.groupExit || process.groupExecTask !== null) {
      doGroupExit(task, 0);
      return Got.GONE;
    }
    if (task.stopPending && doSignalStop(task, 0)) return Got.GONE;
    const info = dequeueSignal(task, task.blocked);
    if (info === null) return Got.NOTHING;
    const sig = info.signo;
    const { handler } = process.sighand.action(sig);
    if (handler !== SIG_IGN && handler !== SIG_DFL) return sig;
    if (handler === SIG_IGN || sigKernelIgnore(sig)) continue;
    if (!sigKernelStop(sig)) {
      doGroupExit(task, sig);
      return Got.GONE;
    }
    if (doSignalStop(task, sig)) return Got.GONE;
  }
}

/** The handlers that have begun: the signal, and the mask that comes back when the handler returns. */
interface Frame {
  readonly sig: number;
  readonly mask: Sigset;
}

/** The way of one task back to user mode, which it may not reach at once: a stop ends only with SIGCONT. */
export class UserExit extends SleepingCall {
  /** The task comes from a call, whose result is waited for. */
  inCall = false;
  #result = 0;
  /** The call is to be made again once the handlers have returned. */
  #restart = false;
  readonly #frames: Frame[] = [];

  /** @param result - of the call, perhaps an ERESTART code. */
  fromCall(task: Task, result: number): number {
    this.inCall = true;
    this.#result = result;
    this.#restart = false;
    return this.step(task);
  }

  /** Signals came while the task was in user mode. */
  fromUserMode(): void {
    this.inCall = false;
    this.#result = 0;
    this.#restart = false;
  }

  override step(task: Task): number {
    for (;;) {
      if (!this.#deliver(task)) return this.#wait(task);
      task.call = null;
      if (!this.#restart) return this.#result;
      this.#restart = false;
      const regs = this.#result === -ERESTART_RESTARTBLOCK ? task.restartBlock : task.regs;
      if (regs === null) return this.#result;
      this.#result = regs.execute(task);
      if (this.#result === BLOCKED || !task.signalPending) return this.#result;
    }
  }

  /** Stopped: goes on here after SIGCONT. Dead: never. */
  #wait(task: Task): typeof BLOCKED {
    if (!task.exiting) task.call = this;
    this.#frames.length = task.exiting ? 0 : this.#frames.length;
    return BLOCKED;
  }

  /** `exit_to_user_mode_loop`. @returns false when the task has stopped or died. */
  #deliver(task: Task): boolean {
    do {
      const sig = getSignal(task);
      if (sig === Got.GONE) return false;
      if (sig !== Got.NOTHING) {
        this.#handle(task, sig);
        continue;
      }
      const frame = this.#frames.pop();
      if (frame !== undefined) {
        task.handled.set(frame.sig, (task.handled.get(frame.sig) ?? 0) + 1);
        setBlocked(task, frame.mask);
        continue;
      }
      this.#withoutHandler();
      if (task.restoreSigmask) {
        task.restoreSigmask = false;
        setBlocked(task, task.savedSigmask);
      }
    } while (task.signalPending || this.#frames.length > 0);
    return true;
  }

  /** `handle_signal`, `signal_delivered`: the first handler decides what becomes of the call. */
  #handle(task: Task, sig: number): void {
    const action = task.process.sighand.action(sig);
    this.#afterHandler(action);
    const mask = (task.restoreSigmask ? task.savedSigmask : task.blocked).clone();
    task.restoreSigmask = false;
    this.#frames.push({ sig, mask });
    const during = task.blocked.clone();
    during.or(action.mask);
    if ((action.flags & Sa.NODEFER) === 0n) during.add(sig);
    if ((action.flags & Sa.RESETHAND) !== 0n) action.handler = SIG_DFL;
    setBlocked(task, during);
  }

  #afterHandler(action: Sigaction): void {
    if (!this.inCall || this.#restart) return;
    switch (this.#result) {
      case -ERESTARTSYS:
        if ((action.flags & Sa.RESTART) !== 0n) this.#restart = true;
        else this.#result = EINTR;
        return;
      case -ERESTARTNOINTR:
        this.#restart = true;
        return;
      case -ERESTARTNOHAND:
      case -ERESTART_RESTARTBLOCK:
        this.#result = EINTR;
        return;
    }
  }

  /** No handler ran: the call goes on. */
  #withoutHandler(): void {
    if (!this.inCall) return;
    switch (this.#result) {
      case -ERESTARTSYS:
      case -ERESTARTNOINTR:
      case -ERESTARTNOHAND:
      case -ERESTART_RESTARTBLOCK:
        this.#restart = true;
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#result, this.#restart, this.#frames];
  }
}
