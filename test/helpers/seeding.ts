/**
 * Does a replay notice mistakes? Puts them into good recordings, one at a time, into results that the replay predicts.
 */
import seedrandom from "seedrandom";
import { openBatches } from "../../src/cli/input.ts";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import type { Divergence } from "../../src/replay/summary.ts";
import type { Expr, Line } from "../../src/trace/ast.ts";
import { CallJoiner } from "../../src/trace/pairs.ts";
import { ALTERATIONS, type ResultLine, reportedEvents } from "./alterations.ts";

/** What became of one kind of mistake. */
export interface SeedingRow {
  seeded: number;
  noticed: number;
  /** At the line of the altered call. */
  located: number;
}

/** A mistake that was not noticed, or at another line. */
export interface Missed {
  readonly file: string;
  readonly line: number;
  readonly what: string;
  readonly call: string;
  /** Where the first divergence was reported; null when there was none. */
  readonly reported: number | null;
}

export interface SeedingResult {
  readonly rows: Map<string, SeedingRow>;
  readonly missed: Missed[];
  files: number;
}

const EARLIER_MAX = 64;

async function readAll(path: string): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const batch of openBatches(path, { lenient: true })) lines.push(...batch);
  return lines;
}

/** Replays, and tells at which result lines the model had predicted the result. */
function replay(lines: Iterable<Line>): { readonly divergences: readonly Divergence[]; readonly agreed: Set<number> } {
  const agreed = new Set<number>();
  let before = 0;
  const replayer: Replayer = new Replayer({
    profile: kernelProfile("6.18"),
    chooser: firstChoice,
    file: "seeded",
    watcher: {
      begin: () => {},
      before: () => {
        before = replayer.tally.counts.agreed;
      },
      after: (event) => {
        if (event.kind !== "exit" || replayer.tally.counts.agreed === before) return;
        if (event.call.exitLine !== null) agreed.add(event.call.exitLine);
      },
    },
  });
  for (const line of lines) replayer.push(line);
  replayer.finish();
  return { divergences: replayer.tally.divergences, agreed };
}

interface Candidate {
  readonly index: number;
  readonly entryLine: number;
  readonly altered: ResultLine;
}

/** Every place of a recording where each mistake can be made. */
function candidates(
  lines: readonly Line[],
  agreed: ReadonlySet<number>,
  random: () => number,
): Map<string, Candidate[]> {
  const found = new Map<string, Candidate[]>();
  const joiner = new CallJoiner();
  const byLine = new Map<number, Line>();
  const earlier = new Map<string, Expr>();
  for (const [index, line] of lines.entries()) {
    const call = joiner.push(line);
    byLine.set(line.line, line);
    const isResult = call?.phase === "returned" && call.entryLine !== null && agreed.has(line.line);
    if (isResult && (line.type === "call" || line.type === "resumed")) {
      const entry = byLine.get(call.entryLine as number) as ResultLine;
      for (const [what, alteration] of ALTERATIONS) {
        const altered = alteration({ line, entry, args: call.args, earlier: [...earlier.values()], random });
        if (altered === null) continue;
        const list = found.get(what) ?? [];
        list.push({ index, entryLine: call.entryLine as number, altered });
        found.set(what, list);
      }
    }
    for (const item of reportedEvents(line)) {
      if (earlier.size < EARLIER_MAX)
        earlier.set(
          JSON.stringify(item, (_, value: unknown) => String(value)),
          item,
        );
    }
  }
  return found;
}

function* withLine(lines: readonly Line[], index: number, altered: Line): Generator<Line> {
  for (const [at, line] of lines.entries()) yield at === index ? altered : line;
}

/**
 * Seeds mistakes into recordings that replay without a divergence; others are left out.
 *
 * @param perKind - of each kind, for each file, at most so many.
 */
export async function seedMistakes(files: readonly string[], perKind: number, seed: string): Promise<SeedingResult> {
  const result: SeedingResult = { rows: new Map(), missed: [], files: 0 };
  for (const file of files) {
    const random = seedrandom(`${seed} ${file.split("/").slice(-2).join("/")}`);
    const lines = await readAll(file);
    const { divergences, agreed } = replay(lines);
    if (divergences.length > 0) continue;
    result.files += 1;
    for (const [what, places] of candidates(lines, agreed, random)) {
      for (let n = 0; n < perKind && places.length > 0; n += 1) {
        const [place] = places.splice(Math.floor(random() * places.length), 1);
        if (place !== undefined) judge(result, file, what, lines, place);
      }
    }
  }
  return result;
}

function judge(result: SeedingResult, file: string, what: string, lines: readonly Line[], place: Candidate): void {
  const row = result.rows.get(what) ?? { seeded: 0, noticed: 0, located: 0 };
  result.rows.set(what, row);
  const { divergences } = replay(withLine(lines, place.index, place.altered));
  const { line, name } = place.altered;
  const located = divergences.some(
    (divergence) => divergence.line === place.entryLine || divergence.exit_line === line,
  );
  row.seeded += 1;
  if (divergences.length > 0) row.noticed += 1;
  if (located) row.located += 1;
  if (!located) result.missed.push({ file, line, what, call: name, reported: divergences[0]?.line ?? null });
}

/** Sums over all kinds. */
export function totals({ rows }: SeedingResult): SeedingRow {
  const sum = { seeded: 0, noticed: 0, located: 0 };
  for (const row of rows.values()) {
    sum.seeded += row.seeded;
    sum.noticed += row.noticed;
    sum.located += row.located;
  }
  return sum;
}

/** The figures, a line for each kind. */
export function seedingTable(result: SeedingResult): string {
  const rows = [...result.rows, ["all", totals(result)] as const].map(
    ([what, { seeded, noticed, located }]) =>
      `${what.padEnd(24)} seeded ${String(seeded).padStart(5)}  noticed ${String(noticed).padStart(5)}  at its line ${String(located).padStart(5)}`,
  );
  const missed = result.missed.map(
    ({ file, line, what, call, reported }) =>
      `  ${file}:${line} ${call}: ${what}${reported === null ? ", not noticed" : `, reported at ${reported}`}`,
  );
  return `${result.files} recordings\n${rows.join("\n")}\n${missed.join("\n")}\n`;
}
