/** The command line in this process, its output caught. */
import type { Io } from "../../src/cli/io.ts";
import { runCli } from "../../src/cli/program.ts";
import { style } from "../../src/cli/style.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CliOptions {
  readonly colored?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Called back when the command listens for Ctrl-C; gives it one. */
  readonly onListen?: (interrupt: () => void) => void;
}

export function fakeIo(options: CliOptions = {}): { io: Io; out: () => string; err: () => string } {
  const texts = { out: "", err: "" };
  const io: Io = {
    out: (text) => {
      texts.out += text;
    },
    err: (text) => {
      texts.err += text;
    },
    style: style(options.colored ?? false),
    errStyle: style(false),
    columns: 100,
    errIsTerminal: false,
    onInterrupt: (callback) => {
      options.onListen?.(callback);
      return () => {};
    },
    env: options.env ?? {},
  };
  return { io, out: () => texts.out, err: () => texts.err };
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Ran> {
  const { io, out, err } = fakeIo(options);
  const code = await runCli(args, io);
  return { code, out: out(), err: err() };
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
