import { describe, expect, it } from "vitest";
import { TtyFile } from "../../src/kernel/fs/tty/tty.ts";
import { checkTtyBufhead } from "../../src/kernel/fs/tty/tty-buffer.ts";
import type { Task } from "../../src/kernel/sched/task.ts";
import { Lflag, Pkt, Tioc } from "../../src/kernel/uapi/tty.ts";
import { sysIoctl } from "../../src/syscalls/ioctl.ts";
import { sysOpen } from "../../src/syscalls/open.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { ARENA, BAD, Machine, shown } from "../helpers/files.ts";

const IN2 = 0x41;
const OUT2 = 0x104;
const PRI = 2;
const ERR = 8;
const HUP = 0x10;
const IN = 1;
const OUT = 4;
const RDWR = 2;
const NOCTTY = 0o400;
const NONBLOCK = 0o4000;
const PATH = ARENA;
const ARG = ARENA + 0x100;
const DATA = ARENA + 0x1000;
const INTO = ARENA + 0x60000;
const LFLAG = 12;
const VTIME = 17 + 5;
const VMIN = 17 + 6;

class Pty extends Machine {
  readonly flags: number;
  readonly master: number;
  slave: number;

  constructor(flags = NONBLOCK) {
    super();
    this.flags = RDWR | NOCTTY | flags;
    this.master = this.open("/dev/ptmx") as number;
    this.intArg(this.master, Tioc.SPTLCK, 0);
    this.slave = this.open("/dev/pts/0") as number;
  }

  open(path: string): number | string {
    this.poke(PATH, `${path}\0`);
    return shown(sysOpen(this.task, PATH, this.flags, 0));
  }

  close(fd: number): void {
    this.task.process.files.take(fd)?.put();
  }

  write(fd: number, text: string, task: Task = this.task): number | string {
    this.poke(DATA, text);
    return this.writeBytes(fd, text.length, task);
  }

  writeBytes(fd: number, n: number, task: Task = this.task): number | string {
    const result = sysWrite(task, fd, DATA, n);
    for (const side of [this.master, this.slave]) {
      const file = this.task.process.files.getRaw(side);
      if (file instanceof TtyFile) checkTtyBufhead(file.tty.port);
    }
    return shown(result);
  }

  /** The text that was read, or the error. */
  read(fd: number, n = 100, task: Task = this.task): number | string {
    const result = sysRead(task, fd, INTO, n);
    return result > 0 ? this.peekText(INTO, result) : shown(result);
  }

  ioctl(fd: number, request: number, arg = ARG): number | string {
    return shown(sysIoctl(this.task, fd, request, arg));
  }

  intArg(fd: number, request: number, value: number): void {
    this.poke32(ARG, value);
    expect(this.ioctl(fd, request)).toBe(0);
  }

  intResult(fd: number, request: number): number {
    expect(this.ioctl(fd, request)).toBe(0);
    return this.peek32(ARG);
  }

  /** Changes settings of the slave; `[place, value]` for bytes of the structure. */
  set(change: (flags: number) => number, ...bytes: [number, number][]): void {
    expect(this.ioctl(this.slave, Tioc.TCGETS)).toBe(0);
    this.poke32(ARG + LFLAG, change(this.peek32(ARG + LFLAG)));
    for (const [place, value] of bytes) this.poke(ARG + place, [value]);
    expect(this.ioctl(this.slave, Tioc.TCSETS)).toBe(0);
  }

  raw(min = 1, time = 0): void {
    this.poke32(ARG, 0, 0, 0xbf, 0);
    this.poke(ARG + 16, [0, 3, 28, 127, 21, 4, time, min]);
    expect(this.ioctl(this.slave, Tioc.TCSETS)).toBe(0);
  }
}

