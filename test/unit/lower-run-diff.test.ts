/** Two runs of one program compared with each other. */
import { describe, expect, test } from "vitest";
import { compareRuns } from "../../src/trace/run-diff.ts";
import { type Answer, lowered, resultOf, words } from "../helpers/script-runs.ts";

type End = Parameters<typeof resultOf>[2];

function differences(
  text: string,
  a: readonly Answer[],
  b: readonly Answer[],
  ends: readonly [End, End] = ["done", "done"],
) {
  const program = lowered(text);
  const first = resultOf(program.program, a, ends[0]);
  const second = resultOf(program.program, b, ends[1]);
  return compareRuns(program, first, second).map((d) => `${d.line} ${d.call} ${d.field}: ${d.first} <> ${d.second}`);
}

const same = (text: string, a: readonly Answer[], b: readonly Answer[]): void => {
  expect(differences(text, a, b)).toEqual([]);
};

test("equal runs have no difference", () => {
  same('read(3, "", 4) = ?', [4, words(1)], [4, words(1)]);
});

describe("what differs", () => {
  test("results, and who sleeps", () => {
    expect(differences("close(3) = ?", [0], [-9])).toEqual(["1 close result: 0 <> -1 EBADF"]);
    expect(differences("A  read(3, NULL, 1) = ? <blocked>", [null, null], [0, 0])).toEqual([
      "1 read blocked: asleep <> 0",
    ]);
  });

  test("outputs", () => {
    const text = "epoll_wait(3, [...], 1, 0) = ?";
    expect(differences(text, [1, words(1, 4, 0)], [1, words(1, 5, 0)])).toEqual([
      "1 epoll_wait argument 2 (events): [{events=EPOLLIN, data={u32=4, u64=4}}] <> [{events=EPOLLIN, data={u32=5, u64=5}}]",
    ]);
  });

  test("bytes that no value shows", () => {
    const text = "epoll_wait(3, [...], 2, 0) = ?";
    const untouched = [-1, -1, -1];
    expect(differences(text, [1, words(1, 4, 0, ...untouched)], [1, words(1, 4, 0, 1, 5, 0)])).toEqual([
      "1 epoll_wait memory: +12: ff ff ff ff ff ff ff ff ff ff ff ff <> +12: 01 00 00 00 05 00 00 00 00 00 00 00",
    ]);
  });

  test("what poll found", () => {
    const text = "poll([{fd=3, events=POLLIN}], 1, 0) = ?";
    const found = (revents: number): Uint8Array => Uint8Array.from([...words(3), 1, 0, revents, 0]);
    expect(differences(text, [1, found(1)], [1, found(0x11)])).toEqual([
      "1 poll output: {[{fd=3, revents=POLLIN}]} <> {[{fd=3, revents=POLLIN|POLLHUP}]}",
    ]);
  });

  test("which tasks a line woke, a new one not counted", () => {
    const text = "A  close(3) = ?\nB  read(3,  <unfinished ...>\nA  close(4) = ?\nB  <... read resumed>NULL, 1) = ?";
    const woken: Answer = { ret: 0, woke: [1] };
    expect(differences(text, [0, null, woken, 0], [0, null, 0, 0])).toEqual(["3 close woken: B <> nobody"]);
  });

  test("queries", () => {
    expect(differences("poll_mask(3) = ?", [1], [5])).toEqual(["1 poll_mask result: 1 <> 5"]);
    expect(differences("peek(@buf, 2) = ?", [Uint8Array.of(1, 2)], [Uint8Array.of(1, 3)])).toEqual([
      "1 peek result: 01 02 <> 01 03",
    ]);
  });

  test("where and why a run ended", () => {
    expect(differences("close(3) = ?\nclose(4) = ?", [0], [0, 0], ["unsupported", "done"])).toEqual([
      "2 close end: unsupported: ended: unsupported <> done",
    ]);
  });
});

describe("what is free", () => {
  test("ids and clocks", () => {
    same("getpid() = ?", [7], [9]);
    same("clock_gettime(CLOCK_MONOTONIC, {...}) = ?", [0, words(1, 2, 3, 4)], [0, words(5, 6, 7, 8)]);
    same("kcmp(1, 1, KCMP_FILE, 3, 4) = ?", [1], [2]);
    expect(differences("kcmp(1, 1, KCMP_FILE, 3, 4) = ?", [0], [2])).toHaveLength(1);
  });

  test("the time that is left", () => {
    const text = "select(4, [3], NULL, NULL, {tv_sec=1, tv_usec=0}) = ?";
    same(text, [1, words(8, 0), words(0, 0, 9, 0)], [1, words(8, 0), words(0, 0, 1, 0)]);
    expect(differences(text, [1, words(8, 0), words(0, 0, 9, 0)], [1, words(0, 0), words(0, 0, 1, 0)])).toHaveLength(1);
  });

  test("ports that the machine chose, not those that were asked for", () => {
    const text = "getsockname(3, {sa_family=AF_INET}, [16]) = ?";
    const address = (port: number): Uint8Array =>
      Uint8Array.from([2, 0, port >> 8, port & 255, 127, 0, 0, 1, ...new Uint8Array(8)]);
    same(text, [0, address(40000), words(16)], [0, address(50000), words(16)]);
    expect(differences(text, [0, address(80), words(16)], [0, address(81), words(16)])).toHaveLength(1);
  });

  test("who sent a signal", () => {
    const info = (pid: number, value: number): Uint8Array => {
      const bytes = new Uint8Array(128);
      bytes[0] = 10;
      bytes[12] = pid;
      bytes[20] = value;
      return bytes;
    };
    const text = 'read(3, "", 128) = ?';
    same(text, [128, info(1, 5)], [128, info(2, 5)]);
    expect(differences(text, [128, info(1, 5)], [128, info(1, 6)])).toHaveLength(1);
  });

  test("numbers and order in fdinfo", () => {
    const info = (ino: number, first: number, second: number): Uint8Array => {
      const item = (tfd: number): string => `tfd: ${tfd} events: 19 data: ${tfd}  pos:0 ino:${ino} sdev:e\n`;
      return Uint8Array.from(`pos:\t0\nino:\t${ino}\n${item(first)}${item(second)}`, (c) => c.charCodeAt(0));
    };
    same("fdinfo(3) = ?", [info(1, 4, 5)], [info(2, 5, 4)]);
    expect(differences("fdinfo(3) = ?", [info(1, 4, 5)], [info(1, 4, 6)])).toHaveLength(1);
  });
});
