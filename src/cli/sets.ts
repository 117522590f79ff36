/**
 * Sets of recordings: `strace -ff -o out` writes out.PID for each task.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Line } from "../trace/ast.ts";
import { mergeByTime } from "../trace/merge.ts";
import { expandScripts, scriptsBelow } from "./files.ts";
import { type OpenOptions, openBatches, openLines } from "./input.ts";

/** What a replay reads as one recording. */
export interface Recording {
  /** The file, or what the names of a set's files have in common. */
  readonly name: string;
  /** The files of a set in the order of their pids; empty for a single file. */
  readonly files: readonly string[];
}

const MEMBER = /^(.+)\.(\d+)(\.gz|\.zst)?$/;
const BATCH = 512;

/**
 * The recordings that the arguments mean: files, folders, and sets by what the names of their files have in common.
 *
 * @throws UserError for a name that does not exist, and a folder without recordings.
 */
export function expandRecordings(names: readonly string[]): Recording[] {
  return groupSets(
    names.flatMap((name) => {
      const members = name === "-" ? [] : membersOf(name);
      if (members.length > 0) return members;
      const below = name !== "-" && existsSync(name) && statSync(name).isDirectory() ? setsBelow(name) : [];
      return below.length > 0 ? [...scriptsBelow(name), ...below] : expandScripts([name]);
    }),
  );
}

function setsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() || entry.isDirectory())
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return setsBelow(path);
      return MEMBER.test(entry.name) ? [path] : [];
    });
}

function groupSets(paths: readonly string[]): Recording[] {
  const sets = new Map<string, string[]>();
  for (const path of paths) {
    const [, stem] = MEMBER.exec(basename(path)) ?? [];
    const key = stem === undefined || path === "-" ? path : join(dirname(path), stem);
    const set = sets.get(key);
    if (set === undefined) sets.set(key, [path]);
    else set.push(path);
  }
  return [...sets].map(([key, files]) => {
    const [only] = files;
    return files.length === 1 && only !== undefined ? { name: only, files: [] } : { name: key, files: byPid(files) };
  });
}

function membersOf(name: string): string[] {
  const folder = dirname(name);
  if (existsSync(name) || !existsSync(folder)) return [];
  const members = readdirSync(folder).filter((file) => MEMBER.exec(file)?.[1] === basename(name));
  return members.map((file) => join(folder, file));
}

function byPid(files: readonly string[]): string[] {
  return [...files].sort((a, b) => Number(pidOf(a)) - Number(pidOf(b)));
}

function pidOf(path: string): string {
  return MEMBER.exec(basename(path))?.[2] ?? "";
}

/** Without times nothing tells the order of two files: each is a recording of its own then. */
export async function splitUntimed(recording: Recording): Promise<Recording[]> {
  const [first] = recording.files;
  if (first === undefined) return [recording];
  for await (const line of openLines(first, { lenient: true, onError: () => {} })) {
    if (line.type !== "call" && line.type !== "signal" && line.type !== "exit") continue;
    if (line.time !== null && line.time.form !== "relative") return [recording];
    break;
  }
  return recording.files.map((name) => ({ name, files: [] }));
}

/** The lines of a recording, in arrays. */
export function openRecording(recording: Recording, options: OpenOptions): AsyncGenerator<Line[], void> {
  const { name, files } = recording;
  return files.length === 0 ? openBatches(name, options) : merged(files, { ...options, onProgress: undefined });
}

async function* merged(files: readonly string[], options: OpenOptions): AsyncGenerator<Line[], void> {
  const lines = mergeByTime(files.map((file) => ({ task: pidOf(file), lines: openLines(file, options) })));
  let batch: Line[] = [];
  for await (const line of lines) {
    batch.push(line);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}
