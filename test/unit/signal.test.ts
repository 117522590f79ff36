import { describe, expect, it } from "vitest";
import { TaskState } from "../../src/kernel/sched/task.ts";
import { Sig } from "../../src/kernel/uapi/signal.ts";
import { ARENA } from "../helpers/files.ts";
import { SignalMachine } from "../helpers/signals.ts";

const { USR1, USR2, CHLD, STOP, CONT, TERM, PIPE, KILL } = Sig;
const EVENTS = ARENA;
const FOREVER = -1;
const RESTART = 0x1000_0000n;
const NODEFER = 0x4000_0000n;
const RESETHAND = 0x8000_0000n;
const IN = 1;
const ET = 0x8000_0000;

class World extends SignalMachine {
  readonly pid: number = this.task.process.tgid;
  readonly ep: number = this.call("epoll_create1", 0) as number;
  readonly efd: number = this.call("eventfd2", 0, 0) as number;
  readonly b = this.thread("b");

  constructor() {
    super();
    this.poke32(ARENA + 64, IN | ET, 7, 0);
    this.call("epoll_ctl", this.ep, 1, this.efd, ARENA + 64);
  }

  wait(task = this.b, timeout = FOREVER): number | string {
    return this.sys(task, "epoll_wait", this.ep, EVENTS, 8, timeout);
  }

  pwait(task: typeof this.b, timeout: number, ...mask: number[]): number | string {
    return this.sys(task, "epoll_pwait", this.ep, EVENTS, 8, timeout, this.set(...mask), 8);
  }

  tgkill(task: typeof this.b, sig: number): void {
    expect(this.call("tgkill", this.pid, task.tid, sig)).toBe(0);
  }

  write(): void {
    this.poke64(ARENA + 128, 1);
    expect(this.call("write", this.efd, ARENA + 128, 8)).toBe(8);
  }
}

describe("epoll_wait and signals", () => {
  it("E-121 a handled signal ends it with EINTR, with SA_RESTART too", () => {
    const w = new World();
    w.handle(USR1, 1000, RESTART);
    expect(w.wait()).toBe("asleep");
    w.tgkill(w.b, USR1);
    expect([w.result(w.b), w.handled(w.b, USR1), w.pending(w.b)]).toEqual(["EINTR", 1, []]);
  });

  it("E-122 an event that is there beats the signal", () => {
    const w = new World();
    w.handle(USR1);
    w.wait();
    w.poke64(ARENA + 128, 1);
    w.block(w.task, USR1);
    expect(w.call("write", w.efd, ARENA + 128, 8)).toBe(8);
    expect(w.result(w.b)).toBe(1);
    w.write();
    w.call("tgkill", w.pid, w.task.tid, USR1);
    expect([w.pwait(w.task, FOREVER), w.pending(w.task)]).toEqual([1, [USR1]]);
  });

  it("E-123 a time-out of 0 is never interrupted", () => {
    const w = new World();
    w.handle(USR1);
    w.block(w.task, USR1);
    w.tgkill(w.task, USR1);
    expect([w.pwait(w.task, 0), w.pending(w.task)]).toEqual([0, [USR1]]);
  });

  it("E-124 E-125 a pending signal that the mask lets through: EINTR and the old mask, or the event and the signal stays", () => {
    const w = new World();
    w.handle(USR1);
    w.block(w.task, USR1);
    w.tgkill(w.task, USR1);
    w.write();
    expect([w.pwait(w.task, FOREVER), w.pending(w.task), w.handled(w.task, USR1)]).toEqual([1, [USR1], 0]);
    expect([w.pwait(w.task, FOREVER), w.pending(w.task), w.handled(w.task, USR1)]).toEqual(["EINTR", [], 1]);
    expect(w.blocked(w.task)).toEqual([USR1]);
  });

  it("E-126 a signal that the mask blocks waits for the end of the call", () => {
    const w = new World();
    w.handle(USR1);
    expect(w.pwait(w.b, FOREVER, USR1)).toBe("asleep");
    w.tgkill(w.b, USR1);
    expect([w.result(w.b), w.handled(w.b, USR1)]).toEqual(["asleep", 0]);
    w.write();
    expect([w.result(w.b), w.handled(w.b, USR1), w.blocked(w.b)]).toEqual([1, 1, []]);
  });

  it("E-127 ignored, ignored by default, blocked: it sleeps on", () => {
    const w = new World();
    w.handle(USR1, 1);
    w.handle(USR2);
    w.block(w.b, USR2);
    w.wait();
    for (const sig of [USR1, CHLD, USR2]) w.tgkill(w.b, sig);
    expect(w.result(w.b)).toBe("asleep");
  });

  it("E-128 a stop and its end interrupt without a handler; read goes on sleeping", () => {
    const w = new World();
    const child = w.fork();
    const reader = w.fork("reader");
    w.wait(child);
    w.sys(reader, "read", w.efd, ARENA, 8);
    for (const task of [child, reader]) {
      w.call("kill", task.tid, STOP);
      expect(task.state).toBe(TaskState.STOPPED);
      w.call("kill", task.tid, CONT);
    }
    expect([w.result(child), w.result(reader)]).toEqual(["EINTR", "asleep"]);
    w.write();
    expect(w.result(reader)).toBe(8);
  });

  it("E-131 a signal for one thread interrupts that one", () => {
    const w = new World();
    const c = w.thread("c");
    w.handle(USR1);
    w.wait();
    w.wait(c);
    w.tgkill(c, USR1);
    expect([w.result(w.b), w.result(c)]).toEqual(["asleep", "EINTR"]);
  });

  it("E-132 a dying waiter takes nothing", () => {
    const w = new World();
    const child = w.fork();
    w.wait();
    w.wait(child);
    w.call("kill", child.tid, KILL);
    w.write();
    expect([w.result(w.b), w.result(child)]).toEqual([1, "gone"]);
  });
});

