/** Runs Go programs on a fresh machine, for tests. */
import { type GoMain, type GoOptions, goProgram, type Runtime } from "epollsim/go";
import { type CallTracer, Machine, type SyscallName } from "epollsim/runtime";
import seedrandom from "seedrandom";
import { LiveTrace, printLine } from "../../src/trace/index.ts";

/** One call of the run, when it ended; `result` null while it has not. */
export interface GoCall {
  readonly tid: number;
  readonly name: SyscallName;
  readonly args: readonly number[];
  /** When it was entered, in ns since boot. */
  readonly atNs: number;
  result: number | null;
}

export interface GoRun {
  readonly machine: Machine;
  readonly rt: Runtime;
  /** What the program printed, line by line. */
  readonly out: string[];
  readonly calls: GoCall[];
  /** The exit status of the process; null while it lives. */
  readonly status: number | null;
  /** Calls of this name. */
  named(name: SyscallName): GoCall[];
}

/** Steps after which a program counts as hanging. */
const MAX_STEPS = 2_000_000;

export interface GoTestOptions extends GoOptions {
  readonly seed?: string;
  readonly kernel?: string;
  readonly sysctls?: Readonly<Record<string, number>>;
  /** The program need not end: it is stopped after so many steps. */
  readonly steps?: number;
}

export function runGo(main: GoMain, options: GoTestOptions = {}): GoRun {
  const { seed, steps = MAX_STEPS, kernel, sysctls } = options;
  const out: string[] = [];
  const calls: GoCall[] = [];
  const machine = new Machine({
    ...(seed === undefined ? {} : { random: seedrandom(seed) }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(sysctls === undefined ? {} : { sysctls }),
    out: (text) => out.push(text.trimEnd()),
  });
  machine.trace(recorder(machine, calls));
  let runtime: Runtime | null = null;
  const thread = machine.spawn(
    "go",
    goProgram(main, options, (rt) => {
      runtime = rt;
    }),
  );
  const goesOn = machine.run(steps);
  if (goesOn && options.steps === undefined) throw new Error(`the program still runs after ${MAX_STEPS} steps`);
  if (runtime === null) throw new Error("the program has not begun");
  return {
    machine,
    rt: runtime,
    out,
    calls,
    status: goesOn ? null : thread.task.exitCode >> 8,
    named: (name) => calls.filter((call) => call.name === name),
  };
}

function recorder(machine: Machine, calls: GoCall[]): CallTracer {
  const open = new Map<number, GoCall>();
  return {
    enter: (tid, name, args) => {
      const call: GoCall = { tid, name, args: [...args], atNs: machine.nowNs, result: null };
      calls.push(call);
      open.set(tid, call);
    },
    exit: (tid, result) => {
      const call = open.get(tid);
      if (call !== undefined) call.result = result;
      open.delete(tid);
    },
    spawned: () => {},
    ended: () => {},
  };
}

/** The run's calls as `run --trace` prints them. */
export function traceGo(main: GoMain, options: GoTestOptions = {}): string {
  const { seed } = options;
  const machine = new Machine(seed === undefined ? {} : { random: seedrandom(seed) });
  let text = "#! order exact\n";
  const trace = new LiveTrace(machine.kernel.clock, (line) => {
    text += `${printLine(line)}\n`;
  });
  machine.trace(trace);
  machine.spawn("go", goProgram(main, options));
  machine.run(MAX_STEPS);
  trace.finish();
  return text;
}
