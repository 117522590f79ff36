/**
 * One simulated machine: the owner of everything that is not a process's own.
 *
 * Counterpart: none as one object; `kernel/sched/core.c` for `schedule`.
 */
import type { Chooser } from "./choice.ts";
import { Epnested } from "./fs/eventpoll/nesting.ts";
import type { EpollWaitCall } from "./fs/eventpoll/send-events.ts";
import { FdTable } from "./fs/fdtable.ts";
import { Inode } from "./fs/file.ts";
import type { PollCall } from "./fs/poll.ts";
import { Rootfs } from "./fs/rootfs.ts";
import type { SelectCall } from "./fs/select.ts";
import { Mqueues } from "./ipc/mqueue.ts";
import { assert } from "./lib/assert.ts";
import { Ida } from "./lib/ida.ts";
import { List } from "./lib/list.ts";
import { Mm } from "./mm/mm.ts";
import { PageAllocator } from "./mm/page.ts";
import { InetAddrs } from "./net/inet/addr.ts";
import { Net } from "./net/net.ts";
import { SkbPool } from "./net/skbuff.ts";
import type { KernelObserver } from "./observer.ts";
import type { KernelProfile } from "./profile.ts";
import type { Mutex } from "./sched/mutex.ts";
import type { Pid } from "./sched/pid.ts";
import type { Exploration } from "./sched/preempt.ts";
import { Process, UserStruct } from "./sched/process.ts";
import { BLOCKED, type SleepingCall, Task, TaskState } from "./sched/task.ts";
import { VforkWait } from "./sched/vfork.ts";
import { UserExit } from "./signal/deliver.ts";
import { sendToTask, userInfo } from "./signal/send.ts";
import { ownSigmask, restoreSavedSigmask } from "./signal/sigmask.ts";
import { Sysctls } from "./sysctl.ts";
import { Clock } from "./time/hrtimer.ts";
import { Clone } from "./uapi/sched.ts";
import { Sig } from "./uapi/signal.ts";

/** Where every anonymous inode lives: E-008. */
const ANON_INODE_DEV = 0x10;
const ANON_INODE_MODE = 0o600;

/** What the machines of a cluster have in common. */
export interface CommonParts {
  readonly clock: Clock;
  readonly runqueue: List<Task>;
  readonly addrs: InetAddrs;
  readonly skbs: SkbPool;
}

export interface KernelOptions {
  readonly profile: KernelProfile;
  readonly chooser: Chooser;
  /** ns since boot at the start. */
  readonly bootNs: number;
  /** ns since the epoch at boot. */
  readonly bootEpochNs: bigint;
  /** For a machine of a cluster: these instead of its own; the times above are the clock's. */
  readonly common?: CommonParts;
}

export class Kernel {
  readonly profile: KernelProfile;
  readonly chooser: Chooser;
  readonly clock: Clock;
  readonly sysctl: Sysctls = new Sysctls();
  /** Runnable tasks inside a call that slept, in the order in which they were woken; those of a whole cluster are in one. */
  readonly runqueue: List<Task>;
  readonly net: Net;
  readonly mqueues: Mqueues = new Mqueues();
  #observer: KernelObserver | null = null;
  /** In whose name things happen, as whoever drives the machine says; kept with what waits in a queue (`queuedBy`). */
  actor: object | null = null;
  /** Set while somebody goes through schedules: opens the preemption points inside calls. */
  exploring: Exploration | null = null;
  /** Inode of every anonymous file. */
  readonly anonInode: Inode;
  /** What epoll keeps for the whole machine: the nesting checks. */
  readonly epnested: Epnested = new Epnested();
  readonly pages: PageAllocator = new PageAllocator();
  /** `eventfd_ida`: the ids that an eventfd's fdinfo shows. */
  readonly eventfdIda: Ida = new Ida();
  /** The mutex that stopped the latest poll which gave `CONTENDED`. */
  contended: Mutex | null = null;
  /** epoll_wait calls that are over, for reuse. */
  readonly epollWaitFree: EpollWaitCall[] = [];
  /** poll and select calls that are over, for reuse. */
  readonly pollFree: PollCall[] = [];
  readonly selectFree: SelectCall[] = [];
  /** What a call has left to do before it returns to its program (`task_work_add`): a close that lingers. */
  readonly taskWorks: SleepingCall[] = [];
  /** Numbers of living tasks and zombies, in the order of their birth. */
  readonly pids: Map<number, Pid> = new Map();
  /** Each task's way back to user mode, made when its first signal comes. */
  readonly #userExits = new WeakMap<Task, UserExit>();
  /** Counts descriptions: see `File.id`. */
  nextFileId = 1;
  #nextIno = 1000;
  #nextPid = 1000;
  #rootfs: Rootfs | null = null;
  readonly #users = new Map<number, UserStruct>();

