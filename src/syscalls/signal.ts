/**
 * Actions, masks, and sending: rt_sigaction, rt_sigprocmask, kill and their relatives.
 *
 * Counterpart: `kernel/signal.c` (the SYSCALL_DEFINEs).
 */
import { SleepingCall, type Task, TaskState } from "../kernel/sched/task.ts";
import { dequeueSignal } from "../kernel/signal/deliver.ts";
import { checkKillPermission, flushAll, sendToGroup, sendToTask, userInfo } from "../kernel/signal/send.ts";
import { Sigaction } from "../kernel/signal/sighand.ts";
import { recalcSigpending, setBlocked } from "../kernel/signal/sigmask.ts";
import { SigInfo } from "../kernel/signal/sigpending.ts";
import { Sigset } from "../kernel/signal/sigset.ts";
import { timespecValid, toKtime } from "../kernel/time/timekeeping.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { SIG_IGN, SIGSET_SIZE, Si, Sig, SigHow, sigKernelOnly, UAPI_SA_FLAGS } from "../kernel/uapi/signal.ts";
import { toInt, toSize } from "./registers.ts";

const EINVAL = -Errno.EINVAL;
const ESRCH = -Errno.ESRCH;
const SIGACTION_SIZE = 32;
const SIGINFO_SIZE = 128;
const TIMESPEC_SIZE = 16;
const INT_MIN = -(2 ** 31);
const FOREVER = -1;

const scratch = new Uint8Array(SIGINFO_SIZE);
const view = new DataView(scratch.buffer);

/**
 * rt_sigaction(2). An action that ignores the signal drops it where it is pending, blocked or not.
 *
 * @param act - address of the new action, or 0. @param oact - where to store the old one, or 0.
 * @errno EINVAL - sigsetsize; no such signal; SIGKILL or SIGSTOP with a new action. EFAULT - either address; for the second
 *   the action is set.
 * @kernel kernel/signal.c `rt_sigaction`, `do_sigaction`
 * @behaviour E-127
 */
export function sysRtSigaction(task: Task, sig: number, act: number, oact: number, sigsetsize: number): number {
  if (toSize(sigsetsize) !== SIGSET_SIZE) return EINVAL;
  const { mm, sighand } = task.process;
  const signo = toInt(sig);
  let next: Sigaction | null = null;
  if (act !== 0) {
    if (mm.copyFromUser(scratch, 0, act, SIGACTION_SIZE) < SIGACTION_SIZE) return mm.fault();
    next = readAction();
  }
  if (signo < 1 || signo > Sig.MAX || (next !== null && sigKernelOnly(signo))) return EINVAL;
  const action = sighand.action(signo);
  const old = new Sigaction();
  old.set(action);
  if (next !== null) {
    action.set(next);
    changed(task, signo, old.handler === SIG_IGN);
  }
  if (oact === 0) return 0;
  writeAction(old);
  return mm.copyToUser(oact, scratch, 0, SIGACTION_SIZE) === SIGACTION_SIZE ? 0 : mm.fault();
}

function readAction(): Sigaction {
  const action = new Sigaction();
  action.handler = view.getBigUint64(0, true);
  action.flags = view.getBigUint64(8, true) & UAPI_SA_FLAGS;
  action.restorer = view.getBigUint64(16, true);
  action.mask.load(view, 24);
  action.mask.dropUnblockable();
  return action;
}

function writeAction(action: Sigaction): void {
  view.setBigUint64(0, action.handler, true);
  view.setBigUint64(8, action.flags, true);
  view.setBigUint64(16, action.restorer, true);
  action.mask.store(view, 24);
}

function changed({ process }: Task, sig: number, wasIgnored: boolean): void {
  if (process.sighand.ignores(sig)) {
    const set = new Sigset();
    set.add(sig);
    flushAll(process, set);
  } else if (wasIgnored) {
    for (const timer of process.posixTimers.values()) if (timer.info?.signo === sig) timer.unignore();
  }
}

/**
 * Reads a signal set.
 *
 * @errno EINVAL - the size. EFAULT - the address.
 */
