/**
 * Numbers and descriptions that come apart: D-006 to D-008.
 */
import { Kind } from "../../kernel/causal-kinds.ts";
import { type Finding, kinds } from "./finding.ts";
import { evidenceOf, isAccept, isRead, isWait, isWrite, type Patient, type Step } from "./patient.ts";

export function* identityFindings(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  for (let item = 0; item < log.nrItems; item += 1) {
    if (patient.isTrusted(log.item(item).file)) yield* outlived(patient, item);
  }
  for (const step of patient.steps) if (isWait(step)) yield* reusedIn(patient, step);
}

/** A registration under a number that was closed. */
function* outlived(patient: Patient, item: number): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const { fd } = log.item(item);
  const events = patient.history.ofItem(item);
  const closer = patient.reasons.staleSince(item, log.end);
  if (closer === 0) return;
  const closed = patient.stepOf(closer);
  const erased = events.find((id) => log.kind(id) === Kind.ERASED);
  const ghosts = events.filter(
    (id) => id > closer && log.kind(id) === Kind.DELIVERED && isTheSameProcess(patient, closer, id),
  );
  const inserted = events[0] ?? closer;
  const task = closed === null ? null : patient.taskName(closed);
  const begin = [
    patient.at(inserted, `fd ${fd} is registered`),
    patient.at(closer, `the number ${fd} is closed, the description lives on`),
  ];
  const [ghost] = ghosts;
  if (ghost !== undefined) {
    yield {
      kind: kinds.ghost,
      severity: "error",
      message: `fd ${fd} was closed, and ${ghosts.length} ${ghosts.length === 1 ? "event" : "events"} came under its number afterwards`,
      evidence: [...begin, ...ghosts.slice(0, 3).map((id) => patient.at(id, `an event under the closed number ${fd}`))],
      fd,
      task,
      count: ghosts.length,
    };
    return;
  }
  // who removes it soon (a child that execs or exits) has done no harm
  if (erased !== undefined && !hasWaitBetween(patient, log.item(item).ep, closer, erased)) return;
  yield {
    kind: kinds.outlives,
    severity: "warning",
    message: `fd ${fd} was closed, and its registration went on`,
    evidence: begin,
    fd,
    task,
    count: 1,
  };
}

/** The number means something else in another process. */
function isTheSameProcess(patient: Patient, a: number, b: number): boolean {
  const { log } = patient.evidence;
  const files = (id: number) => log.task(log.subject(log.call(id))).process.files;
  return files(a) === files(b);
}

function hasWaitBetween(patient: Patient, ep: number, from: number, to: number): boolean {
  return patient.between(ep, from, to).some(isWait);
}

const MAKES_FD =
  /^(accept4?|socket|dup[23]?|open(at2?)?|eventfd2?|timerfd_create|epoll_create1?|pidfd_open|memfd_create)$/;

/** In one batch: an event's number is closed, given to something new, and then used although nothing was reported for it. */
function* reusedIn(patient: Patient, wait: Step): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  const events = patient.history.ofCall(wait.id).filter((id) => log.kind(id) === Kind.DELIVERED);
  if (events.length < 2) return;
  const next = patient.nextWait(wait.task, wait.file, wait.end)?.id ?? log.end;
  const batch = patient.of(wait.task).filter((step) => step.id > wait.id && step.id < next);
  for (const event of events) {
    const { fd, file } = log.item(log.subject(event));
    if (!patient.isTrusted(file)) continue;
    const about = batch.filter((step) => step.fd === fd || (step.ret === fd && MAKES_FD.test(step.name)));
    const [close, make, use] = about;
    if (close?.name !== "close" || make === undefined || use === undefined || close.fd !== fd) continue;
    // a program may try what it has just made; what has nothing to give, and was not registered, it was told to try
    const isUse =
      make.ret === fd && use.fd === fd && (isRead(use) || isWrite(use) || isAccept(use)) && use.errno !== null;
    if (!isUse) continue;
    yield {
      kind: kinds.reused,
      severity: "error",
      message: `fd ${fd} was reported, closed, reused and then acted on within one batch`,
      evidence: [
        evidenceOf(wait, `fd ${fd} is reported`),
        evidenceOf(close, `fd ${fd} is closed before its event is looked at`),
        evidenceOf(make, `the number ${fd} is given to something new`),
        evidenceOf(use, `acts on fd ${fd}, for which nothing was reported`),
      ],
      fd,
      task: patient.taskName(wait),
      count: 1,
    };
  }
}