  constructor(options: KernelOptions) {
    this.profile = options.profile;
    this.chooser = options.chooser;
    const { common } = options;
    this.clock = common?.clock ?? new Clock(options.bootNs, options.bootEpochNs);
    this.runqueue = common?.runqueue ?? new List<Task>();
    this.net = new Net(this, common?.addrs ?? new InetAddrs(), common?.skbs ?? new SkbPool());
    this.anonInode = new Inode(this.allocIno(), ANON_INODE_MODE, ANON_INODE_DEV);
  }

  /** Who watches; null for nobody. */
  get observer(): KernelObserver | null {
    return this.#observer;
  }

  set observer(observer: KernelObserver | null) {
    this.#observer = observer;
    this.clock.observer = observer;
  }

  allocIno(): number {
    return this.#nextIno++;
  }

  /** The file tree, made when a path is first used; the user of that task owns the working directory. */
  rootfs(task: Task): Rootfs {
    this.#rootfs ??= new Rootfs(this, task.process.user);
    return this.#rootfs;
  }

  /** `alloc_uid`. */
  user(uid: number): UserStruct {
    let user = this.#users.get(uid);
    if (user === undefined) {
      user = new UserStruct(uid);
      this.#users.set(uid, user);
    }
    return user;
  }

  /**
   * A first process with one task and an empty descriptor table.
   *
   * @param mm - its memory, for tests and scripts in which one memory serves all; default: none is mapped.
   */
  createProcess(comm: string, uid: number, nofile: number, mm: Mm = new Mm()): Task {
    const tid = this.#nextPid++;
    const process = new Process(tid, null, new FdTable(nofile), mm, this.user(uid));
    return this.#hash(new Task(this, process, tid, comm));
  }

  /** `CLONE_THREAD`: the signal mask is inherited, pending signals are not. */
  createThread(parent: Task, comm: string): Task {
    return this.#hash(this.#inherit(new Task(this, parent.process, this.#nextPid++, comm), parent));
  }

  /**
   * `fork`, `vfork` and the processes of `clone`, except that the child always sees the same memory: a script's calls use addresses
   * of their own.
   *
   * @param flags - `Clone`: what the two share. With VFORK the parent, which must be in no call, sleeps when this returns.
   */
  fork(parent: Task, comm: string, flags = 0): Task {
    const tid = this.#nextPid++;
    const { files, mm, user } = parent.process;
    const sharesFiles = (flags & Clone.FILES) !== 0;
    if (sharesFiles) files.users += 1;
    const process = new Process(tid, parent.process, sharesFiles ? files : files.clone(), mm, user);
    if ((flags & Clone.VM) !== 0) process.privateFutexes = parent.process.privateFutexes;
    if ((flags & Clone.SIGHAND) !== 0) process.shareSighand(parent.process);
    const task = this.#inherit(new Task(this, process, tid, comm), parent);
    const runsBeside = (flags & (Clone.VM | Clone.VFORK)) === Clone.VM;
    if (!runsBeside) task.sigaltstack = parent.sigaltstack; // two that run on one stack would overwrite it
    if ((flags & Clone.VFORK) !== 0) new VforkWait(parent, task);
    return this.#hash(task);
  }

