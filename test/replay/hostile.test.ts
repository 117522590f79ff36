/**
 * What a line claims must cost nothing: a replay's work is bounded by what the recording shows and by what the model holds.
 *
 * Counted are the bytes that are copied, filled or set up, not the time.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FdTable } from "../../src/kernel/fs/fdtable.ts";
import { OutsideHost } from "../../src/replay/outside-host.ts";
import { type Replayed, replayText } from "../helpers/replay-text.ts";

const LINES = 500;
/** For each line: its own text several times over, and room for what a socket or a pipe really takes. */
const BYTES_PER_LINE = 128 * 1024;

const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
let touched = 0;

beforeEach(() => {
  touched = 0;
  const { set, fill } = typedArrays;
  vi.spyOn(typedArrays, "set").mockImplementation(function (
    this: Uint8Array,
    from: ArrayLike<number>,
    offset?: number,
  ) {
    touched += from.length;
    set.call(this, from, offset);
  });
  vi.spyOn(typedArrays, "fill").mockImplementation(function (
    this: Uint8Array,
    value: number,
    from = 0,
    to = this.length,
  ) {
    touched += Math.max(0, to - from);
    return fill.call(this, value, from, to);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

function replayMany(setUp: readonly string[], line: string): Replayed {
  return replayText([...setUp, ...new Array<string>(LINES).fill(line)].join("\n"));
}

const PAIR = ["7 socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [3, 4]) = 0"];
const EPOLL = [
  "7 epoll_create1(0) = 3",
  "7 eventfd2(1, EFD_NONBLOCK) = 4",
  "7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0",
];
const WRITE = '7 write(3, "x"..., 4294967295) = 4294967295';
const CLAIM = '{iov_base="x"..., iov_len=4294967295}';

const PEER = '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}';
const CLIENT = ["7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4", `7 connect(4, ${PEER}, 16) = 0`];
const UDP = [
  "7 socket(AF_INET, SOCK_DGRAM, 0) = 3",
  '7 bind(3, {sa_family=AF_INET, sin_port=htons(9090), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
];

describe("claims cost what they show", () => {
  const families: readonly (readonly [string, readonly string[], string])[] = [
    ["writes of 4 GiB to a socket", PAIR, WRITE],
    ["writes of 4 GiB to a pipe", ["7 pipe2([4, 3], O_NONBLOCK) = 0"], WRITE],
    ["writes of 4 GiB to nothing", [], WRITE],
    ["vectors of 4 GiB", PAIR, `7 writev(3, [${CLAIM}, ${CLAIM}, ${CLAIM}], 3) = 4294967295`],
    ["reads of 4 GiB", PAIR, '7 read(3, "x"..., 4294967295) = 4294967295'],
    ["waits for 2^31 events", EPOLL, "7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 2147483647, 0) = 1"],
    ["waits that report 2^31 events", EPOLL, "7 epoll_wait(3, [], 2147483647, 0) = 2147483647"],
    ["2^32 datagrams at once", PAIR, `7 sendmmsg(3, [{msg_hdr={msg_iov=[${CLAIM}]}}], 4294967295, 0) = 1`],
    ["reads of 4 GiB from outside", CLIENT, '7 read(4, "x"..., 4294967295) = 4294967295'],
    ["messages of 4 GiB from outside", CLIENT, `7 recvmsg(4, {msg_iov=[${CLAIM}], msg_iovlen=1}, 0) = 4294967295`],
    ["datagrams of 4 GiB from outside", UDP, `7 recvfrom(3, "x"..., 4294967295, 0, ${PEER}, [16]) = 4294967295`],
  ];
  test.each(families)("%s", (_what, setUp, line) => {
    const { calls } = replayMany(setUp, line);
    expect(calls).toBe(setUp.length + LINES);
    // once for all: the piece of memory that stands for everything that was cut off
    expect(touched).toBeLessThan(16 * 1024 * 1024 + LINES * BYTES_PER_LINE);
  });
});

test("sockets whose send buffers were made huge hold no more than the machine", () => {
  const { calls, unsupported_calls } = replayMany(
    [...PAIR, "7 setsockopt(3, SOL_SOCKET, SO_SNDBUFFORCE, [2147483647], 4) = 0"],
    WRITE,
  );
  expect(calls).toBe(LINES + 2);
  expect(unsupported_calls.write).toBeGreaterThan(LINES - 64);
});

test("an answer about a descriptor that nobody can predict is no more than wrong", () => {
  const { diverged } = replayText(`
7 eventfd2(0, 0) = 3
7 poll([{fd=3, events=POLLIN}], 1, 0) = 1 ([{fd=0, revents=POLLIN}])
`);
  expect(diverged).toBe(1);
});

test("a file of any length goes out to whoever reads it", () => {
  const send = "7 sendfile(4, 5</x>, NULL, 2147479552) = 2147479552";
  const { diverged } = replayText(
    [...CLIENT, '7 openat(AT_FDCWD, "/x", O_RDONLY) = 5</x>', send, send, send].join("\n"),
  );
  expect(diverged).toBe(0);
  expect(touched).toBeLessThan(256 * 1024 * 1024);
});

describe("work does not grow with the square", () => {
  test("of a ready list whose items all have one datum", () => {
    const COUNT = 5000;
    const dups = Array.from({ length: COUNT }, (_, n) => `7 dup(4) = ${n + 5}`);
    const adds = Array.from(
      { length: COUNT },
      (_, n) => `7 epoll_ctl(3, EPOLL_CTL_ADD, ${n + 5}, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0`,
    );
    const wait = "7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 1, 0) = 1";
    let asked = 0;
    const { has } = Set.prototype;
    vi.spyOn(Set.prototype, "has").mockImplementation(function (this: Set<unknown>, value: unknown) {
      asked += 1;
      return has.call(this, value);
    });
    const { agreed } = replayText([EPOLL[0], EPOLL[1], ...dups, ...adds, wait, wait, wait].join("\n"));
    expect(agreed).toBe(2 * COUNT + 5);
    expect(asked).toBeLessThan(100 * COUNT);
  });

  test("of servers outside that are connected to", () => {
    const COUNT = 400;
    let accepts = 0;
    const { acceptAll } = OutsideHost.prototype;
    vi.spyOn(OutsideHost.prototype, "acceptAll").mockImplementation(function (this: OutsideHost, listener) {
      accepts += 1;
      acceptAll.call(this, listener);
    });
    const lines = Array.from({ length: COUNT }, (_, n) => [
      `7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = ${n + 3}`,
      `7 connect(${n + 3}, ${PEER.replace("8080", String(n + 1))}, 16) = 0`,
    ]);
    expect(replayText(lines.flat().join("\n")).diverged).toBe(0);
    expect(accepts).toBeLessThan(3 * COUNT);
  });
});

test("tables of many descriptors are not copied without end", () => {
  const OPEN = 3000;
  const FORKS = 2000;
  const numbers = Array.from({ length: OPEN }, (_, n) => `7 dup2(1, ${n + 3}) = ${n + 3}`);
  const forks = Array.from({ length: FORKS }, (_, n) => `7 fork() = ${n + 8}`);
  let copied = 0;
  const { replace } = FdTable.prototype;
  vi.spyOn(FdTable.prototype, "replace").mockImplementation(function (this: FdTable, fd, file, cloexec) {
    copied += 1;
    return replace.call(this, fd, file, cloexec);
  });
  expect(replayText([...numbers, ...forks].join("\n")).diverged).toBe(0);
  expect(copied).toBeLessThan(2 ** 22 + 10 * OPEN);
});
