/** The stop of the world: a change of GOMAXPROCS, and collections. */
import { callback, defaultCosts, type Go, type Runtime } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { Cont, type P } from "../../../src/runtime/go/runtime2.ts";
import { runGo } from "../../helpers/go.ts";

const US = 1_000;
const MS = 1_000_000;

/** The P of the running goroutine. */
function own(rt: Runtime): P {
  return rt.sched.m.p as P;
}

describe("stopping", () => {
  test("R-053: a thief who waits for a runnext gives up when the world is to stop", () => {
    runGo(
      function* main(rt) {
        let ran = false;
        rt.go("next", () =>
          callback(() => {
            ran = true;
          }),
        );
        while (!rt.sched.allm.some((m) => m.cont === Cont.STEAL)) yield* rt.work(US / 2);
        const { pickSteal } = rt.stats;
        yield* rt.gomaxprocs(3);
        expect([ran, rt.stats.pickSteal - pickSteal, own(rt).runnext?.name]).toEqual([false, 0, "next"]);
      },
      { gomaxprocs: 2 },
    );
  });

  test("R-053: who is about to give its P up as idle gives it to the stopper instead", () => {
    let tookNs = 0;
    runGo(
      function* main(rt) {
        rt.go("first", () => callback(() => {}));
        while (!rt.sched.allm.some((m) => m.cont === Cont.SEARCHED)) yield* rt.work(10 * US);
        const start = rt.now();
        yield* rt.gomaxprocs(3);
        tookNs = rt.now() - start;
      },
      { gomaxprocs: 2, costs: { ...defaultCosts, search: 500 * US } },
    );
    expect(tookNs).toBeGreaterThan(300 * US);
    expect(tookNs).toBeLessThan(MS);
  });

  test("P's stop one by one: idle ones and those in system calls at once, who computes when it is asked to", () => {
    let tookNs = 0;
    const { rt, named } = runGo(
      function* main(r) {
        r.go("computes", function* () {
          yield* r.work(20 * MS);
        });
        r.go("calls", function* () {
          yield* r.syscall("nanosleep", (sys) => sys.nanosleep(20 * MS));
        });
        yield* r.work(2 * MS);
        const start = r.now();
        yield* r.gomaxprocs(3);
        tookNs = r.now() - start;
      },
      { gomaxprocs: 4 },
    );
    expect(tookNs).toBeGreaterThan(0);
    expect(tookNs).toBeLessThan(MS);
    expect(rt.stats.preemptions).toBe(1);
    expect(named("tgkill")).toHaveLength(1);
  });

  test("R-015, R-071: who is preempted for it goes to the global queue in 1.19; in the newest it stays with its P, as the next", () => {
    const picks = (version: string): { global: number; next: number } => {
      const seen = { global: 0, next: 0 };
      runGo(
        function* main(rt) {
          rt.go("computes", function* () {
            yield* rt.work(20 * MS);
          });
          yield* rt.work(2 * MS);
          const { pickGlobal, pickGlobalTick, pickRunnext } = rt.stats;
          yield* rt.gomaxprocs(3);
          yield* rt.work(MS);
          seen.global = rt.stats.pickGlobal + rt.stats.pickGlobalTick - pickGlobal - pickGlobalTick;
          seen.next = rt.stats.pickRunnext - pickRunnext;
        },
        { version, gomaxprocs: 2 },
      );
      return seen;
    };
    expect(picks("1.19")).toEqual({ global: 1, next: 0 });
    expect(picks("newest")).toEqual({ global: 0, next: 1 });
  });

  test("a collection pauses who computes on another P", () => {
    let longest = 0;
    const { rt } = runGo(
      function* main(r) {
        r.go("computes", function* () {
          for (let before = r.now(), i = 0; i < 60; i += 1) {
            yield* r.work(100 * US);
            longest = Math.max(longest, r.now() - before);
            before = r.now();
          }
        });
        yield* r.work(2 * MS);
        yield* r.collect();
        yield* r.work(6 * MS);
      },
      { gomaxprocs: 2, costs: { ...defaultCosts, gcPause: 3 * MS } },
    );
    expect(rt.stats.gc).toBe(1);
    expect(longest).toBeGreaterThan(3 * MS);
  });

  test("4 MiB allocated set one off, done by who has allocated them, before it goes on", () => {
    const { rt } = runGo(function* main(r) {
      r.makeBytes(4 << 20);
      expect(r.stats.gc).toBe(0);
      yield* r.gosched();
      expect(r.stats.gc).toBe(1);
    });
    expect(rt.sched.gcwaiting).toBe(false);
  });

  test("two who stop the world do so one after the other", () => {
    const { rt } = runGo(
      function* main(r) {
        const wg = r.waitGroup();
        wg.add(3);
        for (const n of [2, 5, 0]) {
          r.go("changes", function* () {
            yield* r.work(200 * US);
            if (n === 0) yield* r.collect();
            else yield* r.gomaxprocs(n);
            wg.done();
          });
        }
        yield* wg.wait();
      },
      { gomaxprocs: 4 },
    );
    expect(rt.stats.gc).toBe(1);
    expect([2, 5]).toContain(rt.sched.allp.length);
  });
});

