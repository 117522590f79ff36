/**
 * Descriptors that are kept too long, or opened with the wrong mode: D-020, D-021.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { type Finding, kinds } from "./finding.ts";
import { evidenceOf, isAccept, isRead, isWait, isWrite, type Patient, type Step } from "./patient.ts";

/** Descriptors with a gone peer that make a leak, and waits that the program had to close each. */
const LEAKS_MIN = 2;
const WAITS_MIN = 4;

export function* lifetimeFindings(patient: Patient): Generator<Finding, void, undefined> {
  yield* leaks(patient);
  yield* blocking(patient);
}

/** A description whose end was read, and which nobody has used or closed since. */
interface Left {
  readonly fd: number;
  readonly end: Step;
}

function* leaks(patient: Patient): Generator<Finding, void, undefined> {
  const left = new Map<number, Left[]>();
  const seen = new Set<number>();
  for (let item = 0; item < patient.evidence.log.nrItems; item += 1) {
    const { file, fd } = patient.evidence.log.item(item);
    if (seen.has(file) || !patient.isTrusted(file)) continue;
    seen.add(file);
    const end = endOf(patient, file);
    if (end === null) continue;
    const list = left.get(end.task) ?? [];
    list.push({ fd, end });
    left.set(end.task, list);
  }
  for (const list of left.values()) {
    const [first] = list;
    if (first === undefined || list.length < LEAKS_MIN) continue;
    yield {
      kind: kinds.leak,
      severity: "warning",
      message: `${list.length} descriptors were read to their end and are still open at the end of the trace`,
      evidence: list
        .slice(0, 5)
        .map(({ fd, end }) => evidenceOf(end, `fd ${fd}: the end of file, and no close behind it`)),
      fd: first.fd,
      task: patient.taskName(first.end),
      count: list.length,
    };
  }
}

/** The first read that gave 0, when the description is still open at the end and was not written to any more. */
function endOf(patient: Patient, file: number): Step | null {
  const { log } = patient.evidence;
  if ((patient.fileOf(file)?.refs ?? 0) === 0) return null;
  const steps = patient.on(file);
  const end = steps.find((step) => isRead(step) && step.ret === 0 && (step.record.third ?? 0) > 0);
  if (end === undefined || steps.some((step) => step.id > end.id && isWrite(step))) return null;
  const waits = patient.of(end.task).filter((step) => step.id > end.id && isWait(step));
  return waits.length >= WAITS_MIN && end.id < log.end ? end : null;
}

function* blocking(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const seen = new Set<number>();
  for (let item = 0; item < log.nrItems; item += 1) {
    const { file, fd } = log.item(item);
    const description = patient.fileOf(file);
    if (seen.has(file) || description === null || description.nonblock || description.epoll !== null) continue;
    if (!patient.isTrusted(file) || (patient.maskAt(item, log.end) & Epoll.ET) === 0) continue;
    seen.add(file);
    const inserted = patient.history.ofItem(item).find((id) => log.kind(id) === Kind.INSERTED);
    const uses = patient
      .on(file)
      .filter((step) => inserted !== undefined && step.id > inserted && (isRead(step) || isAccept(step)));
    const slept = uses.find((step) => patient.history.ofCall(step.id).some((id) => log.kind(id) === Kind.SLEPT));
    const [use] = uses;
    if (use === undefined || inserted === undefined || uses.some(isDontWait)) continue;
    yield {
      kind: kinds.blocking,
      severity: slept === undefined ? "warning" : "error",
      message: `fd ${fd} has no O_NONBLOCK and is watched with EPOLLET${slept === undefined ? "" : "; a call on it slept"}`,
      evidence: [
        patient.at(inserted, `fd ${fd} is watched with EPOLLET`),
        evidenceOf(slept ?? use, slept === undefined ? "taken from without O_NONBLOCK" : "sleeps inside the handler"),
      ],
      fd,
      task: patient.taskName(use),
      count: 1,
    };
  }
}

/** MSG_DONTWAIT does what O_NONBLOCK does, for one call. */
function isDontWait({ record }: Step): boolean {
  return record.dontWait;
}