describe("restarts", () => {
  it("read goes on after a handler with SA_RESTART, else EINTR; it looks its number up again", () => {
    const w = new World();
    w.handle(USR1, 1000, RESTART);
    w.handle(USR2);
    expect(w.sys(w.b, "read", w.efd, ARENA, 8)).toBe("asleep");
    w.tgkill(w.b, USR1);
    expect([w.result(w.b), w.handled(w.b, USR1)]).toEqual(["asleep", 1]);
    w.tgkill(w.b, USR2);
    expect(w.result(w.b)).toBe("EINTR");
    w.sys(w.b, "read", w.efd, ARENA, 8);
    w.call("close", w.efd);
    expect(w.result(w.b)).toBe("asleep");
    w.tgkill(w.b, USR1);
    expect(w.result(w.b)).toBe("EBADF");
  });

  it("poll and nanosleep: EINTR after a handler, and after a stop the time that is left", () => {
    const w = new World();
    const child = w.fork();
    w.handle(USR1, 1000, RESTART, 0n, child);
    w.poke32(ARENA, w.efd, IN);
    w.poke64(ARENA + 256, 10, 0);
    for (const [name, ...args] of [
      ["poll", ARENA, 1, 10_000],
      ["nanosleep", ARENA + 256, 0],
    ] as const) {
      expect(w.sys(child, name, ...args)).toBe("asleep");
      w.kernel.clock.advanceTo(w.kernel.clock.nowNs + 6e9);
      w.call("kill", child.tid, STOP);
      w.call("kill", child.tid, CONT);
      expect(w.result(child)).toBe("asleep");
      w.kernel.clock.advanceTo(w.kernel.clock.nowNs + 4e9);
      w.kernel.settle();
      expect(w.result(child)).toBe(0);
      w.sys(child, name, ...args);
      w.call("kill", child.tid, USR1);
      expect(w.result(child)).toBe("EINTR");
    }
  });

  it("rt_sigsuspend and pause end with EINTR, under the mask of before", () => {
    const w = new World();
    w.handle(USR1);
    w.handle(USR2);
    w.block(w.b, USR1);
    expect(w.sys(w.b, "rt_sigsuspend", w.set(USR2), 8)).toBe("asleep");
    w.tgkill(w.b, USR2);
    expect(w.result(w.b)).toBe("asleep");
    w.tgkill(w.b, USR1);
    expect([w.result(w.b), w.blocked(w.b), w.handled(w.b, USR2)]).toEqual(["EINTR", [USR1], 1]);
    w.sys(w.b, "pause");
    w.tgkill(w.b, USR2);
    expect(w.result(w.b)).toBe("EINTR");
  });
});

describe("handlers", () => {
  it("sa_mask holds another signal back until the handler has returned", () => {
    const w = new World();
    w.handle(USR1, 1000, 0n, 1n << BigInt(USR2 - 1));
    w.handle(USR2);
    w.block(w.task, USR1, USR2);
    w.tgkill(w.task, USR1);
    w.tgkill(w.task, USR2);
    w.call("rt_sigprocmask", 2, w.set(), 0, 8);
    expect([...w.task.handled]).toEqual([
      [USR1, 1],
      [USR2, 1],
    ]);
    expect(w.blocked(w.task)).toEqual([]);
  });

  it("SA_RESETHAND: the second time the default action ends the process", () => {
    const w = new World();
    const child = w.fork();
    w.handle(TERM, 1000, RESETHAND | NODEFER, 0n, child);
    w.call("kill", child.tid, TERM);
    expect([child.state, w.handled(child, TERM)]).toEqual([TaskState.RUNNING, 1]);
    w.call("kill", child.tid, TERM);
    expect(child.state).toBe(TaskState.DEAD);
  });

  it("real-time signals are delivered once for each time they were sent, standard ones once", () => {
    const w = new World();
    for (const sig of [USR1, 40]) {
      w.handle(sig);
      w.block(w.task, sig);
      for (let i = 0; i < 3; i += 1) w.tgkill(w.task, sig);
      w.call("rt_sigprocmask", 2, w.set(), 0, 8);
    }
    expect([w.handled(w.task, USR1), w.handled(w.task, 40)]).toEqual([1, 3]);
  });

  it("a signal for the process goes to a thread that does not block it", () => {
    const w = new World();
    w.handle(USR1);
    w.block(w.task, USR1);
    w.wait();
    w.call("kill", w.pid, USR1);
    expect([w.result(w.b), w.handled(w.b, USR1), w.pending(w.task)]).toEqual(["EINTR", 1, []]);
  });

  it("SIG_IGN drops what is pending; the numbers and users of kill", () => {
    const w = new World();
    w.block(w.task, USR1);
    w.tgkill(w.task, USR1);
    w.handle(USR1, 1);
    expect(w.pending(w.task)).toEqual([]);
    expect(w.call("kill", 99_999, USR1)).toBe("ESRCH");
    expect(w.call("kill", w.pid, 65)).toBe("EINVAL");
    expect(w.call("tgkill", w.pid + 99, w.b.tid, USR1)).toBe("ESRCH");
    const child = w.fork();
    expect(w.sys(child, "setresuid", 7, 7, 7)).toBe(0);
    expect(w.sys(child, "kill", w.pid, USR1)).toBe("EPERM");
    expect(w.sys(child, "setuid", 0)).toBe("EPERM");
    expect([w.sys(child, "getuid"), w.sys(child, "getppid")]).toEqual([7, w.pid]);
  });

  it("P-17 SIGPIPE ends a writer that does not ignore it", () => {
    const w = new World();
    w.call("pipe2", ARENA, 0);
    const [r, fd] = [w.peek32(ARENA), w.peek32(ARENA + 4)];
    w.call("close", r);
    expect(w.call("write", fd, ARENA, 1)).toBe("EPIPE");
    w.handle(PIPE, 0);
    expect(w.call("write", fd, ARENA, 1)).toBe("gone");
  });
});

