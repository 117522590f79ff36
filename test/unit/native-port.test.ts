/**
 * The native agent: what it executes, how it sees a sleeper, and what it refuses.
 *
 * Everything here is checked twice: in private namespaces, and without (`--plain`) as on a machine that permits none.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Nr, type SyscallName } from "../../src/kernel/uapi/unistd.ts";
import { AgentFailed, AgentUnavailable, defaultAgentPath, NativePort } from "../../src/native-bridge/index.ts";
import { type PortResult, type Register, type Setup, type Step, UserLayout } from "../../src/syscalls/port.ts";

const { arena, edgeEnd, readOnly, frozen, bad, kernel } = UserLayout;
const EINTR = 4;
const EAGAIN = 11;
const EFAULT = 14;
const EMFILE = 24;
const ENOSPC = 28;
const IN = 1;
const ET = 0x8000_0000;
const NONBLOCK = 0o4000;
const SIGUSR1 = 10;

type CallStep = Extract<Step, { op: "call" }>;

const call = (task: number, name: SyscallName, ...args: Register[]): CallStep => {
  return { op: "call", task, name, args, wait: true, slot: null };
};
const enter = (task: number, name: SyscallName, ...args: Register[]): Step => ({
  ...call(task, name, ...args),
  wait: false,
});
const into = (slot: number, step: CallStep): Step => ({ ...step, slot });
const slot = (nr: number): Register => ({ slot: nr });
const poke = (addr: number, bytes: Uint8Array): Step => ({ op: "poke", addr, bytes });
const peek = (addr: number, length: number): Step => ({ op: "peek", addr, length });
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);
const thread = (task: number, parent = 0): Step => ({ op: "spawn", task, parent, as: "thread", flags: 0 });
const fork = (task: number, parent = 0): Step => ({ op: "spawn", task, parent, as: "process", flags: 0 });
const await_ = (task: number): Step => ({ op: "await", task });

function u64(...values: number[]): Uint8Array {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 8 * i);
  return bytes;
}

function epollEvent(events: number, data: number): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(events, 0);
  bytes.writeUInt32LE(data, 4);
  return bytes;
}

/** The data of the events in an array of them. */
function datas(bytes: Uint8Array | null, count: number): number[] {
  const buffer = Buffer.from(bytes ?? []);
  return Array.from({ length: count }, (_, i) => buffer.readUInt32LE(12 * i + 4));
}

const ev = arena + 0x1000;
const out = arena + 0x2000;
const one = arena + 0x3000;
const name = arena + 0x4000;

/** `epoll_ctl` ADD of `fd` with its number as data. */
const add = (ep: number, fd: number, events: number): Step[] => [
  poke(ev, epollEvent(events, fd)),
  call(0, "epoll_ctl", ep, 1, fd, ev),
];
const kick = (task: number, fd: number): Step[] => [poke(one, u64(1)), call(task, "write", fd, one, 8)];

const setupOf = (more: Partial<Setup>): Setup => {
  return { uid: null, nofile: null, sysctls: new Map(), hosts: [], slots: 8, watchdogNs: 5e9, ...more };
};

const rets = (result: PortResult): (number | null)[] => result.steps.map((step) => step.ret);

/** Results of the call steps only. */
function callRets(steps: readonly Step[], result: PortResult): (number | null)[] {
  return rets(result).filter((_, i) => steps[i]?.op === "call");
}

/** Processes of agents below this one, by pid with their parents: two for an agent that has nothing to do. */
function agentProcesses(): Map<number, number> {
  const parents = new Map<number, number>();
  const agents: number[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      parents.set(Number(entry), Number(fields[1]));
      if (stat.includes("(epollsim-agent)")) agents.push(Number(entry));
    } catch {
      // it ended while we looked
    }
  }
  const isBelow = (pid: number): boolean => {
    for (let at: number | undefined = pid; at; at = parents.get(at)) if (at === process.pid) return true;
    return false;
  };
  return new Map(agents.filter(isBelow).map((pid) => [pid, parents.get(pid) ?? 0]));
}

const noAgent = process.platform !== "linux" || process.arch !== "x64" || !existsSync(defaultAgentPath());
const why = noAgent ? " (skipped: no native agent, which needs Linux on x86-64 and a C compiler at set-up)" : "";

