/**
 * What somebody who watches the model is told: `run` prints it, the causal log (`causal-log.ts`) keeps it with its causes.
 *
 * Counterpart: none in Linux; the nearest thing is a tracepoint on each function that moves something.
 * Every call site tests `kernel.observer !== null` first, so an unwatched kernel pays one field test. Methods do nothing unless
 * a watcher overrides them.
 */

import type { Epitem } from "./fs/eventpoll/epitem.ts";
import type { Eventpoll } from "./fs/eventpoll/eventpoll.ts";
import type { File } from "./fs/file.ts";
import type { Task } from "./sched/task.ts";
import type { Hrtimer } from "./time/hrtimer.ts";

/** Who put an item on a list. `arrival`: it came during a scan, and the end of the scan moved it from ovflist. */
export type QueueCause = "add" | "mod" | "wake" | "level" | "arrival";

/** Why an item left the tree: EPOLL_CTL_DEL, the last reference to its description, the end of the epoll, a refused ADD. */
export type EraseCause = "del" | "release" | "epoll" | "refused";

export abstract class KernelObserver {
  /**
   * A task enters a call. Whoever makes calls says so, right before the call's code runs.
   *
   * @param origin - the caller's own handle of the call: a step of a program, a record of a recording.
   * @param first - the first argument register; -1 where there is none.
   */
  entered(_task: Task, _origin: object, _first: number): void {}
  /** A task goes on inside its call. */
  resumed(_task: Task): void {}
  /** The task's call is over. */
  returned(_task: Task, _result: number): void {}
  /** What follows is done by somebody outside the simulated machine. @param proof - what shows that it happened. */
  outside(_proof: object): void {}
  /** `hrtimer_start`. */
  armed(_timer: Hrtimer): void {}
  /** A timer runs out; what follows is its doing. */
  expired(_timer: Hrtimer): void {}

  /** `ep_rbtree_insert`, `ep_modify`, `rb_erase_cached`. */
  rbInsert(_ep: Eventpoll, _epi: Epitem): void {}
  modified(_epi: Epitem): void {}
  rbErase(_ep: Eventpoll, _epi: Epitem, _cause: EraseCause): void {}

  /** `ep_start_scan`: the ready list became txlist. `readyPoll` scans too, to answer poll on the epoll's descriptor. */
  scanStarted(_ep: Eventpoll): void {}
  scanEnded(_ep: Eventpoll): void {}
  /** An item joined rdllist, or ovflist during a scan. */
  queued(_epi: Epitem, _list: "rdllist" | "ovflist", _cause: QueueCause): void {}
  /** A scan stored an event for the item, and has taken it off the list. */
  delivered(_epi: Epitem, _revents: number): void {}
  /** A scan took an item off the list because its re-poll showed nothing of interest. */
  dropped(_epi: Epitem): void {}
  /** `ep_poll_callback` did nothing. */
  filtered(_epi: Epitem, _key: number, _why: "disarmed" | "mask" | "linked"): void {}
  /** ONESHOT is spent. */
  disarmed(_epi: Epitem): void {}

  /** A file woke its waiters. */
  wakeUp(_file: File, _key: number): void {}
  /** An epoll told its own watchers (`ep_poll_safewake`). */
  safewake(_ep: Eventpoll): void {}

  /**
   * Something to read joined a queue, or left it: bytes, messages' bytes, an eventfd's count, ticks, connections to accept.
   *
   * @param queue - the object that readers take from: a `Sock`, a `PipeInodeInfo`, or the `File` itself.
   */
  enqueued(_queue: object, _amount: number): void {}
  dequeued(_queue: object, _amount: number): void {}

  /** A task is about to sleep in `ep_poll`. @param deadlineNs - absolute, or -1. */
  waits(_ep: Eventpoll, _task: Task, _deadlineNs: number): void {}
  /** A task went to sleep, or was made runnable. */
  slept(_task: Task): void {}
  woken(_task: Task): void {}
}
