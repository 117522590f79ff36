import { describe, expect, it } from "vitest";
import { Sig } from "../../src/kernel/uapi/signal.ts";
import { ARENA, BAD } from "../helpers/files.ts";
import { SignalMachine } from "../helpers/signals.ts";

const { USR1, USR2, CHLD, KILL, STOP, TERM } = Sig;
const NONBLOCK = 0o4000;
const RT = 32;
const IN = 1;
const INTO = ARENA + 0x1000;

class Signalfd extends SignalMachine {
  readonly pid: number = this.task.process.tgid;
  readonly fd: number;

  constructor(flags: number, ...shown: number[]) {
    super();
    this.block(this.task, USR1, USR2, CHLD, RT, RT + 1);
    this.fd = this.call("signalfd4", -1, this.set(...shown), 8, flags) as number;
  }

  kill(sig: number, task = this.task): void {
    expect(this.sys(task, "kill", task.process.tgid, sig)).toBe(0);
  }

  /** Signals of the records read. */
  read(task = this.task, room = 1024): (number | string)[] {
    const result = this.sys(task, "read", this.fd, INTO, room);
    if (typeof result === "string") return [result];
    return Array.from({ length: result / 128 }, (_, i) => this.peek32(INTO + i * 128));
  }
}

describe("signalfd", () => {
  it("S-01 S-05 the mask depends on who polls; a thread's own signals are its own", () => {
    const m = new Signalfd(NONBLOCK, USR1);
    const other = m.thread();
    m.call("tgkill", m.pid, m.task.tid, USR1);
    expect([m.mask(m.fd), m.file(m.fd).poll(other, null)]).toEqual([IN, 0]);
    m.block(other, USR1);
    m.kill(USR1);
    expect(m.file(m.fd).poll(other, null)).toBe(IN);
  });

  it("S-02 as many records as fit; too little room, none, no write, no memory", () => {
    const m = new Signalfd(NONBLOCK, USR1, RT);
    expect([m.read(m.task, 127), m.read()]).toEqual([["EINVAL"], ["EAGAIN"]]);
    expect(m.call("write", m.fd, INTO, 8)).toBe("EINVAL");
    for (const sig of [RT, RT, RT, USR1]) m.kill(sig);
    expect([m.read(m.task, 383), m.read(), m.read()]).toEqual([[USR1, RT], [RT, RT], ["EAGAIN"]]);
    m.kill(USR1);
    expect([m.call("read", m.fd, BAD, 128), m.read()]).toEqual(["EFAULT", ["EAGAIN"]]);
  });

  it("S-03 standard signals first, lowest number first, once; real-time ones each time, with their sender", () => {
    const m = new Signalfd(NONBLOCK, USR1, USR2, RT, RT + 1);
    for (const sig of [RT + 1, RT, USR2, USR1, RT, USR2]) m.kill(sig);
    expect(m.read()).toEqual([USR1, USR2, RT, RT, RT + 1]);
    expect([m.peek32(INTO + 8), m.peek32(INTO + 12), m.peek32(INTO + 16)]).toEqual([0, m.pid, 0]);
  });

  it("S-04 what is queued wakes with key 0, shown or not; a duplicate or an ignored signal does not", () => {
    const m = new Signalfd(NONBLOCK, USR1);
    const watch = m.watch(m.fd);
    m.kill(USR2);
    m.kill(USR1);
    expect(watch.take()).toEqual([0, 0]);
    m.kill(USR1);
    m.handle(TERM, 1);
    m.kill(TERM);
    expect(watch.take()).toEqual([]);
  });

  it("S-06 E-140 E-141 an item stands on the queue of the process that added it", () => {
    const m = new Signalfd(NONBLOCK, USR1);
    const ep = m.call("epoll_create1", 0) as number;
    m.poke32(ARENA, IN, 3, 0);
    m.call("epoll_ctl", ep, 1, m.fd, ARENA);
    const child = m.fork();
    m.kill(USR1, child);
    const wait = (task: typeof child) => m.sys(task, "epoll_wait", ep, INTO, 8, 0);
    expect([m.file(m.fd).poll(child, null), wait(child)]).toEqual([IN, 0]);
    expect(m.read(child)).toEqual([USR1]);
    m.kill(USR1);
    expect([wait(child), wait(m.task), m.mask(m.fd)]).toEqual([0, 0, IN]);
    m.call("epoll_ctl", ep, 3, m.fd, ARENA);
    expect(wait(m.task)).toBe(1);
    expect(m.read()).toEqual([USR1]);
  });

  it("S-07 another mask wakes with key 0", () => {
    const m = new Signalfd(NONBLOCK, USR1);
    m.kill(USR1);
    const watch = m.watch(m.fd);
    expect(m.call("signalfd4", m.fd, m.set(USR2), 8, 0)).toBe(m.fd);
    expect([m.mask(m.fd), watch.take()]).toEqual([0, [0]]);
    m.call("signalfd4", m.fd, m.set(USR1), 8, 0);
    expect([m.mask(m.fd), watch.take()]).toEqual([IN, [0]]);
  });

  it("S-08 SIGKILL and SIGSTOP are left out; errors", () => {
    const m = new Signalfd(0, KILL, STOP, USR1);
    expect(m.file(m.fd).fdinfo()).toBe("sigmask:\t0000000000000200\n");
    expect(m.call("signalfd4", -1, m.set(), 8, 1)).toBe("EINVAL");
    expect(m.call("signalfd4", -1, m.set(), 4, 0)).toBe("EINVAL");
    expect(m.call("signalfd4", -1, BAD, 8, 0)).toBe("EFAULT");
    expect(m.call("signalfd4", 99, m.set(), 8, 0)).toBe("EBADF");
    const efd = m.call("eventfd2", 0, 0) as number;
    expect(m.call("signalfd", efd, m.set(), 8)).toBe("EINVAL");
    expect(m.file(m.call("signalfd4", -1, m.set(), 8, NONBLOCK) as number).nonblock).toBe(true);
  });

  it("S-09 SIGCHLD can be read although it is ignored by default", () => {
    const m = new Signalfd(NONBLOCK, CHLD);
    const child = m.fork();
    m.sys(child, "exit_group", 3);
    expect(m.read()).toEqual([CHLD]);
    expect([m.peek32(INTO + 8), m.peek32(INTO + 12), m.peek32(INTO + 40)]).toEqual([1, child.tid, 3]);
  });

  it("a reader sleeps for the first record", () => {
    const m = new Signalfd(0, USR1);
    const other = m.thread();
    m.block(other, USR1);
    expect(m.read(other)).toEqual(["asleep"]);
    m.kill(USR2);
    expect(m.result(other)).toBe("asleep");
    m.kill(USR1);
    expect([m.result(other), m.peek32(INTO)]).toEqual([128, USR1]);
  });

  it("E-142 the owner of the queue goes: the item is unhooked", () => {
    const m = new Signalfd(NONBLOCK, USR1);
    const ep = m.call("epoll_create1", 0) as number;
    const child = m.fork();
    m.poke32(ARENA, IN | 0x8000_0000, 3, 0);
    m.sys(child, "epoll_ctl", ep, 1, m.fd, ARENA);
    m.sys(child, "exit_group", 0);
    m.kill(USR1);
    expect(m.call("epoll_wait", ep, INTO, 8, 0)).toBe(0);
    // Reaping takes the queue away, which the item hears of with HUP: it is looked at once more.
    expect(m.call("wait4", -1, 0, 0, 0)).toBe(child.tid);
    expect([m.call("epoll_wait", ep, INTO, 8, 0), m.call("epoll_wait", ep, INTO, 8, 0)]).toEqual([1, 0]);
    m.kill(USR2);
    expect(m.call("epoll_wait", ep, INTO, 8, 0)).toBe(0);
  });
});
