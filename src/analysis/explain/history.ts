/**
 * The causal log by registration, by queue and by call: one pass over it, then every question is a look-up by halves. No question
 * may cost time in proportion to the whole log, since the doctor asks some of them at every call.
 */

import { Kind, Queue } from "../../kernel/causal-kinds.ts";
import type { CausalLog } from "../../kernel/causal-log.ts";

/** A range of bytes (or connections, ticks ...) that joined a queue by one event. */
export interface Range {
  readonly event: number;
  readonly from: number;
  readonly to: number;
}

/** The newest ranges of an unread queue that are told one by one. */
const RANGES_MAX = 64;
const NONE: readonly number[] = [];

/** Index of the first of ascending `ids` that is not below `at`. */
export function indexOf(ids: readonly number[], at: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] as number) >= at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Those of ascending `ids` that lie behind `from` and before `to`. */
export function within(ids: readonly number[], from: number, to: number): readonly number[] {
  return ids.slice(indexOf(ids, from + 1), indexOf(ids, to));
}

export class History {
  readonly log: CausalLog;
  readonly #byItem = new Map<number, number[]>();
  /** INSERTED and MODIFIED alone. */
  readonly #looks = new Map<number, number[]>();
  readonly #joined = new Map<number, number[]>();
  readonly #left = new Map<number, number[]>();
  /** Behind each event the next one of the same call, or 0; and the latest one of each call. By id, from `log.first`. */
  readonly #nextInCall: Int32Array;
  readonly #lastInCall: Int32Array;
  readonly #callAt = new Map<number, number>();
  readonly #wakesOf = new Map<number, number[]>();
  readonly #byWaiter = new Map<number, number[]>();
  readonly #itemsOf = new Map<number, number[]>();

