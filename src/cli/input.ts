/**
 * Opens what a user names on the command line: a file, a gzip file, or `-` for standard input; gzip is known by its first bytes.
 */
import { createReadStream, type ReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import type { Line } from "../trace/ast.ts";
import { type ReadOptions, readBatches } from "../trace/reader.ts";
import { BombGuard, unzstd, ZSTD } from "./decompress.ts";
import { UserError } from "./errors.ts";

/** Told after each chunk how many bytes of the file have been read, of how many (null when that is not known). */
export type OnRead = (readBytes: number, totalBytes: number | null) => void;

/** How to open. */
export interface OpenOptions extends ReadOptions {
  readonly onProgress?: OnRead | undefined;
}

/** What standard input is called in messages. */
const STDIN_NAME = "<stdin>";

/** How other compressed files begin; the reader knows plain text, gzip and zstd. */
const FOREIGN: readonly (readonly [string, readonly number[]])[] = [
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
];
const MAGIC_BYTES = 6;
const GZIP = [0x1f, 0x8b] as const;

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "no permission to read it",
  EISDIR: "is a directory, expected a file",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
};

/** The name of an input in messages. */
export function inputName(path: string): string {
  return path === "-" ? STDIN_NAME : path;
}

/** The lines of an input, an array for each chunk read. */
export function openBatches(path: string, options: OpenOptions = {}): AsyncGenerator<Line[], void> {
  return readBatches(openChunks(path, options.onProgress), { ...options, file: options.file ?? inputName(path) });
}

/** The lines of an input, one by one. `openBatches` is the faster of the two. */
export async function* openLines(path: string, options: OpenOptions = {}): AsyncGenerator<Line, void> {
  for await (const batch of openBatches(path, options)) yield* batch;
}

/**
 * The bytes of an input, decompressed, one chunk at a time.
 *
 * @throws UserError when it is missing, a directory, not readable, or damaged
 */
export async function* openChunks(path: string, onProgress?: OnRead): AsyncGenerator<Uint8Array, void> {
  const name = inputName(path);
  try {
    yield* decompressed(name, await rawChunks(path, onProgress));
  } catch (error) {
    throw asUserError(name, error);
  }
}

async function rawChunks(path: string, onProgress?: OnRead): Promise<AsyncGenerator<Uint8Array, void>> {
  if (path === "-") return counted(process.stdin, null, onProgress);
  const info = await stat(path);
  if (info.isDirectory()) throw new UserError(`${path}: ${PROBLEMS.EISDIR}`);
  if (info.isCharacterDevice() && isEndless(info.rdev)) throw new UserError(`${path}: a device that never ends`);
  // a pipe or a device has no size to speak of
  return counted(createReadStream(path), info.isFile() ? info.size : null, onProgress);
}

/** Memory devices (major number 1) but /dev/null: zero, full, random, urandom, kmsg. */
function isEndless(rdev: number): boolean {
  return ((rdev >> 8) & 0xfff) === 1 && (rdev & 0xff) !== 3;
}

async function* counted(
  source: ReadStream | NodeJS.ReadStream,
  totalBytes: number | null,
  onProgress: OnRead | undefined,
): AsyncGenerator<Uint8Array, void> {
  let readBytes = 0;
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    readBytes += chunk.length;
    yield chunk;
    onProgress?.(readBytes, totalBytes);
  }
}

async function* decompressed(name: string, raw: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  const head = await readHead(raw);
  const foreign = FOREIGN.find(([, magic]) => startsWith(head, magic));
  if (foreign !== undefined) {
    const [format] = foreign;
    throw new UserError(
      `${name}: is ${format} data, expected plain text, gzip or zstd`,
      `${format} -dc FILE | epollsim ... -`,
    );
  }
  const whole = prepend(head, raw);
  const guard = new BombGuard(name);
  if (startsWith(head, ZSTD)) yield* guard.out(unzstd(name, guard.in(whole)));
  else if (startsWith(head, GZIP)) {
    const gunzip = createGunzip();
    // the error reaches the loop below too
    pipeline(guard.in(whole), gunzip, () => {});
    yield* guard.out(gunzip as AsyncIterable<Uint8Array>);
  } else yield* whole;
}

function startsWith(head: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => head[i] === byte);
}

/** Enough of the first bytes to know the format: a pipe may hand them out one by one. */
async function readHead(raw: AsyncGenerator<Uint8Array, void>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < MAGIC_BYTES) {
    const next = await raw.next();
    if (next.done === true) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

async function* prepend(head: Uint8Array, rest: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  if (head.length > 0) yield head;
  yield* rest;
}

function asUserError(name: string, error: unknown): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === undefined) return error;
  const { message } = error as Error;
  if (code.startsWith("Z_")) return new UserError(`${name}: damaged gzip data (${message})`);
  return new UserError(`${name}: ${PROBLEMS[code] ?? message}`);
}
