/**
 * Work that the kernel has a task do for an io_uring ring: it interrupts a call that sleeps, and no signal shows.
 *
 * `task_work_add(TWA_SIGNAL)` sets TIF_NOTIFY_SIGNAL, which ends a sleep as a signal does: once for each request that completes
 * behind the call that submitted it, and once for each task that has made or entered a ring, when the ring's last reference
 * is gone (`io_tctx_exit_cb`, which comes behind a grace period: 2 to 25 ms in the recordings). A ring that works by a thread
 * of its own (SQPOLL) has its completions there; a request that its submitter waited for interrupts nobody.
 */
import type { File } from "../kernel/fs/file.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ExternalFile } from "./external.ts";
import type { ReplayTask } from "./machine.ts";
import { mentions, NOTHING } from "./records.ts";

/** How long behind the end of a ring its work may come. */
const GRACE_NS = 1_000_000_000;
/** Rings of one task that are kept. */
const RINGS_MAX = 64;

/** Requests of one task that a ring has not completed. */
type Rings = Map<ExternalFile, number>;

export class RingWork {
  readonly #rings = new WeakMap<ReplayTask, Rings>();

  /** io_uring_setup or io_uring_enter is over. */
  follow(owner: ReplayTask, record: CallRecord): void {
    const [first, submit, complete, flags] = record.args;
    const value = evalInt(record.result?.values[0] ?? NOTHING) ?? -1;
    if (value < 0 || first === undefined) return;
    const isSetup = record.name === "io_uring_setup";
    const ring = owner.task.process.files.getRaw(isSetup ? value : (evalInt(first) ?? -1));
    if (!(ring instanceof ExternalFile)) return;
    const rings = this.#ringsOf(owner);
    const waits = flags !== undefined && mentions(flags, "IORING_ENTER_GETEVENTS");
    const completed = waits ? (evalInt(complete ?? NOTHING) ?? 0) : 0;
    const submitted = isSetup || submit === undefined ? 0 : value;
    rings.set(ring, Math.max(0, (rings.get(ring) ?? 0) + submitted - completed));
  }

  /** Whether such work may have ended a call of this task now; it is done once. */
  interrupts(owner: ReplayTask): boolean {
    const rings = this.#rings.get(owner) ?? new Map();
    for (const [ring, pending] of rings) {
      if (ring.releasedNs !== null) rings.delete(ring);
      else if (pending > 0) rings.set(ring, pending - 1);
      else continue;
      if (ring.releasedNs === null || isRecent(ring, ring.releasedNs)) return true;
    }
    return false;
  }

  #ringsOf(owner: ReplayTask): Rings {
    const rings = this.#rings.get(owner) ?? new Map();
    this.#rings.set(owner, rings);
    for (const ring of rings.keys()) {
      if (rings.size < RINGS_MAX) break;
      rings.delete(ring);
    }
    return rings;
  }
}

function isRecent({ kernel }: File, releasedNs: number): boolean {
  return kernel.clock.nowNs - releasedNs <= GRACE_NS;
}
