/**
 * Buffers in size classes, each with its own stack of free ones: what is given back is taken again by whoever comes next.
 *
 * Three tiers, as servers use them: small ones for headers, medium ones for records, large ones for bodies. A request takes the
 * smallest class that holds it, so at most half of a buffer is wasted.
 */
import type { UserBuffer, UserMemory } from "../user-memory.ts";

/** Sizes of a tier, ascending: powers of two. */
export interface Tier {
  readonly name: string;
  readonly sizes: readonly number[];
  /** Free buffers that one class keeps at most; what comes beyond goes back to the heap. */
  readonly keep: number;
}

export const DEFAULT_TIERS: readonly Tier[] = [
  { name: "64-512 B", sizes: [64, 128, 256, 512], keep: 1024 },
  { name: "1-4 KiB", sizes: [1024, 2048, 4096], keep: 256 },
  { name: "8 KiB and up", sizes: [8192, 16_384, 32_768, 65_536], keep: 32 },
];

/** What one tier has done. */
export interface TierStats {
  readonly name: string;
  takes: number;
  /** Takes that got a used buffer. */
  reused: number;
  /** Bytes that had to come from the heap. */
  allocatedBytes: number;
  /** Buffers that went back to the heap because enough were kept. */
  released: number;
}

class SizeClass {
  readonly size: number;
  readonly keep: number;
  readonly stats: TierStats;
  readonly free: UserBuffer[] = [];

  constructor(size: number, keep: number, stats: TierStats) {
    this.size = size;
    this.keep = keep;
    this.stats = stats;
  }
}

export class BufferPool {
  readonly stats: readonly TierStats[];
  readonly #memory: UserMemory;
  readonly #classes: SizeClass[] = [];

  constructor(memory: UserMemory, tiers: readonly Tier[] = DEFAULT_TIERS) {
    this.#memory = memory;
    this.stats = tiers.map(({ name, sizes, keep }) => {
      const stats: TierStats = { name, takes: 0, reused: 0, allocatedBytes: 0, released: 0 };
      for (const size of sizes) this.#classes.push(new SizeClass(size, keep, stats));
      return stats;
    });
    this.#classes.sort((a, b) => a.size - b.size);
  }

  /** A buffer of at least `length` bytes, with whatever its last owner left in it. @throws RangeError above the largest class. */
  take(length: number): UserBuffer {
    const own = this.#classOf(length);
    if (own === undefined) throw new RangeError(`a buffer of ${length} bytes: the largest class is smaller`);
    const { stats } = own;
    stats.takes += 1;
    const used = own.free.pop();
    if (used !== undefined) {
      stats.reused += 1;
      return used;
    }
    stats.allocatedBytes += own.size;
    return this.#memory.alloc(own.size);
  }

  /** Gives a buffer back. Its owner must not touch it any more. */
  give(buffer: UserBuffer): void {
    const own = this.#classOf(buffer.length);
    if (own === undefined || own.size !== buffer.length) throw new RangeError("a buffer that is not of this pool");
    if (own.free.length < own.keep) own.free.push(buffer);
    else {
      own.stats.released += 1;
      this.#memory.free(buffer);
    }
  }

  #classOf(length: number): SizeClass | undefined {
    return this.#classes.find(({ size }) => size >= length);
  }
}
