/** Every example ends by itself, finds nothing wrong, and prints the same bytes for the same seed. */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { epollsim, expectSameTwice } from "../helpers/built.ts";

const examples = join(dirname(fileURLToPath(import.meta.url)), "../../examples");

/** Options that make each small, and what its output must show. */
const small: Readonly<Record<string, { readonly args: readonly string[]; readonly shows: RegExp }>> = {
  hello: { args: [], shows: /^hello\nhello\nhello\n/ },
  "three-ways": {
    args: ["--clients", "20", "--rounds", "3"],
    shows: /^server +threads +calls.*\nthreads +21 [^\n]*\nreactor +1 /,
  },
  "edge-echo": { args: ["--clients", "5"], shows: /^clients 5, round_trips 25\n/ },
  reuseport: { args: ["--clients", "40"], shows: /worker 3 +\d+ +[\d.]+ %/ },
  chat: { args: [], shows: /2 slow readers dropped, 2 of 2 found themselves cut off/ },
  "http-proxy": {
    args: ["--clients", "10", "--rounds", "3"],
    shows: /^60 answers of 60, by 8 connections[^\n]*\nslow loris: HTTP\/1\.1 408 Request Timeout after [56] s\n/,
  },
  "buffer-pools": {
    args: ["--clients", "10", "--rounds", "20"],
    shows:
      /headers 256 B +reactor +size classes +200 +199 +99\.50 % +256 +1 +-\nheaders 256 B +goroutines +fresh +200 +0 +0\.00 % +51200 [^\n]*\nheaders 256 B +goroutines +sync\.Pool +200 +1[89]\d +9\d[\s\S]*log batches 4 KiB +reactor +fresh +6 +0 +0\.00 % +24576 /,
  },
  "connection-life": {
    args: ["--hours", "10"],
    shows: /^hour +requests[\s\S]*\n09:00 [\s\S]*leak: \d+ connections taken by report\(\), early return were held/,
  },
  swarms: {
    args: ["--clients", "2"],
    shows:
      /\nedge +2 served, 1\.\d s +2 served, [\d.]+ s +2 served, 0\.0 s +2 reset, 0\.1 s +2 served, 4\.\d s +2 lost, 12\d\.\d s +\d+ +\d+\n[\s\S]*\nchat +2 served, [\d.]+ s +2 dropped[\s\S]*\nproxy +12 +8 +2 +2 +0 +[1-9]\d* +0 +\d+\nchat +12 +\d+ +\d+ +2 +2 /,
  },
  load: {
    args: ["--rate", "5000", "--stall", "300", "--connections", "20", "--duration", "1", "--percentiles"],
    // What was due during the stall had to wait for it; what was sent then is one request for each connection.
    shows:
      /^Running 1s test @ edge \(open loop[^\n]*\n {2}20 connections\n[\s\S]*\n {3}75\.000% +1\d\d\.\d\dms +[1-9]\d?\.?\d*[mu]s\n[\s\S]*\n {2}100\.000% +30\d\.\d\dms +30\d\.\d\dms\n {2}(49|50)\d\d requests in 1\.\d\ds[\s\S]*#\[Max /,
  },
  "million-echo": {
    args: ["--connections", "1500", "--expire"],
    shows: /round_trips 3000, bytes_checked 48000, idle_timers 1500, idle_closed 1500/,
  },
};

test("there is a run for every example", () => {
  const names = readdirSync(examples)
    .filter((name) => name !== "lib" && name !== "go") // shared parts; the Go programs have tests of their own
    .map((name) => name.replace(/\.ts$/, ""));
  expect(Object.keys(small).sort()).toEqual(names.sort());
});

describe.each(Object.entries(small))("%s", (name, { args, shows }) => {
  test("ends well, and a seed repeats it", async () => {
    await expectSameTwice(["run", join(examples, name), ...args, "--seed", "5"], shows);
  });
});

test("edge-echo --bug: the clients hang, and the report says where", async () => {
  const { code, err } = await epollsim(["run", join(examples, "edge-echo"), "--bug", "--clients", "3"]);
  expect(code).toBe(1);
  expect(err).toMatch(/asleep for ever: nothing will wake 4 of the threads\n[\s\S]*client 2: in read\(\)/);
});
