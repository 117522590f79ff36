/**
 * A garbage collector's trigger: when a collection begins, and what the program feels of it.
 *
 * Counterpart: `runtime/mgc.go`. Nothing is collected: the host does that. Modelled: the trigger by bytes allocated and by time,
 * the stop of the world (proc-world.ts) and how long it lasts, and what happens at the start of a cycle to the pools.
 */
import { park, StopTheWorldOp, SuspendOnce } from "./ops.ts";
import { injectglist } from "./proc-ready.ts";
import { type G, GList, type Go, Gstatus } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import type { PoolCleanup } from "./sync/pool.ts";

/** `GOGC=100` with a small live heap: the next collection after this many bytes. */
const TRIGGER_BYTES: number = 4 << 20;

export class Gc {
  readonly #sched: Sched;
  readonly #pools: PoolCleanup[] = [];
  #helper: G | null = null;
  /** Bytes allocated since the latest collection, and in all. */
  #sinceGc = 0;
  allocated = 0;
  allocations = 0;

  constructor(sched: Sched) {
    this.#sched = sched;
  }

  addPool(pool: PoolCleanup): void {
    this.#pools.push(pool);
  }

  /** `mallocgc`: accounts for an allocation. When it is time, its goroutine collects before it goes on. */
  malloc(bytes: number): void {
    this.allocated += bytes;
    this.allocations += 1;
    this.#sinceGc += bytes;
    if (this.#sinceGc >= TRIGGER_BYTES) this.#sched.gcDue = true;
  }

  /** The start of a cycle, while the world stands still: the pools move on. */
  collect(): void {
    const sched = this.#sched;
    sched.numgc += 1;
    sched.stats.gc += 1;
    sched.lastGc = sched.nanotime();
    sched.gcDue = false;
    this.#sinceGc = 0;
    for (const pool of this.#pools) pool.poolCleanup();
  }

  /** `sysmon` finds that the latest cycle was two minutes ago. */
  force(): void {
    const helper = this.#helper;
    if (helper === null || helper.status !== Gstatus.WAITING) return;
    this.#helper = null;
    this.#sched.lastGc = this.#sched.nanotime();
    const list = new GList();
    list.push(helper);
    injectglist(this.#sched, list);
  }

  /** `forcegchelper`. */
  *helper(): Go<void> {
    for (;;) {
      yield* new SuspendOnce(() => {
        this.#helper = this.#sched.getg();
        park(this.#sched, "force gc (idle)", null, null);
        return true;
      });
      yield* new StopTheWorldOp(this.#sched, 0);
    }
  }
}
