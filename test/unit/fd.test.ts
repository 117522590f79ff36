import { describe, expect, it } from "vitest";
import { sysEpollCreate1 } from "../../src/syscalls/epoll.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import {
  sysClose,
  sysCloseRange,
  sysDup,
  sysDup2,
  sysDup3,
  sysFallocate,
  sysFchmod,
  sysFcntl,
  sysFstat,
  sysFsync,
  sysFtruncate,
  sysLseek,
} from "../../src/syscalls/fd.ts";
import { sysIoctl } from "../../src/syscalls/ioctl.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { ARENA, BAD, Machine, shown } from "../helpers/files.ts";

const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;
const APPEND = 0o2000;
const DIRECT = 0o40000;
const ASYNC = 0o20000;
const [DUPFD, GETFD, SETFD, GETFL, SETFL] = [0, 1, 2, 3, 4];
const DUPFD_CLOEXEC = 1030;
const FIONBIO = 0x5421;
const FIOASYNC = 0x5452;

function machine(): Machine & { efd: () => number; pipe: () => [number, number] } {
  const m = new Machine();
  return Object.assign(m, {
    efd: () => sysEventfd2(m.task, 0, 0),
    pipe: (): [number, number] => {
      sysPipe2(m.task, ARENA, 0);
      return [m.peek32(ARENA), m.peek32(ARENA + 4)];
    },
  });
}

describe("descriptors", () => {
  it("F-01 F-10 the lowest free number, free again after close", () => {
    const m = machine();
    expect([m.efd(), m.efd(), m.efd()]).toEqual([0, 1, 2]);
    expect(sysClose(m.task, 1)).toBe(0);
    expect(shown(sysClose(m.task, 1))).toBe("EBADF");
    expect(shown(sysClose(m.task, -1))).toBe("EBADF");
    expect(m.pipe()).toEqual([1, 3]);
  });

  it("F-02 F_DUPFD", () => {
    const m = machine();
    m.efd();
    expect(sysFcntl(m.task, 0, DUPFD, 10)).toBe(10);
    expect(sysFcntl(m.task, 0, DUPFD_CLOEXEC, 10)).toBe(11);
    expect([sysFcntl(m.task, 10, GETFD, 0), sysFcntl(m.task, 11, GETFD, 0)]).toEqual([0, 1]);
    expect(sysFcntl(m.task, sysDup(m.task, 11), GETFD, 0)).toBe(0);
    expect(shown(sysFcntl(m.task, 0, DUPFD, -1))).toBe("EINVAL");
    expect(shown(sysFcntl(m.task, 0, DUPFD, 1024))).toBe("EINVAL");
    expect(sysFcntl(m.task, 0, DUPFD, 1023)).toBe(1023);
    expect(shown(sysFcntl(m.task, 0, DUPFD, 1023))).toBe("EMFILE");
  });

  it("F-03 F-04 dup2 and dup3", () => {
    const m = machine();
    m.efd();
    sysFcntl(m.task, 0, SETFD, 0xff);
    expect([sysDup2(m.task, 0, 0), sysFcntl(m.task, 0, GETFD, 0)]).toEqual([0, 1]);
    expect(shown(sysDup2(m.task, 5, 5))).toBe("EBADF");
    expect(shown(sysDup3(m.task, 0, 0, 0))).toBe("EINVAL");
    expect(shown(sysDup3(m.task, 0, 1, 1))).toBe("EINVAL");
    expect(sysDup3(m.task, 0, 7, CLOEXEC)).toBe(7);
    expect(sysFcntl(m.task, 7, GETFD, 0)).toBe(1);
    expect(shown(sysDup2(m.task, 9, 7))).toBe("EBADF");
    expect(sysFcntl(m.task, 7, GETFD, 0)).toBe(1);
    expect(shown(sysDup2(m.task, 0, 1024))).toBe("EBADF");
    expect(shown(sysDup2(m.task, 0, -1))).toBe("EBADF");
  });

  it("F-05 dup2 over the last writer tells the reader", () => {
    const m = machine();
    const [r, w] = m.pipe();
    const efd = m.efd();
    const watch = m.watch(r);
    expect(sysDup2(m.task, efd, w)).toBe(w);
    expect(watch.take()).toEqual([0]);
    expect(m.mask(r)).toBe(0x10);
  });

  it("F-06 at the limit", () => {
    const m = machine();
    m.efd();
    m.task.process.files.nofile = 1;
    expect(shown(m.efd())).toBe("EMFILE");
    expect(shown(sysDup(m.task, 0))).toBe("EMFILE");
    expect(shown(sysFcntl(m.task, 0, DUPFD, 1))).toBe("EINVAL");
    expect(m.file(0).refs).toBe(1);
  });

  it("F-07 F-13 F-14 status flags are shared; the file lives until the last number goes", () => {
    const m = machine();
    const [r, w] = m.pipe();
    const child = m.kernel.fork(m.task, "c");
    expect(sysFcntl(child, w, SETFL, NONBLOCK)).toBe(0);
    expect(sysFcntl(m.task, w, GETFL, 0)).toBe(NONBLOCK | 1);
    sysClose(m.task, w);
    expect(m.mask(r)).toBe(0);
    sysClose(child, w);
    expect(m.mask(r)).toBe(0x10);
  });

  it("F-08 F-09 F_GETFL, F_SETFL, FIONBIO", () => {
    const m = machine();
    const [r, w] = m.pipe();
    const efd = m.efd();
    expect([r, w, efd].map((fd) => sysFcntl(m.task, fd, GETFL, 0))).toEqual([0, 1, 2]);
    expect(sysFcntl(m.task, efd, SETFL, NONBLOCK | APPEND | ASYNC | 0o101)).toBe(0);
    expect(sysFcntl(m.task, efd, GETFL, 0)).toBe(2 | NONBLOCK | APPEND);
    expect(shown(sysFcntl(m.task, efd, SETFL, DIRECT))).toBe("EINVAL");
    expect(sysFcntl(m.task, w, SETFL, DIRECT | ASYNC)).toBe(0);
    expect(sysFcntl(m.task, w, GETFL, 0)).toBe(1 | DIRECT | ASYNC);
    m.poke32(ARENA, 1);
    expect(sysIoctl(m.task, r, FIONBIO, ARENA)).toBe(0);
    expect(sysFcntl(m.task, r, GETFL, 0)).toBe(NONBLOCK);
    m.poke32(ARENA, 0);
    sysIoctl(m.task, r, FIONBIO, ARENA);
    expect(sysFcntl(m.task, r, GETFL, 0)).toBe(0);
    expect(shown(sysFcntl(m.task, r, 999, 0))).toBe("EINVAL");
    expect(shown(sysFcntl(m.task, 99, 999, 0))).toBe("EBADF");
  });

  it("F-11 close_range", () => {
    const m = machine();
    for (let i = 0; i < 6; i += 1) m.efd();
    expect(sysCloseRange(m.task, 4, -1, 4)).toBe(0);
    expect([3, 4, 5].map((fd) => sysFcntl(m.task, fd, GETFD, 0))).toEqual([0, 1, 1]);
    expect(sysCloseRange(m.task, 1, 3, 0)).toBe(0);
    expect(sysCloseRange(m.task, 1, 3, 0)).toBe(0);
    expect(m.task.process.files.count).toBe(3);
    expect(shown(sysCloseRange(m.task, 3, 1, 0))).toBe("EINVAL");
    expect(shown(sysCloseRange(m.task, 1, 3, 1))).toBe("EINVAL");
  });
});

