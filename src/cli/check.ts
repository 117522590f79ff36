/**
 * `epollsim check`, which is `npm start`: every script of the project in both worlds, every recording replayed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Worlds } from "../diff/engine.ts";
import { type SurveyEntry, survey } from "../diff/survey.ts";
import { NEWEST } from "../kernel/profile.ts";
import type { Script } from "../trace/script.ts";
import { worldsOf } from "./diff.ts";
import { divergenceText, plainTable } from "./diff-text.ts";
import { Exit, UserError } from "./errors.ts";
import { readScripts, scriptsBelow } from "./files.ts";
import { EXIT_INTERRUPTED, type Io } from "./io.ts";
import { type WorldOptions, worldOptions } from "./options.ts";
import { progress } from "./progress.ts";
import { replayFile } from "./replay.ts";
import { sectionOf, sectionTitles } from "./sections.ts";
import { modelFor, openTarget, type Target } from "./worlds.ts";

interface CheckOptions extends WorldOptions {
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  epollsim check                      the scripts and recordings that come with epollsim
  epollsim check my/traces            scripts below a folder; what lies in its folder 'captured' is replayed
  epollsim check --kernel 5.10        what would another release have done?`;

const CAPTURED = "captured";
const AGENTS = 2;

/** Adds the command. */
export function checkCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("check")
    .summary("is everything as it should be? (npm start)")
    .description("Runs every script on the model and on this machine's kernel, replays every recording, and sums up.")
    .argument("[folder]", "where the scripts are (default: those of epollsim)")
    .option("--json", "one JSON object a section, then the sums; see docs/json.md")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (folder: string | undefined, options: CheckOptions) =>
    finish(await check(folder ?? ownTraces(), options, io)),
  );
}

/** The folder `traces` of this package. */
export function ownTraces(): string {
  const path = fileURLToPath(new URL("../../traces", import.meta.url));
  const here = join(process.cwd(), "traces");
  return here === path ? "traces" : path;
}

/** One line of the table. */
interface Row {
  readonly section: string;
  readonly rows: Set<string>;
  scripts: number;
  calls: number;
  agreed: number;
  diverged: number;
  /** Scripts that only the model ran. */
  modelOnly: number;
}

async function check(folder: string, options: CheckOptions, io: Io): Promise<number> {
  if (!existsSync(folder)) throw new UserError(`${folder}: no such folder`);
  const captured = join(folder, CAPTURED);
  const recordings = existsSync(captured) ? scriptsBelow(captured) : [];
  const files = scriptsBelow(folder).filter((file) => !recordings.includes(file));
  const { scripts: all, bad } = await readScripts(files, io);
  // those without order are a matter of their own: `epollsim litmus`
  const scripts = all.filter((script) => !script.litmus);
  const { target, reason } = await targetOrReason();
  let stopped = false;
  const release = io.onInterrupt(() => {
    stopped = true;
  });
  const table = new CheckTable(io, options);
  try {
    const worlds = target === null ? modelOnly(options) : worldsOf(target, options);
    await table.scripts(scripts, worlds, reason, () => stopped);
    await table.recordings(recordings, options.kernel ?? NEWEST, () => stopped);
  } finally {
    release();
    await target?.close();
  }
  table.print(target, reason);
  if (stopped) return EXIT_INTERRUPTED;
  if (bad > 0) return Exit.USAGE;
  return table.diverged === 0 ? Exit.OK : Exit.FOUND;
}

function modelOnly(options: WorldOptions): Worlds {
  const traits = { release: null, offers: new Set<string>() };
  return { model: (script: Script) => modelFor(script, options), targets: [], traits };
}

/** Without an agent the model is checked alone; that is said, and no error. */
async function targetOrReason(): Promise<{ target: Target | null; reason: string }> {
  try {
    return { target: await openTarget({ agents: AGENTS }), reason: "" };
  } catch (error) {
    if (error instanceof UserError) return { target: null, reason: error.message };
    throw error;
  }
}

/** Gathers what came of scripts and recordings, by section. */
class CheckTable {
  readonly #io: Io;
  readonly #options: CheckOptions;
  readonly #rows = new Map<string, Row>();
  readonly #wrong: string[] = [];
  readonly #unsteady: string[] = [];
  #replayed = "";

  constructor(io: Io, options: CheckOptions) {
    this.#io = io;
    this.#options = options;
  }

  get diverged(): number {
    return this.#sum((row) => row.diverged);
  }