describe("another number of P's", () => {
  test("R-005: gives the number before; 0 only asks; afterwards as many run at once as there are P's", () => {
    const seen: number[] = [];
    const most: number[] = [];
    runGo(function* main(rt) {
      for (const n of [4, 0, 2]) {
        seen.push(yield* rt.gomaxprocs(n));
        most.push(yield* atOnce(rt));
      }
    });
    expect(seen).toEqual([1, 4, 4]);
    expect(most).toEqual([4, 4, 2]);
  });

  test("R-172: timers and goroutines of a P that goes are another's, in their order", () => {
    const fired: string[] = [];
    const ran: number[] = [];
    runGo(
      function* main(rt) {
        const both = [rt.chan<void>(), rt.chan<void>()];
        for (const [i, done] of both.entries()) {
          rt.go("owner", function* () {
            yield* rt.work(2 * MS);
            rt.afterFunc((10 + i) * MS, "late", () => callback(() => fired.push(`timer ${i}`)));
            rt.afterFunc(5 * MS, "never", () => callback(() => fired.push("never"))).stop();
            yield* rt.work(MS);
            if (own(rt).id === 1) {
              for (let k = 0; k < 4; k += 1) rt.go("queued", () => callback(() => ran.push(k)));
              yield* rt.gomaxprocs(1);
              const [p] = rt.sched.allp;
              expect([rt.sched.allp.length, own(rt).id, p?.timers.length]).toEqual([1, 0, 2]);
              const names: string[] = [];
              for (let g = rt.sched.runq.head; g !== null; g = g.schedlink) names.push(g.name);
              expect(names.slice(0, 4)).toEqual(["queued", "queued", "queued", "queued"]);
            }
            yield* done.send();
          });
        }
        for (const done of both) yield* done.recv();
        yield* rt.sleep(20 * MS);
      },
      { gomaxprocs: 2 },
    );
    expect(fired).toEqual(["timer 0", "timer 1"]);
    // The one in runnext first, then the ring.
    expect(ran).toEqual([3, 0, 1, 2]);
  });

  test("a P that comes back has its dead goroutines given away, and its number", () => {
    runGo(
      function* main(rt) {
        yield* atOnce(rt);
        const [, second] = rt.sched.allp;
        const free = rt.sched.gFreeCount + rt.sched.allp.reduce((sum, p) => sum + p.gFreeCount, 0);
        yield* rt.gomaxprocs(1);
        expect([second?.gFreeCount, second?.gFree]).toEqual([0, null]);
        expect(rt.sched.gFreeCount + (rt.sched.allp[0]?.gFreeCount ?? 0)).toBe(free);
        yield* rt.gomaxprocs(2);
        expect(rt.sched.allp[1]).toBe(second);
      },
      { gomaxprocs: 2 },
    );
  });

  test("R-187: a P that there was not before gives the pool new arrays: what was in the old ones is lost", () => {
    const left = (use: boolean): unknown[] => {
      const seen: unknown[] = [];
      runGo(function* main(rt) {
        const pool = rt.pool<number>();
        pool.put(7);
        yield* rt.gomaxprocs(2);
        rt.go("other", function* () {
          yield* rt.work(MS);
          seen.push(own(rt).id);
          if (use) seen.push(pool.get());
        });
        yield* rt.work(5 * MS);
        seen.push(own(rt).id, pool.get());
      });
      return seen;
    };
    expect(left(false)).toEqual([1, 0, 7]);
    expect(left(true)).toEqual([1, undefined, 0, undefined]);
  });
});

/** How many of eight computing goroutines run at once, at the most. */
function* atOnce(rt: Runtime): Go<number> {
  let most = 0;
  const wg = rt.waitGroup();
  wg.add(8);
  for (let i = 0; i < 8; i += 1) {
    rt.go("computes", function* () {
      for (let k = 0; k < 5; k += 1) {
        most = Math.max(most, rt.sched.allm.filter((m) => m.p !== null && m.curg !== null).length);
        yield* rt.work(300 * US);
      }
      wg.done();
    });
  }
  yield* wg.wait();
  return most;
}
