/**
 * Input files: scripts by name, by folder, or from standard input.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ParseError } from "../trace/errors.ts";
import { lower } from "../trace/lower.ts";
import { parseScript, type Script } from "../trace/script.ts";
import { reportError, UserError } from "./errors.ts";
import { inputName, openChunks } from "./input.ts";
import type { Io } from "./io.ts";

/** A script as text. */
export interface Source {
  /** As the user named it; `<stdin>` for standard input. */
  readonly file: string;
  readonly text: string;
}

const STDIN = "-";
/** A script is read whole. */
const SCRIPT_MAX = 64 * 1024 * 1024;
const SMALL_MAX = 4 * 1024 * 1024;
const NOT_SHOWN = /^NOT-SHOWN.*\.tsv$/;
const SCRIPT = /\.strace(\.gz|\.zst)?$/;

/**
 * The files that the arguments mean, in order: a folder stands for every script below it, sorted by name.
 *
 * @throws UserError for a name that does not exist, and a folder without scripts.
 */
export function expandScripts(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (name === STDIN || !isFolder(name)) return [name];
    const scripts = scriptsBelow(name);
    if (scripts.length === 0) {
      throw new UserError(`${name}: a folder without scripts`, "scripts end in .strace, .strace.gz or .strace.zst");
    }
    return scripts;
  });
}

/**
 * Scripts below a folder, sorted by path. What stands there under such a name and is a pipe, a socket or a device is left out: nobody
 * has named it, and it may never end. Folders are not entered through symbolic links.
 */
export function scriptsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return scriptsBelow(path);
      return SCRIPT.test(entry.name) && !isStream(path) ? [path] : [];
    });
}

/** A name that cannot be looked at is none: reading it tells why. */
function isStream(path: string): boolean {
  try {
    const info = statSync(path);
    return !info.isFile() && !info.isDirectory();
  } catch {
    return false;
  }
}

/**
 * A small file whose name is one of several things that an option may hold, or that stands beside a script.
 *
 * @throws UserError when it is no file, or too long to be one of these.
 */
export function readSmallFile(path: string): string {
  try {
    const info = statSync(path);
    if (!info.isFile()) throw new UserError(`${path}: not a regular file`);
    if (info.size > SMALL_MAX) throw new UserError(`${path}: ${info.size} bytes, expected at most ${SMALL_MAX}`);
    return readFileSync(path, "utf8");
  } catch (error) {
    throw error instanceof UserError ? error : unreadable(path, error);
  }
}

/**
 * Reads and parses scripts. Each bad one is reported, and the others are read all the same.
 *
 * @returns the good ones, and how many are bad.
 */
export async function readScripts(files: readonly string[], io: Io): Promise<{ scripts: Script[]; bad: number }> {
  const scripts: Script[] = [];
  let bad = 0;
  for (const file of files) {
    const source = await readSource(file);
    try {
      const script = parseScript(source.text, source.file);
      lower(script);
      scripts.push(script);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      reportError(error, io);
      bad += 1;
    }
  }
  return { scripts, bad };
}

/** Rows of the catalogue that no script shows, with the reasons: NOT-SHOWN*.tsv in the scripts' folders, and those above them. */
export function notShownBeside(scripts: readonly string[]): Map<string, string> {
  const rows = new Map<string, string>();
  const folders = scripts.filter((name) => name !== STDIN).map((name) => dirname(name));
  for (const folder of new Set(folders.flatMap((name) => [dirname(name), name]))) {
    for (const name of namesIn(folder).sort()) {
      if (!NOT_SHOWN.test(name)) continue;
      for (const line of readSmallFile(join(folder, name)).split("\n")) {
        const [row = "", reason = ""] = line.split("\t");
        if (row.trim() !== "" && !row.startsWith("#")) rows.set(row.trim(), reason.trim());
      }
    }
  }
  return rows;
}

/** Nothing for a folder that may not be read. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Reads a script; gzip is unpacked, `-` is standard input. @throws UserError when it cannot be read. */
export async function readSource(name: string): Promise<Source> {
  const file = inputName(name);
  return { file, text: await scriptText(file, openChunks(name)) };
}

/** The whole text of a script. @throws UserError when it is longer than any script. */
export async function scriptText(file: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    kept.push(chunk);
    size += chunk.length;
    if (size > SCRIPT_MAX) {
      throw new UserError(`${file}: more than ${SCRIPT_MAX} bytes of script`, "replay reads recordings of any size");
    }
  }
  return Buffer.concat(kept).toString("utf8");
}

function isFolder(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch (error) {
    throw unreadable(name, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
};

/** A failed look at a file in the user's words. */
function unreadable(name: string, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new UserError(`${name}: ${REASONS[code ?? ""] ?? message}`);
}
