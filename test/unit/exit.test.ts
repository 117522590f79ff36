import { describe, expect, it } from "vitest";
import { beginNewExec } from "../../src/kernel/sched/exec.ts";
import { TaskState } from "../../src/kernel/sched/task.ts";
import { Sig } from "../../src/kernel/uapi/signal.ts";
import { ARENA, BAD } from "../helpers/files.ts";
import { SignalMachine } from "../helpers/signals.ts";

const { CHLD, STOP, CONT, TERM, KILL } = Sig;
const NOHANG = 1;
const STOPPED = 2;
const EXITED = 4;
const CONTINUED = 8;
const NOWAIT = 0x100_0000;
const PIDFD = 3;
const NONBLOCK = 0o4000;
const THREAD = 0o200;
const IN2 = 0x41;
const HUP = 0x10;

class Family extends SignalMachine {
  readonly child = this.fork();

  status(): number {
    return this.peek32(ARENA);
  }

  pidfd(flags = 0): number {
    return this.call("pidfd_open", this.child.tid, flags) as number;
  }
}

describe("exit and wait", () => {
  it("E-135 an end closes descriptors before the parent hears of it", () => {
    const f = new Family();
    const ep = f.call("epoll_create1", 0) as number;
    f.call("pipe2", ARENA, 0);
    const [r, w] = [f.peek32(ARENA), f.peek32(ARENA + 4)];
    const child = f.fork();
    f.call("close", w);
    f.poke32(ARENA, 1, 0, 0);
    f.call("epoll_ctl", ep, 1, r, ARENA);
    f.sys(child, "exit_group", 7);
    expect([child.state, f.mask(r)]).toEqual([TaskState.DEAD, HUP]);
    expect([f.call("wait4", child.tid, ARENA, 0, 0), f.status()]).toEqual([child.tid, 7 << 8]);
    expect(f.call("wait4", child.tid, ARENA, 0, 0)).toBe("ECHILD");
  });

  it("a parent sleeps until a child ends; WNOHANG does not; SIGCHLD comes along", () => {
    const f = new Family();
    f.handle(CHLD, 1000, 0x1000_0000n);
    expect(f.call("wait4", -1, ARENA, NOHANG, 0)).toBe(0);
    expect(f.call("wait4", -1, ARENA, 0, 0)).toBe("asleep");
    f.sys(f.child, "kill", f.child.tid, TERM);
    expect([f.result(f.task), f.status(), f.handled(f.task, CHLD)]).toEqual([f.child.tid, TERM, 1]);
  });

  it("SIGCHLD ignored: the child goes at once, and a sleeping wait4 ends with ECHILD", () => {
    const f = new Family();
    f.handle(CHLD, 1);
    expect(f.call("wait4", -1, 0, 0, 0)).toBe("asleep");
    f.sys(f.child, "exit", 0);
    expect(f.result(f.task)).toBe("ECHILD");
    expect(f.call("kill", f.child.tid, 0)).toBe("ESRCH");
  });

  it("stops and continuations are told once", () => {
    const f = new Family();
    f.call("kill", f.child.tid, STOP);
    expect(f.call("waitid", 0, 0, ARENA, STOPPED | NOWAIT, 0)).toBe(0);
    expect([f.peek32(ARENA), f.peek32(ARENA + 8), f.peek32(ARENA + 24)]).toEqual([CHLD, 5, STOP]);
    expect([f.call("wait4", -1, ARENA, STOPPED, 0), f.status()]).toEqual([f.child.tid, (STOP << 8) | 0x7f]);
    expect(f.call("wait4", -1, ARENA, STOPPED | NOHANG, 0)).toBe(0);
    f.call("kill", f.child.tid, CONT);
    expect([f.call("wait4", -1, ARENA, CONTINUED, 0), f.status()]).toEqual([f.child.tid, 0xffff]);
    expect(f.call("wait4", -1, ARENA, CONTINUED | NOHANG, 0)).toBe(0);
    f.call("kill", f.child.tid, STOP);
    f.call("kill", f.child.tid, KILL);
    expect([f.call("wait4", -1, ARENA, 0, 0), f.status()]).toEqual([f.child.tid, KILL]);
  });

  it("exit_group and a fatal signal end every thread; exit ends one", () => {
    const f = new Family();
    const other = f.kernel.createThread(f.child, "other");
    const third = f.kernel.createThread(f.child, "third");
    f.sys(other, "pause");
    f.sys(third, "exit", 1);
    expect([third.state, f.child.state]).toEqual([TaskState.DEAD, TaskState.RUNNING]);
    f.sys(f.child, "exit_group", 4);
    expect(other.state).toBe(TaskState.DEAD);
    expect([f.call("wait4", -1, ARENA, 0, 0), f.status()]).toEqual([f.child.tid, 4 << 8]);
  });

  it("execve closes what is marked, forgets handlers and timers, keeps the mask and SIG_IGN", () => {
    const f = new Family();
    const [kept, closed] = [f.call("eventfd2", 0, 0) as number, f.call("eventfd2", 0, 0o2000000) as number];
    f.handle(TERM);
    f.handle(CHLD, 1);
    f.block(f.task, TERM);
    f.call("timer_create", 1, 0, ARENA);
    beginNewExec(f.task.process);
    const { files, sighand } = f.task.process;
    expect([files.get(kept) !== null, files.get(closed)]).toEqual([true, null]);
    expect([sighand.action(TERM).handler, sighand.action(CHLD).handler]).toEqual([0n, 1n]);
    expect([f.blocked(f.task), f.call("timer_delete", 0)]).toEqual([[TERM], "EINVAL"]);
  });

  it("a child of the dead belongs to somebody outside", () => {
    const f = new Family();
    const grandchild = f.kernel.fork(f.child, "grandchild");
    f.sys(f.child, "exit_group", 0);
    expect(f.sys(grandchild, "getppid")).toBe(0);
    f.sys(grandchild, "exit_group", 0);
    expect(f.call("kill", grandchild.tid, 0)).toBe("ESRCH");
    expect(f.call("kill", f.child.tid, 0)).toBe(0);
  });

  it("errors of wait4 and waitid; waitid stores zeros when it fails", () => {
    const f = new Family();
    expect(f.call("wait4", -1, 0, 0x100, 0)).toBe("EINVAL");
    expect(f.call("waitid", 9, 0, 0, EXITED, 0)).toBe("EINVAL");
    expect(f.call("waitid", 0, 0, 0, 0, 0)).toBe("EINVAL");
    expect(f.call("waitid", 0, 0, BAD, 0, 0)).toBe("EFAULT");
    f.poke32(ARENA, 55);
    expect([f.call("waitid", 1, 99_999, ARENA, EXITED, 0), f.peek32(ARENA)]).toEqual(["ECHILD", 0]);
    f.sys(f.child, "exit_group", 0);
    expect(f.call("wait4", -1, BAD, 0, 0)).toBe("EFAULT");
    expect(f.call("wait4", -1, 0, 0, 0)).toBe("ECHILD");
  });
});

