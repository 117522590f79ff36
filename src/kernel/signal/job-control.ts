/**
 * Stopping and continuing a process.
 *
 * Counterpart: `kernel/signal.c` (`do_signal_stop`, `task_participate_group_stop`, `do_notify_parent_cldstop`).
 */
import { type Process, StopState } from "../sched/process.ts";
import { type Task, TaskState } from "../sched/task.ts";
import { Cld, Sa, SIG_IGN, Sig } from "../uapi/signal.ts";
import { sendToProcess, signalWakeUp } from "./send.ts";
import { SigInfo } from "./sigpending.ts";

/**
 * `do_signal_stop`: begins to stop the process, or takes part in a stop that has begun.
 *
 * @param sig - the stop signal, 0 to take part.
 * @returns whether the task is stopped now; not if a SIGCONT has come in between.
 */
export function doSignalStop(task: Task, sig: number): boolean {
  const { process } = task;
  if (!task.stopPending) {
    if (!task.stopDequeued || process.groupExit) return false;
    beginStop(task, sig);
  }
  task.stopPending = false;
  process.groupStopCount = Math.max(0, process.groupStopCount - 1);
  const last = process.groupStopCount === 0 && process.stopState !== StopState.STOPPED;
  if (last) process.stopState = StopState.STOPPED;
  task.state = TaskState.STOPPED;
  if (last) notifyParentCldstop(process, Cld.STOPPED);
  return true;
}

function beginStop(task: Task, sig: number): void {
  const { process } = task;
  if (process.stopState !== StopState.STOPPED) process.groupExitCode = sig;
  process.groupStopCount = 0;
  for (const thread of process.threads) {
    if (thread.exiting || thread.state === TaskState.STOPPED) continue;
    thread.stopPending = true;
    process.groupStopCount += 1;
    if (thread !== task) signalWakeUp(thread, false);
  }
}

/** `do_notify_parent_cldstop`: SIGCHLD for a stop or a continuation, unless the parent does not want it. */
export function notifyParentCldstop(process: Process, why: number): void {
  const { parent } = process;
  if (parent === null) return;
  const info = new SigInfo(Sig.CHLD, why);
  info.pid = process.tgid;
  info.uid = process.user.uid;
  info.status = why === Cld.CONTINUED ? Sig.CONT : process.groupExitCode & 0x7f;
  const action = parent.sighand.action(Sig.CHLD);
  if (action.handler !== SIG_IGN && (action.flags & Sa.NOCLDSTOP) === 0n) sendToProcess(parent, Sig.CHLD, info);
  parent.waitChldexit.wakeUp(1, 0);
}
