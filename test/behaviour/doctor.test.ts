/** Planted misuse under traces/doctor: each script is found by the id in its name, and by no other. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import Ajv04 from "ajv-draft-04";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { kinds } from "../../src/analysis/doctor/finding.ts";
import { doctorJsonSchema } from "../../src/analysis/doctor/schema.ts";
import { cli, jsonLines } from "../helpers/cli.ts";

interface Found {
  readonly id: string;
  readonly severity: string;
  readonly evidence: readonly { readonly line: number }[];
}

const FOLDER = "traces/doctor/";
const planted = readdirSync(FOLDER).sort();
const PUBLISHED = new URL("../../docs/schema/doctor.schema.json", import.meta.url);
const SARIF = new URL("../fixtures/sarif-schema-2.1.0.json", import.meta.url);
/** The ids of severity error, as their scripts show them. */
const ERRORS = new Set("D-001 D-003 D-004 D-005 D-007 D-008 D-009 D-010 D-011 D-012 D-013 D-014 D-021".split(" "));

async function findings(...args: string[]): Promise<{ code: number; found: Found[] }> {
  const ran = await cli(["doctor", "--json", ...args]);
  expect(ran.err).toBe("");
  return { code: ran.code, found: jsonLines(ran.out).flatMap((line) => line.findings as Found[]) };
}

describe("a planted misuse is found by its id, with lines that prove it", () => {
  for (const name of planted) {
    test(name, async () => {
      const { code, found } = await findings(FOLDER + name);
      const id = name.slice(0, 5);
      expect([...new Set(found.map((finding) => finding.id))]).toEqual([id]);
      expect(code).toBe(ERRORS.has(id) ? 1 : 0);
      expect(found.some(({ severity }) => severity === "error")).toBe(ERRORS.has(id));
      const nrLines = readFileSync(FOLDER + name, "utf8").split("\n").length;
      for (const { evidence } of found) {
        expect(new Set(evidence.map(({ line }) => line)).size).toBeGreaterThanOrEqual(1);
        for (const { line } of evidence) expect(line > 0 && line < nrLines).toBe(true);
      }
    });
  }

  test("every id has a script", () => {
    const shown = new Set(planted.map((name) => name.slice(0, 5)));
    expect(Object.values(kinds).map(({ id }) => id)).toEqual([...shown]);
  });

  test("every id has an entry in docs/doctor.md", () => {
    const docs = readFileSync("docs/doctor.md", "utf8");
    for (const { id, name } of Object.values(kinds)) expect(docs).toContain(`## ${id} ${name}`);
  });
});

test("mended programs, and those that only look like misuse, have no finding", async () => {
  expect(await findings("traces/doctor-mended")).toEqual({ code: 0, found: [] });
});

test("well-behaved scripts have no error: a drained edge, a re-armed one-shot, a close", async () => {
  for (const name of [
    "mod-rearms-oneshot",
    "doubled-two-registrations",
    "hang-up-by-close",
    "missed-drained-before-the-scan",
  ]) {
    expect((await findings(`traces/explain/${name}.strace`)).code).toBe(0);
  }
});

