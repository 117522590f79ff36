/**
 * Rules about the order of overlapping calls, one by one: what each permits, and what it does not.
 */
import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

const THREAD = "clone(child_stack=0x7f00, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD)";
const ONE = '"\\1\\0\\0\\0\\0\\0\\0\\0", 8';

function wrongCalls(text: string): string[] {
  return replayText(text).divergences.map(({ call, line }) => `${line} ${call}`);
}

describe("a read of a stream falls short", () => {
  const SET_UP = `7 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
7 ${THREAD} = 8
7 write(4, "aaaa", 4) = 4
`;

  test("of what a write that is under way sends", () => {
    expect(
      wrongCalls(`${SET_UP}7 write(4, "bbbb", 4 <unfinished ...>
8 read(3, "aaaa", 100) = 4
7 <... write resumed>) = 4
8 read(3, "bbbb", 100) = 4
`),
    ).toEqual([]);
  });

  test("not of what a write before it has sent", () => {
    expect(wrongCalls(`${SET_UP}7 write(4, "bbbb", 4) = 4\n8 read(3, "aaaa", 100) = 4\n`)).toEqual(["5 read"]);
  });

  test("not of TCP either, however much there is", () => {
    const address = '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}';
    const text = (got: number): string => `7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
7 bind(3, ${address}, 16) = 0
7 listen(3, 5) = 0
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4
7 connect(4, ${address}, 16) = 0
7 accept4(3, NULL, NULL, 0) = 5
7 write(4, "x"..., 40000) = 40000
7 read(5, "x"..., 65536) = ${got}
`;
    expect(wrongCalls(text(40_000))).toEqual([]);
    expect(wrongCalls(text(32_768))).toEqual(["8 read"]);
  });
});

describe("an edge", () => {
  const SET_UP = `7 epoll_create1(0) = 3
7 eventfd2(0, EFD_NONBLOCK) = 4
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0
7 ${THREAD} = 8
7 ${THREAD} = 9
`;
  const EVENT = "[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1";

  test("is left to a wait that begins later and ends earlier", () => {
    expect(
      wrongCalls(`${SET_UP}7 write(4, ${ONE}) = 8
8 epoll_wait(3,  <unfinished ...>
9 epoll_wait(3, ${EVENT}
7 write(4, ${ONE}) = 8
8 <... epoll_wait resumed>${EVENT}
`),
    ).toEqual([]);
  });

  test("is not reported twice", () => {
    expect(wrongCalls(`${SET_UP}7 write(4, ${ONE}) = 8\n8 epoll_wait(3, ${EVENT}\n9 epoll_wait(3, ${EVENT}\n`)).toEqual(
      ["8 epoll_wait"],
    );
  });

  test("wakes one of two sleepers: the one that ends first has found it", () => {
    const sleepers = (first: number, second: number): string => `${SET_UP}8 epoll_wait(3,  <unfinished ...>
9 epoll_wait(3,  <unfinished ...>
7 write(4, ${ONE}) = 8
${first} <... epoll_wait resumed>${EVENT}
7 write(4, ${ONE}) = 8
${second} <... epoll_wait resumed>${EVENT}
`;
    expect(wrongCalls(sleepers(8, 9))).toEqual([]);
    expect(wrongCalls(sleepers(9, 8))).toEqual([]);
  });
});

describe("a byte in a pipe", () => {
  const SET_UP = `7 pipe2([3, 4], 0) = 0
7 ${THREAD} = 8
7 ${THREAD} = 9
7 write(4, "a", 1) = 1
8 read(3,  <unfinished ...>
`;

  test("is left to the reader that is over sooner", () => {
    expect(
      wrongCalls(`${SET_UP}9 read(3, "a", 1) = 1
7 write(4, "b", 1) = 1
8 <... read resumed>"b", 1) = 1
`),
    ).toEqual([]);
  });

  test("is not read twice", () => {
    expect(wrongCalls(`${SET_UP}9 read(3, "a", 1) = 1\n8 <... read resumed>"a", 1) = 1\n`)).toEqual(["5 read"]);
  });
});

