/**
 * Runs a script along a path of turns, and beyond its end along turns of its own choice: the scheduler, the chooser and the eye
 * at the preemption points of one exploration. The path is what remains between runs; machines are made anew.
 *
 * Sleep sets: a task of which everything has been explored at a node sleeps in the rest of that node's branches until something
 * runs that conflicts with it. What it would do now it has done before, in the same order as far as anybody can tell.
 */
import type { Chooser } from "../kernel/choice.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { assert } from "../kernel/lib/assert.ts";
import type { Exploration } from "../kernel/sched/preempt.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { RaceScheduler } from "../syscalls/race.ts";
import { Footprint, Tracker } from "./footprint.ts";
import { END, type Turn } from "./schedule.ts";

/** A branch that leads only to what has been seen. */
export class Pruned extends Error {
  override readonly name = "Pruned";
}

const PRUNED = new Pruned();

/** A task that need not run for now, and what it would touch. */
interface Sleeper {
  readonly task: number;
  readonly footprint: Footprint;
}

/** A place in a run where one of several may run. */
interface Node extends Turn {
  readonly enabled: readonly number[];
  readonly sleep: readonly Sleeper[];
  /** Explored in full. */
  readonly done: Sleeper[];
  /** Who may not run next: it left the CPU of its own will, so that others can. */
  readonly excluded: number | null;
  task: number;
  choices: number[];
  /** How many alternatives each choice has. */
  counts: number[];
  /** Of the present choices; null before the section has run. */
  footprint: Footprint | null;
  /** Of all choices of this task so far. */
  union: Footprint;
  /** The section ended at a preemption point. */
  preempted: boolean;
}

/** How to explore. */
export interface DriverOptions {
  /** Leave out what sleep sets show to be equivalent. */
  readonly prune: boolean;
  /** Footprints tell everything; if not, everything conflicts with everything. */
  readonly traceable: boolean;
  /** Most preemptions inside calls in one run. */
  readonly preemptionsMax: number;
}

/** See the head of the file. */
export class Driver implements Chooser, RaceScheduler, Exploration {
  readonly timeRaces = true;
  /** Branches left out. */
  pruned = 0;
  /** A preemption was not tried because the run had had its share. */
  bounded = false;
  readonly #options: DriverOptions;
  #path: Node[] = [];
  #depth = -1;
  #choice = 0;
  #preemptions = 0;
  #racing = false;
  #goesOn = false;
  #tasks: readonly Task[] = [];
  #kernel: Kernel | null = null;
  #tracker = new Tracker();

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** The turns of the latest run. */
  get turns(): Turn[] {
    return this.#path.map(({ task, choices }) => ({ task, choices: [...choices] }));
  }

  /** Before each run. */
  reset(): void {
    this.#depth = -1;
    this.#choice = 0;
    this.#preemptions = 0;
    this.#racing = false;
  }

  // what the race asks

  begin(kernel: Kernel, tasks: readonly Task[]): void {
    this.#kernel = kernel;
    this.#tasks = tasks;
    this.#tracker = new Tracker();
    this.#tracker.watch(tasks);
    this.#racing = true;
    kernel.exploring = this;
  }

  pick(enabled: readonly number[]): number {
    this.#close();
    const node = this.#next(enabled);
    const { task } = node;
    this.#goesOn = task >= 0 && this.#tasks[task]?.call !== null;
    if (task < 0 || !this.#options.traceable) this.#tracker.touchEverything();
    const at = enabled.indexOf(task);
    assert(at >= 0, "explore: a task of the path cannot run");
    return at;
  }

  end(): void {
    this.#close();
    const kernel = this.#kernel;
    if (kernel !== null) kernel.exploring = null;
    this.#next([END]);
  }

  choose(_site: string, count: number): number {
    return count === 1 || !this.#racing ? 0 : this.#chosen(count);
  }

  #chosen(count: number): number {
    const node = this.#path[this.#depth];
    assert(node !== undefined, "explore: a choice outside a section");
    const at = this.#choice;
    this.#choice += 1;
    if (at === node.choices.length) node.choices.push(0);
    node.counts[at] = count;
    return node.choices[at] as number;
  }

  touch(object: object, write: boolean): void {
    this.#tracker.touch(object, write);
  }

  preempt(site: string): boolean {
    if (this.#preemptions >= this.#options.preemptionsMax) {
      this.bounded = true;
      return this.#chosen(1) === 1; // written down all the same: a schedule does not depend on the bound
    }
    if (this.choose(site, 2) === 0) return false;
    this.#preemptions += 1;
    const node = this.#path[this.#depth];
    if (node !== undefined) node.preempted = true;
    return true;
  }

  // the path

  #close(): void {
    const node = this.#path[this.#depth];
    if (node === undefined) return;
    const footprint = this.#tracker.take(node.task, this.#goesOn);
    node.footprint = footprint;
    node.union.addAll(footprint);
  }

  /** The node of the next section: of the path, or a new one. */
  #next(enabled: readonly number[]): Node {
    const before = this.#path[this.#depth];
    this.#depth += 1;
    this.#choice = 0;
    const known = this.#path[this.#depth];
    if (known !== undefined) {
      known.preempted = false;
      return known;
    }
    const sleep = before === undefined || !this.#options.prune ? [] : stillAsleep(before);
    const excluded = before?.preempted === true ? before.task : null;
    this.pruned += sleep.filter(({ task }) => enabled.includes(task)).length;
    const task = enabled.find((other) => mayRun(other, sleep, excluded));
    if (task === undefined) {
      this.#depth -= 1;
      throw PRUNED;
    }
    const node: Node = {
      enabled: [...enabled],
      sleep,
      done: [],
      excluded,
      task,
      choices: [],
      counts: [],
      footprint: null,
      union: new Footprint(),
      preempted: false,
    };
    this.#path.push(node);
    return node;
  }

  /** Prepares the next run. @returns false when everything has been explored. */
  advance(): boolean {
    for (let node = this.#path.at(-1); node !== undefined; node = this.#path.at(-1)) {
      if (this.#turnNode(node)) return true;
      this.#path.pop();
    }
    return false;
  }

  /** The next alternative at a node: another choice inside the section, or another task. */
  #turnNode(node: Node): boolean {
    for (let at = node.choices.length - 1; at >= 0; at -= 1) {
      const next = (node.choices[at] as number) + 1;
      if (next >= (node.counts[at] ?? 0)) continue;
      node.choices = [...node.choices.slice(0, at), next];
      return true;
    }
    node.done.push({ task: node.task, footprint: node.union });
    const task = node.enabled.find(
      (other) => mayRun(other, node.sleep, node.excluded) && !node.done.some((explored) => explored.task === other),
    );
    if (task === undefined) return false;
    node.task = task;
    node.choices = [];
    node.counts = [];
    node.union = new Footprint();
    return true;
  }
}

function mayRun(task: number, sleep: readonly Sleeper[], excluded: number | null): boolean {
  return task !== excluded && !sleep.some((sleeper) => sleeper.task === task);
}

/** Those who slept at a node, or were explored there, and do not mind what has run since. */
function stillAsleep({ sleep, done, footprint }: Node): Sleeper[] {
  assert(footprint !== null, "explore: a section without a footprint");
  return [...sleep, ...done].filter((sleeper) => !sleeper.footprint.conflicts(footprint));
}
