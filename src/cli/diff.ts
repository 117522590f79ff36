/**
 * `epollsim diff`: do the model and a real kernel agree?
 */
import type { Command } from "commander";
import { diffScripts } from "../diff/engine.ts";
import { type ScriptReport, summarize } from "../diff/report.ts";
import type { ModelPort } from "../syscalls/model-port.ts";
import { ParseError } from "../trace/errors.ts";
import { lower } from "../trace/lower.ts";
import { parseScript, type Script } from "../trace/script.ts";
import { Exit, reportError } from "./errors.ts";
import { expandScripts, readSource } from "./files.ts";
import type { Io } from "./io.ts";
import { type WorldOptions, worldOptions } from "./options.ts";
import { modelFor, openTarget, profileOf } from "./worlds.ts";

interface DiffOptions extends WorldOptions {
  readonly json?: boolean;
  readonly target?: string;
}

/** Adds the command. */
export function diffCommand(program: Command, io: Io, finish: (code: number) => void): void {
  worldOptions(
    program
      .command("diff")
      .description("run scripts on the model and on a real kernel, and compare them call by call")
      .argument("[scripts...]", "scripts, or folders of scripts")
      .option("--json", "one JSON object a script, then the sums")
      .option("--target <target>", "exec:COMMAND runs an agent elsewhere (default: this machine's kernel)"),
  ).action(async (names: string[], options: DiffOptions) => finish(await diff(names, options, io)));
}

async function diff(names: readonly string[], options: DiffOptions, io: Io): Promise<number> {
  const files = expandScripts(names);
  const scripts: Script[] = [];
  let bad = 0;
  for (const file of files) {
    const source = await readSource(file);
    try {
      const script = parseScript(source.text, source.file);
      lower(script);
      scripts.push(script);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      reportError(error, io);
      bad += 1;
    }
  }
  const target = await openTarget({ target: options.target, agents: 2 });
  const reports: ScriptReport[] = [];
  try {
    const model = (script: Script): ModelPort => modelFor(script, options, profileOf(target.traits));
    for await (const report of diffScripts(scripts, { model, targets: target.ports, traits: target.traits })) {
      reports.push(report);
      if (options.json) io.out(`${JSON.stringify(report)}\n`);
      else printReport(report, io);
    }
  } finally {
    await target.close();
  }
  const summary = summarize(reports, [], []);
  if (options.json) io.out(`${JSON.stringify(summary)}\n`);
  else {
    const { scripts: count, calls, agreed, diverged } = summary;
    io.out(`scripts ${count}, calls ${calls}, agreed ${agreed}, diverged ${diverged}\n`);
  }
  if (bad > 0) return Exit.USAGE;
  return summary.diverged === 0 ? Exit.OK : Exit.FOUND;
}

function printReport(report: ScriptReport, io: Io): void {
  if (report.skipped !== null) {
    io.out(`skip  ${report.file}: ${report.skipped}\n`);
    return;
  }
  io.out(`${report.diverged === 0 ? "ok   " : "DIFF "} ${report.file}\n`);
  for (const { line, task, call, field, expected, model, target } of report.divergences) {
    io.out(`      ${report.file}:${line}: ${task ?? ""} ${call}, ${field}:\n`);
    io.out(
      `        script ${expected ?? "?"}\n        model  ${model ?? "as expected"}\n        kernel ${target ?? "as expected"}\n`,
    );
  }
}
