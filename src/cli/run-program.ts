/**
 * `epollsim run PROGRAM.ts`: a program of the user's, on simulated machines, to its end.
 */
import seedrandom from "seedrandom";
import { NEWEST } from "../kernel/profile.ts";
import {
  type Counters,
  type Figures,
  type Host,
  Machine,
  type MachineOptions,
  ProgramError,
  type Runnable,
  type Sleeper,
} from "../runtime/index.ts";
import { Exit } from "./errors.ts";
import { heapLimitMiB, rerun } from "./heap.ts";
import { EXIT_INTERRUPTED, type Io } from "./io.ts";
import type { WorldOptions } from "./options.ts";
import { loadProgram } from "./program-module.ts";
import { programHelp, programOptions } from "./program-options.ts";
import { tableLines, tableObjects } from "./program-table.ts";
import { ProgramTraces } from "./program-traces.ts";
import { type Progress, progress } from "./progress.ts";

/** The options of `run` that mean something for programs. */
export interface ProgramRunOptions extends WorldOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly trace?: boolean;
  readonly traces?: string;
  readonly help?: boolean;
}

/** Steps between two looks at the clock on the wall. */
const STEPS = 256;
/** How long the machine runs before others (progress, Ctrl-C) have their turn, in ms. */
const TURN_MS = 100;
/** Calls that the summary names. */
const CALLS_SHOWN = 8;

/** What has been made for one run. */
interface Session {
  readonly machines: Machine[];
  readonly traces: ProgramTraces;
  bar: Progress;
  done: () => number;
  failed: boolean;
}

/** @param args - what stands behind the program's name. @returns the exit code. */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramRunOptions,
  io: Io,
): Promise<number> {
  const program = await loadProgram(file);
  if (options.help === true) {
    io.out(programHelp(file, program.summary, program.options, io.columns));
    return Exit.OK;
  }
  const values = programOptions(file, program.summary, program.options, args);
  const needed = program.heapMiB?.(values) ?? 0;
  if (needed > heapLimitMiB()) return await rerun(needed);
  const traces = new ProgramTraces(options, io);
  const session: Session = { machines: [], traces, bar: progress(io, "", 0), done: () => 0, failed: false };
  const begun = performance.now();
  const main = program.main(hostOf(session, options, io), values);
  let stopped = false;
  const stopListening = io.onInterrupt(() => {
    stopped = true;
  });
  let threw = false;
  let figures: Figures = {};
  try {
    // What stands behind a run would judge a half of it: Ctrl-C leaves it out.
    while (!stopped) {
      const next = main.next();
      if (next.done === true) {
        figures = next.value;
        break;
      }
      await runToEnd(next.value, session, () => stopped);
      session.bar.stop();
    }
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    threw = true;
    io.err(`${io.errStyle.bad("error:")} ${describe(error)}\n`);
  } finally {
    session.bar.stop();
    stopListening();
    const files = traces.finish();
    if (files.length > 0 && !options.quiet) io.err(`recordings: ${files.join(", ")}\n`);
  }
  const wallS = (performance.now() - begun) / 1000;
  printSummary(file, session, figures, { ...options, wallS, stopped, threw }, io);
  const sleepers = session.machines.some((machine) => machine.sleepers().length > 0);
  if (stopped) return EXIT_INTERRUPTED;
  return session.failed || threw || sleepers ? Exit.FOUND : Exit.OK;
}

/** Where in the program it went wrong: the lines of the stack that are the user's. */
function describe(error: ProgramError): string {
  const { cause } = error;
  const stack = cause instanceof Error ? (cause.stack ?? "").split("\n").slice(1) : [];
  const own = stack.filter((line) => !line.includes("/dist/") && !line.includes("node:"));
  return [error.message, ...own].join("\n");
}

async function runToEnd(runnable: Runnable, session: Session, isStopped: () => boolean): Promise<void> {
  for (;;) {
    const until = performance.now() + TURN_MS;
    do {
      if (!runnable.run(STEPS)) return;
    } while (performance.now() < until);
    session.bar.update(session.done());
    await new Promise((resolve) => setImmediate(resolve));
    if (isStopped()) return;
  }
}

