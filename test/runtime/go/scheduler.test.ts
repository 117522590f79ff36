/** G, M, P, run queues, the search for work, stealing, waking, sysmon and system calls. */
import { callback, type File, type Go, type Runtime } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { echoswarm } from "../../../examples/go/echoswarm.ts";
import { pingpong } from "../../../examples/go/pingpong.ts";
import { park, SuspendOnce } from "../../../src/runtime/go/ops.ts";
import { Grab, runqsteal, takeTail } from "../../../src/runtime/go/runq.ts";
import type { P } from "../../../src/runtime/go/runtime2.ts";
import type { Sched } from "../../../src/runtime/go/sched.ts";
import { runGo, traceGo } from "../../helpers/go.ts";

type PipeEnds = { readonly r: File; readonly w: File };

const US = 1_000;
const MS = 1_000_000;
const RUNNABLE = 1;
const RUNNING = 2;
const SYSCALL = 3;
const WAITING = 4;
const DEAD = 6;

/** Runs on as many threads as it likes for a while. */
function* spread(rt: Runtime, count: number, ns: number): Go<void> {
  const wg = rt.waitGroup();
  wg.add(count);
  for (let i = 0; i < count; i += 1) {
    rt.go("worker", function* () {
      yield* rt.work(ns);
      wg.done();
    });
  }
  yield* wg.wait();
}