  #row(section: string): Row {
    let row = this.#rows.get(section);
    if (row === undefined) {
      row = { section, rows: new Set(), scripts: 0, calls: 0, agreed: 0, diverged: 0, modelOnly: 0 };
      this.#rows.set(section, row);
    }
    return row;
  }

  async scripts(
    scripts: readonly Script[],
    worlds: Worlds,
    withoutTarget: string,
    stopped: () => boolean,
  ): Promise<void> {
    const bar = progress(this.#io, "scripts", scripts.length);
    let done = 0;
    try {
      for await (const entry of survey(scripts, worlds, withoutTarget)) {
        this.#add(entry);
        done += 1;
        bar.update(done, entry.script.file);
        if (stopped()) return;
      }
    } finally {
      bar.stop();
    }
  }

  #add({ script, report, target }: SurveyEntry): void {
    const row = this.#row(sectionOf(script.ids[0]));
    row.scripts += 1;
    row.calls += report.calls;
    row.agreed += report.agreed;
    row.diverged += report.diverged;
    if (target === "not run") row.modelOnly += 1;
    for (const id of script.ids) row.rows.add(id);
    if (report.unsteady.length > 0) this.#unsteady.push(script.file);
    for (const divergence of report.divergences) {
      this.#wrong.push(divergenceText(script.file, divergence, "kernel", this.#io.style));
    }
  }

  async recordings(files: readonly string[], kernel: string, stopped: () => boolean): Promise<void> {
    if (files.length === 0) return;
    const row = this.#row("captured recordings");
    const bar = progress(this.#io, "recordings", files.length);
    const sums = { calls: 0, assumed: 0, unsupported: 0, ignored: 0 };
    try {
      for (const [index, file] of files.entries()) {
        if (stopped()) return;
        bar.update(index, file);
        const result = await replayFile(file, kernel, stopped);
        row.scripts += 1;
        row.calls += result.agreed + result.diverged;
        row.agreed += result.agreed;
        row.diverged += result.diverged;
        for (const key of ["calls", "assumed", "unsupported", "ignored"] as const) sums[key] += result[key];
        for (const { line, call, field, recorded, predicted } of result.divergences.slice(0, 1)) {
          this.#wrong.push(`${file}:${line ?? "?"}: ${call}, ${field}: recorded ${recorded}, predicted ${predicted}`);
        }
      }
    } finally {
      bar.stop();
    }
    const { calls, assumed, unsupported, ignored } = sums;
    this.#replayed = `recordings: calls ${calls}, of which assumed ${assumed}, unsupported ${unsupported}, ignored ${ignored}`;
  }

  #sum(of: (row: Row) => number): number {
    return [...this.#rows.values()].reduce((total, row) => total + of(row), 0);
  }

  #sorted(): Row[] {
    const order = (row: Row): number => {
      const at = sectionTitles.indexOf(row.section);
      return at < 0 ? sectionTitles.length : at;
    };
    return [...this.#rows.values()].sort((a, b) => order(a) - order(b));
  }

  print(target: Target | null, reason: string): void {
    const { style, out } = this.#io;
    const sums = {
      scripts: this.#sum((row) => row.scripts),
      calls: this.#sum((row) => row.calls),
      agreed: this.#sum((row) => row.agreed),
      diverged: this.diverged,
    };
    if (this.#options.json) {
      for (const row of this.#sorted()) out(`${JSON.stringify({ ...row, rows: [...row.rows].sort() })}\n`);
      out(`${JSON.stringify({ total: true, ...sums, target: target?.title ?? null })}\n`);
      return;
    }
    for (const text of this.#wrong) out(`${text}\n\n`);
    out(`${this.#table()}\n\n`);
    for (const file of this.#unsteady) out(style.dim(`agreed only when run again: ${file}\n`));
    if (this.#replayed !== "") out(`${style.dim(this.#replayed)}\n`);
    out(
      style.dim(
        target === null ? `the model alone, since there is ${reason}\n` : `worlds: the model, ${target.title}\n`,
      ),
    );
    const wrong = sums.diverged === 0 ? style.good("diverged 0") : style.bad(`diverged ${sums.diverged}`);
    out(`scripts ${sums.scripts}, calls ${sums.calls}, agreed ${sums.agreed}, ${wrong}\n`);
  }

  #table(): string {
    const { style } = this.#io;
    const rows = this.#sorted().map((row) => [
      row.section,
      String(row.scripts),
      row.rows.size === 0 ? "" : String(row.rows.size),
      String(row.calls),
      String(row.agreed),
      row.diverged === 0 ? "0" : style.bad(String(row.diverged)),
      row.modelOnly === 0 ? "" : style.dim(String(row.modelOnly)),
    ]);
    const head = ["section", "scripts", "rows", "calls", "agreed", "diverged", "model only"].map(style.strong);
    return plainTable(head, rows, [1, 2, 3, 4, 5, 6]);
  }
}
