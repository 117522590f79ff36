/**
 * Tasks and their sleep.
 *
 * Counterpart: `include/linux/sched.h` (`struct task_struct`), `kernel/sched/core.c` (`try_to_wake_up`).
 * A call that must wait leaves a `SleepingCall` with the task and returns `BLOCKED`. The scheduler steps that object when
 * the task is woken; one step is one atomic section of the call.
 * Invariants: a task that is not RUNNING is on no run queue; only a task with a `call` is ever not RUNNING.
 */
import type { File } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import { ListNode } from "../lib/list.ts";
import { IovIter } from "../mm/iov-iter.ts";
import { SigPending } from "../signal/sigpending.ts";
import { Sigset } from "../signal/sigset.ts";
import { Hrtimer } from "../time/hrtimer.ts";
import { Pid } from "./pid.ts";
import type { Process } from "./process.ts";
import type { VforkWait } from "./vfork.ts";
import { detach, WaitQueueEntry } from "./wait.ts";

/** Result of a call that sleeps. Outside -4095..-1, so no errno, and no count. */
export const BLOCKED = -4096;

/** `STOPPED`: by SIGSTOP and its like, on the way back to user mode; only SIGCONT and SIGKILL end that. */
export const TaskState = { RUNNING: 0, INTERRUPTIBLE: 1, UNINTERRUPTIBLE: 2, DEAD: 3, STOPPED: 4 } as const;
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

/** The rest of a call whose task sleeps. */
export abstract class SleepingCall {
  /** `TASK_KILLABLE`: a fatal signal ends even an uninterruptible sleep. */
  get killable(): boolean {
    return false;
  }

  /**
   * One atomic section, run after a wake-up or a time-out.
   *
   * @returns the call's result, or `BLOCKED` after having put the task to sleep again.
   */
  abstract step(task: Task): number;
}

/**
 * The call as its registers hold it, so that it can be made again: signals restart calls.
 *
 * Counterpart: `orig_ax` and the argument registers of `struct pt_regs`.
 */
export interface SyscallRegs {
  /** Executes the call from its beginning. */
  execute(task: Task): number;
}

/** Whoever runs on a task: it is handed the result of a call that slept. */
export interface TaskBody {
  resume(task: Task, result: number): void;
}

/** 50 us, unless a task says otherwise. */
export const DEFAULT_TIMER_SLACK_NS = 50_000;

export class Task {
  readonly kernel: Kernel;
  readonly process: Process;
  /** `pid` of the task (what gettid returns). */
  readonly tid: number;
  readonly comm: string;
  state: TaskState;
  /** Set while the task is inside a call that has slept at least once. */
  call: SleepingCall | null;
  /** The description that the sleeping call holds a reference to (`fdget`). */
  held: File | null;
  /** Set by the scheduler when the sleep ended by its deadline. */
  timedOut: boolean;
  /** `TIF_SIGPENDING`: some signal would end an interruptible sleep; there is something to do before user mode. */
  signalPending: boolean;
  /** `timer_slack_ns`: stored and shown, without effect. */
  timerSlackNs: number;
  /** Signals sent to this thread. */
  readonly pending: SigPending;
  /** Signals that this thread does not take now. Changed through `setBlocked` alone. */
  readonly blocked: Sigset;
  /** `real_blocked`: the mask while rt_sigtimedwait has opened it; else empty. */
  readonly realBlocked: Sigset;
  /** `saved_sigmask`: the mask to go back to while `restoreSigmask`. */
  readonly savedSigmask: Sigset;
  /** `TIF_RESTORE_SIGMASK`: a call has put a mask of its own in force. */
  restoreSigmask: boolean;
  /** `JOBCTL_STOP_PENDING`: the process is stopping, and this thread has to take part. */
  stopPending: boolean;
  /** `JOBCTL_STOP_DEQUEUED`: a stop signal was taken and no SIGCONT has come since. */
  stopDequeued: boolean;
  /** `PF_EXITING`. */
  exiting: boolean;
  /** `exit_code`: a wait status, once exiting. */
  exitCode: number;
  /** Whoever sleeps until this task has another program or has ended; null for nobody. */
  vforkDone: VforkWait | null;
  /** `sas_ss_sp`, `sas_ss_flags`, `sas_ss_size`: the alternate stack, which no handler here runs on; null for none. */
  sigaltstack: { readonly sp: number; readonly flags: number; readonly size: number } | null;
  /** How often a handler ran for each signal. */
  readonly handled: Map<number, number>;
  /** `task_frag`: where in its memory for outgoing data it stands: see `tcp-fragment.ts`. */
  fragment: number;
  /** The call that the task is in, for a restart; null where whoever made the call did not say. */
  regs: SyscallRegs | null;
  /** `restart_block`: how a call goes on that cannot simply be made again, because its time has begun to run. */
  restartBlock: SyscallRegs | null;
  readonly pid: Pid;
  body: TaskBody | null;
  readonly runLink: ListNode<Task>;
  readonly sleepTimer: SleepTimer;
  /** The entry for plain sleeps: `autoremove_wake_function`. */
  readonly wait: TaskWaitEntry;
  /** Scratch for the call in progress: a task is in one call at a time. */
  readonly iter: IovIter;

