/**
 * Calls put together from their halves.
 *
 * strace writes a call in two lines when another task's line came between. `CallJoiner` is shown every line of a trace and
 * gives a `CallRecord` for each call: once when it begins and once, the same object, when it ends. It holds one record for each
 * task that is inside a call.
 */
import type { CallLine, ExitLine, Expr, Line, PartExpr, Result, ResumedLine } from "./ast.ts";
import { ParseError } from "./errors.ts";
import { TraceClock } from "./time.ts";

/** More tasks than Linux can have at once. */
const PENDING_MAX = 1 << 22;

/** How far a call has come. */
export type CallPhase =
  /** Entered, and its end not read yet. */
  | "entered"
  /** The line with its result has been read. */
  | "returned"
  /** Its task ended inside the call, or the trace lost its second half. */
  | "lost";

/** A call from its entry to its end. */
export class CallRecord {
  /** Changes only in an execve by a thread, which goes on under the pid of its leader. */
  task: string | null;
  readonly name: string;
  phase: CallPhase;
  /** All arguments known so far. */
  args: readonly Expr[];
  result: Result | null;
  /** Null when the trace begins inside the call: then `args` holds only what the second half shows. */
  readonly entryLine: number | null;
  exitLine: number | null;
  /** Ns since the first time stamp of the trace; null when the trace has no times. */
  readonly entryNs: number | null;
  /** From the resumed line's own stamp, or else entry plus duration; null when neither is known. */
  exitNs: number | null;
  /** Recorded in one line: nothing else is known to have happened meanwhile. */
  whole = false;
  /** Time inside the call as the tracer measured it (`-T`). */
  durationNs: number | null;

  constructor(
    task: string | null,
    name: string,
    args: readonly Expr[],
    entryLine: number | null,
    entryNs: number | null,
  ) {
    this.task = task;
    this.name = name;
    this.phase = "entered";
    this.args = args;
    this.result = null;
    this.entryLine = entryLine;
    this.exitLine = null;
    this.entryNs = entryNs;
    this.exitNs = null;
    this.durationNs = null;
  }

  /** Sets what the line with the result says. */
  end(line: CallLine | ResumedLine, exitNs: number | null, phase: CallPhase): void {
    this.phase = phase;
    this.result = line.result;
    this.whole = line.type === "call";
    this.exitLine = line.line;
    this.durationNs = line.durationNs;
    this.exitNs = exitNs;
  }
}

/** Joins the halves of one trace. */
export class CallJoiner {
  readonly #file: string | null;
  readonly #clock: TraceClock = new TraceClock();
  readonly #pending: Map<string | null, CallRecord> = new Map();
  #nowNs: number | null = null;

  constructor(file: string | null = null) {
    this.#file = file;
  }

  /** Time of the latest line that had one, in ns since the first; null before. */
  get nowNs(): number | null {
    return this.#nowNs;
  }

  /** The calls that have not ended yet, in the order of their entry. */
  pending(): IterableIterator<CallRecord> {
    return this.#pending.values();
  }

  /** Lines are missing here: calls that have begun may have ended among them. */
  forget(): void {
    for (const call of this.#pending.values()) call.phase = "lost";
    this.#pending.clear();
  }

  /**
   * Takes the next line. Returns the call that begins or ends with it (see its `phase`), null when none does.
   *
   * @throws ParseError when a second half belongs to another call than its task is in
   */
  push(line: Line): CallRecord | null {
    const ns = line.time === null ? null : this.#clock.at(line.time);
    if (ns !== null) this.#nowNs = ns;
    switch (line.type) {
      case "call":
        return this.#call(line, ns);
      case "resumed":
        return this.#resumed(line, ns);
      case "exit":
        return this.#exit(line, ns);
      default:
        return null;
    }
  }

  #call(line: CallLine, ns: number | null): CallRecord {
    this.#drop(line.task);
    const call = new CallRecord(line.task, line.name, line.args, line.line, ns);
    if (!line.unfinished) {
      call.end(line, ns !== null && line.durationNs !== null ? ns + line.durationNs : null, "returned");
    } else if (line.result === null || line.result.text === "<blocked>") {
      if (this.#pending.size >= PENDING_MAX) {
        throw new ParseError(this.#file, line.line, 1, `${PENDING_MAX} calls that never end`, "a trace of one system");
      }
      this.#pending.set(line.task, call);
    } else call.end(line, null, "lost");
    return call;
  }

  #resumed(line: ResumedLine, ns: number | null): CallRecord {
    let call = this.#pending.get(line.task) ?? null;
    if (call === null) call = new CallRecord(line.task, line.name, line.args, null, null);
    else {
      if (call.name !== line.name) {
        const expected = `'<... ${call.name} resumed>', which began in line ${call.entryLine}`;
        throw new ParseError(this.#file, line.line, 1, `'<... ${line.name} resumed>'`, expected);
      }
      this.#pending.delete(line.task);
      call.args = joinArgs(call.args, line.args);
    }
    const byDuration = call.entryNs !== null && line.durationNs !== null ? call.entryNs + line.durationNs : null;
    call.end(line, ns ?? byDuration, "returned");
    return call;
  }

  #exit(line: ExitLine, ns: number | null): CallRecord | null {
    const call = this.#drop(line.task);
    if (call !== null) {
      call.exitLine = line.line;
      call.exitNs = ns;
    }
    if (line.how === "superseded") this.#takeOver(String(line.status), line.task);
    return call;
  }

  /** The leader is gone; the thread `from`, which called execve, is now `to`. */
  #takeOver(from: string, to: string | null): void {
    const execve = this.#pending.get(from);
    if (execve === undefined) return;
    this.#pending.delete(from);
    execve.task = to;
    this.#pending.set(to, execve);
  }

  /** Forgets the task's call, whose second half will not come. */
  #drop(task: string | null): CallRecord | null {
    const call = this.#pending.get(task);
    if (call === undefined) return null;
    this.#pending.delete(task);
    call.phase = "lost";
    return call;
  }
}

/**
 * The arguments of a call whose line was cut: those of the first half, then those of the second. Where the cut went through an
 * argument (`{flags=0 <unfinished ...>`, ` => {parent_tid=[7]}`) its two sides become one again.
 */
export function joinArgs(head: readonly Expr[], tail: readonly Expr[]): readonly Expr[] {
  const first = tail[0];
  if (first === undefined) return head;
  const last = head[head.length - 1];
  if (last === undefined) return tail;
  const joint = joinAt(last, first);
  return joint === null ? [...head, ...tail] : [...head.slice(0, -1), joint, ...tail.slice(1)];
}

/** The argument that `left` and `right` are two sides of, null when they are two arguments. */
function joinAt(left: Expr, right: Expr): Expr | null {
  if (right.kind === "change" && right.from === null && right.brackets === "") {
    if (left.kind !== "named") return { ...right, from: left };
    return { ...left, value: { ...right, from: left.value } };
  }
  if (right.kind !== "part" || right.side !== "tail") return null;
  if (left.kind === "named") {
    const value = joinAt(left.value, right);
    return value === null ? null : { ...left, value };
  }
  return left.kind === "part" && left.side === "head" ? closePart(left, right) : null;
}

function closePart(head: PartExpr, tail: PartExpr): Expr {
  const items = joinArgs(head.items, tail.items);
  if (head.brackets === "{}") return { kind: "struct", fields: items };
  const only = items.length === 1 ? items[0]! : null;
  return only !== null && only.kind === "change" ? { ...only, brackets: "[]" } : { kind: "array", items };
}