describe("pty: names and settings", () => {
  it("Y-01 a master is writable; its slave is locked, has a number, and is gone with it", () => {
    const m = new Pty();
    const second = m.open("/dev/ptmx") as number;
    expect(m.mask(second)).toBe(OUT2);
    expect(m.intResult(second, Tioc.GPTN)).toBe(1);
    expect(m.open("/dev/pts/1")).toBe("EIO");
    expect(m.intResult(second, Tioc.GPTLCK)).toBe(1);
    expect(m.ioctl(m.slave, Tioc.GPTN)).toBe("ENOTTY");
    expect(m.ioctl(second, Tioc.SPTLCK, BAD)).toBe("EFAULT");
    m.close(second);
    expect(m.open("/dev/pts/1")).toBe("ENOENT");
    expect(m.intResult(m.open("/dev/ptmx") as number, Tioc.GPTN)).toBe(1);
  });

  it("Y-01 a number is in use until the slave is closed too", () => {
    const m = new Pty();
    m.close(m.master);
    expect(m.intResult(m.open("/dev/ptmx") as number, Tioc.GPTN)).toBe(1);
    m.close(m.slave);
    expect(m.intResult(m.open("/dev/ptmx") as number, Tioc.GPTN)).toBe(0);
  });

  it("Y-02 settings asked of the master are the slave's", () => {
    const m = new Pty();
    m.set((flags) => flags & ~Lflag.ECHO);
    expect(m.ioctl(m.master, Tioc.TCGETS)).toBe(0);
    expect(m.peek32(ARG + LFLAG) & (Lflag.ECHO | Lflag.ICANON)).toBe(Lflag.ICANON);
  });
});

describe("pty: lines", () => {
  it("Y-02 a line is readable when it is complete; the echo ends it with two bytes", () => {
    const m = new Pty();
    const slave = m.watch(m.slave);
    m.write(m.master, "ab");
    expect([m.mask(m.slave), m.intResult(m.slave, Tioc.INQ)]).toEqual([OUT2, 0]);
    expect(slave.take()).toEqual([]);
    m.write(m.master, "\n");
    expect(slave.take()).toEqual([IN2]);
    expect([m.mask(m.slave), m.intResult(m.slave, Tioc.INQ)]).toEqual([IN2 | OUT2, 3]);
    expect([m.read(m.slave), m.read(m.slave), m.read(m.master)]).toEqual(["ab\n", "EAGAIN", "ab\r\n"]);
  });

  it("Y-02 one line per read, and a long one in parts", () => {
    const m = new Pty();
    const long = "x".repeat(200);
    m.write(m.master, `one\rtwo\n${long}\n`);
    expect([m.read(m.slave), m.read(m.slave, 2), m.read(m.slave)]).toEqual(["one\n", "tw", "o\n"]);
    expect([m.read(m.slave, 150), m.read(m.slave)]).toEqual(["x".repeat(150), `${"x".repeat(50)}\n`]);
  });

  it("Y-02 what is typed can be erased: a letter, a word, the line", () => {
    const m = new Pty();
    m.write(m.master, "cat\x7fr\n");
    expect([m.read(m.slave), m.read(m.master)]).toEqual(["car\n", "cat\b \br\r\n"]);
    m.write(m.master, "one two\x17three\n");
    expect(m.read(m.slave)).toBe("one three\n");
    m.write(m.master, "nothing\x15all\n");
    expect(m.read(m.slave)).toBe("all\n");
    m.read(m.master);
    m.write(m.master, "\x16\x7f\x01\n");
    expect([m.read(m.slave), m.read(m.master)]).toEqual(["\x7f\x01\n", "^\b^?^A\r\n"]);
  });

  it("Y-02 ^D ends a line without a byte; alone it is an end of file", () => {
    const m = new Pty();
    m.write(m.master, "ab\x04");
    expect([m.intResult(m.slave, Tioc.INQ), m.read(m.slave, 2), m.read(m.slave)]).toEqual([2, "ab", "EAGAIN"]);
    m.write(m.master, "\x04");
    expect([m.mask(m.slave), m.read(m.slave), m.read(m.slave)]).toEqual([IN2 | OUT2, 0, "EAGAIN"]);
  });

  it("Y-02 a line that is too long loses its end, but can be completed", () => {
    const m = new Pty();
    m.set((flags) => flags & ~Lflag.ECHO);
    m.write(m.master, "y".repeat(3000));
    m.write(m.master, "z".repeat(3000));
    m.write(m.master, "\n");
    expect(m.intResult(m.slave, Tioc.INQ)).toBe(4096);
  });

  it("Y-02 output is processed: a newline becomes two bytes; ^S holds it back and ^Q lets it go", () => {
    const m = new Pty();
    m.write(m.slave, "a\nb");
    expect(m.read(m.master)).toBe("a\r\nb");
    m.write(m.master, "\x13");
    expect([m.mask(m.slave), m.write(m.slave, "c")]).toEqual([0, "EAGAIN"]);
    const watch = m.watch(m.slave);
    m.write(m.master, "\x11");
    expect(watch.take()).toContain(OUT);
    expect([m.write(m.slave, "c"), m.read(m.master)]).toEqual([1, "c"]);
  });

  it("Y-02 leaving line mode makes readable what was typed", () => {
    const m = new Pty();
    m.write(m.master, "ab");
    m.raw();
    expect([m.mask(m.slave), m.read(m.slave)]).toEqual([IN2 | OUT2, "ab"]);
  });
});

