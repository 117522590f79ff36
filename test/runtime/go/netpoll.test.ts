/** netpoll on epoll, pollDesc, deadlines, descriptors, net and os. */
import {
  bytesOf,
  type Conn,
  type Context,
  EOF,
  ErrClosed,
  ErrDeadlineExceeded,
  ErrFileClosed,
  ErrNoDeadline,
  type File,
  type Go,
  type Listener,
  type Runtime,
} from "epollsim/go";
import { Errno, type Syscalls } from "epollsim/runtime";
import { describe, expect, test } from "vitest";
import { deadlines } from "../../../examples/go/deadlines.ts";
import { echoswarm } from "../../../examples/go/echoswarm.ts";
import { halfclose } from "../../../examples/go/halfclose.ts";
import { pair } from "../../../examples/go/lib/pair.ts";
import { pingpong } from "../../../examples/go/pingpong.ts";
import { Cont } from "../../../src/runtime/go/runtime2.ts";
import { type GoCall, type GoTestOptions, runGo, traceGo } from "../../helpers/go.ts";

const MS = 1_000_000;
const GIB = 2 ** 30;
/** Takes bytes and keeps none. */
const NOTHING: Uint8Array = Object.assign(new Uint8Array(8), { set: () => {} });
const O_WRONLY = 1;
const O_NONBLOCK = 0o4000;
const ADD = 1;
const DEL = 2;
const MOD = 3;

function* listening(rt: Runtime): Go<Listener> {
  const { value, err } = yield* rt.listen("tcp4", "127.0.0.1:0");
  return err === null ? value : rt.panic(err.text);
}

/** The lines of a trace that name a call. */
function lines(text: string, call: string): string[] {
  return text.split("\n").filter((line) => line.includes(` ${call}(`));
}

/** Texts in this order somewhere in the trace. */
function inOrder(text: string, parts: readonly string[]): boolean {
  let at = 0;
  return parts.every((part) => {
    at = text.indexOf(part, at);
    return at++ >= 0;
  });
}

const swarm = traceGo(echoswarm({ conns: 10, rounds: 5, size: 64 }));
const newest = traceGo(echoswarm({ conns: 10, rounds: 5, size: 64 }), { version: "newest" });

