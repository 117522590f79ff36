/**
 * One simulated machine with the programs that run on it, from the first call to the end.
 *
 * Virtual time: it stands still while any thread can run, and then goes on to the next timer. With the same seed everything
 * happens in the same order, to the byte.
 */

import { Open } from "../kernel/uapi/fcntl.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import {
  type Chooser,
  Cluster,
  firstChoice,
  Kernel,
  kernelProfile,
  type LinkOptions,
  NEWEST,
  NullFile,
  type Process,
  seededChoice,
  type Task,
  TaskState,
} from "../syscalls/index.ts";
import { addCosts, Costs, type Counters } from "./costs.ts";
import { Thread, type ThreadBody } from "./thread.ts";
import { UserMemory } from "./user-memory.ts";

/** The machine has been up for a second: no time is 0. */
const BOOT_NS = 1_000_000_000;
/** 2026-01-01. */
const BOOT_EPOCH_NS = 1_767_225_600_000_000_000n;
const DEFAULT_NOFILE = 1_048_576;
const DEFAULT_SLICE_CALLS = 1000;
const DEFAULT_SLICE_NS = 1_000_000;

export interface MachineOptions {
  /** A release such as `6.18`; the newest unless given. */
  readonly kernel?: string;
  /** Numbers in [0, 1) that pick among what Linux leaves open. Without it always the first is taken. */
  readonly random?: () => number;
  /** `fs.nr_open` and the like. */
  readonly sysctls?: Readonly<Record<string, number>>;
  /** After how many calls without a sleep a thread lets others run. */
  readonly sliceCalls?: number;
  /** How long such a slice has taken when nobody else can run. */
  readonly sliceNs?: number;
  /** What distinguishes it from the other machines of a program, in reports. */
  readonly name?: string;
  /** Where `print` goes; nowhere unless given. */
  readonly out?: (text: string) => void;
  /** Several hosts by name, each with its IPv4 address, instead of one without a network. `link` joins them. */
  readonly hosts?: Readonly<Record<string, string>>;
}

export interface ProcessOptions {
  /** Which of the machine's hosts it runs on; the first unless given. */
  readonly host?: string;
  readonly uid?: number;
  /** RLIMIT_NOFILE; 1048576 unless given. */
  readonly nofile?: number;
  /** The machine's run is over when all other processes have ended, though this one goes on. */
  readonly daemon?: boolean;
}

/** How a task was made: as pthread_create does, by a bare clone of a runtime that has no C library, or by fork. */
export type Spawned = "thread" | "bare thread" | "process";

/** Told of every call: see `src/trace/live.ts`, which prints them as strace does. */
export interface CallTracer {
  /** @param args - the six registers. @param memory - what pointers among them point into. */
  enter(tid: number, name: SyscallName, args: readonly number[], memory: UserMemory): void;
  exit(tid: number, result: number): void;
  spawned(parent: number, child: number, how: Spawned): void;
  /** @param status - a wait status. */
  ended(tid: number, status: number): void;
}

/** A thread that will sleep for ever. */
export interface Sleeper {
  readonly tid: number;
  readonly name: string;
  /** The call that it sleeps in. */
  readonly call: string;
  /** Since when, in ns since boot. */
  readonly sinceNs: number;
}

export class Machine {
  /** Empty unless given. */
  readonly name: string;
  /** The kernel, or that of the first host. */
  readonly kernel: Kernel;
  /** The hosts and what lies between them; null for a single machine. */
  readonly cluster: Cluster | null;
  readonly sliceCalls: number;
  readonly sliceNs: number;
  readonly #tracers: Map<Kernel, CallTracer> = new Map();
  /** Threads that have not ended, in the order of their birth. */
  readonly threads: Set<Thread> = new Set();
  readonly #out: (text: string) => void;
  /** Processes whose end the run waits for. */
  readonly #watched: Set<Process> = new Set();
  /** Processes that are ending: their other threads die one after the other. */
  readonly #dying: Set<Process> = new Set();
  #running: Thread | null = null;
  readonly #costs: Costs[] = [];

