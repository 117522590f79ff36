import { describe, expect, it } from "vitest";
import { checkPipe } from "../../src/kernel/fs/pipe.ts";
import { PipeFile } from "../../src/kernel/fs/pipe-file.ts";
import { type Task, TaskState } from "../../src/kernel/sched/task.ts";
import { SIG_DFL, Sig } from "../../src/kernel/uapi/signal.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { sysRead, sysReadv, sysWrite, sysWritev } from "../../src/syscalls/rw.ts";
import { ARENA, BAD, EDGE_END, KERNEL_ADDRESS, Machine, shown } from "../helpers/files.ts";

const IN2 = 0x41;
const OUT2 = 0x104;
const ERR = 8;
const HUP = 0x10;
const NONBLOCK = 0o4000;
const DIRECT = 0o40000;
const PAGE = 4096;
const DATA = ARENA + 0x1000;
const INTO = ARENA + 0x60000;

class Pipe extends Machine {
  readonly r: number;
  readonly w: number;

  constructor(flags = NONBLOCK, version = "6.18", uid = 0) {
    super(version, uid);
    expect(sysPipe2(this.task, ARENA, flags)).toBe(0);
    this.r = this.peek32(ARENA);
    this.w = this.peek32(ARENA + 4);
  }

  end(fd: number): PipeFile {
    const file = this.file(fd);
    if (!(file instanceof PipeFile)) throw new Error("not a pipe");
    return file;
  }

  write(n: number, addr = DATA, task: Task = this.task): number | string {
    const result = sysWrite(task, this.w, addr, n);
    checkPipe(this.end(this.r).pipe);
    return shown(result);
  }

  read(n: number, addr = INTO, task: Task = this.task): number | string {
    const result = sysRead(task, this.r, addr, n);
    checkPipe(this.end(this.r).pipe);
    return shown(result);
  }

  /** Writes of `n` bytes until one fails; the total. */
  fill(n: number): number {
    let total = 0;
    for (;;) {
      const result = sysWrite(this.task, this.w, DATA, n);
      if (result < 0) return total;
      total += result;
    }
  }

  setSize(size: number): number | string {
    const { pipe } = this.end(this.w);
    return shown(pipe.setSize(this.end(this.w), this.task.process, size >>> 0));
  }

  close(fd: number): void {
    this.task.process.files.take(fd)?.put();
  }
}