  #inherit(task: Task, parent: Task): Task {
    task.blocked.set(ownSigmask(parent));
    return task;
  }

  #hash(task: Task): Task {
    this.pids.set(task.tid, task.pid);
    return task;
  }

  /** Makes a woken task runnable. */
  enqueue(task: Task): void {
    this.runqueue.addTail(task.runLink);
    if (this.observer !== null) this.observer.woken(task);
  }

  /**
   * One atomic section of one runnable task, in a cluster of any machine.
   *
   * @returns false when no task can run.
   */
  step(): boolean {
    const { runqueue } = this;
    if (runqueue.first === null) return false;
    let node = runqueue.first;
    if (runqueue.length > 1) {
      for (let skip = this.chooser.choose("runqueue", runqueue.length); skip > 0; skip -= 1) {
        assert(node.next !== null, "kernel: the chooser went past the run queue");
        node = node.next;
      }
    }
    runqueue.remove(node);
    const task = node.owner;
    task.kernel.#run(task);
    return true;
  }

  /** One atomic section of this task, which must be runnable: whoever replays a recording knows whose turn it is. */
  runTask(task: Task): void {
    this.runqueue.remove(task.runLink);
    task.kernel.#run(task);
  }

  #run(task: Task): void {
    const { call } = task;
    assert(task.state === TaskState.RUNNING && call !== null, "kernel: a runnable task has a call to go on with");
    if (this.observer !== null) this.observer.resumed(task);
    const result = call.step(task);
    if (result === BLOCKED) {
      assert(
        task.state !== TaskState.RUNNING || this.exploring !== null,
        "kernel: a call that blocked left its task running",
      );
      return;
    }
    if (call instanceof UserExit) {
      if (call.inCall) task.body?.resume(task, result);
      return;
    }
    task.call = null;
    const { held } = task;
    task.held = null;
    held?.put();
    if (task.restoreSigmask) restoreSavedSigmask(task, result);
    if (this.observer !== null) this.observer.returned(task, result);
    const seen = task.signalPending ? this.exitToUserMode(task, result) : result;
    if (seen !== BLOCKED) task.body?.resume(task, seen);
  }

  /**
   * `exit_to_user_mode_loop`, for a call that ends while signals are pending: whoever makes calls does this after each one that
   * leaves `signalPending` set. A traced process sees the result as it is; what a signal does then, its tracer tells.
   *
   * @returns what the program sees; `BLOCKED` when the call was made again and sleeps, or the task has stopped or died.
   */
  exitToUserMode(task: Task, result: number): number {
    if (task.process.traced) return result;
    this.#dequeueUserExit(task);
    return this.#userExit(task).fromCall(task, result);
  }

  /** Signals for a task in user mode: dealt with as soon as it is its turn. */
  interruptUserMode(task: Task): void {
    const exit = this.#userExit(task);
    exit.fromUserMode();
    task.call = exit;
    this.runqueue.addTail(task.runLink);
  }

  #userExit(task: Task): UserExit {
    let exit = this.#userExits.get(task);
    if (exit === undefined) {
      exit = new UserExit();
      this.#userExits.set(task, exit);
    }
    return exit;
  }

  /** A call that signals its own task ends with what `interruptUserMode` has put off. */
  #dequeueUserExit(task: Task): void {
    if (!(task.call instanceof UserExit)) return;
    this.runqueue.remove(task.runLink);
    task.call = null;
  }

  /** Runs until every task sleeps or has nothing to do. Time stands still. */
  settle(): void {
    while (this.step());
  }

  /**
   * Lets the time go on to the next timer, because nothing can run.
   *
   * @returns false when no timer is armed: whoever sleeps now sleeps for ever.
   */
  advance(): boolean {
    const next = this.clock.nextExpiryNs();
    if (next < 0) return false;
    this.clock.advanceTo(Math.max(next, this.clock.nowNs));
    return true;
  }

  /** `send_sig(SIGPIPE, current, 0)`: a write to a stream that nobody can read. The call itself ends with EPIPE. */
  sigpipe(task: Task): void {
    sendToTask(task, Sig.PIPE, userInfo(task, Sig.PIPE));
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#nextIno, this.#nextPid, this.#rootfs, this.#users]; // a way to user mode is the call of its task while it has a state
  }
}
