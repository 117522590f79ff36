/**
 * Ways to pick one schedule of a race: by a policy, or by heart.
 *
 * PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding bugs"
 * (ASPLOS 2010).
 */
import type { Chooser } from "../kernel/choice.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Exploration } from "../kernel/sched/preempt.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { RaceScheduler } from "../syscalls/race.ts";
import { END, ScheduleError, type Turn, turnName } from "./schedule.ts";

/** Names of the policies. */
export const POLICIES = ["first", "random", "round-robin", "pct"] as const;
/** One of the policies. */
export type Policy = (typeof POLICIES)[number];

/** What a policy needs. */
export interface PolicyOptions {
  /** A generator of numbers in `[0, 1)`. */
  readonly random: () => number;
  /** PCT: ordering constraints that a bug may have; the number of priority changes is one less. */
  readonly depth: number;
}

/** Sections among which PCT spreads its priority changes. */
const PCT_SECTIONS = 100;

/** A scheduler that follows a policy. Time stands still while anybody can run. */
export function policyScheduler(policy: Policy, { random, depth }: PolicyOptions): RaceScheduler {
  switch (policy) {
    case "first":
      return scheduler(() => 0);
    case "random":
      return scheduler((enabled) => Math.floor(random() * enabled.length));
    case "round-robin":
      return roundRobin();
    case "pct":
      return pct(random, depth);
  }
}

function scheduler(pick: (enabled: readonly number[]) => number): RaceScheduler {
  return { timeRaces: false, begin: () => {}, pick, end: () => {} };
}

/** One section each, in the order of the tasks. */
function roundRobin(): RaceScheduler {
  let last = -1;
  return scheduler((enabled) => {
    const next = enabled.findIndex((task) => task > last);
    const at = Math.max(0, next);
    last = enabled[at] as number;
    return at;
  });
}

/** Every task has a random priority; at `depth - 1` random sections the one that runs falls below all others. */
function pct(random: () => number, depth: number): RaceScheduler {
  const priorities = new Map<number, number>();
  const changes = new Set<number>();
  for (let i = 1; i < depth; i += 1) changes.add(Math.floor(random() * PCT_SECTIONS));
  let section = 0;
  let lowest = 0;
  return scheduler((enabled) => {
    for (const task of enabled) if (!priorities.has(task)) priorities.set(task, random());
    const best = (): number => {
      let at = 0;
      for (const [index, task] of enabled.entries()) {
        if ((priorities.get(task) ?? 0) > (priorities.get(enabled[at] as number) ?? 0)) at = index;
      }
      return at;
    };
    if (changes.has(section)) {
      lowest -= 1;
      priorities.set(enabled[best()] as number, lowest);
    }
    section += 1;
    return best();
  });
}

/** Follows a schedule; behind its end the first task that can run goes on. */
export class Replay implements Chooser, RaceScheduler, Exploration {
  readonly timeRaces = true;
  readonly #turns: readonly Turn[];
  readonly #names: readonly (string | null)[];
  #at = 0;
  #turn: Turn | null = null;
  #choice = 0;
  #kernel: Kernel | null = null;

  /** @param names - of the tasks, for messages. */
  constructor(turns: readonly Turn[], names: readonly (string | null)[]) {
    this.#turns = turns;
    this.#names = names;
  }

  begin(kernel: Kernel, _tasks: readonly Task[]): void {
    this.#kernel = kernel;
    kernel.exploring = this;
  }

  pick(enabled: readonly number[]): number {
    const turn = this.#turns[this.#at] ?? null;
    this.#choice = 0;
    this.#turn = turn?.task === END ? null : turn;
    if (this.#turn === null) return 0;
    this.#at += 1;
    const index = enabled.indexOf(this.#turn.task);
    if (index < 0) throw new ScheduleError(this.#cannotRun(this.#turn.task, enabled));
    return index;
  }

  #cannotRun(task: number, enabled: readonly number[]): string {
    const others = enabled.map((other) => turnName(other, this.#names)).join(", ");
    return `schedule: turn ${this.#at} is ${turnName(task, this.#names)}, which cannot run there; those that can: ${others}`;
  }

  end(): void {
    if (this.#kernel !== null) this.#kernel.exploring = null;
    this.#turn = this.#turns[this.#at] ?? null;
    this.#choice = 0;
    if (this.#turn !== null && this.#turn.task !== END) {
      throw new ScheduleError(`schedule: the race is over before turn ${this.#at + 1} of ${this.#turns.length}`);
    }
  }

  choose(_site: string, count: number): number {
    if (count === 1 || this.#kernel === null) return 0;
    const choice = this.#turn?.choices[this.#choice] ?? 0;
    this.#choice += 1;
    if (choice >= count) throw new ScheduleError(`schedule: choice ${choice} among ${count}`);
    return choice;
  }

  touch(): void {}

  preempt(site: string): boolean {
    return this.choose(site, 2) === 1;
  }
}