describe("G, M and P", () => {
  test("R-001, R-013, R-014: a goroutine is runnable, running, waiting, and dead", () => {
    const seen: number[] = [];
    runGo(function* main(rt) {
      const ch = rt.chan<void>();
      rt.go("child", function* () {
        seen.push(child.status);
        yield* ch.recv();
      });
      const child = [...rt.sched.allgs].find((g) => g.name === "child") as { status: number };
      seen.push(child.status);
      yield* rt.gosched();
      seen.push(child.status);
      yield* ch.send();
      seen.push(child.status);
      yield* rt.gosched();
      seen.push(child.status);
    });
    expect(seen).toEqual([RUNNABLE, RUNNING, WAITING, RUNNABLE, DEAD]);
  });

  test("R-002, R-003: in a system call 1.19's P has the status syscall; the newest stays running", () => {
    const during = (version: string): [number, number] => {
      let status: [number, number] = [0, 0];
      runGo(
        function* main(rt) {
          yield* rt.syscall("getpid", (sys) => {
            status = [rt.sched.allp[0]?.status ?? -1, rt.sched.getg().status];
            return sys.getpid();
          });
        },
        { version },
      );
      return status;
    };
    expect(during("1.19")).toEqual([2, SYSCALL]);
    expect(during("newest")).toEqual([1, SYSCALL]);
  });

  test("R-004, R-005: as many P's as GOMAXPROCS, and no more goroutines run at once", () => {
    let most = 0;
    const { rt } = runGo(
      function* main(r) {
        const wg = r.waitGroup();
        wg.add(9);
        for (let i = 0; i < 9; i += 1) {
          r.go("worker", function* () {
            for (let k = 0; k < 5; k += 1) {
              most = Math.max(most, r.sched.allm.filter((m) => m.p !== null && m.curg !== null).length);
              yield* r.work(300 * US);
            }
            wg.done();
          });
        }
        yield* wg.wait();
      },
      { gomaxprocs: 3 },
    );
    expect(rt.sched.allp).toHaveLength(3);
    expect(most).toBe(3);
  });

  test("R-006: the limit is 10,000 threads; the thread beyond it is fatal", () => {
    const blocked = (count: number): [string | undefined, number | null, number] => {
      const { out, status, rt } = runGo(function* main(r) {
        expect(r.setMaxThreads(20)).toBe(10_000);
        for (let i = 0; i < count; i += 1) {
          r.go("blocked", function* () {
            yield* r.syscallBlock("nanosleep", (sys) => sys.nanosleep(MS));
          });
        }
        yield* r.sleep(10 * MS);
      });
      return [out[0], status, rt.sched.allm.length];
    };
    // Beside the blocked ones: sysmon, and one that runs what is left.
    expect(blocked(18)).toEqual([undefined, 0, 20]);
    expect(blocked(19)).toEqual(["fatal error: thread exhaustion: program exceeds 20-thread limit", 2, 21]);
  });

  test("R-007, R-008: with one P there are three threads: main, sysmon, and one more for the locked init", () => {
    const { rt, calls } = runGo(function* main(r) {
      yield* r.gosched();
    });
    expect(rt.sched.allm).toHaveLength(3);
    expect(rt.sched.allm.filter((m) => m.isSysmon)).toHaveLength(1);
    expect(new Set(calls.map((call) => call.tid)).size).toBe(3);
  });

  test("R-009: a thread is made by a bare clone, with all signals blocked around it, and opens its own mask when it has begun", () => {
    const text = traceGo(function* main(rt) {
      yield* rt.gosched();
    });
    const flags = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS";
    const lines = text.split("\n");
    const clones = lines.filter((line) => line.includes(" clone("));
    expect(clones).toHaveLength(2);
    for (const line of clones) {
      expect(line).toContain(`flags=${flags})`);
      const [parent, child] = [line.split(" ")[0], /= (\d+)/u.exec(line)?.[1]];
      const own = lines.filter((other) => other.startsWith(`${parent} `));
      const at = own.indexOf(line);
      expect(own[at - 1]).toContain("rt_sigprocmask(SIG_SETMASK, ~[], [], 8)");
      expect(own[at + 1]).toContain("rt_sigprocmask(SIG_SETMASK, [], NULL, 8)");
      const first = lines.filter((other) => other.startsWith(`${child} `)).slice(0, 2);
      expect(first[0]).toContain("gettid()");
      expect(first[1]).toContain("rt_sigprocmask(SIG_SETMASK, [], NULL, 8)");
    }
  });

  test("R-010, R-055: the M that parked last is woken first, and the P that went idle last is taken first", () => {
    const { rt } = runGo(
      function* main(r) {
        yield* spread(r, 4, 2 * MS);
        yield* r.sleep(5 * MS);
        // The spinner that the timer's thread has woken finds nothing meanwhile.
        yield* r.work(MS);
        const parked: number[] = [];
        for (let m = r.sched.midle; m !== null; m = m.schedlink) parked.push(m.id);
        const idle = r.sched.pidle;
        r.go("one", () => callback(() => {}));
        expect(r.sched.midle?.id).toBe(parked[1]);
        const woken = r.sched.allm.find((m) => m.id === parked[0]);
        expect(woken?.nextp).toBe(idle);
      },
      { gomaxprocs: 4 },
    );
    expect(rt.stats.wokeM).toBeGreaterThan(1);
  });

  test("R-011, R-024, R-028: what comes from runnext goes on in the time slice of its waker", () => {
    let before = 0;
    let after = 0;
    runGo(function* main(rt) {
      const a = rt.chan<void>();
      const b = rt.chan<void>();
      rt.go("pong", function* () {
        for (;;) {
          yield* a.recv();
          yield* b.send();
        }
      });
      yield* a.send();
      yield* b.recv();
      before = rt.sched.allp[0]?.schedtick ?? 0;
      for (let i = 0; i < 1000; i += 1) {
        yield* a.send();
        yield* b.recv();
      }
      after = rt.sched.allp[0]?.schedtick ?? 0;
    });
    expect(after).toBe(before);
  });

  test("R-012, R-112: a park whose commit says no is none: the goroutine goes on at once, in the same time slice", () => {
    const { rt, status } = runGo(function* main(r) {
      let others = 0;
      r.go("other", () => callback(() => (others += 1)));
      const { parks } = r.stats;
      const tick = r.sched.allp[0]?.schedtick;
      yield* new SuspendOnce(() => {
        park(r.sched as unknown as Sched, "refused", () => false, null);
        return true;
      });
      expect([others, r.stats.parks, r.sched.allp[0]?.schedtick]).toEqual([0, parks, tick]);
    });
    expect(status).toBe(0);
    expect(rt.stats.parksByReason.get("refused")).toBeUndefined();
  });

  test("R-192: nothing runs behind os.Exit, not even the goroutine that calls it", () => {
    const { out, status } = runGo(function* main(rt) {
      rt.go("other", function* () {
        yield* rt.println("other");
      });
      yield* rt.println("before");
      rt.exit(3);
    });
    expect([out, status]).toEqual([["before"], 3]);
  });

  test("R-013: readying a goroutine that does not wait is fatal", () => {
    const { out, status } = runGo(function* main(rt) {
      const ch = rt.chan<void>();
      rt.go("child", function* () {
        yield* ch.recv();
      });
      yield* rt.gosched();
      const child = [...rt.sched.allgs].find((g) => g.name === "child") as { status: number };
      child.status = RUNNABLE;
      yield* ch.send();
    });
    expect([out[0], status]).toEqual(["fatal error: bad g->status in ready", 2]);
  });

  test("R-015: Gosched goes to the tail of the global queue", () => {
    const order: string[] = [];
    runGo(function* main(rt) {
      for (const i of [0, 1, 2]) {
        rt.go("g", function* () {
          order.push(`${i}`);
          yield* rt.gosched();
          order.push(`${i + 10}`);
        });
      }
      yield* rt.sleep(MS);
    });
    expect(order.join(" ")).toBe("2 0 1 12 10 11");
  });

  test("R-017: dead goroutines are used again; 64 free ones spill half to the global list", () => {
    const { rt } = runGo(function* main(r) {
      for (let round = 0; round < 2; round += 1) {
        for (let i = 0; i < 70; i += 1) r.go("short", () => callback(() => {}));
        yield* r.sleep(MS);
      }
      expect(r.sched.gFreeCount).toBe(33);
      expect(r.sched.allp[0]?.gFreeCount).toBe(70 - 33);
    });
    expect(rt.stats.goroutines).toBe(5 + 140);
  });

  test("R-018: a locked goroutine runs on its own thread only", () => {
    const tids = new Set<number>();
    const others = new Set<number>();
    runGo(function* main(rt) {
      rt.lockOSThread();
      rt.go("other", function* () {
        for (let i = 0; i < 5; i += 1) {
          others.add(rt.sched.m.id);
          yield* rt.sleep(MS);
        }
      });
      for (let i = 0; i < 5; i += 1) {
        tids.add(rt.sched.m.id);
        yield* rt.sleep(MS);
      }
      rt.unlockOSThread();
    });
    expect(tids.size).toBe(1);
    expect([...others].some((id) => tids.has(id))).toBe(false);
  });
});

