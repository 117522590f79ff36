/**
 * What somebody who watches the model is told: `run` prints it, `explain` will build chains from it.
 *
 * Every call site tests `kernel.observer !== null` first, so an unwatched kernel pays one field test.
 */

import type { Epitem } from "./fs/eventpoll/epitem.ts";
import type { Eventpoll } from "./fs/eventpoll/eventpoll.ts";
import type { File } from "./fs/file.ts";
import type { Task } from "./sched/task.ts";

export interface KernelObserver {
  /** `ep_rbtree_insert`, `rb_erase_cached`. */
  rbInsert(ep: Eventpoll, epi: Epitem): void;
  rbErase(ep: Eventpoll, epi: Epitem): void;
  /** An item joined rdllist, or ovflist during a scan. `cause`: who put it there. */
  queued(epi: Epitem, list: "rdllist" | "ovflist", cause: "add" | "mod" | "wake" | "level"): void;
  /** A scan took an item off the list because its re-poll showed nothing of interest. */
  dropped(epi: Epitem): void;
  /** `ep_poll_callback` did nothing. */
  filtered(epi: Epitem, key: number, why: "disarmed" | "mask" | "linked"): void;
  /** ONESHOT is spent. */
  disarmed(epi: Epitem): void;
  /** A file woke its waiters. */
  wakeUp(file: File, key: number): void;
  /** A task went to sleep, or was made runnable. */
  slept(task: Task): void;
  woken(task: Task): void;
}
