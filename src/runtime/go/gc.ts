/**
 * A garbage collector's beginnings: when a collection starts, and what the program feels of it.
 *
 * Counterpart: `runtime/mgc.go` (`gcStart`, `gcBgMarkStartWorkers`), `mgcsweep.go` (`bgsweep`).
 * Nothing is collected: the host does that. Modelled: the trigger by bytes allocated and by time, which goroutine starts a cycle
 * and who waits for that, the goroutines of the collector, the stop of the world (proc-world.ts) and how long it lasts, what happens
 * to the pools at the start of a cycle, and the sweep, which yields behind every span. Marking takes no time but the pause.
 */
import type { UserBuffer } from "../user-memory.ts";
import { Heap } from "./malloc.ts";
import { How, park, StopTheWorldOp, SuspendOnce, SyscallOp } from "./ops.ts";
import { goready, injectglist, newproc, noteclear, notewakeup } from "./proc-ready.ts";
import { type G, GList, type Go, Gstatus, Trap } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { Sema, SemacquireOp, semrelease } from "./sema.ts";
import type { PoolCleanup } from "./sync/pool.ts";

export class Gc {
  readonly #sched: Sched;
  readonly #pools: PoolCleanup[] = [];
  #helper: G | null = null;
  #sweeper: G | null = null;
  /** `work.startSema`: one goroutine starts a cycle. */
  readonly #startSema: Sema = new Sema();
  /** `work.bgMarkReady`. */
  readonly #bgMarkReady: UserBuffer;
  #workers = 0;
  readonly #heap: Heap = new Heap();
  /** Spans that are to be swept. */
  #unswept = 0;
  /** Bytes allocated by the program, and how often. */
  allocated = 0;
  allocations = 0;

  /** @param note - memory for a note. */
  constructor(sched: Sched, note: UserBuffer) {
    this.#sched = sched;
    this.#bgMarkReady = note;
    this.#startSema.value = 1;
  }

  addPool(pool: PoolCleanup): void {
    this.#pools.push(pool);
  }

  /** What the program allocates. */
  malloc(bytes: number): void {
    this.allocated += bytes;
    this.allocations += 1;
    this.mallocgc(bytes, false);
  }

  /**
   * `mallocgc`: where it takes a new span and a collection is due, its goroutine starts one before it goes on.
   *
   * @param kept - by the runtime, for good: on the system's stack nobody starts a collection.
   */
  mallocgc(bytes: number, kept: boolean): void {
    if (kept) this.#heap.kept += bytes;
    if (!this.#heap.take(bytes)) return;
    if (this.#unswept > 0) this.#unswept -= 1; // who takes a span sweeps one
    if (kept || !this.#heap.isDue) return;
    const { curg } = this.#sched.m;
    if (curg !== null) curg.gcStarts = true;
  }

  /** `gcStart`, by who has allocated. Whoever comes while another starts waits, and finds that there is nothing to do. */
  *start(): Go<void> {
    yield* new SemacquireOp(this.#sched, this.#startSema);
    if (this.#heap.isDue) yield* this.cycle();
    semrelease(this.#sched, this.#startSema);
  }

  /** The same before a Gosched. */
  *startAndYield(): Go<void> {
    yield* this.start();
    yield* this.#gosched();
  }

  #gosched(): SuspendOnce {
    return new SuspendOnce(() => {
      this.#sched.m.trap = Trap.SCHED;
      return true;
    });
  }

  /** One cycle, in which the world stands still. */
  *cycle(): Go<void> {
    const sched = this.#sched;
    while (this.#workers < sched.gomaxprocs) yield* this.#startWorker();
    yield* new StopTheWorldOp(sched, 0);
    if (this.#sweeper !== null) {
      const sweeper = this.#sweeper;
      this.#sweeper = null;
      goready(sched, sweeper);
    }
  }

  /** `gcBgMarkStartWorkers`: waits until it runs, with the P handed on. */
  *#startWorker(): Go<void> {
    const sched = this.#sched;
    newproc(sched, "runtime.gcBgMarkWorker", this.#worker(), true);
    yield* new SyscallOp(sched, "futex", (sys) => sys.futexWait(this.#bgMarkReady, 0), null, How.BLOCK);
    noteclear(this.#bgMarkReady);
    this.#workers += 1;
  }

  /** `gcBgMarkWorker`: there is nothing to mark. */
  *#worker(): Go<void> {
    notewakeup(this.#sched, this.#bgMarkReady);
    yield* this.#park("GC worker (idle)", () => {});
  }

  /** The start of a cycle, while the world stands still: the pools move on. */
  collect(): void {
    const sched = this.#sched;
    sched.numgc += 1;
    sched.stats.gc += 1;
    sched.lastGc = sched.nanotime();
    this.#unswept += this.#heap.collect();
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

  #park(reason: string, parked: (g: G) => void): SuspendOnce {
    return new SuspendOnce(() => {
      parked(this.#sched.getg());
      park(this.#sched, reason, null, null);
      return true;
    });
  }

  /** `forcegchelper`. */
  *helper(): Go<void> {
    for (;;) {
      yield* this.#park("force gc (idle)", (g) => {
        this.#helper = g;
      });
      yield* this.cycle();
    }
  }

  /** `bgsweep`: to the end of the global queue behind every span. */
  *sweeper(): Go<void> {
    for (;;) {
      yield* this.#park("GC sweep wait", (g) => {
        this.#sweeper = g;
      });
      for (; this.#unswept > 0; this.#unswept -= 1) {
        yield* this.#gosched();
      }
    }
  }
}
