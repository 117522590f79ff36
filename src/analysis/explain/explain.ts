/**
 * Why did this call return this, and why did this descriptor not show up?
 *
 * Every answer is a verdict with the events that prove it; `src/cli/explain-text.ts` puts it in words.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { Errno } from "../../kernel/uapi/errno.ts";
import type { CallNote, Evidence } from "../evidence.ts";
import { Reasons, type Verdict } from "./absence.ts";
import { type Fact, Facts } from "./facts.ts";
import { History, type Range } from "./history.ts";

/** Something that could have been read, and who put it there. */
export interface Unread {
  readonly line: number;
  readonly amount: number;
}

/** What is to say about one registration. */
export interface Answer {
  readonly ep: number | null;
  readonly fd: number;
  readonly verdict: Verdict;
  /** The chain, oldest first. */
  readonly facts: readonly Fact[];
  /** What could be read through the description at that moment. */
  readonly unread: readonly Unread[];
  /** Line of the call that closed the number while the description lived on; null when it means what it meant. */
  readonly stale_since: number | null;
  /** Every line that the answer rests on, ascending. */
  readonly lines: readonly number[];
}

/** Who was asleep on an epoll when somebody was woken. */
export interface Waking {
  readonly task: string | null;
  /** From the cause of the wake-up to the wake-up, oldest first. */
  readonly facts: readonly Fact[];
  /** Everybody who slept there, in the order in which they would be woken; the first was. */
  readonly waiters: readonly (string | null)[];
  /** It found nothing and slept again: somebody else had taken what it was woken for, or it was not there any more. */
  readonly in_vain: boolean;
  readonly lines: readonly number[];
}

/** How a call ended. */
export type Ending = "events" | "time-out" | "interrupted" | "asleep" | "failed" | "returned" | "not-reached";

/** The explanation of one call. */
export interface Explanation {
  readonly line: number;
  readonly task: string | null;
  readonly call: string;
  readonly ending: Ending;
  /** False when the recording shows another result than the model gave: the chain is the model's, not what happened. */
  readonly foreseen: boolean;
  /** One for each event that it reported; where it reported none, one for each registration. */
  readonly answers: readonly Answer[];
  readonly wakings: readonly Waking[];
  /** For a call that waits for nothing: all that it set off. For a wait that ended by itself: why. */
  readonly effects: readonly Fact[];
  readonly lines: readonly number[];
  /** Every chain leads to a line, a timer or a time-out. */
  readonly complete: boolean;
}

/** Registrations that one explanation looks at. */
const ANSWERS_MAX = 64;
/** Registrations that are gone, and which it looks at when none is left. */
const ERASED_MAX = 8;
const WAIT = /^epoll_p?wait2?$/;