describe("pipe: slots", () => {
  it("P-01 P-02 P-03 a new pipe: 16 slots, writable, not readable", () => {
    const m = new Pipe();
    expect(m.end(m.r).pipe.bufs.length * PAGE).toBe(65536);
    expect([m.mask(m.r), m.mask(m.w)]).toEqual([0, OUT2]);
    m.write(1);
    expect([m.mask(m.r), m.mask(m.w)]).toEqual([IN2, OUT2]);
  });

  it.each([
    [1, 65536],
    [2, 65536],
    [512, 65536],
    [2048, 65536],
    [4096, 65536],
    [8192, 65536],
    [65536, 65536],
    [3, 65520],
    [100, 64000],
    [1000, 64000],
    [2049, 32784],
    [3000, 48000],
    [4095, 65520],
    [4097, 45066],
    [5000, 54096],
    [8193, 53254],
    [10000, 64096],
  ])("P-08 writes of %i fill the ring with %i bytes", (n, total) => {
    const m = new Pipe();
    expect(m.fill(n)).toBe(total);
    expect(m.end(m.r).pipe.unread).toBe(total);
  });

  it("P-05 bytes read are not reusable", () => {
    const m = new Pipe();
    m.write(4000);
    m.read(3999);
    m.write(96);
    expect(m.end(m.r).pipe.head - m.end(m.r).pipe.tail).toBe(1);
    const other = new Pipe();
    other.write(4000);
    other.read(3999);
    other.write(97);
    expect(other.end(other.r).pipe.head - other.end(other.r).pipe.tail).toBe(2);
  });

  it("P-06 one unread byte pins a slot", () => {
    const m = new Pipe();
    m.fill(PAGE);
    m.read(4095);
    expect(m.mask(m.w)).toBe(0);
    expect(m.write(1)).toBe("EAGAIN");
    m.read(1);
    expect(m.mask(m.w)).toBe(OUT2);
  });

  it("P-07 not writable in poll, and yet a write succeeds by merging", () => {
    const m = new Pipe();
    for (let i = 0; i < 15; i += 1) m.write(PAGE);
    m.write(1);
    expect(m.mask(m.w)).toBe(0);
    expect([m.write(1), m.write(4094), m.write(1)]).toEqual([1, 4094, "EAGAIN"]);
    const small = new Pipe();
    expect(small.setSize(PAGE)).toBe(PAGE);
    small.write(1);
    expect(small.mask(small.w)).toBe(0);
    expect(small.fill(1)).toBe(4095);
  });

  it("P-09 P-10 P-11 all or nothing up to 4096; partial beyond", () => {
    const m = new Pipe();
    for (let i = 0; i < 15; i += 1) m.write(PAGE);
    m.write(100);
    expect(m.write(4000)).toBe("EAGAIN");
    expect(m.write(4097)).toBe(1);
    expect(m.write(PAGE + 3995)).toBe(3995);
    expect(m.write(PAGE + 1)).toBe("EAGAIN");
    const free = new Pipe();
    for (let i = 0; i < 15; i += 1) free.write(PAGE);
    expect(free.write(8192)).toBe(PAGE);
  });

  it("P-12 P-13 reads take what there is; length 0 touches nothing", () => {
    const m = new Pipe();
    expect(m.read(10)).toBe("EAGAIN");
    m.write(5000);
    m.write(5000);
    expect(m.read(20000)).toBe(10000);
    const watch = m.watch(m.r);
    expect([m.read(0), m.write(0)]).toEqual([0, 0]);
    m.close(m.r);
    watch.take();
    expect(shown(sysWrite(m.task, m.w, DATA, 0))).toBe(0);
    expect(watch.take()).toEqual([]);
  });

  it("P-14 the wrong end, a position", () => {
    const m = new Pipe();
    expect(shown(sysRead(m.task, m.w, INTO, 1))).toBe("EBADF");
    expect(shown(sysWrite(m.task, m.r, DATA, 1))).toBe("EBADF");
    expect(shown(m.file(m.r).seek(0, 0))).toBe("ESPIPE");
  });

  it("bytes arrive in order and unchanged", () => {
    const m = new Pipe();
    m.poke(DATA, "abcdef");
    m.write(3);
    m.write(3, DATA + 3);
    expect(m.read(4)).toBe(4);
    expect(m.peekText(INTO, 4)).toBe("abcd");
    expect(m.read(4)).toBe(2);
    expect(m.peekText(INTO, 2)).toBe("ef");
  });
});

describe("pipe: the ends", () => {
  it("P-16 no writer: HUP, and end of file once drained", () => {
    const m = new Pipe();
    m.write(3);
    m.close(m.w);
    expect(m.mask(m.r)).toBe(IN2 | HUP);
    expect([m.read(10), m.mask(m.r), m.read(10)]).toEqual([3, HUP, 0]);
  });

  it("P-17 no reader: ERR and EPIPE", () => {
    const m = new Pipe();
    m.fill(PAGE);
    m.read(PAGE);
    m.close(m.r);
    expect(m.mask(m.w)).toBe(OUT2 | ERR);
    expect(shown(sysWrite(m.task, m.w, DATA, 1))).toBe("EPIPE");
    m.task.process.sighand.action(Sig.PIPE).handler = SIG_DFL;
    expect(shown(sysWrite(m.task, m.w, DATA, 1))).toBe("EPIPE");
    m.kernel.settle();
    expect(m.task.state).toBe(TaskState.DEAD);
    const full = new Pipe();
    full.fill(PAGE);
    full.close(full.r);
    expect(full.mask(full.w)).toBe(ERR);
  });

  it("P-23 P-24 the last close of a side wakes both queues with key 0, others nobody", () => {
    const m = new Pipe();
    const reader = m.watch(m.r);
    const writer = m.watch(m.w);
    const dup = m.file(m.w).get();
    m.close(m.w);
    expect([reader.take(), writer.take()]).toEqual([[], []]);
    dup.put();
    expect([reader.take(), writer.take()]).toEqual([[0], [0]]);
    m.close(m.r);
    expect([reader.take(), writer.take()]).toEqual([[], []]);
  });
});

