/**
 * Tasks and descriptors that share an epoll, a listener, a batch: D-016, D-017.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { type Finding, kinds } from "./finding.ts";
import { evidenceOf, isAccept, isArrival, isRead, isWait, type Patient, type Step } from "./patient.ts";

/** Wake-ups in vain that make a herd, and their share of all. */
const HERD_MIN = 4;
const HERD_SHARE = 0.2;
/** Full batches that a ready descriptor has to let pass. */
const ROUNDS_MIN = 8;

export function* sharingFindings(patient: Patient): Generator<Finding, void, undefined> {
  yield* herds(patient);
  yield* starved(patient);
}

/** A listener's reports, and how many of them led to EAGAIN at the first accept. */
interface Listener {
  fd: number;
  reports: number;
  readonly vain: { readonly wait: Step; readonly accept: Step }[];
  readonly tasks: Set<number>;
}

function* herds(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const listeners = new Map<number, Listener>();
  for (let item = 0; item < log.nrItems; item += 1) {
    const { file, fd } = log.item(item);
    if (!patient.isTrusted(file) || !patient.on(file).some(isAccept)) continue;
    const listener = listeners.get(file) ?? { fd, reports: 0, vain: [], tasks: new Set() };
    listeners.set(file, listener);
    for (const id of patient.history.ofItem(item)) {
      if (log.kind(id) === Kind.DELIVERED) noteReport(patient, listener, file, id);
    }
  }
  for (const { fd, reports, vain, tasks } of listeners.values()) {
    const [first] = vain;
    if (first === undefined || tasks.size < 2 || vain.length < HERD_MIN || vain.length < reports * HERD_SHARE) continue;
    yield {
      kind: kinds.herd,
      severity: "warning",
      message: `listener fd ${fd}: ${vain.length} of ${reports} reports to ${tasks.size} tasks found no connection`,
      evidence: vain
        .slice(0, 3)
        .flatMap(({ wait, accept }) => [
          evidenceOf(wait, `reports the listener ${fd}`),
          evidenceOf(accept, "EAGAIN: another task was first"),
        ]),
      fd,
      task: null,
      count: vain.length,
    };
  }
}

function noteReport(patient: Patient, listener: Listener, file: number, event: number): void {
  const wait = patient.stepOf(event);
  if (wait === null) return;
  const next = patient.nextWait(wait.task, wait.file, wait.end)?.id ?? patient.evidence.log.end;
  const accept = patient.between(file, event, next).find((step) => step.task === wait.task && isAccept(step));
  listener.reports += 1;
  listener.tasks.add(wait.task);
  if (accept?.errno === "EAGAIN" || (accept?.ret ?? 0) === -11) listener.vain.push({ wait, accept: accept as Step });
}

/** Items that had something to report, and that nobody served, while full batches of others were reported. */
function* starved(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const full = fullBatches(patient);
  for (let item = 0; item < log.nrItems; item += 1) {
    const { ep, fd, file } = log.item(item);
    const batches = full.get(ep) ?? [];
    if (batches.length < ROUNDS_MIN || !patient.isTrusted(file) || !patient.isTrusted(ep)) continue;
    let queued = 0;
    let worst: { from: number; to: number; rounds: number } | null = null;
    for (const id of patient.history.ofItem(item)) {
      const kind = log.kind(id);
      // one that was put back has had its turn: it waits again from the next arrival on
      if (queued === 0 && isArrival(log, id)) queued = id;
      if ((kind !== Kind.DELIVERED && kind !== Kind.DROPPED) || queued === 0) continue;
      const from = queued;
      queued = 0;
      const rounds = batches.filter((batch) => batch > from && batch < id).length;
      if (rounds < ROUNDS_MIN || rounds <= (worst?.rounds ?? 0)) continue;
      const isServed = patient.between(file, from, id).some((step) => isRead(step) || isAccept(step));
      if (!isServed) worst = { from, to: id, rounds };
    }
    if (worst === null) continue;
    yield {
      kind: kinds.starved,
      severity: "warning",
      message: `fd ${fd} was ready for ${worst.rounds} full batches before it was reported`,
      evidence: [
        patient.at(worst.from, `fd ${fd} joins the ready list`),
        patient.at(worst.to, "and is looked at here"),
      ],
      fd,
      task: null,
      count: worst.rounds,
    };
  }
}

/** Ends of waits that filled their whole array, by epoll. */
function fullBatches(patient: Patient): Map<number, number[]> {
  const full = new Map<number, number[]>();
  for (const step of patient.steps) {
    if (!isWait(step) || step.ret === null || step.ret <= 0) continue;
    if (step.record.third !== step.ret) continue;
    const batches = full.get(step.file) ?? [];
    batches.push(step.end);
    full.set(step.file, batches);
  }
  return full;
}
