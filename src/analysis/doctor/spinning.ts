/**
 * Loops that are woken for nothing, again and again: D-009 to D-015.
 *
 * The proof of a spin: the same level-triggered registration is reported many times in a row, and between two reports nobody has
 * done with the description what the report was for.
 */
import { Kind } from "../../kernel/causal-log.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { type Finding, type Kind as FindingKind, kinds } from "./finding.ts";
import { evidenceOf, isAccept, isRead, isWait, isWrite, type Patient, type Step } from "./patient.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, HUP: EPOLLHUP, ERR: EPOLLERR, ET: EPOLLET, ONESHOT: EPOLLONESHOT } = Epoll;
const ASKED = ~(EPOLLHUP | EPOLLERR | EPOLLET | EPOLLONESHOT | Epoll.EXCLUSIVE | Epoll.WAKEUP);
/** Reports in a row that nobody heeds: fewer may be a program that is about to act. */
const SPIN_MIN = 16;
/** A row that is over sooner, by the recorded times, burns little. */
const LASTING_MS = 100;
/** Reads of the end of file in a row. */
const EOF_MIN = 8;
/** Waits with time-out 0 in a row, with nothing between them. */
const POLLING_MIN = 100;
const COUNTERS = /^anon_inode:\[(eventfd|timerfd|signalfd)\]$/;

export function* spinFindings(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  for (let item = 0; item < log.nrItems; item += 1) {
    const { file, ep } = log.item(item);
    if (!patient.isTrusted(file) || !patient.isTrusted(ep)) continue;
    const ends = endOfFile(patient, item);
    if (ends === null) yield* unheeded(patient, item);
    else yield ends;
  }
  yield* polling(patient);
}

/** A run of reports of one registration. */
interface Run {
  readonly events: number[];
}

/** The longest run of level-triggered reports between which nobody did what they were for. */
function longestRun(patient: Patient, item: number): Run {
  const { log } = patient.evidence;
  const { file } = log.item(item);
  let longest: Run = { events: [] };
  let run: Run = { events: [] };
  for (const id of patient.history.ofItem(item)) {
    const kind = log.kind(id);
    if (kind === Kind.MODIFIED) run = { events: [] };
    if (kind !== Kind.DELIVERED || (patient.maskAt(item, id) & (EPOLLET | EPOLLONESHOT)) !== 0) continue;
    const before = run.events.at(-1);
    const heeded = before !== undefined && isHeeded(patient, file, log.x(before), before, id);
    if (heeded) run = { events: [] };
    run.events.push(id);
    if (run.events.length > longest.events.length) longest = run;
  }
  return longest;
}

/** Whether somebody answered a report. A hang-up is answered by reading too: that is how a program learns of the end. */
function isHeeded(patient: Patient, file: number, revents: number, from: number, to: number): boolean {
  const steps = patient.between(file, from, to);
  if (steps.some((step) => isRead(step) || isAccept(step))) return (revents & ~EPOLLOUT) !== 0 || steps.some(isWrite);
  return (
    steps.some((step) => isWrite(step) || /^(connect|getsockopt|shutdown|ioctl)$/.test(step.name)) &&
    (revents & EPOLLIN) === 0
  );
}

function* unheeded(patient: Patient, item: number): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const { events } = longestRun(patient, item);
  const last = events.at(-1);
  if (events.length < SPIN_MIN || last === undefined) return;
  const first = events[0] as number;
  const { fd, file } = log.item(item);
  const revents = log.x(last);
  const mask = patient.maskAt(item, last);
  const step = patient.stepOf(first);
  yield {
    kind: spinKind(revents, mask, log.file(file)?.link ?? ""),
    severity: isBrief(patient, item, first, last) ? "warning" : "error",
    message: `fd ${fd} is reported ${events.length} times in a row, and nobody does anything about it${rate(patient, first, last, events.length)}`,
    evidence: [
      patient.at(lookBehind(patient, item, first), `fd ${fd} is registered with this mask`),
      patient.at(first, "the first report of the row"),
      patient.at(events[1] as number, "the next one: nothing was done in between"),
      patient.at(last, `the last one, number ${events.length}`),
    ],
    fd,
    task: step === null ? null : patient.taskName(step),
    count: events.length,
  };
}

function spinKind(revents: number, mask: number, link: string): FindingKind {
  if ((revents & (EPOLLHUP | EPOLLERR)) !== 0 || (revents & ~EPOLLOUT) === Epoll.RDHUP)
    return (mask & ASKED) === 0 ? kinds.hangupUnasked : kinds.hangup;
  if ((revents & EPOLLIN) !== 0 || (revents & EPOLLOUT) === 0)
    return COUNTERS.test(link) ? kinds.counterUndrained : kinds.inUnread;
  return kinds.outIdle;
}

