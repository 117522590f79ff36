/**
 * What the threads of a process share.
 *
 * Counterpart: `struct signal_struct`, `struct files_struct`, `struct mm_struct`, `struct cred` as reached from a task.
 * Credentials belong to a thread in Linux; here to the process, and whoever changes them must be its only thread.
 * Invariants: `threads` holds the leader first, until it is reaped, and others while they live; a zombie has no other.
 */
import type { FdTable } from "../fs/fdtable.ts";
import type { Mm } from "../mm/mm.ts";
import type { Itimers } from "../signal/itimer.ts";
import type { PosixTimer } from "../signal/posix-timer.ts";
import { Sighand } from "../signal/sighand.ts";
import { SigPending } from "../signal/sigpending.ts";
import { Sig } from "../uapi/signal.ts";
import type { FutexBuckets } from "./futex.ts";
import type { Task } from "./task.ts";
import { WaitQueueHead } from "./wait.ts";

/** `struct user_struct`: the per-user counters. */
export class UserStruct {
  readonly uid: number;
  /** `epoll_watches`: items in all epolls that this user created. */
  epollWatches = 0;
  /** `pipe_bufs`: pages that this user's pipes may hold. */
  pipeBufs = 0;
  /** `unix_inflight`: descriptors in messages that nobody has received yet. */
  unixInflight = 0;

  constructor(uid: number) {
    this.uid = uid;
  }
}

/** `SIGNAL_STOP_STOPPED`, `SIGNAL_STOP_CONTINUED`: what a parent can wait for besides the end. */
export const StopState = { NONE: 0, STOPPED: 1, CONTINUED: 2 } as const;
export type StopState = (typeof StopState)[keyof typeof StopState];

/** What systemd grants. */
const NOFILE_MAX = 1_048_576;

export class Process {
  /** `tgid`: what getpid returns. */
  readonly tgid: number;
  /** `real_parent`: null for the first process, and for orphans: somebody outside the model reaps them at once. */
  parent: Process | null;
  readonly children: Process[] = [];
  /** Another one after `unshare_files`. */
  files: FdTable;
  readonly mm: Mm;
  /** The real user: whom epoll items, pipe pages and descriptors in flight are charged to (E-196). */
  user: UserStruct;
  euid: number;
  suid: number;
  /** Process group: what kill with a negative number and wait4 with 0 look at. */
  pgid: number;
  /** `RLIMIT_NOFILE`, hard. */
  nofileMax: number;
  readonly threads: Task[] = [];
  /** Another one after `shareSighand`, and after execve. */
  sighand: Sighand;
  /** Sleepers on its private futexes, and on those of whoever has the same memory by `CLONE_VM`. */
  privateFutexes: FutexBuckets = new Map();
  /** `shared_pending`: signals for the process as a whole. */
  readonly sharedPending: SigPending = new SigPending();
  /** `curr_target`: the thread that the latest signal for the process woke. */
  currTarget: Task | null = null;
  /** `SIGNAL_GROUP_EXIT`: every thread dies with `groupExitCode`, a wait status. */
  groupExit = false;
  /** A wait status; while stopped the signal that stopped it, 0 once a parent has seen that. */
  groupExitCode = 0;
  stopState: StopState = StopState.NONE;
  /** `group_exec_task`: it waits until it is the only thread; null for nobody. */
  groupExecTask: Task | null = null;
  /** `group_stop_count`: threads that have still to stop. */
  groupStopCount = 0;
  /** `SIGNAL_CLD_MASK`: the SIGCHLD that the next thread to run owes the parent; 0 for none. */
  cldNotice = 0;
  /** The signal that tells the parent of the end; 0 for none. Only a wait with `__WCLONE` finds children without SIGCHLD. */
  exitSignal: number = Sig.CHLD;
  /** All threads have exited, and nobody has waited for them. */
  zombie = false;
  /** `wait_chldexit`. */
  readonly waitChldexit: WaitQueueHead = new WaitQueueHead();
  /** The three interval timers; null before the first is set. */
  itimers: Itimers | null = null;
  /** `posix_timers` by id. */
  readonly posixTimers: Map<number, PosixTimer> = new Map();
  /** `next_posix_timer_id`. */
  nextTimerId = 0;
  /**
   * A recording tells what happens to this process: a call ends with the result that a tracer sees (`ERESTARTSYS`), and a
   * signal that is not blocked is left to the recording.
   */
  traced = false;

  /**
   * `capable(CAP_SYS_RESOURCE)`: lifts pipe-max-size and hard limits. The reference machine's root lacks it, as root in
   * most containers does.
   */
  capSysResource = false;

  constructor(tgid: number, parent: Process | null, files: FdTable, mm: Mm, user: UserStruct) {
    this.tgid = tgid;
    this.parent = parent;
    this.files = files;
    this.mm = mm;
    this.user = user;
    this.euid = parent?.euid ?? user.uid;
    this.suid = parent?.suid ?? user.uid;
    this.nofileMax = parent?.nofileMax ?? NOFILE_MAX;
    this.pgid = parent?.pgid ?? tgid;
    this.sighand = parent?.sighand.clone() ?? new Sighand();
    this.traced = parent?.traced ?? false;
    parent?.children.push(this);
  }

  /** `copy_sighand` with `CLONE_SIGHAND`. */
  shareSighand(parent: Process): void {
    this.sighand = parent.sighand;
    this.sighand.users += 1;
  }

  /** `group_leader`; null once reaped. */
  get leader(): Task | null {
    const [first] = this.threads;
    return first !== undefined && first.tid === this.tgid ? first : null;
  }

  /** `capable`: the model knows root and everybody else. */
  get privileged(): boolean {
    return this.euid === 0;
  }
}
