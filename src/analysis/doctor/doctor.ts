/**
 * Every rule on one trace. A finding is what a rule can prove from lines of the trace; a trace that is too short to prove
 * anything says so.
 */
import type { Evidence } from "../evidence.ts";
import { controlFindings } from "./control.ts";
import { edgeFindings } from "./edge.ts";
import type { Finding, Severity } from "./finding.ts";
import { identityFindings } from "./identity.ts";
import { lifetimeFindings } from "./lifetime.ts";
import { type LoopMeasure, measureLoops } from "./measures.ts";
import { oneshotFindings } from "./oneshot.ts";
import { isWait, Patient } from "./patient.ts";
import { sharingFindings } from "./sharing.ts";
import { spinFindings } from "./spinning.ts";

export interface Diagnosis {
  /** Worst first, then by id and line. */
  readonly findings: readonly Finding[];
  readonly loops: readonly LoopMeasure[];
  /** Waits for events in the trace. */
  readonly waits: number;
  /** Calls whose result the replay did not foresee: rules leave their descriptors out. */
  readonly doubtful: number;
  /** Why the trace cannot prove much; null when it can. */
  readonly inconclusive: string | null;
}

/** Fewer waits prove neither a stall nor a spin. */
const WAITS_MIN = 8;

const RANK: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 };

export function diagnose(evidence: Evidence): Diagnosis {
  const patient = new Patient(evidence);
  const { loops, findings: ofLoops } = measureLoops(patient);
  const findings = [
    ...edgeFindings(patient),
    ...oneshotFindings(patient),
    ...identityFindings(patient),
    ...spinFindings(patient),
    ...sharingFindings(patient),
    ...controlFindings(patient),
    ...lifetimeFindings(patient),
    ...ofLoops,
  ];
  const waits = patient.steps.filter(isWait).length;
  const inconclusive = whyInconclusive(patient, waits, findings.length);
  return {
    findings: findings.sort(compare),
    loops,
    waits,
    doubtful: evidence.doubtful.size,
    inconclusive,
  };
}

function compare(a: Finding, b: Finding): number {
  const byKind = RANK[a.severity] - RANK[b.severity] || (a.kind.id < b.kind.id ? -1 : a.kind.id > b.kind.id ? 1 : 0);
  return byKind || (a.evidence[0]?.line ?? 0) - (b.evidence[0]?.line ?? 0);
}

function whyInconclusive(patient: Patient, waits: number, nrFindings: number): string | null {
  if (waits === 0) return "no wait for events in it";
  const blind = patient.steps.filter((step) => isWait(step) && step.file === 0).length;
  if (blind === waits) return "the epolls were made before it begins, so nobody knows what they watch";
  if (nrFindings > 0) return null;
  return waits < WAITS_MIN
    ? `only ${waits} ${waits === 1 ? "wait" : "waits"} for events: too few to show a stall or a spin`
    : null;
}
