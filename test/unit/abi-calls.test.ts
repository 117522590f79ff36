/** Every system call's signature: what strace prints goes through memory and comes back as it was. */
import { describe, expect, test } from "vitest";
import { Nr } from "../../src/kernel/uapi/unistd.ts";
import { signature, signatureNames } from "../../src/trace/abi/index.ts";
import type { CallLine } from "../../src/trace/ast.ts";
import { parseLine } from "../../src/trace/parser.ts";
import { printExpr } from "../../src/trace/printer.ts";
import { ABI_LINES } from "../helpers/abi-lines.ts";
import { throughMemory } from "../helpers/abi-memory.ts";

function parse(text: string): CallLine {
  return parseLine(text, 1) as CallLine;
}

test("every call that has a number has a signature, and a line here", () => {
  expect(signatureNames().sort()).toEqual(Object.keys(Nr).sort());
  expect([...new Set(ABI_LINES.map((text) => parse(text).name))].sort()).toEqual(Object.keys(Nr).sort());
  expect(signature("frobnicate")).toBeNull();
});

test.each(ABI_LINES)("%s", (text) => {
  const line = parse(text);
  const { args, words } = throughMemory(text);
  expect(args).toBe(line.args.map(printExpr).join(", "));
  if (line.result?.errnos[0] === null) expect(words).toBe(line.result.text);
});

/** Other ways to write the same, and what strace would print of it. */
const VARIANTS: readonly (readonly [string, string])[] = [
  ["epoll_ctl(3, 1, 4, {EPOLLIN, {u32=4, u64=4}}) = 0", "3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}"],
  [
    "epoll_ctl(3, 1, 4, {data=0x4, events=0x80000001}) = 0",
    "3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}",
  ],
  [
    "epoll_ctl(3, 1, 4, {events=0, data={ptr=0xffffffffffffffff}}) = 0",
    "3, EPOLL_CTL_ADD, 4, {events=0, data={u32=4294967295, u64=18446744073709551615}}",
  ],
  [
    "epoll_ctl(epfd=3, op=EPOLL_CTL_MOD, fd=4, event={events=EPOLLIN}) = 0",
    "3, EPOLL_CTL_MOD, 4, {events=EPOLLIN, data={u32=0, u64=0}}",
  ],
  ["epoll_wait(3<anon_inode:[eventpoll]>, [], 010, -1) = 0", "3, [], 8, -1"],
  ["rt_sigprocmask(SIG_BLOCK, [SIGUSR1 12 64], NULL, 8) = 0", "SIG_BLOCK, [USR1 USR2 RT_32], NULL, 8"],
  ['write(3, "ab"..., 4) = 4', '3, "ab\\0\\0", 4'],
  ["socket(AF_LOCAL, SOCK_STREAM|O_NONBLOCK, 0) = 3", "AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0"],
  ['open("x", 0x8242, 0640) = 3', '"x", O_RDWR|O_CREAT|O_TRUNC|O_LARGEFILE, 0640'],
  ["ioctl(3, 0x541b, [5]) = 0", "3, FIONREAD, [5]"],
  ["poll([{fd=3, events=POLLIN, revents=0}], 1, 0xffffffff) = 0", "[{fd=3, events=POLLIN}], 1, -1"],
];

test.each(VARIANTS)("%s is %s", (text, args) => {
  expect(throughMemory(text).args).toBe(args);
});

describe("outputs behind the result", () => {
  test("poll names what was found", () => {
    const text = "poll([{fd=3, events=POLLIN, revents=POLLIN}, {fd=4, events=POLLIN}], 2, 0) = 1";
    expect(throughMemory(text).words).toBe("[{fd=3, revents=POLLIN}]");
  });

  test("select names the sets and the time that is left", () => {
    const text = "select(6, [3 5], [4], [], {tv_sec=1, tv_usec=2}) = 3";
    expect(throughMemory(text).words).toBe("in [3 5], out [4], left {tv_sec=1, tv_usec=2}");
  });
});
