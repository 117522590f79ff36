/**
 * The command `record`: a recording with the options that a replay needs.
 */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "./errors.ts";
import type { Io } from "./io.ts";
import { wholeNumber } from "./options.ts";
import { type Recorded, recordTrace } from "./strace.ts";

interface Options {
  readonly out?: string;
  readonly for?: number;
  readonly pid?: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

const EXAMPLES = `
The program runs as it would without: its input, output, signals and exit code are its own. It runs slower, since strace stops it
twice in each call.

Examples:
  epollsim record -- ./server --port 8080        until the server ends; writes server.strace.gz
  epollsim record --for 30s -- ./server          30 seconds, then SIGTERM
  epollsim record --for 10s -p 4711 -o a.gz      10 seconds of a process that runs; it goes on afterwards
  epollsim replay server.strace.gz               what does the model say?`;

/** Adds the command. */
export function recordCommand(program: Command, io: Io, finish: (code: number) => void): void {
  program
    .command("record")
    .summary("strace a program with the options that replay needs")
    .description("Runs a program under strace with exactly the options that a replay wants, and packs the recording.")
    .argument("[command...]", "behind --: the program and its arguments")
    .option("-o, --out <file>", "where to write; PROGRAM.strace.gz if not given")
    .option("-p, --pid <pid>", "attach to a process that runs, instead of starting one", wholeNumber(1))
    .option("--for <time>", "end after this time: 30s, 500ms, 2m", duration)
    .option("--force", "replace a file that is there")
    .option("--json", "one JSON object at the end, on standard output")
    .addHelpText("after", EXAMPLES)
    .action(async (command: string[], options: Options) => finish(await record(command, options, io)));
}

/** Reads `30s`, `500ms`, `2m`. @returns ms */
export function duration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Number(number) * (UNITS[unit ?? ""] ?? Number.NaN);
  if (ms >= 1 && ms < 2 ** 31) return Math.round(ms);
  throw new InvalidArgumentError("Expected a time such as 30s, 500ms or 2m.");
}

async function record(command: readonly string[], options: Options, io: Io): Promise<number> {
  const { file, lines, bytes, status } = await makeRecording(command, options);
  if (options.json === true) io.out(`${JSON.stringify({ file, lines, bytes, status })}\n`);
  else io.err(`${io.errStyle.dim(`${lines} lines in ${file} (${bytes} bytes)`)}\n`);
  return status;
}

/**
 * Records a program, or a process that runs.
 *
 * @throws UserError - neither or both are given, the file is there already, or strace cannot do it.
 */
export async function makeRecording(
  command: readonly string[],
  options: Pick<Options, "out" | "for" | "pid" | "force">,
): Promise<Recorded & { readonly file: string }> {
  const pid = options.pid ?? null;
  if ((pid === null) === (command.length === 0)) {
    const what = pid === null ? "nothing to record" : "a program and a process to attach to at once";
    throw new UserError(what, "epollsim record -- PROGRAM ARGS, or epollsim record -p PID");
  }
  const file = options.out ?? `${pid ?? basename(command[0] ?? "")}.strace.gz`;
  if (existsSync(file) && options.force !== true) {
    throw new UserError(`${file}: is there already`, "-o FILE writes elsewhere, --force replaces it");
  }
  return { file, ...(await recordTrace({ command, pid, forMs: options.for ?? null, out: file })) };
}
