import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { sysLseek } from "../../src/syscalls/fd.ts";
import { sysMqOpen, sysMqTimedreceive, sysMqTimedsend } from "../../src/syscalls/mqueue.ts";
import { sysRecvfrom, sysSendto } from "../../src/syscalls/msg.ts";
import { sysOpen } from "../../src/syscalls/open.ts";
import { sysRead } from "../../src/syscalls/rw.ts";
import { sysSocket } from "../../src/syscalls/socket.ts";
import { ARENA, Machine, shown } from "../helpers/files.ts";

const IN2 = 0x41;
const OUT2 = 0x104;
const OUT3 = 0x304;
const RX4 = 0xc3;
const RDWR = 2;
const CREAT = 0o100;
const EXCL = 0o200;
const NONBLOCK = 0o4000;
const SEEK_SET = 0;
const SEEK_END = 2;
const NETLINK = 16;
const RAW = 3;

describe("/dev/kmsg", () => {
  it("O-05 readable while records are unread, not behind the last one", () => {
    const m = new Machine();
    m.poke(ARENA, "/dev/kmsg\0");
    const fd = sysOpen(m.task, ARENA, NONBLOCK, 0);
    expect(m.mask(fd)).toBe(IN2);
    expect([sysLseek(m.task, fd, 0, SEEK_END), m.mask(fd)]).toEqual([0, 0]);
    expect(shown(sysRead(m.task, fd, ARENA, 100))).toBe("EAGAIN");
    expect(shown(sysLseek(m.task, fd, 1, SEEK_SET))).toBe("ESPIPE");
    expect([sysLseek(m.task, fd, 0, SEEK_SET), m.mask(fd)]).toEqual([0, IN2]);
    expect(() => sysRead(m.task, fd, ARENA, 100)).toThrow("not modelled");
  });

  it("O-05 a reader behind the last record sleeps", () => {
    const m = new Machine();
    m.poke(ARENA, "/dev/kmsg\0");
    const fd = sysOpen(m.task, ARENA, 0, 0);
    sysLseek(m.task, fd, 0, SEEK_END);
    expect(sysRead(m.thread(), fd, ARENA, 100)).toBe(BLOCKED);
  });
});

describe("message queues", () => {
  it("O-07 an empty queue is writable; names and flags are checked", () => {
    const m = new Machine();
    const open = (name: string, flags: number): number | string => {
      m.poke(ARENA, `${name}\0`);
      return shown(sysMqOpen(m.task, ARENA, flags, 0o600, 0));
    };
    expect(open("q", RDWR)).toBe("ENOENT");
    expect([open("q", RDWR | CREAT), open("q", RDWR), m.mask(0)]).toEqual([0, 1, OUT2]);
    expect([open("q", RDWR | CREAT | EXCL), open("q", 3), open("a/b", RDWR | CREAT)]).toEqual([
      "EEXIST",
      "EINVAL",
      "EACCES",
    ]);
    for (let i = 2; i <= 9; i += 1) open(`q${i}`, RDWR | CREAT);
    expect(open("one too many", RDWR | CREAT)).toBe("EMFILE");
  });
});

describe("messages", () => {
  const ATTR = ARENA + 0x100;
  const TEXT = ARENA + 0x200;

  function queue(m: Machine, flags: number, messages: number): number {
    m.poke(ARENA, "q\0");
    const attr = new DataView(new ArrayBuffer(64));
    attr.setBigInt64(8, BigInt(messages), true);
    attr.setBigInt64(16, 8n, true);
    m.poke(ATTR, [...new Uint8Array(attr.buffer)]);
    return sysMqOpen(m.task, ARENA, flags | RDWR | CREAT, 0o600, ATTR);
  }

  function send(m: Machine, fd: number, text: string, priority: number): number | string {
    m.poke(TEXT, text);
    return shown(sysMqTimedsend(m.task, fd, TEXT, text.length, priority, 0));
  }

  it("O-07 the highest priority comes first, each call wakes who polls", () => {
    const m = new Machine();
    const fd = queue(m, NONBLOCK, 3);
    const watch = m.watch(fd);
    expect([send(m, fd, "a", 1), send(m, fd, "b", 2), send(m, fd, "c", 2), send(m, fd, "d", 9)]).toEqual([
      0,
      0,
      0,
      "EAGAIN",
    ]);
    expect([watch.take(), m.mask(fd)]).toEqual([[0, 0, 0], IN2]);
    const order = [1, 2, 3].map(() => {
      sysMqTimedreceive(m.task, fd, TEXT, 8, 0, 0);
      return m.peekText(TEXT, 1);
    });
    expect([order, watch.take(), m.mask(fd)]).toEqual([["b", "c", "a"], [0, 0, 0], OUT2]);
  });

  it("O-07 a sleeping receiver gets the message itself, and nobody who polls is told", () => {
    const m = new Machine();
    const fd = queue(m, 0, 1);
    const thread = m.thread();
    expect(sysMqTimedreceive(thread, fd, TEXT + 16, 8, 0, 0)).toBe(BLOCKED);
    const watch = m.watch(fd);
    expect(send(m, fd, "x", 0)).toBe(0);
    expect([watch.take(), m.mask(fd)]).toEqual([[], OUT2]);
    m.kernel.settle();
    expect(m.peekText(TEXT + 16, 1)).toBe("x");
  });
});

describe("netlink", () => {
  it("O-08 an answer is there when the send returns", () => {
    const m = new Machine();
    const fd = sysSocket(m.task, NETLINK, RAW | NONBLOCK, 0);
    const watch = m.watch(fd);
    expect(m.mask(fd)).toBe(OUT3);
    expect(shown(sysRecvfrom(m.task, fd, ARENA, 100, 0, 0, 0))).toBe("EAGAIN");
    m.poke(ARENA, [20, 0, 0, 0, 18, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(sysSendto(m.task, fd, ARENA, 20, 0, 0, 0)).toBe(20);
    expect([watch.take(), m.mask(fd)]).toEqual([[RX4], OUT3 | IN2]);
    expect(() => sysRecvfrom(m.task, fd, ARENA, 100, 0, 0, 0)).toThrow("not modelled");
  });

  it("O-08 other types and protocols", () => {
    const m = new Machine();
    expect(shown(sysSocket(m.task, NETLINK, 1, 0))).toBe("ESOCKTNOSUPPORT");
    expect(shown(sysSocket(m.task, NETLINK, RAW, 32))).toBe("EPROTONOSUPPORT");
  });
});
