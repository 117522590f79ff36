/** From results to the trace of what happened, and to what was not as expected. The results are made by hand. */
import { describe, expect, test } from "vitest";
import { outcome } from "../../src/trace/outcome.ts";
import { printLine } from "../../src/trace/printer.ts";
import { type Answer, lowered, resultOf, words } from "../helpers/script-runs.ts";

type End = Parameters<typeof resultOf>[2];

function run(text: string, answers: readonly Answer[], end: End = "done") {
  const program = lowered(text);
  const result = outcome(program, resultOf(program.program, answers, end));
  return {
    lines: result.lines.map((line) => printLine(line)),
    wrong: result.comparisons.map(({ line, field, expected, actual }) => `${line} ${field}: ${expected} <> ${actual}`),
    checked: result.checked,
  };
}

const event = (events: number, data: number): Uint8Array => words(events, data, 0);

describe("results", () => {
  test.each<readonly [string, number, boolean]>([
    ["3", 3, true],
    ["0x3", 3, true],
    ["4", 3, false],
    ["-1 EBADF", -9, true],
    ["-1 EBADF (any words)", -9, true],
    ["-1 EINVAL", -9, false],
    ["0", -9, false],
    ["{0 | -1 EBADF}", -9, true],
    ["{0 | 1}", 2, false],
    ["?", 77, true],
    ["$name", 5, true],
    ["$name", -9, false],
    ["-1", -9, true],
  ])("= %s against %d: %s", (expected, ret, same) => {
    expect(run(`close(3) = ${expected}`, [ret]).wrong.length === 0).toBe(same);
  });

  test("are printed as strace prints them", () => {
    const { lines, wrong } = run(
      "A  close(3) = 0\nA  fcntl(3, F_GETFL) = 0x2\nA  fcntl(3, F_GETFD) = 0",
      [-9, 0x802, 1],
    );
    expect(lines).toEqual([
      "A  close(3) = -1 EBADF (Bad file descriptor)",
      "A  fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)",
      "A  fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)",
    ]);
    expect(wrong).toEqual(["1 result: 0 <> -1 EBADF", "2 result: 0x2 <> 0x802", "3 result: 0 <> 0x1"]);
  });
});

describe("outputs", () => {
  const wait = (expected: string): string => `epoll_wait(3, ${expected}, 2, 0) = 1`;
  const answers: readonly Answer[] = [1, Uint8Array.from([...event(0x80000005 | 0, 4), ...words(-1, -1, -1)])];

  test.each<readonly [string, boolean]>([
    ["[{events=EPOLLOUT|EPOLLET|EPOLLIN, data={u32=4, u64=4}}]", true],
    ["[{data=0x4, events=0x80000005}]", true],
    ["[{EPOLLIN|EPOLLOUT|EPOLLET, {u32=4, u64=4}}]", true],
    ["[{data={u64=4}}]", true],
    ["[...]", true],
    ["?", true],
    ["NULL", true],
    ["[{events=EPOLLIN, ...}]", false],
    ["[{events=0x80000005, data={u32=5, u64=5}}]", false],
    ["[]", false],
    ["[{data=4}, {data=5}]", false],
  ])("%s: %s", (expected, same) => {
    expect(run(wait(expected), expected === "NULL" ? [1] : answers).wrong.length === 0).toBe(same);
  });

  test("are the trace's", () => {
    const { lines, wrong } = run(wait("[]"), answers);
    expect(lines).toEqual(["epoll_wait(3, [{events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=4, u64=4}}], 2, 0) = 1"]);
    expect(wrong).toEqual(["1 argument 2 (events): [] <> [{events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=4, u64=4}}]"]);
  });

  test("strings may stop early", () => {
    const bytes = Uint8Array.from([0x61, 0x62, 0x63, 0xaa]);
    expect(run('read(3, "ab"..., 4) = 3', [3, bytes]).wrong).toEqual([]);
    expect(run('read(3, "ab", 4) = 3', [3, bytes])).toMatchObject({ wrong: ['1 argument 2 (buf): "ab" <> "abc"'] });
    expect(run('read(3, "abd"..., 4) = 3', [3, bytes]).wrong).toHaveLength(1);
  });

  test("of a failed call are its address; content at a place is still compared", () => {
    const failed = run('read(3, "", 4) = -1 EFAULT', [-14, words(0)]);
    expect(failed).toEqual({ lines: ["read(3, 0x200004000, 4) = -1 EFAULT (Bad address)"], wrong: [], checked: 1 });
    const partial = run('read(3, @edge-2:"xy", 4) = -1 EFAULT', [-14, Uint8Array.from([0x78, 0x7a])]);
    expect(partial.lines).toEqual(["read(3, @edge-2, 4) = -1 EFAULT (Bad address)"]);
    expect(partial.wrong).toEqual(['1 argument 2 (buf): "xy" <> "xz"']);
  });

  test("lengths that the call changes", () => {
    const name = Uint8Array.from([1, 0, 0x2f, 0x61, 0, ...new Uint8Array(105)]);
    const text = 'getsockname(3, {sa_family=AF_UNIX, sun_path="/a"}, [110 => 5]) = 0';
    expect(run(text, [0, name, words(5)])).toEqual({ lines: [text], wrong: [], checked: 3 });
    expect(run(text, [0, name, words(4)]).wrong).toEqual(["1 argument 3 (addrlen): [110 => 5] <> [110 => 4]"]);
  });

  test("behind the result: poll's, select's; the time that is left is free", () => {
    const poll = "poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN|POLLHUP}])";
    expect(run(poll, [1, Uint8Array.from([...words(3), 1, 0, 0x11, 0])])).toMatchObject({ lines: [poll], wrong: [] });
    expect(run(poll, [1, Uint8Array.from([...words(3), 1, 0, 1, 0])]).wrong).toEqual([
      "1 output: [{fd=3, revents=POLLIN|POLLHUP}] <> [{fd=3, revents=POLLIN}]",
    ]);
    const select = "select(4, [3], NULL, NULL, {tv_sec=1, tv_usec=0}) = 1 (in [3], left {tv_sec=1, tv_usec=0})";
    const left = words(0, 0, 999, 0);
    expect(run(select, [1, words(8, 0), left])).toMatchObject({
      lines: ["select(4, [3], NULL, NULL, {tv_sec=1, tv_usec=0}) = 1 (in [3], left {tv_sec=0, tv_usec=999})"],
      wrong: [],
    });
  });
});

