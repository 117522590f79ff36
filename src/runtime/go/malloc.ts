/**
 * How full the heap is, for the collector's trigger: what is allocated takes spans, and only they count.
 *
 * Counterpart: `runtime/malloc.go` (`nextFree`), `mcache.go` (`refill`), `mgcpacer.go` (`trigger`). Sizes stand for their size classes,
 * and every span of small objects is of 8 KiB.
 */

/** `heapMinimum` at GOGC=100. */
const HEAP_MIN_BYTES = 4 << 20;
/** `maxTrigger`: a collection starts at this part of the way to the goal. */
const TRIGGER_PART = 0.95;
const SPAN_BYTES = 8192;

/** What the runtime and net allocate for themselves, in bytes. */
export const Alloc = {
  /** `g`, on the system's stack. */
  G: 416,
  /** `netFD`, `TCPConn`, both addresses, and what they are made from. */
  ACCEPT: 512,
  /** The same, and a dialer, its lists of addresses, closures. */
  DIAL: 1024,
} as const;

export class Heap {
  /** `heapLive`. */
  #live = 0;
  #trigger = HEAP_MIN_BYTES * TRIGGER_PART;
  /** Objects that are free in the current span of each size. */
  readonly #free: Map<number, number> = new Map();
  /** What is in use for good: goroutines, which are used again when they have ended. */
  kept = 0;

  get isDue(): boolean {
    return this.#live >= this.#trigger;
  }

  /** @returns whether it took a new span: only then anybody asks for a collection. */
  take(bytes: number): boolean {
    const free = this.#free.get(bytes) ?? 0;
    if (free > 0) {
      this.#free.set(bytes, free - 1);
      return false;
    }
    if (bytes <= SPAN_BYTES) this.#free.set(bytes, Math.floor(SPAN_BYTES / Math.max(bytes, 1)) - 1);
    this.#live += Math.max(bytes, SPAN_BYTES);
    return true;
  }

  /** A cycle begins: what is not known to be kept is garbage. @returns spans that are to be swept. */
  collect(): number {
    const spans = Math.ceil(this.#live / SPAN_BYTES);
    this.#live = this.kept;
    this.#trigger = this.kept + Math.max(HEAP_MIN_BYTES - this.kept, this.kept) * TRIGGER_PART;
    return spans;
  }
}
