import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { sysGetpid, sysGettid, sysPrlimit64 } from "../../src/syscalls/process.ts";
import { sysClockGettime, sysClockNanosleep, sysNanosleep, sysTime } from "../../src/syscalls/time.ts";
import { ARENA, BAD, Machine, Outcome, shown } from "../helpers/files.ts";

const MS = 1e6;

describe("clocks and sleep", () => {
  it("clock_gettime and time", () => {
    const m = new Machine();
    m.kernel.clock.advanceTo(1500 * MS);
    const read = (clock: number) => {
      const result = sysClockGettime(m.task, clock, ARENA);
      return result < 0 ? shown(result) : [m.peek64(ARENA), m.peek64(ARENA + 8)];
    };
    for (const clock of [0, 1, 4, 7]) expect(read(clock)).toEqual([1n, 500000000n]);
    for (const clock of [10, 12, -1, 100]) expect(read(clock)).toBe("EINVAL");
    expect(() => read(2)).toThrow("not modelled");
    expect(shown(sysClockGettime(m.task, 1, BAD))).toBe("EFAULT");
    expect([sysTime(m.task, ARENA), m.peek64(ARENA), shown(sysTime(m.task, BAD))]).toEqual([1, 1n, "EFAULT"]);
  });

  it("nanosleep and its absolute form", () => {
    const m = new Machine();
    const outcome = new Outcome();
    const task = m.thread();
    task.body = outcome;
    m.poke64(ARENA, 0, 5 * MS);
    expect(sysNanosleep(task, ARENA, 0)).toBe(BLOCKED);
    m.kernel.advance();
    m.kernel.settle();
    expect([outcome.result, m.kernel.clock.nowNs]).toEqual([0, 5 * MS]);
    expect(sysClockNanosleep(task, 0, 1, ARENA, BAD)).toBe(0);
    m.poke64(ARENA, 0, 6 * MS);
    expect(sysClockNanosleep(task, 1, 1, ARENA, BAD)).toBe(BLOCKED);
    m.kernel.advance();
    m.kernel.settle();
    expect(m.kernel.clock.nowNs).toBe(6 * MS);
    m.poke64(ARENA, 0, 0);
    expect(sysNanosleep(task, ARENA, 0)).toBe(0);
    for (const clock of [3, 4, 5, 6]) expect(shown(sysClockNanosleep(task, clock, 0, BAD, 0))).toBe("EOPNOTSUPP");
    for (const clock of [10, -1, 100]) expect(shown(sysClockNanosleep(task, clock, 0, BAD, 0))).toBe("EINVAL");
    expect(shown(sysNanosleep(task, BAD, 0))).toBe("EFAULT");
    m.poke64(ARENA, 0, 1e9);
    expect(shown(sysNanosleep(task, ARENA, 0))).toBe("EINVAL");
    m.poke64(ARENA, -1, 0);
    expect(shown(sysNanosleep(task, ARENA, 0))).toBe("EINVAL");
  });

  it("a signal leaves the rest of the time", () => {
    const m = new Machine();
    const task = m.thread();
    m.poke64(ARENA, 2, 1);
    sysNanosleep(task, ARENA, ARENA + 64);
    m.kernel.clock.advanceTo(500 * MS);
    task.signalPending = true;
    task.wakeUp();
    m.kernel.settle();
    expect([m.peek64(ARENA + 64), m.peek64(ARENA + 72)]).toEqual([1n, 500000001n]);
  });
});

describe("the process", () => {
  it("getpid and gettid", () => {
    const m = new Machine();
    const thread = m.thread();
    expect(sysGetpid(thread)).toBe(sysGetpid(m.task));
    expect(sysGettid(m.task)).toBe(sysGetpid(m.task));
    expect(sysGettid(thread)).not.toBe(sysGettid(m.task));
  });

  it("F-06 prlimit64 of RLIMIT_NOFILE", () => {
    const m = new Machine();
    const set = (soft: number | bigint, hard: number | bigint, old = 0) => {
      m.poke64(ARENA, soft, hard);
      return shown(sysPrlimit64(m.task, 0, 7, ARENA, old));
    };
    expect(set(10, 5)).toBe("EINVAL");
    expect(set(10, 2 ** 40)).toBe("EPERM");
    expect(set(-1, -1)).toBe("EPERM");
    expect(set(100, 500, ARENA + 64)).toBe(0);
    expect([m.peek64(ARENA + 64), m.peek64(ARENA + 72)]).toEqual([1024n, 1048576n]);
    expect(set(100, 501)).toBe("EPERM");
    expect(set(500, 500, BAD)).toBe("EFAULT");
    expect(m.task.process.files.nofile).toBe(500);
    expect(shown(sysPrlimit64(m.task, 0, 16, 0, 0))).toBe("EINVAL");
    expect(shown(sysPrlimit64(m.task, 0, 7, BAD, 0))).toBe("EFAULT");
    expect(() => sysPrlimit64(m.task, 0, 3, 0, ARENA)).toThrow("not modelled");
  });
});
