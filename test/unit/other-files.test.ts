import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { sysLseek } from "../../src/syscalls/fd.ts";
import { sysMqOpen } from "../../src/syscalls/mqueue.ts";
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
