/**
 * The training programs on the model, against recordings of the same programs in real Go 1.19.8: the life of every descriptor, the
 * time-outs, and whether a replay of what the model printed finds nothing wrong.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { counterLines, type GoMain } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { deadlines } from "../../../examples/go/deadlines.ts";
import { echoswarm } from "../../../examples/go/echoswarm.ts";
import { halfclose } from "../../../examples/go/halfclose.ts";
import { httpbasic } from "../../../examples/go/httpbasic.ts";
import { pingpong } from "../../../examples/go/pingpong.ts";
import { timersleep } from "../../../examples/go/timersleep.ts";
import { compareLives, type LifeOptions, type Lives, livesOf } from "../../../src/analysis/lives.ts";
import { costsNamed } from "../../../src/runtime/go/cost.ts";
import { cli, jsonLines } from "../../helpers/cli.ts";
import { runGo, traceGo } from "../../helpers/go.ts";

interface Recording {
  readonly name: string;
  readonly main: GoMain;
  readonly gomaxprocs: number;
  /** Descriptors whose lives are equal even in the tries that came too early (EAGAIN), of how many. */
  readonly exact: readonly [number, number];
}

const swarm = (conns: number): GoMain => echoswarm({ conns, rounds: 5, size: 64 });

const recordings: readonly Recording[] = [
  { name: "pingpong-p1", main: pingpong({ rounds: 200, net: "tcp4" }), gomaxprocs: 1, exact: [6, 7] },
  { name: "pingpong-p2", main: pingpong({ rounds: 200, net: "tcp4" }), gomaxprocs: 2, exact: [6, 7] },
  { name: "pingpong-unix", main: pingpong({ rounds: 100, net: "unix" }), gomaxprocs: 2, exact: [6, 7] },
  { name: "echoswarm-1", main: swarm(1), gomaxprocs: 2, exact: [5, 7] },
  { name: "echoswarm-10-p1", main: swarm(10), gomaxprocs: 1, exact: [20, 25] },
  { name: "echoswarm-10", main: swarm(10), gomaxprocs: 2, exact: [22, 25] },
  { name: "echoswarm-10-p1-late", main: swarm(10), gomaxprocs: 1, exact: [24, 25] },
  { name: "timersleep-p1", main: timersleep, gomaxprocs: 1, exact: [5, 5] },
  { name: "deadlines-p1", main: deadlines, gomaxprocs: 1, exact: [9, 11] },
  { name: "halfclose-p1", main: halfclose, gomaxprocs: 1, exact: [21, 21] },
  { name: "httpbasic-p1", main: httpbasic({ seq: 10, par: 8 }), gomaxprocs: 1, exact: [54, 61] },
  { name: "httpbasic-p1-41", main: httpbasic({ seq: 10, par: 8 }), gomaxprocs: 1, exact: [38, 41] },
  { name: "httpbasic-p1-quiet", main: httpbasic({ seq: 10, par: 8 }), gomaxprocs: 1, exact: [21, 21] },
  { name: "timersleep", main: timersleep, gomaxprocs: 2, exact: [5, 5] },
  { name: "deadlines", main: deadlines, gomaxprocs: 2, exact: [9, 11] },
  { name: "halfclose", main: halfclose, gomaxprocs: 2, exact: [18, 21] },
];

/** Where a socket's buffer fills, how much one call moves is the kernel's affair: sums are compared. */
function isSummed(name: string): boolean {
  return name.startsWith("deadlines");
}

/** What `index.json` says of a recording: the table of costs, and a seed under which the model lives as the recorded program did. */
interface Entry {
  readonly name: string;
  readonly costs: string;
  readonly seed?: string;
}

const entries = JSON.parse(
  readFileSync(fileURLToPath(new URL("recordings/index.json", import.meta.url)), "utf8"),
) as readonly Entry[];

function entryOf(recording: string): Entry {
  return entries.find(({ name }) => name === recording) as Entry;
}

function recordedLives(name: string, options: LifeOptions = {}): Lives {
  const file = fileURLToPath(new URL(`recordings/${name}.strace.gz`, import.meta.url));
  return livesOf(gunzipSync(readFileSync(file)).toString("latin1"), options);
}