describe("the epoll layer", () => {
  test("R-087, R-088, R-171: one epoll instance, made with the first descriptor or the first timer", () => {
    expect(lines(swarm, "epoll_create1")).toHaveLength(1);
    expect(lines(swarm, "epoll_create1")[0]).toContain("epoll_create1(EPOLL_CLOEXEC)");
    expect(
      lines(
        traceGo(function* main(rt) {
          yield* rt.sleep(MS);
        }),
        "epoll_create1",
      ),
    ).toHaveLength(1);
    expect(
      lines(
        traceGo(function* main(rt) {
          yield* rt.gosched();
        }),
        "epoll_create1",
      ),
    ).toHaveLength(0);
  });

  test("R-089, R-090: the interrupt is a pipe in 1.19, an eventfd in the newest, level-triggered, with data of its own", () => {
    expect(swarm).toMatch(/pipe2\(\[\d+, \d+\], O_NONBLOCK\|O_CLOEXEC\)/u);
    expect(newest).toMatch(/eventfd2\(0, EFD_CLOEXEC\|EFD_NONBLOCK\)/u);
    for (const text of [swarm, newest]) {
      expect(lines(text, "epoll_ctl")[0]).toMatch(/ADD, \d+, \{events=EPOLLIN, data=\{u32=6213632, u64=6213632\}\}/u);
    }
  });

  test("R-091, R-092, R-094: one ADD with IN, OUT, RDHUP and ET; never MOD, never ONESHOT; DEL with an event", () => {
    const { named } = runGo(echoswarm({ conns: 10, rounds: 5, size: 64 }));
    const ops = named("epoll_ctl").map((call) => call.args[1]);
    expect(ops.filter((op) => op === ADD)).toHaveLength(23);
    expect(ops.filter((op) => op === DEL)).toHaveLength(22);
    expect(ops).not.toContain(MOD);
    expect(named("epoll_ctl").every((call) => call.args[3] !== 0)).toBe(true);
    const adds = lines(swarm, "epoll_ctl")
      .filter((line) => line.includes("ADD"))
      .slice(1);
    expect(adds.every((line) => line.includes("{events=EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET,"))).toBe(true);
    expect(swarm).not.toContain("ONESHOT");
  });

  test("R-093: out of epoll before it is closed", () => {
    const { calls } = runGo(pingpong({ rounds: 1, net: "tcp4" }));
    const closes = calls.filter((call) => call.name === "close");
    for (const close of closes) {
      const before = calls
        .slice(0, calls.indexOf(close))
        .filter((call) => call.name === "epoll_ctl")
        .at(-1);
      expect([before?.args[1], before?.args[2]]).toEqual([DEL, close.args[0]]);
    }
    expect(closes).toHaveLength(4);
  });

  test("R-095: data is the pollDesc's address; the newest adds a sequence number", () => {
    const data = (text: string): number[] =>
      lines(text, "epoll_ctl")
        .filter((line) => line.includes("EPOLLET"))
        .map((line) => Number(/u64=(\d+)/u.exec(line)?.[1]));
    const plain = data(swarm);
    expect(plain.every((value) => value % 8 === 0)).toBe(true);
    expect(data(newest).map((value) => Math.floor(value / 65_536))).toEqual(plain);
    expect(data(newest)[0]).toBe((plain[0] as number) * 65_536 + 1);
  });

  test("R-096, R-108: epoll_pwait with a null mask and 128 events; a full buffer leaves the rest", () => {
    const { named, rt } = runGo(echoswarm({ conns: 150, rounds: 2, size: 8 }));
    expect(named("epoll_pwait").every((call) => call.args[2] === 128 && call.args[4] === 0)).toBe(true);
    expect(rt.stats.epollFull).toBeGreaterThan(0);
    expect(Math.max(...named("epoll_pwait").map((call) => call.result ?? 0))).toBe(128);
  });

  test("R-098, R-099: under 1 ms is 1, else milliseconds rounded down, and the rest in further waits", () => {
    const waits = (ns: number): number[] => {
      const { named } = runGo(function* main(rt) {
        yield* rt.sleep(ns);
      });
      return named("epoll_pwait").map((call) => call.args[3] as number);
    };
    expect(waits(200_000)).toEqual([1]);
    expect(waits(5 * MS)).toEqual([4, 1]);
    expect(waits(12_345_000)).toEqual([12, 1]);
    expect(waits(2e15)[0]).toBe(1e9);
  });

  test.each([
    ["a timed poll, which is computed anew", 30 * MS],
    ["one without end, which is made again", 0],
  ])("R-100: a signal ends %s", (_name, span) => {
    const { named } = runGo(
      function* main(r) {
        const [a, b] = yield* pair(r);
        r.go("killer", function* () {
          yield* r.rawSyscall("nanosleep", (sys) => sys.nanosleep(2 * MS));
          const poller = r.sched.allm.find((m) => m.cont === Cont.POLLED);
          yield* r.rawSyscall("tgkill", (sys) => sys.tgkill(sys.getpid(), poller?.tid ?? 0, 23));
          yield* r.rawSyscall("nanosleep", (sys) => sys.nanosleep(2 * MS));
          yield* a.write(bytesOf("x"));
        });
        if (span > 0) yield* r.sleep(span);
        else yield* b.read(new Uint8Array(1));
      },
      { gomaxprocs: 2 },
    );
    const polls = named("epoll_pwait");
    const ended = polls.findIndex((call) => call.result === -Errno.EINTR);
    const timeout = polls[ended]?.args[3] ?? 0;
    const again = polls.slice(ended + 1).find((call) => call.tid === polls[ended]?.tid && call.args[3] !== 0);
    expect(timeout).toBe(span > 0 ? 29 : -1);
    if (span > 0) expect([again?.args[3]].every((next) => (next ?? 0) > 0 && (next ?? 0) < timeout)).toBe(true);
    else expect(again?.args[3]).toBe(-1);
  });

  test("R-101, R-122: the first event of a new connection has OUT, and only marks it", () => {
    const { stats } = runGo(pingpong({ rounds: 5, net: "tcp4" })).rt;
    expect(stats.eventsNobody).toBe(1);
    expect(swarm).toContain("{events=EPOLLOUT, data=");
  });

  test("R-102: an event of ERR alone makes later waits to read fail, until another event comes", () => {
    const seen: (string | undefined)[] = [];
    const { status } = runGo(function* main(rt) {
      const at = (sys: Syscalls, flags: number): number =>
        sys.call("openat", -100, sys.memory.allocText("fifo\0").addr, flags, 0);
      yield* rt.syscall("mknodat", (sys) =>
        sys.call("mknodat", -100, sys.memory.allocText("fifo\0").addr, 0o010600, 0),
      );
      let reader = yield* rt.syscall("openat", (sys) => at(sys, O_NONBLOCK));
      const { value } = yield* rt.open("fifo", O_WRONLY | O_NONBLOCK);
      const w = value as File;
      const look = function* (): Go<void> {
        yield* rt.sleep(MS);
        seen.push((yield* w.read(new Uint8Array(1))).err?.text);
      };
      yield* look();
      // A full pipe is not writable; without a reader it is nothing but an error.
      w.setWriteDeadline(rt.now() + MS);
      yield* w.write(new Uint8Array(1 << 20));
      yield* rt.syscall("close", (sys) => sys.close(reader));
      yield* look();
      expect(w.fd.pd?.everr).toBe(true);
      reader = yield* rt.syscall("openat", (sys) => at(sys, O_NONBLOCK));
      yield* rt.syscall("read", (sys) => sys.read(reader, sys.memory.alloc(1 << 20), 1 << 20));
      yield* look();
      expect(w.fd.pd?.everr).toBe(false);
    });
    expect(status).toBe(0);
    // A descriptor to write cannot be read: that is what the call itself says.
    expect(seen).toEqual(["EBADF", "not pollable", "EBADF"]);
  });

  test("R-103, R-104, R-105: any number of interrupts cost one write, which the blocking poll takes", () => {
    const { named, rt } = runGo(interrupting, { gomaxprocs: 2 });
    expect(rt.stats.netpollBreaks).toBe(3);
    expect(rt.stats.netpollBreakWrites).toBe(1);
    expect(named("write").filter((call) => call.args[2] === 1)).toHaveLength(1);
    expect(named("read").filter((call) => call.args[2] === 16)).toHaveLength(1);
    expect(
      runGo(interrupting, { gomaxprocs: 2, version: "newest" })
        .named("write")
        .some((call) => call.args[2] === 8),
    ).toBe(true);
  });

  test("R-043, R-106, R-132: a timer that is earlier than the poller's wakes it", () => {
    let woke = 0;
    const { rt } = runGo(
      function* main(r) {
        r.go("long", function* () {
          yield* r.sleep(500 * MS);
        });
        yield* r.work(2 * MS);
        const start = r.now();
        yield* r.sleep(3 * MS);
        woke = r.now() - start;
      },
      { gomaxprocs: 2 },
    );
    expect(rt.stats.netpollBreakWrites).toBeGreaterThanOrEqual(1);
    expect(woke).toBeLessThan(6 * MS);
  });

  test("R-107, R-165: with nobody in the poller a timer wakes some thread instead; the newest only for the earliest", () => {
    const wakes = (version: string): number => {
      let count = 0;
      runGo(
        function* main(r) {
          yield* r.work(2 * MS);
          const before = r.stats.wakep;
          for (const ms of [10, 20, 30]) r.newTimer(ms * MS);
          count = r.stats.wakep - before + r.stats.netpollBreaks;
        },
        { version },
      );
      return count;
    };
    expect(wakes("1.19")).toBe(3);
    expect(wakes("newest")).toBe(1);
  });

  test("R-110: the newest takes goroutines of a list out of the count of waiters; 1.19 does not", () => {
    const waiters = (version: string): number => {
      const { rt } = runGo(pingpong({ rounds: 10, net: "tcp4" }), { version });
      return rt.sched.netpollWaiters;
    };
    expect(waiters("newest")).toBe(0);
    expect(waiters("1.19")).toBeGreaterThan(20);
  });
});

