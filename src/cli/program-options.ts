/**
 * The options of a program, read from the command line behind its name.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { OptionSpec, OptionSpecs, OptionValues } from "../runtime/index.ts";
import { UserError } from "./errors.ts";
import { wholeNumber } from "./options.ts";

/** The program's own help. */
export function programHelp(file: string, summary: string, specs: OptionSpecs, columns: number): string {
  return programCommand(file, summary, specs)
    .configureOutput({ getOutHelpWidth: () => columns })
    .helpInformation()
    .trimEnd()
    .concat("\n");
}

/** @throws UserError for an unknown option, or a value that is none. */
export function programOptions(
  file: string,
  summary: string,
  specs: OptionSpecs,
  args: readonly string[],
): OptionValues<OptionSpecs> {
  const command = programCommand(file, summary, specs);
  try {
    command.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const known = Object.keys(specs).map((name) => `--${flagOf(name)}`);
    const remedy = known.length === 0 ? "it has no options of its own" : `its options: ${known.join(", ")}`;
    throw new UserError(`${file}: ${error.message.replace(/^error: /, "")}`, remedy);
  }
  return command.opts();
}

function programCommand(file: string, summary: string, specs: OptionSpecs): Command {
  const command = new Command(`epollsim run ${file}`)
    .description(summary)
    .helpOption(false)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  for (const [name, spec] of Object.entries(specs)) command.addOption(optionOf(name, spec));
  return command;
}

function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function optionOf(name: string, { default: value, help, min = 0, choices, check }: OptionSpec): Option {
  const flag = `--${flagOf(name)}`;
  if (typeof value === "boolean") return new Option(flag, help).default(value);
  if (typeof value === "number") return new Option(`${flag} <n>`, help).argParser(wholeNumber(min)).default(value);
  const option = new Option(`${flag} <text>`, help).default(value);
  if (check !== undefined) return option.argParser(checked(check));
  return choices === undefined ? option : option.choices(choices);
}

function checked(check: (text: string) => void): (text: string) => string {
  return (text) => {
    try {
      check(text);
    } catch (error) {
      if (error instanceof RangeError) throw new InvalidArgumentError(error.message);
      throw error;
    }
    return text;
  };
}
