import { describe, expect, it } from "vitest";
import { BLOCKED, type Task } from "../../src/kernel/sched/task.ts";
import { sysEpollCreate1, sysEpollCtl } from "../../src/syscalls/epoll.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysClose, sysFcntl, sysFstat, sysFsync, sysFtruncate, sysLseek } from "../../src/syscalls/fd.ts";
import { sysIoctl } from "../../src/syscalls/ioctl.ts";
import {
  sysMemfdCreate,
  sysMkdir,
  sysMknod,
  sysOpen,
  sysOpenat,
  sysUnlink,
  sysUnlinkat,
} from "../../src/syscalls/open.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { ARENA, BAD, EDGE_END, Machine, Outcome, shown } from "../helpers/files.ts";

const RD = 0;
const WR = 1;
const RW = 2;
const CREAT = 0o100;
const EXCL = 0o200;
const TRUNC = 0o1000;
const APPEND = 0o2000;
const NB = 0o4000;
const DIRECT = 0o40000;
const DIRECTORY = 0o200000;
const LARGEFILE = 0o100000;
const PATH = 0o10000000;
const IN2 = 0x41;
const OUT2 = 0x104;
const HUP = 0x10;
const NAME = ARENA;
const DATA = ARENA + 0x2000;

class Tree extends Machine {
  name(path: string): number {
    this.poke(NAME, `${path}\0`);
    return NAME;
  }

  open(path: string, flags: number, task: Task = this.task): number | string {
    return shown(sysOpen(task, this.name(path), flags, 0o600));
  }

  /** Opens, notes the result and closes again. */
  tryOpen(path: string, flags: number): string {
    const fd = this.open(path, flags);
    if (typeof fd !== "number") return fd;
    sysClose(this.task, fd);
    return "ok";
  }

  fifo(path: string): void {
    expect(sysMknod(this.task, this.name(path), 0o10600)).toBe(0);
  }

  write(fd: number | string, text: string): number | string {
    this.poke(DATA, text);
    return shown(sysWrite(this.task, fd as number, DATA, text.length));
  }

  read(fd: number | string, count = 100): string {
    const n = sysRead(this.task, fd as number, DATA, count);
    return n < 0 ? String(shown(n)) : this.peekText(DATA, n);
  }

  opener(path: string, flags: number): Outcome {
    const task = this.thread();
    const outcome = new Outcome();
    task.body = outcome;
    expect(sysOpen(task, this.name(path), flags, 0)).toBe(BLOCKED);
    return outcome;
  }
}

