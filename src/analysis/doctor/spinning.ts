/**
 * Loops that are woken for nothing, again and again: D-009 to D-015.
 *
 * The proof of a spin: the same level-triggered registration is reported many times in a row, and between two reports nobody has
 * done with the description what the report was for.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { indexOf } from "../explain/history.ts";
import { type Finding, type Kind as FindingKind, kinds } from "./finding.ts";
import { COUNTERS, evidenceOf, isAccept, isRead, isWait, isWrite, type Patient, type Step } from "./patient.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, HUP: EPOLLHUP, ERR: EPOLLERR, ET: EPOLLET, ONESHOT: EPOLLONESHOT } = Epoll;
const ASKED = ~(EPOLLHUP | EPOLLERR | EPOLLET | EPOLLONESHOT | Epoll.EXCLUSIVE | Epoll.WAKEUP);
/** Reports in a row that nobody heeds: fewer may be a program that is about to act. */
const SPIN_MIN = 16;
/** Rows of one registration that are over and have lasted less, all together and by the recorded times, have burnt little. */
const LASTING_MS = 100;
/** What happens to an item only when a row of reports is over: being put back on the list is part of it. */
const ENDS: ReadonlySet<Kind> = new Set([Kind.MODIFIED, Kind.ERASED, Kind.DELIVERED, Kind.DROPPED]);
/** Reads of the end of file in a row. */
const EOF_MIN = 8;
/** Waits with time-out 0 in a row, with nothing between them. */
const POLLING_MIN = 100;

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

/** Reports of one registration in a row, oldest first. */
type Run = number[];

/** The runs of level-triggered reports between which nobody did what they were for, as far as they make a spin. */
function spinsOf(patient: Patient, item: number): Run[] {
  const { log } = patient.evidence;
  const { file } = log.item(item);
  const runs: Run[] = [];
  let run: Run = [];
  for (const id of patient.history.ofItem(item)) {
    const kind = log.kind(id);
    if (kind === Kind.MODIFIED) run = [];
    if (kind !== Kind.DELIVERED || (patient.maskAt(item, id) & (EPOLLET | EPOLLONESHOT)) !== 0) continue;
    const before = run.at(-1);
    if (before !== undefined && isHeeded(patient, file, log.x(before), before, id)) run = [];
    run.push(id);
    if (run.length === SPIN_MIN) runs.push(run);
  }
  return runs;
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
  const spins = spinsOf(patient, item);
  const [one] = spins;
  if (one === undefined) return;
  const events = spins.reduce((longest, spin) => (spin.length > longest.length ? spin : longest), one);
  const [first, second, last] = [events[0], events[1], events.at(-1)] as [number, number, number];
  const { fd, file } = log.item(item);
  const revents = log.x(last);
  const mask = patient.maskAt(item, last);
  const step = patient.stepOf(first);
  yield {
    kind: spinKind(revents, mask, log.file(file)?.link ?? ""),
    severity: areBrief(patient, item, spins) ? "warning" : "error",
    message: `fd ${fd} is reported ${events.length} times in a row, and nobody does anything about it${rate(patient, first, last, events.length)}`,
    evidence: [
      patient.at(lookBehind(patient, item, first), `fd ${fd} is registered with this mask`),
      patient.at(first, "the first report of the row"),
      patient.at(second, "the next one: nothing was done in between"),
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

/** Rows that have not lasted, all together, and that somebody has ended. */
function areBrief(patient: Patient, item: number, spins: readonly Run[]): boolean {
  if (!isOver(patient, item, spins.at(-1)?.at(-1) ?? 0)) return false;
  const all = spins.map((spin) => msOf(patient, spin[0] as number, spin.at(-1) as number));
  return all.every((ms) => ms !== null) && all.reduce((sum, ms) => sum + ms, 0) < LASTING_MS;
}

/** Whether a row did not go on until the trace ends: the registration was changed or removed, or somebody did what the report was for. */
function isOver(patient: Patient, item: number, last: number): boolean {
  const { log } = patient.evidence;
  const events = patient.history.ofItem(item);
  const ended = events.slice(indexOf(events, last + 1)).some((id) => ENDS.has(log.kind(id)));
  return ended || isHeeded(patient, log.item(item).file, log.x(last), last, log.end);
}

/** Recorded time between the waits that reported two events; null without times. */
function msOf(patient: Patient, first: number, last: number): number | null {
  const from = patient.stepOf(first);
  const to = patient.stepOf(last);
  return from === null || to === null ? null : patient.msBetween(from, to);
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
  const ms = msOf(patient, first, last);
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
