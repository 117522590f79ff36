/**
 * A race on the model: calls of several tasks without order between them, one atomic section after the other.
 *
 * Counterpart: the `race` step of the native agent, where the tasks really run at once. Here a scheduler says whose section comes
 * next; what a call does between two sections nobody can see.
 */
import type { Kernel } from "../kernel/kernel.ts";
import { assert } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { RaceLane, Step, StepResult } from "./port.ts";

/** Stands among the tasks for the time: picked, it goes on to the next timer. */
export const CLOCK = -1;

/** Stands among the tasks for the kernel's own worker, which does later what a call has left to it. */
export const WORKER = -3;

/** Most timers that may run out while nobody can run: a periodic one would go on for ever. */
const EXPIRIES_MAX = 1000;

/** Decides who runs. */
export interface RaceScheduler {
  /** Time may run out while others can run. If false it stands still until nobody can, and `CLOCK` is never offered. */
  readonly timeRaces: boolean;
  /** Before the first section. @param race - what is under way, for whoever compares states. */
  begin(kernel: Kernel, tasks: readonly Task[], race: object): void;
  /** Picks one. @param enabled - tasks by number, ascending; then `CLOCK`, then `WORKER`. @returns an index into `enabled` */
  pick(enabled: readonly number[]): number;
  /** Behind the last section: what follows has an order. */
  end(): void;
}

/** The machine of the program that the race is part of. */
export interface RaceHost {
  readonly kernel: Kernel;
  readonly tasks: readonly Task[];
  /** Executes a memory step. */
  memory(step: Step): StepResult;
  /** Enters a call. */
  enter(step: Step & { op: "call" }): void;
  /** Result of the task's latest call; null while it sleeps. */
  returned(task: number): number | null;
  /** Sets a slot. */
  bind(slot: number, value: number): void;
  /** What else decides how the program goes on, for whoever compares machines. */
  shown(): unknown[];
}

interface Lane {
  readonly task: number;
  readonly end: number;
  /** The next step, or the one that the task is in. */
  next: number;
  /** It is inside the call `next`. */
  inside: boolean;
}

const NOTHING: StepResult = { ret: null, bytes: null, woke: [] };

/** One race, from its first section to its last. */
export class Race {
  /** Of the steps behind the `race` step. */
  readonly results: StepResult[];
  readonly #host: RaceHost;
  readonly #steps: readonly Step[];
  readonly #lanes: (Lane | null)[] = [];
  #expiries = 0;

  /** @param steps - those behind the `race` step, as many as the lanes have. */
  constructor(host: RaceHost, lanes: readonly RaceLane[], steps: readonly Step[]) {
    this.#host = host;
    this.#steps = steps;
    this.results = new Array<StepResult>(steps.length).fill(NOTHING);
    let from = 0;
    for (let task = 0; task < host.tasks.length; task += 1) this.#lanes.push(null);
    for (const lane of lanes) {
      assert(this.#lanes[lane.task] === null, "race: a lane needs a task of its own");
      this.#lanes[lane.task] = { task: lane.task, next: from, end: from + lane.steps, inside: false };
      from += lane.steps;
    }
    assert(from === steps.length, "race: the lanes have other steps than the race");
  }

  run(scheduler: RaceScheduler): void {
    scheduler.begin(this.#host.kernel, this.#host.tasks, this);
    for (;;) {
      const enabled = this.#enabled(scheduler.timeRaces);
      if (enabled.length === 0 && this.#workFirst()) continue;
      if (enabled.length === 0) {
        if (!this.#unfinished() || this.#expiries >= EXPIRIES_MAX || !this.#host.kernel.advance()) break;
        this.#expiries += 1;
        continue;
      }
      const who = enabled[scheduler.pick(enabled)];
      assert(who !== undefined, "race: the scheduler picked nobody");
      if (who === CLOCK) this.#host.kernel.advance();
      else if (who === WORKER) this.#host.kernel.net.runWorker();
      else this.#section(who);
    }
    scheduler.end();
  }

  #enabled(timeRaces: boolean): number[] {
    const { tasks, kernel } = this.#host;
    const enabled: number[] = [];
    let timed = false;
    for (let index = 0; index < tasks.length; index += 1) {
      const task = tasks[index] as Task;
      const lane = this.#lanes[index] ?? null;
      if (task.runLink.list !== null) enabled.push(index);
      else if (task.call !== null) timed ||= task.sleepTimer.armed;
      else if (lane !== null && lane.next < lane.end) enabled.push(index);
    }
    if (timeRaces && (timed || kernel.clock.nextIsOfProgram) && kernel.clock.nextExpiryNs() >= 0) enabled.push(CLOCK);
    if (enabled.length > 0 && kernel.exploring !== null && kernel.net.workPending) enabled.push(WORKER);
    return enabled;
  }

  /** Nobody can run but the worker: it comes now, or behind all lines of the script. */
  #workFirst(): boolean {
    const { kernel } = this.#host;
    if (!kernel.net.workPending || kernel.exploring === null || kernel.chooser.choose("kworker", 2) === 1) return false;
    kernel.net.runWorker();
    return true;
  }

  #unfinished(): boolean {
    return this.#lanes.some((lane) => lane !== null && lane.next < lane.end);
  }

  /** One atomic section of a task: the next one of its call, or the first of its next call. */
  #section(index: number): void {
    const { kernel, tasks } = this.#host;
    const task = tasks[index] as Task;
    const lane = this.#lanes[index] ?? null;
    if (task.call !== null) kernel.runTask(task);
    else if (lane !== null) this.#enter(lane);
    if (lane?.inside) this.#leave(lane);
  }

  #enter(lane: Lane): void {
    for (; lane.next < lane.end; lane.next += 1) {
      const step = this.#steps[lane.next] as Step;
      if (step.op === "call") {
        lane.inside = true;
        this.#host.enter(step);
        return;
      }
      this.results[lane.next] = this.#host.memory(step);
    }
  }

  /** If the call has returned: its result, and what it wrote. */
  #leave(lane: Lane): void {
    const ret = this.#host.returned(lane.task);
    const step = this.#steps[lane.next];
    if (ret === null || step?.op !== "call") return;
    lane.inside = false;
    this.results[lane.next] = { ret, bytes: null, woke: [] };
    if (step.slot !== null) this.#host.bind(step.slot, ret);
    for (lane.next += 1; lane.next < lane.end; lane.next += 1) {
      const read = this.#steps[lane.next] as Step;
      if (read.op !== "peek" && read.op !== "peekSlot") return;
      this.results[lane.next] = this.#host.memory(read);
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#host.shown(), this.#lanes, this.#expiries];
  }
}