/** What the doctor finds in a recording that is written down here. */
async function inRecording(lines: readonly string[]): Promise<Found[]> {
  const folder = mkdtempSync(join(tmpdir(), "epollsim-"));
  try {
    const trace = join(folder, "some.strace");
    writeFileSync(trace, `${lines.join("\n")}\n`);
    return (await findings(trace)).found;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("a spin that is over", () => {
  const row = (fromMs: number, lastMs: number): string[] =>
    Array.from({ length: 20 }, (_, index) => {
      const ms = fromMs + (index * lastMs) / 19;
      return `7 ${(1 + ms / 1000).toFixed(6)} epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, -1) = 1 <0.000001>`;
    });
  const mod = (ms: number, mask: string): string =>
    `7 ${(1 + ms / 1000).toFixed(6)} epoll_ctl(3, EPOLL_CTL_MOD, 4, {events=${mask}, data={u32=4, u64=4}}) = 0 <0.000001>`;
  const begin = [
    "7 1.000000 epoll_create1(0) = 3 <0.000001>",
    "7 1.000010 socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [4, 5]) = 0 <0.000001>",
    "7 1.000020 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, data={u32=4, u64=4}}) = 0 <0.000001>",
  ];

  const severity = async (lines: readonly string[]): Promise<string[]> =>
    (await inRecording([...begin, ...lines])).filter(({ id }) => id === "D-010").map((finding) => finding.severity);

  test("is a warning when it was short", async () => {
    expect(await severity([...row(1, 60), mod(62, "EPOLLIN")])).toEqual(["warning"]);
  });

  test("is an error when several took long together", async () => {
    const twice = [...row(1, 60), mod(62, "EPOLLIN"), mod(63, "EPOLLOUT"), ...row(64, 60), mod(130, "EPOLLIN")];
    expect(await severity(twice)).toEqual(["error"]);
  });

  test("is an error when nobody ended it", async () => {
    expect(await severity(row(1, 60))).toEqual(["error"]);
  });
});

test("a registration made through a ring is its process's: another one may close its own number", async () => {
  const child = "child_tidptr=0x7f00";
  const found = await inRecording([
    "7 1.0 epoll_create1(0) = 3<anon_inode:[eventpoll]> <0.000001>",
    "7 1.1 socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [4, 5]) = 0 <0.000001>",
    `7 1.2 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, ${child}) = 8 <0.000001>`,
    "7 1.3 io_uring_setup(4, {flags=0, sq_entries=4, cq_entries=8}) = 6<anon_inode:[io_uring]> <0.000001>",
    "7 1.4 io_uring_enter(6<anon_inode:[io_uring]>, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) = 1 <0.000001>",
    "8 1.5 epoll_wait(3<anon_inode:[eventpoll]>, [], 8, 0) = 0 <0.000001>",
    "7 1.6 epoll_wait(3<anon_inode:[eventpoll]>,  <unfinished ...>",
    '8 1.7 write(5, "x", 1) = 1 <0.000001>',
    "7 1.8 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1 <0.2>",
    "8 1.9 close(4) = 0 <0.000001>",
    '7 2.0 read(4, "x", 8) = 1 <0.000001>',
    "7 2.1 epoll_wait(3<anon_inode:[eventpoll]>, [], 8, 0) = 0 <0.000001>",
    "7 2.2 epoll_wait(3<anon_inode:[eventpoll]>, [], 8, 0) = 0 <0.000001>",
  ]);
  expect(found).toEqual([]);
});

test("a short trace is called inconclusive, with the command to record more", async () => {
  const { out } = await cli(["doctor", "traces/explain/missed-nobody-wrote.strace"]);
  expect(out).toContain("not conclusive: only 1 wait for events");
  expect(out).toContain("epollsim record -- PROGRAM");
});

test("--json follows the published schema", async () => {
  expect(JSON.parse(readFileSync(PUBLISHED, "utf8"))).toEqual(JSON.parse(doctorJsonSchema()));
  const validate = new Ajv2020().compile(JSON.parse(doctorJsonSchema()));
  const { out } = await cli(["doctor", "--json", FOLDER]);
  for (const line of jsonLines(out)) {
    validate(line);
    expect(validate.errors).toBe(null);
  }
  expect(validate({ type: "diagnosis" })).toBe(false);
});

test("--format sarif is valid SARIF 2.1.0", async () => {
  const ajv = new Ajv04.default({ strict: false });
  addFormats.default(ajv as never);
  const validate = ajv.compile(JSON.parse(readFileSync(SARIF, "utf8")));
  const { out, code } = await cli(["doctor", "--format", "sarif", FOLDER]);
  const log = JSON.parse(out);
  validate(log);
  expect(validate.errors).toBe(null);
  expect(code).toBe(1);
  const [run] = log.runs;
  expect(run.tool.driver.rules.length).toBe(planted.length);
  expect(run.results.find(({ ruleId }: { ruleId: string }) => ruleId === "D-001")).toMatchObject({
    level: "error",
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: "traces/doctor/D-001-edge-stalled.strace" },
          region: { startLine: 5 },
        },
      },
    ],
  });
  log.runs[0].results[0].level = "fatal";
  expect(validate(log)).toBe(false);
});

test("--format html is one file that loads and executes nothing, whatever a trace holds", async () => {
  const { out } = await cli(["doctor", "--format", "html", FOLDER]);
  expect(out).toContain("<b>error D-001</b>");
  expect(out).toContain("<td>7</td><td>read(4, &quot;hell&quot;, 4) = 4</td>");
  expect(out).not.toMatch(/<script|<link|<img|src=|https?:/);
});

const canTrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
test.skipIf(!canTrace)("behind -- stands a command, which is recorded first", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epollsim-"));
  try {
    const out = join(folder, "true.strace.gz");
    const ran = await cli(["doctor", "-o", out, "--", "/bin/true"]);
    expect(ran.out).toContain("not conclusive: no wait for events in it");
    expect(ran.err).toContain(`lines in ${out}; the program ended with 0`);
    expect((await cli(["doctor", "-o", out, "--", "/bin/true"])).err).toContain("is there already");
    expect((await cli(["doctor", out])).code).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("bad usage", async () => {
  expect((await cli(["doctor", "--json", "--format", "html", FOLDER])).code).toBe(2);
  expect((await cli(["doctor", "no-such-file"])).code).toBe(2);
  expect((await cli(["doctor", "--format", "xml", FOLDER])).code).toBe(2);
});
