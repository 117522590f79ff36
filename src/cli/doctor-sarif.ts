/**
 * Diagnoses as SARIF 2.1.0 (OASIS): one run, one rule for each id that occurs, the evidence as related locations.
 */
import { pathToFileURL } from "node:url";
import type { Finding, Kind } from "../analysis/doctor/finding.ts";
import type { DoctoredFile } from "./doctor.ts";
import { version } from "./version.ts";

const SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/** The log as an object. */
export function doctorSarif(results: readonly DoctoredFile[]): object {
  const kinds = new Map<string, Kind>();
  for (const { findings } of results) for (const { kind } of findings) kinds.set(kind.id, kind);
  const rules = [...kinds.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const driver = { name: "epollsim", version: version(), rules: rules.map(rule) };
  const reports = results.flatMap(({ file, findings }) => findings.map((finding) => result(file, finding, rules)));
  return {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [{ tool: { driver }, columnKind: "utf16CodeUnits", results: reports }],
  };
}

function rule({ id, name, consequence, remedy }: Kind): object {
  return { id, shortDescription: { text: name }, fullDescription: { text: consequence }, help: { text: remedy } };
}

function result(
  file: string,
  { kind, severity, message, evidence, count, fd, task }: Finding,
  rules: readonly Kind[],
): object {
  const [first] = evidence;
  return {
    ruleId: kind.id,
    ruleIndex: rules.indexOf(kind),
    level: severity,
    message: { text: `${kind.name}: ${message}` },
    locations: first === undefined ? [] : [location(file, first.line, null)],
    relatedLocations: evidence.map(({ line, note }, index) => ({ id: index, ...location(file, line, note) })),
    occurrenceCount: Math.max(1, count),
    properties: { fd, task },
  };
}

function location(file: string, line: number, note: string | null): object {
  const uri = file.startsWith("/") ? pathToFileURL(file).href : encodeURI(file);
  const region = { startLine: Math.max(1, line) };
  return {
    physicalLocation: { artifactLocation: { uri }, region },
    ...(note === null ? {} : { message: { text: note } }),
  };
}
