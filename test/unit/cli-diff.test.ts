import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { notShownBeside, scriptsBelow } from "../../src/cli/files.ts";
import { sectionOf, sectionTitles } from "../../src/cli/sections.ts";
import { defaultAgentPath } from "../../src/native-bridge/index.ts";
import { parseScript } from "../../src/trace/script.ts";
import { cli, jsonLines } from "../helpers/cli.ts";

const folder = mkdtempSync(join(tmpdir(), "epollsim-diff-"));
afterAll(() => rmSync(folder, { recursive: true }));
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const agent = existsSync(defaultAgentPath());

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = file(
  "good.strace",
  `#! id E-001
epoll_create(0) = -1 EINVAL
epoll_create(1) = 3
`,
);
file("skipped.strace", "#! id E-100\n#! kernel < 4.5\nclose(9) = -1 EBADF\n");
file("NOT-SHOWN-x.tsv", "# row, reason\nE-203\tneeds io_uring\nE-001\tin part: one size only\n");

test("reasons count for the scripts beside them and in the folders below", () => {
  expect([...notShownBeside([good])]).toEqual([...notShownBeside([join(folder, "below", "x.strace")])]);
  expect(notShownBeside([good]).get("E-203")).toBe("needs io_uring");
});

test("without an agent: exit 2, and the remedy", async () => {
  const { code, out, err } = await cli(["diff", "--target", "exec:false", good]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^error: no agent: .*\nhint: .*epollsim run/);
});

describe.skipIf(!agent)("diff on this kernel", () => {
  test("--json: an object a script, then the sums", async () => {
    const { code, out } = await cli(["diff", "--json", folder]);
    const objects = jsonLines(out);
    expect(code).toBe(0);
    expect(objects).toHaveLength(3);
    expect(objects[0]).toEqual({
      file: good,
      ids: ["E-001"],
      calls: 2,
      agreed: 2,
      diverged: 0,
      skipped: null,
      divergences: [],
      unsteady: [],
    });
    expect(objects[1]).toMatchObject({ calls: 0, skipped: "needs kernel < 4.5" });
    expect(objects[2]).toEqual({
      scripts: 2,
      calls: 2,
      agreed: 2,
      diverged: 0,
      rows: { "E-001": "agreed", "E-100": "not-shown", "E-203": "not-shown" },
      counterexamples: [],
      not_shown: { "E-203": "needs io_uring", "E-001": "in part: one size only" },
    });
  });

  test("text: a table, what was left out and why, a closing line", async () => {
    const { out } = await cli(["diff", folder]);
    expect(out).toMatch(/^script +rows +calls +result\n/);
    expect(out).toMatch(/good\.strace +E-001 +2 +agreed\n/);
    expect(out).toContain("skipped.strace: needs kernel < 4.5");
    expect(out).toContain("E-203: needs io_uring");
    expect(out).toMatch(/\nscripts 2, calls 2, agreed 2, diverged 0\n$/);
  });

  test("a script that is wrong about both worlds: exit 1, both answers", async () => {
    const wrong = join(mkdtempSync(join(folder, "w")), "wrong.strace");
    writeFileSync(wrong, "epoll_create(1) = 5\n");
    const { code, out } = await cli(["diff", wrong]);
    expect(code).toBe(1);
    expect(out).toContain(`${wrong}:1: epoll_create, result\n    script  5\n    model   3\n    kernel  3\n`);
  });

  test("one bad script is reported, the others run, exit 2", async () => {
    const bad = join(mkdtempSync(join(folder, "b")), "bad.strace");
    writeFileSync(bad, "epoll_create(1 = 3\n");
    const { code, out, err } = await cli(["diff", bad, good]);
    expect(code).toBe(2);
    expect(err).toContain(`${bad}:1:`);
    expect(out).toMatch(/scripts 1, calls 2, agreed 2, diverged 0\n$/);
  });

  test("--generate against an older model saves what differs", async () => {
    const save = join(folder, "found");
    const { code, out } = await cli([
      "diff",
      "--generate",
      "60",
      "--seed",
      "7",
      "--kernel",
      "5.10",
      "--save",
      save,
      "--json",
    ]);
    const sums = jsonLines(out).at(-1) as { scripts: number; diverged: number; counterexamples: string[] };
    expect(code).toBe(1);
    expect(sums.scripts).toBe(60);
    expect(sums.diverged).toBeGreaterThan(0);
    expect(sums.counterexamples.map((name) => relative(save, name)).sort()).toEqual(readdirSync(save).sort());
    const replayed = await cli(["diff", ...sums.counterexamples]);
    expect(replayed.code, replayed.out).toBe(0);
  });

  test("Ctrl-C prints the sums so far, and how to go on; exit 130", async () => {
    const args = ["diff", "--generate", "100000", "--seed", "7", "--json", "--save", folder];
    const { code, out, err } = await cli(args, { onListen: (interrupt) => setTimeout(interrupt, 300) });
    expect(code).toBe(130);
    const { scripts } = jsonLines(out).at(-1) as { scripts: number };
    expect(scripts).toBeGreaterThan(0);
    expect(err).toBe(`stopped; go on with: --generate ${100000 - scripts} --from ${scripts} --seed 7\n`);
  });

  test("check: a table by section and the sums", async () => {
    const own = mkdtempSync(join(folder, "c"));
    writeFileSync(join(own, "good.strace"), readFileSync(good));
    writeFileSync(join(own, "wrong.strace"), "epoll_create(1) = 5\n");
    const { code, out } = await cli(["check", own]);
    expect(code).toBe(1);
    expect(out).toMatch(/^E creation, the descriptor +1 +1 +2 +2 +0$/m);
    expect(out).toMatch(/\nscripts \d+, calls \d+, agreed \d+, diverged 1\n$/);
  });
});

describe("sections", () => {
  test.each([
    ["E-001", "E creation, the descriptor"],
    ["E-020", "E creation, the descriptor"],
    ["E-021", "E epoll_ctl: order of checks"],
    ["E-099", "E ready list and delivery"],
    ["E-203", "E quota, busy poll"],
    ["P-18", "P pipes and FIFOs"],
    [undefined, "without a row"],
    ["X-1", "without a row"],
  ])("%s", (id, section) => {
    expect(sectionOf(id)).toBe(section);
    expect(sectionTitles).toContain(section);
  });
});

test("docs/behaviours.md names every script", () => {
  const text = readFileSync(join(root, "docs/behaviours.md"), "utf8");
  const traces = join(root, "traces");
  const missing = scriptsBelow(traces)
    .map((path) => relative(root, path))
    .filter((path) => !path.startsWith("traces/captured/") && !text.includes(`(../${path})`))
    .filter((path) => !parseScript(readFileSync(join(root, path), "utf8"), path).litmus);
  expect(missing, "run: npx epollsim behaviours --write docs/behaviours.md").toEqual([]);
});