export function importSigset(task: Task, addr: number, sigsetsize: number): Sigset | number {
  if (toSize(sigsetsize) !== SIGSET_SIZE) return EINVAL;
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, SIGSET_SIZE) < SIGSET_SIZE) return -Errno.EFAULT;
  const set = new Sigset();
  set.load(view, 0);
  return set;
}

/**
 * rt_sigprocmask(2).
 *
 * @param nset - address of the set, or 0. @param oset - where to store the old mask, or 0.
 * @errno EINVAL - sigsetsize, or `how` if there is a set. EFAULT - either address; for the second the mask is set.
 * @kernel kernel/signal.c `rt_sigprocmask`
 */
export function sysRtSigprocmask(task: Task, how: number, nset: number, oset: number, sigsetsize: number): number {
  if (toSize(sigsetsize) !== SIGSET_SIZE) return EINVAL;
  const old = task.blocked.clone();
  if (nset !== 0) {
    const set = importSigset(task, nset, sigsetsize);
    if (typeof set === "number") return set;
    const error = changeMask(task, toInt(how), set);
    if (error !== 0) return error;
  }
  return oset === 0 ? 0 : exportSigset(task, oset, old, SIGSET_SIZE);
}

function changeMask(task: Task, how: number, set: Sigset): number {
  const mask = task.blocked.clone();
  if (how === SigHow.BLOCK) mask.or(set);
  else if (how === SigHow.UNBLOCK) mask.andNot(set);
  else if (how === SigHow.SETMASK) mask.set(set);
  else return EINVAL;
  setBlocked(task, mask);
  return 0;
}

function exportSigset(task: Task, addr: number, set: Sigset, size: number): number {
  const { mm } = task.process;
  set.store(view, 0);
  return mm.copyToUser(addr, scratch, 0, size) === size ? 0 : mm.fault();
}

/**
 * rt_sigpending(2): what is pending for the thread and its process, and blocked.
 *
 * @errno EINVAL - more than 8 bytes asked for. EFAULT - the address.
 * @kernel kernel/signal.c `rt_sigpending`
 */
export function sysRtSigpending(task: Task, uset: number, sigsetsize: number): number {
  const size = toSize(sigsetsize);
  if (size > SIGSET_SIZE) return EINVAL;
  const set = task.pending.signal.clone();
  set.or(task.process.sharedPending.signal);
  set.and(task.blocked);
  return exportSigset(task, uset, set, size);
}

/**
 * rt_sigsuspend(2): sleeps under another mask until a handler has run.
 *
 * @errno EINVAL - sigsetsize. EFAULT - the address. EINTR - always in the end.
 * @kernel kernel/signal.c `sigsuspend`
 */
export function sysRtSigsuspend(task: Task, unewset: number, sigsetsize: number): number {
  const set = importSigset(task, unewset, sigsetsize);
  if (typeof set === "number") return set;
  task.savedSigmask.set(task.blocked);
  task.restoreSigmask = true;
  setBlocked(task, set);
  return pause.step(task);
}

/** pause(2). @errno EINTR - always in the end. @kernel kernel/signal.c `pause` */
export function sysPause(task: Task): number {
  return pause.step(task);
}

/** Sleeps until a signal comes. */
class PauseCall extends SleepingCall {
  override step(task: Task): number {
    return task.signalPending ? -Errno.ERESTARTNOHAND : task.sleep(this, TaskState.INTERRUPTIBLE, FOREVER);
  }
}
const pause = new PauseCall();

/**
 * rt_sigtimedwait(2): takes a signal of a set, blocked or not, or waits for one.
 *
 * @param uinfo - where to store what comes with it, or 0. @param uts - address of the longest time to wait, 0 for ever.
 * @returns the signal's number.
 * @errno EINVAL - sigsetsize, or the time. EFAULT - an address; for `uinfo` the signal is gone. EAGAIN - none in time.
 *   EINTR - another signal.
 * @kernel kernel/signal.c `do_sigtimedwait`
 */
