/**
 * The training programs on the model, against recordings of the same programs in real Go 1.19.8: the life of every descriptor, the
 * time-outs, and whether a replay of what the model printed finds nothing wrong.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { GoMain } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { deadlines } from "../../../examples/go/deadlines.ts";
import { echoswarm } from "../../../examples/go/echoswarm.ts";
import { halfclose } from "../../../examples/go/halfclose.ts";
import { httpbasic } from "../../../examples/go/httpbasic.ts";
import { pingpong } from "../../../examples/go/pingpong.ts";
import { timersleep } from "../../../examples/go/timersleep.ts";
import { cli, jsonLines } from "../../helpers/cli.ts";
import { runGo, traceGo } from "../../helpers/go.ts";
import { livesOf, livesOfFile, matched } from "../../helpers/go-lives.ts";

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
  { name: "pingpong-p2", main: pingpong({ rounds: 200, net: "tcp4" }), gomaxprocs: 2, exact: [5, 7] },
  { name: "pingpong-unix", main: pingpong({ rounds: 100, net: "unix" }), gomaxprocs: 2, exact: [7, 7] },
  { name: "echoswarm-1", main: swarm(1), gomaxprocs: 2, exact: [4, 7] },
  { name: "echoswarm-10-p1", main: swarm(10), gomaxprocs: 1, exact: [21, 25] },
  { name: "echoswarm-10", main: swarm(10), gomaxprocs: 2, exact: [15, 25] },
  { name: "timersleep-p1", main: timersleep, gomaxprocs: 1, exact: [5, 5] },
  { name: "timersleep", main: timersleep, gomaxprocs: 2, exact: [5, 5] },
  { name: "deadlines", main: deadlines, gomaxprocs: 2, exact: [9, 11] },
  { name: "halfclose", main: halfclose, gomaxprocs: 2, exact: [16, 21] },
];

function fileOf(name: string): string {
  return fileURLToPath(new URL(`recordings/${name}.strace.gz`, import.meta.url));
}

describe.each(recordings)("$name", ({ name, main, gomaxprocs, exact }) => {
  const text = traceGo(main, { gomaxprocs });

  test("every descriptor lives as in the recording, but for tries that came too early", () => {
    // How much one call moves of a full buffer is the kernel's affair: sums are compared.
    const options = { withoutAgain: true, summed: name === "deadlines" };
    expect(livesOf(text, options).lives).toEqual(livesOfFile(fileOf(name), options).lives);
  });

  test(`with them, ${exact[0]} of ${exact[1]} are equal`, () => {
    const real = livesOfFile(fileOf(name)).lives;
    expect([matched(real, livesOf(text).lives), real.length]).toEqual(exact);
  });

  test("a replay of the simulated trace diverges nowhere", async () => {
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
  });
});

describe("httpbasic", () => {
  /** What the first connection of the server does up to the big answer: the requests in a row. */
  const inRow = (lives: readonly string[]): string => {
    const life = lives.find((text) => text.startsWith("accept4") && text.includes("read 99"));
    return (life ?? "").split("read 99")[0] ?? "";
  };

  test.each([1, 2])(
    "at GOMAXPROCS %i the requests in a row are those of the recording, and a replay diverges nowhere",
    (p) => {
      const text = traceGo(httpbasic({ seq: 10, par: 8 }), { gomaxprocs: p });
      const options = { withoutAgain: true, summed: true };
      const real = livesOfFile(fileOf(p === 1 ? "httpbasic-p1" : "httpbasic"), options).lives;
      const simulated = livesOf(text, options).lives;
      expect(inRow(simulated)).toBe(inRow(real));
      expect(inRow(real).split("read 101")).toHaveLength(11);
    },
  );

  test("all answers come, and the server ends in order; counters lie where real Go's do", () => {
    const { out, rt } = runGo(httpbasic({ seq: 10, par: 8 }));
    expect(out).toEqual(["total 200300 serve: http: Server closed"]);
    expect(rt.stats.parksByReason.get("sync.Cond.Wait")).toBe(51);
    expect(rt.stats.parksByReason.get("chan receive")).toBe(53);
    expect(rt.stats.parksByReason.get("IO wait")).toBeGreaterThanOrEqual(115);
  });
});

describe("time-outs", () => {
  test("R-098, R-099: each sleep of timersleep-p1 becomes the same waits", () => {
    const real = livesOfFile(fileOf("timersleep-p1")).timeouts;
    const simulated = livesOf(traceGo(timersleep)).timeouts;
    // 200 us, 900 us, 1.5 ms twice, 5 ms as 4 and 1, 12.345 ms as 12 and 1, then the twenty sleepers.
    expect(simulated.slice(0, 16)).toEqual(real.slice(0, 16));
    expect(simulated.slice(0, 8)).toEqual([1, 1, 1, 1, 4, 1, 12, 1]);
    expect(simulated.slice(-4)).toEqual(real.slice(-4));
  });
});
