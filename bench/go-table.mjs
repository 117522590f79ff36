#!/usr/bin/env node
// The programs of examples/go on the model beside recordings of the same programs in real Go: the life of every descriptor, the calls
// by number, and the counters of scheduler and poller beside those measured in real Go. Exit 1 when a descriptor differs in more than
// its EAGAINs, or a replay of a simulated trace diverges.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { Command } from "commander";
import { compareLives, livesOf } from "../dist/analysis/lives.js";
import { plainTable } from "../dist/cli/diff-text.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const own = join(root, "test/runtime/go/recordings");
const cli = join(root, "dist/cli/main.js");
/** Calls whose numbers are set side by side. */
const COUNTED = ["epoll_ctl", "epoll_pwait", "read", "write", "accept4", "connect", "futex", "nanosleep", "clone"];
/** How much of a full buffer one call moves is the kernel's affair: sums are compared. */
const SUMMED = new Set(["deadlines"]);
const OUTPUT_MAX = 2 ** 30;

const options = new Command("npm run bench:go --")
  .description("Sets the programs of examples/go beside recordings of the same programs in real Go.")
  .argument("[names...]", "only these recordings, such as pingpong-p1")
  .option("--recordings <folder>", "where NAME.strace.gz lie", own)
  .option("--differences", "print the lives that only one side has")
  .option("--no-seeds", "without the seeds of index.json: no thread is ever late")
  .option("--json", "print one JSON object a recording, then one for each measured program")
  .addHelpText(
    "after",
    `
A life is what happens to one descriptor from the call that makes it to its close: calls, arguments without addresses, results.
'equal' leaves out what failed with EAGAIN, 'with EAGAIN' does not. Calls are shown as recorded/simulated.`,
  )
  .parse();
const { recordings: folder, differences, json } = options.opts();

function epollsim(...args) {
  return execFileSync(process.execPath, [cli, ...args], {
    cwd: root,
    maxBuffer: OUTPUT_MAX,
    encoding: "latin1",
    stdio: ["ignore", "pipe", "ignore"],
  });
}

/** What replay says of the trace that a program has printed. */
function replay(text) {
  const scratch = mkdtempSync(join(tmpdir(), "go-table-"));
  try {
    const file = join(scratch, "trace.strace");
    writeFileSync(file, text, "latin1");
    const { calls, diverged } = JSON.parse(epollsim("replay", "--json", file).trim().split("\n").at(-1));
    return { calls, diverged };
  } catch (error) {
    // Exit 1: it has diverged, and said how often.
    return JSON.parse(String(error.stdout).trim().split("\n").at(-1));
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

function seeded(seed) {
  return options.opts().seeds && seed !== undefined;
}

function compareRecording({ name, program, args, gomaxprocs, costs, seed }) {
  const file = join(folder, `${name}.strace.gz`);
  if (!existsSync(file)) return null;
  const recorded = gunzipSync(readFileSync(file)).toString("latin1");
  const simulated = epollsim(
    "run",
    `examples/go/${program}.ts`,
    "--trace",
    "--gomaxprocs",
    String(gomaxprocs),
    "--costs",
    costs,
    ...(seeded(seed) ? ["--seed", seed] : []),
    ...args,
  );
  const compare = (lifeOptions) =>
    compareLives(livesOf(recorded, lifeOptions).lives, livesOf(simulated, lifeOptions).lives);
  const equal = compare({ withoutAgain: true, summed: SUMMED.has(program) });
  const exact = compare({ summed: SUMMED.has(program) });
  const counts = [livesOf(recorded).counts, livesOf(simulated).counts];
  return {
    recording: name,
    gomaxprocs,
    costs,
    seed: seeded(seed) ? seed : null,
    descriptors: equal.matched + equal.onlyA.length,
    simulated: equal.matched + equal.onlyB.length,
    equal: equal.matched,
    equal_with_eagain: exact.matched,
    calls: Object.fromEntries(COUNTED.map((call) => [call, counts.map((count) => count.get(call) ?? 0)])),
    replay: replay(simulated),
    only_recorded: exact.onlyA,
    only_simulated: exact.onlyB,
  };
}

/** The model's counters beside the ranges measured in real Go at GOMAXPROCS=1. */
function compareCounters({ program, args, counters }) {
  const lines = epollsim("run", `examples/go/${program}.ts`, "--json", "--counters", ...args)
    .trim()
    .split("\n");
  const objects = lines.map((line) => JSON.parse(line));
  const values = new Map([["threads", objects.at(-1).threads]]);
  for (const { type, text } of objects) {
    const match = type === "print" ? /^(.*?)\s+(\d+)$/u.exec(text) : null;
    if (match !== null) values.set(match[1], Number(match[2]));
  }
  const rows = Object.entries(counters).map(([counter, [low, high]]) => {
    const value = values.get(counter) ?? 0;
    return { counter, low, high, value, inside: low <= value && value <= high };
  });
  const outside = rows.filter((row) => !row.inside);
  return { measured: [program, ...args].join(" "), rows: rows.length, inside: rows.length - outside.length, outside };
}

const list = (name) => JSON.parse(readFileSync(join(own, `${name}.json`), "utf8"));
const wanted = list("index").filter(({ name }) => options.args.length === 0 || options.args.includes(name));
const compared = wanted.map(compareRecording).filter((row) => row !== null);
const measured = options.args.length === 0 ? list("measured").map(compareCounters) : [];

if (json) {
  for (const row of [...compared, ...measured]) console.log(JSON.stringify(row));
} else {
  const rows = compared.map((row) => [
    row.recording,
    row.gomaxprocs,
    row.seed ?? "",
    row.descriptors,
    row.equal,
    row.equal_with_eagain,
    row.simulated - row.equal,
    row.replay.diverged,
    ...COUNTED.map((call) => row.calls[call].join("/")),
  ]);
  const head = [
    "recording",
    "P",
    "seed",
    "descriptors",
    "equal",
    "with EAGAIN",
    "only simulated",
    "replay diverged",
    ...COUNTED,
  ];
  console.log(
    plainTable(
      head,
      rows.map((row) => row.map(String)),
      head.map((_title, i) => i).slice(1),
    ),
  );
  if (differences) {
    for (const row of compared) {
      for (const life of row.only_recorded)
        console.log(`\n${row.recording}: only recorded\n  ${life.replaceAll("\n", "\n  ")}`);
      for (const life of row.only_simulated)
        console.log(`\n${row.recording}: only simulated\n  ${life.replaceAll("\n", "\n  ")}`);
    }
  }
  const range = ({ counter, low, high, value }) => `${counter} ${value} (${low === high ? low : `${low}-${high}`})`;
  const lines = measured.map((row) => [row.measured, `${row.inside}/${row.rows}`, row.outside.map(range).join(", ")]);
  if (measured.length > 0) {
    console.log(
      `\n${plainTable(["counters at GOMAXPROCS=1", "in range", "outside: simulated (measured)"], lines, [1])}`,
    );
  }
}
const wrong = compared.filter(
  (row) => row.equal < row.descriptors || row.equal < row.simulated || row.replay.diverged > 0,
);
process.exitCode = wrong.length > 0 ? 1 : 0;