/** A row that did not last, and that somebody has ended by taking the registration away or changing it. */
function isBrief(patient: Patient, item: number, first: number, last: number): boolean {
  const from = patient.stepOf(first);
  const to = patient.stepOf(last);
  const ms = from === null || to === null ? null : patient.msBetween(from, to);
  return ms !== null && ms < LASTING_MS && (patient.history.ofItem(item).at(-1) ?? 0) > last;
}

/** The INSERTED or MODIFIED whose mask was in force. */
function lookBehind(patient: Patient, item: number, at: number): number {
  const { log } = patient.evidence;
  const looks = patient.history.ofItem(item).filter((id) => id < at && isLook(log.kind(id)));
  return looks.at(-1) ?? at;
}

const isLook = (kind: Kind): boolean => kind === Kind.INSERTED || kind === Kind.MODIFIED;

/** `, 5000 a second`; empty without times. */
function rate(patient: Patient, first: number, last: number, count: number): string {
  const from = patient.stepOf(first);
  const to = patient.stepOf(last);
  const ms = from === null || to === null ? null : patient.msBetween(from, to);
  return ms === null || ms <= 0 ? "" : `, ${Math.round((count / ms) * 1000)} a second`;
}

/** Reads that give 0, one report after the other. */
function endOfFile(patient: Patient, item: number): Finding | null {
  const { log } = patient.evidence;
  const { file, fd } = log.item(item);
  const reads = patient.on(file).filter((step) => isRead(step) && !asksForNothing(step));
  let run: Step[] = [];
  for (const read of reads) {
    if (read.ret === 0) run.push(read);
    else if (run.length < EOF_MIN) run = [];
  }
  const [first, second] = run;
  const last = run.at(-1);
  if (run.length < EOF_MIN || first === undefined || second === undefined || last === undefined) return null;
  const reports = patient.history
    .ofItem(item)
    .filter((id) => id > first.id && id < last.id && log.kind(id) === Kind.DELIVERED);
  if (reports.length < EOF_MIN - 1) return null;
  return {
    kind: kinds.endOfFile,
    severity: "error",
    message: `fd ${fd}: read gives 0 ${run.length} times in a row, and the descriptor is neither closed nor removed`,
    evidence: [
      evidenceOf(first, "the first end of file"),
      patient.at(reports[0] as number, `fd ${fd} is reported again`),
      evidenceOf(second, "the end of file again"),
      evidenceOf(last, `and again, ${run.length} times`),
    ],
    fd,
    task: patient.taskName(first),
    count: run.length,
  };
}

/** A read of 0 bytes gives 0 whatever is there. */
function asksForNothing({ record }: Step): boolean {
  return record.third === 0;
}

/** A task that does nothing but ask: waits with time-out 0 that find nothing, one behind the other. */
function* polling(patient: Patient): Generator<Finding, void, undefined> {
  const busy = busyLines(patient);
  for (const task of patient.tasks) {
    let first: Step | null = null;
    let before: Step | null = null;
    let count = 0;
    let worst: Finding | null = null;
    for (const step of patient.of(task)) {
      const idle = isWait(step) && step.record.immediate && step.ret === 0;
      if (!idle || (before !== null && isBusyBetween(busy.get(step.record.task) ?? [], before.line, step.line))) {
        count = 0;
        first = null;
      }
      before = step;
      if (!idle) continue;
      first ??= step;
      count += 1;
      if (count >= POLLING_MIN) worst = pollingFinding(patient, first, step, count);
    }
    if (worst !== null) yield worst;
  }
}

/** Lines of calls that the model has no part in, by task, ascending. */
function busyLines(patient: Patient): Map<string | null, number[]> {
  const known = new Set(patient.steps.map(({ line }) => line));
  const busy = new Map<string | null, number[]>();
  for (const { task, line } of patient.evidence.calls.values()) {
    if (known.has(line)) continue;
    const list = busy.get(task) ?? [];
    list.push(line);
    busy.set(task, list);
  }
  return busy;
}

function isBusyBetween(lines: readonly number[], from: number, to: number): boolean {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle] as number) > from) high = middle;
    else low = middle + 1;
  }
  return (lines[low] ?? to) < to;
}

function pollingFinding(patient: Patient, first: Step, last: Step, count: number): Finding {
  return {
    kind: kinds.polling,
    severity: "warning",
    message: `${count} waits with time-out 0 in a row found nothing, and the task did nothing else${rate(patient, first.id, last.id, count)}`,
    evidence: [evidenceOf(first, "the first"), evidenceOf(last, "the last")],
    fd: first.fd,
    task: patient.taskName(first),
    count,
  };
}
