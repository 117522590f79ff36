/**
 * `diff --generate`: scripts that nobody wrote, and what they find.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { campaign, type NamedCounterexample } from "../diff/campaign.ts";
import type { Worlds } from "../diff/engine.ts";
import type { ScriptReport } from "../diff/report.ts";
import type { DiffOptions } from "./diff.ts";
import { divergenceText } from "./diff-text.ts";
import { UserError } from "./errors.ts";
import type { Io } from "./io.ts";
import { progress } from "./progress.ts";

/** What generated scripts showed. */
export interface Generated {
  readonly reports: readonly ScriptReport[];
  /** Files of counterexamples. */
  readonly saved: readonly string[];
}

/** Runs as many generated scripts as the options ask for; saves counterexamples as they are found. */
export async function generated(
  worlds: Worlds,
  options: DiffOptions,
  io: Io,
  stopped: () => boolean,
): Promise<Generated> {
  const { generate: count = 0, from } = options;
  const reports: ScriptReport[] = [];
  const saved: string[] = [];
  if (count === 0) return { reports, saved };
  const seed = seedNumber(options.seed ?? "0");
  const bar = progress(io, "generated scripts", count);
  try {
    for await (const { report, counterexamples } of campaign({ seed, from, count, stopped }, worlds)) {
      reports.push(report);
      bar.update(reports.length, `counterexamples ${saved.length}`);
      if (options.json) io.out(`${JSON.stringify(report)}\n`);
      for (const counterexample of counterexamples) saved.push(save(counterexample, options, io));
    }
  } finally {
    bar.stop();
  }
  const done = from + reports.length;
  if (stopped() && done < from + count) {
    io.err(`stopped; go on with: --generate ${from + count - done} --from ${done} --seed ${options.seed ?? "0"}\n`);
  }
  return { reports, saved };
}

function save({ name, text, report }: NamedCounterexample, options: DiffOptions, io: Io): string {
  const file = join(options.save, `${name}.strace`);
  try {
    mkdirSync(options.save, { recursive: true });
    writeFileSync(file, text);
  } catch (error) {
    throw new UserError(`${file}: cannot be written: ${(error as Error).message}`, "--save DIR names another folder");
  }
  if (!options.json) {
    io.out(`\n${io.style.strong(file)}\n${text}`);
    for (const divergence of report.divergences) io.out(`${divergenceText(name, divergence, "kernel", io.style)}\n`);
  }
  return file;
}

/** Any text is a seed: a number is itself, other text its hash (FNV-1a). */
function seedNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  let hash = 0x811c_9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x0100_0193);
  return hash >>> 0;
}
