/**
 * What a line claims must cost nothing: a replay's work is bounded by what the recording shows and by what the model holds.
 *
 * Counted are the bytes that are copied, filled or set up, not the time.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
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
