/**
 * Events of the causal log as data for readers: with lines, tasks and descriptor numbers instead of ids of objects.
 */

import { Kind, Queue, ReadyList, Why } from "../../kernel/causal-kinds.ts";
import type { CausalLog } from "../../kernel/causal-log.ts";
import type { CallsByLine, Evidence } from "../evidence.ts";

export type What =
  | "call"
  | "outside"
  | "timer"
  | "return"
  | "bytes"
  | "taken"
  | "wake"
  | "filtered"
  | "queued"
  | "delivered"
  | "dropped"
  | "disarmed"
  | "scan"
  | "scan-end"
  | "inserted"
  | "modified"
  | "erased"
  | "waits"
  | "slept"
  | "woken";

/** One event. What does not apply to its kind is null. */
export interface Fact {
  readonly id: number;
  /** Id of the event that caused it; 0 for a root. */
  readonly cause: number;
  /** Line of the call (or of the proof) in which it happened; 0 when that is not known. */
  readonly line: number;
  /** Who made that call; null for a timer and the outside world. */
  readonly task: string | null;
  /** Name of that call; null likewise. */
  readonly call: string | null;
  readonly what: What;
  /** Number of the registration, or by which the description is watched. */
  readonly fd: number | null;
  /** Number of the epoll. */
  readonly ep: number | null;
  /** Mask: what was announced, or asked for, or reported. Unsigned. */
  readonly mask: number | null;
  /** For `queued` who put it there; for `filtered` why nothing was done; for `erased` by what. */
  readonly why: string | null;
  readonly list: "rdllist" | "ovflist" | null;
  /** For `bytes` and `taken`: how many. For `return`: the result. */
  readonly amount: number | null;
  /** The task that it happened to, for `slept`, `waits`, `woken`. */
  readonly whom: string | null;
}

const NAMES: Readonly<Record<Kind, What>> = {
  [Kind.CALL]: "call",
  [Kind.OUTSIDE]: "outside",
  [Kind.TIMER]: "timer",
  [Kind.RETURN]: "return",
  [Kind.BYTES]: "bytes",
  [Kind.TAKEN]: "taken",
  [Kind.WAKE]: "wake",
  [Kind.FILTERED]: "filtered",
  [Kind.QUEUED]: "queued",
  [Kind.DELIVERED]: "delivered",
  [Kind.DROPPED]: "dropped",
  [Kind.DISARMED]: "disarmed",
  [Kind.SCAN]: "scan",
  [Kind.SCAN_END]: "scan-end",
  [Kind.INSERTED]: "inserted",
  [Kind.MODIFIED]: "modified",
  [Kind.ERASED]: "erased",
  [Kind.WAITS]: "waits",
  [Kind.SLEPT]: "slept",
  [Kind.WOKEN]: "woken",
};

const WHY: readonly (string | null)[] = byNumber(Why);
const QUEUE: readonly (string | null)[] = byNumber(Queue);
const ERASE: readonly (string | null)[] = [null, "del", "release", "epoll", "refused"];

function byNumber(names: Readonly<Record<string, number>>): (string | null)[] {
  const list: (string | null)[] = [null];
  for (const [name, number] of Object.entries(names)) list[number] = name;
  return list;
}

/** Turns events into facts. */
export class Facts {
  readonly #log: CausalLog;
  readonly #calls: CallsByLine;
  readonly #epfds = new Map<number, number>();
  readonly #fds = new Map<number, number>();
  /** Tasks as the trace names them. */
  readonly #names = new Map<number, string | null>();

  constructor({ log, calls }: Evidence) {
    this.#log = log;
    this.#calls = calls;
    for (let item = 0; item < log.nrItems; item += 1) this.#fds.set(log.item(item).file, log.item(item).fd);
    for (let id = log.first; id < log.end; id += 1) {
      const kind = log.kind(id);
      if (kind === Kind.CALL) this.#learnName(id);
      if (kind === Kind.INSERTED || kind === Kind.MODIFIED || kind === Kind.WAITS) this.#learn(id);
    }
  }

  #learnName(id: number): void {
    const task = this.#log.subject(id);
    const call = this.#calls.at(this.#log.x(id));
    if (call !== null) this.#names.set(task, call.task);
  }

  /** The number that a call on an epoll uses for it. */
  #learn(id: number): void {
    const ep = this.#log.ep(id);
    const call = this.#calls.at(this.#log.line(id));
    if (call === null || !call.name.startsWith("epoll_") || this.#epfds.has(ep)) return;
    if (call.first !== null) this.#epfds.set(ep, call.first);
  }

  /** The number of an epoll; null when no line names it. */
  epfd(ep: number): number | null {
    return this.#epfds.get(ep) ?? this.#fds.get(ep) ?? null;
  }

  /** Null for the only task of a trace without names. */
  taskName(number: number): string | null {
    const name = this.#names.get(number);
    return name === undefined ? this.#log.task(number).comm : name;
  }

  of(id: number): Fact {
    const log = this.#log;
    const kind = log.kind(id);
    const subject = log.subject(id);
    const root = log.call(id);
    const inCall = root !== 0 && log.kind(root) === Kind.CALL;
    const line = log.line(id);
    const onItem = isOnItem(kind);
    const ep = log.ep(id);
    return {
      id,
      cause: log.cause(id),
      line,
      task: inCall ? this.taskName(log.subject(root)) : null,
      call: inCall ? (this.#calls.at(line)?.name ?? null) : null,
      what: NAMES[kind],
      fd: onItem ? log.item(subject).fd : kind === Kind.WAKE ? (this.#fds.get(subject) ?? null) : null,
      ep: ep === 0 ? null : this.epfd(ep),
      mask: hasMask(kind) ? log.x(id) >>> 0 : null,
      why: this.#why(kind, id),
      list: kind === Kind.QUEUED ? (log.x(id) === ReadyList.rdllist ? "rdllist" : "ovflist") : null,
      amount: this.#amount(kind, id),
      whom: kind === Kind.SLEPT || kind === Kind.WAITS || kind === Kind.WOKEN ? this.taskName(subject) : null,
    };
  }

  #why(kind: Kind, id: number): string | null {
    const log = this.#log;
    if (kind === Kind.FILTERED) return WHY[log.y(id)] ?? null;
    if (kind === Kind.QUEUED) return QUEUE[log.y(id)] ?? null;
    return kind === Kind.ERASED ? (ERASE[log.x(id)] ?? null) : null;
  }

  #amount(kind: Kind, id: number): number | null {
    const log = this.#log;
    if (kind === Kind.BYTES || kind === Kind.TAKEN) return log.y(id) - log.x(id);
    return kind === Kind.RETURN ? log.x(id) : null;
  }
}

/** Whether an event's subject is a registration. */
function isOnItem(kind: Kind): boolean {
  return (kind >= Kind.FILTERED && kind <= Kind.DISARMED) || (kind >= Kind.INSERTED && kind <= Kind.ERASED);
}

function hasMask(kind: Kind): boolean {
  return (
    kind === Kind.WAKE ||
    kind === Kind.FILTERED ||
    kind === Kind.DELIVERED ||
    kind === Kind.INSERTED ||
    kind === Kind.MODIFIED
  );
}
