/**
 * More memory for programs that say how much they need: Node takes its limit only at its start.
 */
import { spawn } from "node:child_process";
import { getHeapStatistics } from "node:v8";

const MIB = 2 ** 20;
/** What the limit of a new process is above what was asked for: room for what is not the program's own. */
const MARGIN_MIB = 256;
/** Room for new objects: a program so large keeps most of them, and each collection of a small one would copy them. */
const SEMI_SPACE_MIB = 32;

/** What this process may take. */
export function heapLimitMiB(): number {
  return getHeapStatistics().heap_size_limit / MIB;
}

/** Runs this same command line in a process with a higher limit. @returns its exit code. */
export function rerun(neededMiB: number): Promise<number> {
  const limits = [
    `--max-old-space-size=${Math.ceil(neededMiB + MARGIN_MIB)}`,
    `--max-semi-space-size=${SEMI_SPACE_MIB}`,
  ];
  const child = spawn(process.execPath, [...process.execArgv, ...limits, ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  // Ctrl-C reaches the child by itself, and it is the child's to end.
  const ignore = (): void => {};
  process.on("SIGINT", ignore);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      process.off("SIGINT", ignore);
      resolve(code ?? (signal === "SIGKILL" ? SIGKILLED : 1));
    });
  });
}

/** 128 + SIGKILL: the machine had no such memory. */
const SIGKILLED = 137;