  constructor(options: MachineOptions = {}) {
    const { kernel, random, sysctls = {}, sliceCalls, sliceNs, out, hosts, name } = options;
    this.name = name ?? "";
    const chooser: Chooser = random === undefined ? firstChoice : seededChoice(random);
    const profile = kernelProfile(kernel ?? NEWEST);
    const boot = { profile, chooser, bootNs: BOOT_NS, bootEpochNs: BOOT_EPOCH_NS };
    this.cluster = hosts === undefined ? null : new Cluster(boot);
    const kernels = Object.entries(hosts ?? {}).map(([name, address]) => this.#addHost(name, address));
    if (kernels.length === 0) kernels.push(new Kernel(boot));
    this.kernel = kernels[0] as Kernel;
    for (const { sysctl } of kernels) for (const [name, value] of Object.entries(sysctls)) sysctl.set(name, value);
    this.sliceCalls = sliceCalls ?? DEFAULT_SLICE_CALLS;
    this.sliceNs = sliceNs ?? DEFAULT_SLICE_NS;
    this.#out = out ?? (() => {});
  }

  #addHost(name: string, address: string): Kernel {
    const bytes = Uint8Array.from(address.split(".").map(Number));
    if (this.cluster === null || bytes.length !== 4)
      throw new RangeError(`host ${name}: '${address}' is no IPv4 address`);
    return this.cluster.addHost(name, [{ bytes, prefix: null }]).kernel;
  }

  /** Names of the hosts; none of a single machine. */
  get hosts(): readonly string[] {
    return [...(this.cluster?.hosts.keys() ?? [])];
  }

  /**
   * Tells `tracer` of every call, from the first: nothing has been spawned yet.
   *
   * @param host - of the calls on this host; each host has its own numbers of tasks.
   */
  trace(tracer: CallTracer, host?: string): void {
    if (this.#costs.length > 0) throw new Error("a tracer is told of every call: set it before anything is spawned");
    this.#tracers.set(this.#kernelOf(host), tracer);
  }

  #kernelOf(host: string | undefined): Kernel {
    return host === undefined ? this.kernel : this.#network().host(host).kernel;
  }

  /** Joins two hosts, or changes what joins them. @throws RangeError for a host or a value that there is not. */
  link(a: string, b: string, options: Partial<LinkOptions> = {}): void {
    const cluster = this.#network();
    cluster.link(cluster.host(a), cluster.host(b), options);
  }

  /** Cuts what joins two hosts: packets are lost without a word, until `heal`. */
  partition(a: string, b: string): void {
    const cluster = this.#network();
    cluster.partition(cluster.host(a), cluster.host(b));
  }

  heal(a: string, b: string): void {
    const cluster = this.#network();
    cluster.heal(cluster.host(a), cluster.host(b));
  }

