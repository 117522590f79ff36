/** How a process ends, and as whom it acts, as far as other results show it. */
import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

const FORK = "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD) = 2";

function diverged(...lines: readonly string[]): (number | null)[] {
  return replayText(`${lines.join("\n")}\n`).divergences.map(({ line }) => line);
}

describe("a process that ends closes its descriptors one by one, the newest first", () => {
  const recording = (first: string, then: string): readonly string[] => [
    "1 pipe2([3, 4], 0) = 0",
    "1 pipe2([5, 6], 0) = 0",
    "1 epoll_create1(0) = 7",
    "1 epoll_ctl(7, EPOLL_CTL_ADD, 3, {events=EPOLLIN, data={u32=3, u64=3}}) = 0",
    "1 epoll_ctl(7, EPOLL_CTL_ADD, 5, {events=EPOLLIN, data={u32=5, u64=5}}) = 0",
    `1 ${FORK}`,
    "1 close(4) = 0",
    "1 close(6) = 0",
    "1 epoll_wait(7,  <unfinished ...>",
    "2 exit_group(0) = ?",
    `1 <... epoll_wait resumed>[{events=EPOLLHUP, data={u32=${first}, u64=${first}}}], 8, -1) = 1`,
    `1 epoll_ctl(7, EPOLL_CTL_DEL, ${first}, NULL) = 0`,
    "1 epoll_wait(7, [], 8, 0) = 0",
    `1 epoll_wait(7, [{events=EPOLLHUP, data={u32=${then}, u64=${then}}}], 8, -1) = 1`,
    "2 +++ exited with 0 +++",
  ];

  test("so another one may see the first of them alone", () => {
    expect(diverged(...recording("5", "3"))).toEqual([]);
  });

  test("and in no other order", () => {
    expect(diverged(...recording("3", "5"))).not.toEqual([]);
  });
});

describe("an end shows before its own line", () => {
  const child = (how: string): readonly string[] => [
    "1 pipe2([3, 4], 0) = 0",
    `1 ${FORK}`,
    "1 close(4) = 0",
    "1 pidfd_open(2, 0) = 4",
    "1 epoll_create1(0) = 5",
    "1 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0",
    "1 epoll_wait(5,  <unfinished ...>",
    how,
    "1 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1",
  ];

  test("at a pidfd", () => {
    const ended = [...child("2 exit_group(3) = ?"), "2 +++ exited with 3 +++"];
    const waited = "1 wait4(2, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 2";
    expect(diverged(...ended, waited)).toEqual([]);
    expect(diverged(...child("2 getpid() = 2"), "2 exit_group(3) = ?", "2 +++ exited with 3 +++")).toEqual([7]);
  });

  test("at a pipe, when a signal has been shown that ends the process", () => {
    const lines = (line: string): readonly string[] => [
      "1 pipe2([3, 4], 0) = 0",
      `1 ${FORK}`,
      "1 close(4) = 0",
      "1 kill(2, SIGHUP) = 0",
      line,
      '1 read(3, "", 8) = 0',
      "2 +++ killed by SIGHUP +++",
    ];
    expect(diverged(...lines("2 --- SIGHUP {si_signo=SIGHUP, si_code=SI_USER, si_pid=1, si_uid=0} ---"))).toEqual([]);
  });
});

test("a child without SIGCHLD is found by __WCLONE and __WALL alone", () => {
  const lines = (flags: string, options: string, result: string): readonly string[] => [
    `1 clone(child_stack=0x7f0000, flags=${flags}) = 2`,
    "2 exit_group(0) = ?",
    "2 +++ exited with 0 +++",
    `1 wait4(2, ${result === "2" ? "[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]" : "NULL"}, ${options}, NULL) = ${result}`,
  ];
  const none = "-1 ECHILD (No child processes)";
  expect(diverged(...lines("CLONE_FS", "__WCLONE", "2"))).toEqual([]);
  expect(diverged(...lines("CLONE_FS", "__WALL", "2"))).toEqual([]);
  expect(diverged(...lines("CLONE_FS", "0", none))).toEqual([]);
  expect(diverged(...lines("CLONE_FS|SIGCHLD", "__WCLONE", none))).toEqual([]);
  expect(diverged(...lines("CLONE_FS", "0", "2"))).toEqual([4]);
});

test("unshare(CLONE_FILES) gives a table of its own", () => {
  const lines = (call: string, result: string): readonly string[] => [
    "1 pipe2([3, 4], 0) = 0",
    "1 clone(child_stack=0x7f0000, flags=CLONE_FILES|SIGCHLD) = 2",
    `2 ${call} = 0`,
    "2 close(3) = 0",
    `1 close(3) = ${result}`,
  ];
  const closed = "-1 EBADF (Bad file descriptor)";
  expect(diverged(...lines("unshare(CLONE_FILES)", "0"))).toEqual([]);
  expect(diverged(...lines("unshare(CLONE_FILES)", closed))).toEqual([5]);
  expect(diverged(...lines("unshare(CLONE_FS)", closed))).toEqual([]);
});

describe("what only root may do", () => {
  const bind = (...before: readonly string[]): ((result: string) => readonly (number | null)[]) => {
    return (result) =>
      diverged(
        ...before.map((line) => `1 ${line}`),
        "1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
        `1 bind(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = ${result}`,
      );
  };
  const refused = "-1 EACCES (Permission denied)";

  test.each([
    ["setuid", "setuid(1000) = 0"],
    ["setreuid", "setreuid(-1, 1000) = 0"],
    ["setresuid", "setresuid(-1, 1000, -1) = 0"],
    ["geteuid", "geteuid() = 1000"],
  ])("is refused behind %s", (_name, call) => {
    expect(bind(call)(refused)).toEqual([]);
    expect(bind(call)("0")).toEqual([3]);
  });

  test("is permitted to root, to who comes back to root, and to who keeps capabilities", () => {
    expect(bind("setuid(0) = 0")(refused)).toEqual([3]);
    expect(bind("setresuid(-1, 1000, 0) = 0", "setresuid(-1, 0, -1) = 0")("0")).toEqual([]);
    expect(bind("prctl(PR_SET_KEEPCAPS, 1) = 0", "setuid(1000) = 0")("0")).toEqual([]);
  });
});

test("what had no result because its task was killed is not predicted", () => {
  const text = "close(3</etc/hosts>) = -1 (errno 18446744073709551554)";
  expect(diverged('1 openat(AT_FDCWD, "/etc/hosts", O_RDONLY) = 3', `1 ${text}`)).toEqual([]);
});

test("an overrun may be off by as much as a time stamp", () => {
  const lines = (count: number): readonly string[] => [
    "1 1700000000.000000000 timer_create(CLOCK_MONOTONIC, {sigev_signo=SIGRT_2, sigev_notify=SIGEV_SIGNAL}, [0]) = 0",
    "1 1700000000.000100000 timer_settime(0, 0, {it_interval={tv_sec=0, tv_nsec=1000}, it_value={tv_sec=0, tv_nsec=1000}}, NULL) = 0",
    "1 1700000000.000200000 --- SIGRT_2 {si_signo=SIGRT_2, si_code=SI_TIMER, si_timerid=0, si_overrun=90} ---",
    `1 1700000000.000210000 timer_getoverrun(0) = ${count}`,
  ];
  expect(diverged(...lines(80))).toEqual([]);
  expect(diverged(...lines(2000))).toEqual([4]);
});