describe("pty: raw mode", () => {
  it("Y-03 Y-04 a write wakes the other side with IN, its own with OUT", () => {
    const m = new Pty();
    m.raw();
    const [master, slave] = [m.watch(m.master), m.watch(m.slave)];
    m.write(m.master, "a");
    expect([slave.take(), master.take()]).toEqual([[IN2], [OUT]]);
    m.write(m.master, "b");
    expect([slave.take(), master.take()]).toEqual([[IN2], [OUT]]);
  });

  it("Y-05 reading at the master wakes the slave with OUT", () => {
    const m = new Pty();
    m.raw();
    m.write(m.slave, "xyz");
    const slave = m.watch(m.slave);
    expect(m.read(m.master)).toBe("xyz");
    expect(slave.take()).toEqual([OUT]);
  });

  it("Y-06 VMIN makes readable; fewer bytes wake all the same; VTIME makes the first byte count", () => {
    const m = new Pty();
    m.raw(5);
    const slave = m.watch(m.slave);
    m.write(m.master, "abc");
    expect([m.mask(m.slave), slave.take()]).toEqual([OUT2, [IN2]]);
    m.write(m.master, "de");
    expect(m.mask(m.slave)).toBe(IN2 | OUT2);
    m.read(m.slave);
    m.raw(5, 1);
    m.write(m.master, "f");
    expect(m.mask(m.slave)).toBe(IN2 | OUT2);
  });

  it("Y-06 a reader sleeps until VMIN bytes are there", () => {
    const m = new Pty(0);
    m.raw(3);
    const reader = m.sleeper((task) => sysRead(task, m.slave, INTO, 10));
    m.write(m.master, "ab");
    m.kernel.settle();
    expect(reader.result).toBe(null);
    m.write(m.master, "cd");
    m.kernel.settle();
    expect([reader.result, m.peekText(INTO, 4)]).toEqual([4, "abcd"]);
  });

  it("Y-06 VTIME: without VMIN a time-out, with it the longest pause between bytes", () => {
    const m = new Pty(0);
    m.raw(0, 2);
    const empty = m.sleeper((task) => sysRead(task, m.slave, INTO, 10));
    m.kernel.advance();
    m.kernel.settle();
    expect([empty.result, m.kernel.clock.nowNs]).toEqual([0, 200_000_000]);
    m.raw(3, 1);
    const some = m.sleeper((task) => sysRead(task, m.slave, INTO, 10));
    expect(m.kernel.advance()).toBe(false);
    m.write(m.master, "a");
    m.kernel.settle();
    m.kernel.advance();
    m.kernel.settle();
    expect([some.result, m.kernel.clock.nowNs]).toEqual([1, 300_000_000]);
  });

  it("Y-06 VMIN 0 and VTIME 0: an empty terminal reads 0, also without waiting", () => {
    const m = new Pty();
    m.raw(0, 0);
    expect(m.read(m.slave)).toBe(0);
    m.set((flags) => flags, [VMIN, 1], [VTIME, 0]);
    expect(m.read(m.slave)).toBe("EAGAIN");
  });

  it("Y-07 a stuck slave takes 4095 bytes and 33 buffers of 512", () => {
    const m = new Pty();
    m.raw();
    let accepted = 0;
    let writable = true;
    while (m.write(m.master, "x") === 1) {
      accepted += 1;
      writable = m.mask(m.master) === OUT2;
    }
    expect([accepted, writable, m.intResult(m.slave, Tioc.INQ)]).toEqual([40 * 512, false, 4095]);
    const master = m.watch(m.master);
    expect(String(m.read(m.slave, 64)).length).toBe(64);
    expect(master.take()).toEqual([]);
    expect(String(m.read(m.slave, 5000)).length).toBe(4095);
    expect(master.take()).toContain(OUT);
    expect(m.mask(m.master)).toBe(OUT2);
    expect(m.write(m.master, "x")).toBe(1);
  });

  it("Y-07 a writer sleeps for room, and nobody else writes meanwhile", () => {
    const m = new Pty(0);
    m.raw();
    const writer = m.sleeper((task) => sysWrite(task, m.master, DATA, 40_000));
    expect(m.mask(m.master)).toBe(0);
    let read = 0;
    while (writer.result === null) {
      read += String(m.read(m.slave, 4000)).length;
      m.kernel.settle();
    }
    expect(writer.result).toBe(40_000);
    while (m.mask(m.slave) !== OUT2) read += String(m.read(m.slave, 4000)).length;
    expect(read).toBe(40_000);
  });
});

