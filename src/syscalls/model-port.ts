/**
 * The model as a world for port programs.
 *
 * Counterpart: the native agent, which does the same on a real kernel. A fresh machine runs each program. Between steps
 * everything that can run has run, and the time stands still; it moves only while a step waits for a task that sleeps.
 */
import type { Chooser } from "../kernel/choice.ts";
import { Cluster } from "../kernel/cluster.ts";
import { CONTENDED } from "../kernel/fs/file.ts";
import { NullFile } from "../kernel/fs/mem.ts";
import { fdinfoText } from "../kernel/fs/proc.ts";
import { Kernel } from "../kernel/kernel.ts";
import { KernelBug, Unmodelled } from "../kernel/lib/assert.ts";
import { Mm } from "../kernel/mm/mm.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import { BLOCKED, type Task, TaskState } from "../kernel/sched/task.ts";
import { VforkWait } from "../kernel/sched/vfork.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { DEFAULT_POLLMASK, Poll } from "../kernel/uapi/poll.ts";
import { Clone } from "../kernel/uapi/sched.ts";
import { Sig } from "../kernel/uapi/signal.ts";
import { cloneProcess } from "./clone.ts";
import { doSyscall } from "./entry.ts";
import {
  type NetworkChange,
  type Port,
  type PortProgram,
  type PortResult,
  type Register,
  type Setup,
  type Step,
  type StepResult,
  UserLayout,
} from "./port.ts";
import { Race, type RaceHost, type RaceScheduler } from "./race.ts";
import { syscallTable } from "./table.ts";
import { mapUserMemory, peek, poke } from "./user-memory.ts";

const DEFAULT_NOFILE = 1024;
/** The machine has been up for a while: no time is 0, none is negative. */
const BOOT_NS = 1_000_000_000;
/** 2026-01-01, so that CLOCK_REALTIME is the same in every run. */
const BOOT_EPOCH_NS = 1_767_225_600_000_000_000n;
const POLL_ALL =
  Poll.IN |
  Poll.PRI |
  Poll.OUT |
  Poll.ERR |
  Poll.HUP |
  Poll.RDNORM |
  Poll.RDBAND |
  Poll.WRNORM |
  Poll.WRBAND |
  Poll.RDHUP;

export interface ModelOptions {
  readonly profile: KernelProfile;
  readonly chooser: Chooser;
  /** Who runs in a race; default: as the chooser says. */
  readonly scheduler?: RaceScheduler;
  /** Map only the memory that the program names: the machine is made much faster. */
  readonly compact?: boolean;
}

/** The chooser as a scheduler of races. */
function chosenScheduler(chooser: Chooser): RaceScheduler {
  return {
    timeRaces: false,
    begin: () => {},
    pick: (enabled) => (enabled.length === 1 ? 0 : chooser.choose("schedule", enabled.length)),
    end: () => {},
  };
}

/** Follows a program from step to step: `run` draws its picture from it. */
export interface StepWatcher {
  /** Before the first step. The tasks' array grows as steps spawn more. */
  begin(kernel: Kernel, tasks: readonly Task[]): void;
  /** After step `index`. */
  step(index: number, step: Step, result: StepResult): void;
}

export class ModelPort implements Port {
  readonly #options: ModelOptions;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  run(program: PortProgram): Promise<PortResult> {
    return Promise.resolve(this.runSync(program, null));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The same without a promise: the model never waits for anything outside. */
  runSync(program: PortProgram, watcher: StepWatcher | null): PortResult {
    const run = new ProgramRun(program, this.#options);
    watcher?.begin(run.kernel, run.tasks);
    run.shareObserver();
    const steps: StepResult[] = [];
    while (steps.length < program.steps.length) {
      const index = steps.length;
      const step = program.steps[index] as Step;
      try {
        const result = run.step(step);
        steps.push(result);
        watcher?.step(index, step, result);
        if (step.op !== "race") continue;
        for (const inner of run.race(step, program.steps)) {
          watcher?.step(steps.length, program.steps[steps.length] as Step, inner);
          steps.push(inner);
        }
      } catch (error) {
        if (error instanceof Unmodelled) return { steps, end: "unsupported", reason: error.message };
        if (error instanceof Asleep) return { steps, end: "timeout", reason: error.message };
        if (error instanceof TaskGone) return { steps, end: "crashed", reason: error.message };
        if (error instanceof KernelBug)
          return { steps, end: "crashed", reason: `the model is wrong: ${error.message}` };
        throw error;
      }
    }
    return { steps, end: "done", reason: "" };
  }
}

/** A step waits for a task that nothing will ever wake. */
class Asleep extends Error {}

/** A call by a task that a signal or an exit has ended. */
class TaskGone extends Error {}

/** The machine of one program, and what its tasks have come to. */
class ProgramRun implements RaceHost {
  readonly kernel: Kernel;
  readonly tasks: Task[];
  /** Result of each task's latest call; null while it sleeps. */
  readonly #returned: (number | null)[] = [0];
  readonly #slots: number[];
  readonly #resultSlots: (number | null)[] = [];
  readonly #scheduler: RaceScheduler;
  /** All machines, when there are several; `kernel` is the first one's. */
  readonly #cluster: Cluster | null;
  #woke: number[] = [];

