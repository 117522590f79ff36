/**
 * Every script in every world that can run it: on the model always, on a target where it makes sense.
 */
import type { Port } from "../syscalls/port.ts";
import { lower } from "../trace/lower.ts";
import type { Script } from "../trace/script.ts";
import { diffScripts, type Worlds } from "./engine.ts";
import { judge } from "./judge.ts";
import type { ScriptReport } from "./report.ts";

/** How a world answered. */
export type Verdict = "agreed" | "diverged" | "not run";

/** One script. */
export interface SurveyEntry {
  readonly script: Script;
  /** With both worlds' answers, or with the model's alone; then `skipped` says why. */
  readonly report: ScriptReport;
  readonly model: Verdict;
  readonly target: Verdict;
}

/**
 * Runs scripts, in order.
 *
 * @param worlds - without targets the model runs alone, for the reason given.
 */
export async function* survey(
  scripts: readonly Script[],
  worlds: Worlds,
  withoutTarget: string,
): AsyncGenerator<SurveyEntry, void, undefined> {
  if (worlds.targets.length === 0) {
    for (const script of scripts) yield modelAlone(script, await alone(script, worlds.model(script)), withoutTarget);
    return;
  }
  let next = 0;
  for await (const report of diffScripts(scripts, worlds)) {
    const script = scripts[next] as Script;
    next += 1;
    if (report.skipped !== null) {
      yield modelAlone(script, await alone(script, worlds.model(script)), report.skipped);
      continue;
    }
    const { divergences } = report;
    yield {
      script,
      report,
      model: divergences.some((found) => found.model !== null) ? "diverged" : "agreed",
      target: divergences.some((found) => found.target !== null) ? "diverged" : "agreed",
    };
  }
}

async function alone(script: Script, model: Port): Promise<ScriptReport> {
  const lowered = lower(script);
  return judge(lowered, await model.run(lowered.program), null);
}

function modelAlone(script: Script, report: ScriptReport, skipped: string): SurveyEntry {
  return {
    script,
    report: { ...report, skipped },
    model: report.diverged > 0 ? "diverged" : "agreed",
    target: "not run",
  };
}
