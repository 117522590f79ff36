/**
 * A thread of a program: a task whose body is a generator, or an object with a step.
 *
 * A program calls the kernel through `Syscalls` and `yield`s each result. A call that returned goes on at once; one that sleeps
 * parks the generator until the kernel resumes the task. Whoever cannot afford a generator per call writes a `StepProgram`.
 */
import { BLOCKED, burnCpu, resched, type Task, type TaskBody, TaskState } from "../syscalls/index.ts";
import type { CallSite } from "./call-site.ts";
import type { Costs } from "./costs.ts";
import type { CallTracer, Machine } from "./machine.ts";
import { Syscalls } from "./syscalls.ts";
import type { UserMemory } from "./user-memory.ts";

/** What the body of a thread is: `yield` each call's result. What it returns is the exit status, 0 if nothing. */
export type Program = Generator<number, number | void, number>;

/** A part of a program that makes calls and has a result: `const conn = yield* accept(sys)`. */
export type Blocking<T> = Generator<number, T, number>;

/** The body of a thread, as a function. */
export type ProgramFunction = (sys: Syscalls) => Program;

/** The body of a thread, as an object: for runtimes that schedule something of their own on it. */
export interface StepProgram {
  /**
   * Makes calls until one sleeps.
   *
   * @param result - of the call that slept; 0 at first.
   * @returns `BLOCKED` while the thread sleeps in a call; anything else is its exit status.
   */
  step(sys: Syscalls, result: number): number;
}

/** What a thread runs. */
export type ThreadBody = ProgramFunction | StepProgram;

/** A program that did something wrong, or met something that is not modelled: says in which thread and call. */
export class ProgramError extends Error {
  override readonly name = "ProgramError";

  constructor(thread: Thread, cause: unknown) {
    const said = cause instanceof Error ? cause.message : String(cause);
    super(`thread ${thread.task.tid} (${thread.task.comm}): ${said}`, { cause });
  }
}

/** A generator as an object with a step. */
class GeneratorProgram implements StepProgram {
  readonly #generator: Program;
  readonly #thread: Thread;

  constructor(generator: Program, thread: Thread) {
    this.#generator = generator;
    this.#thread = thread;
  }

  step(_sys: Syscalls, result: number): number {
    const thread = this.#thread;
    const generator = this.#generator;
    const { task } = thread;
    let value = result;
    for (;;) {
      const next = generator.next(value);
      if (next.done === true) {
        thread.assertAwake("the program returned");
        return next.value ?? 0;
      }
      value = next.value;
      if (value === BLOCKED) {
        if (task.call === null && task.state === TaskState.RUNNING)
          throw new Error("a program yielded the result of a call that slept, once more after that call had returned");
        return BLOCKED;
      }
      if (task.call !== null) thread.assertAwake(`the program yielded ${value}`);
      if (thread.sliceIsOver && thread.endSlice(value)) return BLOCKED;
    }
  }
}

/** What the machine gives a thread. */
export interface ThreadSetup {
  readonly task: Task;
  readonly memory: UserMemory;
  readonly costs: Costs;
  readonly tracer: CallTracer | null;
}

/** One thread of one process. */
export class Thread implements TaskBody {
  readonly machine: Machine;
  readonly task: Task;
  readonly sys: Syscalls;
  readonly memory: UserMemory;
  /** The call that the thread is in. */
  inCall: CallSite | null = null;
  /** When its sleep began, in ns since boot. */
  sinceNs = 0;
  /** What its process has cost so far. */
  readonly costs: Costs;
  /** Told of its calls. */
  readonly tracer: CallTracer | null;
  /** Calls left in this time slice. */
  sliceCalls: number;
  readonly #program: StepProgram;
  readonly #isMain: boolean;

  constructor(machine: Machine, { task, memory, costs, tracer }: ThreadSetup, body: ThreadBody, isMain: boolean) {
    this.machine = machine;
    this.task = task;
    this.memory = memory;
    this.costs = costs;
    this.tracer = tracer;
    this.sliceCalls = machine.sliceCalls;
    this.sys = new Syscalls(this);
    this.#program = typeof body === "function" ? new GeneratorProgram(body(this.sys), this) : body;
    this.#isMain = isMain;
    task.body = this;
    resched(task, 0);
  }

  /** The call that slept has this result. */
  resume(_task: Task, result: number): void {
    const { machine, inCall } = this;
    machine.ran(this);
    this.sliceCalls = machine.sliceCalls;
    if (inCall !== null) {
      this.inCall = null;
      this.costs.wakeUps += 1;
      this.costs.blockedNs += machine.nowNs - this.sinceNs;
      if (this.tracer !== null) this.tracer.exit(this.task.tid, result);
    }
    try {
      this.#go(result);
    } catch (error) {
      throw error instanceof ProgramError ? error : new ProgramError(this, error);
    }
  }

  #go(result: number): void {
    const status = this.#program.step(this.sys, result);
    if (status === BLOCKED) return;
    this.assertAwake(`the program ended with ${status}`);
    if (this.#isMain) this.sys.exitGroup(status);
    else this.sys.exit(status);
  }

  /** Notes that the call in progress sleeps. */
  slept(site: CallSite): void {
    this.inCall = site;
    this.sinceNs = this.machine.nowNs;
  }

  /** @throws Error when a call still sleeps: its result was not yielded. @param what - what happened instead. */
  assertAwake(what: string): void {
    const { inCall, task } = this;
    if (task.call === null || task.state === TaskState.DEAD) return;
    const call = inCall === null ? "a call" : `${inCall.name}()`;
    throw new Error(`${call} still sleeps, and ${what}: write 'yield' in front of each call that can sleep`);
  }

  get sliceIsOver(): boolean {
    return this.sliceCalls <= 0;
  }

  /**
   * A thread that has made a slice's worth of calls without a sleep lets others run. Where nobody else can, the calls have taken
   * the slice's time: so a loop that polls ends with the time it waits for.
   *
   * @returns whether it sleeps now; its body is resumed with `value`.
   */
  endSlice(value: number): boolean {
    const { machine, task } = this;
    this.sliceCalls = machine.sliceCalls;
    if (task.kernel.runqueue.first !== null) resched(task, value);
    else burnCpu(task, machine.nowNs + machine.sliceNs, value);
    return true;
  }
}
