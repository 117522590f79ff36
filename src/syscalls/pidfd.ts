/**
 * pidfd_open and pidfd_send_signal.
 *
 * Counterpart: `kernel/pid.c`, `kernel/signal.c` (`do_pidfd_send_signal`).
 */
import { PidfdFile } from "../kernel/fs/pidfd.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Pid } from "../kernel/sched/pid.ts";
import type { Task } from "../kernel/sched/task.ts";
import { checkKillPermission, sendToGroup, sendToTask, userInfo } from "../kernel/signal/send.ts";
import type { SigInfo } from "../kernel/signal/sigpending.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { Si } from "../kernel/uapi/signal.ts";
import { installNew } from "./install.ts";
import { toInt, toUint } from "./registers.ts";
import { importSiginfo } from "./signal.ts";

const EINVAL = -Errno.EINVAL;
const PIDFD_NONBLOCK = Open.NONBLOCK;
const PIDFD_THREAD = Open.EXCL;
/** Releases that brought pidfd_open, PIDFD_NONBLOCK, PIDFD_THREAD with flags to pidfd_send_signal, and pidfds for oneself. */
const Since = { OPEN: 5003, SEND: 5001, NONBLOCK: 5010, THREAD: 6009, SELF: 6015 } as const;

/** `PIDFD_SIGNAL_THREAD` and so on: whom to send to, when not what the pidfd was opened for. */
const Scope = { THREAD: 1, THREAD_GROUP: 2, PROCESS_GROUP: 4 } as const;
const PIDFD_SELF_THREAD = -10_000;
const PIDFD_SELF_THREAD_GROUP = -10_001;

/**
 * pidfd_open(2). The descriptor is closed on exec.
 *
 * @errno EINVAL - an unknown flag, or a number that is not positive. ESRCH - nobody has that number. ENOENT - it is no
 *   process but a thread, and PIDFD_THREAD is missing. EMFILE - no descriptor is free. ENOSYS - before 5.3.
 * @kernel kernel/pid.c `pidfd_open`
 * @behaviour D-04
 */
export function sysPidfdOpen(task: Task, pid: number, flags: number): number {
  const { version } = task.kernel.profile;
  if (version < Since.OPEN) return -Errno.ENOSYS;
  const known = (version >= Since.NONBLOCK ? PIDFD_NONBLOCK : 0) | (version >= Since.THREAD ? PIDFD_THREAD : 0);
  const wanted = toUint(flags);
  if ((wanted & ~known) !== 0) return EINVAL;
  const nr = toInt(pid);
  if (nr <= 0) return EINVAL;
  const target = task.kernel.pids.get(nr);
  if (target === undefined || target.task === null) return -Errno.ESRCH;
  const isThread = target.task !== target.task.process.leader;
  if (isThread && (wanted & PIDFD_THREAD) === 0) return version >= Since.THREAD ? -Errno.ENOENT : EINVAL;
  return installNew(task, new PidfdFile(task.kernel, target, wanted), true);
}

/**
 * pidfd_send_signal(2).
 *
 * @param info - address of what comes with the signal; 0 for what kill sends.
 * @errno EINVAL - flags, no such signal, or `info` is for another signal. EBADF - not a pidfd. ESRCH - it has been reaped.
 *   EPERM - another user's; or `info` pretends to come from the kernel or from kill. EFAULT - `info`. ENOSYS - before 5.1.
 * @throws Unmodelled - to a process group.
 * @kernel kernel/signal.c `pidfd_send_signal`
 * @behaviour D-04
 */
export function sysPidfdSendSignal(task: Task, pidfd: number, sig: number, info: number, flags: number): number {
  const { version } = task.kernel.profile;
  if (version < Since.SEND) return -Errno.ENOSYS;
  const scope = toUint(flags);
  const known = version >= Since.THREAD ? Scope.THREAD | Scope.THREAD_GROUP | Scope.PROCESS_GROUP : 0;
  if ((scope & ~known) !== 0 || (scope & (scope - 1)) !== 0) return EINVAL;
  const target = lookup(task, toInt(pidfd));
  if (typeof target === "number") return target;
  if (scope === Scope.PROCESS_GROUP) throw new Unmodelled("pidfd_send_signal(PIDFD_SIGNAL_PROCESS_GROUP)");
  const toThread = scope === 0 ? target.toThread : scope === Scope.THREAD;
  return send(task, target.pid, toInt(sig), info, toThread);
}

interface Target {
  readonly pid: Pid;
  readonly toThread: boolean;
}

function lookup(task: Task, pidfd: number): Target | number {
  if (task.kernel.profile.version >= Since.SELF) {
    const { leader } = task.process;
    if (pidfd === PIDFD_SELF_THREAD) return { pid: task.pid, toThread: true };
    if (pidfd === PIDFD_SELF_THREAD_GROUP && leader !== null) return { pid: leader.pid, toThread: false };
  }
  const file = task.process.files.get(pidfd);
  return file instanceof PidfdFile ? { pid: file.pidRef, toThread: file.forThread } : -Errno.EBADF;
}

/** `do_pidfd_send_signal`. */
function send(task: Task, pid: Pid, sig: number, addr: number, toThread: boolean): number {
  let info: SigInfo = userInfo(task, sig, toThread ? Si.TKILL : Si.USER);
  if (addr !== 0) {
    const given = importSiginfo(task, addr);
    if (typeof given === "number") return given;
    if (given.signo !== sig) return EINVAL;
    if (pid !== task.pid && (given.code >= 0 || given.code === Si.TKILL)) return -Errno.EPERM;
    info = given;
  }
  const target = pid.task;
  if (target === null) return -Errno.ESRCH;
  const error = info.code > 0 ? 0 : checkKillPermission(task, target.process, sig);
  if (error !== 0) return error;
  if (toThread) sendToTask(target, sig, info);
  else sendToGroup(target, sig, info);
  return 0;
}
