/**
 * EPOLLONESHOT registrations that nobody armed again: D-005.
 *
 * The proof: disarmed, something arrived (or was there) since, the epoll was waited on to no avail, and neither EPOLL_CTL_MOD nor a
 * close came up to the end of the trace.
 */
import { Kind, Why } from "../../kernel/causal-kinds.ts";
import { Epoll } from "../../kernel/uapi/epoll.ts";
import { type Finding, kinds } from "./finding.ts";
import { cameToNothing, evidenceOf, isWait, type Patient } from "./patient.ts";

export function* oneshotFindings(patient: Patient): Generator<Finding, void, undefined> {
  const { log } = patient.evidence;
  for (let item = 0; item < log.nrItems; item += 1) {
    const { file, ep, fd } = log.item(item);
    if (!patient.isTrusted(file) || !patient.isTrusted(ep)) continue;
    const { verdict, proof, unread } = patient.reasons.absence(item, log.end);
    const disarmed = proof.find((id) => log.kind(id) === Kind.DISARMED);
    const mask = patient.maskAt(item, log.end);
    if (verdict !== "disarmed" || disarmed === undefined) continue;
    const lost = proof.filter(
      (id) => log.kind(id) === Kind.FILTERED && log.y(id) === Why.disarmed && isLoss(log.x(id), mask),
    );
    const left = (mask & Epoll.IN) === 0 ? [] : unread;
    const idle = patient.steps.find(
      (step) => step.id > disarmed && step.file === ep && isWait(step) && cameToNothing(patient, step),
    );
    if (idle === undefined || (lost.length === 0 && left.length === 0)) continue;
    const step = patient.stepOf(disarmed);
    yield {
      kind: kinds.oneshot,
      severity: "error",
      message: `fd ${fd} was disarmed and never armed again, and ${lost.length + left.length} arrivals were not reported`,
      evidence: [
        patient.at(disarmed, `the report disarms fd ${fd}`),
        ...lost.slice(0, 3).map((id) => patient.at(id, "this wake-up is lost")),
        ...left.slice(0, 3).map(({ event }) => patient.at(event, "queued what nobody is told of")),
        evidenceOf(idle, "waits, and is not told"),
      ].sort((a, b) => a.line - b.line),
      fd,
      task: step === null ? null : patient.taskName(step),
      count: 1,
    };
  }
}

/** Whether a key has something that the registration wanted. A plain wake-up may be anything. */
function isLoss(key: number, mask: number): boolean {
  return (key & mask & (Epoll.IN | Epoll.OUT | Epoll.RDHUP | Epoll.HUP | Epoll.ERR | Epoll.PRI)) !== 0;
}
