/**
 * The kinds of events of a causal log, and the numbers that stand for words in them.
 *
 * Counterpart: none in Linux; see `causal-log.ts`.
 */
import type { EraseCause, QueueCause } from "./observer.ts";

/**
 * Kinds of events. `item` is a number of `item()`, `file` and `ep` a `File.id`, `task` a number of `task()`, `queue` one that
 * `queueOf` gives.
 */
export const Kind = {
  /** Root. subject: task. x: line. y: the file behind the descriptor that it is made on, 0 for none. */
  CALL: 1,
  /** Root. What somebody outside did. x: the line that proves it. */
  OUTSIDE: 2,
  /** Root. subject: the task whose sleep ends by its deadline, or -1 for another timer. x: line of the call that armed it, or 0. */
  TIMER: 3,
  /** subject: task. x: the result. */
  RETURN: 4,
  /** subject: queue. x, y: places of the first byte and behind the last one, counted from the queue's beginning. */
  BYTES: 5,
  /** The same for what a reader has taken. */
  TAKEN: 6,
  /** subject: file. x: key. An epoll's own wake of its watchers too. */
  WAKE: 7,
  /** subject: item. ep. x: key. y: a `Why`. */
  FILTERED: 8,
  /** subject: item. ep. x: a `List`. y: a `Queue`. */
  QUEUED: 9,
  /** subject: item. ep. x: the events reported. */
  DELIVERED: 10,
  /** subject: item. ep. */
  DROPPED: 11,
  /** subject: item. ep. */
  DISARMED: 12,
  /** subject: number of items that txlist has now. ep. */
  SCAN: 13,
  SCAN_END: 14,
  /** subject: item. ep. x: mask. */
  INSERTED: 15,
  /** subject: item. ep. x: mask. */
  MODIFIED: 16,
  /** subject: item. ep. x: an `Erase`. */
  ERASED: 17,
  /** About to sleep in `ep_poll`. subject: task. ep. x: 1 if there is a deadline. */
  WAITS: 18,
  /** subject: task. */
  SLEPT: 19,
  /** subject: task. ep: on which it waited, or 0. */
  WOKEN: 20,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Why a wake-up passed an item by. */
export const Why = { disarmed: 1, mask: 2, linked: 3 } as const;
/** Where an item was queued. */
export const ReadyList = { rdllist: 1, ovflist: 2 } as const;
/** What put an item there. */
export const Queue: Readonly<Record<QueueCause, number>> = { add: 1, mod: 2, wake: 3, level: 4, arrival: 5 };
/** What took an item out of the set. */
export const Erase: Readonly<Record<EraseCause, number>> = { del: 1, release: 2, epoll: 3, refused: 4 };