describe("finding work", () => {
  test("R-016, R-182: a hand-off puts the releaser at the tail of the local queue", () => {
    const order: string[] = [];
    runGo(function* main(rt) {
      const mu = rt.mutex();
      yield* mu.lock();
      rt.go("waiter", function* () {
        yield* mu.lock();
        order.push("waiter");
        yield* mu.unlock();
      });
      yield* rt.gosched();
      // More than a millisecond: the waiter makes it starve when it is woken and finds it taken.
      yield* rt.work(2 * MS);
      yield* mu.unlock();
      yield* mu.lock();
      yield* rt.gosched();
      order.push("starving", String(mu.starving));
      yield* mu.unlock();
      order.push("releaser");
    });
    expect(order).toEqual(["starving", "true", "waiter", "releaser"]);
  });

  test("R-025, R-035: the global queue is first in, first out", () => {
    const order: number[] = [];
    runGo(function* main(rt) {
      for (let i = 0; i < 4; i += 1) {
        rt.go("g", function* () {
          yield* rt.gosched();
          order.push(i);
        });
      }
      yield* rt.sleep(MS);
    });
    expect(order).toEqual([3, 0, 1, 2]);
  });

  test("R-031: expired timers of the own P come first, then its queue, then the global one", () => {
    const order: string[] = [];
    runGo(function* main(rt) {
      rt.afterFunc(0, "timer", () => callback(() => order.push("timer")));
      rt.go("local", () => callback(() => order.push("local")));
      yield* rt.gosched();
      order.push("global");
    });
    expect(order).toEqual(["timer", "local", "global"]);
  });

  test("R-042: a poller that finds no idle P puts what it got into the global queue, and parks", () => {
    const { rt } = runGo(function* main(r) {
      const { r: reader, w: writer } = (yield* r.pipe()).value as PipeEnds;
      r.go("writer", function* () {
        yield* r.syscallBlock("nanosleep", (sys) => sys.nanosleep(5 * MS));
        yield* writer.write(new Uint8Array(1));
        yield* r.work(3 * MS);
      });
      yield* reader.read(new Uint8Array(1));
    });
    expect(rt.stats.netpollBlocking).toBe(1);
    expect(rt.stats.pickBlockingNetpoll).toBe(0);
    expect(rt.stats.pickGlobal + rt.stats.pickGlobalTick).toBeGreaterThanOrEqual(1);
  });

  test("R-032: without anybody waiting for a descriptor nobody polls without blocking", () => {
    const { rt } = runGo(function* main(r) {
      for (let i = 0; i < 3; i += 1) yield* r.sleep(2 * MS);
    });
    expect(rt.stats.netpollNonblocking).toBe(0);
    expect(rt.stats.netpollTimed).toBeGreaterThan(0);
  });

  test("R-034, R-061: one parked reader each, data in the order 0..7: readers run 7, 6, ..., 0", () => {
    const order: number[] = [];
    runGo(readers(order));
    expect(order).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
  });

  test("R-038, R-039, R-040: one thread blocks in the poll, until the earliest timer of any P", () => {
    const { named, rt } = runGo(
      function* main(r) {
        yield* spread(r, 4, MS);
        yield* r.sleep(20 * MS);
      },
      { gomaxprocs: 4 },
    );
    expect(rt.sched.lastpoll).toBeGreaterThan(0);
    const polls = named("epoll_pwait").filter((call) => call.args[3] !== 0);
    expect(polls.some((call) => call.args[3] === 19)).toBe(true);
  });

  test("R-041: 1.19 notes the time before the poll, so sysmon polls once more after a long wait", () => {
    const polled = (version: string): number => {
      const { rt } = runGo(
        function* main(r) {
          const { r: reader, w: writer } = (yield* r.pipe()).value as PipeEnds;
          r.go("writer", function* () {
            yield* r.syscallBlock("nanosleep", (sys) => sys.nanosleep(40 * MS));
            yield* writer.write(new Uint8Array(1));
          });
          yield* reader.read(new Uint8Array(1));
          yield* r.work(5 * MS);
        },
        { version },
      );
      return rt.stats.netpollSysmon;
    };
    expect(polled("1.19")).toBe(1);
    expect(polled("newest")).toBe(0);
  });

  test("R-048: a thief takes half of a ring, rounded up, and runs the last of them", () => {
    let seen: unknown;
    runGo(
      function* main(r) {
        yield* r.sleep(MS);
        const victim = r.sched.m.p as P;
        const thief = r.sched.allp.find((p) => p !== victim) as P;
        // The eighth is in runnext: seven are in the ring.
        for (let i = 0; i < 8; i += 1) r.go(`g${i}`, () => callback(() => {}));
        const got = runqsteal(r.sched as unknown as Sched, thief, victim, false, false);
        const left = victim.runqtail - victim.runqhead;
        seen = [got, left, thief.runqtail - thief.runqhead, takeTail(thief).name, victim.runnext?.name];
      },
      { gomaxprocs: 2 },
    );
    expect(seen).toEqual([Grab.GOT, 3, 4, "g3", "g7"]);
  });

  test("R-048, R-051: idle P's steal half of a ring, and the work spreads", () => {
    const { rt } = runGo(
      function* main(r) {
        yield* spread(r, 16, 4 * MS);
      },
      { gomaxprocs: 4, seed: "steal" },
    );
    expect(rt.stats.pickSteal).toBeGreaterThan(2);
    expect(rt.stats.stolen).toBeGreaterThanOrEqual(rt.stats.pickSteal);
    // Four at a time: 16 x 4 ms in a little more than 16 ms.
    expect(rt.now()).toBeLessThan(1_000_000_000 + 20 * MS);
  });

  test("R-049: before a runnext is taken from a P that runs, the thief sleeps 3 us", () => {
    const { named } = runGo(
      function* main(r) {
        r.go("next", function* () {
          yield* r.work(MS);
        });
        yield* r.work(10 * MS);
      },
      { gomaxprocs: 2 },
    );
    const [sleep] = named("nanosleep").filter((call) => call.tid !== named("nanosleep")[0]?.tid);
    expect(sleep?.result).toBe(0);
  });

  test("R-050, R-052, R-163: a thief runs the timers of a P that is busy", () => {
    let late = 0;
    runGo(
      function* main(r) {
        const due = r.now() + 2 * MS;
        r.afterFunc(2 * MS, "tick", () =>
          callback(() => {
            late = r.now() - due;
          }),
        );
        yield* r.work(30 * MS);
      },
      { gomaxprocs: 2 },
    );
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(3 * MS);
  });
});

