/**
 * Programs in TypeScript or JavaScript, named on the command line: which name is one, and what it exports.
 */
import { existsSync, statSync } from "node:fs";
import { register } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { OptionSpecs, ProgramDefinition } from "../runtime/index.ts";
import { UserError } from "./errors.ts";

const EXTENSIONS = [".ts", ".mts", ".js", ".mjs"];

/** The file of a program: the name itself, its `index` in a folder, or the name without its extension; null: no program. */
export function programFile(name: string): string | null {
  if (EXTENSIONS.some((extension) => name.endsWith(extension))) return name;
  const stem = existsSync(name) && statSync(name).isDirectory() ? join(name, "index") : name;
  const file = EXTENSIONS.map((extension) => stem + extension).find((candidate) => existsSync(candidate));
  return file ?? null;
}

let registered = false;

/**
 * Loads a program: its module runs, with all that it imports.
 *
 * @throws UserError for a module that cannot be loaded, or is no program.
 */
export async function loadProgram(file: string): Promise<ProgramDefinition<OptionSpecs>> {
  if (!existsSync(file)) throw new UserError(`${file}: no such file`);
  if (!registered) register("./module-hooks.js", import.meta.url);
  registered = true;
  const module = await importModule(file);
  const { program } = module as { program?: Partial<ProgramDefinition<OptionSpecs>> };
  if (typeof program?.main !== "function" || typeof program.options !== "object") {
    const form = "export const program = defineProgram({ summary, options, *main(host, options) {} })";
    throw new UserError(`${file}: exports no program`, form);
  }
  return program as ProgramDefinition<OptionSpecs>;
}

async function importModule(file: string): Promise<object> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as object;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `${file}: cannot be loaded: ${said}`,
      "a program imports from 'epollsim/runtime'; see docs/runtime.md",
    );
  }
}
