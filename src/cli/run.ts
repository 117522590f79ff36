/**
 * `epollsim run`: what happens, step by step, and why?
 */
import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import seedrandom from "seedrandom";
import { POLICIES, type Policy, parseSchedule, policyScheduler, Replay, ScheduleError } from "../explore/index.ts";
import { type Story, tellStory } from "../export/story.ts";
import { NEWEST } from "../kernel/profile.ts";
import type { RaceScheduler } from "../syscalls/race.ts";
import { lower } from "../trace/lower.ts";
import { nearest } from "../trace/nearest.ts";
import { printLine } from "../trace/printer.ts";
import { kernelFits, parseScript, type Script } from "../trace/script.ts";
import type { Lowered } from "../trace/source-map.ts";
import { Exit, UserError } from "./errors.ts";
import { expandScripts, readSmallFile, readSource } from "./files.ts";
import type { Io } from "./io.ts";
import { wholeNumber, worldOptions } from "./options.ts";
import { programFile } from "./program-module.ts";
import { storyJson } from "./run-json.ts";
import { type ProgramRunOptions, runProgram } from "./run-program.ts";
import { timeline } from "./timeline.ts";
import { modelFor, modelVersion } from "./worlds.ts";

interface RunOptions extends ProgramRunOptions {
  readonly dump?: boolean;
  readonly schedule?: string;
  readonly policy?: Policy;
  readonly depth: number;
}

const EXAMPLES = `
The timeline:
  +  an item joins the red-black tree            -  it leaves it
  >  an item is queued on rdllist or ovflist     <  a scan drops it: a fresh look shows nothing
  !  a file wakes whoever watches it             ~  a watching item does not care
  z  a task goes to sleep                        *  it wakes up
  x  a one-shot item is disarmed                 @  the virtual clock moves
  !! something is not what the script expects

Examples:
  epollsim run traces/epoll/E-081-mod-rearms-edge.strace
  epollsim run --dump --kernel 5.4 script.strace      with pictures, on an older kernel
  epollsim run --trace script.strace > out.strace     the same script with the model's answers
  epollsim run --json script.strace | jq 'select(.type == "change")'

A program (.ts, .mts, .js, .mjs, or a folder with such an index) is loaded as node would: run only what you trust.
It takes its own options behind its name; \`epollsim run PROGRAM --help\` lists them. See docs/runtime.md.
  epollsim run server.ts --connections 100 --seed 7
  epollsim run server.ts --trace > server.strace      its calls, as a recording for \`epollsim replay\`
  epollsim run server.ts --traces out                 the same of several machines, out/NAME.strace`;

/** Adds the command. */
export function runCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("run")
    .summary("what happens when a script runs on the model, call by call, and why?")
    .description("Runs scripts on the model: prints each call as strace would, and below it what changed inside.")
    .argument("[script...]", "scripts, folders of scripts, - for standard input; or a program and its options")
    .allowUnknownOption()
    .helpOption(false)
    .option("--dump", "draw every epoll at each '#! dump' line and at the end")
    .option("-q, --quiet", "print only what is not as the script expects")
    .option("--trace", "print only the calls, as strace would")
    .option("--traces <folder>", "for programs: write a recording of each machine and host into this folder")
    .option("--json", "one JSON object a line; see docs/json.md")
    .option("--schedule <schedule>", "replay this schedule of the lines behind '#! par': its text, or a file")
    .addOption(new Option("--policy <policy>", "who runs next behind '#! par'").choices(POLICIES))
    .option("--depth <n>", "for --policy pct: priority changes, plus one", wholeNumber(1), PCT_DEPTH)
    .option("-h, --help", "print this help, or that of a program")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (names: string[], options: RunOptions) => {
    const [first = "", ...rest] = names;
    const file = first === "" ? null : programFile(first);
    if (file !== null) finish(await runProgram(file, rest, programOnly(options), io));
    else if (options.help === true) command.outputHelp();
    else finish(await run(scriptNames(names, command), options, io));
  });
}

const PCT_DEPTH = 3;

/** @throws UserError for an option that only scripts have. */
function programOnly(options: RunOptions): ProgramRunOptions {
  const { dump, schedule, policy } = options;
  const wrong = Object.entries({ dump, schedule, policy }).find(([, value]) => value !== undefined);
  if (wrong === undefined) return options;
  throw new UserError(
    `run: --${wrong[0]} with a program`,
    "it is for scripts; a program has --trace, --traces, --json and --quiet",
  );
}