/** Three timers, each earlier than the last, while another thread sleeps in the poll. */
function* interrupting(rt: Runtime): Go<void> {
  rt.go("long", function* () {
    yield* rt.sleep(5_000 * MS);
  });
  yield* rt.work(2 * MS);
  for (const ms of [300, 200, 100]) rt.newTimer(ms * MS);
  yield* rt.work(2 * MS);
}

describe("pollDesc", () => {
  test("R-111, R-114, R-134: reader and writer of one descriptor wait apart, and a close wakes both", () => {
    const errors: unknown[] = [];
    runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      rt.go("reader", function* () {
        errors.push((yield* a.read(new Uint8Array(8))).err);
      });
      rt.go("writer", function* () {
        errors.push((yield* a.write(new Uint8Array(16 << 20))).err);
      });
      yield* rt.sleep(20 * MS);
      yield* a.close();
      yield* b.close();
    });
    expect(errors).toEqual([ErrClosed, ErrClosed]);
  });

  test("R-062: an event that wakes both runs the writer first", () => {
    let fd = -1;
    let from = 0;
    const { calls } = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      fd = a.fd.sysfd;
      rt.go("reader", function* () {
        yield* a.read(new Uint8Array(8));
      });
      rt.go("writer", function* () {
        yield* a.write(new Uint8Array(16 << 20));
      });
      yield* rt.sleep(20 * MS);
      from = rt.now();
      b.setReadDeadline(rt.now() + MS);
      yield* b.write(bytesOf("x"));
      for (let n = 1; n > 0; ) ({ n } = yield* b.read(new Uint8Array(1 << 20)));
      yield* rt.sleep(MS);
    });
    const next = calls.filter((call) => call.args[0] === fd && call.atNs > from);
    const reader = next.findIndex((call) => call.name === "read");
    const writer = next.findIndex((call) => call.name === "write");
    expect([writer, reader]).toEqual([0, 1]);
  });

  test("R-115: a waiter whose deadline has moved meanwhile waits again", () => {
    runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      b.setReadDeadline(rt.now() + 5 * MS);
      rt.go("mover", function* () {
        yield* rt.work(8 * MS);
        b.setReadDeadline(rt.now() + 50 * MS);
        yield* rt.sleep(5 * MS);
        yield* a.write(bytesOf("late"));
      });
      const { n, err } = yield* b.read(new Uint8Array(8));
      expect([n, err]).toEqual([4, null]);
    });
  });

  test("R-116: two who wait in one direction are fatal, without the descriptor's lock", () => {
    const { out } = runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      rt.go("second", function* () {
        yield* a.fd.wait(1);
      });
      yield* a.fd.wait(1);
    });
    expect(out[0]).toBe("fatal error: runtime: double wait");
  });

  test("R-113, R-117, R-141: a ready mark is thrown away before the next try, which then waits", () => {
    const { named } = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      yield* rt.sleep(MS);
      rt.go("sender", function* () {
        yield* rt.sleep(2 * MS);
        yield* a.write(bytesOf("x"));
      });
      const { n } = yield* b.read(new Uint8Array(8));
      expect(n).toBe(1);
    });
    const reads = named("read")
      .filter((call) => call.args[2] === 8)
      .map((call) => call.result);
    expect(reads).toEqual([-Errno.EAGAIN, 1]);
  });

  test("R-119: pollDescs are 240 bytes apart, 17 in a page, and used again in reverse", () => {
    const data = lines(swarm, "epoll_ctl")
      .filter((line) => line.includes("EPOLLET"))
      .map((line) => Number(/u64=(\d+)/u.exec(line)?.[1]));
    expect((data[1] as number) === data[0]).toBe(true);
    expect((data[1] as number) - (data[2] as number)).toBe(240);
    expect(new Set(data.map((value) => Math.floor(value / 4096))).size).toBe(2);
    const first = data.filter((value) => Math.floor(value / 4096) === Math.floor((data[0] as number) / 4096));
    expect(new Set(first).size).toBe(17);
  });

  test("R-118, R-120, R-124, R-127, R-128: the deadlines program sees each as real Go does", () => {
    const { out } = runGo(deadlines);
    const rows = out.map((line) => line.replace(/\s+/gu, " "));
    expect(rows.slice(0, 9)).toEqual([
      "past-deadline n>0=false err=true timeout=true deadlineExceeded=true",
      "past-deadline-data n>0=false err=true timeout=true deadlineExceeded=true",
      "cleared-deadline n>0=true err=false timeout=false deadlineExceeded=false",
      "timeout-20ms n>0=false err=true timeout=true deadlineExceeded=true",
      "after-timeout n>0=false err=true timeout=true deadlineExceeded=true",
      "extended n>0=true err=false timeout=false deadlineExceeded=false",
      "shortened n>0=false err=true timeout=true deadlineExceeded=true",
      "combined-deadline n>0=false err=true timeout=true deadlineExceeded=true",
      "write-timeout n>0=true err=true timeout=true deadlineExceeded=true",
    ]);
    expect(rows.slice(-3)).toEqual(["idle closed after 3 messages", "client sees EOF", "accept deadline true"]);
  });

  test("R-121, R-159, R-160: what epoll refuses is used in blocking mode, and has no deadlines; pipes and /proc/sys have", () => {
    const errors: unknown[] = [];
    runGo(function* main(rt) {
      for (const path of ["/dev/null", "/proc/sys/net/core/somaxconn"]) {
        const file = (yield* rt.open(path)).value;
        errors.push(file?.setDeadline(rt.now() + MS));
        yield* file?.close() ?? rt.gosched();
      }
      const pipe = (yield* rt.pipe()).value;
      errors.push(pipe?.r.setReadDeadline(rt.now() + MS));
      errors.push((yield* (pipe as NonNullable<typeof pipe>).r.read(new Uint8Array(1))).err);
    });
    expect(errors).toEqual([ErrNoDeadline, null, null, ErrDeadlineExceeded]);
  });
});

