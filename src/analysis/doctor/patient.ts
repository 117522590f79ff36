/**
 * The trace as the rules see it: calls in the order of their effects, by description, with what was left to read.
 */

import { Kind, Queue, Why } from "../../kernel/causal-kinds.ts";
import type { CausalLog } from "../../kernel/causal-log.ts";
import type { File } from "../../kernel/fs/file.ts";
import type { CallNote, Evidence } from "../evidence.ts";
import { Reasons } from "../explain/absence.ts";
import { History } from "../explain/history.ts";
import type { EvidenceLine } from "./finding.ts";

/** A call with a place in the order of effects. */
export interface Step {
  /** Its CALL event. */
  readonly id: number;
  /** Its RETURN event, or the end of the log while it is still asleep. */
  readonly end: number;
  readonly line: number;
  /** Number of the task. */
  readonly task: number;
  readonly record: CallNote;
  readonly name: string;
  /** What the trace shows; null when it shows no number. */
  readonly ret: number | null;
  readonly errno: string | null;
  /** The description that the call is made on; 0 for none. */
  readonly file: number;
  /** By its first argument. */
  readonly fd: number | null;
}

const WAIT = /^epoll_p?wait2?$/;
const READS = /^(read|readv|preadv2?|recv|recvfrom|recvmsg|recvmmsg|splice|sendfile)$/;
const ACCEPTS = /^accept4?$/;
const WRITES = /^(write|writev|pwritev2?|send|sendto|sendmsg|sendmmsg|sendfile)$/;

/** Descriptions that hold a count, by their links. */
export const COUNTERS: RegExp = /^anon_inode:\[(eventfd|timerfd|signalfd)\]$/;

export const isWait = ({ name }: Step): boolean => WAIT.test(name);
export const isRead = ({ name }: Step): boolean => READS.test(name);
export const isAccept = ({ name }: Step): boolean => ACCEPTS.test(name);
export const isWrite = ({ name }: Step): boolean => WRITES.test(name);

export class Patient {
  readonly evidence: Evidence;
  readonly history: History;
  readonly reasons: Reasons;
  /** In the order of their effects. */
  readonly steps: readonly Step[];
  readonly #byFile = new Map<number, Step[]>();
  readonly #byTask = new Map<number, Step[]>();
  /** Waits of a task on an epoll. */
  readonly #waits = new Map<string, Step[]>();
  readonly #byId = new Map<number, Step>();
  /** Descriptions that a call was made on whose result the replay did not foresee. */
  readonly #doubtful = new Set<number>();

  constructor(evidence: Evidence) {
    this.evidence = evidence;
    this.history = new History(evidence.log);
    this.reasons = new Reasons(this.history, evidence.calls);
    this.steps = this.#collect();
  }

