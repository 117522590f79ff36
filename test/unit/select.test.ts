import { describe, expect, it } from "vitest";
import { sysEpollCreate1, sysEpollCtl } from "../../src/syscalls/epoll.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysClose } from "../../src/syscalls/fd.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { sysWrite } from "../../src/syscalls/rw.ts";
import { sysPoll, sysPpoll, sysPselect6, sysSelect } from "../../src/syscalls/select.ts";
import { ARENA, BAD, Machine, shown } from "../helpers/files.ts";

const IN = 1;
const PRI = 2;
const OUT = 4;
const ERR = 8;
const HUP = 0x10;
const NVAL = 0x20;
const RDNORM = 0x40;
const FDS = ARENA;
const SETS = ARENA + 0x1000;
const TIME = ARENA + 0x2000;
const MS = 1e6;

class Poller extends Machine {
  pipe(): [number, number] {
    sysPipe2(this.task, ARENA + 0x3000, 0o4000);
    return [this.peek32(ARENA + 0x3000), this.peek32(ARENA + 0x3004)];
  }

  efd(count = 0): number {
    return sysEventfd2(this.task, count, 0o4000);
  }

  pokeFds(fds: readonly (readonly [number, number])[]): void {
    for (const [i, [fd, events]] of fds.entries()) this.poke32(FDS + i * 8, fd, events);
  }

  revents(count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.peek32(FDS + i * 8 + 4) >>> 16);
  }

  poll(fds: readonly (readonly [number, number])[]): [number | string, number[]] {
    this.pokeFds(fds);
    const result = shown(sysPoll(this.task, FDS, fds.length, 0));
    return [result, this.revents(fds.length)];
  }

  /** select with time-out 0 of descriptors below 64; the three sets as arrays. */
  select(inp: number[], outp: number[], exp: number[], n = 64): unknown[] {
    const bits = (fds: number[]) => fds.reduce((mask, fd) => mask | (1n << BigInt(fd)), 0n);
    this.poke64(SETS, BigInt.asIntN(64, bits(inp)), BigInt.asIntN(64, bits(outp)), BigInt.asIntN(64, bits(exp)));
    this.poke64(TIME, 0, 0);
    const result = shown(sysSelect(this.task, n, SETS, SETS + 8, SETS + 16, TIME));
    const set = (addr: number) => {
      const mask = this.peek64(addr);
      return Array.from({ length: 64 }, (_, fd) => fd).filter((fd) => (mask >> BigInt(fd)) & 1n);
    };
    return [result, set(SETS), set(SETS + 8), set(SETS + 16)];
  }

  /** Runs until the next timer has fired. @returns the time in ms. */
  advance(): number {
    this.kernel.advance();
    this.kernel.settle();
    return this.kernel.clock.nowNs / MS;
  }
}