describe("names", () => {
  test("stand for what they were bound to, at their time", () => {
    const text = [
      "epoll_create1(0) = $e",
      "pipe2([$r, $w], 0) = 0",
      "close($r) = 0",
      "epoll_create1(0) = $e",
      "close($e) = 0",
      "epoll_wait($e, [{events=EPOLLIN, data={u32=$w, u64=$w}}], 1, 0) = 1",
    ].join("\n");
    const { lines, wrong } = run(text, [3, 0, words(4, 5), 0, 9, 0, 1, event(1, 6)]);
    expect(lines).toEqual([
      "epoll_create1(0) = 3",
      "pipe2([4, 5], 0) = 0",
      "close(4) = 0",
      "epoll_create1(0) = 9",
      "close(9) = 0",
      "epoll_wait(9, [{events=EPOLLIN, data={u32=6, u64=6}}], 1, 0) = 1",
    ]);
    expect(wrong).toEqual([
      "6 argument 2 (events): [{events=EPOLLIN, data={u32=$w, u64=$w}}] <> [{events=EPOLLIN, data={u32=6, u64=6}}]",
    ]);
  });
});

describe("calls of several tasks", () => {
  const text = [
    "# a comment stays",
    "A  epoll_create1(0) = 3",
    "B  epoll_wait(3,  <unfinished ...>",
    "A  close(9) = -1 EBADF",
    "B  <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 2, -1) = 1",
    "C  epoll_wait(3, [], 2, -1) = ? <blocked>",
  ].join("\n");

  test("come in halves again", () => {
    const { lines, wrong, checked } = run(text, [
      3,
      null,
      -9,
      1,
      Uint8Array.from([...event(1, 4), ...event(0, 0)]),
      null,
      null,
    ]);
    expect(wrong).toEqual([]);
    expect(checked).toBe(5);
    expect(lines).toEqual([
      "# a comment stays",
      "A  epoll_create1(0) = 3",
      "B  epoll_wait(3 <unfinished ...>",
      "A  close(9) = -1 EBADF (Bad file descriptor)",
      "B  <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 2, -1) = 1",
      "C  epoll_wait(3, [], 2, -1) = ? <blocked>",
    ]);
  });

  test("a call that should have slept to the end", () => {
    const { lines, wrong } = run(text, [3, null, -9, 1, Uint8Array.from([...event(1, 4), ...event(0, 0)]), 0, 0]);
    expect(wrong).toEqual(["6 blocked: asleep <> 0"]);
    expect(lines.at(-1)).toBe("C  epoll_wait(3, 0x200004000, 2, -1) = 0");
  });

  test("a call whose task ends inside", () => {
    const script = "A  close(3) = 0\nB  read(3,  <unfinished ...>)  = ?\nA  close(4) = 0";
    expect(run(script, [0, null, 0, 0])).toEqual({
      lines: ["A  close(3) = 0", "B  read(3 <unfinished ...>) = ?", "A  close(4) = 0"],
      wrong: [],
      checked: 3,
    });
    const asleep = run(script, [0, null, 0, null]);
    expect(asleep.lines[1]).toBe("B  read(3 <unfinished ...>");
    expect(asleep.wrong).toEqual(["2 blocked: its task has ended <> asleep"]);
  });

  test("a call that should have returned, and a run that ends there", () => {
    const { lines, wrong } = run(text, [3, null, -9], "timeout");
    expect(lines.slice(-2)).toEqual([
      "B  epoll_wait(3 <unfinished ...>",
      "A  close(9) = -1 EBADF (Bad file descriptor)",
    ]);
    expect(wrong).toEqual(["5 blocked: 1 <> asleep"]);
    expect(run("A  close(3) = 0\nA  close(4) = 0", [0], "timeout")).toEqual({
      lines: ["A  close(3) = 0", "A  close(4) = ? <blocked>"],
      wrong: ["2 blocked: 0 <> asleep"],
      checked: 2,
    });
    expect(run("A  close(3) = 0\nA  close(4) = 0", [0], "unsupported")).toEqual({
      lines: ["A  close(3) = 0"],
      wrong: [],
      checked: 1,
    });
  });
});