describe("deadlines", () => {
  const readErr = (setup: (rt: Runtime, b: Conn) => void): [unknown, number] => {
    let err: unknown;
    let reads = 0;
    const { named } = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      yield* a.write(bytesOf("data"));
      yield* rt.sleep(MS);
      setup(rt, b);
      err = (yield* b.read(new Uint8Array(32))).err;
    });
    reads = named("read").filter((call: GoCall) => call.args[2] === 32).length;
    return [err, reads];
  };

  test("R-123, R-124: a deadline that is over makes reads fail without a system call, though there is data", () => {
    expect(readErr((rt, b) => b.setReadDeadline(rt.now() - MS))).toEqual([ErrDeadlineExceeded, 0]);
    expect(readErr((rt, b) => b.setReadDeadline(rt.now()))).toEqual([ErrDeadlineExceeded, 0]);
    expect(readErr((_rt, b) => b.setReadDeadline(0))).toEqual([null, 1]);
  });

  test("R-125, R-129: a deadline in the past wakes who is parked, by goready", () => {
    runGo(function* main(rt) {
      const [, b] = yield* pair(rt);
      let err: unknown = null;
      rt.go("reader", function* () {
        err = (yield* b.read(new Uint8Array(8))).err;
      });
      yield* rt.sleep(MS);
      const before = rt.stats.goready;
      b.setReadDeadline(rt.now() - 1);
      expect(rt.stats.goready).toBe(before + 1);
      yield* rt.gosched();
      expect(err).toBe(ErrDeadlineExceeded);
    });
  });

  test("R-126: equal deadlines share one timer", () => {
    const added = (set: (rt: Runtime, b: Conn) => void): number => {
      let count = 0;
      runGo(function* main(rt) {
        const [, b] = yield* pair(rt);
        const before = rt.stats.timersAdded;
        set(rt, b);
        count = rt.stats.timersAdded - before;
      });
      return count;
    };
    expect(added((rt, b) => b.setDeadline(rt.now() + MS))).toBe(1);
    expect(
      added((rt, b) => {
        b.setReadDeadline(rt.now() + MS);
        b.setWriteDeadline(rt.now() + 2 * MS);
      }),
    ).toBe(2);
  });

  test("R-130, R-143: a write that times out reports what was written", () => {
    let n = 0;
    runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      a.setWriteDeadline(rt.now() + 5 * MS);
      const write = yield* a.write(new Uint8Array(16 << 20));
      n = write.n;
      expect(write.err).toBe(ErrDeadlineExceeded);
    });
    expect(n).toBeGreaterThan(65_536);
  });

  test("R-131, R-136, R-137: after Close everything gives the closing error, even a read of nothing", () => {
    runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      expect(yield* a.close()).toBeNull();
      expect(yield* a.close()).toBe(ErrClosed);
      expect(a.setDeadline(rt.now() + MS)).toBe(ErrClosed);
      expect((yield* a.read(new Uint8Array(0))).err).toBe(ErrClosed);
      expect(yield* a.closeWrite()).toBe(ErrClosed);
      const pipe = (yield* rt.pipe()).value as { r: { close(): Go<unknown> } };
      yield* pipe.r.close();
      expect(yield* pipe.r.close()).toBe(ErrFileClosed);
    });
  });
});

