/**
 * One run of a script on the model, told line by line: what each call gave, what it changed inside, and where it is not
 * what the script expects.
 */
import type { Kernel } from "../kernel/kernel.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { ModelPort, StepWatcher } from "../syscalls/model-port.ts";
import type { PortResult, Step, StepResult } from "../syscalls/port.ts";
import type { Line } from "../trace/ast.ts";
import { type Comparison, outcome } from "../trace/outcome.ts";
import type { DumpPlan, Lowered, Plan } from "../trace/source-map.ts";
import { type Change, type ChangeLog, watchKernel } from "./changes.ts";
import { type EventpollPicture, eventpollsOf, pictureEventpoll } from "./picture.ts";

/** A line of the run. */
export interface StoryLine {
  readonly line: Line;
  /** What happened inside while this line ran. */
  readonly changes: readonly Change[];
  readonly divergences: readonly Comparison[];
  /** Pictures that a `#! dump` line asks for; null for other lines. */
  readonly dump: readonly EventpollPicture[] | null;
}

/** A run. */
export interface Story {
  readonly lines: readonly StoryLine[];
  /** Calls and queries that ran. */
  readonly calls: number;
  /** Divergences in all, an early end not counted. */
  readonly diverged: number;
  readonly end: PortResult["end"];
  readonly reason: string;
  /** Every instance at the end. */
  readonly atEnd: readonly EventpollPicture[];
}

/** Runs a script and tells what happened. */
export function tellStory(lowered: Lowered, port: ModelPort): Story {
  const recorder = new Recorder(lowered);
  const result = port.runSync(lowered.program, recorder);
  const { lines, comparisons, end, reason } = outcome(lowered, result);
  const divergences = groupBy(comparisons, (comparison) => comparison.index);
  const indexed = withIndices(lowered, lines).map(({ line, index }) => ({
    line,
    changes: recorder.changes.get(index) ?? [],
    divergences: divergences.get(index) ?? [],
    dump: recorder.dumps.get(index) ?? null,
  }));
  const calls = indexed.filter(({ line }) => line.type === "call").length;
  return { lines: indexed, calls, diverged: comparisons.length, end, reason, atEnd: recorder.pictures(null) };
}

/** `Map.groupBy`, which Node 20 does not have. */
function groupBy<K, V>(values: readonly V[], keyOf: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

function isDump(plan: Plan): plan is DumpPlan {
  return plan.kind === "dump";
}

/** Follows the program: files the changes of each step under the line that the step stands for, takes pictures. */
class Recorder implements StepWatcher {
  readonly changes: Map<number, Change[]> = new Map<number, Change[]>();
  readonly dumps: Map<number, readonly EventpollPicture[]> = new Map<number, readonly EventpollPicture[]>();
  readonly #lowered: Lowered;
  readonly #lineOf: readonly number[];
  readonly #slots: number[];
  /** What to draw, by the step in front of which. */
  readonly #dumpPlans: ReadonlyMap<number, readonly DumpPlan[]>;
  #kernel: Kernel | null = null;
  #tasks: readonly Task[] = [];
  #log: ChangeLog | null = null;
  #nowNs = 0;

  constructor(lowered: Lowered) {
    this.#lowered = lowered;
    this.#lineOf = linesOfSteps(lowered);
    this.#slots = new Array<number>(lowered.program.setup.slots).fill(-1);
    this.#dumpPlans = groupBy(lowered.plans.filter(isDump), (plan) => plan.step);
  }

  begin(kernel: Kernel, tasks: readonly Task[]): void {
    const names = this.#lowered.tasks.map((name) => name ?? "the task");
    this.#kernel = kernel;
    this.#tasks = tasks;
    this.#log = watchKernel(kernel, tasks, names);
    this.#nowNs = kernel.clock.nowNs;
    this.#dumpBefore(0);
  }

  step(index: number, step: Step, result: StepResult): void {
    const changes = [...this.#elapsed(), ...(this.#log?.take() ?? [])];
    const line = this.#lineOf[index];
    if (line !== undefined && changes.length > 0) {
      const before = this.changes.get(line);
      if (before === undefined) this.changes.set(line, changes);
      else before.push(...changes);
    }
    if (step.op === "call" && step.slot !== null && result.ret !== null) this.#slots[step.slot] = result.ret;
    this.#dumpBefore(index + 1);
  }

  #elapsed(): Change[] {
    const nowNs = this.#kernel?.clock.nowNs ?? 0;
    const ns = nowNs - this.#nowNs;
    this.#nowNs = nowNs;
    return ns > 0 ? [{ what: "time", ns }] : [];
  }

  #dumpBefore(step: number): void {
    for (const plan of this.#dumpPlans.get(step) ?? []) this.dumps.set(plan.line, this.pictures(this.#fdOf(plan)));
  }

  #fdOf({ fd }: DumpPlan): number | null {
    if (fd === null || !fd.startsWith("$")) return fd === null ? null : Number(fd);
    const slot = this.#lowered.slots.get(fd.slice(1));
    return slot === undefined ? -1 : (this.#slots[slot] ?? -1);
  }

  /** @param fd - one descriptor, or null for every instance. */
  pictures(fd: number | null): EventpollPicture[] {
    const log = this.#log;
    if (log === null) return [];
    const all = eventpollsOf(this.#tasks);
    const wanted = fd === null ? all : all.filter((ep) => this.#tasks[0]?.process.files.getRaw(fd) === ep.file);
    return wanted.map((ep) => pictureEventpoll(ep, log, this.#tasks));
  }
}

/** For each step the index of the script line that it stands for. */
function linesOfSteps({ plans }: Lowered): number[] {
  const lines: number[] = [];
  for (const plan of plans) {
    if (plan.kind === "dump") continue;
    for (let step = plan.steps.from; step < plan.steps.to; step += 1) lines[step] = plan.line;
    if (plan.kind !== "call" || plan.resumedSteps === null || plan.resumedLine === null) continue;
    for (let step = plan.resumedSteps.from; step < plan.resumedSteps.to; step += 1) lines[step] = plan.resumedLine;
  }
  return lines;
}

/** The lines of an outcome with their index in the script; lines that the run did not reach are missing there. */
function withIndices({ script }: Lowered, lines: readonly Line[]): { line: Line; index: number }[] {
  const indexed: { line: Line; index: number }[] = [];
  let next = 0;
  for (const [index, { line }] of script.lines.entries()) {
    const made = lines[next];
    if (made === undefined || made.line !== line.line) continue;
    indexed.push({ line: made, index });
    next += 1;
  }
  return indexed;
}
