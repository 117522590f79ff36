/**
 * Runs a script along a path of turns, and beyond its end along turns of its own choice: the scheduler, the chooser and the eye
 * at the preemption points of one exploration. The path is what remains between runs; machines are made anew.
 *
 * States: where a race comes to a state in which it has been before, only those run who did not run then. That and the sleep
 * sets together are Godefroid's (LNCS 1032, 1996, section 5.4): a state that is left remembers who slept all the time.
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
import { StateReader } from "./state.ts";

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
  /** Without pruning: who may not run next, because it was interrupted so that others can. */
  readonly excluded: number | null;
  task: number;
  choices: number[];
  /** How many alternatives each choice has. */
  counts: number[];
  /** Who is to run here; null for everybody who may: the rest has run when the race was in this state before. */
  readonly only: readonly number[] | null;
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
  #race: object | null = null;
  readonly #reader = new StateReader();
  /** For each state in which the race has been, by the preemptions that it had taken: who has not run there. */
  readonly #states = new Map<string, (readonly number[])[]>();

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

  begin(kernel: Kernel, tasks: readonly Task[], race: object): void {
    this.#kernel = kernel;
    this.#race = tasks.every((task) => task.kernel === kernel) ? race : null;
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
    const { prune } = this.#options;
    const excluded = before?.preempted === true && !prune ? before.task : null;
    let sleep = before === undefined || !prune ? [] : stillAsleep(before);
    const out = sleep.map(({ task }) => task);
    const earlier = this.#visit(enabled, out);
    const only = earlier?.filter((task) => !out.includes(task)) ?? null;
    if (earlier !== null) sleep = sleep.filter(({ task }) => earlier.includes(task));
    const task = enabled.find((other) => mayRun(other, sleep, excluded, only));
    this.pruned += enabled.filter((other) => other !== excluded && !mayRun(other, sleep, excluded, only)).length;
    if (task === undefined) {
      this.#depth -= 1;
      throw PRUNED;
    }
    const node: Node = {
      enabled: [...enabled],
      sleep,
      done: [],
      excluded,
      only,
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

  /**
   * Looks whether the race has been in this state before.
   *
   * @param out - who will not run here.
   * @returns who has not run here so far; null when it is new.
   */
  #visit(enabled: readonly number[], out: readonly number[]): readonly number[] | null {
    if (!this.#options.prune || this.#race === null || this.#kernel === null || enabled[0] === END) return null;
    const state = this.#reader.read(this.#race, this.#kernel);
    if (state === null) return null;
    const visits = this.#states.get(state) ?? [];
    this.#states.set(state, visits);
    let earlier: readonly number[] | null = null;
    for (let count = 0; count <= this.#preemptions; count += 1) {
      const left = visits[count]; // with fewer preemptions taken more are still possible: what was seen then is seen now
      if (left !== undefined) earlier = earlier === null ? left : both(earlier, left);
    }
    visits[this.#preemptions] = earlier === null ? out : both(earlier, out);
    return earlier;
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
      (other) =>
        mayRun(other, node.sleep, node.excluded, node.only) && !node.done.some((explored) => explored.task === other),
    );
    if (task === undefined) return false;
    node.task = task;
    node.choices = [];
    node.counts = [];
    node.union = new Footprint();
    return true;
  }
}

function both(some: readonly number[], others: readonly number[]): readonly number[] {
  return some.filter((task) => others.includes(task));
}

function mayRun(
  task: number,
  sleep: readonly Sleeper[],
  excluded: number | null,
  only: readonly number[] | null,
): boolean {
  return task !== excluded && (only === null || only.includes(task)) && !sleep.some((sleeper) => sleeper.task === task);
}

/**
 * Those who slept at a node, or were explored there, and do not mind what has run since. Who was interrupted sleeps, too: what
 * comes of it when it goes on at once has been explored as the section that was not interrupted.
 */
function stillAsleep({ sleep, done, footprint, preempted, task, union }: Node): Sleeper[] {
  assert(footprint !== null, "explore: a section without a footprint");
  const left = [...sleep, ...done].filter((sleeper) => !sleeper.footprint.conflicts(footprint));
  return preempted ? [...left, { task, footprint: union }] : left;
}
