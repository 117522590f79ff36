/** Small scripts in both worlds: the way there and back is the same, and both do what the script says. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile, NEWEST } from "../../src/kernel/profile.ts";
import { NativePort } from "../../src/native-bridge/index.ts";
import { ModelPort } from "../../src/syscalls/model-port.ts";
import type { PortResult } from "../../src/syscalls/port.ts";
import { outcome } from "../../src/trace/outcome.ts";
import { printLine } from "../../src/trace/printer.ts";
import { compareRuns } from "../../src/trace/run-diff.ts";
import type { Lowered } from "../../src/trace/source-map.ts";
import { lowered } from "../helpers/script-runs.ts";

const SCRIPTS: readonly (readonly [string, string])[] = [
  [
    "a wait that a write ends",
    `A  epoll_create1(EPOLL_CLOEXEC) = $ep
A  eventfd2(0, EFD_NONBLOCK) = $e
A  epoll_ctl($ep, EPOLL_CTL_ADD, $e, {events=EPOLLIN|EPOLLET, data={u32=$e, u64=$e}}) = 0
B  epoll_wait($ep,  <unfinished ...>
A  blocked(B) = 1
A  write($e, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
B  <... epoll_wait resumed>[{events=EPOLLIN, data={u32=$e, u64=$e}}], 8, -1) = 1
A  fdinfo($ep) = [{tfd=$e, events=EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLET, data=$e}]
A  poll_mask($e) = POLLIN|POLLOUT
B  epoll_wait($ep,  <unfinished ...>`,
  ],
  [
    "pipes, places and partial copies",
    `pipe2([3, 4], O_NONBLOCK) = 0
write(4, "abc"..., 6) = 6
read(3, "ab", 2) = 2
read(3, @bad, 1) = -1 EFAULT
read(3, @odd, 2) = 2
write(4, @ro, 1) = 1
read(3, @buf+4, 8) = 3
peek(@buf, 8) = "\\0\\0\\0\\0\\0\\0\\0\\0"
read(3, "", 1) = -1 EAGAIN
epoll_ctl(99, EPOLL_CTL_ADD, 98, @edge-4:{events=EPOLLIN}) = -1 EFAULT
poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}, {fd=77, events=0}], 3, 0) = 2 ([{fd=4, revents=POLLOUT}, {fd=77, revents=POLLNVAL}])`,
  ],
  [
    "a name bound by the second half of a call",
    `A  pipe2([$r, $w], 0) = 0
B  read($r,  <unfinished ...>
A  write($w, "a", 1) = 1
B  <... read resumed>"a", 4) = $n
A  dup2($w, $n) = 1`,
  ],
  [
    "many in a loop",
    `epoll_create1(0) = $ep
#! for i in 1..50
eventfd2(1, 0) = $e{i}
epoll_ctl($ep, EPOLL_CTL_ADD, $e{i}, {events=EPOLLIN, data={u32={i}, u64={i*4294967297}}}) = 0
#! end
epoll_wait($ep, [{events=EPOLLIN, data=4294967297}, {events=EPOLLIN, data=8589934594}, ...], 50, 0) = 50`,
  ],
];

async function check(program: Lowered, result: PortResult): Promise<void> {
  const { comparisons, end, reason, lines } = outcome(program, result);
  expect({ comparisons, end, reason }).toEqual({ comparisons: [], end: "done", reason: "" });
  // what is printed is a script that means the same
  expect(lines.map((line) => printLine(line)).join("\n")).not.toContain("$");
}

function model(program: Lowered): PortResult {
  return new ModelPort({ profile: kernelProfile(NEWEST), chooser: firstChoice }).runSync(program.program, null);
}

describe("the model", () => {
  test.each(SCRIPTS)("%s", async (_name, text) => {
    const program = lowered(text);
    await check(program, model(program));
  });
});

describe("this kernel", () => {
  let port: NativePort | null = null;

  beforeAll(async () => {
    port = await NativePort.open().catch(() => null);
  });
  afterAll(() => port?.close());

  test.each(SCRIPTS)("%s, byte by byte as the model", async (_name, text) => {
    // no agent can run here
    if (port === null) return;
    const program = lowered(text);
    const result = await port.run(program.program);
    await check(program, result);
    expect(compareRuns(program, model(program), result)).toEqual([]);
  });
});
