/**
 * The simulated machine behind a recording: its tasks, and the descriptors they inherited.
 */
import type { Chooser } from "../kernel/choice.ts";
import { FdTable } from "../kernel/fs/fdtable.ts";
import { type File, Inode } from "../kernel/fs/file.ts";
import { Kernel } from "../kernel/kernel.ts";
import { Mm } from "../kernel/mm/mm.ts";
import { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import { beginNewExec, unshareFiles } from "../kernel/sched/exec.ts";
import { doExit } from "../kernel/sched/exit.ts";
import { Process } from "../kernel/sched/process.ts";
import { Task } from "../kernel/sched/task.ts";
import { ownSigmask } from "../kernel/signal/sigmask.ts";
import { Mode } from "../kernel/uapi/fcntl.ts";
import { Sig } from "../kernel/uapi/signal.ts";
import { evalBig } from "../trace/abi/evaluate.ts";
import { signalShortNames } from "../trace/abi/symbols.ts";
import type { ExitLine, Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { ExternalFile } from "./external.ts";
import { InheritedNumbers } from "./inherited.ts";
import { FileLimits } from "./limits.ts";
import { endStatus, isDoomed } from "./pids.ts";
import { PortMap } from "./ports.ts";
import { descriptorsNamed, mentions } from "./records.ts";
import type { SignalFrame } from "./signals.ts";
import { type UserArea, UserSpace } from "./user-area.ts";

/** The recorded programs met no limit, as far as their recordings show: EMFILE is theirs to prove. */
export const NOFILE: number = 1 << 20;
/** Nobody passes so many descriptors on: a higher number is a mistake. */
const INHERITED_MAX = 4096;
/** Watched paths that are kept: one beyond them counts as a new file each time. */
const DISK_INODES_MAX = 100_000;
/** From so many descriptors on a table is not copied unless there is room for it. */
const LARGE_TABLE = 1024;
/** Descriptors of all processes together. */
const DESCRIPTORS_MAX = 1 << 22;
const BOOT_NS = 1_000_000_000;
const STDIO = ["stdin", "stdout", "stderr"];

/** A recorded task. */
export class ReplayTask {
  readonly id: string | null;
  readonly task: Task;
  readonly area: UserArea;
  /** The call it is in, between its entry and its exit. */
  active: ActiveCall | null = null;
  /**
   * Its exit_group, once entered, or the line of the signal that ends it: its process closes its descriptors from then on, at the
   * latest when its end is shown.
   */
  exiting: object | null = null;
  /** Its execve, once entered, until it has taken effect: close-on-exec descriptors go before it returns. */
  execing: CallRecord | null = null;
  /** Some line is its own. A child that the tracer does not follow shows only in what its parent sees of it. */
  shown = false;
  /** A line has shown the signal mask, or the one that it was inherited from. */
  maskKnown = false;
  /** The handlers that run, the innermost last. */
  readonly frames: SignalFrame[] = [];
  /** A call that was interrupted, and no signal is known: the task's next line must show one. */
  unexplained: CallRecord | null = null;

  constructor(id: string | null, task: Task, area: UserArea) {
    this.id = id;
    this.task = task;
    this.area = area;
  }
}

export class Machine {
  readonly kernel: Kernel;
  readonly tasks: Map<string | null, ReplayTask> = new Map();
  /** Paths of the sockets and FIFOs that the recording has made. */
  readonly names: Set<string> = new Set();
  /** What stands for the files of a disk that are watched, by the paths that the recording names them by. */
  readonly #diskInodes = new Map<string, Inode>();
  /** Which of the model's ephemeral ports stands for which recorded one. */
  readonly ports: PortMap = new PortMap();
  /** Numbers of all tasks that the recording has shown, gone ones too. */
  readonly pids: Set<number> = new Set();
  readonly limits: FileLimits = new FileLimits(NOFILE);
  /** Signals whose action some line has shown, in a family of processes. */
  readonly #actionsKnown = new WeakMap<Process, Set<number>>();
  /** Descriptions that took part in a call which the model does not know: what they do from then on is not predicted. */
  readonly tainted: WeakSet<File> = new WeakSet();
  /** Descriptions that nobody of the recording holds. */
  readonly strangers: WeakSet<File> = new WeakSet();
  /** Some content of the recording is not known. */
  opaque = false;
  readonly inherited: InheritedNumbers = new InheritedNumbers();
  /** The recording begins with an execve: with a program, not in the middle of its life. */
  begunByExec = false;
  /** The process that strace attached to. */
  #attached: Process | null = null;
  readonly #byTask = new WeakMap<Task, ReplayTask>();
  readonly #space: UserSpace = new UserSpace(new Mm());
  /** Numbers of each table that some line has shown, open or closed: they cannot be inherited descriptors unseen so far. */
  readonly #seen = new WeakMap<FdTable, Set<number>>();
  /** Ids for tasks that the recording does not number. */
  #nextPid = 1;

  /** @param epochNs - time of the first line since the epoch, when the recording tells it. */
  constructor(profile: KernelProfile, chooser: Chooser, epochNs: bigint) {
    this.kernel = new Kernel({ profile, chooser, bootNs: BOOT_NS, bootEpochNs: epochNs - BigInt(BOOT_NS) });
  }

  /** Lets the virtual time follow the recorded time, in ns since the first line. */
  advance(ns: number | null): void {
    if (ns !== null) this.kernel.clock.advanceTo(this.clockAt(ns));
  }

  /** The virtual time of a recorded time. */
  clockAt(ns: number): number {
    return BOOT_NS + ns;
  }

  /** The task of a line; an unknown one is the first of a process that the recording attached to. */
  task(id: string | null): ReplayTask {
    const task = this.tasks.get(id) ?? this.#root(id);
    task.shown = true;
    return task;
  }

  /** What stands for a file on a disk. */
  diskInode(path: string): Inode {
    return this.#diskInodes.get(path) ?? this.newDiskInode(path);
  }

  /** The path names another file from now on. */
  newDiskInode(path: string): Inode {
    const inode = new Inode(this.kernel.allocIno(), Mode.IFREG, 0);
    if (this.#diskInodes.size < DISK_INODES_MAX || this.#diskInodes.has(path)) this.#diskInodes.set(path, inode);
    return inode;
  }

  /** The recorded task that a simulated one stands for. */
  taskOf(task: Task): ReplayTask | null {
    return this.#byTask.get(task) ?? null;
  }

  /** A task that nobody has made in the recording: the first one, or another thread of a process that was attached to. */
  #root(id: string | null): ReplayTask {
    if (this.#attached !== null && this.#attached.leader !== null) return this.#adopt(id, this.#attached);
    const files = new FdTable(NOFILE);
    const user = this.kernel.user(0);
    const process = new Process(this.#pid(id), null, files, this.#space.mm, user);
    process.traced = true;
    if (!this.begunByExec) this.#attached = process;
    for (const [fd, name] of STDIO.entries()) files.replace(fd, new ExternalFile(this.kernel, name, null, true), false);
    return this.#adopt(id, process);
  }

  #adopt(id: string | null, process: Process): ReplayTask {
    const tid = process.threads.length === 0 ? process.tgid : this.#pid(id);
    const task = new ReplayTask(id, new Task(this.kernel, process, tid, id ?? "task"), this.#space.area());
    this.tasks.set(id, task);
    this.#byTask.set(task.task, task);
    this.kernel.pids.set(tid, task.task.pid);
    this.pids.add(tid);
    return task;
  }

  #pid(id: string | null): number {
    const pid = id === null ? Number.NaN : Number(id);
    return Number.isSafeInteger(pid) ? pid : this.#nextPid++;
  }

  /** clone, clone3, fork or vfork with the child's id as its result. */
  spawn(parent: ReplayTask, call: CallRecord): void {
    const id = String(evalBig(call.result?.values[0] ?? { kind: "sym", name: "?", note: null }) ?? "");
    if (id === "" || this.tasks.has(id)) return;
    const { process } = parent.task;
    if (hasFlag(call.args, "CLONE_THREAD")) {
      this.#inherit(this.#adopt(id, process), parent);
      return;
    }
    const shared = hasFlag(call.args, "CLONE_FILES");
    const files = shared ? process.files : this.#copyTable(process.files);
    if (shared) files.users += 1;
    else this.#seen.set(files, new Set(this.#seenOf(process.files)));
    const child = new Process(this.#pid(id), process, files, this.#space.mm, process.user);
    if (hasFlag(call.args, "CLONE_SIGHAND")) child.shareSighand(process);
    child.exitSignal = call.name.startsWith("clone") ? exitSignalOf(call) : Sig.CHLD;
    this.#actionsKnown.set(child, this.actionsKnown(parent));
    this.limits.inherit(child, process);
    this.#inherit(this.#adopt(id, child), parent);
  }

  /** `dup_fd`. A recording with more descriptors than any machine has is damaged: then the child's show as it uses them. */
  #copyTable(files: FdTable): FdTable {
    if (files.count < LARGE_TABLE) return files.clone();
    const tables = new Set([...this.tasks.values()].map(({ task }) => task.process.files));
    let open = files.count;
    for (const table of tables) open += table.count;
    return open > DESCRIPTORS_MAX ? new FdTable(files.nofile) : files.clone();
  }

  #inherit(child: ReplayTask, parent: ReplayTask): void {
    child.task.blocked.set(ownSigmask(parent.task));
    child.maskKnown = parent.maskKnown;
  }

  /** Signals whose action some line has shown. */
  actionsKnown({ task }: ReplayTask): Set<number> {
    const known = this.#actionsKnown.get(task.process) ?? new Set();
    this.#actionsKnown.set(task.process, known);
    return known;
  }

  /** execve has succeeded: the table is the process's own, and close-on-exec descriptors are gone. */
  exec(task: ReplayTask, record: CallRecord): void {
    if (task.execing === null && record.entryLine !== null) return; // has taken effect already
    task.execing = null;
    const { process } = task.task;
    const before = process.files;
    beginNewExec(process);
    task.frames.length = 0;
    if (process.files !== before) this.#seen.set(process.files, new Set(this.#seenOf(before)));
  }

  /** unshare(CLONE_FILES) has succeeded. */
  unshare({ task }: ReplayTask): void {
    const before = task.process.files;
    if (task.process.threads.length > 1) return;
    unshareFiles(task.process);
    if (task.process.files !== before) this.#seen.set(task.process.files, new Set(this.#seenOf(before)));
  }

  /**
   * exit or exit_group was entered. The last user of a table closes everything before its end is shown.
   *
   * @param lingers - it has not closed anything yet: later results show that. @param stays - nor this one.
   */
  beginExit(task: ReplayTask, record: CallRecord, lingers: boolean, stays: (file: File) => boolean): void {
    const { process } = task.task;
    const alone = process.threads.every((thread) => thread === task.task || thread.exiting);
    if (alone || record.name === "exit_group") task.exiting = record;
    if (alone && process.files.users === 1 && !lingers) this.#closeAll(task, record, stays);
  }

  /**
   * Lets a process that is about to end, or to become another program, close its descriptors now.
   *
   * @param asker - it is in a call, so its own process is still there. @param stays - a description that is not closed yet, unless
   *   it is the next one. @returns whether there was one.
   */
  hurryExit(asker: ReplayTask, stays: (owner: ReplayTask, file: File) => boolean): boolean {
    for (const owner of this.tasks.values()) {
      const { execing } = owner;
      if (execing === null || execing.phase === "entered" || owner.task.process === asker.task.process) continue;
      if ((execing.result?.errnos[0] ?? null) !== null) continue;
      this.exec(owner, execing);
      return true;
    }
    let process: Process | null = null;
    let doomed = false;
    for (const owner of this.tasks.values()) {
      const { files } = owner.task.process;
      if (files.users > 1 || files.count === 0 || files === asker.task.process.files) continue;
      // the threads of a process mostly stand one behind the other
      if (owner.task.process !== process) doomed = isDoomed(owner.task.process);
      ({ process } = owner.task);
      if (owner.exiting === null && !doomed) continue;
      const next = newestOf(files);
      this.#closeAll(owner, owner.exiting ?? owner, (file) => file !== next && stays(owner, file));
      return true;
    }
    return false;
  }

  /**
   * Closes the descriptors of a process, the newest first (`task_work_run`), down to the first that stays.
   *
   * @param origin - what ends the process.
   */
  #closeAll({ task }: ReplayTask, origin: object, stays: (file: File) => boolean): void {
    const { files } = task.process;
    this.kernel.observer?.entered(task, origin, -1);
    let last = -1;
    for (let fd = files.nextOpen(0); fd >= 0 && fd < files.end; fd = files.nextOpen(fd + 1)) {
      const file = files.getRaw(fd);
      if (file !== null && file.refs === 1 && stays(file)) last = fd;
    }
    files.closeMany(last + 1, files.end, () => true);
  }

  /** A task is gone: its process with the last one, and then its parent is told. */
  exit(line: ExitLine): void {
    const task = this.tasks.get(line.task);
    if (task === undefined) return;
    if (line.how === "superseded") this.#supersede(task, String(line.status));
    else this.end(task, endStatus(line), task.exiting ?? line);
  }

  /** Ends a task. @param status - as wait4 stores it. @param origin - what says so. */
  end(task: ReplayTask, status: number, origin: object): void {
    this.tasks.delete(task.id);
    task.active?.interrupt();
    task.area.reset();
    if (task.task.exiting) return;
    this.kernel.observer?.entered(task.task, origin, -1);
    doExit(task.task, status);
  }

  /** A thread has called execve, and goes on under the number of its leader. */
  #supersede(leader: ReplayTask, id: string): void {
    const caller = this.tasks.get(id);
    leader.active?.interrupt();
    if (caller === undefined || caller === leader || caller.task.process !== leader.task.process) return;
    leader.task.blocked.set(caller.task.blocked);
    leader.active = caller.active;
    caller.active = null;
    this.end(caller, 0, leader.active?.record ?? leader);
  }

  #seenOf(files: FdTable): Set<number> {
    const seen = this.#seen.get(files) ?? new Set();
    this.#seen.set(files, seen);
    return seen;
  }

  /** A line has shown this number, open or not. */
  see(task: ReplayTask, fd: number): void {
    this.#seenOf(task.task.process.files).add(fd);
  }

  /**
   * Descriptors that the process inherited show only by the numbers that new ones do not get. Puts one on each free number
   * below a recorded new one, unless the recording has shown that number before.
   *
   * @param record - the call that was given them. @param fds - the new numbers in the order of their allocation.
   * @param from - the lowest number that would have done.
   * @returns whether there was one.
   */
  inferInherited(task: ReplayTask, record: CallRecord, fds: readonly number[], from: number): boolean {
    const { files } = task.task.process;
    const seen = this.#seenOf(files);
    let inferred = false;
    for (const [index, fd] of fds.entries()) {
      if (fd >= files.nofile || fd - files.count > INHERITED_MAX) break;
      const lower: number[] = [];
      this.inherited.allocated(files, fd);
      for (let free = files.lowestFree(from); free < fd; free = files.lowestFree(free + 1)) {
        if (seen.has(free) || fds.slice(0, index).includes(free)) continue;
        this.putOutside(task, free, "inherited", false);
        lower.push(free);
      }
      if (lower.length > 0) this.inherited.add(files, record, fd, lower);
      inferred ||= lower.length > 0;
      seen.add(fd);
    }
    return inferred;
  }

  /** These numbers were given in the order that was possible. */
  allocated(task: ReplayTask, fds: readonly number[]): void {
    const { files } = task.task.process;
    for (const fd of fds) {
      this.inherited.allocated(files, fd);
      this.#seenOf(files).add(fd);
    }
  }

  /** Lines are missing: any descriptor may have been closed, and any number may be another one's. */
  forget(): void {
    for (const task of this.tasks.values()) {
      task.active?.interrupt();
      task.active = null;
      const { files } = task.task.process;
      this.#seenOf(files).clear();
      if (files.count > 0) this.#closeAll(task, task, () => false);
    }
  }

  /** Makes sure that a descriptor which a line shows (`7</etc/hosts>`) exists. */
  learn(task: ReplayTask, expr: Expr): void {
    if (expr.kind !== "int" || expr.note === null || expr.value < 0n || expr.value > 0xffffffn) return;
    const { files } = task.task.process;
    const fd = Number(expr.value);
    const file = files.getRaw(fd);
    const unnamed = file instanceof ExternalFile && (STDIO.includes(file.note) || file.note === "inherited");
    if (file === null || unnamed) this.putOutside(task, fd, expr.note, files.cloexec(fd));
    else if (file instanceof SocketFile && file.sk instanceof InetSock && file.sk.num !== 0) {
      this.ports.of(file).showOwn(expr, file, file.sk.num);
    }
    this.see(task, fd);
  }

  /** Puts a description from outside the model on a number, replacing what the model has there. */
  putExternal(task: ReplayTask, fd: number, note: string, flags: number | null, cloexec: boolean): void {
    this.#put(task, fd, new ExternalFile(this.kernel, note, flags, false), cloexec);
  }

  /** The same for one that no call of the recording has made. */
  putOutside(task: ReplayTask, fd: number, note: string, cloexec: boolean): void {
    this.#put(task, fd, new ExternalFile(this.kernel, note, null, true), cloexec);
  }

  /** A number that no table can have is a mistake of the recording. */
  #put({ task }: ReplayTask, fd: number, file: ExternalFile, cloexec: boolean): void {
    if (fd < 0 || fd >= NOFILE) return;
    if (task.process.files.isReserved(fd)) this.#giveUpNumbers(task.process.files);
    task.process.files.replace(fd, file, cloexec)?.put();
  }

  /** A sleeping accept has taken a number that somebody else was given: it makes its call again when it ends. */
  #giveUpNumbers(files: FdTable): void {
    for (const { active, task } of this.tasks.values()) {
      if (active === null || active.progress !== "sleeping" || task.process.files !== files) continue;
      if (!active.record.name.startsWith("accept")) continue;
      active.interrupt();
      active.progress = "idle";
    }
  }

  /**
   * A call that names a descriptor and does not say that it is closed shows that it is open: one that no line has shown before was
   * there before the recording.
   */
  learnUsed(task: ReplayTask, record: CallRecord): void {
    if (record.result?.errnos[0] === "EBADF") return;
    const { files } = task.task.process;
    // the event is read before the descriptor is looked up
    if (record.name === "epoll_ctl" && record.result?.errnos[0] === "EFAULT") return;
    for (const fd of descriptorsNamed(record)) {
      if (fd < 0 || fd >= NOFILE || files.getRaw(fd) !== null || this.#seenOf(files).has(fd)) continue;
      this.putOutside(task, fd, "inherited", false);
    }
  }
}

/** The signal among the flags of a clone; 0 for none. */
function exitSignalOf({ args }: CallRecord): number {
  return Math.max(
    0,
    signalShortNames.findIndex((name) => hasFlag(args, `SIG${name}`)),
  );
}

/** The description of a table that is closed first when its process ends. */
function newestOf(files: FdTable): File | null {
  let newest: File | null = null;
  for (let fd = files.nextOpen(0); fd >= 0 && fd < files.end; fd = files.nextOpen(fd + 1)) newest = files.getRaw(fd);
  return newest;
}

/** Whether a flag stands anywhere in the arguments of a clone, whose form differs from version to version. */
function hasFlag(args: readonly Expr[], flag: string): boolean {
  return args.some((arg) => mentions(arg, flag));
}