describe("a connection in an accept queue", () => {
  const address = (port: number): string =>
    `{sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}`;
  const SET_UP = `7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
7 bind(3, ${address(8080)}, 16) = 0
7 listen(3, 5) = 0
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4
7 bind(4, ${address(1111)}, 16) = 0
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5
7 bind(5, ${address(2222)}, 16) = 0
7 ${THREAD} = 8
`;
  const ACCEPT = `7 accept4(3, ${address(2222)}, [128 => 16], 0) = 6\n7 accept4(3, ${address(1111)}, [128 => 16], 0) = 9\n`;

  test("may stand before another one if the connects overlap", () => {
    expect(
      wrongCalls(`${SET_UP}7 connect(4, ${address(8080)}, 16 <unfinished ...>
8 connect(5, ${address(8080)}, 16) = 0
7 <... connect resumed>) = 0
${ACCEPT.replace("= 9", "= 7")}`),
    ).toEqual([]);
  });

  test("stands behind those that connected before", () => {
    expect(
      wrongCalls(`${SET_UP}7 connect(4, ${address(8080)}, 16) = 0
8 connect(5, ${address(8080)}, 16) = 0
${ACCEPT.replace("= 9", "= 7")}`),
    ).toEqual(["11 accept4", "12 accept4"]);
  });
});

describe("the end of a process", () => {
  const SET_UP = `7 pipe2([3, 4], 0) = 0
7 clone(child_stack=NULL, flags=SIGCHLD) = 8
7 close(4) = 0
`;

  test("closes its end of a pipe when a fatal signal is on its way, before its own line", () => {
    expect(
      wrongCalls(`${SET_UP}8 pause( <unfinished ...>
7 kill(8, SIGKILL) = 0
7 read(3, "", 10) = 0
8 <... pause resumed>) = ?
8 +++ killed by SIGKILL +++
`),
    ).toEqual([]);
  });

  test("is not supposed where nothing ends it", () => {
    expect(wrongCalls(`${SET_UP}8 pause( <unfinished ...>\n7 read(3, "", 10) = 0\n`)).toEqual(["5 read"]);
  });
});

describe("numbers and names that only the recording can tell", () => {
  test("a new descriptor's number that was predicted wrongly is put right, and counts once", () => {
    const more = '1 read(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8\n1 eventfd2(0, 0) = 3';
    const { divergences } = replayText(
      `1 eventfd2(0, 0) = 3\n1 dup(3) = -1 EBADF (x)\n1 eventfd2(1, 0) = 4\n1 close(3) = 0\n${more}`,
    );
    expect(divergences.map(({ line }) => line)).toEqual([2]);
  });

  test("the name of a socket that the kernel has bound", () => {
    const name = (digits: string): string => `{sa_family=AF_UNIX, sun_path=@"${digits}"}, [110 => 8]) = 0`;
    const bound = "1 socket(AF_UNIX, SOCK_DGRAM, 0) = 3\n1 bind(3, {sa_family=AF_UNIX}, 2) = 0";
    const lines = (first: string, second: string): string =>
      `${bound}\n1 getsockname(3, ${name(first)}\n1 getsockname(3, ${name(second)}`;
    expect(replayText(lines("f4e7f", "f4e7f"))).toMatchObject({ diverged: 0, assumed: 1 });
    expect(replayText(lines("f4e7f", "00000")).diverged).toBe(1);
  });

  test("what was refused and cut off", () => {
    const text = '1 memfd_create("abc"..., 0) = -1 EINVAL (Invalid argument)\n1 eventfd2(0, 0) = 3';
    expect(replayText(text)).toMatchObject({ diverged: 0, unsupported: 1 });
    expect(replayText(text.replace('"...', '"')).diverged).toBe(1);
  });
});

test("a sleep that was hardly over may have been ended by a signal", () => {
  const lines = (sleep: string, seconds: string): string =>
    `1 1700000000.000000000 nanosleep({tv_sec=0, tv_nsec=${sleep}},  <unfinished ...>
1 1700000000.${seconds} <... nanosleep resumed>NULL) = ? ERESTART_RESTARTBLOCK (Interrupted by signal) <0.${seconds}>
1 1700000000.${seconds} --- SIGALRM {si_signo=SIGALRM, si_code=SI_USER, si_pid=9, si_uid=0} ---
`;
  expect(replayText(lines("100000", "000140000"))).toMatchObject({ diverged: 0, assumed: 1 });
  expect(replayText(lines("100000", "050000000")).diverged).toBe(1);
});

test("a request for a terminal is refused by what is none, and what fstat tells is the machine's", () => {
  const refused = "-1 ENOTTY (Inappropriate ioctl for device)";
  const lines = (result: string): string =>
    `1 pipe2([3, 4], 0) = 0\n1 ioctl(3, TCGETS, 0x7ffc6955fee0) = ${result}\n1 fstat(3, {st_mode=S_IFIFO|0600, st_ino=9}) = 0`;
  expect(replayText(lines(refused))).toMatchObject({ diverged: 0, unsupported: 0 });
  expect(replayText(lines("0")).diverged).toBe(1);
});
