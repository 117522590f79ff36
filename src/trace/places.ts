/**
 * The places of a script's user memory (`@bad`, `@edge-24`, ...) and the arena that holds everything else.
 *
 * See docs/language.md, "Addresses", and `UserLayout`.
 */
import { UserLayout } from "../syscalls/port.ts";
import type { Expr } from "./ast.ts";
import { at, hex } from "./build.ts";

/** Bytes of `@buf`, the area that calls share. It stands at the beginning of the arena. */
export const BUF_BYTES: number = 16 * 1024;

const { arena, arenaBytes, bad, edge, edgeEnd, frozen, frozenPages, kernel, pageSize, readOnly } = UserLayout;
const ARENA_END = arena + arenaBytes;
const FROZEN_END = frozen + frozenPages * pageSize;

/** Names of the places, for messages. */
export const PLACES: readonly string[] = ["bad", "buf", "edge", "frozen", "kernel", "odd", "ro"];

/** The address of a place that is not fresh memory; null for `@odd` and for unknown names. */
export function placeAddress(place: string, offset: number): number | null {
  switch (place) {
    case "bad":
      return bad + offset;
    case "kernel":
      return kernel + offset;
    case "ro":
      return readOnly + offset;
    case "edge":
      return edgeEnd + offset;
    case "frozen":
      return frozen + offset;
    case "buf":
      return arena + offset;
    default:
      return null;
  }
}

/** An address in the script's words: `@edge-24`, `@bad`, or a number. */
export function printPlace(addr: bigint): Expr {
  const value = Number(addr);
  if (value >= edge && value <= edgeEnd) return at("edge", value - edgeEnd, null);
  if (value >= readOnly && value < readOnly + pageSize) return at("ro", value - readOnly, null);
  if (value >= frozen && value < FROZEN_END) return at("frozen", value - frozen, null);
  if (value >= bad && value < bad + pageSize) return at("bad", value - bad, null);
  if (value >= arena && value < arena + BUF_BYTES) return at("buf", value - arena, null);
  if (value >= arena && value < ARENA_END && value % 2 === 1) return at("odd", 0, null);
  if (addr >= BigInt(kernel) && addr < BigInt(kernel) + BigInt(pageSize)) {
    return at("kernel", Number(addr - BigInt(kernel)), null);
  }
  return hex(addr);
}

/** How many of `size` bytes at `addr` a poke can put there: up to the border of writable memory. */
export function writableBytes(addr: number, size: number): number {
  if (addr >= arena && addr < ARENA_END) return Math.min(size, ARENA_END - addr);
  if (addr >= edge && addr < edgeEnd) return Math.min(size, edgeEnd - addr);
  return 0;
}

/** How many of `size` bytes at `addr` a peek can read. @param thawed - frozen pages that are there by now. */
export function readableBytes(addr: number, size: number, thawed: ReadonlySet<number>): number {
  if (addr >= readOnly && addr < readOnly + pageSize) return Math.min(size, readOnly + pageSize - addr);
  if (addr < frozen || addr >= FROZEN_END) return writableBytes(addr, size);
  let end = addr;
  while (end < addr + size && end < FROZEN_END && thawed.has(frozenPage(end))) end = pageEnd(end);
  return Math.min(size, end - addr);
}

/** The number of the frozen page that holds an address. */
export function frozenPage(addr: number): number {
  return Math.floor((addr - frozen) / pageSize);
}

function pageEnd(addr: number): number {
  return Math.floor(addr / pageSize) * pageSize + pageSize;
}

/** Fresh memory in the arena. What a call used is free again when the call is over. */
export class Arena {
  #top = arena + BUF_BYTES;

  /** The position to go back to. */
  get top(): number {
    return this.#top;
  }

  /** `size` bytes whose first stands `odd` bytes behind a multiple of 16; null when the arena is exhausted. */
  reserve(size: number, odd = 0): number | null {
    const addr = Math.ceil(this.#top / 16) * 16 + odd;
    if (addr + size > ARENA_END) return null;
    // an empty block still has an address of its own
    this.#top = addr + Math.max(size, 1);
    return addr;
  }

  /** Frees everything above `top`. */
  release(top: number): void {
    this.#top = top;
  }
}