describe("paths, as the reference kernel answers", () => {
  it.each([
    ["f/", RD, "ENOTDIR"],
    ["f/x", RD, "ENOTDIR"],
    ["d/", RD, "ok"],
    ["d", RW, "EISDIR"],
    ["d", CREAT, "EISDIR"],
    ["d/", CREAT, "EISDIR"],
    ["d", CREAT | EXCL, "EEXIST"],
    ["n/", RW | CREAT, "EISDIR"],
    ["n", RD, "ENOENT"],
    ["n/x", CREAT, "ENOENT"],
    ["f", CREAT | EXCL, "EEXIST"],
    ["f/", CREAT | EXCL, "EISDIR"],
    ["f", DIRECTORY, "ENOTDIR"],
    ["f", DIRECTORY | CREAT, "EINVAL"],
    ["p", DIRECTORY, "ENOTDIR"],
    ["p", WR | NB, "ENXIO"],
    ["p", RW | NB | TRUNC, "ok"],
    ["p", RW | NB | DIRECT, "EINVAL"],
    ["p", 3 | NB, "EINVAL"],
    ["d/.", RD, "ok"],
    ["d/..", RD, "ok"],
    [".", CREAT, "EISDIR"],
    ["d/.", CREAT | EXCL, "EEXIST"],
    ["", RD, "ENOENT"],
    ["f", PATH | CREAT, "ok"],
    ["n", PATH | CREAT, "ENOENT"],
    ["f", PATH | DIRECTORY, "ENOTDIR"],
    ["f/.", RD, "ENOTDIR"],
    ["./d//../f", RD, "ok"],
    ["f", 3, "ok"],
    ["d", 3, "EISDIR"],
    ["d", TRUNC, "EISDIR"],
    ["s", RD, "ENXIO"],
    ["s", PATH, "ok"],
    ["s", CREAT, "ENXIO"],
  ])("open(%s, 0o%i) gives %s", (path, flags, result) => {
    const m = new Tree();
    m.open("f", RW | CREAT);
    sysMkdir(m.task, m.name("d"), 0o700);
    m.fifo("p");
    sysMknod(m.task, m.name("s"), 0o140600);
    expect(m.tryOpen(path, flags)).toBe(result);
  });

  it("names and paths that are too long", () => {
    const m = new Tree();
    expect(m.open("x".repeat(256), RD)).toBe("ENAMETOOLONG");
    expect(m.open("y".repeat(255), RD)).toBe("ENOENT");
    expect(m.open(`.${"/".repeat(4095)}`, RD)).toBe("ENAMETOOLONG");
    expect(m.open(`.${"/".repeat(4094)}`, RD)).toBe(0);
  });

  it("mkdir, mknod, unlink, rmdir", () => {
    const m = new Tree();
    m.open("f", RW | CREAT);
    const mkdir = (path: string) => shown(sysMkdir(m.task, m.name(path), 0o700));
    expect(["d", "d", "f", "d/", "f/", "n/x", "m2/", ".", "..", "d/.", "/", "f/x"].map(mkdir)).toEqual([
      ...[0, "EEXIST", "EEXIST", "EEXIST", "EEXIST", "ENOENT", 0, "EEXIST", "EEXIST", "EEXIST", "EEXIST", "ENOTDIR"],
    ]);
    const mknod = (path: string, mode: number) => shown(sysMknod(m.task, m.name(path), mode));
    expect(mknod("f", 0o10600)).toBe("EEXIST");
    expect(mknod("k", 0o40600)).toBe("EPERM");
    expect(mknod("k", 0o170600)).toBe("EINVAL");
    expect(mknod("k", 0o120600)).toBe("EINVAL");
    expect(mknod("k/", 0o10600)).toBe("ENOENT");
    expect(mknod("f/k", 0o10600)).toBe("ENOTDIR");
    expect(mknod("d/k", 0o10600)).toBe(0);
    expect(shown(sysMknod(m.task, BAD, 0o170600))).toBe("EINVAL");
    expect(shown(sysMknod(m.task, BAD, 0o10600))).toBe("EFAULT");
    const unlink = (path: string) => shown(sysUnlink(m.task, m.name(path)));
    expect(["d", "d/", "f/", "n", "n/", "f/x", ".", "..", "/", "f", "f"].map(unlink)).toEqual([
      ...["EISDIR", "EISDIR", "ENOTDIR", "ENOENT", "ENOENT", "ENOTDIR", "EISDIR", "EISDIR", "EISDIR", 0, "ENOENT"],
    ]);
    const rmdir = (path: string) => shown(sysUnlinkat(m.task, -100, m.name(path), 0x200));
    expect(["d/k", "n", "d", ".", "..", "m2/", "m2", "/"].map(rmdir)).toEqual([
      ...["ENOTDIR", "ENOENT", "ENOTEMPTY", "EINVAL", "ENOTEMPTY", 0, "ENOENT", "EBUSY"],
    ]);
    expect(shown(sysUnlinkat(m.task, -100, NAME, 1))).toBe("EINVAL");
  });

  it("a path in memory that ends too early, a directory descriptor, the limit", () => {
    const m = new Tree();
    m.poke(EDGE_END - 3, "abc");
    expect(shown(sysOpen(m.task, EDGE_END - 3, RD, 0))).toBe("EFAULT");
    sysMkdir(m.task, m.name("d"), 0o700);
    const d = m.open("d", DIRECTORY) as number;
    expect(shown(sysOpenat(m.task, d, m.name("x"), RW | CREAT, 0o600))).toBe(1);
    expect(m.file(1).link).toBe("/work/d/x");
    expect(shown(sysOpenat(m.task, 1, m.name("x"), RD, 0))).toBe("ENOTDIR");
    expect(shown(sysOpenat(m.task, 99, m.name("x"), RD, 0))).toBe("EBADF");
    expect(shown(sysOpenat(m.task, 99, m.name("/dev/null"), RD, 0))).toBe(2);
    m.task.process.files.nofile = 3;
    expect(m.open("n", RD)).toBe("EMFILE");
    expect(shown(sysOpen(m.task, BAD, RD, 0))).toBe("EFAULT");
  });

  it("F_GETFL shows what Linux keeps of the flags", () => {
    const m = new Tree();
    const flags = (path: string, wanted: number) => sysFcntl(m.task, m.open(path, wanted) as number, 3, 0);
    expect(flags(".", 0o2000000)).toBe(LARGEFILE);
    expect(flags("/dev/null", RW | NB)).toBe(RW | NB | LARGEFILE);
    expect(flags(".", PATH | 0o2000000)).toBe(PATH);
    expect(flags("f", RW | CREAT | EXCL | APPEND)).toBe(RW | APPEND | LARGEFILE);
  });

  it("somebody else's files", () => {
    const m = new Tree("6.18", 1000);
    expect(m.open("mine", RW | CREAT)).toBe(0);
    m.file(0).inode.uid = 7;
    expect(m.tryOpen("mine", RD)).toBe("EACCES");
    m.file(0).inode.mode = 0o100604;
    expect(m.tryOpen("mine", RD)).toBe("ok");
    expect(m.tryOpen("mine", WR)).toBe("EACCES");
    expect(m.tryOpen("/dev/fuse", RD)).toBe("EACCES");
  });
});