describe("close and the lock of a descriptor", () => {
  test("R-133, R-138: three goroutines in Read, one tries, the others queue; Close makes all three fail", () => {
    const errors: unknown[] = [];
    const { named } = runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      for (let i = 0; i < 3; i += 1) {
        rt.go("reader", function* () {
          errors.push((yield* a.read(new Uint8Array(24))).err);
        });
      }
      yield* rt.sleep(MS);
      yield* a.close();
      expect(errors).toHaveLength(1);
      yield* rt.gosched();
    });
    expect(errors).toEqual([ErrClosed, ErrClosed, ErrClosed]);
    expect(named("read").filter((call) => call.args[2] === 24)).toHaveLength(1);
  });

  test("R-135: Close returns only when the descriptor is closed", () => {
    const { calls } = runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      rt.go("reader", function* () {
        yield* a.read(new Uint8Array(24));
      });
      yield* rt.sleep(MS);
      yield* a.close();
      yield* rt.println("closed");
    });
    const close = calls.filter((call) => call.name === "close").at(-1) as GoCall;
    const print = calls.filter((call) => call.name === "write").at(-1) as GoCall;
    expect(calls.indexOf(close)).toBeLessThan(calls.indexOf(print));
  });

  test("R-139, R-151: the halfclose program sees shutdowns, resets and EPIPE as real Go does", () => {
    const { out, status } = runGo(halfclose);
    expect(out).toEqual([
      'server got "hello world" client got "replyreplyreply"',
      "write after CloseWrite EPIPE: true",
      "CloseRead wakes reader with EOF: true",
      "Close wakes reader with ErrClosed: true",
      "linger 0 gives ECONNRESET: true",
      "write after reset fails: true",
      "unread data reset: true",
      "accept woken by Close: true",
      "dial refused: true",
    ]);
    expect(status).toBe(0);
  });

  test("R-140: taking the raw descriptor makes the shared description a blocking one", () => {
    const text = traceGo(function* main(rt) {
      const pipe = (yield* rt.pipe()).value as { r: { sysfd(): Go<number> } };
      yield* pipe.r.sysfd();
    });
    expect(lines(text, "fcntl").at(-1)).toContain("F_SETFL, O_RDONLY");
    expect(lines(text, "fcntl").at(-1)).not.toContain("NONBLOCK");
  });
});

