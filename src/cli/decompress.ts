/**
 * Compressed recordings: zstd, and a guard against files that unpack to next to nothing but size.
 */
import { Decompress } from "fzstd";
import { UserError } from "./errors.ts";

/** How a zstd frame begins. */
export const ZSTD = [0x28, 0xb5, 0x2f, 0xfd] as const;

/** A block of 128 KiB may stand in four bytes: what is handed over at once bounds what comes out at once. */
const SLICE_BYTES = 1024;
/** What the zstd program allows, too. */
const WINDOW_MAX = 128 * 1024 * 1024;
/** strace text packs 10 to 100 to 1. */
const RATIO_MAX = 400;
const FREE_BYTES = 32 * 1024 * 1024;

/** Compares what goes into a decompressor with what comes out. */
export class BombGuard {
  readonly #name: string;
  #packed = 0;
  #unpacked = 0;

  constructor(name: string) {
    this.#name = name;
  }

  async *in(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.#packed += chunk.length;
      yield chunk;
    }
  }

  /** @throws UserError - far more comes out than any recording packs. */
  async *out(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.#unpacked += chunk.length;
      if (this.#unpacked > FREE_BYTES && this.#unpacked > this.#packed * RATIO_MAX) {
        const times = Math.floor(this.#unpacked / this.#packed);
        throw new UserError(
          `${this.#name}: unpacks to ${times} times its size, which no recording does`,
          "unpack it yourself if it is one",
        );
      }
      yield chunk;
    }
  }
}

/** Unpacks zstd. @throws UserError - damaged, cut off, or packed with too long a window. */
export async function* unzstd(name: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let out: Uint8Array[] = [];
  const decompress = new Decompress((chunk) => {
    out.push(chunk);
  });
  let first = true;
  try {
    for await (const chunk of chunks) {
      if (first) checkWindow(name, chunk);
      first = false;
      for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
        decompress.push(chunk.slice(at, at + SLICE_BYTES));
        yield* out;
        out = [];
      }
    }
    decompress.push(new Uint8Array(0), true);
  } catch (error) {
    if (error instanceof UserError || !(error instanceof Error) || !("code" in error)) throw error;
    throw new UserError(`${name}: damaged zstd data (${error.message})`);
  }
  yield* out;
}

/** `Frame_Header`: the memory that a frame asks for. */
function checkWindow(name: string, head: Uint8Array): void {
  const [, , , , descriptor = 0, window = 0] = head;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  if (isSingleSegment) return;
  const base = 2 ** (10 + (window >> 3));
  if (base + (base / 8) * (window & 7) <= WINDOW_MAX) return;
  throw new UserError(
    `${name}: zstd data with a window of more than 128 MiB`,
    "zstd -dc --long=31 FILE | epollsim ... -",
  );
}
