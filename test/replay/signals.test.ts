import { describe, expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import type { Divergence, ReplaySummary } from "../../src/replay/summary.ts";
import { parseText } from "../../src/trace/reader.ts";
import { replayText } from "../helpers/replay-text.ts";

interface Replayed extends ReplaySummary {
  readonly divergences: readonly Divergence[];
}

function replay(text: string): Replayed {
  const replayer = new Replayer({ profile: kernelProfile("6.18"), chooser: firstChoice, file: "test" });
  for (const line of parseText(text, { lenient: true })) replayer.push(line);
  return { ...replayer.finish(), divergences: replayer.tally.divergences };
}

function counts({ agreed, diverged, assumed, unsupported }: Replayed): object {
  return { agreed, diverged, assumed, unsupported };
}

const KILLED = `
7 rt_sigaction(SIGUSR1, {sa_handler=0x401000, sa_mask=[], sa_flags=SA_RESTORER|SA_RESTART, sa_restorer=0x402000}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0
7 pipe2([3<pipe:[9]>, 4<pipe:[9]>], 0) = 0
7 rt_sigprocmask(SIG_SETMASK, [], NULL, 8) = 0
7 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 8
7 read(3<pipe:[9]>,  <unfinished ...>
8 kill(7, SIGUSR1) = 0
7 <... read resumed>0x7ffe00, 1) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
7 --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=8, si_uid=0} ---
7 rt_sigprocmask(SIG_BLOCK, NULL, [USR1], 8) = 0
7 rt_sigreturn({mask=[]}) = 0
8 exit_group(3) = ?
8 +++ exited with 3 +++
7 wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], WNOHANG, NULL) = 8
7 wait4(-1, 0x7ffe00, WNOHANG, NULL) = -1 ECHILD (No child processes)
`;

describe("a signal from inside the recording", () => {
  test("ends a call, is handled under its mask, and a child is waited for", () => {
    expect(counts(replay(KILLED))).toEqual({ agreed: 9, diverged: 0, assumed: 0, unsupported: 0 });
  });

  const alterations: readonly (readonly [string, string, string, number])[] = [
    ["another code", "? ERESTARTSYS (To be restarted if SA_RESTART is set)", "? ERESTARTNOHAND (To be restarted)", 6],
    ["another mask in the handler", "NULL, [USR1], 8) = 0", "NULL, [USR2], 8) = 0", 10],
    ["another mask behind it", "{mask=[]}", "{mask=[HUP]}", 11],
    ["another status", "WEXITSTATUS(s) == 3", "WEXITSTATUS(s) == 4", 14],
    ["another child", "WNOHANG, NULL) = 8", "WNOHANG, NULL) = 9", 14],
    ["nobody to wait for", "-1 ECHILD (No child processes)", "0", 15],
    ["nobody to signal", "kill(7, SIGUSR1) = 0", "kill(7, SIGUSR1) = -1 ESRCH (No such process)", 7],
    ["another handler before", "{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0", "0x7f, 8) = -1 EINVAL (x)", 2],
  ];
  test.each(alterations)("is contradicted by %s", (_what, from, to, line) => {
    const altered = KILLED.replace(from, to);
    expect(altered).not.toBe(KILLED);
    expect(replay(altered).divergences.map((divergence) => divergence.line)).toContain(line);
  });
});

describe("an interruption", () => {
  const waiting = (next: string): Replayed =>
    replay(`
7 epoll_create1(0) = 3
7 epoll_wait(3, 0x7ffe00, 8, -1) = -1 EINTR (Interrupted system call)
7 ${next}
7 close(3) = 0
`);

  test("by a signal from outside is taken from the recording", () => {
    const { assumed, diverged } = waiting("--- SIGWINCH {si_signo=SIGWINCH, si_code=SI_KERNEL} ---");
    expect({ assumed, diverged }).toEqual({ assumed: 1, diverged: 0 });
  });

  test("by nothing is a contradiction", () => {
    expect(waiting("getpid() = 7").divergences).toMatchObject([{ line: 3, predicted: "no signal came" }]);
  });
});

describe("timers", () => {
  test("expire by the recorded times, and their signal explains the interruption", () => {
    const { assumed, diverged } = replay(`
7 1000.000000 alarm(1) = 0 <0.000001>
7 1000.000100 epoll_create1(0) = 3 <0.000001>
7 1000.000200 epoll_wait(3, 0x7ffe00, 8, -1) = -1 EINTR (Interrupted system call) <0.999900>
7 1001.000200 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---
7 1001.000300 timer_create(CLOCK_MONOTONIC, NULL, [0]) = 0 <0.000001>
7 1001.000400 timer_settime(0, 0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=2, tv_nsec=0}}, NULL) = 0 <0.000001>
7 1001.500400 timer_gettime(0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=1, tv_nsec=500012345}}) = 0 <0.000001>
7 1001.500500 alarm(0) = 0 <0.000001>
`);
    expect({ assumed, diverged }).toEqual({ assumed: 0, diverged: 0 });
  });

  test("too much time left is a contradiction", () => {
    const { divergences } = replay(`
7 1000.000000 alarm(10) = 0 <0.000001>
7 1004.000000 alarm(0) = 9 <0.000001>
`);
    expect(divergences).toMatchObject([{ line: 3, recorded: "9", predicted: "6" }]);
  });
});

describe("what a process inherited", () => {
  test("shows when it looks for the first time, and is predicted from then on", () => {
    const { assumed, divergences } = replay(`
7 rt_sigaction(SIGHUP, NULL, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, 8) = 0
7 rt_sigaction(SIGHUP, NULL, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, 8) = 0
7 rt_sigprocmask(SIG_BLOCK, [TERM], [CHLD], 8) = 0
7 rt_sigprocmask(SIG_BLOCK, NULL, [TERM CHLD], 8) = 0
7 rt_sigaction(SIGHUP, NULL, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0
`);
    expect({ assumed, lines: divergences.map(({ line }) => line) }).toEqual({ assumed: 2, lines: [6] });
  });
});

describe("tasks outside the recording", () => {
  test("are signalled, opened and waited for as it says", () => {
    const { assumed, diverged, agreed } = replay(`
7 kill(1, 0) = 0
7 pidfd_open(1, 0) = 3
7 eventfd2(0, 0) = 4
7 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 8
7 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=8, si_uid=0, si_status=2, si_utime=0, si_stime=0} ---
7 wait4(8, [{WIFEXITED(s) && WEXITSTATUS(s) == 2}], 0, NULL) = 8
`);
    expect({ assumed, diverged, agreed }).toEqual({ assumed: 2, diverged: 0, agreed: 2 });
  });
});

describe("execve", () => {
  test("by a thread leaves its leader's number, its descriptors and no handlers", () => {
    const { diverged } = replay(`
7 eventfd2(0, EFD_CLOEXEC) = 3
7 eventfd2(0, 0) = 4
7 rt_sigaction(SIGUSR1, {sa_handler=0x401000, sa_mask=[], sa_flags=0}, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0
7 clone(child_stack=0x7f00, flags=CLONE_VM|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD) = 8
7 pause( <unfinished ...>
8 execve("/bin/true", ["true"], 0x7f00) = 0
7 <... pause resumed>) = ?
7 +++ superseded by execve in pid 8 +++
7 eventfd2(0, 0) = 3
7 eventfd2(0, 0) = 5
7 rt_sigaction(SIGUSR1, NULL, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, 8) = 0
`);
    expect(diverged).toBe(0);
  });
});

test("a write that overlaps with a sleeper whom a signal ends comes behind it", () => {
  const { diverged, assumed } = replayText(`
1 pipe2([3, 4], 0) = 0
1 clone(child_stack=NULL, flags=CLONE_FILES|CLONE_THREAD|CLONE_SIGHAND|CLONE_VM) = 2
1 pselect6(5, [3], NULL, NULL, {tv_sec=5, tv_nsec=0}, NULL <unfinished ...>
2 write(4, "x", 1 <unfinished ...>
1 <... pselect6 resumed>) = ? ERESTARTNOHAND (To be restarted if no handler)
1 --- SIGCHLD {si_signo=SIGCHLD, si_code=SI_USER, si_pid=9, si_uid=0} ---
2 <... write resumed>) = 1
1 pselect6(5, [3], NULL, NULL, {tv_sec=4, tv_nsec=0}, NULL) = 1 (in [3], left {tv_sec=4, tv_nsec=0})
`);
  expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 1 });
});

