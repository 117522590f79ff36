/**
 * `epollsim diff`: do the model and a real kernel agree?
 */
import type { Command } from "commander";
import { diffScripts, type Worlds } from "../diff/engine.ts";
import type { Family } from "../diff/families/family.ts";
import { families } from "../diff/families/index.ts";
import { type ScriptReport, type Summary, summarize } from "../diff/report.ts";
import type { Script } from "../trace/script.ts";
import { closingLine, divergenceText, leftOutText, reportTable, typesTable } from "./diff-text.ts";
import { Exit, UserError } from "./errors.ts";
import { expandScripts, notShownBeside, readScripts } from "./files.ts";
import { generated, scriptsToMake, type TypeSums } from "./generated.ts";
import { EXIT_INTERRUPTED, type Io } from "./io.ts";
import { familyList, targetText, type WorldOptions, wholeNumber, worldOptions } from "./options.ts";
import { progress } from "./progress.ts";
import { modelFor, openTarget, otherModels, profileOf, type Target } from "./worlds.ts";

/** What the command line says. */
export interface DiffOptions extends WorldOptions {
  readonly json?: boolean;
  readonly state?: boolean;
  readonly target?: string;
  readonly generate?: number;
  readonly only?: readonly Family[];
  readonly ops?: number;
  readonly from: number;
  readonly save: string;
}

const EXAMPLES = `
Each script runs on the model and on the target. Compared are the results, output arguments, order of events, who
sleeps and who wakes: with what the script expects, and with each other. Where a script permits several results
('= {1 | 0}'), each world must give one of them.

Generated scripts know which descriptors are open and who watches whom. What diverges is made as small as possible
and saved as a script of its own. Script I of seed S is always the same; --from goes on where a run stopped.

Examples:
  epollsim diff traces/epoll
  epollsim diff --state script.strace                   compare poll masks and fdinfo after every call, too
  epollsim diff --generate 10000 --seed 7 --save /tmp/found
  epollsim diff --only pipe,unix-stream --ops 20000     random operations on files of these types
  epollsim diff --json traces/epoll | tail -1           the sums
  epollsim diff --target 'exec:ssh host epollsim-agent' traces/epoll`;

const TYPES = families.map(({ name }) => name).join(", ");
const DEFAULT_SAVE = "traces/regressions";
const AGENTS = 2;

/** Adds the command. */
export function diffCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("diff")
    .summary("do the model and a real kernel agree?")
    .description("Runs scripts on the model and on a real kernel, and compares them call by call.")
    .argument("[script...]", "scripts, folders of scripts, or - for standard input")
    .option("--state", "compare the poll mask and fdinfo of every descriptor after each call")
    .option("--generate <n>", "make up n scripts and run those (needs no script)", wholeNumber(1))
    .option(
      "--only <types>",
      `make up scripts about these types of files: ${TYPES}, or all (without tcp-full)`,
      familyList,
    )
    .option("--ops <n>", "make up scripts with n operations for each type (with --only)", wholeNumber(1))
    .option("--from <index>", "index of the first script to make up", wholeNumber(0), 0)
    .option("--save <dir>", "where counterexamples go", DEFAULT_SAVE)
    .option("--target <target>", "exec:COMMAND runs an agent elsewhere (default: this machine's kernel)", targetText)
    .option("--json", "one JSON object a script, then the sums; see docs/json.md")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (names: string[], options: DiffOptions) => finish(await diff(names, options, io)));
}

async function diff(names: readonly string[], options: DiffOptions, io: Io): Promise<number> {
  const made = scriptsToMake(options);
  if (names.length === 0 && made === 0) {
    throw new UserError("diff: nothing to compare", "name scripts, a folder such as traces/epoll, or --generate 1000");
  }
  const files = expandScripts(names);
  const { scripts, bad } = await readScripts(files, io);
  // who names a single script has not asked what its folder leaves out
  const notShown = notShownBeside(files.filter((file) => !names.includes(file)));
  const reached = await openTarget({ target: options.target, agents: AGENTS });
  let stopped = false;
  const release = io.onInterrupt(() => {
    stopped = true;
  });
  try {
    const worlds = worldsOf(reached, options);
    const reports = await compare(scripts, worlds, options, io, () => stopped);
    // for made-up scripts the seed picks the scripts; the model makes its usual choices, and others where those do not do
    const { seed: _seed, ...others } = options;
    const found = stopped ? null : await generated(worldsOf(reached, others), made, options, io, () => stopped);
    const all = [...reports, ...(found?.reports ?? [])];
    const summary = summarize(all, notShown.keys(), found?.saved ?? []);
    printEnd(reports, found?.types ?? [], summary, notShown, reached, options, io);
    if (stopped) return EXIT_INTERRUPTED;
    if (bad > 0) return Exit.USAGE;
    return summary.diverged === 0 ? Exit.OK : Exit.FOUND;
  } finally {
    release();
    await reached.close();
  }
}

/** The worlds of a comparison: the model has the target's version unless the command line says otherwise. */
export function worldsOf(reached: Target, options: WorldOptions & { readonly state?: boolean }): Worlds {
  const version = profileOf(reached.traits);
  return {
    model: (script: Script) => modelFor(script, options, version),
    otherModels: (script: Script) => otherModels(script, options, version),
    targets: reached.ports,
    traits: reached.traits,
    state: options.state ?? false,
  };
}

async function compare(
  scripts: readonly Script[],
  worlds: Worlds,
  options: DiffOptions,
  io: Io,
  stopped: () => boolean,
): Promise<ScriptReport[]> {
  const reports: ScriptReport[] = [];
  const bar = progress(io, "scripts", scripts.length);
  try {
    for await (const report of diffScripts(scripts, worlds)) {
      reports.push(report);
      bar.update(reports.length, report.file);
      if (options.json) {
        bar.hide();
        io.out(`${JSON.stringify(report)}\n`);
      }
      if (stopped()) break;
    }
  } finally {
    bar.stop();
  }
  return reports;
}

function printEnd(
  reports: readonly ScriptReport[],
  types: readonly TypeSums[],
  summary: Summary,
  notShown: ReadonlyMap<string, string>,
  reached: Target,
  options: DiffOptions,
  io: Io,
): void {
  if (options.json) {
    io.out(
      `${JSON.stringify({ ...summary, not_shown: Object.fromEntries(notShown), ...(types.length > 0 ? { types } : {}) })}\n`,
    );
    return;
  }
  const { style } = io;
  if (reports.length > 0) io.out(`${reportTable(reports, style)}\n`);
  if (types.length > 0) io.out(`${typesTable(types, style)}\n`);
  for (const { file, divergences } of reports) {
    for (const divergence of divergences) io.out(`\n${divergenceText(file, divergence, "kernel", style)}\n`);
  }
  io.out(leftOutText(reports, notShown, style));
  io.out(`\n${style.dim(`target: ${reached.title}`)}\n${closingLine(summary, style)}\n`);
}
