import { describe, expect, it } from "vitest";
import { sysEpollCreate1 } from "../../src/syscalls/epoll.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysMemfdCreate, sysOpen } from "../../src/syscalls/open.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import {
  sysPread64,
  sysPreadv,
  sysPreadv2,
  sysPwrite64,
  sysPwritev,
  sysPwritev2,
  sysRead,
  sysReadv,
  sysWrite,
  sysWritev,
} from "../../src/syscalls/rw.ts";
import { sysTimerfdCreate } from "../../src/syscalls/timerfd.ts";
import { ARENA, BAD, EDGE_END, KERNEL_ADDRESS, Machine, shown } from "../helpers/files.ts";

const VEC = ARENA + 0x100;
const DATA = ARENA + 0x1000;
const NOWAIT = 8;

function files(version?: string) {
  const m = new Machine(version);
  sysPipe2(m.task, ARENA, 0);
  const [r, w] = [m.peek32(ARENA), m.peek32(ARENA + 4)];
  m.poke(ARENA, "x\0");
  return {
    m,
    r,
    w,
    efd: sysEventfd2(m.task, 0, 0),
    epfd: sysEpollCreate1(m.task, 0),
    tfd: sysTimerfdCreate(m.task, 1, 0),
    mem: sysMemfdCreate(m.task, ARENA, 0),
  };
}

describe("checks in the kernel's order", () => {
  it("F-16 F-17 F-18 E-010", () => {
    const { m, r, w, epfd } = files();
    expect(shown(sysRead(m.task, 99, KERNEL_ADDRESS, 1))).toBe("EBADF");
    expect(shown(sysRead(m.task, w, KERNEL_ADDRESS, 1))).toBe("EBADF");
    expect(shown(sysRead(m.task, epfd, KERNEL_ADDRESS, 1))).toBe("EINVAL");
    expect(shown(sysRead(m.task, epfd, 0, 0))).toBe("EINVAL");
    expect(shown(sysWrite(m.task, epfd, 0, 0))).toBe("EINVAL");
    expect(shown(sysRead(m.task, r, KERNEL_ADDRESS, 1))).toBe("EFAULT");
    expect(shown(sysRead(m.task, r, ARENA, -1))).toBe("EFAULT");
    expect(shown(sysRead(m.task, 99, 0, 0))).toBe("EBADF");
    expect(sysRead(m.task, r, 0, 0)).toBe(0);
  });

  it("F-20 vectors", () => {
    const { m, r, w } = files();
    expect(sysReadv(m.task, r, BAD, 0)).toBe(0);
    expect(shown(sysReadv(m.task, r, BAD, 1))).toBe("EFAULT");
    expect(shown(sysReadv(m.task, r, BAD, -1))).toBe("EINVAL");
    expect(shown(sysReadv(m.task, r, BAD, 1025))).toBe("EINVAL");
    expect(sysReadv(m.task, r, BAD, 2 ** 32)).toBe(0);
    m.poke64(VEC, DATA, 1, DATA, -1);
    expect(shown(sysWritev(m.task, w, VEC, 2))).toBe("EINVAL");
    m.poke64(VEC, BigInt(KERNEL_ADDRESS) - 2n ** 64n, 1, DATA, -1);
    expect(shown(sysWritev(m.task, w, VEC, 2))).toBe("EINVAL");
    m.poke64(VEC, DATA, 1, BigInt(KERNEL_ADDRESS) - 2n ** 64n, 1);
    expect(shown(sysWritev(m.task, w, VEC, 2))).toBe("EFAULT");
    m.poke64(VEC, DATA, 10, BAD, 10);
    expect(shown(sysWritev(m.task, w, VEC, 2))).toBe("EFAULT");
    expect(m.mask(r)).toBe(0);
    m.poke64(EDGE_END - 16, DATA, 3);
    expect(shown(sysWritev(m.task, w, EDGE_END - 16, 2))).toBe("EFAULT");
    expect(sysWritev(m.task, w, EDGE_END - 16, 1)).toBe(3);
  });

  it("pread, pwrite: E-010, P-14, V-14", () => {
    const { m, r, efd, epfd, mem } = files();
    expect(shown(sysPread64(m.task, 99, DATA, 1, -1))).toBe("EINVAL");
    expect(shown(sysPread64(m.task, 99, DATA, 1, 0))).toBe("EBADF");
    for (const fd of [r, efd, epfd]) expect(shown(sysPread64(m.task, fd, DATA, 1, 0))).toBe("ESPIPE");
    m.poke(DATA, "hello");
    expect(sysPwrite64(m.task, mem, DATA, 5, 3)).toBe(5);
    expect(sysPread64(m.task, mem, DATA + 100, 10, 4)).toBe(4);
    expect([m.peekText(DATA + 100, 4), m.file(mem).pos]).toEqual(["ello", 0]);
    m.poke64(VEC, DATA + 200, 2, DATA + 300, 20);
    expect(sysPreadv(m.task, mem, VEC, 2, 3)).toBe(5);
    expect([m.peekText(DATA + 200, 2), m.peekText(DATA + 300, 3)]).toEqual(["he", "llo"]);
    m.poke64(VEC, DATA, 2, DATA, 2);
    expect(sysPwritev(m.task, mem, VEC, 2, 0)).toBe(4);
    expect(shown(sysPwritev(m.task, efd, VEC, 2, 0))).toBe("ESPIPE");
    expect(shown(sysPwritev(m.task, mem, VEC, 2, -5))).toBe("EINVAL");
    m.poke(ARENA, ".\0");
    const dir = sysOpen(m.task, ARENA, 0, 0);
    expect(shown(sysPread64(m.task, dir, DATA, 1, 0))).toBe("EISDIR");
    expect(shown(sysRead(m.task, dir, DATA, 1))).toBe("EISDIR");
  });
});

describe("F-24 preadv2", () => {
  it("RWF_NOWAIT on a blocking file with nothing to read", () => {
    const { m, r, efd, tfd, epfd } = files();
    m.poke64(VEC, DATA, 8);
    for (const fd of [r, efd, tfd]) {
      expect(shown(sysPreadv2(m.task, fd, VEC, 1, -1, -1, NOWAIT))).toBe("EAGAIN");
      expect(shown(sysPreadv2(m.task, fd, VEC, 1, -1, -1, 0x1000))).toBe("EOPNOTSUPP");
      expect(shown(sysPreadv2(m.task, fd, VEC, 1, -1, -1, 0x30))).toBe("EINVAL");
      expect(shown(sysPreadv2(m.task, fd, VEC, 1, 0, 0, NOWAIT))).toBe("ESPIPE");
      expect(sysPreadv2(m.task, fd, VEC, 0, -1, -1, 0x1000)).toBe(0);
    }
    expect(shown(sysPreadv2(m.task, epfd, VEC, 1, -1, -1, 0))).toBe("EINVAL");
  });

  it("files without an iterator take no flags, and one buffer at a time", () => {
    const { m, efd } = files();
    m.poke64(VEC, DATA, 8);
    expect(shown(sysPwritev2(m.task, efd, VEC, 1, -1, -1, NOWAIT))).toBe("EOPNOTSUPP");
    expect(sysPwritev2(m.task, efd, VEC, 1, -1, -1, 1)).toBe(8);
    const old = files("6.1");
    old.m.poke64(VEC, DATA, 4, DATA + 4, 4);
    expect(shown(sysReadv(old.m.task, old.tfd, VEC, 2))).toBe("EINVAL");
    expect(shown(sysPreadv2(old.m.task, old.tfd, VEC, 2, -1, -1, NOWAIT))).toBe("EOPNOTSUPP");
  });
});