describe("poll", () => {
  it("F-26 NVAL, negative descriptors, the same one twice, ERR and HUP unasked", () => {
    const m = new Poller();
    const [r, w] = m.pipe();
    const efd = m.efd(1);
    expect(
      m.poll([
        [efd, IN],
        [99, IN],
        [-1, IN],
        [efd, IN | OUT],
        [efd, 0],
      ]),
    ).toEqual([3, [IN, NVAL, 0, IN | OUT, 0]]);
    sysClose(m.task, w);
    expect(m.poll([[r, 0]])).toEqual([1, [HUP]]);
    const [r2, w2] = m.pipe();
    sysClose(m.task, r2);
    expect(m.poll([[w2, IN]])).toEqual([1, [ERR]]);
    expect(shown(sysPoll(m.task, FDS, 1025, 0))).toBe("EINVAL");
    expect(shown(sysPoll(m.task, BAD, 1, 0))).toBe("EFAULT");
    expect(shown(sysPoll(m.task, BAD, 0, 0))).toBe(0);
  });

  it("more entries than a page holds", () => {
    const m = new Poller(undefined, 0, 4096);
    const efd = m.efd(1);
    const fds = Array.from({ length: 1200 }, (_, i) => [i % 2 === 0 ? efd : -1, IN] as const);
    const [count, revents] = m.poll(fds);
    expect(count).toBe(600);
    expect(revents.reduce((a, b) => a + b)).toBe(600);
  });

  it("sleeps until a wake with a key of interest, and stores what is there then", () => {
    const m = new Poller();
    const efd = m.efd();
    m.pokeFds([[efd, IN]]);
    const sleeper = m.sleeper((task) => sysPoll(task, FDS, 1, -1));
    m.poke64(SETS, 1);
    sysWrite(m.task, efd, SETS, 8);
    m.kernel.settle();
    expect([sleeper.result, m.revents(1)]).toEqual([1, [IN]]);
  });

  it("E-185 an interest without IN in an epoll is never woken, only found at the time-out", () => {
    const m = new Poller();
    const ep = sysEpollCreate1(m.task, 0);
    const efd = m.efd();
    m.poke32(SETS, IN, 0, 0);
    sysEpollCtl(m.task, ep, 1, efd, SETS);
    m.pokeFds([[ep, RDNORM]]);
    const sleeper = m.sleeper((task) => sysPoll(task, FDS, 1, 300));
    m.poke64(SETS, 1);
    sysWrite(m.task, efd, SETS, 8);
    m.kernel.settle();
    expect(sleeper.result).toBe(null);
    expect(m.advance()).toBe(300);
    expect([sleeper.result, m.revents(1)]).toEqual([1, [RDNORM]]);
  });

  it("E-177 E-178 an epoll with a ready item is readable and nothing else", () => {
    const m = new Poller();
    const ep = sysEpollCreate1(m.task, 0);
    m.poke32(SETS, IN, 0, 0);
    sysEpollCtl(m.task, ep, 1, m.efd(1), SETS);
    expect(m.poll([[ep, 0xffff]])).toEqual([1, [IN | RDNORM]]);
    expect(m.select([ep], [ep], [ep])).toEqual([1, [ep], [], []]);
  });

  it("a time-out returns 0, never early", () => {
    const m = new Poller();
    m.pokeFds([[m.efd(), IN]]);
    const sleeper = m.sleeper((task) => sysPoll(task, FDS, 1, 1500));
    expect(m.advance()).toBe(1500);
    expect([sleeper.result, m.revents(1)]).toEqual([0, [0]]);
  });

  it("a file closed during the sleep stays open for it; the next look finds NVAL", () => {
    const m = new Poller();
    const [r, w] = m.pipe();
    m.pokeFds([[r, IN]]);
    const sleeper = m.sleeper((task) => sysPoll(task, FDS, 1, 100));
    sysClose(m.task, r);
    m.poke(SETS, "x");
    expect(sysWrite(m.task, w, SETS, 1)).toBe(1);
    m.kernel.settle();
    expect([sleeper.result, m.revents(1)]).toEqual([1, [NVAL]]);
    expect(shown(sysWrite(m.task, w, SETS, 1))).toBe("EPIPE");
  });

  it("ppoll leaves the rest of its time", () => {
    const m = new Poller();
    const efd = m.efd();
    m.pokeFds([[efd, IN]]);
    m.poke64(TIME, 2, 5);
    const sleeper = m.sleeper((task) => sysPpoll(task, FDS, 1, TIME, 0, 0));
    m.kernel.clock.advanceTo(500 * MS);
    m.poke64(SETS, 1);
    sysWrite(m.task, efd, SETS, 8);
    m.kernel.settle();
    expect([sleeper.result, m.peek64(TIME), m.peek64(TIME + 8)]).toEqual([1, 1n, 500000005n]);
    m.poke64(TIME, 0, 1e9);
    expect(shown(sysPpoll(m.task, FDS, 1, TIME, 0, 0))).toBe("EINVAL");
    expect(shown(sysPpoll(m.task, FDS, 1, BAD, 0, 0))).toBe("EFAULT");
    m.poke64(TIME, 0, 0);
    expect(shown(sysPpoll(m.task, FDS, 1, TIME, SETS, 4))).toBe("EINVAL");
    expect(shown(sysPpoll(m.task, FDS, 1, TIME, BAD, 8))).toBe("EFAULT");
  });
});