/** Ends the command for no script, and for an option that does not exist: commander leaves them to us, for programs. */
function scriptNames(names: readonly string[], command: Command): readonly string[] {
  const unknown = names.find((name) => /^-./.test(name));
  if (unknown !== undefined) {
    const known = command.options.map(({ long }) => long ?? "");
    const near = nearest(unknown, known);
    command.error(`error: unknown option '${unknown}'${near === null ? "" : `\n(Did you mean ${near}?)`}`);
  }
  if (names.length === 0) command.error("error: missing required argument 'script'");
  return names;
}

/** @throws UserError for a schedule that does not fit the script. */
function tell(script: Script, lowered: Lowered, options: RunOptions): Story {
  try {
    return tellStory(lowered, modelFor(script, options, NEWEST, schedulerFor(lowered, options)));
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    throw new UserError(`${script.file}: ${error.message}`, "`epollsim litmus --witness N` prints schedules that fit");
  }
}

/** Who runs in a race, where the command line says it. @throws UserError for a schedule that cannot be read */
function schedulerFor(lowered: Lowered, options: RunOptions): RaceScheduler | null {
  const { schedule, policy, depth, seed } = options;
  if (schedule !== undefined && policy !== undefined) {
    throw new UserError("run: --schedule and --policy together", "a schedule leaves nothing to a policy");
  }
  if (policy !== undefined) {
    return policyScheduler(policy, { random: seedrandom(seed ?? lowered.script.seed ?? ""), depth });
  }
  if (schedule === undefined) return null;
  const text = existsSync(schedule) ? readSmallFile(schedule) : schedule;
  return new Replay(parseSchedule(text, lowered.tasks), lowered.tasks);
}

interface Sums {
  scripts: number;
  calls: number;
  diverged: number;
  stopped: number;
}

async function run(names: readonly string[], options: RunOptions, io: Io): Promise<number> {
  if (options.traces !== undefined) throw new UserError("run: --traces with a script", "a script has --trace");
  const files = expandScripts(names);
  const sums: Sums = { scripts: 0, calls: 0, diverged: 0, stopped: 0 };
  for (const file of files) {
    const source = await readSource(file);
    const script = parseScript(source.text, source.file);
    const lowered = lower(script);
    if (options.kernel !== undefined && !kernelFits(script, options.kernel)) {
      io.err(`${script.file}: not run: its '#! kernel' line excludes ${options.kernel}\n`);
      continue;
    }
    const story = tell(script, lowered, options);
    sums.scripts += 1;
    sums.calls += story.calls;
    sums.diverged += story.diverged;
    if (story.end !== "done") sums.stopped += 1;
    print(script, story, options, files.length > 1, io);
  }
  printSums(sums, options, io);
  return sums.diverged + sums.stopped > 0 ? Exit.FOUND : Exit.OK;
}

function print(script: Script, story: Story, options: RunOptions, titled: boolean, io: Io): void {
  const { style, columns } = io;
  if (options.json) {
    const kernel = modelVersion(script, options, NEWEST);
    for (const object of storyJson(script, story, kernel, options)) io.out(`${JSON.stringify(object)}\n`);
    return;
  }
  if (options.trace) {
    for (const { line } of story.lines) io.out(`${printLine(line, { width: TRACE_WIDTH })}\n`);
    return;
  }
  const quiet = options.quiet ?? false;
  const wrong = story.diverged > 0 || story.end !== "done";
  if (titled && (!quiet || wrong)) io.out(`${style.strong(`== ${script.file}`)}\n`);
  const lines = timeline(story, { style, columns, quiet, dump: options.dump ?? false });
  for (const line of lines) io.out(`${line}\n`);
  if (titled && !quiet) io.out("\n");
}

const TRACE_WIDTH = 72;

function printSums({ scripts, calls, diverged, stopped }: Sums, options: RunOptions, io: Io): void {
  if (options.trace) return;
  if (options.json) {
    io.out(`${JSON.stringify({ type: "summary", scripts, calls, diverged, stopped })}\n`);
    return;
  }
  const { good, bad } = io.style;
  const verdict = diverged + stopped === 0 ? good("all as expected") : bad(`not as expected: ${diverged}`);
  const early = stopped === 0 ? "" : `, ${bad(`ended early: ${stopped}`)}`;
  io.out(`${scripts === 1 ? "" : `scripts ${scripts}, `}calls ${calls}, ${verdict}${early}\n`);
}