describe("pty: ends", () => {
  it("Y-08 the last close of the slave hangs up the master until somebody opens it again", () => {
    const m = new Pty();
    m.raw();
    const again = m.open("/dev/pts/0") as number;
    m.write(m.slave, "last");
    const master = m.watch(m.master);
    m.close(again);
    expect(master.take()).toEqual([]);
    m.close(m.slave);
    expect(master.take()).toEqual([0, 0]);
    expect(m.mask(m.master)).toBe(IN2 | OUT2 | HUP);
    expect([m.read(m.master), m.read(m.master), m.write(m.master, "q")]).toEqual(["last", "EIO", 1]);
    m.slave = m.open("/dev/pts/0") as number;
    expect([m.mask(m.master), m.read(m.master), m.read(m.slave)]).toEqual([OUT2, "EAGAIN", "q"]);
  });

  it("Y-09 a slave without its master is ready for everything, reads 0 and cannot be written", () => {
    const m = new Pty();
    const slave = m.watch(m.slave);
    m.close(m.master);
    expect(slave.take()).toEqual([0, 0, OUT, IN]);
    expect(m.mask(m.slave)).toBe(IN2 | OUT2 | ERR | HUP);
    expect([m.read(m.slave), m.write(m.slave, "x"), m.ioctl(m.slave, Tioc.TCGETS)]).toEqual([0, "EIO", "EIO"]);
    expect(m.open("/dev/pts/0")).toBe("ENOENT");
  });

  it("Y-09 sleepers on the slave end with EIO", () => {
    const m = new Pty(0);
    const reader = m.sleeper((task) => sysRead(task, m.slave, INTO, 10));
    m.raw();
    const writer = m.sleeper((task) => sysWrite(task, m.slave, DATA, 40_000));
    m.close(m.master);
    m.kernel.settle();
    expect(shown(reader.result as number)).toBe("EIO");
    expect(writer.result).toBeGreaterThan(4095);
  });

  it("Y-10 packet mode: a flush drops the echo too and is a byte with PRI; data comes behind a zero", () => {
    const m = new Pty();
    m.intArg(m.master, Tioc.PKT, 1);
    expect(m.mask(m.master)).toBe(OUT2);
    m.write(m.master, "ab\x03");
    expect(m.mask(m.master)).toBe(IN2 | OUT2 | PRI);
    expect(m.read(m.master)).toBe(String.fromCharCode(Pkt.FLUSHREAD | Pkt.FLUSHWRITE));
    expect(m.mask(m.master)).toBe(IN2 | OUT2);
    expect(m.read(m.master)).toBe("\0^C");
    expect(m.read(m.slave)).toBe("EAGAIN");
    m.write(m.master, "\x13");
    expect(m.read(m.master)).toBe(String.fromCharCode(Pkt.STOP));
  });
});