export class Explainer {
  readonly #evidence: Evidence;
  readonly #history: History;
  readonly #facts: Facts;
  readonly #reasons: Reasons;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
    this.#history = new History(evidence.log);
    this.#facts = new Facts(evidence);
    this.#reasons = new Reasons(this.#history, evidence.calls);
  }

  /** The explanation of the call that begins or ends in a line; null when there is none. */
  call(line: number): Explanation | null {
    const record = this.#evidence.calls.at(line);
    if (record === null) return null;
    const id = this.#history.callAt(record.line);
    if (id === 0) return this.#notMade(record);
    return WAIT.test(record.name) ? this.#wait(record, id) : this.#other(record, id);
  }

  #wait(record: CallNote, id: number): Explanation {
    const { log } = this.#evidence;
    const events = this.#history.ofCall(id);
    const result = events.find((event) => log.kind(event) === Kind.RETURN) ?? 0;
    const at = result === 0 ? log.end : result;
    const ending = result === 0 ? "asleep" : endingOf(log.x(result));
    const delivered = events.filter((event) => log.kind(event) === Kind.DELIVERED);
    const answers =
      ending === "events"
        ? delivered.slice(0, ANSWERS_MAX).map((event) => this.#delivered(event))
        : ending === "failed"
          ? []
          : this.#absent(record, id, at);
    const wakings = this.#wakings(id, at, ending === "events");
    const timer = ending === "time-out" ? this.#timers(id, at) : [];
    const effects = timer.map((event) => this.#facts.of(event));
    const explained = ending !== "events" || delivered.length === log.x(result) || delivered.length > ANSWERS_MAX;
    const explanation = this.#whole(record, ending, { answers, wakings, effects }, explained);
    const isRecorded = result === 0 || record.isResult(log.x(result));
    return isRecorded ? explanation : { ...explanation, foreseen: false, complete: false };
  }

  /**
   * A call that the model has not made. A replay does not make a wait that a signal ended, or the end of its task: nothing came of
   * it, but why it slept can be told.
   */
  #notMade(record: CallNote): Explanation {
    const isEnded = record.errno === null ? record.ret === null : record.errno === "EINTR";
    if (!WAIT.test(record.name) || !isEnded || this.#evidence.stopped !== null) {
      return this.#whole(record, "not-reached", { answers: [], wakings: [], effects: [] }, false);
    }
    const [, at] = this.#moments(record.line, record.exitLine ?? Number.MAX_SAFE_INTEGER);
    const answers = this.#absent(record, at, at);
    const ending = record.errno === null ? "asleep" : "interrupted";
    return this.#whole(record, ending, { answers, wakings: [], effects: [] }, true);
  }

  #frame(record: CallNote, ending: Ending): Pick<Explanation, "line" | "task" | "call" | "ending" | "foreseen"> {
    const foreseen = !this.#evidence.doubtful.has(record.line);
    return { line: record.line, task: record.task, call: record.name, ending, foreseen };
  }

  /** The events that ended a wait's sleep by its time-out. */
  #timers(id: number, at: number): number[] {
    const { log } = this.#evidence;
    const task = log.subject(id);
    const found: number[] = [];
    for (let event = id; event < at; event += 1) {
      if (log.kind(event) === Kind.TIMER && log.subject(event) === task) found.push(event);
    }
    return found;
  }

  #whole(
    record: CallNote,
    ending: Ending,
    parts: Pick<Explanation, "answers" | "wakings" | "effects">,
    explained: boolean,
  ): Explanation {
    const { answers, wakings, effects } = parts;
    const lines = union(
      [record.line],
      ...answers.map((a) => a.lines),
      ...wakings.map((w) => w.lines),
      linesOf(effects),
    );
    const facts = [...answers.flatMap((a) => a.facts), ...wakings.flatMap((w) => w.facts), ...effects];
    const head = this.#frame(record, ending);
    const complete = explained && head.foreseen && facts.every((fact) => this.#hasRoot(fact));
    return { ...head, ...parts, lines, complete };
  }

  /** Whether the chain behind a fact ends where a chain may end. */
  #hasRoot(fact: Fact): boolean {
    const { log } = this.#evidence;
    const root = log.call(fact.id);
    return root !== 0 && (log.kind(root) === Kind.TIMER || log.x(root) > 0);
  }

  #delivered(event: number): Answer {
    const { log } = this.#evidence;
    const item = log.subject(event);
    const queue = log.file(log.item(item).file)?.queue ?? -1;
    return this.#answer(item, "delivered", this.#history.chain(event), this.#history.unread(queue, event), event);
  }

  #answer(item: number, verdict: Verdict, events: readonly number[], ranges: readonly Range[], at: number): Answer {
    const { log } = this.#evidence;
    const { ep, fd } = log.item(item);
    const facts = events.map((event) => this.#facts.of(event));
    const unread = ranges.map(({ event, from, to }) => ({ line: log.line(event), amount: to - from }));
    const closer = this.#reasons.staleSince(item, at);
    const stale_since = closer === 0 ? null : log.x(closer);
    const lines = union(
      linesOf(facts),
      unread.map(({ line }) => line),
      stale_since === null ? [] : [stale_since],
    );
    return { ep: this.#facts.epfd(ep), fd, verdict, facts, unread, stale_since, lines };
  }

  /** Why each registration of a wait's epoll is not reported. */
  #absent(record: CallNote, id: number, at: number): Answer[] {
    const ep = this.#epOf(record, id);
    if (ep === 0) return [];
    const alive = this.#history.itemsOf(ep, at);
    const items = alive.length > 0 ? alive : this.#history.goneFrom(ep, at).slice(-ERASED_MAX);
    return items.slice(0, ANSWERS_MAX).map((item) => this.#notReported(item, at));
  }

  #notReported(item: number, at: number): Answer {
    const { verdict, proof, unread } = this.#reasons.absence(item, at);
    return this.#answer(item, verdict, proof, unread, at);
  }

  /** The epoll that a wait was for: as its own events say, or else by its number. */
  #epOf(record: CallNote, id: number): number {
    const { log } = this.#evidence;
    const own = this.#history
      .ofCall(id)
      .find((event) => log.kind(event) === Kind.WAITS || log.kind(event) === Kind.SCAN);
    if (own !== undefined) return log.ep(own);
    const fd = record.first;
    let found = 0;
    for (let item = log.nrItems - 1; item >= 0; item -= 1) {
      const { ep } = log.item(item);
      if (this.#facts.epfd(ep) !== fd) continue;
      if (this.#history.isAlive(item, id)) return ep;
      if (found === 0) found = ep; // without a registration, but it had one
    }
    return found;
  }

  /** What woke the task out of a wait. */
  #wakings(id: number, at: number, successful: boolean): Waking[] {
    const { log } = this.#evidence;
    const task = log.subject(id);
    const wakings: number[] = [];
    const waits = this.#history.ofCall(id).filter((event) => log.kind(event) === Kind.WAITS);
    for (const begin of waits) {
      const woken = this.#history.wakingOf(log.ep(begin), task, begin, at);
      if (woken !== 0 && log.kind(log.call(woken) || woken) !== Kind.TIMER) wakings.push(woken);
    }
    return wakings.map((woken, index) => {
      const facts = this.#history.chain(woken).map((event) => this.#facts.of(event));
      const waiters = this.#history.waitersOf(log.ep(woken), woken).map((number) => this.#facts.taskName(number));
      const in_vain = !successful || index < wakings.length - 1;
      return { task: this.#facts.taskName(task), facts, waiters, in_vain, lines: linesOf(facts) };
    });
  }

  /** A call that is no wait for events: everything that it set off, and for one that took something, who put it there. */
  #other(record: CallNote, id: number): Explanation {
    const { log } = this.#evidence;
    const events = this.#history.ofCall(id);
    const result = events.find((event) => log.kind(event) === Kind.RETURN) ?? 0;
    const ending =
      result === 0
        ? "asleep"
        : log.x(result) === -Errno.EINTR
          ? "interrupted"
          : log.x(result) < 0
            ? "failed"
            : "returned";
    const givers = events.filter((event) => log.kind(event) === Kind.TAKEN).flatMap((event) => this.#giversOf(event));
    const effects = [...new Set([...givers, ...events])].sort((a, b) => a - b).map((event) => this.#facts.of(event));
    return this.#whole(record, ending, { answers: [], wakings: [], effects }, true);
  }

  /** The events that put there what a reader took, and what was outside of all calls behind them. */
  #giversOf(taken: number): number[] {
    const { log } = this.#evidence;
    return this.#history
      .joined(log.subject(taken))
      .filter((event) => log.x(event) < log.y(taken) && log.y(event) > log.x(taken))
      .flatMap((event) => this.#history.chain(event).filter((link) => log.kind(link) !== Kind.CALL));
  }

  /**
   * What happened to a number between two lines, and why it is not reported at their end: one answer for each registration that
   * existed meanwhile.
   *
   * @param epfd - only in this epoll; null for all.
   */
  descriptor(fd: number, from: number, to: number, epfd: number | null): Answer[] {
    const { log } = this.#evidence;
    const [first, last] = this.#moments(from, to);
    const answers: Answer[] = [];
    for (let item = 0; item < log.nrItems && answers.length < ANSWERS_MAX; item += 1) {
      const note = log.item(item);
      if (note.fd !== fd || (epfd !== null && this.#facts.epfd(note.ep) !== epfd)) continue;
      const events = this.#history.ofItem(item);
      const inserted = events[0] ?? log.end;
      const end = events.at(-1) ?? 0;
      if (inserted >= last || (log.kind(end) === Kind.ERASED && end < first)) continue;
      const within = events.filter((id) => id >= first && id < last);
      const { verdict, proof, unread } = this.#reasons.absence(item, last);
      const shown = within.some((id) => log.kind(id) === Kind.DELIVERED);
      const chains = within.flatMap((id) => this.#history.chain(id)).filter((id) => id >= first);
      const all = [...new Set([...proof, ...chains])].sort((a, b) => a - b);
      answers.push(this.#answer(item, shown && verdict === "queued" ? "delivered" : verdict, all, unread, last));
    }
    return answers;
  }

  /** The events of the lines from `from` to `to`: the first, and the one behind the last. */
  #moments(from: number, to: number): [number, number] {
    const { log } = this.#evidence;
    let first = log.end;
    let last = log.end;
    for (let id = log.first; id < log.end; id += 1) {
      if (log.kind(id) !== Kind.CALL) continue;
      const line = log.x(id);
      if (line >= from && first === log.end) first = id;
      if (line > to) {
        last = id;
        break;
      }
    }
    return [first, last];
  }

  /** Lines of the waits for events in the trace, in their order. @param task - only those of this task. */
  waits(task: string | null): number[] {
    const lines: number[] = [];
    for (const call of this.#evidence.calls.values()) {
      if (WAIT.test(call.name) && (task === null || call.task === task)) lines.push(call.line);
    }
    return lines;
  }
}

function endingOf(result: number): Ending {
  if (result > 0) return "events";
  if (result === 0) return "time-out";
  return result === -Errno.EINTR ? "interrupted" : "failed";
}

function linesOf(facts: readonly Fact[]): number[] {
  return facts.map(({ line }) => line).filter((line) => line > 0);
}

function union(...lists: readonly (readonly number[])[]): number[] {
  return [...new Set(lists.flat())].filter((line) => line > 0).sort((a, b) => a - b);
}
