/**
 * Input files: scripts by name, by folder, or from standard input.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UserError } from "./errors.ts";
import type { Io } from "./io.ts";

/** A script as text. */
export interface Source {
  /** As the user named it; `<stdin>` for standard input. */
  readonly file: string;
  readonly text: string;
}

const STDIN = "-";
const SCRIPT = /\.strace(\.gz)?$/;

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
      throw new UserError(`${name}: a folder without scripts`, "scripts end in .strace or .strace.gz");
    }
    return scripts;
  });
}

/** Scripts below a folder, sorted by path. */
export function scriptsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return scriptsBelow(path);
      return SCRIPT.test(entry.name) ? [path] : [];
    });
}

/** Reads a script; `.gz` is unpacked, `-` is standard input. @throws UserError when it cannot be read. */
export async function readSource(name: string, io: Io): Promise<Source> {
  if (name === STDIN) return { file: "<stdin>", text: await io.readStdin() };
  return { file: name, text: readText(name) };
}

/** The text of a file, unpacked if its name ends in `.gz`. @throws UserError when it cannot be read. */
export function readText(name: string): string {
  try {
    const bytes = readFileSync(name);
    return (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (error) {
    throw unreadable(name, error);
  }
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
  EISDIR: "a folder, where a file was expected",
  Z_DATA_ERROR: "not a gzip file, though its name ends in .gz",
  Z_BUF_ERROR: "a gzip file that ends too early",
};

/** A failed read or write in the user's words. */
export function unreadable(name: string, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new UserError(`${name}: ${REASONS[code ?? ""] ?? message}`);
}
