/**
 * Traces for analysis: a file is a script, which runs on the model, or a recording, which is replayed.
 */
import { type Evidence, followScript, RecordingFollower } from "../analysis/evidence.ts";
import { kernelProfile, NEWEST } from "../kernel/profile.ts";
import { Replayer } from "../replay/replayer.ts";
import type { Line } from "../trace/ast.ts";
import { lower } from "../trace/lower.ts";
import { parseText, TraceReader } from "../trace/reader.ts";
import { parseScript } from "../trace/script.ts";
import { scriptText } from "./files.ts";
import { inputName, type OnRead, openChunks } from "./input.ts";
import type { WorldOptions } from "./options.ts";
import { chooserFor, modelFor } from "./worlds.ts";

export type TraceKind = "script" | "recording";

/** A file that is open, and what it is. */
export interface OpenTrace {
  readonly file: string;
  readonly kind: TraceKind;
  /** All its bytes; to be read once. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Bytes that the decision looks at, and lines of them. */
const HEAD_BYTES = 1 << 16;
const HEAD_LINES = 200;

/**
 * Opens a trace.
 *
 * @param kind - what it is; null: its first lines say so.
 * @throws UserError
 */
export async function openTrace(path: string, kind: TraceKind | null, onRead: OnRead): Promise<OpenTrace> {
  const file = inputName(path);
  const rest = openChunks(path, onRead);
  const head: Uint8Array[] = [];
  for (let bytes = 0; bytes < HEAD_BYTES; ) {
    const next = await rest.next();
    if (next.done === true) break;
    head.push(next.value);
    bytes += next.value.length;
  }
  const text = Buffer.concat(head).toString("utf8");
  const complete = text.slice(0, text.lastIndexOf("\n") + 1) || text;
  const found = isRecording(parseText(complete, { file, lenient: true, onError: () => {} })) ? "recording" : "script";
  return { file, kind: kind ?? found, chunks: joined(head, rest) };
}

async function* joined(head: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* head;
  yield* rest;
}

/** What only strace writes: time stamps, durations, pids. Directives and names of tasks are an author's. */
export function isRecording(lines: Iterable<Line>): boolean {
  let looked = 0;
  for (const line of lines) {
    if (line.type === "directive") return false;
    if (line.type === "blank" || line.type === "comment") continue;
    if (line.time !== null || (line.task !== null && /^\d+$/.test(line.task))) return true;
    if (line.type === "call" && (line.durationNs !== null || line.name === "execve")) return true;
    looked += 1;
    if (looked === HEAD_LINES) break;
  }
  return false;
}

/**
 * Runs a script on the model, or replays a recording, with the log on.
 *
 * @param until - a recording is read no further than to the end of the call in this line; 0 for all of it.
 * @throws UserError, ParseError
 */
export async function follow(trace: OpenTrace, options: WorldOptions, until = 0): Promise<Evidence> {
  if (trace.kind === "recording") {
    const follower = new RecordingFollower(until);
    await replayTrace(trace, options, follower);
    return follower.evidence();
  }
  const script = parseScript(await scriptText(trace.file, trace.chunks), trace.file);
  return followScript(lower(script), modelFor(script, options, NEWEST, null));
}

async function replayTrace(trace: OpenTrace, options: WorldOptions, follower: RecordingFollower): Promise<void> {
  const { file } = trace;
  const profile = kernelProfile(options.kernel ?? NEWEST);
  const replayer = new Replayer({ profile, chooser: chooserFor(options.seed), file, watcher: follower.watcher });
  follower.trust(replayer.tally);
  const reader = new TraceReader({ file, lenient: true });
  for await (const chunk of trace.chunks) {
    for (const line of reader.push(chunk)) replayer.push(line);
    if (follower.isOver) return;
  }
  for (const line of reader.end()) replayer.push(line);
  replayer.finish();
}