function readers(order: number[]): (rt: Runtime) => Go<void> {
  return function* main(rt) {
    const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
    const ln = listen.value as NonNullable<typeof listen.value>;
    const clients = [];
    for (let i = 0; i < 8; i += 1) {
      const dial = yield* rt.dial("tcp4", ln.addr);
      const accept = yield* ln.accept();
      const conn = accept.value as NonNullable<typeof accept.value>;
      clients.push(dial.value as NonNullable<typeof dial.value>);
      rt.go("reader", function* () {
        yield* conn.read(new Uint8Array(8));
        order.push(i);
      });
    }
    yield* rt.sleep(5 * MS);
    for (const client of clients) yield* client.write(new Uint8Array(1));
    yield* rt.sleep(5 * MS);
  };
}

describe("waking and handing on", () => {
  test("R-045, R-054, R-056: a spinner that finds work wakes the next; a second waker does nothing", () => {
    const { stats } = runGo(
      function* main(r) {
        yield* spread(r, 12, 2 * MS);
      },
      { gomaxprocs: 4 },
    ).rt;
    expect(stats.wakepStartm).toBeGreaterThan(1);
    expect(stats.wakepSpinner).toBeGreaterThan(0);
    expect(stats.spinning).toBeGreaterThanOrEqual(stats.wakepStartm);
  });

  test("R-059, R-060: with a P one goroutine for each idle P goes to the global queue, the rest to the ring; the newest wakes", () => {
    const wakes = (version: string): number => {
      const { stats } = runGo(echoswarm({ conns: 20, rounds: 2, size: 8 }), { gomaxprocs: 3, version }).rt;
      expect(stats.injected).toBeGreaterThan(0);
      return stats.wakep;
    };
    expect(wakes("newest")).toBeGreaterThan(wakes("1.19"));
  });

  test("R-058, R-063, R-067, R-073: busy P's are fed by sysmon's polls, through the global queue", () => {
    const { rt } = runGo(function* main(r) {
      const order: number[] = [];
      yield* readers(order)(r);
      const listen = yield* r.listen("tcp4", "127.0.0.1:0");
      const ln = listen.value as NonNullable<typeof listen.value>;
      const dial = yield* r.dial("tcp4", ln.addr);
      const accept = yield* ln.accept();
      r.go("reader", function* () {
        yield* (accept.value as NonNullable<typeof accept.value>).read(new Uint8Array(8));
      });
      yield* r.sleep(MS);
      yield* (dial.value as NonNullable<typeof dial.value>).write(new Uint8Array(1));
      yield* r.work(40 * MS);
    });
    expect(rt.stats.netpollSysmonReady).toBeGreaterThanOrEqual(1);
  });

  test("R-057, R-080, R-081, R-083: a known blocking call hands its P on at once", () => {
    const order: string[] = [];
    const { rt } = runGo(function* main(r) {
      r.go("other", () => callback(() => order.push("other")));
      yield* r.syscallBlock("nanosleep", (sys) => sys.nanosleep(MS));
      order.push("main");
    });
    expect(order).toEqual(["other", "main"]);
    expect(rt.stats.handoffp).toBe(3);
    expect(rt.stats.retaken).toBe(0);
  });
});

