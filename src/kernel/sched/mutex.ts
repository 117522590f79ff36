/**
 * A sleeping lock.
 *
 * Counterpart: `kernel/locking/mutex.c`. One atomic section of the model runs undisturbed, so a mutex is only ever found
 * taken when its owner sleeps while it holds it: a scan whose output page is missing.
 */
import { assert } from "../lib/assert.ts";
import { type SleepingCall, type Task, TaskState } from "./task.ts";
import { detach, WaitQueueHead } from "./wait.ts";

export class Mutex {
  owner: Task | null = null;
  readonly #wait = new WaitQueueHead();

  /** `mutex_trylock`. */
  tryLock(task: Task): boolean {
    if (this.owner !== null) return false;
    this.owner = task;
    return true;
  }

  /** `mutex_lock` when `tryLock` failed: an uninterruptible sleep, after which `call` tries again. */
  sleep(task: Task, call: SleepingCall): number {
    assert(this.owner !== null && this.owner !== task, "mutex: nobody else holds it");
    // Whoever was woken by something else (`pollwake`) has kept its place.
    if (task.wait.entry.list !== this.#wait.head) this.#wait.addExclusive(task.wait);
    return task.sleep(call, TaskState.UNINTERRUPTIBLE, -1);
  }

  unlock(task: Task): void {
    assert(this.owner === task, "mutex: only its owner unlocks it");
    this.owner = null;
    // Linux hands the lock from one sleeper to the next. Here most of them need it for one section only, and never hold
    // it: all are woken and try in the order in which they came.
    if (!this.#wait.active) return;
    this.#wait.wakeUp(0, 0);
    for (let node = this.#wait.head.first; node !== null; node = this.#wait.head.first) detach(node.owner); // awake already
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#wait];
  }
}
