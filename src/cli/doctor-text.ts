/**
 * A diagnosis for a terminal: short first, evidence on request.
 */
import type { Finding, Severity } from "../analysis/doctor/finding.ts";
import type { LoopMeasure } from "../analysis/doctor/measures.ts";
import type { DoctoredFile } from "./doctor.ts";
import type { Style } from "./style.ts";

/** How to record what proves more. */
export const RECORD_MORE = "epollsim record -- PROGRAM ARGS";

/** The lines of a diagnosis, without line feeds. */
export function* diagnosisText(
  result: DoctoredFile,
  verbose: boolean,
  style: Style,
): Generator<string, void, undefined> {
  const { file, findings, loops, waits, doubtful, inconclusive } = result;
  yield `${style.strong(file)}: ${countsText(findings, style)}, ${waits} waits for events`;
  for (const finding of findings) yield* findingText(finding, file, verbose, style);
  if (inconclusive !== null) {
    yield `  ${style.warn("not conclusive")}: ${inconclusive}`;
    yield `  ${style.dim("record more, from the start of the program:")} ${RECORD_MORE}`;
  }
  if (doubtful > 0) {
    yield style.dim(
      `  ${doubtful} calls that the model did not foresee: their descriptors are left out (epollsim replay names them)`,
    );
  }
  if (verbose) for (const loop of loops.filter(({ events }) => events > 0)) yield* loopText(loop, style);
  if (!verbose && findings.length > 0)
    yield style.dim("  -v shows the lines that prove it, explain --at LINE the chain behind one");
}

/** `1 error, 2 warnings`. */
function countsText(findings: readonly Finding[], style: Style): string {
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
  const parts = (["error", "warning", "note"] as const)
    .map((severity) => [severity, count(severity)] as const)
    .filter(([, n]) => n > 0)
    .map(([severity, n]) => paint(severity, style)(`${n} ${severity}${n === 1 ? "" : "s"}`));
  return parts.length === 0 ? style.good("no finding") : parts.join(", ");
}

function paint(severity: Severity, style: Style): (text: string) => string {
  return severity === "error" ? style.bad : severity === "warning" ? style.warn : style.dim;
}

function* findingText(
  finding: Finding,
  file: string,
  verbose: boolean,
  style: Style,
): Generator<string, void, undefined> {
  const { kind, severity, message, evidence } = finding;
  const lines = [...new Set(evidence.map(({ line }) => line))].filter((line) => line > 0);
  yield `  ${paint(severity, style)(`${severity} ${kind.id}`)} ${style.strong(kind.name)}`;
  yield `    ${message} ${style.dim(`(lines ${lines.join(", ")})`)}`;
  if (!verbose) return;
  for (const { line, note } of evidence) yield `      ${style.dim(`${file}:${line}:`)} ${note}`;
  yield `    ${style.dim("so:")}   ${kind.consequence}`;
  yield `    ${style.dim("mend:")} ${kind.remedy}`;
}

function* loopText(loop: LoopMeasure, style: Style): Generator<string, void, undefined> {
  const { task, epfd, waits, empty, events, useful, wakeups, service, slowest } = loop;
  const who = `${task === null ? "" : `task ${task}, `}epoll ${epfd ?? "?"}`;
  const ratio = useful === 0 ? "" : `, ${(wakeups / useful).toFixed(2)} wake-ups for each`;
  yield `  ${style.strong(who)}: ${waits} waits (${empty} empty), ${events} events, ${useful} useful${ratio}`;
  if (service === null) return;
  yield `    ready to served: p50 ${service.p50_ms} ms, p99 ${service.p99_ms} ms of ${service.n}`;
  for (const { fd, p50_ms, p99_ms, n, line } of slowest.slice(0, 3)) {
    yield style.dim(`    fd ${fd}: p50 ${p50_ms} ms, p99 ${p99_ms} ms of ${n}, slowest in line ${line}`);
  }
}