describe("regular files", () => {
  it("positions, append, truncation, holes", () => {
    const m = new Tree();
    const fd = m.open("f", RW | CREAT) as number;
    expect(m.write(fd, "hello")).toBe(5);
    expect([m.read(fd), sysLseek(m.task, fd, 1, 0), m.read(fd, 3)]).toEqual(["", 1, "ell"]);
    const again = m.open("f", RW | APPEND) as number;
    m.write(again, "!");
    sysLseek(m.task, fd, 0, 0);
    expect(m.read(fd)).toBe("hello!");
    expect(sysIoctl(m.task, again, 0x541b, ARENA)).toBe(0);
    expect(m.peek32(ARENA)).toBe(0);
    expect(sysFtruncate(m.task, fd, 2)).toBe(0);
    expect(sysLseek(m.task, fd, 2, 2)).toBe(4);
    m.write(fd, "x");
    sysLseek(m.task, fd, 0, 0);
    expect(m.read(fd)).toBe("he\0\0x");
    expect(shown(sysLseek(m.task, fd, -9, 1))).toBe("EINVAL");
    expect(m.tryOpen("f", RW | TRUNC)).toBe("ok");
    expect([sysFsync(m.task, fd), m.file(fd).inode.size]).toEqual([0, 0]);
  });

  it("an unlinked file lives on, and can be opened through its descriptor", () => {
    const m = new Tree();
    const fd = m.open("f", RW | CREAT) as number;
    m.write(fd, "hello");
    sysUnlink(m.task, m.name("f"));
    expect([m.open("f", RD), m.file(fd).link]).toEqual(["ENOENT", "/work/f (deleted)"]);
    const again = m.open(`/proc/self/fd/${fd}`, RD);
    expect([m.read(again), m.file(again as number).link]).toEqual(["hello", "/work/f (deleted)"]);
    expect(sysFstat(m.task, fd, ARENA)).toBe(0);
    expect(m.peek64(ARENA + 16)).toBe(0n);
  });

  it("memfd_create", () => {
    const m = new Tree();
    const fd = sysMemfdCreate(m.task, m.name("data"), 0);
    expect(m.file(fd).link).toBe("/memfd:data (deleted)");
    expect(sysFcntl(m.task, fd, 3, 0)).toBe(RW | LARGEFILE);
    expect(m.file(fd).inode.mode).toBe(0o100777);
    expect(shown(sysMemfdCreate(m.task, m.name("x".repeat(250)), 0))).toBe("EINVAL");
    expect(shown(sysMemfdCreate(m.task, m.name("x"), 0x20))).toBe("EINVAL");
    expect(shown(sysMemfdCreate(m.task, BAD, 0))).toBe("EFAULT");
  });
});

