/**
 * The end of threads and processes.
 *
 * Counterpart: `kernel/exit.c` (`do_exit`, `do_group_exit`, `exit_notify`, `release_task`), `kernel/signal.c`
 * (`do_notify_parent`), `kernel/fork.c` (`__cleanup_sighand`).
 * An orphan's new parent is somebody outside the model, who waits for it at once.
 */
import { POLLFREE } from "../fs/eventpoll/epitem.ts";
import { assert } from "../lib/assert.ts";
import { beginGroupExit, killThread, sendToProcess } from "../signal/send.ts";
import type { Sighand } from "../signal/sighand.ts";
import { retargetSharedPending } from "../signal/sigmask.ts";
import { SigInfo } from "../signal/sigpending.ts";
import { Poll } from "../uapi/poll.ts";
import { Cld, Sa, SIG_IGN, Sig } from "../uapi/signal.ts";
import type { Process } from "./process.ts";
import { BLOCKED, type Task, TaskState } from "./task.ts";
import { detach } from "./wait.ts";

/** Since 6.9 the end of a process wakes its pidfds with a key: D-02. */
const PIDFD_KEY_SINCE = 6009;

/**
 * `do_group_exit`: the thread ends, and all others with it.
 *
 * @param code - a wait status, unless the process is ending already.
 * @returns `BLOCKED`: the call never returns.
 * @behaviour E-135
 */
export function doGroupExit(task: Task, code: number): typeof BLOCKED {
  const { process } = task;
  if (!process.groupExit && process.groupExecTask !== null) return doExit(task, 0);
  if (!process.groupExit) {
    beginGroupExit(process, code);
    for (const thread of process.threads) if (thread !== task) killThread(thread);
  }
  return doExit(task, process.groupExitCode);
}

/** `do_exit`: this thread ends. @param code - a wait status. @returns `BLOCKED`: the call never returns. */
export function doExit(task: Task, code: number): typeof BLOCKED {
  const { process } = task;
  assert(!task.exiting, "exit: a thread ends once");
  const last = process.threads.every((thread) => thread === task || thread.exiting);
  if (last && !process.groupExit) beginGroupExit(process, code);
  task.exiting = true;
  task.vforkDone?.complete();
  task.exitCode = code;
  if (!last && !process.groupExit && task.signalPending) {
    const unblocked = task.blocked.clone();
    unblocked.invert();
    retargetSharedPending(task, unblocked);
  }
  if (last) {
    process.itimers?.cancel();
    for (const timer of process.posixTimers.values()) timer.delete();
    closeFiles(process);
  }
  exitNotify(task, last);
  die(task);
  return BLOCKED;
}

function die(task: Task): void {
  const { kernel } = task;
  if (task.runLink.list !== null) kernel.runqueue.remove(task.runLink);
  kernel.clock.cancel(task.sleepTimer);
  detach(task.wait);
  task.call = null;
  task.signalPending = false;
  task.state = TaskState.DEAD;
}

/** `exit_files`: the last user of the table closes everything, before the parent is told. */
function closeFiles({ files }: Process): void {
  files.users -= 1;
  if (files.users > 0) return;
  files.closeMany(0, files.end, () => true);
}

/** `exit_notify`: children get a new parent; the process is a zombie when its last thread has gone. */
function exitNotify(task: Task, last: boolean): void {
  const { process } = task;
  if (last) forgetChildren(process);
  if (task === process.leader) {
    if (process.threads.length === 1) endProcess(process);
  } else {
    notifyPidfd(task);
    releaseTask(task);
  }
}

/** `forget_original_parent`. */
function forgetChildren(process: Process): void {
  for (const child of process.children.splice(0)) {
    child.parent = null;
    if (child.zombie) releaseProcess(child);
  }
}

function endProcess(process: Process): void {
  process.zombie = true;
  if (notifyParent(process)) releaseProcess(process);
}

/** `do_notify_pidfd`. @behaviour D-02, D-03 */
function notifyPidfd({ pid, kernel }: Task): void {
  pid.waitPidfd.wakeUp(0, kernel.profile.version >= PIDFD_KEY_SINCE ? Poll.IN | Poll.RDNORM : 0);
}

/**
 * `do_notify_parent`.
 *
 * @returns whether nobody will wait for the process, so that it can go at once.
 */
function notifyParent(process: Process): boolean {
  const { leader, parent } = process;
  assert(leader !== null, "exit: a process without a leader");
  notifyPidfd(leader);
  if (parent === null) return true;
  const { exitSignal } = process;
  const action = parent.sighand.action(Sig.CHLD);
  const ignored = exitSignal === Sig.CHLD && action.handler === SIG_IGN;
  if (!ignored && exitSignal !== 0) sendToProcess(parent, exitSignal, childInfo(process));
  parent.waitChldexit.wakeUp(1, 0);
  return ignored || (exitSignal === Sig.CHLD && (action.flags & Sa.NOCLDWAIT) !== 0n);
}

/** What SIGCHLD tells of an ended child; waitid, too. */
export function childInfo(process: Process): SigInfo {
  const status = exitStatus(process);
  const signal = status & 0x7f;
  const code = signal === 0 ? Cld.EXITED : (status & 0x80) === 0 ? Cld.KILLED : Cld.DUMPED;
  const info = new SigInfo(Sig.CHLD, code);
  info.pid = process.tgid;
  info.uid = process.user.uid;
  info.status = signal === 0 ? status >> 8 : signal;
  return info;
}

/** The wait status of an ended process. */
export function exitStatus(process: Process): number {
  return process.groupExit ? process.groupExitCode : (process.leader?.exitCode ?? 0);
}

/** `release_task` of a zombie's leader: the process is gone, and its number free. @behaviour D-01, D-02, E-142 */
export function releaseProcess(process: Process): void {
  const { leader, parent } = process;
  assert(process.zombie && leader !== null, "exit: reaped what is no zombie");
  process.zombie = false;
  if (parent !== null) parent.children.splice(parent.children.indexOf(process), 1);
  releaseTask(leader);
  cleanupSighand(process.sighand);
}

/** `__cleanup_sighand`: whoever hooked an item on the queue of signalfds is unhooked when nobody has it any more. */
function cleanupSighand(sighand: Sighand): void {
  sighand.users -= 1;
  if (sighand.users === 0) sighand.signalfdWqh.wakeUp(0, Poll.HUP | POLLFREE);
}

/** `release_task` of one thread. The last one beside a dead leader ends the process. */
function releaseTask(task: Task): void {
  const { process, pid, kernel } = task;
  process.threads.splice(process.threads.indexOf(task), 1);
  process.groupExecTask?.wakeUp();
  if (process.currTarget === task) process.currTarget = process.threads[0] ?? null;
  kernel.pids.delete(pid.nr);
  pid.task = null;
  pid.waitPidfd.wakeUp(0, 0);
  const { leader } = process;
  if (leader?.exiting === true && process.threads.length === 1 && !process.zombie) endProcess(process);
}
