/**
 * Go programs as `epollsim run` starts them: the options that all of them have, and the process.
 */
import type { Machine, ProcessOptions } from "../machine.ts";
import type { Thread } from "../thread.ts";
import { costsNamed } from "./cost.ts";
import { type GoMain, goProgram, type Runtime } from "./runtime.ts";
import type { Stats } from "./stats.ts";

/** Options for `defineProgram`. */
export const goOptions = {
  gomaxprocs: { default: 1, help: "GOMAXPROCS: how many goroutines run at once", min: 1 },
  costs: {
    default: "plain",
    help: "how long things take: plain, or under strace as the recordings; 'strace,lookup=300000' changes a figure of the table, in ns",
    check: (text: string): void => {
      costsNamed(text);
    },
  },
  go: { default: "1.19", help: "behave like this release of Go", choices: ["1.19", "newest"] },
  counters: { default: false, help: "print the counters of scheduler and poller" },
} as const;

export interface GoValues {
  readonly gomaxprocs: number;
  readonly go: string;
  readonly costs: string;
}

/** A process that runs a Go program. */
export interface GoProcess {
  readonly thread: Thread;
  /** Set when the process has begun. */
  readonly rt: Runtime | null;
}

export function spawnGo(
  machine: Machine,
  name: string,
  main: GoMain,
  values: GoValues,
  process: ProcessOptions = {},
): GoProcess {
  let runtime: Runtime | null = null;
  const body = goProgram(
    main,
    { gomaxprocs: values.gomaxprocs, version: values.go, costs: costsNamed(values.costs) },
    (rt) => {
      runtime = rt;
    },
  );
  const thread = machine.spawn(name, body, process);
  return {
    thread,
    get rt(): Runtime | null {
      return runtime;
    },
  };
}

/** The counters that are not 0, one a line. */
export function counterLines(stats: Stats): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value === "number" && value !== 0) lines.push(`${name.padEnd(24)} ${value}`);
  }
  for (const [reason, count] of [...stats.parksByReason].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push(`parks: ${reason}`.padEnd(25) + count);
  }
  return lines;
}