  #collect(): Step[] {
    const { log, calls, doubtful } = this.evidence;
    const steps: Step[] = [];
    for (let id = log.first; id < log.end; id += 1) {
      if (log.kind(id) !== Kind.CALL) continue;
      const line = log.x(id);
      if (doubtful.has(line)) this.#doubtful.add(log.y(id));
      const record = calls.at(line);
      // the attempts before the last one came to nothing; in a loop of a script each round is one of its own
      if (record === null || record.line !== line) continue;
      const step = this.#step(id, line, record);
      if (isWait(step) && step.end < log.end && this.history.callAt(line) === id && !record.isResult(log.x(step.end)))
        this.#doubtful.add(step.file);
      if (step.end === log.end && this.history.callAt(line) !== id) continue;
      steps.push(step);
      this.#byId.set(id, step);
      file(this.#byFile, step.file, step);
      file(this.#byTask, step.task, step);
      if (isWait(step)) file(this.#waits, `${step.task} ${step.file}`, step);
    }
    return steps;
  }

  #step(id: number, line: number, record: CallNote): Step {
    const { log } = this.evidence;
    const returned = this.history.ofCall(id).find((event) => log.kind(event) === Kind.RETURN);
    const last = this.history.callAt(line) === id;
    const ownResult = returned === undefined ? null : log.x(returned);
    return {
      id,
      end: returned ?? log.end,
      line,
      task: log.subject(id),
      record,
      name: record.name,
      ret: last ? record.ret : ownResult,
      errno: last ? record.errno : ownResult !== null && ownResult < 0 ? "" : null,
      file: log.y(id),
      fd: record.first,
    };
  }

  /** Calls on a description, in order. */
  on(fileId: number): readonly Step[] {
    return this.#byFile.get(fileId) ?? [];
  }

  get tasks(): Iterable<number> {
    return this.#byTask.keys();
  }

  /** Calls of a task, in order. */
  of(task: number): readonly Step[] {
    return this.#byTask.get(task) ?? [];
  }

  /** The call in which an event happened; null when it was none of the trace's, or an attempt of the replay. */
  stepOf(event: number): Step | null {
    return this.#byId.get(this.evidence.log.call(event)) ?? null;
  }

  /** A task's waits on an epoll, in order. */
  waits(task: number, ep: number): readonly Step[] {
    return this.#waits.get(`${task} ${ep}`) ?? [];
  }

  /** The task's next wait on an epoll that begins behind an event; null when there is none. */
  nextWait(task: number, ep: number, behind: number): Step | null {
    const waits = this.waits(task, ep);
    return waits[firstBehind(waits, behind)] ?? null;
  }

  /** Calls on a description between two events. */
  between(fileId: number, from: number, to: number): Step[] {
    return stepsWithin(this.on(fileId), from, to);
  }

  /** The first call on a description behind an event of which something holds. */
  firstOn(fileId: number, behind: number, holds: (step: Step) => boolean): Step | null {
    const steps = this.on(fileId);
    for (let i = firstBehind(steps, behind); i < steps.length; i += 1) {
      const step = steps[i] as Step;
      if (holds(step)) return step;
    }
    return null;
  }

  /** The mask that a registration had at a moment. */
  maskAt(item: number, at: number): number {
    const look = this.history.lookBefore(item, at);
    return look === 0 ? 0 : this.evidence.log.x(look);
  }

  /** Whether nothing that the log says of a description is contradicted by the recording. */
  isTrusted(fileId: number): boolean {
    return !this.#doubtful.has(fileId);
  }

  fileOf(id: number): File | null {
    return this.evidence.log.file(id)?.file ?? null;
  }

  taskName(step: Step): string | null {
    return step.record.task;
  }

  /** Evidence of an event's line. */
  at(event: number, note: string): EvidenceLine {
    return { line: this.evidence.log.line(event), note };
  }

  /** Milliseconds between the beginnings of two calls; null without times. */
  msBetween(from: Step, to: Step): number | null {
    const { entryNs } = from.record;
    const end = to.record.entryNs;
    return entryNs === null || end === null ? null : (end - entryNs) / 1e6;
  }
}

/** Whether an event of an item says that something has happened to its description, rather than that a scan put it back. */
export function isArrival(log: CausalLog, id: number): boolean {
  if (log.kind(id) === Kind.QUEUED) return log.y(id) !== Queue.level && log.y(id) !== Queue.arrival;
  return log.kind(id) === Kind.FILTERED && log.y(id) === Why.linked;
}

/** Evidence of a call. */
export function evidenceOf(step: Step, note: string): EvidenceLine {
  return { line: step.line, note };
}

/** Whether a wait was given up because its time was up, or still lasts at the end: the program had nothing else to do. */
export function cameToNothing(patient: Patient, wait: Step): boolean {
  if (wait.end === patient.evidence.log.end) return true;
  return wait.ret === 0 && !wait.record.immediate;
}

/** Steps whose calls began behind one event and before another. */
export function stepsWithin(steps: readonly Step[], from: number, to: number): Step[] {
  const found: Step[] = [];
  for (let i = firstBehind(steps, from); i < steps.length; i += 1) {
    const step = steps[i] as Step;
    if (step.id >= to) break;
    found.push(step);
  }
  return found;
}

/** Index of the first step whose call began behind an event. */
function firstBehind(steps: readonly Step[], event: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((steps[middle] as Step).id > event) high = middle;
    else low = middle + 1;
  }
  return low;
}

function file<K>(lists: Map<K, Step[]>, key: K, step: Step): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [step]);
  else list.push(step);
}
