/**
 * Every outcome of a race: all schedules of the model, gone through one after the other by running the script again and again.
 *
 * The sections of a call between which it sleeps are always taken apart. At the preemption points inside calls a run may be
 * interrupted only a few times: first never, then once, and so on up to `preemptions`, as far as `schedulesMax` runs go. Few
 * preemptions show most of what many do (CHESS: Musuvathi and Qadeer, PLDI 2007).
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import { ModelPort } from "../syscalls/model-port.ts";
import type { PortResult } from "../syscalls/port.ts";
import type { Lowered } from "../trace/source-map.ts";
import { Driver, Pruned } from "./driver.ts";
import { isTraceable } from "./footprint.ts";
import { outcomeText, resultKey } from "./outcome.ts";
import type { Turn } from "./schedule.ts";

/** How to explore. */
export interface ExploreOptions {
  readonly profile: KernelProfile;
  /** Leave out schedules that are equivalent to others. Default: true. */
  readonly prune?: boolean;
  /** Most preemptions inside calls in one schedule; default 2. */
  readonly preemptions?: number;
  /** Most runs of the model in all, those that end early included; default 15000, which takes some seconds. */
  readonly schedulesMax?: number;
  /** Asked now and then; true ends the exploration with what it has. */
  readonly stopped?: () => boolean;
}

/** One thing that may happen. */
export interface PermittedOutcome {
  readonly outcome: string;
  /** A schedule that gives it, with as few preemptions inside calls as any. */
  readonly witness: readonly Turn[];
}

/** What an exploration found. */
export interface Exploration {
  /** Sorted by their text. */
  readonly outcomes: readonly PermittedOutcome[];
  /** Schedules that were run to their end. */
  readonly schedules: number;
  /** Branches that were left out. */
  readonly pruned: number;
  /** Every schedule with at most so many preemptions inside calls was visited; -1: not even those without any. */
  readonly preemptions: number;
  /** Every schedule was visited, without any bound. */
  readonly complete: boolean;
}

const PREEMPTIONS = 2;
/** See {@link ExploreOptions.schedulesMax}. */
export const SCHEDULES_MAX = 15_000;
const ASK_EVERY = 256;

/** Explores a lowered script. @throws Unmodelled when a schedule leads to what the model does not know. */
export function explore(lowered: Lowered, options: ExploreOptions): Exploration {
  const { preemptions: most = PREEMPTIONS } = options;
  const explorer = new Explorer(lowered, options);
  let reached = -1;
  let complete = false;
  for (let level = 0; level <= most && !complete; level += 1) {
    const end = explorer.level(level);
    if (end === "cut") break;
    reached = level;
    complete = end === "complete";
  }
  const outcomes = [...explorer.outcomes].map(([outcome, witness]) => ({ outcome, witness }));
  outcomes.sort((a, b) => (a.outcome < b.outcome ? -1 : 1));
  const { schedules, pruned } = explorer;
  return { outcomes, schedules, pruned, preemptions: reached, complete };
}

class Explorer {
  readonly outcomes: Map<string, readonly Turn[]> = new Map<string, readonly Turn[]>();
  schedules = 0;
  pruned = 0;
  readonly #lowered: Lowered;
  readonly #options: ExploreOptions;
  readonly #seen = new Set<string>();
  readonly #traceable: boolean;
  #runs = 0;

  constructor(lowered: Lowered, options: ExploreOptions) {
    this.#lowered = lowered;
    this.#options = options;
    this.#traceable = isTraceable(lowered.program);
  }

  /** All schedules with at most so many preemptions inside calls. */
  level(preemptionsMax: number): "complete" | "bounded" | "cut" {
    const { profile, prune = true, schedulesMax = SCHEDULES_MAX, stopped } = this.#options;
    const driver = new Driver({ prune, traceable: this.#traceable, preemptionsMax });
    const port = new ModelPort({ profile, chooser: driver, scheduler: driver, compact: true });
    do {
      if (this.#runs >= schedulesMax || (this.#runs % ASK_EVERY === 0 && stopped?.() === true)) {
        this.pruned += driver.pruned;
        return "cut";
      }
      this.#runs += 1;
      driver.reset();
      this.#run(port, driver);
    } while (driver.advance());
    this.pruned += driver.pruned;
    return driver.bounded ? "bounded" : "complete";
  }

  #run(port: ModelPort, driver: Driver): void {
    let result: PortResult;
    try {
      result = port.runSync(this.#lowered.program, null);
    } catch (error) {
      if (error instanceof Pruned) return;
      throw error;
    }
    if (result.end === "unsupported") throw new Unmodelled(result.reason);
    this.schedules += 1;
    const key = resultKey(this.#lowered, result);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const outcome = outcomeText(this.#lowered, result);
    if (!this.outcomes.has(outcome)) this.outcomes.set(outcome, driver.turns);
  }
}
