/**
 * A program as `epollsim run` takes it: what it can be told, and what it does on which machines.
 */
import type { Machine, MachineOptions } from "./machine.ts";

/** An option of a program: `--NAME VALUE`, or `--NAME` alone when the default is `false`. */
export interface OptionSpec {
  readonly default: number | string | boolean;
  readonly help: string;
  /** The least value of a number, which is whole; 0 unless given. */
  readonly min?: number;
  /** The only values of a text. */
  readonly choices?: readonly string[];
  /** Throws a RangeError that says what is wrong with a text, and what there is. */
  readonly check?: (text: string) => void;
}

/** Options by name, in camelCase: `slowReaders` is `--slow-readers`. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type Value<T> = T extends number ? number : T extends boolean ? boolean : string;

/** What the command line says, or the defaults. */
export type OptionValues<O extends OptionSpecs> = { readonly [K in keyof O]: Value<O[K]["default"]> };

/** What a program has found out, by name; part of the summary. */
export type Figures = Readonly<Record<string, number | string>>;

/** What stands in a table. */
export type Cell = number | string;

/** Something that goes on step by step until it is over: a machine, or several that are joined. */
export interface Runnable {
  /** @returns false when it is over. */
  run(steps: number): boolean;
}

/** What `epollsim run` offers a program. */
export interface Host {
  /** A machine with the kernel version and the seed of the command line. */
  readonly machine: (options?: MachineOptions) => Machine;
  /** Numbers in [0, 1) from the seed of the command line, for the program's own choices. */
  readonly random: () => number;
  /** Prints a line. */
  readonly print: (line: string) => void;
  /** Prints a table. With `--json` an object for each row, under the names of the columns. */
  readonly table: (columns: readonly string[], rows: readonly (readonly Cell[])[]) => void;
  /** Prints a line that says what is wrong; the command ends with exit code 1. */
  readonly fail: (line: string) => void;
  /** Shows on a terminal how far the program has come. */
  readonly progress: (what: string, total: number, done: () => number) => void;
}

/** Yields each machine that is to run to its end. */
export type Main<O extends OptionSpecs> = (host: Host, options: OptionValues<O>) => Generator<Runnable, Figures, void>;

export interface ProgramDefinition<O extends OptionSpecs> {
  /** One line. */
  readonly summary: string;
  readonly options: O;
  /** MiB of heap that it needs with these options, where that may be more than Node grants by itself. */
  readonly heapMiB?: (options: OptionValues<O>) => number;
  readonly main: Main<O>;
}

/** A module for `epollsim run` exports one of these as `program`. */
export function defineProgram<const O extends OptionSpecs>(definition: ProgramDefinition<O>): ProgramDefinition<O> {
  return definition;
}
