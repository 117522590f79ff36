/**
 * What `explain` and `doctor` work on: a script that has run on the model, or a recording that was replayed, as its calls by line
 * and the causal log of the machine.
 */
import { CausalLog } from "../kernel/causal-log.ts";
import type { ReplayWatcher } from "../replay/replayer.ts";
import type { Tally } from "../replay/summary.ts";
import type { ModelPort } from "../syscalls/model-port.ts";
import type { Step } from "../syscalls/port.ts";
import { entryOf, evalInt } from "../trace/abi/evaluate.ts";
import { signature } from "../trace/abi/index.ts";
import type { Expr } from "../trace/ast.ts";
import { outcome } from "../trace/outcome.ts";
import { CallJoiner, CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import type { CallPlan, Lowered } from "../trace/source-map.ts";

/** Calls that are kept for explanations: beyond that the oldest are forgotten. */
const CALLS_MAX = 1_000_000;

/** What explanations need of a call. The whole record, with all its buffers, would make a long trace a heavy one. */
export class CallNote {
  readonly task: string | null;
  readonly name: string;
  /** By which the call is known: of its entry, or of its end when the recording begins inside it. */
  readonly line: number;
  exitLine: number | null;
  /** Ns since the first time stamp; null without times. */
  readonly entryNs: number | null;
  /** Result; null while there is none, or none that is a number. */
  ret: number | null;
  errno: string | null;
  /** Its first three arguments, as far as they are numbers. */
  readonly first: number | null;
  readonly second: number | null;
  readonly third: number | null;
  /** Operation and event of an epoll_ctl, as text; null for other calls. */
  readonly ctl: { readonly op: string; readonly event: string } | null;
  /** A wait for events with time-out 0. */
  readonly immediate: boolean;
  /** With MSG_DONTWAIT. */
  readonly dontWait: boolean;

  constructor(call: CallRecord) {
    const { args } = call;
    this.task = call.task;
    this.name = call.name;
    this.line = lineOf(call);
    this.exitLine = null;
    this.entryNs = call.entryNs;
    this.ret = null;
    this.errno = null;
    const numbers = takesFd(call.name);
    this.first = numbers ? intOf(args[0]) : null;
    this.second = numbers ? intOf(args[1]) : null;
    this.third = numbers ? intOf(args[2]) : null;
    const isCtl = call.name === "epoll_ctl";
    this.ctl = isCtl ? { op: textOf(args[1]), event: args[3] === undefined ? "" : printExpr(args[3]) } : null;
    this.immediate = call.name.startsWith("epoll_") && isZero(args[3]);
    this.dontWait = numbers && args.some((arg) => textOf(arg).includes("MSG_DONTWAIT"));
    this.end(call);
  }

  /** Whether the model's result is the recorded one. A replay takes results that it cannot know from the recording. */
  isResult(result: number): boolean {
    if (this.errno !== null) return result < 0;
    return this.ret === null || this.ret === result;
  }

  /** Takes over what the end of the call has shown. */
  end({ exitLine, result }: CallRecord): void {
    this.exitLine = exitLine;
    this.ret = intOf(result?.values[0]);
    this.errno = result?.errnos[0] ?? null;
  }
}

function intOf(expr: Expr | undefined): number | null {
  return expr === undefined || expr.kind === "str" || expr.kind === "array" || expr.kind === "struct"
    ? null
    : evalInt(expr);
}

/** A number of milliseconds, or a timespec. */
function isZero(timeout: Expr | undefined): boolean {
  if (timeout?.kind !== "struct") return timeout !== undefined && intOf(timeout) === 0;
  return timeout.fields.length > 0 && timeout.fields.every((field) => evalInt(entryOf(field)) === 0);
}

/** A symbol, or symbols joined by `|`; empty for anything else. */
function textOf(expr: Expr | undefined): string {
  return expr?.kind === "sym" ? expr.name : expr?.kind === "op" ? printExpr(expr) : "";
}

/** The calls of a trace by the line of their entry. A call in a loop of a script has one line: its last round counts. */
export class CallsByLine {
  readonly #calls = new Map<number, CallNote>();
  /** Line of a second half, to the line of the first. */
  readonly #entries = new Map<number, number>();

  add(call: CallRecord): void {
    const line = lineOf(call);
    const known = this.#calls.get(line);
    if (known !== undefined && known.exitLine === null && known.name === call.name) known.end(call);
    else {
      this.#calls.delete(line);
      this.#calls.set(line, new CallNote(call));
    }
    if (call.exitLine !== null && call.exitLine !== line) this.#entries.set(call.exitLine, line);
    if (this.#calls.size <= CALLS_MAX) return;
    const [oldest] = this.#calls.keys();
    this.#calls.delete(oldest as number);
  }

  /** The call that begins or ends in a line. */
  at(line: number): CallNote | null {
    return this.#calls.get(this.#entries.get(line) ?? line) ?? null;
  }

  /** In the order of their entries. */
  values(): IterableIterator<CallNote> {
    return this.#calls.values();
  }
}

/** The line by which a call is known: that of its entry, or of its end when the recording begins inside it. */
function lineOf(call: CallRecord): number {
  return call.entryLine ?? call.exitLine ?? 0;
}

/** A trace with the machine's log. */
export interface Evidence {
  readonly log: CausalLog;
  readonly calls: CallsByLine;
  /** Lines of calls whose result the replay did not foresee: what the log says of them is not what happened. */
  readonly doubtful: ReadonlySet<number>;
  /** Why it ends before its last line; null when it does not. */
  readonly stopped: string | null;
}

/** Runs a script on the model and keeps its log. */
export function followScript(lowered: Lowered, port: ModelPort): Evidence {
  const { script, program, plans } = lowered;
  const planOf = new Map<object, CallPlan>();
  for (const plan of plans) if (plan.kind === "call") planOf.set(program.steps[plan.callStep] as Step, plan);
  const log = new CausalLog({
    line: (origin) => script.lines[planOf.get(origin)?.line ?? -1]?.line.line ?? 0,
    takesFd: (origin) => takesFd(planOf.get(origin)?.signature.name ?? ""),
  });
  const result = port.runSync(program, {
    begin: (kernel) => {
      kernel.observer = log;
    },
    step: () => {},
  });
  const { lines, end, reason } = outcome(lowered, result);
  const calls = new CallsByLine();
  const joiner = new CallJoiner(script.file);
  for (const line of lines) {
    const call = joiner.push(line);
    if (call !== null) calls.add(call);
  }
  return { log, calls, doubtful: new Set(), stopped: end === "done" ? null : reason };
}

/** Keeps the log of a replay: `watcher` goes into the replayer's options. */
export class RecordingFollower {
  readonly log: CausalLog = new CausalLog({
    line: placeInRecording,
    takesFd: (origin) => origin instanceof CallRecord && takesFd(origin.name),
  });
  readonly calls: CallsByLine = new CallsByLine();
  readonly #doubtful = new Set<number>();
  readonly #until: number;
  #tally: Tally | null = null;
  #wrong = 0;
  /** The call that begins or ends in the line of interest is over. */
  isOver = false;
  readonly watcher: ReplayWatcher = {
    begin: (machine) => {
      machine.kernel.observer = this.log;
    },
    before: (event) => {
      if (event.kind === "enter" || event.kind === "exit") this.calls.add(event.call);
    },
    after: (event) => {
      const { diverged, unsupported } = this.#tally?.counts ?? { diverged: 0, unsupported: 0 };
      if (event.kind === "exit" && diverged + unsupported !== this.#wrong) this.#doubtful.add(lineOf(event.call));
      this.#wrong = diverged + unsupported;
      if (event.kind === "exit" && this.#isLast(event.call)) this.isOver = true;
    },
  };

  /** @param until - line of the only call that is of interest: what comes behind it changes nothing. 0 for all. */
  constructor(until = 0) {
    this.#until = until;
  }

  #isLast(call: CallRecord): boolean {
    return this.#until > 0 && (lineOf(call) === this.#until || call.exitLine === this.#until);
  }

  /** The replay's counts tell which calls it did not foresee. */
  trust(tally: Tally): void {
    this.#tally = tally;
  }

  evidence(): Evidence {
    return { log: this.log, calls: this.calls, doubtful: this.#doubtful, stopped: null };
  }
}

/** Where a recording shows what a replay did: a call, or the line that says that a task ended. */
function placeInRecording(origin: object): number {
  if (origin instanceof CallRecord) return lineOf(origin);
  return "line" in origin && typeof origin.line === "number" ? origin.line : 0;
}

const takers = new Map<string, boolean>();

/** Whether a call's first argument is a descriptor. */
function takesFd(name: string): boolean {
  let takes = takers.get(name);
  if (takes === undefined) {
    takes = /fd(_?in)?$|^fildes$/.test(signature(name)?.params[0]?.name ?? "");
    takers.set(name, takes);
  }
  return takes;
}