describe("sysmon", () => {
  test("R-064: 20 us a round; after 50 with nothing to do the sleep doubles, up to 10 ms", () => {
    const { named } = runGo(function* main(rt) {
      yield* rt.work(100 * MS);
    });
    const sysmon = named("nanosleep")[0]?.tid;
    const starts = named("nanosleep").filter((call) => call.tid === sysmon);
    const gaps = starts.slice(1).map((call, i) => call.atNs - (starts[i]?.atNs ?? 0));
    // What a round takes beside its sleep is the same each time.
    const spans = gaps.map((gap) => gap - (gaps[0] ?? 0) + 20 * US);
    expect(spans.slice(0, 50)).toEqual(new Array(50).fill(20 * US));
    expect(spans.slice(51, 60)).toEqual([40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000].map((us) => us * US));
    expect(Math.max(...spans)).toBe(10_000 * US);
  });

  test("R-065: all idle: a sleep until the next timer, at most 60 s", () => {
    const { calls, named } = runGo(function* main(rt) {
      yield* rt.work(3 * MS);
      yield* rt.sleep(50 * MS);
    });
    const sysmon = named("nanosleep")[0]?.tid;
    expect(calls.some((call) => call.tid === sysmon && call.name === "futex" && call.args[3] !== 0)).toBe(true);
  });

  test("R-066: a thread that enters a system call wakes sysmon from its deep sleep", () => {
    const { rt } = runGo(function* main(r) {
      yield* r.sleep(10 * MS);
      yield* r.println("awake");
      yield* r.sleep(10 * MS);
    });
    expect(rt.stats.sysmonDeepSleeps).toBeGreaterThanOrEqual(2);
  });

  test("R-068, R-069, R-070, R-071: a loop without calls makes room after about 10 ms, by one SIGURG", () => {
    let first = 0;
    const { named, rt } = runGo(function* main(r) {
      const start = r.now();
      r.go("second", () =>
        callback(() => {
          first = r.now() - start;
        }),
      );
      yield* r.work(25 * MS);
    });
    expect(first).toBeGreaterThanOrEqual(9 * MS);
    expect(first).toBeLessThanOrEqual(22 * MS);
    const signals = named("tgkill");
    expect(signals.length).toBe(rt.stats.preemptions);
    expect(signals[0]?.args[2]).toBe(23);
  });

  test("R-072: a collection is forced after two minutes", () => {
    const { rt } = runGo(function* main(r) {
      yield* r.sleep(250_000 * MS);
    });
    expect(rt.stats.gc).toBe(2);
  });
});