describe("I/O loops", () => {
  test("R-144: one read asks for 1 GiB at the most", () => {
    const { named } = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      yield* a.write(bytesOf("x"));
      // Nobody touches these pages.
      expect((yield* b.read(new Uint8Array(GIB + 5))).n).toBe(1);
    });
    expect(named("read").at(-1)?.args[2]).toBe(GIB);
  });

  test("R-144: one write takes 1 GiB at the most", () => {
    const { named } = runGo(function* main(rt) {
      const devNull = yield* rt.newFile(1, "stdout");
      // /dev/null looks at no byte, so there is none to be copied into the thread's memory.
      rt.bounce = () => NOTHING;
      expect((yield* devNull.write(new Uint8Array(2 * GIB + 5))).n).toBe(2 * GIB + 5);
    });
    expect(named("write").map((call) => call.args[2])).toEqual([GIB, GIB, 5]);
  });

  test("R-142, R-145: one successful read per Read, no draining; 0 is the end", () => {
    const sizes: number[] = [];
    runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      yield* a.write(new Uint8Array(100));
      yield* a.close();
      yield* rt.sleep(MS);
      for (;;) {
        const { n, err } = yield* b.read(new Uint8Array(64));
        sizes.push(n);
        if (err !== null) {
          expect(err).toBe(EOF);
          break;
        }
      }
    });
    expect(sizes).toEqual([64, 36, 0]);
  });

  test("R-146, R-147: accept4 with NONBLOCK and CLOEXEC; of several acceptors one tries, the others wait for its lock", () => {
    const { named } = runGo(function* main(rt) {
      const ln = yield* listening(rt);
      for (let i = 0; i < 3; i += 1) {
        rt.go("acceptor", function* () {
          yield* ln.accept();
        });
      }
      yield* rt.sleep(MS);
    });
    expect(named("accept4").map((call) => [call.args[3], call.result])).toEqual([[0o2004000, -Errno.EAGAIN]]);
  });

  test("R-148, R-156: connect, ADD, a wait to write, SO_ERROR, then getpeername; a unix connect needs no wait", () => {
    expect(
      inOrder(swarm, ["connect(4, ", "EPOLL_CTL_ADD, 4", "getsockopt(4, SOL_SOCKET, SO_ERROR, [0]", "getpeername(4"]),
    ).toBe(true);
    expect(inOrder(swarm, ["listen(3", "EPOLL_CTL_ADD, 3"])).toBe(true);
    const unix = traceGo(pingpong({ rounds: 1, net: "unix" }));
    expect(lines(unix, "getsockopt")).toHaveLength(0);
    expect(lines(unix, "getpeername")).toHaveLength(1);
  });

  test("R-149: a dial's deadline is the write deadline; one that is over makes no socket", () => {
    let err: unknown;
    const { named } = runGo(function* main(rt) {
      const ln = yield* listening(rt);
      const before = yield* rt.dial("tcp4", ln.addr, { deadline: rt.now() - 1 });
      err = before.err;
      const after = yield* rt.dial("tcp4", ln.addr, { deadline: rt.now() + 100 * MS });
      expect(after.err).toBeNull();
      expect(after.value?.fd.pd?.wd).toBe(0);
    });
    expect(err).toBe(ErrDeadlineExceeded);
    expect(named("socket")).toHaveLength(2);
  });

  test("R-149: a context that is over ends a dial by a write deadline in the past; the descriptor is closed", () => {
    const errors: [string, boolean, number][] = [];
    const { named } = runGo(function* main(rt) {
      const lfd = yield* rt.syscall("socket", (sys) => sys.socket(2, 1, 0));
      yield* rt.syscall("bind", (sys) => sys.bind(lfd, sys.memory.sockaddrIn("127.0.0.1", 9000)));
      yield* rt.syscall("listen", (sys) => sys.listen(lfd, 0));
      // One connection fits the queue; the next has no answer.
      expect((yield* rt.dial("tcp4", "127.0.0.1:9000", { ctx: rt.background.withCancel() })).err).toBeNull();
      const dial = function* (ctx: Context): Go<void> {
        const from = rt.now();
        const { err } = yield* rt.dial("tcp4", "127.0.0.1:9000", { ctx });
        errors.push([err?.text ?? "", err?.timeout ?? false, Math.round((rt.now() - from) / MS)]);
      };
      const cancelled = rt.background.withCancel();
      rt.go("cancel", function* () {
        yield* rt.sleep(20 * MS);
        cancelled.cancel();
      });
      yield* dial(cancelled);
      yield* dial(cancelled);
      yield* dial(rt.background.withTimeout(30 * MS));
      // The helpers end as soon as they have told.
      yield* rt.sleep(MS);
      expect(rt.numGoroutine()).toBe(1);
    });
    expect(errors).toEqual([
      ["operation was canceled", false, 20],
      ["operation was canceled", false, 0],
      ["i/o timeout", true, 30],
    ]);
    expect(named("connect")).toHaveLength(3);
    expect(named("socket")).toHaveLength(4);
  });
});

