/**
 * A recording as a sequence of entries and exits, each entry with all that is known of its call.
 *
 * strace prints some input arguments (the time-out of an epoll_wait) only in the second half of a split call, but a replay
 * needs them at the entry. So events are held back until the call at the front has ended, at most `WINDOW` of them. What comes
 * is also asked for where it shows which of two orders, or which act of the world outside, a result comes from.
 */
import type { ExitLine, Line, SignalLine } from "../trace/ast.ts";
import { CallJoiner, type CallRecord } from "../trace/pairs.ts";

/** Events held back for one call that does not end: bounds the memory of a replay. */
const WINDOW = 50_000;
/** Events that are always held back, so that what comes can be asked for. */
export const HORIZON = 12_000;

/** Events among which the end of a task that is ending is looked for. */
const END_LOOK = 400;

export type TraceEvent =
  | { readonly kind: "enter"; readonly call: CallRecord; readonly ns: number | null }
  | { readonly kind: "exit"; readonly call: CallRecord; readonly ns: number | null }
  | { readonly kind: "signal"; readonly line: SignalLine; readonly ns: number | null }
  | { readonly kind: "gone"; readonly line: ExitLine; readonly ns: number | null }
  /** Somebody has cut lines out. */
  | { readonly kind: "gap"; readonly ns: number | null };

const CUT = /^\s*(?:\[\s*)?(?:\.\.\.|\u2026|<snip|\[?snip|--+ ?snip)/iu;

/** Hands on the events of a recording in file order. */
export class Lookahead {
  readonly #joiner: CallJoiner;
  readonly #queue: TraceEvent[] = [];
  #head = 0;

  constructor(file: string | null) {
    this.#joiner = new CallJoiner(file);
  }

  /** @throws ParseError - the halves do not fit. */
  push(line: Line): void {
    const call = this.#joiner.push(line);
    const ns = this.#joiner.nowNs;
    if (call !== null) {
      const whole = line.type === "call" && call.phase === "returned";
      if (line.type === "call") this.#queue.push({ kind: "enter", call, ns: call.entryNs });
      if (whole || line.type === "resumed") this.#queue.push({ kind: "exit", call, ns: call.exitNs ?? ns });
    }
    if (line.type === "note" && CUT.test(line.text)) {
      this.#joiner.forget();
      this.#queue.push({ kind: "gap", ns });
    }
    if (line.type === "signal") this.#queue.push({ kind: "signal", line, ns });
    if (line.type === "exit") this.#queue.push({ kind: "gone", line, ns });
  }

  /** The next event that can be looked at; `last` when no more lines will come. */
  next(last: boolean): TraceEvent | null {
    const event = this.#queue[this.#head];
    if (event === undefined) return null;
    const waiting = event.kind === "enter" && event.call.phase === "entered";
    const held = this.#queue.length - this.#head;
    if (!last && (held < HORIZON || (waiting && held < WINDOW))) return null;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return event;
  }

  /** The line that shows the end of a task; null when it is not near. */
  endOf(task: string | null): ExitLine | null {
    for (const event of this.ahead(END_LOOK)) if (event.kind === "gone" && event.line.task === task) return event.line;
    return null;
  }

  /** The events behind the one handed out last, as far as they are known, at most `limit`. */
  *ahead(limit: number): Generator<TraceEvent, void, undefined> {
    const end = Math.min(this.#queue.length, this.#head + limit);
    for (let at = this.#head; at < end; at += 1) yield this.#queue[at] as TraceEvent;
  }
}
