import { describe, expect, it } from "vitest";
import type { EventfdCtx } from "../../src/kernel/fs/eventfd.ts";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysRead, sysReadv, sysWrite, sysWritev } from "../../src/syscalls/rw.ts";
import { ARENA, BAD, Machine, Outcome, shown } from "../helpers/files.ts";

const IN = 1;
const OUT = 4;
const ERR = 8;
const HUP = 16;
const SEMAPHORE = 1;
const NONBLOCK = 0o4000;
const MAX = 2n ** 64n - 2n;

class Efd extends Machine {
  readonly fd: number;

  constructor(count = 0, flags = NONBLOCK, version = "6.18") {
    super(version);
    this.fd = sysEventfd2(this.task, count, flags);
  }

  write(value: bigint | number, length = 8): number | string {
    this.poke64(ARENA, value);
    return shown(sysWrite(this.task, this.fd, ARENA, length));
  }

  /** The value read, or the error's name. */
  read(): bigint | string {
    const result = sysRead(this.task, this.fd, ARENA + 64, 8);
    return result === 8 ? this.peek64(ARENA + 64) : String(shown(result));
  }
}

describe("eventfd", () => {
  it("V-01 V-06 mask: IN above 0, OUT below 2^64-2", () => {
    const m = new Efd();
    expect(m.mask(m.fd)).toBe(OUT);
    m.write(1);
    expect(m.mask(m.fd)).toBe(IN | OUT);
    expect(m.write(MAX - 2n)).toBe(8);
    expect(m.mask(m.fd)).toBe(IN | OUT);
    expect(m.write(1)).toBe(8);
    expect(m.mask(m.fd)).toBe(IN);
    expect(m.write(1)).toBe("EAGAIN");
    expect(m.write(0)).toBe(8);
    expect(m.read()).toBe(MAX);
    expect(m.mask(m.fd)).toBe(OUT);
  });

  it("V-02 read takes the whole count, or one in semaphore mode", () => {
    const m = new Efd(7);
    expect(m.read()).toBe(7n);
    expect(m.read()).toBe("EAGAIN");
    const s = new Efd(2, NONBLOCK | SEMAPHORE);
    expect([s.read(), s.read(), s.read()]).toEqual([1n, 1n, "EAGAIN"]);
    s.write(2n ** 32n);
    expect(s.read()).toBe(1n);
    expect((s.file(s.fd) as EventfdCtx).low).toBe(2 ** 32 - 1);
    expect((s.file(s.fd) as EventfdCtx).high).toBe(0);
  });

  it("V-03 V-04 sizes", () => {
    const m = new Efd();
    expect(shown(sysRead(m.task, m.fd, ARENA, 7))).toBe("EINVAL");
    m.write(5);
    expect(sysRead(m.task, m.fd, ARENA, 100)).toBe(8);
    expect([m.write(1, 4), m.write(1, 16), m.write(1, 0)]).toEqual(["EINVAL", "EINVAL", "EINVAL"]);
    const old = new Efd(0, NONBLOCK, "6.1");
    expect([old.write(1, 4), old.write(1, 16)]).toEqual(["EINVAL", 8]);
  });

  it("V-05 2^64-1 is refused, and what would not fit is EAGAIN", () => {
    const m = new Efd(3);
    expect(m.write(-1)).toBe("EINVAL");
    expect(m.write(MAX - 2n)).toBe("EAGAIN");
    expect(m.write(MAX - 3n)).toBe(8);
    expect(m.read()).toBe(MAX);
  });

  it("V-07 V-08 V-12 wakes: each write IN, each read OUT, failures nothing", () => {
    const m = new Efd(0, NONBLOCK | SEMAPHORE);
    const first = m.watch(m.fd);
    const second = m.watch(m.fd);
    m.write(0);
    m.write(3);
    expect(first.take()).toEqual([IN, IN]);
    expect(second.take()).toEqual([IN, IN]);
    m.read();
    expect(first.take()).toEqual([OUT]);
    m.read();
    m.read();
    first.take();
    m.read();
    m.write(-1);
    m.write(1, 4);
    expect(first.take()).toEqual([]);
  });

  it("wakes one exclusive waiter only", () => {
    const m = new Efd();
    const first = m.watch(m.fd, true);
    const second = m.watch(m.fd, true);
    m.write(1);
    expect([first.take(), second.take()]).toEqual([[IN], []]);
  });

  it("V-09 a read that faults has consumed the count", () => {
    const m = new Efd(4);
    expect(shown(sysRead(m.task, m.fd, BAD, 8))).toBe("EFAULT");
    expect(m.mask(m.fd)).toBe(OUT);
    expect(shown(sysWrite(m.task, m.fd, BAD, 8))).toBe("EFAULT");
  });

  it("V-11 the kernel's own signal reaches 2^64-1", () => {
    const m = new Efd();
    m.write(MAX);
    const watch = m.watch(m.fd);
    const ctx = m.file(m.fd) as EventfdCtx;
    ctx.signal(0);
    ctx.signal(0);
    expect(watch.take()).toEqual([IN, IN]);
    expect(m.mask(m.fd)).toBe(IN | ERR);
    expect(m.write(0)).toBe("EAGAIN");
    expect(m.read()).toBe(2n ** 64n - 1n);
  });

  it("V-13 release wakes with HUP", () => {
    const m = new Efd();
    const watch = m.watch(m.fd);
    m.task.process.files.take(m.fd)?.put();
    expect(watch.take()).toEqual([HUP]);
  });

  it("V-14 flags, seek, vectors", () => {
    const m = new Efd(1);
    expect(shown(sysEventfd2(m.task, 0, 2))).toBe("EINVAL");
    expect(m.file(m.fd).seek(100, 0)).toBe(0);
    m.poke64(ARENA + 100, 9);
    m.poke64(ARENA, ARENA + 100, 4, ARENA + 104, 4);
    expect(sysReadv(m.task, m.fd, ARENA, 2)).toBe(8);
    expect(shown(sysWritev(m.task, m.fd, ARENA, 2))).toBe("EINVAL");
    m.poke64(ARENA, ARENA + 100, 8, 0, 0, ARENA + 100, 8);
    m.poke64(ARENA + 100, 9);
    expect(sysWritev(m.task, m.fd, ARENA, 3)).toBe(16);
    expect(m.read()).toBe(18n);
    m.poke64(ARENA, 0, 0, ARENA + 100, 8);
    expect(shown(sysWritev(m.task, m.fd, ARENA, 2))).toBe("EINVAL");
  });

  it("a blocked reader sleeps until a write, a blocked writer until a read", () => {
    const m = new Efd(0, 0);
    const reader = m.thread();
    const got = new Outcome();
    reader.body = got;
    expect(sysRead(reader, m.fd, ARENA + 64, 8)).toBe(BLOCKED);
    m.write(5);
    m.kernel.settle();
    expect(got.result).toBe(8);
    expect(m.peek64(ARENA + 64)).toBe(5n);
    m.write(MAX);
    const writer = m.thread();
    const wrote = new Outcome();
    writer.body = wrote;
    m.poke64(ARENA, 2);
    expect(sysWrite(writer, m.fd, ARENA, 8)).toBe(BLOCKED);
    expect(m.read()).toBe(MAX);
    m.kernel.settle();
    expect(wrote.result).toBe(8);
    expect(m.read()).toBe(2n);
  });

  it("two blocked readers both wake; the first takes all and the second sleeps again", () => {
    const m = new Efd(0, 0);
    const outcomes = [new Outcome(), new Outcome()];
    for (const outcome of outcomes) {
      const reader = m.thread();
      reader.body = outcome;
      sysRead(reader, m.fd, ARENA + 64, 8);
    }
    m.write(5);
    m.kernel.settle();
    expect(outcomes.map((o) => o.result)).toEqual([8, null]);
    m.write(1);
    m.kernel.settle();
    expect(outcomes.map((o) => o.result)).toEqual([8, 8]);
  });

  it("fdinfo as the kernel prints it", () => {
    const m = new Efd(255, SEMAPHORE);
    expect(m.file(m.fd).fdinfo()).toBe("eventfd-count:               ff\neventfd-id: 0\neventfd-semaphore: 1\n");
    const old = new Efd(255, SEMAPHORE, "6.1");
    expect(old.file(old.fd).fdinfo()).toBe("eventfd-count:               ff\neventfd-id: 0\n");
  });
});