  constructor(kernel: Kernel, process: Process, tid: number, comm: string) {
    this.kernel = kernel;
    this.process = process;
    this.tid = tid;
    this.comm = comm;
    this.state = TaskState.RUNNING;
    this.call = null;
    this.held = null;
    this.timedOut = false;
    this.signalPending = false;
    this.timerSlackNs = DEFAULT_TIMER_SLACK_NS;
    this.pending = new SigPending();
    this.blocked = new Sigset();
    this.realBlocked = new Sigset();
    this.savedSigmask = new Sigset();
    this.restoreSigmask = false;
    this.stopPending = false;
    this.stopDequeued = false;
    this.exiting = false;
    this.exitCode = 0;
    this.vforkDone = null;
    this.sigaltstack = null;
    this.handled = new Map();
    this.fragment = 0;
    this.regs = null;
    this.restartBlock = null;
    this.pid = new Pid(tid, this);
    this.body = null;
    this.runLink = new ListNode<Task>(this);
    this.sleepTimer = new SleepTimer(this);
    this.wait = new TaskWaitEntry(this);
    this.iter = new IovIter(process.mm);
    process.threads.push(this);
  }

  /**
   * The call that `this` is in cannot go on: leaves `call` to be stepped. The caller has put the task on its wait
   * queues.
   *
   * @param deadlineNs - absolute, or -1 for none.
   */
  sleep(call: SleepingCall, state: 1 | 2, deadlineNs: number): typeof BLOCKED {
    assert(this.state === TaskState.RUNNING, "task: only a running task can go to sleep");
    assert(this.call === null || this.call === call, "task: a second call while the first still sleeps");
    this.call = call;
    this.state = state;
    this.timedOut = false;
    const { clock, observer } = this.kernel;
    if (deadlineNs >= 0) clock.start(this.sleepTimer, deadlineNs);
    if (observer !== null) observer.slept(this);
    return BLOCKED;
  }

  /** `try_to_wake_up`. @returns whether the task slept. */
  wakeUp(): boolean {
    if (this.state !== TaskState.INTERRUPTIBLE && this.state !== TaskState.UNINTERRUPTIBLE) return false;
    this.state = TaskState.RUNNING;
    this.kernel.clock.cancel(this.sleepTimer);
    this.kernel.enqueue(this);
    return true;
  }

  /** `wake_up_state(__TASK_STOPPED)`: SIGCONT, or a death. */
  wakeStopped(): void {
    if (this.state !== TaskState.STOPPED) return;
    this.state = TaskState.RUNNING;
    this.kernel.enqueue(this);
  }

  /** Whether the task is inside no call, and neither stopped nor dead. */
  get inUserMode(): boolean {
    return this.call === null && this.state === TaskState.RUNNING;
  }

  /** `finish_wait` on the plain entry. */
  finishWait(): void {
    detach(this.wait);
  }
}

class SleepTimer extends Hrtimer {
  readonly task: Task;

  constructor(task: Task) {
    super();
    this.task = task;
  }

  override fire(): void {
    if (this.task.wakeUp()) this.task.timedOut = true;
  }
}

/** A sleeping task on one queue; taken off by the wake (`autoremove_wake_function`). */
export class TaskWaitEntry extends WaitQueueEntry {
  readonly task: Task;
  /** Poll mask of interest: a wake whose key has none of it is ignored (`pollwake`); 0 takes every wake. */
  mask: number;

  constructor(task: Task) {
    super();
    this.task = task;
    this.mask = 0;
  }

  override wake(key: number): boolean {
    if (key !== 0 && this.mask !== 0 && (key & this.mask) === 0) return false;
    const woken = this.task.wakeUp();
    if (woken) detach(this);
    return woken;
  }
}