describe("the files of the system", () => {
  it("E-045 E-046 E-047 E-048 O-01 O-02 O-03 O-05 which can be polled, and what they report", () => {
    const m = new Tree();
    const ep = sysEpollCreate1(m.task, 0);
    m.poke32(ARENA + 0x100, 0xffff, 0, 0);
    const shows = (path: string, flags = RD) => {
      const fd = m.open(path, flags) as number;
      const added = shown(sysEpollCtl(m.task, ep, 1, fd, ARENA + 0x100));
      return [m.mask(fd), added];
    };
    for (const path of [
      "/dev/null",
      "/dev/zero",
      "/dev/full",
      "/dev/urandom",
      "/proc/self/status",
      "/proc/self/maps",
      ".",
    ])
      expect([path, ...shows(path)]).toEqual([path, 0x145, "EPERM"]);
    for (const path of ["/proc/meminfo", "/proc/version", "/proc/net/tcp", "/proc/sys/kernel/hostname"])
      expect([path, ...shows(path)]).toEqual([path, 0x145, 0]);
    for (const path of ["/proc/swaps", "/proc/mounts", "/proc/self/mounts", "/proc/self/mountinfo", "/dev/random"])
      expect([path, ...shows(path)]).toEqual([path, 0x41, 0]);
    expect(shows("/sys/class/net/lo/operstate")).toEqual([0x14f, 0]);
    expect(shows("/dev/net/tun", RW)).toEqual([8, 0]);
    expect(shows("/dev/fuse", RW)).toEqual([8, 0]);
    expect(shows("/dev/ptmx", RW)).toEqual([OUT2, 0]);
    expect(shows("/proc/pressure/cpu")).toEqual([0x14f, 0]);
    expect(shows("/proc/self/ns/net")).toEqual([0x145, "EPERM"]);
    expect(() => m.open("/etc/passwd", RD)).toThrow("not modelled");
  });

  it("O-01 what the memory devices read and write", () => {
    const m = new Tree();
    const [nul, zero, full, random] = ["null", "zero", "full", "urandom"].map((name) => m.open(`/dev/${name}`, RW));
    expect([m.read(nul as number), m.write(nul as number, "abc")]).toEqual(["", 3]);
    expect([m.read(zero as number, 3), m.write(zero as number, "abc")]).toEqual(["\0\0\0", 3]);
    expect([m.read(full as number, 3), m.write(full as number, "abc")]).toEqual(["\0\0\0", "ENOSPC"]);
    expect(m.write(random as number, "abc")).toBe(3);
    expect(sysRead(m.task, random as number, DATA, 9000)).toBe(9000);
    expect(shown(sysRead(m.task, zero as number, BAD, 1))).toBe("EFAULT");
    expect(sysLseek(m.task, zero as number, 77, 0)).toBe(0);
    expect(shown(sysIoctl(m.task, random as number, 0x541b, ARENA))).toBe("EINVAL");
    expect(shown(sysIoctl(m.task, nul as number, 0x541b, ARENA))).toBe("ENOTTY");
  });

  it("a sysfs attribute reports a change until it is read", () => {
    const m = new Tree();
    const fd = m.open("/sys/class/net/lo/operstate", RD) as number;
    expect([m.read(fd), m.mask(fd)]).toEqual(["unknown\n", 0x145]);
    expect(m.read(m.open("/proc/sys/fs/pipe-max-size", RD))).toBe("1048576\n");
    expect(() => m.read(m.open("/proc/meminfo", RD))).toThrow("not modelled");
  });

  it("fdinfo of a descriptor", () => {
    const m = new Tree();
    sysEventfd2(m.task, 3, 0);
    const text = m.read(m.open("/proc/self/fdinfo/0", RD), 1000);
    expect(text).toContain("flags:\t02\n");
    expect(text).toContain("eventfd-count:                3\n");
    expect(m.open("/proc/self/fdinfo/9", RD)).toBe("ENOENT");
  });

  it("E-009 anonymous files cannot be opened again, only by O_PATH", () => {
    const m = new Tree();
    const ep = sysEpollCreate1(m.task, 0);
    const efd = sysEventfd2(m.task, 0, 0);
    expect(m.open(`/proc/self/fd/${ep}`, RW)).toBe("ENXIO");
    expect(m.open(`/proc/self/fd/${efd}`, RW | CREAT)).toBe("ENXIO");
    expect(m.open(`/proc/self/fd/${efd}`, RW | DIRECTORY)).toBe("ENOTDIR");
    expect(m.open("/proc/self/fd/77", RD)).toBe("ENOENT");
    const path = m.open(`/proc/self/fd/${ep}`, RD | PATH) as number;
    expect(m.task.process.files.get(path)).toBe(null);
    expect(m.file(path).link).toBe("anon_inode:[eventpoll]");
    expect(shown(sysFcntl(m.task, path, 4, 0))).toBe("EBADF");
    expect(sysFcntl(m.task, path, 3, 0)).toBe(PATH);
    expect(shown(sysRead(m.task, path, DATA, 0))).toBe("EBADF");
    expect(sysClose(m.task, path)).toBe(0);
  });
});

