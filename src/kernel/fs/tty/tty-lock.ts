/**
 * The locks that a terminal's reader and writer hold while they sleep.
 *
 * Counterpart: `struct tty_struct` (`atomic_write_lock`), `struct n_tty_data` (`atomic_read_lock`): mutexes that are taken
 * with `mutex_lock_interruptible`, or tried when the description does not wait.
 */
import { assert } from "../../lib/assert.ts";
import type { SleepingCall, Task } from "../../sched/task.ts";
import { WaitQueueHead } from "../../sched/wait.ts";
import { waitEventExclusive } from "../../sched/wait-event.ts";

export class TtyLock {
  owner: Task | null = null;
  readonly #wait = new WaitQueueHead();

  /** `mutex_trylock`. */
  tryLock(task: Task): boolean {
    if (this.owner !== null) return false;
    this.owner = task;
    return true;
  }

  /** `mutex_lock_interruptible` when `tryLock` failed; `call` tries again. @errno ERESTARTSYS - a signal is pending. */
  sleep(task: Task, call: SleepingCall): number {
    return waitEventExclusive(task, this.#wait, call);
  }

  unlock(task: Task): void {
    assert(this.owner === task, "tty: only its owner unlocks it");
    this.owner = null;
    this.#wait.wakeUp(1, 0);
  }
}