  constructor(program: PortProgram, options: ModelOptions) {
    const { hosts, slots } = program.setup;
    const { profile, chooser } = options;
    const machine = { profile, chooser, bootNs: BOOT_NS, bootEpochNs: BOOT_EPOCH_NS };
    this.#cluster = hosts.length === 0 ? null : new Cluster(machine);
    const mm = new Mm();
    mapUserMemory(mm, options.compact === true ? program : null);
    this.tasks = [];
    if (this.#cluster === null) {
      this.kernel = new Kernel(machine);
      this.#boot(this.kernel, "A", mm, program.setup);
    } else {
      for (const { name, addresses } of hosts)
        this.#boot(this.#cluster.addHost(name, addresses).kernel, name, mm, program.setup);
      this.kernel = this.#task(0).kernel;
    }
    this.#slots = new Array<number>(slots).fill(0);
    this.#scheduler = options.scheduler ?? chosenScheduler(options.chooser);
  }

  /** The first process of a machine. */
  #boot(kernel: Kernel, name: string, mm: Mm, { uid, nofile, sysctls }: Setup): void {
    for (const [sysctl, value] of sysctls) kernel.sysctl.set(sysctl, Number(value));
    const first = kernel.createProcess(name, uid ?? 0, nofile ?? DEFAULT_NOFILE, mm);
    const { files, sighand } = first.process;
    const devNull = new NullFile(kernel, Open.RDWR);
    for (const fd of [0, 1, 2]) files.replace(fd, fd === 0 ? devNull : devNull.get(), false);
    sighand.ignore(Sig.PIPE);
    this.#adopt(this.tasks.length, first);
  }

  /** Whoever watches the first machine watches all. */
  shareObserver(): void {
    for (const { kernel } of this.#cluster?.hosts.values() ?? []) kernel.observer = this.kernel.observer;
  }

  #network(change: NetworkChange): void {
    const cluster = this.#cluster;
    if (cluster === null) throw new RangeError("port program: a network step without machines");
    const from = cluster.host(change.from);
    const to = cluster.host(change.to);
    switch (change.what) {
      case "link":
        cluster.link(from, to, change.options);
        return;
      case "drop":
        cluster.direction(from, to).dropNext(change.count);
        return;
      default:
        cluster.direction(from, to).cut = change.what === "partition";
        if (!change.oneWay) cluster.direction(to, from).cut = change.what === "partition";
    }
  }