describe("pidfd", () => {
  it("D-01 D-02 IN at the end, HUP when reaped; keys IN and 0", () => {
    const f = new Family();
    const fd = f.pidfd();
    const watch = f.watch(fd);
    expect(f.mask(fd)).toBe(0);
    f.sys(f.child, "exit_group", 0);
    expect([f.mask(fd), watch.take()]).toEqual([IN2, [IN2]]);
    f.call("wait4", -1, 0, 0, 0);
    expect([f.mask(fd), watch.take()]).toEqual([IN2 | HUP, [0]]);
    expect(f.file(fd).fdinfo()).toBe("Pid:\t-1\nNSpid:\t-1\n");
  });

  it("D-03 a leader that exits before its threads is not the end", () => {
    const f = new Family();
    const other = f.kernel.createThread(f.child, "other");
    const fd = f.pidfd();
    const watch = f.watch(fd);
    f.sys(f.child, "exit", 0);
    expect([f.mask(fd), watch.take(), f.call("wait4", -1, 0, NOHANG, 0)]).toEqual([0, [], 0]);
    f.sys(other, "exit", 0);
    expect([f.mask(fd), watch.take(), f.call("wait4", -1, 0, NOHANG, 0)]).toEqual([IN2, [IN2], f.child.tid]);
  });

  it("D-04 no read, no write; numbers and flags; signals until it is reaped", () => {
    const f = new Family();
    const fd = f.pidfd();
    expect([f.call("read", fd, ARENA, 8), f.call("write", fd, ARENA, 8)]).toEqual(["EINVAL", "EINVAL"]);
    expect(f.task.process.files.cloexec(fd)).toBe(true);
    expect([f.call("pidfd_open", 0, 0), f.call("pidfd_open", -5, 0)]).toEqual(["EINVAL", "EINVAL"]);
    expect([f.call("pidfd_open", f.child.tid, 1), f.call("pidfd_open", 99_999, 0)]).toEqual(["EINVAL", "ESRCH"]);
    const other = f.kernel.createThread(f.child, "other");
    expect(f.call("pidfd_open", other.tid, 0)).toBe("ENOENT");
    expect(f.call("pidfd_open", other.tid, THREAD)).toBeGreaterThan(0);
    expect([f.call("pidfd_send_signal", fd, 0, 0, 0), f.call("pidfd_send_signal", fd, 0, 0, 8)]).toEqual([0, "EINVAL"]);
    expect(f.call("pidfd_send_signal", f.call("eventfd2", 0, 0) as number, 0, 0, 0)).toBe("EBADF");
    expect(f.call("pidfd_send_signal", fd, TERM, 0, 0)).toBe(0);
    expect(f.call("pidfd_send_signal", fd, TERM, 0, 0)).toBe(0);
    f.call("wait4", -1, 0, 0, 0);
    expect(f.call("pidfd_send_signal", fd, TERM, 0, 0)).toBe("ESRCH");
  });

  it("D-05 waitid by a pidfd, which may be told not to wait", () => {
    const f = new Family();
    const [blocking, nonblock] = [f.pidfd(), f.pidfd(NONBLOCK)];
    expect(f.call("waitid", PIDFD, nonblock, 0, EXITED, 0)).toBe("EAGAIN");
    expect(f.call("waitid", PIDFD, nonblock, 0, EXITED | NOHANG, 0)).toBe(0);
    expect(f.call("waitid", PIDFD, f.call("eventfd2", 0, 0) as number, 0, EXITED, 0)).toBe("EBADF");
    expect(f.call("waitid", PIDFD, blocking, ARENA, EXITED, 0)).toBe("asleep");
    f.sys(f.child, "exit_group", 9);
    expect([f.result(f.task), f.peek32(ARENA + 16), f.peek32(ARENA + 24)]).toEqual([0, f.child.tid, 9]);
  });
});
