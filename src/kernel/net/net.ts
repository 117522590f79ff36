/**
 * The network namespace: what the sockets of one machine share.
 *
 * Counterpart: `include/net/net_namespace.h` (`struct net`).
 */
import type { File } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { SKB_CONFIG_X86_64, type SkbConfig, SkbPool } from "./skbuff.ts";
import { Inflight } from "./unix/garbage.ts";
import { UnixNames } from "./unix/names.ts";

export class Net {
  readonly kernel: Kernel;
  readonly skbConfig: SkbConfig;
  readonly skbs: SkbPool = new SkbPool();
  /** Descriptions whose last reference a call let go of while it still had work to do. */
  readonly #delayed: File[] = [];
  #running = false;
  /** Bound names of AF_UNIX. */
  readonly unix: UnixNames = new UnixNames();
  /** AF_UNIX messages that carry descriptors. */
  readonly inflight: Inflight = new Inflight();

  constructor(kernel: Kernel, skbConfig: SkbConfig = SKB_CONFIG_X86_64) {
    this.kernel = kernel;
    this.skbConfig = skbConfig;
  }

  /** `fput` inside a socket call: takes effect in `runDelayed`. */
  delayedFput(file: File): void {
    this.#delayed.push(file);
  }

  /**
   * `task_work_run`: the newest of a batch goes first, and what that releases makes the next batch. Then the worker that
   * looks for unreachable sockets has its turn.
   */
  runDelayed(): void {
    if (this.#running) return;
    this.#running = true;
    while (this.#delayed.length > 0 || this.inflight.wanted) {
      const batch = this.#delayed.splice(0).reverse();
      for (const file of batch) file.put();
      if (this.#delayed.length === 0 && this.inflight.wanted) this.inflight.collect();
    }
    this.#running = false;
  }
}