describe("what can be asked of any file", () => {
  it("E-008 P-15 fstat", () => {
    const m = machine();
    const [r] = m.pipe();
    const efd = m.efd();
    const epfd = sysEpollCreate1(m.task, 0);
    const stat = (fd: number) => {
      expect(sysFstat(m.task, fd, ARENA)).toBe(0);
      return { mode: m.peek32(ARENA + 24), ino: m.peek64(ARENA + 8), nlink: m.peek64(ARENA + 16) };
    };
    expect(stat(efd).mode).toBe(0o600);
    expect(stat(epfd)).toEqual(stat(efd));
    expect(stat(r).mode).toBe(0o10600);
    expect(m.peek64(ARENA + 48)).toBe(0n);
    expect(m.peek64(ARENA + 56)).toBe(4096n);
    expect(shown(sysFstat(m.task, r, BAD))).toBe("EFAULT");
  });

  it("E-011 E-012 on an epoll, V-14 on an eventfd, P-14 on a pipe", () => {
    const m = machine();
    const [r, w] = m.pipe();
    const efd = m.efd();
    const epfd = sysEpollCreate1(m.task, 0);
    for (const fd of [efd, epfd]) {
      expect(sysLseek(m.task, fd, 100, 0)).toBe(0);
      expect(shown(sysLseek(m.task, fd, 0, 9))).toBe("EINVAL");
      expect(shown(sysFtruncate(m.task, fd, 0))).toBe("EINVAL");
      expect(shown(sysFsync(m.task, fd))).toBe("EINVAL");
      expect(shown(sysFallocate(m.task, fd, 0, 0, 1))).toBe("ENODEV");
      expect(shown(sysFchmod(m.task, fd, 0o644))).toBe("EOPNOTSUPP");
    }
    expect(shown(sysLseek(m.task, r, 0, 0))).toBe("ESPIPE");
    expect(shown(sysLseek(m.task, r, 0, 9))).toBe("EINVAL");
    expect(shown(sysFsync(m.task, r))).toBe("EINVAL");
    expect(shown(sysFallocate(m.task, w, 0, 0, 1))).toBe("ESPIPE");
    expect(shown(sysFallocate(m.task, r, 0, 0, 1))).toBe("EBADF");
    expect(shown(sysFtruncate(m.task, 99, -1))).toBe("EINVAL");
    expect(shown(sysFtruncate(m.task, 99, 0))).toBe("EBADF");
    expect(sysFchmod(m.task, r, 0o644)).toBe(0);
    expect(m.file(w).inode.mode).toBe(0o10644);
  });

  it("E-013 E-014 ioctl", () => {
    const m = machine();
    const efd = m.efd();
    const epfd = sysEpollCreate1(m.task, 0);
    expect(shown(sysIoctl(m.task, efd, 0x541b, ARENA))).toBe("ENOTTY");
    expect(shown(sysIoctl(m.task, epfd, 0x541b, ARENA))).toBe("EINVAL");
    m.poke32(ARENA, 1);
    expect(shown(sysIoctl(m.task, epfd, FIOASYNC, ARENA))).toBe("ENOTTY");
    m.poke32(ARENA, 0);
    expect(sysIoctl(m.task, epfd, FIOASYNC, ARENA)).toBe(0);
    expect(shown(sysIoctl(m.task, epfd, FIONBIO, BAD))).toBe("EFAULT");
    expect(sysIoctl(m.task, epfd, 0x5451, 0)).toBe(0);
    expect(sysFcntl(m.task, epfd, GETFD, 0)).toBe(1);
    expect(sysIoctl(m.task, epfd, 0x5450, 0)).toBe(0);
    expect(sysFcntl(m.task, epfd, GETFD, 0)).toBe(0);
    const [r] = m.pipe();
    expect(sysIoctl(m.task, r, 0x541b, ARENA)).toBe(0);
    expect(m.peek32(ARENA)).toBe(0);
  });
});
