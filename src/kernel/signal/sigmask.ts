/**
 * Masks: the one a task has set, and those that a call puts in force while it sleeps.
 *
 * Counterpart: `kernel/signal.c` (`recalc_sigpending`, `set_current_blocked`, `set_user_sigmask`, `retarget_shared_pending`),
 * `include/linux/sched/signal.h` (`restore_saved_sigmask_unless`).
 */
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { signalWakeUp } from "./send.ts";
import type { Sigset } from "./sigset.ts";

/** `recalc_sigpending`: sets `signalPending`, and clears it when there is nothing to do. */
export function recalcSigpending(task: Task): void {
  task.signalPending = !task.process.traced && (task.stopPending || hasUnblockedSignal(task));
}

/** Whether a signal is queued that the task would take now. A traced task takes it when its recording says so. */
export function hasUnblockedSignal({ blocked, pending, process }: Task): boolean {
  return pending.signal.anyOutside(blocked) || process.sharedPending.signal.anyOutside(blocked);
}

/** `set_current_blocked`. SIGKILL and SIGSTOP stay unblocked. */
export function setBlocked(task: Task, mask: Sigset): void {
  const wanted = mask.clone();
  wanted.dropUnblockable();
  if (wanted.equals(task.blocked)) return;
  if (task.signalPending && task.process.threads.length > 1) {
    const newlyBlocked = wanted.clone();
    newlyBlocked.andNot(task.blocked);
    retargetSharedPending(task, newlyBlocked);
  }
  task.blocked.set(wanted);
  recalcSigpending(task);
}

/** `retarget_shared_pending`: other threads are told of signals for the process that this one will not take. */
export function retargetSharedPending(task: Task, which: Sigset): void {
  const { threads, sharedPending } = task.process;
  const left = sharedPending.signal.clone();
  left.and(which);
  for (const other of threads) {
    if (left.empty) return;
    if (other === task || other.exiting || !left.anyOutside(other.blocked)) continue;
    left.and(other.blocked);
    if (!other.signalPending) signalWakeUp(other, false);
  }
}

/** `set_user_sigmask` once the mask has been read: in force until the call ends. @behaviour E-124, E-126 */
export function setUserSigmask(task: Task, mask: Sigset): void {
  task.restoreSigmask = true;
  task.savedSigmask.set(task.blocked);
  setBlocked(task, mask);
}

/**
 * `restore_saved_sigmask_unless`: a call that was interrupted leaves its mask in force until the handler has begun; any other
 * call takes it back, so that a signal which only this mask let through stays pending.
 *
 * @param result - of the call; EINTR and ERESTARTNOHAND are interruptions.
 * @behaviour E-124, E-125
 */
export function restoreSavedSigmask(task: Task, result: number): void {
  if (!task.restoreSigmask || result === -Errno.EINTR || result === -Errno.ERESTARTNOHAND) return;
  task.restoreSigmask = false;
  setBlocked(task, task.savedSigmask);
}

/** The mask that the program itself has set, whatever call the task is in. */
export function ownSigmask(task: Task): Sigset {
  if (!task.realBlocked.empty) return task.realBlocked;
  return task.restoreSigmask ? task.savedSigmask : task.blocked;
}
