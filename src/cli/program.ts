/**
 * The command line: which commands there are, and how each invocation ends in an exit code.
 */
import { Command, CommanderError } from "commander";
import { behavioursCommand } from "./behaviours.ts";
import { checkCommand } from "./check.ts";
import { diffCommand } from "./diff.ts";
import { doctorCommand } from "./doctor.ts";
import { Exit, reportError } from "./errors.ts";
import { explainCommand } from "./explain.ts";
import type { Io } from "./io.ts";
import { litmusCommand } from "./litmus.ts";
import { recordCommand } from "./record.ts";
import { replayCommand } from "./replay.ts";
import { runCommand } from "./run.ts";
import { version } from "./version.ts";

/** Adds one command to the program. `finish` takes its exit code. */
export type AddCommand = (program: Command, io: Io, finish: (code: number) => void) => void;

const commands: readonly AddCommand[] = [
  runCommand,
  diffCommand,
  litmusCommand,
  replayCommand,
  recordCommand,
  explainCommand,
  doctorCommand,
  checkCommand,
  behavioursCommand,
];

const EXAMPLES = `
Examples:
  epollsim run traces/epoll/E-081-mod-rearms-edge.strace   what happens, call by call, and why
  epollsim run --dump script.strace                with pictures of the tree and the ready list
  epollsim diff traces/epoll                       do the model and this machine's kernel agree?
  epollsim diff --generate 1000 --seed 7           the same question, asked with scripts nobody wrote

Exit codes: 0 all as expected, 1 a divergence or a finding, 2 bad input or usage.`;

/** Runs one command line. @param argv - without the interpreter and the program's name. @returns the exit code. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let code: number = Exit.OK;
  const program = new Command("epollsim")
    .description("A deterministic reference model of Linux epoll: run, replay and compare with the real kernel.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", EXAMPLES)
    .showHelpAfterError("(epollsim --help shows what there is)")
    .exitOverride()
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (text, write) => write(text.replace(/^error:/, io.errStyle.bad("error:"))),
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
    });
  for (const add of commands) {
    add(program, io, (ended) => {
      code = ended;
    });
  }
  for (const command of program.commands) {
    command
      .copyInheritedSettings(program)
      .showHelpAfterError(`(epollsim ${command.name()} --help shows what there is)`);
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.OK : Exit.USAGE;
    return reportError(error, io);
  }
}
