/** What is counted of a server's buffers. */
import type { Machine, Thread } from "epollsim/runtime";

export const HEADER_BYTES = 256;
export const BATCH_BYTES = 4096;
/** What stores the log takes so long for a batch. */
export const STORE_NS = 100_000;
export const PORT = 8080;

/** Workloads by name, with the size of their buffers. */
export const workloads = { "headers 256 B": HEADER_BYTES, "log batches 4 KiB": BATCH_BYTES } as const;
export type Workload = keyof typeof workloads;

/** Where a server gets its buffers. */
export interface Buffers<T> {
  readonly take: () => T;
  readonly give: (buffer: T) => void;
}

export class Usage {
  takes = 0;
  live = 0;
  mostLive = 0;

  /** The same buffers, counted. */
  watch<T>({ take, give }: Buffers<T>): Buffers<T> {
    return {
      take: () => {
        this.takes += 1;
        this.live += 1;
        this.mostLive = Math.max(this.mostLive, this.live);
        return take();
      },
      give: (buffer) => {
        this.live -= 1;
        give(buffer);
      },
    };
  }
}

/** A server that runs, and what it will have needed. */
export interface Run {
  readonly thread: Thread;
  readonly usage: Usage;
  /** Takes that got a used buffer. */
  readonly reused: () => number;
  /** Collections of garbage; "-" where there is no collector. */
  readonly collections: () => number | string;
}

/** Starts a server as a daemon. @param pooled - with a pool, or with a fresh buffer each time. */
export type Start = (box: Machine, workload: Workload, pooled: boolean) => Run;