  /** Runs the steps behind a `race` step. @param steps - of the whole program. */
  race(step: Step & { op: "race" }, steps: readonly Step[]): StepResult[] {
    const from = steps.indexOf(step) + 1;
    const count = step.lanes.reduce((sum, lane) => sum + lane.steps, 0);
    const race = new Race(this, step.lanes, steps.slice(from, from + count));
    race.run(this.#scheduler);
    this.kernel.settle();
    return race.results;
  }

  memory(step: Step): StepResult {
    return { ret: null, bytes: this.#memory(step), woke: [] };
  }

  returned(task: number): number | null {
    return this.#returned[task] ?? null;
  }

  bind(slot: number, value: number): void {
    this.#slots[slot] = value;
  }

  shown(): unknown[] {
    return [this.tasks, this.#returned, this.#slots];
  }

  #adopt(index: number, task: Task): void {
    this.tasks[index] = task;
    this.#returned[index] = 0;
    task.body = {
      resume: (_task, result) => {
        this.#returned[index] = result;
        this.#woke.push(index);
      },
    };
  }

  #task(index: number): Task {
    const task = this.tasks[index];
    if (task === undefined) throw new RangeError(`port program: task ${index} was never spawned`);
    return task;
  }

  #value(register: Register): number {
    return typeof register === "number" ? register : (this.#slots[register.slot] ?? 0);
  }

  /** @throws Unmodelled, Asleep - the program cannot go on. */
  step(step: Step): StepResult {
    this.#woke = [];
    if (this.kernel.net.workPending && this.kernel.chooser.choose("kworker", 2) === 0) this.kernel.net.runWorker();
    let ret: number | null = null;
    let bytes: Uint8Array | null = null;
    switch (step.op) {
      case "poke":
      case "pokeSlot":
      case "peek":
      case "peekSlot":
        bytes = this.#memory(step);
        break;
      case "call":
        ret = this.#call(step.task, step);
        break;
      case "await":
        ret = this.#await(step.task);
        this.#bindResult(step.task, ret);
        break;
      case "blocked":
        ret = this.#isGone(step.task) ? 0 : (this.#returned[step.task] ?? null);
        break;
      case "thaw":
        this.#task(0).process.mm.provide(UserLayout.frozen + step.page * UserLayout.pageSize);
        ret = 0;
        break;
      case "spawn": {
        const parent = this.#task(step.parent);
        const name = String.fromCharCode("A".charCodeAt(0) + step.task);
        if ((step.flags & Clone.VFORK) !== 0) this.#returned[step.parent] = null;
        this.#adopt(
          step.task,
          step.as === "thread" ? parent.kernel.createThread(parent, name) : cloneProcess(parent, name, step.flags),
        );
        break;
      }
      case "fdinfo": {
        const text = fdinfoText(this.#task(step.task), this.#value(step.fd));
        bytes = text === null ? null : asciiBytes(text);
        break;
      }
      case "pollMask":
        ret = this.#pollMask(step.task, this.#value(step.fd));
        break;
      case "network":
        this.#network(step.change);
        break;
      case "settle":
      case "race":
        break;
    }
    this.kernel.settle();
    if (step.op === "call" && ret === null) ret = this.#returned[step.task] ?? null;
    const own = step.op === "call" || step.op === "await" ? step.task : -1;
    return { ret, bytes, woke: this.#woke.filter((task) => task !== own).sort((a, b) => a - b) };
  }

  #call(index: number, step: Step & { op: "call" }): number | null {
    this.enter(step);
    const ret = step.wait ? this.#await(index) : (this.#returned[index] ?? null);
    this.#resultSlots[index] = step.slot;
    this.#bindResult(index, ret);
    return ret;
  }

  /** The slot of a task's newest call receives its result: when it is entered, or awaited. */
  #bindResult(index: number, ret: number | null): void {
    const slot = this.#resultSlots[index] ?? null;
    if (slot !== null && ret !== null) this.#slots[slot] = ret;
  }

  /** Enters a call: `returned` says what came of it. */
  enter(step: Step & { op: "call" }): void {
    const { task: index } = step;
    const task = this.#task(index);
    if (task.state === TaskState.DEAD) throw new TaskGone(`task ${index} is no more`);
    if (task.state === TaskState.STOPPED) throw new Unmodelled("a call by a task that has been stopped");
    if (task.call instanceof VforkWait) throw new Unmodelled("a call by a task that waits for the child of its vfork");
    if (task.call !== null) throw new RangeError(`port program: task ${index} is still inside a call`);
    const syscall = syscallTable[step.name];
    if (syscall === undefined) throw new Unmodelled(`${step.name}()`);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = step.args.map((register) => this.#value(register));
    const { observer } = this.kernel;
    if (observer !== null) observer.entered(task, step, a);
    const result = doSyscall(task, syscall, a, b, c, d, e, f);
    this.#returned[index] = result === BLOCKED ? null : result;
    if (observer !== null && result !== BLOCKED) observer.returned(task, result);
  }

  #isGone(index: number): boolean {
    return this.#task(index).state === TaskState.DEAD;
  }

  /** @returns null for a task that is no more. */
  #await(index: number): number | null {
    for (;;) {
      this.kernel.settle();
      const ret = this.#returned[index] ?? null;
      if (ret !== null || this.#isGone(index)) return ret;
      if (!this.kernel.advance()) throw new Asleep(`task ${index} sleeps, and nothing will ever wake it`);
    }
  }

  #pollMask(index: number, fd: number): number {
    if (fd < 0) return 0; // poll(2) passes over negative numbers
    const task = this.#task(index);
    const file = task.process.files.get(fd);
    if (file === null) return Poll.NVAL;
    const mask = file.canPoll ? file.poll(task, null) : DEFAULT_POLLMASK;
    if (mask === CONTENDED) throw new Unmodelled("the mask of an epoll descriptor during a scan that sleeps");
    return mask & POLL_ALL;
  }

  /** A step that only touches memory. @returns what it read, or null. */
  #memory(step: Step): Uint8Array | null {
    const { mm } = this.#task(0).process;
    switch (step.op) {
      case "poke":
        poke(mm, step.addr, step.bytes);
        return null;
      case "pokeSlot":
        poke(mm, step.addr, littleEndian(this.#slots[step.slot] ?? 0, step.size));
        return null;
      case "peek":
        return peek(mm, step.addr, step.length);
      case "peekSlot": {
        const word = peek(mm, step.addr, 4);
        if (word !== null) this.#slots[step.slot] = new DataView(word.buffer).getInt32(0, true);
        return null;
      }
      default:
        throw new RangeError(`port program: '${step.op}' in a race`);
    }
  }
}

function littleEndian(value: number, size: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes.subarray(0, size);
}

function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}
