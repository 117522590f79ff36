/**
 * The causal log by registration, by queue and by call: one pass over it, then every question is a look-up.
 */
import { type CausalLog, Kind, Queue } from "../../kernel/causal-log.ts";

/** A range of bytes (or connections, ticks ...) that joined a queue by one event. */
export interface Range {
  readonly event: number;
  readonly from: number;
  readonly to: number;
}

export class History {
  readonly log: CausalLog;
  readonly #byItem = new Map<number, number[]>();
  readonly #byQueue = new Map<number, number[]>();
  readonly #byCall = new Map<number, number[]>();
  readonly #callsAt = new Map<number, number[]>();
  readonly #wakesOf = new Map<number, number[]>();
  readonly #byWaiter = new Map<number, number[]>();

  constructor(log: CausalLog) {
    this.log = log;
    for (let id = log.first; id < log.end; id += 1) this.#file(id);
  }

  #file(id: number): void {
    const { log } = this;
    const kind = log.kind(id);
    const subject = log.subject(id);
    push(this.#byCall, log.call(id), id);
    switch (kind) {
      case Kind.CALL:
        push(this.#callsAt, log.x(id), id);
        break;
      case Kind.BYTES:
      case Kind.TAKEN:
        push(this.#byQueue, subject, id);
        break;
      case Kind.WAKE:
        push(this.#wakesOf, log.file(subject)?.queue ?? -1, id);
        break;
      case Kind.WAITS:
      case Kind.WOKEN:
        push(this.#byWaiter, log.ep(id), id);
        break;
      case Kind.FILTERED:
      case Kind.QUEUED:
      case Kind.DELIVERED:
      case Kind.DROPPED:
      case Kind.DISARMED:
      case Kind.INSERTED:
      case Kind.MODIFIED:
      case Kind.ERASED:
        push(this.#byItem, subject, id);
        break;
      default:
    }
  }

  /** Everything that happened to a registration, oldest first. */
  ofItem(item: number): readonly number[] {
    return this.#byItem.get(item) ?? [];
  }

  /** Everything that happened in a call. */
  ofCall(call: number): readonly number[] {
    return this.#byCall.get(call) ?? [];
  }

  /** The latest time that the call of a line was made: a replay may try one more than once. 0 when it never was. */
  callAt(line: number): number {
    return this.#callsAt.get(line)?.at(-1) ?? 0;
  }

  /** The wake-ups of the descriptions around a queue, oldest first. */
  wakesOf(queue: number): readonly number[] {
    return this.#wakesOf.get(queue) ?? [];
  }

  /** What moved through a queue, oldest first. */
  ofQueue(queue: number): readonly number[] {
    return this.#byQueue.get(queue) ?? [];
  }

  /** Which numbers are registered with an epoll at a moment. */
  itemsOf(ep: number, at: number): number[] {
    const { log } = this;
    return this.#itemsOf(ep)
      .filter((item) => this.isAlive(item, at))
      .sort((a, b) => log.item(a).fd - log.item(b).fd);
  }

  /** Registrations that an epoll has had before a moment and no longer has, in the order of their beginnings. */
  goneFrom(ep: number, at: number): number[] {
    return this.#itemsOf(ep).filter((item) => (this.ofItem(item)[0] ?? at) < at && !this.isAlive(item, at));
  }

  #itemsOf(ep: number): number[] {
    const { log } = this;
    return Array.from({ length: log.nrItems }, (_, item) => item).filter((item) => log.item(item).ep === ep);
  }

  /** Whether a registration exists at a moment. One whose beginning is forgotten is taken to have existed. */
  isAlive(item: number, at: number): boolean {
    const events = this.ofItem(item);
    let alive = false;
    for (const id of events) {
      if (id >= at) break;
      alive = this.log.kind(id) !== Kind.ERASED;
    }
    return alive;
  }

  /** What nobody has taken from a queue at a moment, by the events that put it there. */
  unread(queue: number, at: number): Range[] {
    const { log } = this;
    let taken = 0;
    const ranges: Range[] = [];
    for (const id of this.ofQueue(queue)) {
      if (id >= at) break;
      if (log.kind(id) === Kind.TAKEN) taken = log.y(id);
      else ranges.push({ event: id, from: log.x(id), to: log.y(id) });
    }
    return ranges.filter(({ to }) => to > taken).map((range) => ({ ...range, from: Math.max(range.from, taken) }));
  }

  /** Tasks asleep in `ep_poll` on an epoll at a moment, the next to be woken first. */
  waitersOf(ep: number, at: number): number[] {
    const { log } = this;
    const waiters: number[] = [];
    for (const id of this.#byWaiter.get(ep) ?? []) {
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
    const found = (this.#byWaiter.get(ep) ?? []).find(
      (id) => id > begin && id < at && log.subject(id) === task && log.kind(id) === Kind.WOKEN,
    );
    return found ?? 0;
  }

  /** From an event back to its root, oldest first; of a level-triggered item's rounds through the list only the latest. */
  chain(id: number): number[] {
    const { log } = this;
    const events: number[] = [];
    for (let at = id; at !== 0; at = log.cause(at)) {
      events.push(at);
      if (log.kind(at) === Kind.QUEUED && log.y(at) === Queue.level) {
        events.push(...this.#firstOfRounds(at));
        break;
      }
    }
    return events.reverse();
  }

  /** What first put a level-triggered item on the list, newest first. */
  #firstOfRounds(level: number): number[] {
    const { log } = this;
    let at = log.cause(level);
    while (at !== 0) {
      const by = log.cause(at);
      if (by === 0 || log.kind(at) === Kind.DELIVERED) {
        if (by === 0) return [at];
        at = by;
        continue;
      }
      if (log.kind(at) === Kind.QUEUED && log.y(at) === Queue.level) {
        at = by;
        continue;
      }
      break;
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