describe("pipe: wakes", () => {
  it("P-18 P-20 each write wakes once somebody has polled, even one that fails", () => {
    const m = new Pipe();
    const watch = m.watch(m.r);
    m.write(1);
    m.write(10000);
    expect(watch.take()).toEqual([IN2, IN2]);
    m.fill(PAGE);
    watch.take();
    expect(m.write(1)).toBe("EAGAIN");
    expect(watch.take()).toEqual([IN2]);
    expect(m.write(1, BAD)).toBe("EAGAIN");
    m.read(PAGE);
    watch.take();
    expect(m.write(1, BAD)).toBe("EFAULT");
    expect(watch.take()).toEqual([IN2]);
  });

  it("P-19 without any poll only the first write into an empty pipe wakes", () => {
    const m = new Pipe();
    const watch = m.watch(m.r);
    m.end(m.r).pipe.pollUsage = false;
    m.write(1);
    m.write(1);
    expect(watch.take()).toEqual([IN2]);
    const middle = new Pipe(NONBLOCK, "5.10");
    const old = middle.watch(middle.r);
    middle.write(1);
    middle.write(1);
    expect(old.take()).toEqual([IN2]);
  });

  it("P-21 P-22 a read wakes only when it frees a slot of a full ring", () => {
    const m = new Pipe();
    const watch = m.watch(m.w);
    m.fill(PAGE);
    m.read(4095);
    expect(watch.take()).toEqual([]);
    m.read(1);
    expect(watch.take()).toEqual([OUT2]);
    m.read(PAGE);
    m.read(65536);
    expect(m.read(1)).toBe("EAGAIN");
    expect(watch.take()).toEqual([]);
    m.fill(65536);
    m.read(65536);
    expect(watch.take()).toEqual([OUT2]);
  });

  it("P-21 before 6.15 any read of a full ring wakes, before 5.5 any freed slot", () => {
    const m = new Pipe(NONBLOCK, "6.12");
    const watch = m.watch(m.w);
    m.fill(PAGE);
    m.read(1);
    expect(watch.take()).toEqual([OUT2]);
    const old = new Pipe(NONBLOCK, "4.19");
    const watchOld = old.watch(old.w);
    old.write(10);
    old.read(9);
    old.read(1);
    expect(watchOld.take()).toEqual([OUT2]);
  });

  it("P-32 writev is one write and one wake", () => {
    const m = new Pipe();
    const watch = m.watch(m.r);
    const vec: number[] = [];
    for (let i = 0; i < 20; i += 1) vec.push(DATA + i * 5000, 5000);
    m.poke64(ARENA, ...vec);
    expect(sysWritev(m.task, m.w, ARENA, 20)).toBe(65536);
    expect(watch.take()).toEqual([IN2]);
    m.poke64(ARENA, INTO, 10, INTO + 10, 20);
    expect(sysReadv(m.task, m.r, ARENA, 2)).toBe(30);
  });

  it("P-27 every resize wakes wr_wait with key 0", () => {
    const m = new Pipe();
    const watch = m.watch(m.w);
    m.setSize(131072);
    m.setSize(131072);
    expect(watch.take()).toEqual([0, 0]);
    expect(m.fill(PAGE)).toBe(131072);
    m.setSize(262144);
    expect(m.mask(m.w)).toBe(OUT2);
  });
});