describe("work for an io_uring ring interrupts without a signal", () => {
  const WAIT = "epoll_wait(4, 0x7f00, 1, 900) = -1 EINTR (Interrupted system call)";
  const text = (...lines: readonly string[]): string => {
    const calls = ["io_uring_setup(8, {}) = 3", "epoll_create1(0) = 4", ...lines, "epoll_wait(4, [], 1, 0) = 0"];
    return calls.map((line) => `1 ${line}\n`).join("");
  };
  const submit = (complete: number, flags: string): string =>
    `io_uring_enter(3, 2, ${complete}, ${flags}, NULL, 0) = 2`;

  const cases: readonly [what: string, diverged: number, ...lines: string[]][] = [
    ["once, when a ring is gone", 1, "close(3) = 0", WAIT, WAIT],
    ["not while it is only there", 1, WAIT],
    ["not while another descriptor has it", 1, "dup(3) = 5", "close(3) = 0", WAIT],
    ["once for each request that is not waited for", 1, submit(0, "0"), WAIT, WAIT, WAIT],
    ["for the one of two that is not waited for", 1, submit(1, "IORING_ENTER_GETEVENTS"), WAIT, WAIT],
    ["not when all were waited for", 1, submit(2, "IORING_ENTER_GETEVENTS"), WAIT],
  ];
  for (const [what, diverged, ...lines] of cases) {
    test(what, () => expect(replayText(text(...lines)).diverged).toBe(diverged));
  }

  test("not in a task that has neither made nor entered it", () => {
    const other = "1 clone(child_stack=NULL, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 2\n";
    const lines = `1 io_uring_setup(8, {}) = 3\n1 epoll_create1(0) = 4\n${other}1 close(3) = 0\n`;
    const wait = (task: number): string => `${lines}${task} ${WAIT}\n${task} getpid() = 1\n`;
    expect(replayText(wait(1)).diverged).toBe(0);
    expect(replayText(wait(2)).diverged).toBe(1);
  });
});

test("a signal cuts a blocking write short, and the next line shows it", () => {
  const text = (signal: string): string => `
1 pipe2([3, 4], 0) = 0
1 write(4, "x"..., 70000) = 65536
${signal}
1 rt_sigreturn({mask=[]}) = 65536
`;
  const signal = "1 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---";
  const { diverged, assumed } = replayText(text(signal));
  expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 2 });
  expect(replayText(text("1 getpid() = 1")).divergences.map(({ call }) => call)).toEqual(["write"]);
});
