import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { sysIoctl } from "../../src/syscalls/ioctl.ts";
import { sysRead, sysReadv, sysWrite } from "../../src/syscalls/rw.ts";
import { sysTimerfdCreate, sysTimerfdGettime, sysTimerfdSettime } from "../../src/syscalls/timerfd.ts";
import { ARENA, BAD, Machine, Outcome, shown } from "../helpers/files.ts";

const IN = 1;
const NONBLOCK = 0o4000;
const ABSTIME = 1;
const MONOTONIC = 1;
const REALTIME = 0;
const NEW = ARENA + 0x100;
const OLD = ARENA + 0x200;
const SECOND = 1e9;

class Timer extends Machine {
  readonly fd: number;

  constructor(clock = MONOTONIC, flags = NONBLOCK) {
    super();
    this.kernel.clock.advanceTo(100 * SECOND);
    this.fd = sysTimerfdCreate(this.task, clock, flags);
  }

  /** Times in seconds. */
  set(value: number, interval = 0, flags = 0, old = 0): number | string {
    const split = (time: number): [number, number] => [Math.floor(time), Math.round((time % 1) * SECOND)];
    this.poke64(NEW, ...split(interval), ...split(value));
    return shown(sysTimerfdSettime(this.task, this.fd, flags, NEW, old));
  }

  get(): { value: number; interval: number } {
    expect(sysTimerfdGettime(this.task, this.fd, OLD)).toBe(0);
    return this.old();
  }

  old(): { value: number; interval: number } {
    const time = (at: number) => Number(this.peekS64(OLD + at)) + Number(this.peekS64(OLD + at + 8)) / SECOND;
    return { interval: time(0), value: time(16) };
  }

  read(): number | string {
    const result = sysRead(this.task, this.fd, ARENA, 8);
    return result === 8 ? Number(this.peek64(ARENA)) : shown(result);
  }

  pass(seconds: number): void {
    const { clock } = this.kernel;
    clock.advanceTo(clock.nowNs + seconds * SECOND);
    this.kernel.settle();
  }
}

