/** What `run --trace` prints of an example is a recording: a replay predicts every call of it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { epollsim } from "../helpers/built.ts";
import { jsonLines } from "../helpers/cli.ts";

const examples = join(dirname(fileURLToPath(import.meta.url)), "../../examples");
const folder = mkdtempSync(join(tmpdir(), "epollsim-traces-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** All that use one machine, small. buffer-pools compares several machines, swarms is about hosts and links between them. */
const runs: readonly (readonly string[])[] = [
  ["hello"],
  ["edge-echo", "--clients", "5"],
  ["reuseport", "--clients", "40"],
  ["reuseport", "--clients", "40", "--workers", "7", "--seed", "3"],
  ["chat", "--members", "8", "--lines", "40"],
  ["chat", "--members", "6", "--lines", "20", "--trigger", "level"],
  ["chat", "--members", "6", "--lines", "20", "--trigger", "oneshot"],
  ["http-proxy", "--clients", "10", "--rounds", "3"],
  ["connection-life", "--hours", "4"],
  ["three-ways", "--variant", "threads", "--clients", "20"],
  ["three-ways", "--variant", "reactor", "--clients", "20"],
  ["three-ways", "--variant", "goroutines", "--clients", "20"],
  ["million-echo", "--connections", "200", "--expire"],
  ["million-echo", "--connections", "200", "--variant", "goroutines"],
  ["go/proxy", "--waves", "2", "--clients", "5"],
  ["go/deadlines", "--gomaxprocs", "4", "--go", "newest"],
  ["go/halfclose", "--go", "newest"],
  ["go/httpbasic", "--gomaxprocs", "3"],
  ["go/echoswarm", "--conns", "30", "--gomaxprocs", "4"],
  ["go/pingpong", "--rounds", "20", "--net", "unix", "--go", "newest"],
  ["go/timersleep", "--gomaxprocs", "2"],
];

test.each(runs.map((args) => [args.join(" "), args] as const))("%s", async (_name, [example = "", ...args]) => {
  const { out, code } = await epollsim(["run", join(examples, example), "--trace", ...args]);
  expect(code).toBe(0);
  expect(out).toMatch(/^#! order exact\n\d+ /);
  const file = join(folder, "trace.strace");
  writeFileSync(file, out, "latin1");
  const replayed = await epollsim(["replay", "--json", file]);
  expect(jsonLines(replayed.out).at(-1)).toMatchObject({ diverged: 0, unsupported: 0 });
  expect(replayed.code).toBe(0);
});
