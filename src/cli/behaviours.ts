/**
 * `epollsim behaviours`: the list of rows and scripts, with what each world answers. It writes docs/behaviours.md.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import type { Command } from "commander";
import { compareIds } from "../diff/report.ts";
import { type SurveyEntry, survey, type Verdict } from "../diff/survey.ts";
import type { Script } from "../trace/script.ts";
import { ownTraces } from "./check.ts";
import { worldsOf } from "./diff.ts";
import { Exit, UserError } from "./errors.ts";
import { expandScripts, notShownBeside, readScripts } from "./files.ts";
import type { Io } from "./io.ts";
import { type WorldOptions, worldOptions } from "./options.ts";
import { progress } from "./progress.ts";
import { sectionOf, sectionTitles } from "./sections.ts";
import { openTarget } from "./worlds.ts";

interface BehavioursOptions extends WorldOptions {
  readonly write?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  epollsim behaviours > list.md                       every script that comes with epollsim
  epollsim behaviours --write docs/behaviours.md      as this project keeps it
  epollsim behaviours --json traces/epoll | jq -r 'select(.kernel == "not run").reason'`;

const AGENTS = 2;

/** Adds the command. */
export function behavioursCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("behaviours")
    .summary("which behaviours are proved, by which script?")
    .description("Runs every script on the model and on this kernel, and lists rows, scripts and results as Markdown.")
    .argument("[folder]", "where the scripts are (default: those of epollsim)")
    .option("--write <file>", "write the list there instead of printing it")
    .option("--json", "one JSON object a row and script")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (folder: string | undefined, options: BehavioursOptions) =>
    finish(await behaviours(folder ?? ownTraces(), options, io)),
  );
}

async function behaviours(folder: string, options: BehavioursOptions, io: Io): Promise<number> {
  const files = expandScripts([folder]).filter((file) => !file.includes("/captured/"));
  const { scripts: all, bad } = await readScripts(files, io);
  const scripts = all.filter((script) => !script.litmus);
  const target = await openTarget({ agents: AGENTS });
  const entries: SurveyEntry[] = [];
  const bar = progress(io, "scripts", scripts.length);
  try {
    for await (const entry of survey(scripts, worldsOf(target, options), "")) {
      entries.push(entry);
      bar.update(entries.length, entry.script.file);
    }
  } finally {
    bar.stop();
    await target.close();
  }
  const list = listOf(entries);
  if (options.json) {
    for (const { id, entry } of list) io.out(`${JSON.stringify(rowJson(id, entry))}\n`);
  } else {
    const base = options.write === undefined ? process.cwd() : dirname(resolve(options.write));
    const text = markdown(list, notShownBeside(files), target.title, base);
    if (options.write === undefined) io.out(text);
    else save(options.write, text, io);
  }
  if (bad > 0) return Exit.USAGE;
  return entries.some((entry) => entry.report.diverged > 0) ? Exit.FOUND : Exit.OK;
}

/** Leaves a file alone that says the same already. */
function save(file: string, text: string, io: Io): void {
  try {
    let before = "";
    try {
      before = readFileSync(file, "utf8");
    } catch {
      // there is none yet
    }
    if (before === text) {
      io.out(`${file}: is up to date\n`);
      return;
    }
    writeFileSync(file, text);
    io.out(`${file}: written\n`);
  } catch (error) {
    throw new UserError(`${file}: cannot be written: ${(error as Error).message}`);
  }
}

interface Listed {
  readonly id: string;
  readonly entry: SurveyEntry;
}

/** A line for each row of each script, sorted by row and file. */
function listOf(entries: readonly SurveyEntry[]): Listed[] {
  return entries
    .flatMap((entry) => (entry.script.ids.length === 0 ? [""] : entry.script.ids).map((id) => ({ id, entry })))
    .sort((a, b) => compareIds(a.id, b.id) || (a.entry.script.file < b.entry.script.file ? -1 : 1));
}

function rowJson(row: string, { script, model, target, report }: SurveyEntry): object {
  const reason = report.skipped;
  return { row, script: script.file, shows: firstSentence(script), model, kernel: target, reason };
}

function markdown(list: readonly Listed[], notShown: ReadonlyMap<string, string>, title: string, base: string): string {
  const scripts = new Set(list.map(({ entry }) => entry.script.file)).size;
  const rows = new Set(list.map(({ id }) => id).filter((id) => id !== "")).size;
  const lines = [
    "# Behaviours",
    "",
    "Written by `epollsim behaviours --write docs/behaviours.md`; do not edit.",
    "",
    `${rows} rows, shown by ${scripts} scripts. Each script ran on the model and on ${title}.`,
    "*agreed*: every call gave what the script expects. *not run*: the reason is behind it; the model ran all the same,",
    "as a kernel that the script asks for.",
  ];
  for (const section of sectionTitles) {
    const here = list.filter(({ id }) => sectionOf(id === "" ? undefined : id) === section);
    if (here.length === 0) continue;
    lines.push("", `## ${section}`, "", "| row | what the script shows | model | kernel |", "|---|---|---|---|");
    for (const { id, entry } of here) lines.push(markdownRow(id, entry, base));
  }
  if (notShown.size > 0) {
    lines.push("", "## Not shown, or not wholly", "", "| row | why |", "|---|---|");
    const sorted = [...notShown].sort(([a], [b]) => compareIds(a, b));
    for (const [row, reason] of sorted) lines.push(`| ${row} | ${cell(reason)} |`);
  }
  return `${lines.join("\n")}\n`;
}

function markdownRow(id: string, { script, report, model, target }: SurveyEntry, base: string): string {
  const link = `[${cell(firstSentence(script))}](${relative(base, resolve(script.file))})`;
  const kernel = target === "not run" ? `not run: ${cell(report.skipped ?? "")}` : marked(target);
  return `| ${id} | ${link} | ${marked(model)} | ${kernel} |`;
}

function marked(verdict: Verdict): string {
  return verdict === "diverged" ? "**diverged**" : verdict;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("[", "\\[").replaceAll("]", "\\]");
}

/** The first sentence of a script's first comment. */
export function firstSentence({ lines, file }: Script): string {
  const texts = lines.map(({ line }) => line);
  const from = texts.findIndex((line) => line.type === "comment" && line.text.trim() !== "");
  if (from < 0) return file.replace(/^.*\//, "");
  const block: string[] = [];
  for (const line of texts.slice(from)) {
    if (line.type !== "comment") break;
    block.push(line.text.trim());
  }
  const text = block.join(" ");
  return (/^.*?[.!?](?=\s|$)/.exec(text)?.[0] ?? text).replace(/\.$/, "");
}
