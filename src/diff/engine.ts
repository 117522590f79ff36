/**
 * Runs scripts in two worlds and judges them.
 */
import { AgentFailed } from "../native-bridge/index.ts";
import type { Port, PortProgram, PortResult } from "../syscalls/port.ts";
import { lower } from "../trace/lower.ts";
import { kernelFits, type Script } from "../trace/script.ts";
import type { Lowered } from "../trace/source-map.ts";
import { judge } from "./judge.ts";
import type { ScriptReport } from "./report.ts";
import { ProbedProgram } from "./state-probes.ts";

/** What a target can do: decides which scripts make sense there. */
export interface TargetTraits {
  /** Its kernel's release, such as `6.18.44-cloud`; null if nobody knows. */
  readonly release: string | null;
  /** Which of `root`, `userfaultfd`, `net` it offers. */
  readonly offers: ReadonlySet<string>;
}

/** Two worlds. */
export interface Worlds {
  /** A model for this script: a script may ask for a seed of its own. */
  readonly model: (script: Script) => Port;
  /**
   * Models that make other choices where Linux leaves one: a target that does as one of them is right. Asked about generated
   * scripts only; a script that somebody wrote says itself where it grants freedom.
   */
  readonly otherModels?: (script: Script) => Iterable<Port>;
  /** Ports to the same kind of machine; scripts are spread over them. */
  readonly targets: readonly Port[];
  readonly traits: TargetTraits;
  /** Compare the state of every descriptor after each call, too. */
  readonly state?: boolean;
  /** Whether scripts expect something; those that nobody wrote do not. Default: true. */
  readonly expected?: boolean;
}

/** How to compare. */
export type Comparing = Pick<Worlds, "state" | "expected">;

/** Programs that a target has at hand, so that it never waits for us. */
const IN_FLIGHT = 4;
/** How often a script that diverged is run again. */
const RUNS_AGAIN = 2;

/** Why a target does not run a script; null if it does. @param races - it is run many times, as a race */
export function skipReason(script: Script, traits: TargetTraits, races = false): string | null {
  if (script.modelOnly !== null) return `on the model only: ${script.modelOnly}`;
  if (script.litmus && !races) return "a litmus script: its lines have no order";
  if (traits.release !== null && !kernelFits(script, traits.release)) {
    return `needs kernel ${script.kernel.map(({ op, version }) => `${op} ${version}`).join(", ")}`;
  }
  const needs = new Set(script.needs);
  if (script.uid !== null || script.sysctls.size > 0) needs.add("root");
  const missing = [...needs].filter((need) => !traits.offers.has(need));
  return missing.length === 0 ? null : `needs ${missing.join(", ")}`;
}

/** Runs a script on the model and on a target, and compares. */
export async function diffLowered(
  lowered: Lowered,
  model: Port,
  target: Port,
  { state = false, expected = true }: Comparing = {},
): Promise<ScriptReport> {
  const probed = state ? new ProbedProgram(lowered) : null;
  if (probed !== null && probed.unfit === null) {
    const [inModel, inTarget] = await Promise.all([model.run(probed.program), runOn(target, probed.program)]);
    if (inTarget.end === "unsupported") return refused(lowered, inTarget);
    return judge(lowered, probed.strip(inModel), probed.strip(inTarget), probed.compare(inModel, inTarget), expected);
  }
  const [inModel, inTarget] = await Promise.all([model.run(lowered.program), runOn(target, lowered.program)]);
  return inTarget.end === "unsupported" ? refused(lowered, inTarget) : judge(lowered, inModel, inTarget, [], expected);
}

/**
 * The same, but what a target does once and not again is told apart: a loaded machine lets a timer expire too early for the
 * script, or one thread overtake another.
 */
async function diffSteadily(lowered: Lowered, model: Port, target: Port, comparing: Comparing): Promise<ScriptReport> {
  const first = await diffLowered(lowered, model, target, comparing);
  if (!first.divergences.some((divergence) => divergence.target !== null)) return first;
  for (let again = 0; again < RUNS_AGAIN; again += 1) {
    const next = await diffLowered(lowered, model, target, comparing);
    if (next.skipped === null && next.diverged === 0) return { ...next, unsteady: first.divergences };
  }
  return first;
}

/**
 * Whether the target does as one of the model's other choices has it.
 *
 * @returns the report of that choice; null if there is none.
 */
export async function diffOtherChoices(lowered: Lowered, worlds: Worlds, target: Port): Promise<ScriptReport | null> {
  // with one task there is nothing to choose
  if (lowered.tasks.length < 2) return null;
  const inTarget = await runOn(target, lowered.program);
  for (const model of worlds.otherModels?.(lowered.script) ?? []) {
    const report = judge(lowered, await model.run(lowered.program), inTarget, [], worlds.expected);
    if (report.diverged === 0) return report;
  }
  return null;
}

/** What a target cannot do proves nothing. */
function refused(lowered: Lowered, { reason }: PortResult): ScriptReport {
  return skippedReport(lowered.script, `the target cannot do it: ${reason}`);
}

/** An agent that dies takes only its present script along: the next one gets a new agent. */
async function runOn(target: Port, program: PortProgram): Promise<PortResult> {
  try {
    return await target.run(program);
  } catch (error) {
    if (error instanceof AgentFailed) return { steps: [], end: "crashed", reason: error.message };
    throw error;
  }
}

/** The report of a script that the target did not run. */
export function skippedReport(script: Script, reason: string): ScriptReport {
  const { file, ids } = script;
  return { file, ids, calls: 0, agreed: 0, diverged: 0, skipped: reason, divergences: [], unsteady: [] };
}

/** Runs scripts one after the other, several at a time, and reports in their order. */
export async function* diffScripts(
  scripts: Iterable<Script>,
  worlds: Worlds,
): AsyncGenerator<ScriptReport, void, undefined> {
  const window: Promise<ScriptReport>[] = [];
  const { targets, traits, model } = worlds;
  let next = 0;
  for (const script of scripts) {
    const reason = skipReason(script, traits);
    const target = targets[next % targets.length];
    if (reason !== null || target === undefined) {
      window.push(Promise.resolve(skippedReport(script, reason ?? "no target")));
    } else {
      next += 1;
      const report = diffSteadily(lower(script), model(script), target, worlds);
      report.catch(() => {}); // reported when its turn comes
      window.push(report);
    }
    if (window.length >= targets.length * IN_FLIGHT) yield await (window.shift() as Promise<ScriptReport>);
  }
  for (const report of window) yield await report;
}