describe("pipe: size", () => {
  it.each([
    [0, 4096],
    [1, 4096],
    [4096, 4096],
    [4097, 8192],
    [65537, 131072],
    [1000000, 1048576],
  ])("P-25 F_SETPIPE_SZ %i gives %i", (asked, size) => {
    expect(new Pipe().setSize(asked)).toBe(size);
  });

  it("P-26 limits", () => {
    const m = new Pipe();
    expect(m.setSize(1048577)).toBe("EPERM");
    expect(m.setSize(2 ** 31)).toBe("EPERM");
    expect(m.setSize(2 ** 31 + 1)).toBe("EINVAL");
    expect(m.setSize(-1)).toBe("EINVAL");
    for (let i = 0; i < 3; i += 1) m.write(PAGE);
    expect(m.setSize(8192)).toBe("EBUSY");
    expect(m.setSize(12288)).toBe(16384);
    expect(m.read(65536)).toBe(3 * PAGE);
    m.task.process.capSysResource = true;
    expect(m.setSize(2097152)).toBe(2097152);
  });

  it("a resize keeps the data, also around the end of the ring", () => {
    const m = new Pipe();
    m.fill(PAGE);
    for (let i = 0; i < 5; i += 1) m.read(PAGE);
    m.poke(DATA, "last");
    m.write(4);
    m.setSize(65536 * 2);
    m.setSize(65536);
    for (let i = 0; i < 11; i += 1) m.read(PAGE);
    expect(m.read(10)).toBe(4);
    expect(m.peekText(INTO, 4)).toBe("last");
  });

  it("P-28 over the soft limit new pipes are small and growth is refused", () => {
    const m = new Pipe(NONBLOCK, "6.18", 1000);
    m.task.process.files.nofile = 10000;
    expect(m.task.process.user.pipeBufs).toBe(16);
    for (let i = 1; i < 1024; i += 1) expect(sysPipe2(m.task, ARENA, 0)).toBe(0);
    expect(m.task.process.user.pipeBufs).toBe(16384);
    expect(m.setSize(131072)).toBe("EPERM");
    expect(sysPipe2(m.task, ARENA, 0)).toBe(0);
    expect(m.end(m.peek32(ARENA)).pipe.bufs.length).toBe(2);
    m.kernel.sysctl.set("fs.pipe-user-pages-hard", 16386);
    expect(shown(sysPipe2(m.task, ARENA, 0))).toBe("ENFILE");
    m.close(m.r);
    m.close(m.w);
    expect(m.task.process.user.pipeBufs).toBe(16370);
  });
});

describe("pipe: packets, faults, flags", () => {
  it("P-29 packets", () => {
    const m = new Pipe(NONBLOCK | DIRECT);
    expect(m.fill(1)).toBe(16);
    expect([m.read(100), m.read(100)]).toEqual([1, 1]);
    const big = new Pipe(NONBLOCK | DIRECT);
    expect([big.write(5000), big.read(65536), big.read(65536)]).toEqual([5000, 4096, 904]);
    big.write(100);
    expect([big.read(10), big.read(10)]).toEqual([10, "EAGAIN"]);
  });

  it("P-30 the packet flag belongs to the slot", () => {
    const m = new Pipe();
    m.write(2);
    m.end(m.w).flags |= DIRECT;
    m.write(2);
    m.write(2);
    expect(m.read(10)).toBe(6);
    m.write(2);
    m.end(m.w).flags &= ~DIRECT;
    m.write(2);
    expect([m.read(10), m.read(10)]).toEqual([2, 2]);
  });

  it("P-31 F-17 faults", () => {
    const m = new Pipe();
    expect(m.read(1, BAD)).toBe("EAGAIN");
    expect(m.read(1, KERNEL_ADDRESS)).toBe("EFAULT");
    expect(m.write(1, BAD)).toBe("EFAULT");
    expect([m.mask(m.r), m.end(m.r).pipe.unread]).toEqual([0, 0]);
    expect(m.write(5000, EDGE_END - 4096)).toBe(4096);
    expect(m.write(100, EDGE_END - 50)).toBe("EFAULT");
    expect(m.read(100, BAD)).toBe("EFAULT");
    expect(m.end(m.r).pipe.unread).toBe(4096);
    const old = new Pipe(NONBLOCK, "6.1");
    old.write(1, BAD);
    expect([old.mask(old.r), old.read(10), old.mask(old.r)]).toEqual([IN2, "EAGAIN", 0]);
  });

  it("P-39 F-06 flags and numbers", () => {
    const m = new Pipe(NONBLOCK);
    expect(shown(sysPipe2(m.task, ARENA, 1))).toBe("EINVAL");
    expect(shown(sysPipe2(m.task, BAD, 0))).toBe("EFAULT");
    expect(m.task.process.files.count).toBe(2);
    expect([m.end(m.r).flags, m.end(m.w).flags]).toEqual([NONBLOCK, NONBLOCK | 1]);
    m.task.process.files.nofile = 3;
    expect(shown(sysPipe2(m.task, ARENA, 0))).toBe("EMFILE");
    m.task.process.files.nofile = 4;
    expect(sysPipe2(m.task, ARENA, 0)).toBe(0);
  });
});

