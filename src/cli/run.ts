/**
 * `epollsim run`: what happens, step by step?
 */
import type { Command } from "commander";
import { lower } from "../trace/lower.ts";
import { outcome } from "../trace/outcome.ts";
import { printLine } from "../trace/printer.ts";
import { parseScript } from "../trace/script.ts";
import { Exit } from "./errors.ts";
import { expandScripts, readSource } from "./files.ts";
import type { Io } from "./io.ts";
import { type WorldOptions, worldOptions } from "./options.ts";
import { modelFor } from "./worlds.ts";

/** Adds the command. */
export function runCommand(program: Command, io: Io, finish: (code: number) => void): void {
  worldOptions(
    program
      .command("run")
      .description("run scripts on the model and tell what happens")
      .argument("<scripts...>", "scripts, folders of scripts, or - for standard input"),
  ).action(async (names: string[], options: WorldOptions) => finish(await run(names, options, io)));
}

async function run(names: readonly string[], options: WorldOptions, io: Io): Promise<number> {
  let code: number = Exit.OK;
  for (const file of expandScripts(names)) {
    const source = await readSource(file, io);
    const lowered = lower(parseScript(source.text, source.file));
    const result = modelFor(lowered.script, options).runSync(lowered.program, null);
    const { lines, comparisons, end, reason } = outcome(lowered, result);
    for (const line of lines) io.out(`${printLine(line, { width: 60 })}\n`);
    for (const c of comparisons)
      io.out(`! ${file}:${c.line}: ${c.call} ${c.field}: expected ${c.expected}, model ${c.actual}\n`);
    if (end !== "done") io.out(`! ${end}: ${reason}\n`);
    if (end !== "done" || comparisons.length > 0) code = Exit.FOUND;
  }
  return code;
}