  #network(): Cluster {
    if (this.cluster === null) throw new RangeError("a machine without hosts: name them in its options");
    return this.cluster;
  }

  /** The virtual time, in ns since boot. */
  get nowNs(): number {
    return this.kernel.clock.nowNs;
  }

  /** Prints a line: what a program has to say, outside of the machine. */
  print(line: string): void {
    this.#out(`${line}\n`);
  }

  /** A process of its own, with descriptors 0 to 2 on /dev/null. */
  spawn(name: string, body: ThreadBody, options: ProcessOptions = {}): Thread {
    const { host, uid = 0, nofile = DEFAULT_NOFILE, daemon = false } = options;
    const task = this.#kernelOf(host).createProcess(name, uid, nofile);
    const { files, mm } = task.process;
    const devNull = new NullFile(task.kernel, Open.RDWR);
    for (const fd of [0, 1, 2]) files.replace(fd, fd === 0 ? devNull : devNull.get(), false);
    if (!daemon) this.#watched.add(task.process);
    return this.#adopt(task, new UserMemory(mm), this.#newCosts(), body, true);
  }

  /** A thread of `parent`'s process. @returns its number. */
  clone(parent: Thread, name: string, body: ThreadBody, how: "thread" | "bare thread" = "thread"): number {
    const task = parent.task.kernel.createThread(parent.task, name);
    parent.tracer?.spawned(parent.task.tid, task.tid, how);
    return this.#adopt(task, parent.memory, parent.costs, body, false).task.tid;
  }

  /** A child of `parent`'s process. @returns its number. */
  fork(parent: Thread, name: string, body: ThreadBody): number {
    const task = parent.task.kernel.fork(parent.task, name);
    if (this.#watched.has(parent.task.process)) this.#watched.add(task.process);
    parent.tracer?.spawned(parent.task.tid, task.tid, "process");
    return this.#adopt(task, parent.memory, this.#newCosts(), body, true).task.tid;
  }

  #newCosts(): Costs {
    const costs = new Costs();
    this.#costs.push(costs);
    return costs;
  }

  #adopt(task: Task, memory: UserMemory, costs: Costs, body: ThreadBody, isMain: boolean): Thread {
    const tracer = this.#tracers.get(task.kernel) ?? null;
    const thread = new Thread(this, { task, memory, costs, tracer }, body, isMain);
    this.threads.add(thread);
    costs.threads += 1;
    return thread;
  }

  /** A thread's turn has come. */
  ran(thread: Thread): void {
    if (this.#running === thread) return;
    this.#running = thread;
    thread.costs.switches += 1;
  }

  /** A thread has made its last call. */
  ended(thread: Thread): void {
    const { process } = thread.task;
    this.#forget(thread);
    if (process.groupExit) this.#dying.add(process);
  }

  #forget(thread: Thread): void {
    this.threads.delete(thread);
    thread.sys.freeStack();
    thread.tracer?.ended(thread.task.tid, thread.task.exitCode);
  }

  /**
   * Lets the next thread run, or the time go on.
   *
   * @returns false when the run is over: every process that is no daemon has ended, or nothing will ever happen.
   */
  step(): boolean {
    if (this.kernel.step()) {
      // A recording shows each end before anybody hears of it.
      if (this.#dying.size > 0 || this.#tracers.size > 0) this.#bury();
      return true;
    }
    return this.#isWatching() && this.kernel.advance();
  }

  #isWatching(): boolean {
    for (const process of this.#watched) {
      if (!process.zombie && process.leader !== null) return true;
      this.#watched.delete(process);
    }
    return false;
  }

  /** Forgets threads that died in their sleep: by a signal, or by the end of their process. */
  #bury(): void {
    for (const thread of this.threads) if (thread.task.state === TaskState.DEAD) this.#forget(thread);
    for (const process of this.#dying) {
      if (process.threads.every((task) => task.state === TaskState.DEAD)) this.#dying.delete(process);
    }
  }

  /**
   * At most `steps` steps.
   *
   * @returns false when the run is over.
   * @throws ProgramError when a program did.
   */
  run(steps: number = Number.POSITIVE_INFINITY): boolean {
    for (let left = steps; left > 0; left -= 1) if (!this.step()) return false;
    return true;
  }

  /**
   * Moves the clock on, for a thread that is busy until then, if nobody else has anything to do up to and at that time.
   *
   * @returns whether it did; if not, the thread has to sleep its time off (`Syscalls.compute`).
   */
  skipTo(untilNs: number): boolean {
    const { clock, runqueue } = this.kernel;
    if (runqueue.first !== null) return false;
    const next = clock.nextExpiryNs();
    if (next >= 0 && next <= untilNs) return false;
    clock.advanceTo(untilNs);
    return true;
  }

  /** One of `count` outcomes that a program leaves open, picked as Linux's freedom is. @param site - names the decision. */
  choose(site: string, count: number): number {
    return count === 1 ? 0 : this.kernel.chooser.choose(site, count);
  }

  /** Threads of processes that are no daemons, each in a call that nothing will ever end. Meaningful when the run is over. */
  sleepers(): Sleeper[] {
    const sleepers: Sleeper[] = [];
    for (const { task, inCall, sinceNs } of this.threads) {
      if (task.state === TaskState.DEAD || !this.#watched.has(task.process)) continue;
      sleepers.push({ tid: task.tid, name: task.comm, call: inCall?.name ?? "", sinceNs });
    }
    return sleepers;
  }

  /** Virtual time since the start, in ns. */
  get elapsedNs(): number {
    return this.nowNs - BOOT_NS;
  }

  /** What a process has cost, or all of them. @param thread - one of the process's. */
  counters(thread?: Thread): Counters {
    return addCosts(thread === undefined ? this.#costs : [thread.costs]);
  }
}