describe("pipe: sleep", () => {
  it("P-12 a blocked reader gets data; a blocked writer of 200000 bytes is served as room comes", () => {
    const m = new Pipe(0);
    const reader = m.sleeper((task) => sysRead(task, m.r, INTO, 10));
    m.write(3);
    m.kernel.settle();
    expect(reader.result).toBe(3);
    const writer = m.sleeper((task) => sysWrite(task, m.w, DATA, 200000));
    let total = 0;
    while (writer.result === null || m.end(m.r).pipe.unread > 0) {
      total += m.read(65536) as number;
      m.kernel.settle();
    }
    expect([writer.result, total]).toEqual([200000, 200000]);
  });

  it("exclusive sleepers: one wakes, and hands on what it leaves", () => {
    const m = new Pipe(0);
    const first = m.sleeper((task) => sysRead(task, m.r, INTO, 2));
    const second = m.sleeper((task) => sysRead(task, m.r, INTO, 2));
    const third = m.sleeper((task) => sysRead(task, m.r, INTO, 2));
    m.write(4);
    expect(m.kernel.runqueue.length).toBe(1);
    m.kernel.settle();
    expect([first.result, second.result, third.result]).toEqual([2, 2, null]);
  });

  it("a writer that leaves room wakes the next one", () => {
    const m = new Pipe(0);
    m.write(65536);
    const first = m.sleeper((task) => sysWrite(task, m.w, DATA, 1));
    const second = m.sleeper((task) => sysWrite(task, m.w, DATA, 1));
    m.read(8192);
    expect(m.kernel.runqueue.length).toBe(1);
    m.kernel.settle();
    expect([first.result, second.result]).toEqual([1, 1]);
  });

  it("P-17 a blocked writer gets EPIPE, or its count, when the reader leaves", () => {
    const m = new Pipe(0);
    m.write(65536);
    const none = m.sleeper((task) => sysWrite(task, m.w, DATA, 10));
    const some = m.sleeper((task) => sysWrite(task, m.w, DATA, 8192));
    m.read(PAGE);
    m.kernel.settle();
    expect(none.result).toBe(10);
    m.close(m.r);
    m.kernel.settle();
    expect(shown(some.result as number)).toBe("EPIPE");
  });

  it("P-16 a blocked reader ends when the last writer leaves", () => {
    const m = new Pipe(0);
    const reader = m.sleeper((task) => sysRead(task, m.r, INTO, 10));
    m.close(m.w);
    m.kernel.settle();
    expect(reader.result).toBe(0);
  });

  it("P-40 F-15 a blocked read keeps the description", () => {
    const m = new Pipe(0);
    const reader = m.sleeper((task) => sysRead(task, m.r, INTO, 10));
    m.close(m.r);
    expect(shown(sysWrite(m.task, m.w, DATA, 2))).toBe(2);
    m.kernel.settle();
    expect(reader.result).toBe(2);
    expect(shown(sysWrite(m.task, m.w, DATA, 2))).toBe("EPIPE");
  });

  it("the wake of a blocked writer goes out before it sleeps", () => {
    const m = new Pipe(0);
    const reader = m.sleeper((task) => sysRead(task, m.r, INTO, 65536));
    const writer = m.sleeper((task) => sysWrite(task, m.w, DATA, 70000));
    m.kernel.settle();
    expect([reader.result, writer.result]).toEqual([65536, 70000]);
  });
});
