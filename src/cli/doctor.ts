/**
 * `epollsim doctor`: which epoll misuse does this program commit?
 */
import { type Command, Option } from "commander";
import { type Diagnosis, diagnose } from "../analysis/doctor/doctor.ts";
import { doctorHtml } from "./doctor-html.ts";
import { doctorSarif } from "./doctor-sarif.ts";
import { diagnosisText } from "./doctor-text.ts";
import { Exit, UserError } from "./errors.ts";
import { expandScripts } from "./files.ts";
import type { OnRead } from "./input.ts";
import type { Io } from "./io.ts";
import { type WorldOptions, worldOptions } from "./options.ts";
import { filesProgress } from "./progress.ts";
import { duration, makeRecording } from "./record.ts";
import { follow, openTrace, type TraceKind } from "./traces.ts";

const FORMATS = ["text", "json", "sarif", "html"] as const;
type Format = (typeof FORMATS)[number];

interface Options extends WorldOptions {
  readonly format: Format;
  readonly json?: boolean;
  readonly verbose?: boolean;
  readonly as?: TraceKind;
  readonly out?: string;
  readonly for?: number;
  readonly force?: boolean;
}

/** One trace and what is wrong with it. */
export interface DoctoredFile extends Diagnosis {
  readonly file: string;
  /** The trace's lines as text; empty unless a format shows them. */
  readonly text: readonly string[];
}

const EXAMPLES = `
Severities: an error loses events or burns a CPU, and lines of the trace prove it (exit code 1); a warning will, or wastes much; a
note is worth knowing. docs/doctor.md has an entry for each id: what it means, how to mend it, when to ignore it.

Examples:
  epollsim doctor server.strace.gz                    findings, short
  epollsim doctor -v server.strace.gz                 with the lines that prove them, and the loops' figures
  epollsim doctor --for 30s -- ./server --port 8080   records the server for half a minute first
  epollsim doctor --format html server.strace > report.html
  epollsim doctor --format sarif traces/*.strace > findings.sarif`;

/** Adds the command. */
export function doctorCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("doctor")
    .summary("which epoll misuse does this program commit?")
    .description("Looks for misuse of epoll in recordings and scripts. Every finding names the lines that prove it.")
    .argument(
      "<trace...>",
      "recordings or scripts (.strace, .strace.gz), folders, - for standard input; behind --: a command to record",
    )
    .addOption(new Option("--format <format>", "how to report").choices(FORMATS).default("text"))
    .option("--json", "the same as --format json")
    .option("-o, --out <file>", "behind --: where to write the recording; PROGRAM.strace.gz if not given")
    .option("--force", "behind --: replace a recording that is there")
    .option("--for <time>", "behind --: end the recording after this time: 30s, 500ms, 2m", duration)
    .option("-v, --verbose", "with the lines that prove each finding, and figures of each loop")
    .addOption(new Option("--as <kind>", "take the files for this").choices(["script", "recording"]))
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (names: string[], options: Options) => {
    finish(await (isBehindDashes(program, names) ? recordFirst(names, options, io) : doctor(names, options, io)));
  });
}

/** Whether the operands stood behind `--`: then they are a command. Commander knows the whole line, and does not say so. */
function isBehindDashes(program: Command, operands: readonly string[]): boolean {
  const raw: unknown = "rawArgs" in program ? program.rawArgs : null;
  return Array.isArray(raw) && raw.at(-operands.length - 1) === "--";
}

/** @throws UserError */
async function recordFirst(command: readonly string[], options: Options, io: Io): Promise<number> {
  const { file, lines, status } = await makeRecording(command, options);
  io.err(`${io.errStyle.dim(`${lines} lines in ${file}; the program ended with ${status}`)}\n`);
  return await doctor([file], options, io);
}

async function doctor(names: readonly string[], options: Options, io: Io): Promise<number> {
  const format = options.json ? "json" : options.format;
  if (options.json && options.format !== "text" && options.format !== "json") {
    throw new UserError("doctor: --json and --format together", "choose one");
  }
  const files = expandScripts(names);
  const bar = filesProgress(io, "traces", files.length);
  const results: DoctoredFile[] = [];
  try {
    for (const file of files) {
      const result = await examine(file, options, format === "html", bar.begin(file));
      results.push(result);
      bar.hide();
      if (format === "text")
        for (const line of diagnosisText(result, options.verbose ?? false, io.style)) io.out(`${line}\n`);
      if (format === "json") io.out(`${JSON.stringify(diagnosisJson(result))}\n`);
    }
  } finally {
    bar.stop();
  }
  if (format === "sarif") io.out(`${JSON.stringify(doctorSarif(results), null, 2)}\n`);
  if (format === "html") io.out(doctorHtml(results));
  const errors = results.flatMap(({ findings }) => findings).filter(({ severity }) => severity === "error");
  return errors.length > 0 ? Exit.FOUND : Exit.OK;
}

/** @throws UserError, ParseError */
async function examine(path: string, options: Options, withText: boolean, onRead: OnRead): Promise<DoctoredFile> {
  const trace = await openTrace(path, options.as ?? null, onRead);
  const text: Uint8Array[] = [];
  const kept = withText ? { ...trace, chunks: keeping(trace.chunks, text) } : trace;
  const diagnosis = diagnose(await follow(kept, options));
  return {
    file: trace.file,
    ...diagnosis,
    text: withText ? Buffer.concat(text).toString("utf8").trimEnd().split("\n") : [],
  };
}

async function* keeping(chunks: AsyncIterable<Uint8Array>, kept: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    kept.push(chunk);
    yield chunk;
  }
}

/** docs/schema/doctor.schema.json describes it. */
function diagnosisJson({ file, findings, loops, waits, doubtful, inconclusive }: DoctoredFile): object {
  const list = findings.map(({ kind, ...finding }) => ({
    id: kind.id,
    name: kind.name,
    ...finding,
    remedy: kind.remedy,
  }));
  return { type: "diagnosis", file, waits, doubtful, inconclusive, findings: list, loops };
}