describe("threads, clock and system calls", () => {
  test("R-074, R-075, R-077: the runtime's own calls are in no bracket; waking a thread is one futex wake", () => {
    const { rt, named } = runGo(function* main(r) {
      yield* r.sleep(2 * MS);
    });
    expect(rt.stats.entersyscall).toBe(3);
    const wakes = named("futex").filter((call) => call.args[1] === 129);
    const notes = rt.stats.wokeM + rt.stats.newm;
    expect(wakes.length).toBeGreaterThanOrEqual(notes);
  });

  test("R-076: timers follow the monotonic clock", () => {
    let slept = 0;
    runGo(function* main(rt) {
      const start = rt.now();
      yield* rt.sleep(7 * MS);
      slept = rt.now() - start;
    });
    expect(slept).toBeGreaterThanOrEqual(7 * MS);
    expect(slept).toBeLessThan(9 * MS);
  });

  test("R-078, R-079, R-086: a short call gets its old P back", () => {
    const { stats } = runGo(pingpong({ rounds: 100, net: "tcp4" })).rt;
    expect(stats.exitsyscallOldP).toBe(stats.entersyscall);
    expect(stats.exitsyscallNoP).toBe(0);
  });

  test("R-079, R-080, R-082, R-085: a sleeping call loses its P to sysmon; without one at its end it queues globally", () => {
    let other = 0;
    const { rt } = runGo(function* main(r) {
      const start = r.now();
      r.go("busy", function* () {
        other = r.now() - start;
        yield* r.work(9 * MS);
      });
      yield* r.syscall("nanosleep", (sys) => sys.nanosleep(5 * MS));
    });
    expect(rt.stats.retaken).toBe(1);
    expect(other).toBeGreaterThanOrEqual(20 * US);
    expect(other).toBeLessThan(20 * MS);
    expect(rt.stats.exitsyscallNoP).toBe(1);
  });

  test("R-084: RawSyscall tells the scheduler nothing: its P stays blocked until sysmon's signal ends the call", () => {
    let other = 0;
    const { rt } = runGo(function* main(r) {
      const start = r.now();
      r.go("other", () =>
        callback(() => {
          other = r.now() - start;
        }),
      );
      yield* r.rawSyscall("nanosleep", (sys) => sys.nanosleep(30 * MS));
      yield* r.gosched();
    });
    expect(other).toBeGreaterThanOrEqual(10 * MS);
    expect(rt.stats.preemptions).toBe(1);
    expect(rt.stats.retaken).toBe(0);
  });

  test("R-085: threads of blocked calls are not destroyed afterwards", () => {
    const { rt } = runGo(function* main(r) {
      for (let i = 0; i < 5; i += 1) {
        r.go("sleeper", function* () {
          yield* r.syscallBlock("nanosleep", (sys) => sys.nanosleep(2 * MS));
        });
      }
      yield* r.sleep(20 * MS);
      expect(r.sched.nmidle).toBeGreaterThanOrEqual(5);
    });
    expect(rt.sched.allm.length).toBeGreaterThanOrEqual(7);
  });
});
