/**
 * Edge-triggered descriptors that were not drained: D-001 to D-004.
 *
 * The proof: at the moment when the task went to wait again something could still be read through the description, the item was on
 * no list, and nobody has come back to it.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { within } from "../explain/history.ts";
import { type EvidenceLine, type Finding, type Kind as FindingKind, kinds } from "./finding.ts";
import {
  cameToNothing,
  evidenceOf,
  isAccept,
  isRead,
  isWrite,
  type Patient,
  type Step,
  stepsWithin,
} from "./patient.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, ET: EPOLLET, ONESHOT: EPOLLONESHOT } = Epoll;

export function* edgeFindings(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  for (let item = 0; item < log.nrItems; item += 1) {
    if (!patient.isTrusted(log.item(item).file) || !patient.isTrusted(log.item(item).ep)) continue;
    yield* leftOf(patient, item);
    yield* unwrittenOf(patient, item);
  }
}

/** Reports of an item while it was edge-triggered, and asked for `bits`. */
function edges(patient: Patient, item: number, bits: number): number[] {
  const { log } = patient.evidence;
  return patient.history.ofItem(item).filter((id) => {
    if (log.kind(id) !== Kind.DELIVERED || (log.x(id) & bits) === 0) return false;
    const mask = patient.maskAt(item, id);
    return (mask & EPOLLET) !== 0 && (mask & EPOLLONESHOT) === 0;
  });
}

/** At most one finding an item: the worst. */
function* leftOf(patient: Patient, item: number): Generator<Finding, void, undefined> {
  let mild: Finding | null = null;
  for (const edge of edges(patient, item, EPOLLIN)) {
    const finding = leftAfter(patient, item, edge);
    if (finding?.severity === "error") {
      yield finding;
      return;
    }
    mild ??= finding;
  }
  if (mild !== null) yield mild;
}

function leftAfter(patient: Patient, item: number, edge: number): Finding | null {
  const { log } = patient.evidence;
  const { file, ep, fd } = log.item(item);
  const reported = patient.stepOf(edge);
  if (reported === null) return null;
  const wait = patient.nextWait(reported.task, ep, edge);
  if (wait === null) return null;
  const queue = log.file(file)?.queue ?? -1;
  const amount = patient.history.amountUnread(queue, wait.id);
  // data that came behind the report, and is on the list again, is the next event's affair
  if (amount === 0 || isQueuedAt(patient, item, wait.id) || !patient.history.isAlive(item, wait.id)) return null;
  const takers = patient.between(file, edge, wait.id).filter((step) => isRead(step) || isAccept(step));
  const last = takers.at(-1);
  if (last === undefined || takers.some((step) => step.errno !== null)) return null;
  const back = comesBack(patient, file, wait.id);
  const unread = patient.history.unread(queue, wait.id);
  const accepting = isAccept(last);
  const what = accepting
    ? amount === 1
      ? "connection was"
      : "connections were"
    : amount === 1
      ? "byte was"
      : "bytes were";
  const proof: [number, EvidenceLine][] = [
    [edge, evidenceOf(reported, `fd ${fd} is reported`)],
    [last.id, evidenceOf(last, accepting ? "the last accept before the wait" : "the last read before the wait")],
    [wait.id, evidenceOf(wait, `waits again while ${amount} can be ${accepting ? "accepted" : "read"}`)],
  ];
  for (const { event } of unread.slice(0, 3)) {
    proof.push([event, patient.at(event, accepting ? "queues this connection" : "queues what is left")]);
  }
  const evidence = proof.sort(([x], [y]) => x - y).map(([, line]) => line);
  if (back === null) {
    if (!isAbandoned(patient, reported.task, ep, wait)) return null;
    return found(patient, accepting ? kinds.acceptLeft : kinds.edgeStalled, "error", fd, last, evidence, {
      message: `fd ${fd}: ${amount} ${what} left, and nobody came back for it`,
    });
  }
  const waits = stepsWithin(patient.waits(reported.task, ep), wait.id - 1, back.id);
  const waited = waits.filter((step) => cameToNothing(patient, step));
  const woken = isReportedBetween(patient, item, wait.id, back.id);
  // a reader that comes back by itself, without having slept, has not forgotten anything
  if (waited.length === 0 && !woken) return null;
  const why = woken ? "only another event made it read on" : "only the end of a time-out made it read on";
  return found(
    patient,
    accepting ? kinds.acceptLeft : kinds.edgeLeft,
    "warning",
    fd,
    last,
    [...evidence, evidenceOf(back, why)],
    { message: `fd ${fd}: ${amount} ${what} left; ${why}` },
  );
}

function found(
  patient: Patient,
  kind: FindingKind,
  severity: "error" | "warning",
  fd: number,
  step: Step,
  evidence: readonly EvidenceLine[],
  { message }: { readonly message: string },
): Finding {
  return { kind, severity, message, evidence, fd, task: patient.taskName(step), count: 1 };
}

function isQueuedAt(patient: Patient, item: number, at: number): boolean {
  return patient.reasons.absence(item, at).verdict === "queued";
}

/** The next call that takes something from a description behind a moment. */
function comesBack(patient: Patient, file: number, behind: number): Step | null {
  const isTaking = (step: Step): boolean => (isRead(step) || isAccept(step)) && step.ret !== null && step.ret >= 0;
  return patient.firstOn(file, behind, isTaking);
}

/** The task went on waiting to no avail, while nobody closed the descriptor. */
function isAbandoned(patient: Patient, task: number, ep: number, wait: Step): boolean {
  const { log } = patient.evidence;
  const waits = stepsWithin(patient.waits(task, ep), wait.id - 1, log.end);
  return waits.some((step) => cameToNothing(patient, step));
}

function isReportedBetween(patient: Patient, item: number, from: number, to: number): boolean {
  const { log } = patient.evidence;
  return within(patient.history.ofItem(item), from, to).some((id) => log.kind(id) === Kind.DELIVERED);
}

/** A writer that stopped before EAGAIN, waited for an edge that could not come, and then found room. */
function* unwrittenOf(patient: Patient, item: number): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const { file, ep, fd } = log.item(item);
  for (const edge of edges(patient, item, EPOLLOUT)) {
    const reported = patient.stepOf(edge);
    const wait = reported === null ? null : patient.nextWait(reported.task, ep, edge);
    if (reported === null || wait === null || !cameToNothing(patient, wait)) continue;
    const before = patient.between(file, edge, wait.id).filter(isWrite);
    const last = before.at(-1);
    if (last === undefined || before.some(isRefused)) continue;
    const after = patient.firstOn(file, wait.id, isWrite);
    // without having been told anything in between, it writes on: so it had more, and there was room
    if (after === null || isRefused(after) || isReportedBetween(patient, item, wait.id, after.id)) continue;
    yield found(
      patient,
      kinds.writeUnfinished,
      "error",
      fd,
      last,
      [
        evidenceOf(reported, `fd ${fd} is reported writable`),
        evidenceOf(last, "the last write before the wait: neither short nor EAGAIN"),
        evidenceOf(wait, "waits in vain: there was room all the time"),
        evidenceOf(after, "writes on, and succeeds"),
      ],
      { message: `fd ${fd}: the writer waited for EPOLLOUT without having met EAGAIN` },
    );
    return;
  }
}

/** EAGAIN, or a short write as far as its length is known. */
function isRefused(step: Step): boolean {
  if (step.errno !== null || step.ret === null) return true;
  return step.record.third !== null && step.ret < step.record.third;
}
