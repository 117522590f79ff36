/** What `run --trace` prints of an example is a recording: a replay predicts every call of it. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { epollsim } from "../helpers/built.ts";
import { jsonLines } from "../helpers/cli.ts";

const examples = join(dirname(fileURLToPath(import.meta.url)), "../../examples");
const folder = mkdtempSync(join(tmpdir(), "epollsim-traces-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** All that use one machine, small. */
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

test.each([
  [
    ["three-ways", "--clients", "10"],
    ["goroutines", "reactor", "threads"],
  ],
  [
    ["buffer-pools", "--clients", "5", "--server", "reactor"],
    ["headers-reactor-fresh", "headers-reactor-size-classes", "log-reactor-fresh", "log-reactor-size-classes"],
  ],
] as const)("%j: --traces records each machine", async ([example, ...args], names) => {
  const into = join(folder, example);
  const { code, out } = await epollsim(["run", join(examples, example), "--traces", into, ...args]);
  expect(code).toBe(0);
  expect(out).toMatch(/^clients (5|10), /m); // what it prints is there as well
  expect(readdirSync(into).sort()).toEqual(names.map((name) => `${name}.strace`));
  const replayed = await epollsim(["replay", "--json", into]);
  expect(jsonLines(replayed.out).at(-1)).toMatchObject({ diverged: 0, unsupported: 0 });
});

test("hosts: each has its own recording, and a replay of the server agrees with what came from outside", async () => {
  const into = join(folder, "swarms");
  const args = ["--traces", into, "--clients", "2", "--server", "reuseport"];
  const { code } = await epollsim(["run", join(examples, "swarms"), ...args]);
  expect(code).toBe(0);
  const hosts = ["clients", "far", "lost", "server"];
  expect(readdirSync(into).sort()).toEqual(hosts.map((host) => `reuseport-${host}.strace`));
  const replayed = await epollsim(["replay", "--json", join(into, "reuseport-server.strace")]);
  const total = jsonLines(replayed.out).at(-1) as Record<string, number>;
  expect(total).toMatchObject({ diverged: 0, unsupported: 0 });
  expect(total.assumed).toBeGreaterThan(100);
});
