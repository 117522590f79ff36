/**
 * A parent that sleeps until its child has another program, or is no more.
 *
 * Counterpart: `kernel/fork.c` (`wait_for_vfork_done`, `complete_vfork_done`).
 */
import { Sig } from "../uapi/signal.ts";
import { SleepingCall, type Task, TaskState } from "./task.ts";

/** The end of a `clone` with `CLONE_VFORK`. Signals wait, except those that end the parent. */
export class VforkWait extends SleepingCall {
  readonly #parent: Task;
  readonly #child: Task;

  /** Puts the parent to sleep: `child.vforkDone`. */
  constructor(parent: Task, child: Task) {
    super();
    this.#parent = parent;
    this.#child = child;
    child.vforkDone = this;
    this.step(parent);
  }

  override get killable(): boolean {
    return true;
  }

  /** @returns the child's number. */
  override step(task: Task): number {
    const waits = this.#child.vforkDone === this && !task.pending.signal.has(Sig.KILL);
    if (waits) return task.sleep(this, TaskState.UNINTERRUPTIBLE, -1);
    this.#child.vforkDone = null;
    return this.#child.tid;
  }

  /** `complete_vfork_done`. */
  complete(): void {
    this.#child.vforkDone = null;
    this.#parent.wakeUp();
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#parent, this.#child];
  }
}
