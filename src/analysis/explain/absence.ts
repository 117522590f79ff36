/**
 * Why a registration is not reported: the state of the item at a moment, and what brought it there.
 */
import { Kind, Why } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import type { CallNote, CallsByLine } from "../evidence.ts";
import { type History, indexOf, type Range, within } from "./history.ts";

/** What stands between a registration and its report. */
export type Verdict =
  /** It was reported. */
  | "delivered"
  /** On the ready list, and the next scan that has room will look at it. */
  | "queued"
  /** A one-shot report has disarmed it. */
  | "disarmed"
  /** Edge-triggered: reported, and nobody has announced anything since. */
  | "taken"
  /** A scan found it no longer ready, and nobody has announced anything since. */
  | "drained"
  /** Announced, with a key that it does not ask for. */
  | "filtered"
  /** Announced; another EPOLLEXCLUSIVE waiter took the wake-up. */
  | "exclusive"
  /** Something arrived, and announced itself to nobody: SO_RCVLOWAT, or a pipe that was not empty. */
  | "below-mark"
  /** The other side has made room, and too little to announce it. */
  | "no-room"
  /** Nobody has announced anything since it was added or modified. */
  | "quiet"
  /** The registration is gone. */
  | "erased";

export interface Absence {
  readonly verdict: Verdict;
  /** The events that prove it, oldest first. */
  readonly proof: readonly number[];
  /** What could be read at that moment. */
  readonly unread: readonly Range[];
}

const { IN: EPOLLIN, OUT: EPOLLOUT, EXCLUSIVE: EPOLLEXCLUSIVE, WRNORM, WRBAND } = Epoll;
const OUT_BITS = EPOLLOUT | WRNORM | WRBAND;

/** What the events of an item have made of it. */
interface State {
  /** Latest INSERTED or MODIFIED. */
  look: number;
  /** The QUEUED by which it is on a list; 0 when it is on none. */
  on: number;
  /** The DELIVERED or DROPPED by which it left the list; 0 when it has not since `look`. */
  out: number;
  disarmed: number;
  erased: number;
  /** FILTERED since `look` or `out`. */
  filtered: number[];
}

/** Goes back from `at` no further than what decides. */
function stateOf(history: History, item: number, at: number): State {
  const { log } = history;
  const events = history.ofItem(item);
  const look = history.lookBefore(item, at);
  const state: State = { look, on: 0, out: 0, disarmed: 0, erased: 0, filtered: [] };
  for (let index = indexOf(events, at) - 1; index >= 0; index -= 1) {
    const id = events[index] as number;
    const kind = log.kind(id);
    if (kind === Kind.ERASED) state.erased = id;
    else if (kind === Kind.DISARMED && id > look) state.disarmed = id;
    else if (kind === Kind.FILTERED && log.y(id) !== Why.linked && id > look) state.filtered.unshift(id);
    else if (kind === Kind.QUEUED) {
      state.on = id;
      break;
    } else if (kind === Kind.DELIVERED || kind === Kind.DROPPED) {
      if (id > look) state.out = id;
      break;
    }
  }
  return state;
}

/** Answers why registrations are not reported, as far as the log tells. */
export class Reasons {
  readonly #history: History;
  readonly #calls: CallsByLine;
  /** Calls that took a number from its description, by that number. */
  readonly #closers = new Map<number, number[]>();
  /** Queues that were written to through a number. */
  readonly #written = new Map<number, Set<number>>();

  constructor(history: History, calls: CallsByLine) {
    this.#history = history;
    this.#calls = calls;
    const { log } = history;
    for (let id = log.first; id < log.end; id += 1) {
      const kind = log.kind(id);
      if (kind === Kind.CALL) this.#noteClose(id);
      else if (kind === Kind.BYTES) this.#noteWrite(id);
    }
  }