describe("queries", () => {
  const text = (info: string): Uint8Array => Uint8Array.from(info, (character) => character.charCodeAt(0));
  const items =
    "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t77\n" +
    "tfd:        5 events:       19 data:                5  pos:0 ino:4d sdev:e\n" +
    "tfd:        4 events: 80000019 data: ffffffffffffffff  pos:0 ino:4d sdev:e\n";

  test.each<readonly [string, boolean]>([
    ["[{tfd=4, events=0x80000019, data=0xffffffffffffffff}, {tfd=5, events=0x19, data=0x5}]", true],
    ["[{tfd=4, events=EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLET}, ...]", true],
    ["[{tfd=4, events=0x80000019}]", false],
    ["[{tfd=4, events=0x80000019}, {tfd=4, events=0x80000019}]", false],
    ["[]", false],
    ['"pos:\\t0\\nflags:\\t02\\nmnt_id:\\t1\\nino:\\t2\\ntfd:        5 events:       19"...', true],
    ['"pos:\\t1"...', false],
    ["-1 EBADF", false],
  ])("fdinfo(3) = %s: %s", (expected, same) => {
    expect(run(`fdinfo(3) = ${expected}`, [text(items)]).wrong.length === 0).toBe(same);
  });

  test("are printed", () => {
    const script =
      'A  fdinfo(3) = ?\nA  poll_mask(4) = POLLOUT|POLLIN\nA  blocked(A) = 1\nA  peek(@buf, 2) = "ab"\nA  fdinfo(9) = ?\nA  thaw(@frozen) = 0';
    const { lines, wrong } = run(script, [text(items), 5, 0, text("ab"), { bytes: null }, 0]);
    expect(lines).toEqual([
      "A  fdinfo(3) = [{tfd=5, events=0x19, data=0x5}, {tfd=4, events=0x80000019, data=0xffffffffffffffff}]",
      "A  poll_mask(4) = POLLIN|POLLOUT",
      "A  blocked(A) = 0",
      'A  peek(@buf, 2) = "ab"',
      "A  fdinfo(9) = -1 EBADF (Bad file descriptor)",
      "A  thaw(@frozen) = 0",
    ]);
    expect(wrong).toEqual(["3 result: 1 <> 0"]);
  });
});

test("a printed trace is a script again, and agrees with its own run", () => {
  const text =
    'A  pipe2([5, 6], O_NONBLOCK) = 0\nA  write(6, "ab", 2) = 2\nA  read(5, "ab", 8) = 2\nA  read(5, 0x200004000, 8) = -1 EAGAIN';
  const answers: readonly Answer[] = [0, words(5, 6), 2, 2, Uint8Array.from([0x61, 0x62, 1, 1, 1, 1, 1, 1]), -11];
  const first = run(text, answers);
  expect(first.wrong).toEqual([]);
  expect(run(first.lines.join("\n"), answers)).toMatchObject({ lines: first.lines, wrong: [] });
});
