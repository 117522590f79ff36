/**
 * `epollsim litmus`: which outcomes are possible at all, and which has the real kernel shown?
 */
import type { Command } from "commander";
import { skipReason } from "../diff/engine.ts";
import { type LitmusReport, type LitmusResult, litmus, litmusSums } from "../diff/litmus.ts";
import { hashText } from "../diff/mix.ts";
import { printSchedule, SCHEDULES_MAX } from "../explore/index.ts";
import { kernelProfile, NEWEST } from "../kernel/profile.ts";
import { lower } from "../trace/lower.ts";
import type { Script } from "../trace/script.ts";
import type { Lowered } from "../trace/source-map.ts";
import { Exit, UserError } from "./errors.ts";
import { expandScripts, readScripts } from "./files.ts";
import { EXIT_INTERRUPTED, type Io } from "./io.ts";
import { litmusText, sumsText } from "./litmus-text.ts";
import { targetText, type WorldOptions, wholeNumber, worldOptions } from "./options.ts";
import { progress } from "./progress.ts";
import { modelVersion, openTarget, profileOf, type Target } from "./worlds.ts";

interface CommandOptions extends WorldOptions {
  readonly runs: number;
  readonly json?: boolean;
  readonly prune: boolean;
  readonly preemptions: number;
  readonly schedules: number;
  readonly witness?: number;
  readonly target?: string;
}

const EXAMPLES = `
The lines of a script behind '#! par' have no order between tasks. The model goes through every schedule; the kernel runs
the script again and again, staggered differently each time. An outcome is every call's result and output, who still
sleeps, and what the lines behind '#! join' see (without them: each epoll's interest list, and what a wait without
time-out returns).

An outcome that the kernel has shown and the model does not permit is a mistake of the model: exit code 1.

Examples:
  epollsim litmus traces/litmus
  epollsim litmus --runs 20000 --seed 7 race.strace
  epollsim litmus --runs 0 race.strace                 the model alone
  epollsim litmus --runs 0 --schedules 500000 --preemptions 9 race.strace    all of it, however long it takes
  epollsim litmus --runs 0 --witness 2 race.strace     a schedule that gives outcome 2
  epollsim run --schedule 'B C B/1 C B' race.strace    and what happens in it`;

const AGENTS = 2;
const RUNS = 2000;
const PREEMPTIONS = 2;

/** Adds the command. */
export function litmusCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("litmus")
    .summary("which outcomes of a race are possible, and which has the kernel shown?")
    .description("Explores every schedule of a script on the model, and runs it many times on a real kernel.")
    .argument("<script...>", "scripts with a '#! par' line, folders of scripts, or - for standard input")
    .option("--runs <n>", "runs on the kernel, for each script; 0: only the model", wholeNumber(0), RUNS)
    .option("--no-prune", "go through equivalent schedules, too")
    .option("--preemptions <n>", "most preemptions inside calls in one schedule", wholeNumber(0), PREEMPTIONS)
    .option("--schedules <n>", "most runs of the model; a larger race needs more", wholeNumber(1), SCHEDULES_MAX)
    .option("--witness <outcome>", "print the schedule that gives the outcome of this number", wholeNumber(1))
    .option("--target <target>", "exec:COMMAND runs an agent elsewhere (default: this machine's kernel)", targetText)
    .option("--json", "one JSON object a script, then the sums; see docs/json.md")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (names: string[], options: CommandOptions) =>
    finish(await run(names, options, io)),
  );
}

async function run(names: readonly string[], options: CommandOptions, io: Io): Promise<number> {
  const { scripts, bad } = await readScripts(expandScripts(names), io);
  const races = scripts.filter((script) => script.par !== null);
  if (races.length === 0 && bad === 0) {
    throw new UserError("litmus: no script has a part without order", "put '#! par' before the lines that race");
  }
  if (options.witness !== undefined && races.length !== 1) {
    throw new UserError(`litmus: --witness with ${races.length} scripts`, "name one script");
  }
  const wantsKernel = options.runs > 0 && options.witness === undefined;
  const reached = wantsKernel ? await openTarget({ target: options.target, agents: AGENTS }) : null;
  let stopped = false;
  const release = io.onInterrupt(() => {
    stopped = true;
  });
  try {
    const reports: LitmusReport[] = [];
    for (const script of races) {
      if (stopped) break;
      const lowered = lower(script);
      const result = await one(lowered, reached, options, io, () => stopped);
      if (options.witness !== undefined) return witness(lowered, result, options.witness, io);
      reports.push(result.report);
      if (options.json) io.out(`${JSON.stringify(result.report)}\n`);
      else io.out(`${litmusText(result, leftOut(script, reached), io)}\n`);
    }
    if (options.json) io.out(`${JSON.stringify(litmusSums(reports))}\n`);
    else io.out(sumsText(reports, reached?.title ?? null, io));
    if (stopped) return EXIT_INTERRUPTED;
    if (bad > 0) return Exit.USAGE;
    return reports.some((report) => report.seen_not_permitted > 0) ? Exit.FOUND : Exit.OK;
  } finally {
    release();
    await reached?.close();
  }
}

/** Why the kernel does not run a script; null if it does. */
function leftOut(script: Script, reached: Target | null): string | null {
  return reached === null ? null : skipReason(script, reached.traits, true);
}

async function one(
  lowered: Lowered,
  reached: Target | null,
  options: CommandOptions,
  io: Io,
  stopped: () => boolean,
): Promise<LitmusResult> {
  const { script } = lowered;
  const version = modelVersion(script, options, reached === null ? NEWEST : profileOf(reached.traits));
  const bar = progress(io, script.file, options.runs);
  try {
    return await litmus(lowered, leftOut(script, reached) === null ? (reached?.ports ?? []) : [], {
      profile: kernelProfile(version),
      runs: options.runs,
      seed: hashText(options.seed ?? script.seed ?? ""),
      prune: options.prune,
      preemptions: options.preemptions,
      schedulesMax: options.schedules,
      stopped,
      onRuns: (runs) => bar.update(runs),
    });
  } finally {
    bar.stop();
  }
}

function witness(lowered: Lowered, { exploration }: LitmusResult, index: number, io: Io): number {
  const found = exploration.outcomes[index - 1];
  if (found === undefined) {
    throw new UserError(`litmus: no outcome ${index}`, `there are ${exploration.outcomes.length} permitted ones`);
  }
  io.out(`# ${found.outcome}\n${printSchedule(found.witness, lowered.tasks)}\n`);
  return Exit.OK;
}