  #noteClose(id: number): void {
    const call = this.#calls.at(this.#history.log.x(id));
    const fd = call === null ? null : closedNumber(call);
    if (fd === null) return;
    const list = this.#closers.get(fd) ?? [];
    list.push(id);
    this.#closers.set(fd, list);
  }

  #noteWrite(id: number): void {
    const { log } = this.#history;
    const call = this.#calls.at(log.line(id));
    const fd = call !== null && /write|send/.test(call.name) ? call.first : null;
    if (fd === null) return;
    const queues = this.#written.get(fd) ?? new Set();
    queues.add(log.subject(id));
    this.#written.set(fd, queues);
  }

  /** Why an item is not reported at a moment. */
  absence(item: number, at: number): Absence {
    const history = this.#history;
    const { log } = history;
    const { look, on, out, disarmed, erased, filtered } = stateOf(history, item, at);
    const { file, fd } = log.item(item);
    const queue = log.file(file)?.queue ?? -1;
    const unread = history.unread(queue, at);
    const answer = (verdict: Verdict, ...proof: number[]): Absence => ({ verdict, proof: ordered(proof), unread });
    if (erased !== 0) return { verdict: "erased", proof: ordered([look, erased]), unread: [] };
    if (disarmed !== 0) return answer("disarmed", out, disarmed, ...filtered);
    if (on !== 0) return answer("queued", ...history.chain(on));
    const mask = look === 0 ? 0 : log.x(look);
    const since = Math.max(look, out);
    const isTaken = out !== 0 && log.kind(out) === Kind.DELIVERED;
    const announced =
      (mask & EPOLLEXCLUSIVE) === 0
        ? []
        : within(history.wakesOf(queue), since, at).filter(
            (id) => (log.x(id) & mask) !== 0 && !this.#isAnswered(item, id),
          );
    if (announced.length > 0) {
      return answer("exclusive", since, ...announced, ...announced.flatMap((id) => this.#takersOf(id)));
    }
    if (isTaken && unread.length > 0 && (mask & EPOLLIN) !== 0) {
      return answer("taken", ...history.chain(out), ...this.#readsSince(queue, out, at), ...filtered);
    }
    if (filtered.some((id) => out === 0 || (log.x(id) & ~OUT_BITS) !== 0)) {
      return answer("filtered", since, ...filtered.flatMap((id) => history.chain(id)));
    }
    const arrived = within(history.joined(queue), since, at);
    if (arrived.length > 0 && unread.length > 0) return answer("below-mark", since, ...arrived);
    const roomMade = (mask & EPOLLOUT) === 0 ? [] : this.#takenByPeer(fd, since, at);
    if (roomMade.length > 0) return answer("no-room", since, ...roomMade);
    if (isTaken) return answer("taken", ...history.chain(out), ...filtered);
    if (out !== 0)
      return answer("drained", ...this.#lastTaken(queue, out), ...this.#lastTakenInside(file, out), out, ...filtered);
    return answer("quiet", since, ...filtered);
  }

  /** Whether an item's own events include an answer to a wake-up. */
  #isAnswered(item: number, wake: number): boolean {
    const { log } = this.#history;
    const events = this.#history.ofItem(item);
    for (let index = indexOf(events, wake); index < events.length; index += 1) {
      const id = events[index] as number;
      if (log.call(id) !== log.call(wake)) return false;
      if (log.cause(id) === wake) return true;
    }
    return false;
  }

  /** What a wake-up did to others: their items queued, their tasks woken. */
  #takersOf(wake: number): number[] {
    const { log } = this.#history;
    const inCall = this.#history.ofCall(log.call(wake)).filter((id) => id > wake);
    const queued = inCall.filter((id) => log.kind(id) === Kind.QUEUED && log.cause(id) === wake);
    return [...queued, ...inCall.filter((id) => log.kind(id) === Kind.WOKEN && queued.includes(log.cause(id)))];
  }

  /** What was read since something was reported: not all of it. */
  #readsSince(queue: number, since: number, at: number): readonly number[] {
    return within(this.#history.taken(queue), since, at);
  }

  /** The read that emptied a queue before a scan found nothing. */
  #lastTaken(queue: number, before: number): number[] {
    return this.#readsSince(queue, 0, before).slice(-1);
  }

  /** For a watched epoll: the last event that was taken from it. */
  #lastTakenInside(file: number, before: number): number[] {
    const { log } = this.#history;
    const inside = this.#history.itemsOf(file, before).flatMap((item) => this.#history.ofItem(item));
    const left = inside.filter((id) => id < before && log.kind(id) === Kind.DELIVERED);
    return left.length === 0 ? [] : [Math.max(...left)];
  }

  /** Reads by the other side of what was written through a number. */
  #takenByPeer(fd: number, since: number, at: number): number[] {
    return [...(this.#written.get(fd) ?? [])].flatMap((queue) => this.#readsSince(queue, since, at));
  }

  /** The call in which an event happened, or which proves that it had happened outside of the recording (a ring's doing). */
  #callBehind(event: number): number {
    const { log } = this.#history;
    const root = log.call(event);
    if (root === 0 || log.kind(root) === Kind.CALL) return root;
    return log.kind(root) === Kind.OUTSIDE ? this.#history.callAt(log.x(root)) : 0;
  }

  /**
   * The close (or dup2 ...) that took an item's number away and left the description alive: from then on the item belongs to
   * a number that means something else, or nothing.
   *
   * @returns the CALL event; 0 when the number still means what it meant.
   */
  staleSince(item: number, at: number): number {
    const { log } = this.#history;
    const inserted = this.#history.ofItem(item)[0] ?? 0;
    if (inserted === 0 || log.kind(inserted) !== Kind.INSERTED) return 0;
    const owner = this.#callBehind(inserted);
    if (owner === 0) return 0;
    const { files } = log.task(log.subject(owner)).process;
    const end = Math.min(at, this.#history.erased(item) || at);
    for (const id of within(this.#closers.get(log.item(item).fd) ?? [], inserted, end)) {
      if (log.task(log.subject(id)).process.files !== files) continue;
      const inCall = this.#history.ofCall(id);
      if (inCall.some((event) => log.kind(event) === Kind.ERASED && log.subject(event) === item)) continue;
      const result = inCall.find((event) => log.kind(event) === Kind.RETURN);
      if (result !== undefined && log.x(result) >= 0) return id;
    }
    return 0;
  }
}

/** The number that a call takes from its description. */
function closedNumber({ name, first, second }: CallNote): number | null {
  if (name === "close") return first;
  return name === "dup2" || name === "dup3" ? second : null;
}

function ordered(ids: readonly number[]): number[] {
  return [...new Set(ids)].filter((id) => id !== 0).sort((a, b) => a - b);
}
