/**
 * Where the commands print, and how they notice that somebody wants them to stop. Commands get one of these, so that a test
 * can run them without a process of their own.
 */
import { type Style, style } from "./style.ts";

/** The surroundings of a command. */
export interface Io {
  /** Prints on standard output; the text has its line feeds. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Paints standard output. */
  readonly style: Style;
  /** Paints standard error. */
  readonly errStyle: Style;
  /** Columns of the terminal; 120 without one. */
  readonly columns: number;
  /** Standard error is a terminal: progress can be drawn there. */
  readonly errIsTerminal: boolean;
  /** Calls back on the first Ctrl-C. A second one ends the process at once. @returns a function that stops listening. */
  readonly onInterrupt: (callback: () => void) => () => void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const DEFAULT_COLUMNS = 120;
/** 128 + SIGINT, 128 + SIGPIPE: what a shell reports for a program that such a signal ended. */
export const EXIT_INTERRUPTED = 130;
const EXIT_PIPE = 141;

/** The surroundings that a process has. A reader that went away (`| head`) ends the process silently. */
export function processIo(): Io {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(EXIT_PIPE);
      throw error;
    });
  }
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    style: style(wantsColor(stdout.isTTY, env)),
    errStyle: style(wantsColor(stderr.isTTY, env)),
    columns: stdout.columns ?? DEFAULT_COLUMNS,
    errIsTerminal: stderr.isTTY && env.TERM !== "dumb",
    onInterrupt,
    env,
  };
}

/** `isTTY` is undefined on a pipe, and picocolors takes undefined for "decide yourself". NO_COLOR (no-color.org) and a dumb terminal switch colours off, FORCE_COLOR switches them on. */
function wantsColor(isTerminal: boolean | undefined, env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env.NO_COLOR ?? "") !== "") return false;
  if ((env.FORCE_COLOR ?? "0") !== "0") return true;
  return isTerminal === true && env.TERM !== "dumb";
}

function onInterrupt(callback: () => void): () => void {
  let count = 0;
  const listener = (): void => {
    count += 1;
    if (count === 1) callback();
    else process.exit(EXIT_INTERRUPTED);
  };
  process.on("SIGINT", listener);
  return () => process.off("SIGINT", listener);
}
