/**
 * epoll_ctl that does nothing, or fails: D-018, D-019.
 */
import { type Finding, kinds } from "./finding.ts";
import { evidenceOf, type Patient, type Step } from "./patient.ts";

/** Changes that change nothing, and their share of all, that make a storm. */
const STORM_MIN = 16;
const STORM_SHARE = 0.5;
/** Errors of one kind that make a pattern. */
const ERRORS_MIN = 3;

export function* controlFindings(patient: Patient): Generator<Finding, void, undefined> {
  const ctls = patient.steps.filter(({ name }) => name === "epoll_ctl");
  yield* storms(patient, ctls);
  yield* errors(patient, ctls);
}

function* storms(patient: Patient, ctls: readonly Step[]): Generator<Finding, void, undefined> {
  /** What was last asked for, by epoll and number. */
  const asked = new Map<string, { event: string; step: Step }>();
  const idle = new Map<number, { readonly before: Step; readonly step: Step }[]>();
  const nrMods = new Map<number, number>();
  for (const step of ctls) {
    if (step.errno !== null || step.ret !== 0) continue;
    const { op = "", event: text = "" } = step.record.ctl ?? {};
    const key = `${step.file} ${step.record.third ?? "?"}`;
    const before = asked.get(key);
    if (op === "EPOLL_CTL_MOD") {
      nrMods.set(step.file, (nrMods.get(step.file) ?? 0) + 1);
      // with EPOLLET and EPOLLONESHOT the same mask again is a way to arm
      if (before?.event === text && !/EPOLLET|EPOLLONESHOT/.test(text)) {
        const list = idle.get(step.file) ?? [];
        list.push({ before: before.step, step });
        idle.set(step.file, list);
      }
    }
    if (op === "EPOLL_CTL_DEL") asked.delete(key);
    else asked.set(key, { event: text, step });
  }
  for (const [ep, list] of idle) {
    const all = nrMods.get(ep) ?? 0;
    const [first] = list;
    if (first === undefined || list.length < STORM_MIN || list.length < all * STORM_SHARE) continue;
    yield {
      kind: kinds.modStorm,
      severity: "warning",
      message: `${list.length} of ${all} EPOLL_CTL_MOD ask for what is asked for already`,
      evidence: [
        evidenceOf(first.before, "asks for this"),
        ...list.slice(0, 3).map(({ step }) => evidenceOf(step, "asks for the same again")),
      ],
      fd: first.step.record.third,
      task: patient.taskName(first.step),
      count: list.length,
    };
  }
}

function* errors(patient: Patient, ctls: readonly Step[]): Generator<Finding, void, undefined> {
  for (const errno of ["EEXIST", "ENOENT"]) {
    const failed = ctls.filter((step) => step.errno === errno);
    const [first] = failed;
    if (first === undefined) continue;
    yield {
      kind: kinds.ctlErrors,
      severity: failed.length >= ERRORS_MIN ? "warning" : "note",
      message: `epoll_ctl answers ${errno} ${failed.length === 1 ? "once" : `${failed.length} times`}`,
      evidence: failed.slice(0, 5).map((step) => evidenceOf(step, `${step.record.ctl?.op ?? ""}: ${errno}`)),
      fd: first.record.third,
      task: patient.taskName(first),
      count: failed.length,
    };
  }
}