  constructor(log: CausalLog) {
    this.log = log;
    this.#nextInCall = new Int32Array(log.end - log.first);
    this.#lastInCall = new Int32Array(log.end - log.first);
    for (let id = log.first; id < log.end; id += 1) this.#file(id);
    for (let item = 0; item < log.nrItems; item += 1) push(this.#itemsOf, log.item(item).ep, item);
  }

  #file(id: number): void {
    const { log } = this;
    const subject = log.subject(id);
    this.#chainInCall(id, log.call(id));
    switch (log.kind(id)) {
      case Kind.CALL:
        this.#callAt.set(log.x(id), id);
        break;
      case Kind.BYTES:
        push(this.#joined, subject, id);
        break;
      case Kind.TAKEN:
        push(this.#left, subject, id);
        break;
      case Kind.WAKE:
        push(this.#wakesOf, log.file(subject)?.queue ?? -1, id);
        break;
      case Kind.WAITS:
      case Kind.WOKEN:
        push(this.#byWaiter, log.ep(id), id);
        break;
      case Kind.INSERTED:
      case Kind.MODIFIED:
        push(this.#looks, subject, id);
        push(this.#byItem, subject, id);
        break;
      case Kind.FILTERED:
      case Kind.QUEUED:
      case Kind.DELIVERED:
      case Kind.DROPPED:
      case Kind.DISARMED:
      case Kind.ERASED:
        push(this.#byItem, subject, id);
        break;
      default:
    }
  }

  #chainInCall(id: number, call: number): void {
    if (call === 0) return;
    const { first } = this.log;
    const last = this.#lastInCall[call - first] as number;
    if (last !== 0) this.#nextInCall[last - first] = id;
    this.#lastInCall[call - first] = id;
  }

  /** Everything that happened in a call, the call itself first. */
  ofCall(call: number): readonly number[] {
    const events: number[] = [];
    if (call < this.log.first) return events;
    for (let id = call; id !== 0; id = this.#nextInCall[id - this.log.first] as number) events.push(id);
    return events;
  }

  /** Everything that happened to a registration, oldest first. */
  ofItem(item: number): readonly number[] {
    return this.#byItem.get(item) ?? NONE;
  }

  /** The INSERTED or MODIFIED whose mask a registration has at a moment; 0 before the first. */
  lookBefore(item: number, at: number): number {
    const looks = this.#looks.get(item) ?? NONE;
    return looks[indexOf(looks, at) - 1] ?? 0;
  }

  /** The latest time that the call of a line was made: a replay may try one more than once. 0 when it never was. */
  callAt(line: number): number {
    return this.#callAt.get(line) ?? 0;
  }

  /** The wake-ups of the descriptions around a queue, oldest first. */
  wakesOf(queue: number): readonly number[] {
    return this.#wakesOf.get(queue) ?? NONE;
  }

  /** What joined a queue, oldest first. */
  joined(queue: number): readonly number[] {
    return this.#joined.get(queue) ?? NONE;
  }

  /** What readers took from a queue, oldest first. */
  taken(queue: number): readonly number[] {
    return this.#left.get(queue) ?? NONE;
  }

  /** Registrations of an epoll, gone ones too, in the order of their beginnings. */
  allItemsOf(ep: number): readonly number[] {
    return this.#itemsOf.get(ep) ?? NONE;
  }

  /** Which numbers are registered with an epoll at a moment. */
  itemsOf(ep: number, at: number): number[] {
    const { log } = this;
    return this.allItemsOf(ep)
      .filter((item) => this.isAlive(item, at))
      .sort((a, b) => log.item(a).fd - log.item(b).fd);
  }

  /** Registrations that an epoll has had before a moment and no longer has, in the order of their beginnings. */
  goneFrom(ep: number, at: number): number[] {
    return this.allItemsOf(ep).filter((item) => (this.ofItem(item)[0] ?? at) < at && !this.isAlive(item, at));
  }

  /** Whether a registration exists at a moment. One whose beginning is forgotten is taken to have existed. */
  isAlive(item: number, at: number): boolean {
    const events = this.ofItem(item);
    const erased = this.erased(item);
    return (events[0] ?? at) < at && (erased === 0 || erased >= at);
  }

  /** The end of a registration; 0 while it exists. Nothing happens to it afterwards. */
  erased(item: number): number {
    const last = this.ofItem(item).at(-1) ?? 0;
    return last !== 0 && this.log.kind(last) === Kind.ERASED ? last : 0;
  }

  /** How much nobody has taken from a queue at a moment. */
  amountUnread(queue: number, at: number): number {
    const { log } = this;
    const joined = this.joined(queue);
    const newest = joined[indexOf(joined, at) - 1] ?? 0;
    return newest === 0 ? 0 : log.y(newest) - this.#takenBefore(queue, at);
  }

  #takenBefore(queue: number, at: number): number {
    const taken = this.taken(queue);
    const newest = taken[indexOf(taken, at) - 1] ?? 0;
    return newest === 0 ? 0 : this.log.y(newest);
  }

  /** What nobody has taken from a queue at a moment, by the events that put it there: the newest of them, oldest first. */
  unread(queue: number, at: number): Range[] {
    const { log } = this;
    const joined = this.joined(queue);
    const taken = this.#takenBefore(queue, at);
    const ranges: Range[] = [];
    for (let index = indexOf(joined, at) - 1; index >= 0 && ranges.length < RANGES_MAX; index -= 1) {
      const event = joined[index] as number;
      const to = log.y(event);
      if (to <= taken) break;
      ranges.push({ event, from: Math.max(log.x(event), taken), to });
    }
    return ranges.reverse();
  }

  /** Tasks asleep in `ep_poll` on an epoll at a moment, the next to be woken first. */
  waitersOf(ep: number, at: number): number[] {
    const { log } = this;
    const waiters: number[] = [];
    for (const id of this.#byWaiter.get(ep) ?? NONE) {
      if (id >= at) break;
      const index = waiters.indexOf(log.subject(id));
      if (index !== -1) waiters.splice(index, 1);
      if (log.kind(id) === Kind.WAITS) waiters.unshift(log.subject(id));
    }
    return waiters;
  }

  /** The wake-up that ended a task's wait on an epoll, which began at `begin`; 0 when none did before `at`. */
  wakingOf(ep: number, task: number, begin: number, at: number): number {
    const { log } = this;
    const events = this.#byWaiter.get(ep) ?? NONE;
    for (let index = indexOf(events, begin + 1); index < events.length; index += 1) {
      const id = events[index] as number;
      if (id >= at) return 0;
      if (log.subject(id) === task && log.kind(id) === Kind.WOKEN) return id;
    }
    return 0;
  }

  /** From an event back to its root, oldest first; of a level-triggered item's rounds through the list only the latest. */
  chain(id: number): number[] {
    const { log } = this;
    const events: number[] = [];
    for (let at = id; at !== 0; at = log.cause(at)) {
      events.push(at);
      if (log.kind(at) === Kind.QUEUED && log.y(at) === Queue.level) {
        events.push(...this.#behindRounds(at));
        break;
      }
    }
    return events.reverse();
  }

  /** What first put a level-triggered item on the list, newest first. */
  #behindRounds(level: number): number[] {
    const { log } = this;
    let at = log.cause(level);
    while (
      at !== 0 &&
      (log.kind(at) === Kind.DELIVERED || (log.kind(at) === Kind.QUEUED && log.y(at) === Queue.level))
    ) {
      const by = log.cause(at);
      if (by === 0) break;
      at = by;
    }
    const events: number[] = [];
    for (; at !== 0; at = log.cause(at)) events.push(at);
    return events;
  }
}

function push(lists: Map<number, number[]>, key: number, id: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [id]);
  else list.push(id);
}