for (const agentArgs of [[], ["--plain"]]) {
  describe.skipIf(noAgent)(`native port ${agentArgs.join(" ")}${why}`, () => {
    let port: NativePort;

    const run = (steps: Step[], setup: Partial<Setup> = {}) => port.run({ setup: setupOf(setup), steps });
    const done = async (steps: Step[], setup: Partial<Setup> = {}) => {
      const result = await run(steps, setup);
      expect(result).toMatchObject({ end: "done", reason: "" });
      expect(result.steps).toHaveLength(steps.length);
      return result;
    };
    const refused = async (steps: Step[], setup: Partial<Setup> = {}) => {
      const result = await run(steps, setup);
      expect(result.end).toBe("unsupported");
      return result.reason;
    };

    beforeAll(async () => {
      port = await NativePort.open({ agentArgs });
    });

    afterAll(async () => {
      await port.close();
    });

    it("knows exactly the calls of the language, by the same numbers", () => {
      const sorted = (entries: Iterable<[string, number]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
      expect(sorted(port.greeting.calls)).toEqual(sorted(Object.entries(Nr)));
    });

    it("gives the first free descriptor and reports errors as negative numbers", async () => {
      const result = await done([call(0, "epoll_create1", 0), call(0, "eventfd2", 0, 0), call(0, "close", 7)]);
      expect(rets(result)).toEqual([3, 4, -9]);
    });

    it("starts with /dev/null three times, an empty directory, and nothing of the program before", async () => {
      const steps = [
        poke(name, text("left")),
        call(0, "open", name, 0o102, 0o644),
        call(0, "write", 0, one, 8),
        call(0, "read", 1, out, 8),
        peek(one, 8),
        poke(one, u64(5)),
        call(0, "dup", 2),
      ];
      for (let i = 0; i < 2; i += 1) {
        const result = await done([poke(name, text("left")), call(0, "open", name, 0), ...steps.slice(1)]);
        expect(callRets([poke(name, text("left")), call(0, "open", name, 0), ...steps.slice(1)], result)).toEqual([
          -2, 3, 8, 0, 4,
        ]);
        expect(result.steps[5]?.bytes).toEqual(new Uint8Array(8));
      }
    });

    it("maps user memory where both worlds expect it", async () => {
      const steps = [
        call(0, "eventfd2", 0, NONBLOCK),
        ...[arena, arena + UserLayout.arenaBytes - 8, edgeEnd - 8, readOnly, readOnly + 4088].map((at) =>
          call(0, "write", 3, at, 8),
        ),
        ...[
          arena - 8,
          arena + UserLayout.arenaBytes - 4,
          edgeEnd - 4,
          edgeEnd,
          readOnly + 4092,
          bad,
          0,
          kernel,
          -1,
        ].map((at) => call(0, "write", 3, at, 8)),
        poke(one, u64(1)),
        call(0, "write", 3, one, 8),
        ...[readOnly, edgeEnd - 4, bad, kernel].map((at) => call(0, "read", 3, at, 8)),
      ];
      const results = callRets(steps, await done(steps));
      expect(results.slice(0, 6)).toEqual([3, 8, 8, 8, 8, 8]);
      expect(results.slice(6, 15)).toEqual(Array(9).fill(-EFAULT));
      expect(results.slice(15)).toEqual([8, -EFAULT, -EAGAIN, -EAGAIN, -EFAULT]); // the value is gone with the first
    });

    it("reads and writes user memory, and says null where there is none", async () => {
      const result = await done([
        poke(edgeEnd - 4, u64(0x0807_0605_0403)),
        peek(edgeEnd - 4, 4),
        peek(edgeEnd - 4, 5),
        poke(readOnly + 1, Uint8Array.of(9)),
        peek(readOnly, 2),
        peek(bad, 1),
        peek(0x40_0000, 4),
        peek(arena, 0),
      ]);
      const bytes = result.steps.map((step) => step.bytes);
      expect((await done([peek(readOnly, 2)])).steps[0]?.bytes).toEqual(new Uint8Array(2));
      expect(bytes.slice(1)).toEqual([
        Uint8Array.of(3, 4, 5, 6),
        null,
        null,
        Uint8Array.of(0, 9),
        null,
        null,
        new Uint8Array(0),
      ]);
    });

    it("passes results on in slots", async () => {
      const steps = [
        call(0, "pipe2", out, 0),
        { op: "peekSlot", addr: out, slot: 0 } as const,
        { op: "peekSlot", addr: out + 4, slot: 1 } as const,
        into(2, call(0, "write", slot(1), one, 5)),
        { op: "pokeSlot", addr: one, size: 4, slot: 2 } as const,
        call(0, "read", slot(0), out, 100),
        peek(one, 4),
      ];
      const result = await done(steps);
      expect(rets(result)).toEqual([0, null, null, 5, null, 5, null]);
      expect(result.steps[6]?.bytes).toEqual(Uint8Array.of(5, 0, 0, 0));
    });

    it("sees a thread sleep in epoll_wait, and the write that wakes it", async () => {
      const steps = [
        call(0, "epoll_create1", 0),
        call(0, "eventfd2", 0, NONBLOCK),
        ...add(3, 4, IN),
        thread(1),
        enter(1, "epoll_wait", 3, out, 8, -1),
        { op: "blocked", task: 1 } as const,
        ...kick(0, 4),
        await_(1),
        peek(out, 12),
      ];
      const result = await done(steps);
      expect(result.steps.slice(5)).toMatchObject([
        { ret: null, woke: [] },
        { ret: null, woke: [] },
        { ret: null },
        { ret: 8, woke: [1] },
        { ret: 1, woke: [] },
        { bytes: new Uint8Array(epollEvent(IN, 4)) },
      ]);
    });

    it("wakes one of two waiters, and says which", async () => {
      const steps = [
        call(0, "epoll_create1", 0),
        call(0, "eventfd2", 0, NONBLOCK),
        ...add(3, 4, IN + ET),
        thread(1),
        thread(2),
        enter(1, "epoll_wait", 3, out, 8, -1),
        enter(2, "epoll_wait", 3, out, 8, -1),
        ...kick(0, 4),
        { op: "settle" } as const,
        { op: "blocked", task: 1 } as const,
        { op: "blocked", task: 2 } as const,
      ];
      const result = await done(steps);
      expect(result.steps[9]?.woke).toEqual([2]); // the newest sleeper
      expect(rets(result).slice(10)).toEqual([null, null, 1]);
    });

    it("lets a timed sleeper return by itself", async () => {
      const result = await done([call(0, "epoll_create1", 0), call(0, "epoll_wait", 3, out, 8, 20)]);
      expect(rets(result)).toEqual([3, 0]);
    });

    it("forks a task: a copy of the descriptors, the same memory", async () => {
      const steps = [
        call(0, "pipe2", out, 0),
        fork(1),
        call(1, "close", 4),
        call(0, "write", 4, one, 3),
        call(1, "read", 3, out, 8),
        enter(1, "read", 3, out, 8),
        call(0, "close", 4),
        await_(1),
        into(0, call(0, "getpid")),
        into(1, call(1, "getpid")),
        { op: "pokeSlot", addr: out, size: 8, slot: 0 } as const,
        { op: "pokeSlot", addr: out + 8, size: 8, slot: 1 } as const,
        peek(out, 16),
      ];
      const result = await done(steps);
      expect(rets(result).slice(0, 8)).toEqual([0, null, 0, 3, 3, null, 0, 0]);
      expect(result.steps[6]?.woke).toEqual([1]);
      expect(result.steps[8]?.ret).not.toBe(result.steps[9]?.ret);
    });

    it("lets a parent wait for a forked task", async () => {
      const steps = [fork(1), enter(0, "wait4", -1, out, 0, 0), call(1, "exit_group", 3), await_(0), peek(out, 4)];
      const result = await done(steps);
      expect(result.steps[2]).toMatchObject({ ret: null, woke: [0] });
      expect(result.steps[3]?.ret).toBeGreaterThan(0);
      expect(result.steps[4]?.bytes).toEqual(Uint8Array.of(0, 3, 0, 0));
    });

    it("spawns and polls even while every task of the process sleeps", async () => {
      const steps = [
        call(0, "eventfd2", 0, 0),
        enter(0, "read", 3, out, 8),
        { op: "pollMask", task: 0, fd: 3 } as const,
        thread(1),
        enter(1, "read", 3, out, 8),
        thread(2, 1),
        fork(3, 1),
        ...kick(3, 3),
        ...kick(2, 3),
        await_(0),
        await_(1),
      ];
      const result = await done(steps);
      expect(result.steps[2]?.ret).toBe(4);
      expect(rets(result).slice(8)).toEqual([8, null, 8, 8, 8]);
    });

    it.skipIf(process.getuid?.() !== 0)("freezes a scan in the middle (E-120)", async () => {
      const steps = [
        call(0, "epoll_create1", 0),
        ...[4, 5, 6].flatMap((fd) => [call(0, "eventfd2", 0, NONBLOCK), ...add(3, fd, IN)]),
        ...kick(0, 4),
        ...kick(0, 5),
        thread(1),
        thread(2),
        enter(1, "epoll_wait", 3, frozen, 1, 0),
        peek(frozen, 1),
        ...kick(0, 6),
        enter(2, "epoll_wait", 3, out, 8, 0),
        { op: "thaw", page: 0 } as const,
        await_(1),
        await_(2),
        peek(frozen, 12),
        peek(out, 36),
      ];
      const result = await done(steps);
      const [scan, beforeThaw, , , waiter, thaw, first, second, page, array] = result.steps.slice(16);
      expect([scan?.ret, beforeThaw?.bytes, waiter?.ret]).toEqual([null, null, null]);
      expect(thaw?.woke).toEqual([1, 2]);
      expect([first?.ret, second?.ret]).toEqual([1, 3]);
      expect(datas(page?.bytes ?? null, 1)).toEqual([4]);
      expect(datas(array?.bytes ?? null, 3)).toEqual([5, 6, 4]); // what is left, what arrived, what was delivered
    });

    it.skipIf(process.getuid?.() !== 0)("freezes forked processes, too", async () => {
      const result = await done([
        call(0, "eventfd2", 1, 0),
        fork(1),
        enter(1, "read", 3, frozen + 4096, 8),
        { op: "thaw", page: 1 },
        await_(1),
        peek(frozen + 4096, 1),
        call(0, "dup", 3),
      ]);
      expect(rets(result)).toEqual([3, null, null, 0, 8, null, 4]);
      expect(result.steps[3]?.woke).toEqual([1]);
      expect(result.steps[5]?.bytes).toEqual(Uint8Array.of(1));
    });

    it.skipIf(process.getuid?.() !== 0)("is not caught behind a frozen scan", async () => {
      const steps = [
        call(0, "epoll_create1", 0),
        call(0, "eventfd2", 1, 0),
        ...add(3, 4, IN),
        thread(1),
        enter(1, "epoll_wait", 3, frozen, 8, -1),
      ];
      for (const last of ["fdinfo", "pollMask"] as const) {
        const result = await run([...steps, { op: last, task: 0, fd: 3 }], { watchdogNs: 100e6 });
        expect(result).toMatchObject({ end: "timeout", reason: "the watchdog ended the script in step 6" });
        expect(result.steps).toHaveLength(6);
      }
      expect(agentProcesses().size).toBe(2);
    });

    it("shows the fdinfo and the poll mask of a descriptor", async () => {
      const steps = [
        call(0, "epoll_create1", 0),
        call(0, "eventfd2", 0, NONBLOCK),
        ...add(3, 4, IN),
        { op: "fdinfo", task: 0, fd: 3 } as const,
        { op: "fdinfo", task: 0, fd: 9 } as const,
        { op: "pollMask", task: 0, fd: 4 } as const,
        { op: "pollMask", task: 0, fd: 9 } as const,
      ];
      const result = await done(steps);
      expect(Buffer.from(result.steps[4]?.bytes ?? []).toString()).toContain("tfd:        4 events:       19");
      expect(result.steps[5]?.bytes).toBeNull();
      expect(rets(result).slice(6)).toEqual([4, 0x20]);
    });

    it("interrupts a sleeper with a signal that has a handler", async () => {
      const steps = [
        poke(name, u64(1000, 0, 0, 0)),
        call(0, "rt_sigaction", SIGUSR1, name, 0, 8),
        call(0, "epoll_create1", 0),
        into(0, call(0, "getpid")),
        thread(1),
        into(1, call(1, "gettid")),
        enter(1, "epoll_wait", 3, out, 8, -1),
        call(0, "tgkill", slot(0), slot(1), SIGUSR1),
        await_(1),
        call(0, "rt_sigaction", SIGUSR1, 0, out, 8),
      ];
      const result = await done(steps);
      expect(result.steps[7]?.woke).toEqual([1]);
      expect(result.steps[8]?.ret).toBe(-EINTR);
    });

    it("ignores SIGPIPE from the beginning", async () => {
      const result = await done([call(0, "pipe2", out, 0), call(0, "close", 3), call(0, "write", 4, one, 1)]);
      expect(rets(result)).toEqual([0, 0, -32]);
    });

    it("connects TCP sockets over loopback", async () => {
      const address = Uint8Array.of(2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
      const steps = [
        call(0, "socket", 2, 1, 0),
        poke(name, address),
        call(0, "bind", 3, name, 16),
        call(0, "listen", 3, 8),
        poke(out, u64(16)),
        call(0, "getsockname", 3, name, out),
        thread(1),
        enter(1, "accept", 3, 0, 0),
        call(0, "socket", 2, 1, 0),
        call(0, "connect", 5, name, 16), // 4 belongs to the accept already
        await_(1),
        call(0, "write", 5, one, 5),
        call(1, "read", 4, out, 8),
      ];
      const result = await done(steps);
      expect(rets(result)).toEqual([3, null, 0, 0, null, 0, null, null, 5, 0, 4, 5, 5]);
      expect(result.steps[9]?.woke).toEqual([1]);
    });

    it("sets RLIMIT_NOFILE", async () => {
      const result = await done([call(0, "dup", 0), call(0, "dup", 0), call(0, "dup", 0)], { nofile: 5 });
      expect(rets(result)).toEqual([3, 4, -EMFILE]);
    });

    it.skipIf(process.getuid?.() !== 0)("runs as a user with quotas of its own, and restores sysctls", async () => {
      const path = "/proc/sys/fs/epoll/max_user_watches";
      const before = readFileSync(path, "latin1");
      const steps = [
        call(0, "epoll_create1", 0),
        ...[4, 5, 6].flatMap((fd) => [call(0, "eventfd2", 0, NONBLOCK), ...add(3, fd, IN)]),
      ];
      const sysctls = new Map([["fs.epoll.max_user_watches", "2"]]);
      const result = await done(steps, { uid: 4242, sysctls });
      expect(callRets(steps, result)).toEqual([3, 4, 0, 5, 0, 6, -ENOSPC]);
      expect(readFileSync(path, "latin1")).toBe(before);
      const timeout = await run([call(0, "pause")], { sysctls, watchdogNs: 50e6 });
      expect(timeout.end).toBe("timeout");
      expect(readFileSync(path, "latin1")).toBe(before);
    });

    it("ends a script that never ends, and says where", async () => {
      const steps = [call(0, "epoll_create1", 0), call(0, "epoll_wait", 3, out, 1, -1), call(0, "close", 3)];
      const result = await run(steps, { watchdogNs: 100e6 });
      expect(result).toMatchObject({ end: "timeout", reason: "the watchdog ended the script in step 1" });
      expect(rets(result)).toEqual([3]);
      expect(agentProcesses().size).toBe(2);
    });

    it("ends a script whose tasks wait for each other", async () => {
      const steps = [
        call(0, "eventfd2", 0, 0),
        thread(1),
        fork(2),
        enter(1, "read", 3, out, 8),
        enter(2, "read", 3, out, 8),
      ];
      const result = await run([...steps, await_(1)], { watchdogNs: 100e6 });
      expect(result).toMatchObject({ end: "timeout" });
      expect(result.steps).toHaveLength(5);
      expect(agentProcesses().size).toBe(2);
    });

    it.each([
      ["/etc/passwd", "outside"],
      ["../etc/passwd", "upwards"],
      ["x/../../y", "upwards"],
      ["/proc/1/environ", "outside"],
      ["/proc/self/../1/environ", "upwards"],
      ["/proc/self/fd/", "outside"],
      ["/dev/sda", "outside"],
      ["/proc/sys/kernel/core_pattern", "outside"],
    ])("does not open %s", async (path, reason) => {
      const steps = [poke(name, text(path)), call(0, "openat", -100, name, 0, 0)];
      expect(await refused(steps)).toContain(reason);
    });

    it("opens harmless files, and those only as they are harmless", async () => {
      const open = (path: string, flags: number) => [poke(name, text(path)), call(0, "open", name, flags, 0o644)];
      const steps = [
        ...open("/dev/null", 2),
        ...open("/proc/self/status", 0),
        ...open("/tmp", 0o200000),
        ...open("file", 0o102),
        poke(name, text("dir")),
        call(0, "mkdir", name, 0o755),
        ...open("dir/fifo", 0),
        poke(name, text("dir/fifo")),
        call(0, "mknod", name, 0o010644, 0),
        ...open("dir/fifo", 2),
      ];
      expect(callRets(steps, await done(steps))).toEqual([3, 4, 5, 6, 0, -2, 0, 7]);
      expect(await refused(open("/proc/self/status", 2))).toContain("only be opened for reading");
      expect(await refused(open("/tmp", 0o20200002))).toContain("only be opened for reading");
      expect(await refused(open("/dev/null", 0o102))).toContain("only be opened for reading");
      const again = [...open("file", 0), ...open("dir", 0)];
      expect(callRets(again, await done(again))).toEqual([-2, -2]);
    });

    it.each<[string, Step[]]>([
      ["an unknown call", [call(0, "execve" as SyscallName, name, 0, 0)]],
      ["a signal to the agent", [call(0, "kill", 1, 9)]],
      ["a signal to everybody", [call(0, "kill", -1, 9)]],
      ["a signal to a stranger's thread", [call(0, "tgkill", 1, 1, 9)]],
      ["a pidfd of a stranger", [call(0, "pidfd_open", 1, 0)]],
      ["a device node", [poke(name, text("sda")), call(0, "mknod", name, 0o060600, 0x800)]],
      ["a raw socket", [call(0, "socket", 2, 3, 1)]],
      ["a packet socket behind high bits", [call(0, "socket", 0x1_0000_0011, 3, 0)]],
      ["a netlink protocol that configures", [call(0, "socket", 16, 3, 12)]],
      ["a change of credentials by prctl", [call(0, "prctl", 8, 1)]],
      ["an owner for signals", [call(0, "fcntl", 0, 8, 1)]],
      ["an unknown ioctl", [call(0, "ioctl", 0, 0x5412, one)]],
      ["another core limit", [call(0, "prlimit64", 0, 4, one, 0)]],
      ["a limit of a stranger", [call(0, "prlimit64", 1, 7, 0, out)]],
      ["a handler that is code", [poke(name, u64(0x40_1000, 0, 0, 0)), call(0, "rt_sigaction", 10, name, 0, 8)]],
      ["a buffer inside the agent", [call(0, "eventfd2", 1, 0), call(0, "read", 3, 0x40_1000, 8)]],
      [
        "a slot that points into the agent",
        [poke(name, u64(0x40_1000)), { op: "peekSlot", addr: name, slot: 0 }, call(0, "read", 3, slot(0), 8)],
      ],
      ["an iovec inside the agent", [poke(name, u64(0x40_1000, 8)), call(0, "readv", 3, name, 1)]],
      ["a message inside the agent", [poke(name, u64(0, 0, out, 1, 0x40_1000, 8, 0)), call(0, "recvmsg", 3, name, 0)]],
      ["a gigantic allocation", [call(0, "memfd_create", name, 0), call(0, "fallocate", 3, 0, 0, 1e12)]],
      ["a task that does not exist", [call(7, "getpid")]],
      ["a slot that does not exist", [call(0, "dup", slot(99))]],
      ["two calls at once", [call(0, "eventfd2", 0, 0), enter(0, "read", 3, out, 8), call(0, "dup", 3)]],
    ])("refuses %s", async (_, steps) => {
      expect(await refused(steps)).not.toBe("");
    });

    it("refuses sysctls that are none of a script's business", async () => {
      const sysctls = new Map([["kernel.core_pattern", "|/bin/sh"]]);
      expect(await refused([], { sysctls })).toContain("kernel.core_pattern");
    });

    it("goes on after scripts that harm only themselves", async () => {
      const harm: [Step[], PortResult["end"]][] = [
        [[call(0, "close_range", 0, 0xffff_ffff, 0), call(0, "dup", 0)], "done"],
        [[call(0, "exit_group", 1)], "done"],
        [[thread(1), call(0, "exit", 1), call(1, "dup", 0)], "done"],
        [[thread(1), call(1, "exit_group", 1), call(0, "dup", 0)], "crashed"],
        [[into(0, call(0, "getpid")), call(0, "kill", slot(0), 9), call(0, "dup", 0)], "crashed"],
        [[call(0, "kill", 0, 15), call(0, "dup", 0)], "crashed"],
        [[into(0, call(0, "getpid")), call(0, "kill", slot(0), 11)], "crashed"],
        [[into(0, call(0, "getpid")), call(0, "kill", slot(0), 19)], "timeout"],
        [[call(0, "alarm", 1), call(0, "pause")], "done"],
        [Array.from({ length: 255 }, (_, i) => thread(i + 1, i)), "done"],
        [Array.from({ length: 40 }, (_, i) => fork(i + 1, i)), "done"],
        [Array.from({ length: 300 }, (_, i) => thread(i + 1)), "unsupported"],
      ];
      for (const [steps, end] of harm) {
        const result = await run(steps, { watchdogNs: 2e9 });
        expect([steps.slice(0, 3), result.end]).toEqual([steps.slice(0, 3), end]);
      }
      expect(agentProcesses().size).toBe(2);
      expect(rets(await done([call(0, "dup", 0)]))).toEqual([3]);
    });

    it("answers pipelined programs in order", async () => {
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, i) => done(Array.from({ length: i + 1 }, () => call(0, "dup", 0)))),
      );
      expect(results.map((result) => result.steps.at(-1)?.ret)).toEqual(Array.from({ length: 50 }, (_, i) => 3 + i));
    });

    it("carries programs and results of megabytes", async () => {
      const bytes = Buffer.alloc(UserLayout.arenaBytes, 0xa5);
      const result = await done([poke(arena, bytes), peek(arena, bytes.length)]);
      expect(Buffer.from(result.steps[1]?.bytes ?? []).equals(bytes)).toBe(true);
      expect((await done([peek(arena, 4)])).steps[0]?.bytes).toEqual(new Uint8Array(4));
      expect(await refused(Array.from({ length: 5 }, () => peek(arena, bytes.length)))).toContain("64 MiB");
    });

    it("survives the death of its agent", async () => {
      const others = agentProcesses();
      const own = await NativePort.open({ agentArgs });
      const pause = { setup: setupOf({}), steps: [call(0, "pause")] };
      const dying = own.run(pause);
      const coordinators = [...agentProcesses()].filter(([pid, parent]) => !others.has(pid) && parent !== process.pid);
      process.kill(coordinators[0]?.[0] ?? 0, "SIGKILL");
      await expect(dying).rejects.toThrow(AgentFailed);
      expect(rets(await own.run({ setup: setupOf({}), steps: [call(0, "dup", 0)] }))).toEqual([3]);
      await own.close();
      await expect(own.run(pause)).rejects.toThrow("closed");
      expect(agentProcesses().size).toBe(2);
    });

    it("leaves nothing behind", async () => {
      const own = await NativePort.open({ agentArgs });
      await own.run({ setup: setupOf({}), steps: [fork(1), enter(1, "pause"), enter(0, "pause")] });
      expect(agentProcesses().size).toBe(4);
      await own.close();
      expect(agentProcesses().size).toBe(2);
    });
  });
}

describe("native port without an agent", () => {
  it("says what to install", async () => {
    const opening = NativePort.open({ agentPath: "/nowhere/epollsim-agent" });
    await expect(opening).rejects.toThrow(AgentUnavailable);
    await expect(opening).rejects.toThrow(/\/nowhere\/epollsim-agent.*is not there.*node \S+\/scripts\/setup\.mjs/);
  });

  it("says what a command printed that is no agent", async () => {
    await expect(NativePort.open({ command: "echo hello" })).rejects.toThrow(/not an agent.*hello/);
    await expect(NativePort.open({ command: "echo sorry >&2; exit 3" })).rejects.toThrow(/status 3.*sorry/);
  });

  it.skipIf(noAgent)(`reaches an agent by a command${why}`, async () => {
    const port = await NativePort.open({ command: `'${defaultAgentPath()}' --plain` });
    const result = await port.run({ setup: setupOf({}), steps: [call(0, "dup", 0)] });
    expect(rets(result)).toEqual([3]);
    await port.close();
  });
});
