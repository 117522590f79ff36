/**
 * Input files: scripts by name, by folder, or from standard input.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./errors.ts";
import { inputName, openChunks } from "./input.ts";

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

/** Reads a script; gzip is unpacked, `-` is standard input. @throws UserError when it cannot be read. */
export async function readSource(name: string): Promise<Source> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openChunks(name)) chunks.push(chunk);
  return { file: inputName(name), text: Buffer.concat(chunks).toString("utf8") };
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