describe("kill", () => {
  it("to all others passes over whom it may not signal, even if that is everybody; to one or a group it says so", () => {
    const w = new World();
    const child = w.fork();
    expect(w.sys(child, "setuid", 4242)).toBe(0);
    expect(w.sys(child, "kill", -1, TERM)).toBe(0);
    expect(w.sys(child, "kill", -1, 99)).toBe("EINVAL");
    expect(w.sys(child, "kill", w.pid, TERM)).toBe("EPERM");
    expect(w.sys(child, "kill", 0, 0)).toBe(0);
    expect(w.task.state).not.toBe(TaskState.DEAD);
    expect(new SignalMachine().call("kill", -1, 0)).toBe("ESRCH");
  });
});

describe("timers", () => {
  it("alarm counts seconds, setitimer repeats as its signal is taken", () => {
    const w = new World();
    w.handle(Sig.ALRM);
    expect([w.call("alarm", 10), w.call("alarm", 0), w.call("alarm", 0)]).toEqual([0, 10, 0]);
    w.poke64(ARENA, 1, 0, 1, 0);
    w.call("setitimer", 0, ARENA, 0);
    for (let i = 0; i < 3; i += 1) {
      w.kernel.clock.advanceTo(w.kernel.clock.nowNs + 1e9);
      w.kernel.settle();
    }
    expect(w.handled(w.task, Sig.ALRM)).toBe(3);
    w.call("getitimer", 0, ARENA);
    expect([w.peek64(ARENA), w.peek64(ARENA + 16)]).toEqual([1n, 1n]);
  });

  it("timer_create: its signal is queued once, what it missed is counted", () => {
    const w = new World();
    for (const task of [w.task, w.b]) w.block(task, Sig.ALRM);
    expect(w.call("timer_create", 1, 0, ARENA)).toBe(0);
    w.poke64(ARENA + 64, 1, 0, 1, 0);
    expect(w.call("timer_settime", 0, 0, ARENA + 64, 0)).toBe(0);
    w.kernel.clock.advanceTo(w.kernel.clock.nowNs + 4.5e9);
    expect(w.call("rt_sigtimedwait", w.set(Sig.ALRM), ARENA + 512, 0, 8)).toBe(Sig.ALRM);
    expect([w.peek32(ARENA + 520), w.peek32(ARENA + 532), w.call("timer_getoverrun", 0)]).toEqual([-2, 3, 3]);
    w.call("timer_gettime", 0, ARENA);
    expect([w.peek64(ARENA), w.peek64(ARENA + 24)]).toEqual([1n, 500_000_000n]);
    expect([w.call("timer_delete", 0), w.call("timer_delete", 0)]).toEqual([0, "EINVAL"]);
  });
});

it("futex: the longest sleeper wakes first; a wrong value does not sleep", () => {
  const w = new World();
  const c = w.thread("c");
  w.poke32(ARENA, 5);
  expect(w.sys(w.b, "futex", ARENA, 0x80, 5, 0)).toBe("asleep");
  expect(w.sys(c, "futex", ARENA, 0x80, 5, 0)).toBe("asleep");
  expect(w.call("futex", ARENA, 0x80, 6, 0)).toBe("EAGAIN");
  expect(w.call("futex", ARENA, 0x81, 1)).toBe(1);
  expect([w.result(w.b), w.result(c)]).toEqual([0, "asleep"]);
  w.handle(USR1);
  w.tgkill(c, USR1);
  expect(w.result(c)).toBe("EINTR");
  expect(w.call("futex", ARENA, 0x81, 9)).toBe(0);
});