describe("net and os", () => {
  test("R-152, R-153, R-157: NONBLOCK and CLOEXEC in socket; REUSEADDR on listeners; TCP options in their order", () => {
    expect(lines(swarm, "socket").every((line) => line.includes("SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK"))).toBe(true);
    const options = lines(swarm, "setsockopt").map((line) =>
      /SO[CL]_[A-Z]+, ([A-Z_]+), (\[\d+\])/u.exec(line)?.slice(1).join(" "),
    );
    expect(options.slice(0, 5)).toEqual([
      "SO_REUSEADDR [1]",
      "TCP_NODELAY [1]",
      "SO_KEEPALIVE [1]",
      "TCP_KEEPINTVL [15]",
      "TCP_KEEPIDLE [15]",
    ]);
    expect(swarm).not.toContain("REUSEPORT");
    expect(newest).toContain("TCP_KEEPCNT, [9]");
  });

  test("R-153: a control function sets SO_REUSEPORT before bind, and two listen on one port", () => {
    const text = traceGo(function* main(rt) {
      const control = function* (fd: number): Go<void> {
        yield* rt.syscall("setsockopt", (sys) => sys.setsockopt(fd, 1, 15, 1));
      };
      const first = yield* rt.listen("tcp4", "127.0.0.1:8080", control);
      const second = yield* rt.listen("tcp4", "127.0.0.1:8080", control);
      expect([first.err, second.err]).toEqual([null, null]);
    });
    expect(inOrder(text, ["SO_REUSEADDR", "SO_REUSEPORT", "bind("])).toBe(true);
  });

  test("R-154, R-155: the backlog is somaxconn, read once through the poller, whose pollDesc the listener gets", () => {
    const text = traceGo(function* main(rt) {
      yield* listening(rt);
      yield* listening(rt);
    });
    expect(lines(text, "openat")).toHaveLength(1);
    expect(lines(text, "listen").every((line) => line.includes(", 4096)"))).toBe(true);
    const [, proc, , listener] = lines(text, "epoll_ctl").map((line) => /u64=(\d+)/u.exec(line)?.[1]);
    expect(listener).toBe(proc);
  });

  test("R-158: the newest listens by MPTCP where the kernel has it, and accepts plain TCP; nobody dials by it", () => {
    const MPTCP = 262;
    const sockets = (options: GoTestOptions): [number | undefined, number | null][] =>
      runGo(function* main(rt) {
        const ln = yield* listening(rt);
        const other = yield* listening(rt);
        yield* other.close();
        rt.go("client", function* () {
          const { value } = yield* rt.dial("tcp4", ln.addr);
          yield* (value as Conn).write(bytesOf("plain"));
        });
        const { value } = yield* ln.accept();
        expect((yield* (value as Conn).read(new Uint8Array(8))).n).toBe(5);
      }, options)
        .named("socket")
        .map((call) => [call.args[2], call.result]);
    // A try, the listeners, the client.
    expect(sockets({ version: "newest" }).map(([protocol]) => protocol)).toEqual([MPTCP, MPTCP, MPTCP, 0]);
    expect(sockets({ version: "1.19" }).map(([protocol]) => protocol)).toEqual([0, 0, 0]);
    // No such protocol: known once and for all. Switched off: tried again each time, since it may be switched on.
    expect(sockets({ version: "newest", kernel: "5.4" })).toEqual([
      [MPTCP, -Errno.EINVAL],
      [0, 3],
      [0, expect.any(Number)],
      [0, expect.any(Number)],
    ]);
    const off = sockets({ version: "newest", sysctls: { "net.mptcp.enabled": 0 } });
    expect(off.map(([protocol]) => protocol)).toEqual([MPTCP, MPTCP, 0, MPTCP, 0, 0]);
    expect(off.filter(([protocol]) => protocol === MPTCP).every(([, result]) => result === -Errno.ENOPROTOOPT)).toBe(
      true,
    );
  });

  test("R-159: a file becomes non-blocking after its registration in 1.19, before it in the newest", () => {
    expect(inOrder(swarm, ["openat(", "EPOLL_CTL_ADD, 4", "fcntl(4, F_SETFL, O_RDONLY|O_NONBLOCK"])).toBe(true);
    expect(inOrder(newest, ["openat(", "fcntl(4, F_SETFL, O_RDONLY|O_NONBLOCK", "EPOLL_CTL_ADD, 4"])).toBe(true);
  });

  test("R-161: a wrapped descriptor is polled only if it is non-blocking", () => {
    const { named } = runGo(function* main(rt) {
      yield* rt.newFile(0, "stdin");
      const pipe = (yield* rt.pipe()).value as { r: { fd: { sysfd: number } } };
      expect(pipe.r.fd.sysfd).toBeGreaterThan(2);
    });
    expect(named("epoll_ctl").filter((call) => call.args[2] === 0)).toHaveLength(0);
    expect(named("epoll_ctl")).toHaveLength(3);
  });
});
