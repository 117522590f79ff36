/**
 * What `explain` and `doctor` work on: a script that has run on the model, or a recording that was replayed, as its calls by line
 * and the causal log of the machine.
 */
import { CausalLog } from "../kernel/causal-log.ts";
import type { ReplayWatcher } from "../replay/replayer.ts";
import type { Tally } from "../replay/summary.ts";
import type { ModelPort } from "../syscalls/model-port.ts";
import type { Step } from "../syscalls/port.ts";
import { signature } from "../trace/abi/index.ts";
import { outcome } from "../trace/outcome.ts";
import { CallJoiner, CallRecord } from "../trace/pairs.ts";
import type { CallPlan, Lowered } from "../trace/source-map.ts";

/** Calls that are kept for explanations: beyond that the oldest are forgotten. */
const CALLS_MAX = 1_000_000;

/** The calls of a trace by the line of their entry. A call in a loop of a script has one line: its last round counts. */
export class CallsByLine {
  readonly #calls = new Map<number, CallRecord>();
  /** Line of a second half, to the line of the first. */
  readonly #entries = new Map<number, number>();

  add(call: CallRecord): void {
    const line = lineOf(call);
    this.#calls.delete(line);
    this.#calls.set(line, call);
    if (call.exitLine !== null && call.exitLine !== line) this.#entries.set(call.exitLine, line);
    if (this.#calls.size <= CALLS_MAX) return;
    const [oldest] = this.#calls.keys();
    this.#calls.delete(oldest as number);
  }

  /** The call that begins or ends in a line. */
  at(line: number): CallRecord | null {
    return this.#calls.get(this.#entries.get(line) ?? line) ?? null;
  }

  /** In the order of their entries. */
  values(): IterableIterator<CallRecord> {
    return this.#calls.values();
  }
}

/** The line by which a call is known: that of its entry, or of its end when the recording begins inside it. */
export function lineOf(call: CallRecord): number {
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
  #tally: Tally | null = null;
  #wrong = 0;
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
    },
  };

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
    takes = /fd|fildes|sock/.test(signature(name)?.params[0]?.name ?? "");
    takers.set(name, takes);
  }
  return takes;
}