export function sysRtSigtimedwait(task: Task, uthese: number, uinfo: number, uts: number, sigsetsize: number): number {
  const these = importSigset(task, uthese, sigsetsize);
  if (typeof these === "number") return these;
  let deadline: bigint | null = null;
  if (uts !== 0) {
    const { mm } = task.process;
    if (mm.copyFromUser(scratch, 0, uts, TIMESPEC_SIZE) < TIMESPEC_SIZE) return mm.fault();
    const [seconds, nanoseconds] = [view.getBigInt64(0, true), view.getBigInt64(8, true)];
    if (!timespecValid(seconds, nanoseconds)) return EINVAL;
    deadline = BigInt(task.kernel.clock.nowNs) + toKtime(seconds, nanoseconds);
  }
  these.dropUnblockable();
  these.invert();
  return new SigtimedwaitCall(these, uinfo, deadline).start(task);
}

class SigtimedwaitCall extends SleepingCall {
  /** The signals that are not waited for. */
  readonly #others: Sigset;
  readonly #uinfo: number;
  readonly #deadline: bigint | null;

  constructor(others: Sigset, uinfo: number, deadline: bigint | null) {
    super();
    this.#others = others;
    this.#uinfo = uinfo;
    this.#deadline = deadline;
  }

  start(task: Task): number {
    const { nowNs } = task.kernel.clock;
    const info = dequeueSignal(task, this.#others);
    if (info !== null) return this.#take(task, info);
    if (this.#deadline !== null && this.#deadline <= BigInt(nowNs)) return -Errno.EAGAIN;
    task.realBlocked.set(task.blocked);
    task.blocked.and(this.#others);
    recalcSigpending(task);
    if (task.signalPending) return this.step(task);
    const deadlineNs = Number(this.#deadline ?? FOREVER);
    return task.sleep(this, TaskState.INTERRUPTIBLE, Number.isSafeInteger(deadlineNs) ? deadlineNs : FOREVER);
  }

  override step(task: Task): number {
    setBlocked(task, task.realBlocked);
    task.realBlocked.clear();
    const info = dequeueSignal(task, this.#others);
    if (info !== null) return this.#take(task, info);
    return task.timedOut ? -Errno.EAGAIN : -Errno.EINTR;
  }

  #take(task: Task, info: SigInfo): number {
    if (this.#uinfo === 0) return info.signo;
    const { mm } = task.process;
    encodeSiginfo(info);
    return mm.copyToUser(this.#uinfo, scratch, 0, SIGINFO_SIZE) === SIGINFO_SIZE ? info.signo : mm.fault();
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#others, this.#uinfo, this.#deadline];
  }
}

/** `copy_siginfo_to_user`: into `scratch`. */
function encodeSiginfo(info: SigInfo): void {
  scratch.fill(0);
  view.setInt32(0, info.signo, true);
  view.setInt32(4, info.errno, true);
  view.setInt32(8, info.code, true);
  const { layout } = info;
  if (layout === "poll") {
    view.setInt32(16, info.band, true);
    view.setInt32(24, info.fd, true);
    return;
  }
  view.setInt32(16, layout === "timer" ? info.timerId : info.pid, true);
  view.setInt32(20, layout === "timer" ? info.overrun : info.uid, true);
  if (layout === "child") view.setInt32(24, info.status, true);
  else if (layout !== "kill") view.setBigUint64(24, info.value, true);
}

/**
 * Reads what a program wants to come with a signal.
 *
 * @errno EFAULT - the address.
 */
export function importSiginfo(task: Task, addr: number): SigInfo | number {
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, addr, SIGINFO_SIZE) < SIGINFO_SIZE) return mm.fault();
  const info = new SigInfo(view.getInt32(0, true), view.getInt32(8, true));
  info.errno = view.getInt32(4, true);
  info.pid = view.getInt32(16, true);
  info.uid = view.getInt32(20, true);
  info.status = view.getInt32(24, true);
  info.value = view.getBigUint64(24, true);
  return info;
}

/**
 * kill(2): to a process, to a group (0, or negative), or to all others (-1).
 *
 * @errno ESRCH - nobody there; a zombie is there. EINVAL - no such signal. EPERM - nobody of the process or group who may be
 *   signalled.
 * @kernel kernel/signal.c `kill_something_info`
 * @behaviour E-128
 */
export function sysKill(task: Task, pid: number, sig: number): number {
  const target = toInt(pid);
  const signo = toInt(sig);
  if (target === INT_MIN) return ESRCH;
  if (target > 0) return killTask(task, task.kernel.pids.get(target)?.task ?? null, signo);
  const leaders = [...task.kernel.pids.values()].map((other) => other.task).filter((other) => isLeader(other));
  if (target === -1) return killOthers(task, leaders, signo);
  const pgid = target === 0 ? task.process.pgid : -target;
  let result = ESRCH;
  for (const leader of leaders) {
    if (leader.process.pgid !== pgid) continue;
    const error = killTask(task, leader, signo);
    if (result !== 0) result = error;
  }
  return result;
}

/** To everybody else: whom the sender may not signal is passed over without a word, even if that is all of them. */
function killOthers(task: Task, leaders: readonly Task[], sig: number): number {
  const others = leaders.filter(({ process }) => process !== task.process);
  if (others.length === 0) return ESRCH;
  let result = 0;
  for (const leader of others) {
    const error = killTask(task, leader, sig);
    if (error !== -Errno.EPERM) result = error;
  }
  return result;
}

function isLeader(task: Task | null): task is Task {
  return task !== null && task === task.process.leader;
}

/** `kill_pid_info`: to the process that a thread belongs to. */
function killTask(task: Task, target: Task | null, sig: number): number {
  if (target === null) return ESRCH;
  const error = checkKillPermission(task, target.process, sig);
  if (error === 0) sendToGroup(target, sig, userInfo(task, sig));
  return error;
}

/**
 * tgkill(2): to one thread.
 *
 * @errno EINVAL - a number that is not positive, or no such signal. ESRCH - no such thread in that process. EPERM - another
 *   user's.
 * @kernel kernel/signal.c `do_tkill`
 * @behaviour E-131
 */
export function sysTgkill(task: Task, tgid: number, pid: number, sig: number): number {
  if (toInt(pid) <= 0 || toInt(tgid) <= 0) return EINVAL;
  return sendSpecific(task, toInt(tgid), toInt(pid), toInt(sig));
}

/** tkill(2): tgkill without the process. @errno as tgkill. @kernel kernel/signal.c `tkill` */
export function sysTkill(task: Task, pid: number, sig: number): number {
  return toInt(pid) <= 0 ? EINVAL : sendSpecific(task, 0, toInt(pid), toInt(sig));
}

/** `do_send_specific`. @param tgid - the thread's process, 0 for any. */
function sendSpecific(task: Task, tgid: number, pid: number, sig: number): number {
  const target = task.kernel.pids.get(pid)?.task ?? null;
  if (target === null || (tgid > 0 && target.process.tgid !== tgid)) return ESRCH;
  const error = checkKillPermission(task, target.process, sig);
  if (error === 0) sendToTask(target, sig, userInfo(task, sig, Si.TKILL));
  return error;
}

/**
 * rt_sigqueueinfo(2): kill with a value. A program can pretend to be the kernel only to itself.
 *
 * @errno EFAULT - the address. EPERM - a code that only the kernel or kill sets; another user's process. ESRCH, EINVAL - as
 *   kill.
 * @kernel kernel/signal.c `do_rt_sigqueueinfo`
 */
export function sysRtSigqueueinfo(task: Task, pid: number, sig: number, uinfo: number): number {
  const given = importSiginfo(task, uinfo);
  if (typeof given === "number") return given;
  const signo = toInt(sig);
  const { code } = given;
  if ((code >= 0 || code === Si.TKILL) && toInt(pid) !== task.tid) return -Errno.EPERM;
  const target = task.kernel.pids.get(toInt(pid))?.task ?? null;
  if (target === null) return ESRCH;
  const error = code > 0 ? 0 : checkKillPermission(task, target.process, signo);
  if (error !== 0) return error;
  sendToGroup(target, signo, withSigno(given, signo));
  return 0;
}

/** The call's number counts, not that of the record. */
function withSigno(given: SigInfo, signo: number): SigInfo {
  const info = new SigInfo(signo, given.code);
  info.errno = given.errno;
  info.pid = given.pid;
  info.uid = given.uid;
  info.status = given.status;
  info.value = given.value;
  return info;
}