/** Whether a replay of what the model printed finds nothing wrong. */
async function expectReplayed(name: string, text: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "go-trace-"));
  try {
    const file = join(folder, `${name}.strace`);
    writeFileSync(file, text);
    const { code, out } = await cli(["replay", "--json", file]);
    expect(jsonLines(out).at(-1)).toMatchObject({ diverged: 0 });
    expect(code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each(recordings)("$name", ({ name, main, gomaxprocs, exact }) => {
  const costs = costsNamed(entryOf(name).costs);
  const text = traceGo(main, { gomaxprocs, costs });

  test("every descriptor lives as in the recording, but for tries that came too early", () => {
    const options = { withoutAgain: true, summed: isSummed(name) };
    expect(livesOf(text, options).lives).toEqual(recordedLives(name, options).lives);
  });

  test(`with them, ${exact[0]} of ${exact[1]} are equal`, () => {
    const options = { summed: isSummed(name) };
    const real = recordedLives(name, options).lives;
    expect([compareLives(real, livesOf(text, options).lives).matched, real.length]).toEqual(exact);
  });

  test("a replay of the simulated trace diverges nowhere", () => expectReplayed(name, text));
});

describe.each(entries.filter(({ seed }) => seed !== undefined))("$name with seed $seed", ({ name, costs, seed }) => {
  const { main, gomaxprocs } = recordings.find((recording) => recording.name === name) as Recording;
  const text = traceGo(main, { gomaxprocs, costs: costsNamed(costs), seed: seed as string });

  test("every descriptor lives as in the recording, with the tries that came too early", () => {
    const options = { summed: isSummed(name) };
    expect(livesOf(text, options).lives).toEqual(recordedLives(name, options).lives);
  });

  test("a replay of the simulated trace diverges nowhere", () => expectReplayed(name, text));
});

describe("httpbasic", () => {
  /** What the first connection of the server does up to the big answer: the requests in a row. */
  const inRow = (lives: readonly string[]): string => {
    const life = lives.find((text) => text.startsWith("accept4") && text.includes("read 99"));
    return (life ?? "").split("read 99")[0] ?? "";
  };

  test("at GOMAXPROCS 2 the requests in a row are those of the recording", () => {
    const options = { withoutAgain: true, summed: true };
    const real = recordedLives("httpbasic", options).lives;
    const simulated = livesOf(traceGo(httpbasic({ seq: 10, par: 8 }), { gomaxprocs: 2 }), options).lives;
    expect(inRow(simulated)).toBe(inRow(real));
    expect(inRow(real).split("read 101")).toHaveLength(11);
  });

  test("all answers come, and the server ends in order; counters lie where real Go's do", () => {
    const { out, rt } = runGo(httpbasic({ seq: 10, par: 8 }));
    expect(out).toEqual(["total 200300 serve: http: Server closed"]);
    expect(rt.stats.parksByReason.get("sync.Cond.Wait")).toBe(51);
    expect(rt.stats.parksByReason.get("chan receive")).toBe(53);
    expect(rt.stats.parksByReason.get("IO wait")).toBeGreaterThanOrEqual(115);
  });
});

describe("time-outs", () => {
  test("R-097: whatever stands in the register of the mask's size, a wait without a mask is read and replayed", async () => {
    const text = traceGo(timersleep);
    const sizes = [0, 2, 63, 8, 4_503_599_627_370_496, 824_634_163_200];
    let waits = 0;
    const other = text.replaceAll(
      /(epoll_pwait\(.*, NULL, )\d+\)/gu,
      (_all, head: string) => `${head}${sizes[waits++ % sizes.length]})`,
    );
    expect(waits).toBeGreaterThan(sizes.length);
    const folder = mkdtempSync(join(tmpdir(), "go-trace-"));
    try {
      const file = join(folder, "sizes.strace");
      writeFileSync(file, other);
      const { code, out } = await cli(["replay", "--json", file]);
      expect(jsonLines(out).at(-1)).toMatchObject({ diverged: 0, unsupported: 0 });
      expect(code).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("R-098, R-099: each sleep of timersleep-p1 becomes the same waits", () => {
    const real = recordedLives("timersleep-p1").timeouts;
    const simulated = livesOf(traceGo(timersleep)).timeouts;
    // 200 us, 900 us, 1.5 ms twice, 5 ms as 4 and 1, 12.345 ms as 12 and 1, then the twenty sleepers.
    expect(simulated.slice(0, 16)).toEqual(real.slice(0, 16));
    expect(simulated.slice(0, 8)).toEqual([1, 1, 1, 1, 4, 1, 12, 1]);
    expect(simulated.slice(-4)).toEqual(real.slice(-4));
  });
});

describe("counters at GOMAXPROCS=1 lie where they were measured in real Go", () => {
  interface Measured {
    readonly program: string;
    readonly args: readonly string[];
    readonly counters: { readonly [name: string]: readonly [number, number] };
  }
  const file = fileURLToPath(new URL("recordings/measured.json", import.meta.url));
  const measured = JSON.parse(readFileSync(file, "utf8")) as readonly Measured[];

  /** The main function, and what lies outside the measured range. */
  const programs: readonly (readonly [string, GoMain, readonly string[]])[] = [
    ["echoswarm --conns 1 --rounds 5", swarm(1), []],
    ["echoswarm --conns 10 --rounds 5", swarm(10), []],
    ["echoswarm --conns 100 --rounds 5", swarm(100), []],
    ["echoswarm --conns 1000 --rounds 5", swarm(1000), []],
    ["pingpong --rounds 1000", pingpong({ rounds: 1000, net: "tcp4" }), []],
    ["timersleep", timersleep, []],
    ["httpbasic", httpbasic({ seq: 10, par: 8 }), []],
  ];

  test.each(programs)("%s", (name, main, outside) => {
    const { counters } = measured.find(({ program, args }) => [program, ...args].join(" ") === name) as Measured;
    const run = runGo(main);
    const values = new Map<string, number>([["threads", run.machine.counters().threads]]);
    for (const line of counterLines(run.rt.stats)) {
      const [, counter = "", value] = /^(.*?)\s+(\d+)$/u.exec(line) ?? [];
      values.set(counter, Number(value));
    }
    const wrong = Object.entries(counters).filter(([counter, [low, high]]) => {
      const value = values.get(counter) ?? 0;
      return value < low || value > high;
    });
    expect(wrong.map(([counter]) => counter)).toEqual(outside);
    expect(Object.keys(counters).length).toBeGreaterThan(30);
  });
});