function hostOf(session: Session, options: ProgramRunOptions, io: Io): Host {
  const { seed, kernel, json, quiet, trace } = options;
  const print = (text: string): void => {
    if (json) io.out(`${JSON.stringify({ type: "print", text })}\n`);
    else if (!quiet && !trace) io.out(`${text}\n`);
  };
  const machine = (own: MachineOptions = {}): Machine => {
    const random = seed === undefined ? {} : { random: seedrandom(seed) };
    const made = new Machine({
      kernel: kernel ?? NEWEST,
      ...random,
      out: (text) => print(text.replace(/\n$/, "")),
      ...own,
    });
    session.machines.push(made);
    session.traces.watch(made);
    return made;
  };
  return {
    machine,
    random: seedrandom(`program ${seed ?? ""}`),
    print,
    table: (columns, rows) => {
      if (!json) for (const line of tableLines(columns, rows)) print(line);
      else for (const object of tableObjects(columns, rows)) io.out(`${JSON.stringify(object)}\n`);
    },
    fail: (text) => {
      session.failed = true;
      if (json) print(text);
      else io.err(`${io.errStyle.bad("failed:")} ${text}\n`);
    },
    progress: (what, total, done) => {
      session.bar = progress(io, what, total);
      session.done = done;
    },
  };
}

interface Ending extends ProgramRunOptions {
  readonly wallS: number;
  readonly stopped: boolean;
  /** A program threw: the others were still at it. */
  readonly threw: boolean;
}

function printSummary(file: string, session: Session, figures: Figures, ending: Ending, io: Io): void {
  const sleepers = session.machines.flatMap((machine) => machine.sleepers());
  const counters = session.machines.map((machine) => machine.counters());
  const calls = callsOf(counters);
  const elapsedNs = session.machines.reduce((total, machine) => total + machine.elapsedNs, 0);
  const rssBytes = process.resourceUsage().maxRSS * 1024;
  if (ending.json) {
    const object = {
      type: "summary",
      program: file,
      kernel: ending.kernel ?? NEWEST,
      seed: ending.seed ?? null,
      ...figures,
      calls: sum(counters, "callsTotal"),
      calls_by_name: Object.fromEntries(calls),
      switches: sum(counters, "switches"),
      wake_ups: sum(counters, "wakeUps"),
      blocked_s: sum(counters, "blockedNs") / 1e9,
      threads: sum(counters, "threads"),
      virtual_s: elapsedNs / 1e9,
      asleep: ending.stopped || ending.threw ? [] : sleepers.map(({ tid, name, call }) => ({ tid, name, call })),
      interrupted: ending.stopped,
      wall_s: Number(ending.wallS.toFixed(3)),
      rss_bytes: rssBytes,
    };
    io.out(`${JSON.stringify(object)}\n`);
    return;
  }
  const out = ending.trace ? io.err : io.out;
  if (ending.stopped) io.err(`${io.errStyle.bad("interrupted:")} the figures are those of a part\n`);
  if (!ending.stopped && !ending.threw) printSleepers(sleepers, io);
  const found = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  if (found.length > 0) out(`${found.join(", ")}\n`);
  const shown = calls.slice(0, CALLS_SHOWN).map(([name, count]) => `${name} ${count}`);
  const rest = calls.length > CALLS_SHOWN ? ", ..." : "";
  out(`calls ${sum(counters, "callsTotal")}: ${shown.join(", ")}${rest}\n`);
  out(
    `threads ${sum(counters, "threads")}, switches ${sum(counters, "switches")}, wake-ups ${sum(counters, "wakeUps")}, ` +
      `asleep ${seconds(sum(counters, "blockedNs"))}, virtual time ${seconds(elapsedNs)}\n`,
  );
  // What differs from run to run stays out of standard output.
  io.err(`wall time ${ending.wallS.toFixed(1)} s, resident at most ${(rssBytes / 2 ** 20).toFixed(0)} MiB\n`);
}

function printSleepers(sleepers: readonly Sleeper[], io: Io): void {
  if (sleepers.length === 0) return;
  io.err(`${io.errStyle.bad("asleep for ever:")} nothing will wake ${sleepers.length} of the threads\n`);
  for (const { tid, name, call, sinceNs } of sleepers.slice(0, 10)) {
    io.err(`  ${tid} ${name}: in ${call}() since ${seconds(sinceNs)} after boot\n`);
  }
  if (sleepers.length > 10) io.err(`  and ${sleepers.length - 10} more\n`);
}

function callsOf(counters: readonly Counters[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const { calls } of counters) {
    for (const [name, count] of calls) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

function sum(
  counters: readonly Counters[],
  field: "callsTotal" | "switches" | "wakeUps" | "blockedNs" | "threads",
): number {
  return counters.reduce((total, one) => total + one[field], 0);
}

function seconds(ns: number): string {
  return `${Number((ns / 1e9).toPrecision(6))} s`;
}