describe("timerfd", () => {
  it("T-01 T-02 T-03 readable after the expiry, once", () => {
    const m = new Timer();
    const watch = m.watch(m.fd);
    m.set(1);
    m.pass(0.999);
    expect([m.mask(m.fd), m.read()]).toEqual([0, "EAGAIN"]);
    m.pass(0.001);
    expect([m.mask(m.fd), watch.take(), m.read(), m.mask(m.fd), m.read()]).toEqual([IN, [IN], 1, 0, "EAGAIN"]);
    expect(shown(sysRead(m.task, m.fd, ARENA, 7))).toBe("EINVAL");
    expect(shown(sysWrite(m.task, m.fd, ARENA, 8))).toBe("EINVAL");
  });

  it("T-04 T-05 a periodic timer fires once until it is read, and then counts what it missed", () => {
    const m = new Timer();
    const watch = m.watch(m.fd);
    m.set(0.01, 0.01);
    m.pass(0.085);
    expect(watch.take()).toEqual([IN]);
    expect(m.read()).toBe(8);
    m.pass(0.0049);
    expect(m.read()).toBe("EAGAIN");
    m.pass(0.0001);
    expect([watch.take(), m.read()]).toEqual([[IN], 1]);
  });

  it("T-06 gettime counts missed periods, starts the timer again and leaves it readable", () => {
    const m = new Timer();
    const watch = m.watch(m.fd);
    m.set(1, 1);
    m.pass(2.5);
    expect(watch.take()).toEqual([IN]);
    expect(m.get()).toEqual({ value: 0.5, interval: 1 });
    expect([m.mask(m.fd), watch.take()]).toEqual([IN, []]);
    m.pass(0.5);
    expect([watch.take(), m.read()]).toEqual([[IN], 3]);
  });

  it("T-07 settime forgets ticks without a wake", () => {
    const m = new Timer();
    const watch = m.watch(m.fd);
    m.set(1);
    m.pass(1);
    watch.take();
    m.set(1);
    expect([m.mask(m.fd), watch.take()]).toEqual([0, []]);
  });

  it("T-08 disarming keeps the interval; the old setting comes back", () => {
    const m = new Timer();
    m.set(10, 3);
    m.pass(4);
    m.set(0, 7, 0, OLD);
    expect(m.old()).toEqual({ value: 6, interval: 3 });
    expect(m.get()).toEqual({ value: 0, interval: 7 });
    m.pass(100);
    expect(m.mask(m.fd)).toBe(0);
  });

  it("T-08 the old setting of an expired periodic timer is its next expiry", () => {
    const m = new Timer();
    m.set(1, 1);
    m.pass(2.25);
    m.set(0, 0, 0, OLD);
    expect(m.old()).toEqual({ value: 0.75, interval: 1 });
  });

  it("T-09 an absolute time in the past", () => {
    const m = new Timer();
    m.set(1, 0, ABSTIME);
    expect([m.mask(m.fd), m.read()]).toEqual([IN, 1]);
    m.set(89.5, 1, ABSTIME);
    expect([m.mask(m.fd), m.read()]).toEqual([IN, 11]);
  });

  it("the realtime clock has its own origin", () => {
    const m = new Timer(REALTIME);
    m.set(101, 0, ABSTIME);
    m.pass(1);
    expect(m.read()).toBe(1);
  });

  it("T-10 one nanosecond is enough, and never early", () => {
    const m = new Timer();
    m.poke64(NEW, 0, 0, 0, 1);
    sysTimerfdSettime(m.task, m.fd, 0, NEW, 0);
    expect(m.mask(m.fd)).toBe(0);
    expect(m.kernel.advance()).toBe(true);
    expect([m.kernel.clock.nowNs, m.mask(m.fd)]).toEqual([100 * SECOND + 1, IN]);
  });

  it("T-11 errors", () => {
    const m = new Timer();
    const create = (clock: number, flags = 0) => shown(sysTimerfdCreate(m.task, clock, flags));
    expect([2, 3, 4, 11, -1].map((clock) => create(clock))).toEqual(new Array(5).fill("EINVAL"));
    expect(create(1, 1)).toBe("EINVAL");
    expect([7, 8, 9].map((clock) => create(clock))).toEqual([1, 2, 3]);
    const user = new Machine("6.18", 1000);
    expect(shown(sysTimerfdCreate(user.task, 9, 0))).toBe("EPERM");
    expect(m.set(1, 0, 4)).toBe("EINVAL");
    m.poke64(NEW, 0, 0, 0, 1e9);
    expect(shown(sysTimerfdSettime(m.task, m.fd, 0, NEW, 0))).toBe("EINVAL");
    expect(shown(sysTimerfdSettime(m.task, 99, 0, NEW, 0))).toBe("EINVAL");
    m.poke64(NEW, -1, 0, 0, 0);
    expect(shown(sysTimerfdSettime(m.task, m.fd, 0, NEW, 0))).toBe("EINVAL");
    m.poke64(NEW, 0, 0, 5, 0);
    expect(shown(sysTimerfdSettime(m.task, 99, 0, NEW, 0))).toBe("EBADF");
    expect(shown(sysTimerfdSettime(m.task, 99, 0, BAD, 0))).toBe("EFAULT");
    expect(shown(sysTimerfdSettime(m.task, m.fd, 0, NEW, BAD))).toBe("EFAULT");
    expect(m.get().value).toBe(5);
    expect(shown(sysTimerfdGettime(m.task, m.fd, BAD))).toBe("EFAULT");
    expect(shown(sysTimerfdGettime(m.task, 99, OLD))).toBe("EBADF");
  });

  it("T-12 a read that faults has taken the ticks", () => {
    const m = new Timer();
    m.set(1);
    m.pass(1);
    expect(shown(sysRead(m.task, m.fd, BAD, 8))).toBe("EFAULT");
    expect(m.mask(m.fd)).toBe(0);
  });

  it("T-14 TFD_IOC_SET_TICKS", () => {
    const m = new Timer();
    const watch = m.watch(m.fd);
    m.poke64(ARENA, 5);
    expect(sysIoctl(m.task, m.fd, 0x40085400, ARENA)).toBe(0);
    expect([watch.take(), m.read()]).toEqual([[IN], 5]);
    m.poke64(ARENA, 0);
    expect(shown(sysIoctl(m.task, m.fd, 0x40085400, ARENA))).toBe("EINVAL");
    expect(shown(sysIoctl(m.task, m.fd, 0x541b, ARENA))).toBe("ENOTTY");
  });

  it("times beyond what the clock can count saturate as a ktime does", () => {
    const m = new Timer();
    m.poke64(NEW, 0, 0, 2n ** 62n, 0);
    sysTimerfdSettime(m.task, m.fd, 0, NEW, 0);
    sysTimerfdGettime(m.task, m.fd, OLD);
    expect([m.peekS64(OLD + 16), m.peekS64(OLD + 24)]).toEqual([9223371936n, 854775807n]);
    expect(m.kernel.clock.nextExpiryNs()).toBe(-1);
    m.poke64(NEW, 2n ** 62n, 7, 0, 0);
    sysTimerfdSettime(m.task, m.fd, 0, NEW, 0);
    sysTimerfdGettime(m.task, m.fd, OLD);
    expect([m.peekS64(OLD), m.peekS64(OLD + 8)]).toEqual([9223372036n, 854775807n]);
  });

  it("a blocked reader", () => {
    const m = new Timer(MONOTONIC, 0);
    m.set(1, 1);
    const task = m.thread();
    const outcome = new Outcome();
    task.body = outcome;
    expect(sysRead(task, m.fd, ARENA, 8)).toBe(BLOCKED);
    m.pass(1);
    expect([outcome.result, m.peek64(ARENA)]).toEqual([8, 1n]);
    m.task.process.files.take(m.fd)?.put();
    expect(m.kernel.clock.nextExpiryNs()).toBe(-1);
  });

  it("fdinfo as the kernel prints it; readv joins two parts", () => {
    const m = new Timer();
    m.set(5, 7.000000005, 0);
    expect(m.file(m.fd).fdinfo()).toBe(
      "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (5, 0)\nit_interval: (7, 5)\n",
    );
    m.pass(5);
    m.poke64(ARENA + 64, ARENA, 4, ARENA + 4, 4);
    expect(sysReadv(m.task, m.fd, ARENA + 64, 2)).toBe(8);
  });
});
