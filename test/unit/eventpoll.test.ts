import { describe, expect, test } from "vitest";
import { firstChoice } from "../../src/kernel/choice.ts";
import { checkEventpoll } from "../../src/kernel/fs/eventpoll/invariants.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { BLOCKED, type Task } from "../../src/kernel/sched/task.ts";
import { Epoll, EpollCtl } from "../../src/kernel/uapi/epoll.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { sysEpollCreate1, sysEpollCtl, sysEpollWait } from "../../src/syscalls/epoll.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";

const BASE = 0x10000;
const EVENTS = BASE + 0x1000;

/** A process with one page for arguments, three for events, and calls that speak in values. */
class Bench {
  readonly kernel = new Kernel({ profile: kernelProfile("6.18"), chooser: firstChoice, bootNs: 1, bootEpochNs: 0n });
  readonly task: Task = this.kernel.createProcess("A", 0, 1024);
  readonly #vma = this.task.process.mm.map(BASE, 0x4000, 3);

  eventfd(count: number): number {
    return sysEventfd2(this.task, count, 0o4000);
  }

  ctl(ep: number, op: number, fd: number, events: number, data = fd): number {
    this.#vma.view.setInt32(0, events, true);
    this.#vma.view.setBigUint64(4, BigInt(data), true);
    return sysEpollCtl(this.task, ep, op, fd, BASE);
  }

  write(fd: number): number {
    this.#vma.view.setBigUint64(16, 1n, true);
    return sysWrite(this.task, fd, BASE + 16, 8);
  }

  wait(ep: number, max = 8): [number, number][] | number {
    const n = sysEpollWait(this.task, ep, EVENTS, max, 0);
    if (n < 0) return n;
    const at = EVENTS - BASE;
    return Array.from({ length: n }, (_, i) => [
      this.#vma.view.getUint32(at + i * 12, true),
      Number(this.#vma.view.getBigUint64(at + i * 12 + 4, true)),
    ]);
  }

  check(ep: number): void {
    const instance = this.task.process.files.get(ep)?.epoll;
    if (instance) checkEventpoll(instance);
  }
}

describe("the epoll instance, by direct calls", () => {
  test("E-061, E-068, E-069: first in first out, level-triggered items rotate", () => {
    const os = new Bench();
    const ep = sysEpollCreate1(os.task, 0);
    const fds = [0, 0, 0].map((count) => os.eventfd(count)) as [number, number, number];
    for (const fd of fds) expect(os.ctl(ep, EpollCtl.ADD, fd, Epoll.IN)).toBe(0);
    for (const fd of [fds[2], fds[0], fds[1]]) os.write(fd);
    os.check(ep);
    expect(os.wait(ep, 1)).toEqual([[1, fds[2]]]);
    expect(os.wait(ep, 1)).toEqual([[1, fds[0]]]);
    expect(os.wait(ep)).toEqual([
      [1, fds[1]],
      [1, fds[2]],
      [1, fds[0]],
    ]);
    sysRead(os.task, fds[2], EVENTS, 8);
    expect(os.wait(ep)).toEqual([
      [1, fds[1]],
      [1, fds[0]],
    ]);
    os.check(ep);
  });

  test("E-105: a fault loses no event, and the item stays first", () => {
    const os = new Bench();
    const ep = sysEpollCreate1(os.task, 0);
    const [a, b] = [os.eventfd(1), os.eventfd(1)];
    os.ctl(ep, EpollCtl.ADD, a, Epoll.IN | Epoll.ET);
    os.ctl(ep, EpollCtl.ADD, b, Epoll.IN | Epoll.ONESHOT);
    expect(sysEpollWait(os.task, ep, 0, 8, 0)).toBe(-Errno.EFAULT);
    os.check(ep);
    expect(os.wait(ep)).toEqual([
      [1, a],
      [1, b],
    ]);
    expect(os.wait(ep)).toEqual([]);
  });

  test("E-155, E-156: the newest sleeper is woken, one per event", () => {
    const os = new Bench();
    const ep = sysEpollCreate1(os.task, 0);
    const fd = os.eventfd(0);
    os.ctl(ep, EpollCtl.ADD, fd, Epoll.IN | Epoll.ET);
    const results: string[] = [];
    for (const name of ["t1", "t2", "t3"]) {
      const task = os.kernel.createThread(os.task, name);
      task.body = { resume: (_task, result) => results.push(`${name}=${result}`) };
      expect(sysEpollWait(task, ep, EVENTS, 8, -1)).toBe(BLOCKED);
    }
    os.write(fd);
    os.kernel.settle();
    expect(results).toEqual(["t3=1"]);
    os.write(fd);
    os.kernel.settle();
    expect(results).toEqual(["t3=1", "t2=1"]);
    os.check(ep);
  });

  test("E-187: four links from epoll to epoll, not five, built from either end", () => {
    for (const upward of [true, false]) {
      const os = new Bench();
      const eps = Array.from({ length: 6 }, () => sysEpollCreate1(os.task, 0));
      const links = [0, 1, 2, 3, 4].map((i) => [eps[i], eps[i + 1]] as [number, number]);
      const order = upward ? links : links.toReversed();
      const results = order.map(([outer, inner]) => os.ctl(outer, EpollCtl.ADD, inner, Epoll.IN));
      expect(results).toEqual([0, 0, 0, 0, -Errno.ELOOP]);
    }
  });

  test("an expired wait returns 0 at its deadline", () => {
    const os = new Bench();
    const ep = sysEpollCreate1(os.task, 0);
    let result = -1;
    os.task.body = { resume: (_task, value) => (result = value) };
    expect(sysEpollWait(os.task, ep, EVENTS, 8, 50)).toBe(BLOCKED);
    os.kernel.settle();
    expect(os.kernel.advance()).toBe(true);
    os.kernel.settle();
    expect([result, os.kernel.clock.nowNs]).toEqual([0, 50_000_001]);
  });
});
