/**
 * The command `replay`: does the model predict what these recordings show?
 */
import type { Command } from "commander";
import { kernelProfile, NEWEST } from "../kernel/profile.ts";
import { Replayer } from "../replay/replayer.ts";
import { addSummaries, type Divergence, type ReplaySummary } from "../replay/summary.ts";
import { ParseError } from "../trace/errors.ts";
import { Exit, reportError, UserError } from "./errors.ts";
import { inputName, type OnRead } from "./input.ts";
import { EXIT_INTERRUPTED, type Io } from "./io.ts";
import { type WorldOptions, wholeNumber, worldOptions } from "./options.ts";
import { filesProgress } from "./progress.ts";
import { expandRecordings, openRecording, type Recording, splitUntimed } from "./sets.ts";
import { chooserFor } from "./worlds.ts";

interface Options extends WorldOptions {
  readonly json?: boolean;
  readonly show: number;
}

/** One recording and what came of it. */
export interface ReplayedFile extends ReplaySummary {
  readonly divergences: readonly Divergence[];
  readonly wallS: number;
}

const EXAMPLES = `
A recording is what strace prints; epollsim record makes one that tells a replay the most:
  epollsim record -o out.strace.gz -- PROGRAM

Each call ends in one class:
  agreed       predicted by the model, and right
  diverged     predicted, and wrong (exit code 1)
  assumed      taken from the recording, because it tells of the world outside
  unsupported  on descriptors, sockets, polling, timers or signals, but unknown to the model
  ignored      nothing to do with the model

Examples:
  epollsim replay traces/captured
  epollsim replay --json server.strace.gz | tail -1`;

/** Adds the command. */
export function replayCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("replay")
    .summary("does the model predict what these recordings show?")
    .description(
      "Follows recordings made by strace call by call, and says where the model would have answered otherwise.",
    )
    .argument(
      "<trace...>",
      "recordings, plain, gzip or zstd; folders of them; out for a set out.PID of strace -ff; - for standard input",
    )
    .option("--json", "one JSON object for each file, then the sums with total: true")
    .option("--show <n>", "divergences to print for each file", wholeNumber(0), 3)
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (names: string[], options: Options) => finish(await replay(names, options, io)));
}

async function replay(names: readonly string[], options: Options, io: Io): Promise<number> {
  const files = (await Promise.all(expandRecordings(names).map(splitUntimed))).flat();
  const bar = filesProgress(io, "recordings", files.length);
  let stopped = false;
  const release = io.onInterrupt(() => {
    stopped = true;
  });
  const startedS = seconds();
  const results: ReplayedFile[] = [];
  let bad = 0;
  try {
    for (const file of files) {
      if (stopped) break;
      const result = await attempt(file, options, { stopped: () => stopped, onRead: bar.begin(file.name) }, io);
      if (stopped) break;
      if (result === null) {
        bad += 1;
        continue;
      }
      results.push(result);
      bar.hide();
      io.out(options.json ? json(result, result.wallS, {}) : text(result, options.show, io));
    }
  } finally {
    bar.stop();
    release();
  }
  const total = addSummaries(results);
  io.out(options.json ? json(total, seconds() - startedS, { total: true }) : totalText(total, results.length, io));
  if (stopped) return EXIT_INTERRUPTED;
  if (bad > 0) return Exit.USAGE;
  return total.diverged > 0 ? Exit.FOUND : Exit.OK;
}

/** A recording that cannot be read is reported, and the others are replayed all the same. */
async function attempt(recording: Recording, options: Options, watch: Watch, io: Io): Promise<ReplayedFile | null> {
  try {
    const result = await replayRecording(recording, options, watch);
    const { unread } = result;
    if (unread.count > 0) {
      const rest = unread.count > 1 ? ` (and ${unread.count - 1} more)` : "";
      io.err(`${io.errStyle.dim("passed over:")} ${unread.first?.message}${rest}\n`);
    }
    return result;
  } catch (error) {
    if (!(error instanceof ParseError || error instanceof UserError)) throw error;
    reportError(error, io);
    return null;
  }
}