describe("select", () => {
  it("F-27 closed descriptors, the table's end, bad arguments", () => {
    const m = new Poller();
    const efd = m.efd(1);
    expect(m.select([efd, 40], [], [])[0]).toBe("EBADF");
    expect(shown(sysSelect(m.task, -1, 0, 0, 0, 0))).toBe("EINVAL");
    m.poke64(SETS, 1, 1);
    m.poke64(TIME, 0, 0);
    expect(sysSelect(m.task, 128, SETS, 0, 0, TIME)).toBe(1);
    m.poke64(TIME, -1, 0);
    expect(shown(sysSelect(m.task, 1, SETS, 0, 0, TIME))).toBe("EINVAL");
    m.poke64(TIME, 0, -1);
    expect(shown(sysSelect(m.task, 1, SETS, 0, 0, TIME))).toBe("EINVAL");
    expect(shown(sysSelect(m.task, 1, BAD, 0, 0, TIME))).toBe("EINVAL");
    m.poke64(TIME, 0, 0);
    expect(shown(sysSelect(m.task, 1, BAD, 0, 0, TIME))).toBe("EFAULT");
    expect(shown(sysSelect(m.task, 1, 0, 0, 0, BAD))).toBe("EFAULT");
  });

  it("F-27 a tv_usec above a second is normalised", () => {
    const m = new Poller();
    m.poke64(SETS, 1);
    m.efd();
    m.poke64(TIME, -1, 3_000_000);
    const sleeper = m.sleeper((task) => sysSelect(task, 1, SETS, 0, 0, TIME));
    expect(m.advance()).toBe(2000);
    expect([sleeper.result, m.peek64(SETS), m.peek64(TIME), m.peek64(TIME + 8)]).toEqual([0, 0n, 0n, 0n]);
  });

  it("F-28 HUP is readable, ERR readable and writable; bits are counted", () => {
    const m = new Poller();
    const [r, w] = m.pipe();
    const [r2, w2] = m.pipe();
    sysClose(m.task, w);
    sysClose(m.task, r2);
    expect(m.select([r, w2], [r, w2], [r, w2])).toEqual([3, [r, w2], [w2], []]);
    const efd = m.efd(1);
    expect(m.select([efd], [efd], [efd])).toEqual([2, [efd], [efd], []]);
  });

  it("sleeps only for its own bits: an exceptional-only interest ignores data", () => {
    const m = new Poller();
    const [r, w] = m.pipe();
    m.poke64(SETS, 1 << r);
    const sleeper = m.sleeper((task) => sysSelect(task, r + 1, 0, 0, SETS, 0));
    const reader = m.sleeper((task) => sysSelect(task, r + 1, SETS, 0, 0, 0));
    m.poke(TIME, "x");
    sysWrite(m.task, w, TIME, 1);
    m.kernel.settle();
    expect([sleeper.result, reader.result, m.peek64(SETS)]).toEqual([null, 1, BigInt(1 << r)]);
    expect(PRI).toBe(2);
  });

  it("pselect6 takes a packed mask argument", () => {
    const m = new Poller();
    m.efd(1);
    m.poke64(SETS, 1);
    m.poke64(TIME, 0, 0);
    m.poke64(SETS + 64, 0, 0);
    expect(sysPselect6(m.task, 1, SETS, 0, 0, TIME, SETS + 64)).toBe(1);
    expect(sysPselect6(m.task, 1, SETS, 0, 0, TIME, 0)).toBe(1);
    m.poke64(SETS + 64, SETS, 4);
    expect(shown(sysPselect6(m.task, 1, SETS, 0, 0, TIME, SETS + 64))).toBe("EINVAL");
    expect(shown(sysPselect6(m.task, 1, SETS, 0, 0, TIME, BAD))).toBe("EFAULT");
  });
});
