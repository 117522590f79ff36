/**
 * Recordings of what programs do: of the one machine on standard output, or of each machine and host in a folder.
 */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../runtime/index.ts";
import type { Line } from "../trace/ast.ts";
import { lineToJson } from "../trace/json.ts";
import { LiveTrace } from "../trace/live.ts";
import { printLine } from "../trace/printer.ts";
import { UserError } from "./errors.ts";
import type { Io } from "./io.ts";

export interface TraceOptions {
  readonly json?: boolean;
  /** On standard output. */
  readonly trace?: boolean;
  /** A folder. */
  readonly traces?: string;
}

/** Lines are printed when things happen: a replay need not search for their order. */
const HEADER = "#! order exact\n";
const TRACE_WIDTH = 72;
/** Characters that are collected before they are written. */
const CHUNK = 1 << 16;

/** A file that grows by chunks. */
class TraceFile {
  readonly path: string;
  readonly #fd: number;
  #text = HEADER;

  /** @throws UserError */
  constructor(path: string) {
    this.path = path;
    try {
      this.#fd = openSync(path, "w");
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  write(line: string): void {
    this.#text += line;
    if (this.#text.length >= CHUNK) this.#flush();
  }

  #flush(): void {
    try {
      // One character is one byte, as strace writes them.
      for (let bytes = Buffer.from(this.#text, "latin1"); bytes.length > 0; ) {
        bytes = bytes.subarray(writeSync(this.#fd, bytes));
      }
    } catch (error) {
      throw cannotWrite(this.path, error);
    }
    this.#text = "";
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }
}

function cannotWrite(path: string, error: unknown): UserError {
  const said = error instanceof Error ? error.message : String(error);
  return new UserError(`run: ${path} cannot be written: ${said}`, "--traces takes a folder, which is made if need be");
}

/** All recordings of one run. */
export class ProgramTraces {
  readonly #options: TraceOptions;
  readonly #io: Io;
  readonly #live: LiveTrace[] = [];
  readonly #files: TraceFile[] = [];
  /** Machines and hosts that have been met. */
  readonly #names: string[] = [];

  /** @throws UserError for a folder that cannot be made. */
  constructor(options: TraceOptions, io: Io) {
    this.#options = options;
    this.#io = io;
    const { traces, trace } = options;
    if (traces === undefined) return;
    if (trace) throw new UserError("run: --trace and --traces together", "--trace prints, --traces writes files");
    try {
      mkdirSync(traces, { recursive: true });
    } catch (error) {
      throw cannotWrite(traces, error);
    }
  }

  /** Records a machine from its first call on. @throws UserError for a second one on standard output. */
  watch(machine: Machine): void {
    const { trace, traces } = this.#options;
    if (!trace && traces === undefined) return;
    for (const host of machine.hosts.length === 0 ? [undefined] : machine.hosts) {
      const name = this.#nameOf(machine, host);
      const print = traces === undefined ? this.#printer() : this.#writer(join(traces, `${name}.strace`));
      const live = new LiveTrace(machine.kernel.clock, print);
      this.#live.push(live);
      machine.trace(live, host);
    }
    // Each machine has its own tasks of the same numbers: in one recording nobody could tell them apart.
    if (traces === undefined && this.#names.length > 1) {
      throw new UserError(
        `run: --trace of a program with several machines: ${this.#names.join(", ")}`,
        "--traces FOLDER writes a recording of each",
      );
    }
  }

  #nameOf({ name }: Machine, host: string | undefined): string {
    const own = [name, host ?? ""].filter((part) => part !== "").join("-") || "machine";
    const safe = own.replace(/[^\w.-]+/g, "-").replace(/^\.+/, "");
    const same = this.#names.filter((other) => other === safe || other.startsWith(`${safe}.`)).length;
    const unique = same === 0 ? safe : `${safe}.${same + 1}`;
    this.#names.push(unique);
    return unique;
  }

  #printer(): (line: Line) => void {
    const { json } = this.#options;
    const { out } = this.#io;
    if (json) return (line) => out(`${JSON.stringify(lineJson(line))}\n`);
    let begun = false;
    return (line) => {
      if (!begun) out(HEADER);
      begun = true;
      out(text(line));
    };
  }

  #writer(path: string): (line: Line) => void {
    const file = new TraceFile(path);
    this.#files.push(file);
    return (line) => file.write(text(line));
  }

  /** Calls that are still under way are printed as such. @returns the files. */
  finish(): string[] {
    for (const live of this.#live) live.finish();
    for (const file of this.#files) file.close();
    return this.#files.map(({ path }) => path);
  }
}

function text(line: Line): string {
  return `${printLine(line, { width: TRACE_WIDTH })}\n`;
}

function lineJson(line: Line): object {
  const task = "task" in line ? line.task : null;
  return { type: "call", task, text: printLine(line), ast: lineToJson(line) };
}