/** Who waits for a replay. */
interface Watch {
  /** Asked now and then; a replay that is told to stop ends early, and its result means nothing. */
  readonly stopped: () => boolean;
  readonly onRead?: OnRead;
}

/** Replays one recording of one file. @throws UserError, ParseError - the file cannot be read. */
export function replayFile(path: string, kernel: string, stopped: Watch["stopped"]): Promise<ReplayedFile> {
  return replayRecording({ name: path, files: [] }, { kernel }, { stopped });
}

async function replayRecording(
  recording: Recording,
  { kernel = NEWEST, seed }: WorldOptions,
  { stopped, onRead }: Watch,
): Promise<ReplayedFile & { readonly unread: Unread }> {
  const startedS = seconds();
  const file = inputName(recording.name);
  const replayer = new Replayer({ profile: kernelProfile(kernel), chooser: chooserFor(seed), file });
  const unread: Unread = { count: 0, first: null };
  const onError = (error: ParseError): void => {
    unread.count += 1;
    unread.first ??= error;
  };
  for await (const batch of openRecording(recording, { lenient: true, onError, onProgress: onRead })) {
    for (const line of batch) replayer.push(line);
    if (stopped()) break;
  }
  const summary = replayer.finish();
  if (summary.calls === 0 && unread.first !== null) throw unread.first;
  return { ...summary, divergences: replayer.tally.divergences, wallS: seconds() - startedS, unread };
}

/** Lines between those of strace that are none. */
interface Unread {
  count: number;
  first: ParseError | null;
}

function seconds(): number {
  return performance.now() / 1000;
}

function json(summary: ReplaySummary, wallS: number, more: Readonly<Record<string, unknown>>): string {
  const { file, calls, agreed, diverged, assumed, unsupported, ignored } = summary;
  const counts = { file, calls, agreed, diverged, assumed, unsupported, ignored };
  const { unsupported_calls, first_divergence } = summary;
  const cost = { wall_s: Number(wallS.toFixed(3)), rss_bytes: process.memoryUsage.rss() };
  return `${JSON.stringify({ ...counts, unsupported_calls, first_divergence, ...cost, ...more })}\n`;
}

function counts(summary: ReplaySummary, io: Io): string {
  const { calls, agreed, diverged, assumed, unsupported, ignored } = summary;
  const wrong = diverged > 0 ? io.style.bad(`diverged ${diverged}`) : `diverged ${diverged}`;
  return `calls ${calls}, agreed ${agreed}, ${wrong}, assumed ${assumed}, unsupported ${unsupported}, ignored ${ignored}`;
}

function text(result: ReplayedFile, show: number, io: Io): string {
  const lines = [`${io.style.strong(result.file)}: ${counts(result, io)}`];
  for (const divergence of result.divergences.slice(0, show)) {
    const { line, task, call, field, recorded, predicted } = divergence;
    const who = task === null ? "" : ` task ${task}`;
    lines.push(`  ${result.file}:${line ?? "?"}:${who} ${call}: ${field} recorded ${recorded}, predicted ${predicted}`);
  }
  if (result.diverged > show && show > 0) lines.push(io.style.dim(`  ... ${result.diverged - show} more`));
  return `${lines.join("\n")}\n`;
}

function totalText(total: ReplaySummary, nrFiles: number, io: Io): string {
  const names = Object.entries(total.unsupported_calls).slice(0, 10);
  const unknown = names.length === 0 ? "" : `\n  unsupported: ${names.map(([name, n]) => `${name} ${n}`).join(", ")}`;
  return `${io.style.strong(nrFiles === 1 ? "1 recording" : `${nrFiles} recordings`)}: ${counts(total, io)}${unknown}\n`;
}
