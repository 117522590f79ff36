/**
 * sync.Pool.
 *
 * Counterpart: `sync/pool.go`, `sync/poolqueue.go`.
 */
import type { P } from "../runtime2.ts";
import type { Sched } from "../sched.ts";

/** What a P keeps: one private value, and a queue that the others may take from the tail of. */
interface PoolLocal<T> {
  private: T | undefined;
  /** The head is the end of the array. */
  shared: T[];
}

/** All pools of a process: the collector clears them. */
export interface PoolCleanup {
  poolCleanup(): void;
}

export class Pool<T> implements PoolCleanup {
  readonly #sched: Sched;
  /** Makes a value when there is none; without it `get` gives undefined. */
  readonly #new: (() => T) | undefined;
  /** Told of each value that a collection drops. */
  readonly #dropped: ((value: T) => void) | undefined;
  #local: PoolLocal<T>[] = [];
  #victim: PoolLocal<T>[] = [];
  /** Values asked for, and how many of them had been used before. */
  gets = 0;
  hits = 0;

  constructor(sched: Sched, make?: () => T, dropped?: (value: T) => void) {
    this.#sched = sched;
    this.#new = make;
    this.#dropped = dropped;
  }

  #pin(): PoolLocal<T> {
    const { id } = this.#sched.m.p as P;
    // The first use, or a P that there was not before: new arrays, and what was in the old ones is lost.
    if (id >= this.#local.length) {
      const { gomaxprocs } = this.#sched;
      this.#local = Array.from({ length: gomaxprocs }, () => ({ private: undefined, shared: [] }));
    }
    return this.#local[id] as PoolLocal<T>;
  }

  put(value: T): void {
    const local = this.#pin();
    if (local.private === undefined) local.private = value;
    else local.shared.push(value);
  }

  get(): T | undefined {
    this.gets += 1;
    const local = this.#pin();
    const own = local.private ?? local.shared.pop() ?? this.#getSlow();
    local.private = undefined;
    if (own === undefined) return this.#new?.();
    this.hits += 1;
    return own;
  }

  /** The tails of the others, then what the latest collection has left. */
  #getSlow(): T | undefined {
    const pid = (this.#sched.m.p as P).id;
    const stolen = takeTail(this.#local, pid + 1);
    if (stolen !== undefined) return stolen;
    const victim = this.#victim[pid];
    if (victim === undefined) return undefined;
    const kept = victim.private;
    if (kept !== undefined) {
      victim.private = undefined;
      return kept;
    }
    const value = takeTail(this.#victim, pid);
    if (value === undefined) this.#victim = [];
    return value;
  }

  /** `poolCleanup`: at the start of a collection. */
  poolCleanup(): void {
    if (this.#dropped !== undefined) {
      for (const { private: kept, shared } of this.#victim) {
        if (kept !== undefined) this.#dropped(kept);
        for (const value of shared) this.#dropped(value);
      }
    }
    this.#victim = this.#local;
    this.#local = [];
  }
}

/** The oldest value of the first queue that has one, beginning at P `from`. */
function takeTail<T>(locals: PoolLocal<T>[], from: number): T | undefined {
  for (let i = 0; i < locals.length; i += 1) {
    const value = (locals[(from + i) % locals.length] as PoolLocal<T>).shared.shift();
    if (value !== undefined) return value;
  }
  return undefined;
}
