/**
 * A race in both worlds: what the model permits, and what a real kernel has shown in many runs.
 */
import { type Exploration, explore, outcomeText } from "../explore/index.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import type { NativePort } from "../native-bridge/index.ts";
import type { PortProgram, RaceTally } from "../syscalls/port.ts";
import type { Lowered } from "../trace/source-map.ts";

/** One outcome, and how often the kernel has shown it. */
export interface LitmusOutcome {
  readonly outcome: string;
  readonly permitted: boolean;
  readonly seen: number;
}

/** What a litmus script has come to; in JSON as it stands. */
export interface LitmusReport {
  readonly file: string;
  /** How many outcomes the model permits. */
  readonly permitted: number;
  /** How many outcomes the kernel has shown. */
  readonly seen: number;
  readonly seen_not_permitted: number;
  readonly runs: number;
  readonly schedules: number;
  readonly pruned: number;
  /** Every schedule was visited: no outcome is missing. */
  readonly complete: boolean;
  /** See `Exploration.preemptions`. */
  readonly preemptions: number;
  /** Permitted ones first, each part sorted by its text. */
  readonly outcomes: readonly LitmusOutcome[];
}

/** Sums over scripts. */
export interface LitmusSums {
  readonly total: true;
  readonly permitted: number;
  readonly seen: number;
  readonly seen_not_permitted: number;
  readonly runs: number;
  readonly schedules: number;
  readonly pruned: number;
  /** Of every script every schedule was visited. */
  readonly complete: boolean;
}

/** How to run a litmus script. */
export interface LitmusOptions {
  readonly profile: KernelProfile;
  /** Runs on the kernel in all. */
  readonly runs: number;
  /** Staggers the runs. */
  readonly seed: number;
  readonly prune: boolean;
  readonly preemptions: number;
  readonly schedulesMax: number;
  readonly stopped: () => boolean;
  /** Told how many runs there have been; those that the watchdog cut short do not count. */
  readonly onRuns: (runs: number) => void;
}

/** Ports that can run a program many times in one request. */
export type TallyPort = Pick<NativePort, "tally">;

/** A report, and the exploration behind it, whose witnesses are no part of the report. */
export interface LitmusResult {
  readonly report: LitmusReport;
  readonly exploration: Exploration;
}

/** Runs in one request: short enough for a prompt answer to Ctrl-C. */
const BATCH = 250;
const SEED_STEP = 0x1_0000;

/** Explores a script and runs it. @param ports - to the same kind of machine; none: the model only */
export async function litmus(
  lowered: Lowered,
  ports: readonly TallyPort[],
  options: LitmusOptions,
): Promise<LitmusResult> {
  const { profile, prune, preemptions, schedulesMax, stopped } = options;
  const exploration = explore(lowered, { profile, prune, preemptions, schedulesMax, stopped });
  const seen = new Map<string, number>();
  let runs = 0;
  await tallyAll(lowered.program, ports, options, (tally) => {
    for (const { count, result } of tally.results) {
      if (result.end === "timeout") continue; // cut short by the watchdog: it has no outcome
      runs += count;
      const outcome = outcomeText(lowered, result);
      seen.set(outcome, (seen.get(outcome) ?? 0) + count);
    }
    options.onRuns(runs);
  });
  return { report: report(lowered.script.file, exploration, seen, runs), exploration };
}

/** Keeps every port busy with batches until all runs are done. */
async function tallyAll(
  program: PortProgram,
  ports: readonly TallyPort[],
  { runs, seed, stopped }: LitmusOptions,
  take: (tally: RaceTally) => void,
): Promise<void> {
  let begun = 0;
  const work = async (port: TallyPort): Promise<void> => {
    while (begun < runs && !stopped()) {
      const count = Math.min(BATCH, runs - begun);
      const batchSeed = seed * SEED_STEP + begun;
      begun += count;
      const tally = await port.tally(program, count, batchSeed);
      take(tally);
      if (tally.runs < count) begun = runs; // the target cannot do it: the result says why
    }
  };
  await Promise.all(ports.map(work));
}

function report(file: string, exploration: Exploration, seen: ReadonlyMap<string, number>, runs: number): LitmusReport {
  const { schedules, pruned, complete, preemptions } = exploration;
  const permitted = new Set(exploration.outcomes.map(({ outcome }) => outcome));
  const others = [...seen.keys()].filter((outcome) => !permitted.has(outcome)).sort();
  const outcomes = [...permitted, ...others].map((outcome) => ({
    outcome,
    permitted: permitted.has(outcome),
    seen: seen.get(outcome) ?? 0,
  }));
  return {
    file,
    permitted: permitted.size,
    seen: seen.size,
    seen_not_permitted: others.length,
    runs,
    schedules,
    pruned,
    complete,
    preemptions,
    outcomes,
  };
}

/** Adds up reports. */
export function litmusSums(reports: readonly LitmusReport[]): LitmusSums {
  const sum = (key: "permitted" | "seen" | "seen_not_permitted" | "runs" | "schedules" | "pruned"): number =>
    reports.reduce((total, one) => total + one[key], 0);
  return {
    total: true,
    permitted: sum("permitted"),
    seen: sum("seen"),
    seen_not_permitted: sum("seen_not_permitted"),
    runs: sum("runs"),
    schedules: sum("schedules"),
    pruned: sum("pruned"),
    complete: reports.every((one) => one.complete),
  };
}
