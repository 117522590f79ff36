/**
 * How a command ends: exit codes, and one line for whatever went wrong.
 */
import { ParseError } from "../trace/errors.ts";
import type { Io } from "./io.ts";

/** 0 all as expected, 1 a divergence or a finding, 2 bad input or usage, 70 a defect of epollsim (sysexits' EX_SOFTWARE). */
export const Exit = { OK: 0, FOUND: 1, USAGE: 2, DEFECT: 70 } as const;

/** Something that the user can put right. */
export class UserError extends Error {
  override readonly name = "UserError";
  /** What to do about it; one line, or null. */
  readonly remedy: string | null;

  constructor(message: string, remedy: string | null = null) {
    super(message);
    this.remedy = remedy;
  }
}

const ISSUES = "please report it with the input that causes it; EPOLLSIM_DEBUG=1 shows where it happened";

/** Prints what went wrong. @returns the exit code. @throws error itself, when it is a defect and EPOLLSIM_DEBUG is set. */
export function reportError(error: unknown, io: Io): number {
  const label = io.errStyle.bad("error:");
  if (error instanceof ParseError || error instanceof UserError) {
    io.err(`${label} ${error.message}\n`);
    if (error instanceof UserError && error.remedy !== null) io.err(`${io.errStyle.dim("hint:")} ${error.remedy}\n`);
    return Exit.USAGE;
  }
  if ((io.env.EPOLLSIM_DEBUG ?? "") !== "") throw error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  io.err(`${label} epollsim itself went wrong: ${message.split("\n", 1)[0]}\n${io.errStyle.dim("hint:")} ${ISSUES}\n`);
  return Exit.DEFECT;
}