describe("FIFOs", () => {
  it("P-35 without blocking: a writer needs a reader, a reader nobody", () => {
    const m = new Tree();
    m.fifo("p");
    expect(m.open("p", WR | NB)).toBe("ENXIO");
    expect(m.open("p", RD | NB)).toBe(0);
    expect(m.open("p", WR | NB)).toBe(1);
    expect(m.file(1).link).toBe("/work/p");
  });

  it("P-36 no HUP before the first writer, HUP after the last, none with the next", () => {
    const m = new Tree();
    m.fifo("p");
    const r = m.open("p", RD | NB) as number;
    expect([m.mask(r), m.read(r)]).toEqual([0, ""]);
    const watch = m.watch(r);
    const w = m.open("p", WR | NB) as number;
    expect([m.mask(r), m.read(r), watch.take()]).toEqual([0, "EAGAIN", [0]]);
    m.write(w, "ab");
    sysClose(m.task, w);
    expect([m.mask(r), m.read(r), m.mask(r), watch.take()]).toEqual([IN2 | HUP, "ab", HUP, [IN2, 0]]);
    m.open("p", WR | NB);
    expect(m.mask(r)).toBe(0);
  });

  it("P-37 opened for both it is its own peer", () => {
    const m = new Tree();
    m.fifo("p");
    const fd = m.open("p", RW) as number;
    const watch = m.watch(fd);
    expect(m.mask(fd)).toBe(OUT2);
    m.write(fd, "ab");
    expect([m.mask(fd), watch.take()]).toEqual([IN2 | OUT2, [IN2]]);
    expect(m.read(fd)).toBe("ab");
  });

  it("P-38 a pipe can be opened again, and revived", () => {
    const m = new Tree();
    sysPipe2(m.task, ARENA, NB);
    const [r, w] = [m.peek32(ARENA), m.peek32(ARENA + 4)];
    sysClose(m.task, w);
    expect(m.mask(r)).toBe(HUP);
    const again = m.open(`/proc/self/fd/${r}`, WR) as number;
    expect([m.mask(r), m.write(again, "x"), m.mask(r)]).toEqual([0, 1, IN2]);
    expect(m.file(again).link).toBe(m.file(r).link);
    expect(m.open(`/proc/self/fd/${r}`, RW | DIRECT)).toBe("EINVAL");
  });

  it("an open waits for the other side, with its descriptor taken", () => {
    const m = new Tree();
    m.fifo("p");
    const reader = m.opener("p", RD);
    expect(sysEventfd2(m.task, 0, 0)).toBe(1);
    expect(m.open("p", WR)).toBe(2);
    m.kernel.settle();
    expect(reader.result).toBe(0);
    expect(m.mask(0)).toBe(0);
    const other = new Tree();
    other.fifo("p");
    const writer = other.opener("p", WR);
    expect(other.open("p", RD)).toBe(1);
    other.kernel.settle();
    expect([writer.result, other.mask(1)]).toEqual([0, 0]);
  });

  it("a partner that has come and gone ends the wait", () => {
    const m = new Tree();
    m.fifo("p");
    const reader = m.opener("p", RD);
    const w = m.open("p", WR) as number;
    sysClose(m.task, w);
    m.kernel.settle();
    expect([reader.result, m.mask(0)]).toEqual([0, HUP]);
  });

  it("a signal ends the wait and leaves nothing behind", () => {
    const m = new Tree();
    m.fifo("p");
    const task = m.thread();
    const outcome = new Outcome();
    task.body = outcome;
    sysOpen(task, m.name("p"), RD, 0);
    task.signalPending = true;
    task.wakeUp();
    m.kernel.settle();
    expect(shown(outcome.result as number)).toBe("ERESTARTSYS");
    expect(m.open("p", WR | NB)).toBe("ENXIO");
    expect(m.task.process.user.pipeBufs).toBe(0);
    expect(sysEventfd2(m.task, 0, 0)).toBe(0);
  });
});
