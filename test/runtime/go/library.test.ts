/** Timers, channels, select, context, sync, deadlocks and ends. */
import { Canceled, type Cond, callback, DeadlineExceeded, type Go, type GoMain, RecvCase, SendCase } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { runGo } from "../../helpers/go.ts";

const US = 1_000;
const MS = 1_000_000;

/** Runs `main` and gives what it collected. */
function collect<T>(main: (order: T[]) => GoMain, version = "1.19"): T[] {
  const order: T[] = [];
  runGo(main(order), { version });
  return order;
}

describe("timers", () => {
  test("R-162, R-163: timers of one P fire in the order of their times, when their P looks", () => {
    const order = collect<number>(
      (fired) =>
        function* (rt) {
          for (const ms of [7, 3, 9, 1, 5, 2, 8, 4, 6])
            rt.afterFunc(ms * MS, "tick", () => callback(() => fired.push(ms)));
          yield* rt.sleep(20 * MS);
        },
    );
    expect(order).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("R-030: six sleepers that are due in one check run 5 0 1 2 3 4", () => {
    const order = collect<number>(
      (ran) =>
        function* (rt) {
          for (let i = 0; i < 6; i += 1) {
            rt.go("sleeper", function* () {
              yield* rt.sleep((i + 1) * 100 * US);
              ran.push(i);
            });
          }
          yield* rt.sleep(10 * MS);
        },
    );
    expect(order).toEqual([5, 0, 1, 2, 3, 4]);
  });

  test("R-164: stopping only marks; the heap is cleaned later", () => {
    runGo(function* main(rt) {
      const p = rt.sched.allp[0] as { timers: unknown[]; deletedTimers: number };
      const timers = [10, 20, 30, 40].map((ms) => rt.newTimer(ms * MS));
      for (const timer of timers.slice(1)) expect(timer.stop()).toBe(true);
      expect([p.timers.length, p.deletedTimers]).toEqual([4, 3]);
      yield* rt.sleep(MS);
      expect(p.deletedTimers).toBe(0);
    });
  });

  test("R-166: a ticker left alone keeps its phase, skips what is missed, and has one value", () => {
    runGo(function* main(rt) {
      const start = rt.now();
      const ticker = rt.newTicker(MS);
      yield* rt.sleep(10 * MS + 300 * US);
      expect(ticker.c.len).toBe(1);
      yield* ticker.c.recv();
      const next = (yield* ticker.c.recv()) as number;
      expect(Math.floor((next - start) / MS)).toBeGreaterThanOrEqual(11);
      ticker.stop();
    });
  });

  test("R-167: Sleep of nothing does not even yield", () => {
    const order = collect<string>(
      (ran) =>
        function* (rt) {
          rt.go("other", () => callback(() => ran.push("other")));
          yield* rt.sleep(0);
          yield* rt.sleep(-5);
          ran.push("main");
          yield* rt.gosched();
        },
    );
    expect(order).toEqual(["main", "other"]);
  });

  test("R-168: AfterFunc starts a goroutine", () => {
    const { rt } = runGo(function* main(r) {
      r.afterFunc(MS, "later", function* () {
        yield* r.sleep(MS);
      });
      yield* r.sleep(5 * MS);
    });
    expect(rt.stats.goroutines).toBe(6);
  });

  test("R-169, R-170: after Stop and Reset 1.19 leaves the stale value, the newest takes it back", () => {
    const stale = (version: string): unknown[] =>
      collect<unknown>(
        (seen) =>
          function* (rt) {
            const timer = rt.newTimer(MS);
            yield* rt.sleep(3 * MS);
            seen.push(timer.stop(), timer.c.len, timer.c.cap);
            timer.reset(3_600_000 * MS);
            seen.push(timer.c.tryRecv() !== null);
          },
        version,
      );
    expect(stale("1.19")).toEqual([false, 1, 1, true]);
    expect(stale("newest")).toEqual([true, 0, 1, false]);
  });
});

describe("channels and select", () => {
  test("R-173: straight to a receiver, into the buffer, or a wait; a full buffer passes its head", () => {
    const got = collect<number>(
      (seen) =>
        function* (rt) {
          const ch = rt.chan<number>(2);
          rt.go("sender", function* () {
            for (let i = 0; i < 5; i += 1) yield* ch.send(i);
            ch.close();
          });
          yield* rt.gosched();
          expect(ch.len).toBe(2);
          for (;;) {
            const { value, ok } = yield* ch.recvOk();
            if (!ok) break;
            seen.push(value as number);
          }
        },
    );
    expect(got).toEqual([0, 1, 2, 3, 4]);
  });

  test("R-174: receiver i gets value i; they run 5 0 1 2 3 4", () => {
    const order = collect<string>(
      (seen) =>
        function* (rt) {
          const ch = rt.chan<number>();
          for (let i = 0; i < 6; i += 1) {
            rt.go("receiver", function* () {
              yield* rt.sleep((i + 1) * MS);
              seen.push(`${i}=${yield* ch.recv()}`);
            });
          }
          yield* rt.sleep(10 * MS);
          for (let i = 0; i < 6; i += 1) yield* ch.send(i);
          yield* rt.sleep(MS);
        },
    );
    expect(order).toEqual(["5=5", "0=0", "1=1", "2=2", "3=3", "4=4"]);
  });

  test("R-175: close wakes six receivers 0 5 4 3 2 1, and senders panic", () => {
    const order = collect<number>(
      (seen) =>
        function* (rt) {
          const ch = rt.chan<number>();
          for (let i = 0; i < 6; i += 1) {
            rt.go("receiver", function* () {
              yield* rt.sleep((i + 1) * MS);
              expect(yield* ch.recvOk()).toEqual({ value: undefined, ok: false });
              seen.push(i);
            });
          }
          yield* rt.sleep(10 * MS);
          ch.close();
          yield* rt.sleep(MS);
        },
    );
    expect(order).toEqual([0, 5, 4, 3, 2, 1]);
    const panicked = runGo(function* main(rt) {
      const ch = rt.chan<number>();
      rt.go("sender", () => ch.send(1)[Symbol.iterator]());
      yield* rt.gosched();
      ch.close();
      yield* rt.gosched();
    });
    expect(panicked.out[0]).toBe("panic: send on closed channel");
    expect(panicked.out).toContain("sender(...)");
    expect(panicked.status).toBe(2);
  });

  test("R-176, R-178: a nil channel never is ready; an empty select waits for ever", () => {
    runGo(function* main(rt) {
      const ch = rt.chan<number>(1);
      yield* ch.send(3);
      const own = new RecvCase(ch);
      expect(yield* rt.select([new RecvCase<number>(null), own])).toBe(1);
      expect(own.received).toEqual({ value: 3, ok: true });
      expect(yield* rt.select([new RecvCase<number>(null)], true)).toBe(-1);
    });
    const { out } = runGo(function* main(rt) {
      yield* rt.select([]);
    });
    expect(out).toContain("goroutine 1 [select (no cases)]:");
  });

  test("R-177: of several ready cases the seed picks one; a wait ends with one, and leaves the other queues", () => {
    const picks = (seed: string): number[] => {
      const seen: number[] = [];
      runGo(
        function* main(rt) {
          for (let i = 0; i < 20; i += 1) {
            const a = rt.chan<number>(1);
            const b = rt.chan<number>(1);
            seen.push(yield* rt.select([new SendCase(a, 1), new SendCase(b, 2)]));
          }
        },
        { seed },
      );
      return seen;
    };
    expect(picks("x")).toEqual(picks("x"));
    expect(new Set(picks("x")).size).toBe(2);
    expect(picks("y")).not.toEqual(picks("x"));
    runGo(function* main(rt) {
      const a = rt.chan<number>();
      const b = rt.chan<number>();
      rt.go("sender", () => b.send(7)[Symbol.iterator]());
      const second = new RecvCase(b);
      expect(yield* rt.select([new RecvCase(a), second])).toBe(1);
      expect(second.received.value).toBe(7);
      expect(a.recvq.first).toBeNull();
    });
  });

  test("R-179: a deadline is an AfterFunc that closes done; a parent cancels its children without goroutines", () => {
    runGo(function* main(rt) {
      const before = rt.stats.goroutines;
      const parent = rt.background.withCancel();
      const child = parent.withCancel();
      const timed = parent.withTimeout(5 * MS);
      yield* timed.done?.recv() ?? rt.gosched();
      expect(timed.err).toBe(DeadlineExceeded);
      expect(rt.stats.goroutines).toBe(before + 1);
      parent.cancel();
      expect([child.err, parent.err]).toEqual([Canceled, Canceled]);
      expect(rt.stats.goroutines).toBe(before + 1);
      expect(child.done?.closed).toBe(true);
    });
  });
});

describe("sync", () => {
  test("R-180: waiters are first in, first out; with several P's a locker spins before it parks", () => {
    const order = collect<number>(
      (seen) =>
        function* (rt) {
          const mu = rt.mutex();
          yield* mu.lock();
          for (let i = 0; i < 6; i += 1) {
            rt.go("locker", function* () {
              yield* rt.sleep((i + 1) * 100 * US);
              yield* mu.lock();
              seen.push(i);
              yield* mu.unlock();
            });
          }
          yield* rt.sleep(10 * MS);
          yield* mu.unlock();
          yield* rt.sleep(MS);
        },
    );
    expect(order).toEqual([5, 0, 1, 2, 3, 4]);
    const { rt } = runGo(
      function* main(r) {
        const mu = r.mutex();
        const wg = r.waitGroup();
        wg.add(2);
        for (let g = 0; g < 2; g += 1) {
          r.go("short", function* () {
            for (let i = 0; i < 50; i += 1) {
              yield* mu.lock();
              yield* r.work(100);
              yield* mu.unlock();
            }
            wg.done();
          });
        }
        yield* wg.wait();
      },
      { gomaxprocs: 4 },
    );
    expect(rt.stats.parksByReason.get("semacquire") ?? 0).toBeLessThan(50);
  });

  test("R-181, R-182: who has waited more than 1 ms makes the mutex starve; newcomers queue until it ends", () => {
    runGo(function* main(rt) {
      const mu = rt.mutex();
      yield* mu.lock();
      rt.go("waiter", function* () {
        yield* mu.lock();
        expect(mu.starving).toBe(false);
        yield* mu.unlock();
      });
      yield* rt.gosched();
      yield* rt.work(3 * MS);
      yield* mu.unlock();
      expect(mu.tryLock()).toBe(true);
      yield* rt.gosched();
      expect(mu.starving).toBe(true);
      expect(mu.tryLock()).toBe(false);
      yield* mu.unlock();
      yield* rt.gosched();
      expect([mu.locked, mu.starving]).toEqual([false, false]);
    });
    expect(
      runGo(function* main(rt) {
        yield* rt.mutex().unlock();
      }).out[0],
    ).toBe("fatal error: sync: unlock of unlocked mutex");
  });

  const queued = (wait: (rt: Parameters<GoMain>[0]) => { wait: () => Go<void>; release: () => void }): number[] =>
    collect<number>(
      (seen) =>
        function* (rt) {
          const { wait: block, release } = wait(rt);
          for (let i = 0; i < 6; i += 1) {
            rt.go("waiter", function* () {
              yield* rt.sleep((i + 1) * 100 * US);
              yield* block();
              seen.push(i);
            });
          }
          yield* rt.sleep(10 * MS);
          release();
          yield* rt.sleep(MS);
        },
    );

  test("R-183: a WaitGroup releases its waiters 4 5 0 1 2 3; below zero it panics", () => {
    const order = queued((rt) => {
      const wg = rt.waitGroup();
      wg.add(1);
      return { wait: () => wg.wait(), release: () => wg.done() };
    });
    expect(order).toEqual([4, 5, 0, 1, 2, 3]);
    const { out } = runGo(function* main(rt) {
      yield* rt.gosched();
      rt.waitGroup().done();
    });
    expect(out[0]).toBe("panic: sync: negative WaitGroup counter");
  });

  /** Six wait on a Cond until `release`. */
  const waiting = (release: (cond: Cond) => void): number[] =>
    queued((rt) => {
      const mu = rt.mutex();
      const cond = rt.cond(mu);
      return {
        *wait(): Go<void> {
          yield* mu.lock();
          yield* cond.wait();
          yield* mu.unlock();
        },
        release: () => release(cond),
      };
    });

  test("R-184: Broadcast readies 4 5 0 1 2 3, Signal the oldest", () => {
    expect(waiting((cond) => cond.broadcast())).toEqual([4, 5, 0, 1, 2, 3]);
    expect(waiting((cond) => cond.signal())).toEqual([5]);
  });

  test("R-185: a Pool on one P after Put 0, 1, 2, 3 gives 0, 3, 2, 1, nothing", () => {
    const got = collect<unknown>(
      (seen) =>
        function* (rt) {
          const pool = rt.pool<number>();
          for (const value of [0, 1, 2, 3]) pool.put(value);
          for (let i = 0; i < 5; i += 1) seen.push(pool.get());
          yield* rt.gosched();
        },
    );
    expect(got).toEqual([0, 3, 2, 1, undefined]);
  });

  test("R-186: an unused value survives one collection, and is gone after two", () => {
    const got = collect<unknown>(
      (seen) =>
        function* (rt) {
          const pool = rt.pool<number>();
          for (const value of [0, 1, 2]) pool.put(value);
          yield* rt.collect();
          seen.push(pool.get());
          yield* rt.collect();
          seen.push(pool.get());
        },
    );
    expect(got).toEqual([0, undefined]);
  });

  test("a writer of a RWMutex waits for readers and keeps new ones out; Once runs once", () => {
    const order = collect<string>(
      (seen) =>
        function* (rt) {
          const rw = rt.rwmutex();
          const once = rt.once();
          yield* rw.rlock();
          rt.go("writer", function* () {
            yield* rw.lock();
            seen.push("writer");
            yield* rw.unlock();
          });
          yield* rt.gosched();
          rt.go("reader", function* () {
            yield* rw.rlock();
            seen.push("reader");
            rw.runlock();
          });
          yield* rt.gosched();
          seen.push("first reader");
          rw.runlock();
          for (let i = 0; i < 2; i += 1) {
            yield* once.do(function* () {
              seen.push("once");
              yield* rt.sleep(MS);
            });
          }
        },
    );
    expect(order).toEqual(["first reader", "once", "writer", "reader"]);
  });
});

describe("deadlocks and ends", () => {
  test("R-188: main blocked, nothing else: the report names each goroutine and why it waits; status 2", () => {
    const { out, status, named } = runGo(function* main(rt) {
      rt.go("worker", () => rt.chan<void>().send()[Symbol.iterator]());
      yield* rt.chan<void>().recv();
    });
    expect(out.slice(0, 3)).toEqual([
      "fatal error: all goroutines are asleep - deadlock!",
      "",
      "goroutine 1 [chan receive]:",
    ]);
    expect(out).toContain("main.main(...)");
    expect(out.some((line) => /^goroutine \d+ \[chan send\]:$/u.test(line))).toBe(true);
    expect(out).toContain("worker(...)");
    expect(status).toBe(2);
    expect(named("exit_group")[0]?.args[0]).toBe(2);
  });

  test("R-189: with a goroutine in the poller nothing is reported, however stuck the program is", () => {
    const { out, status } = runGo(
      function* main(rt) {
        const { value: ln } = yield* rt.listen("tcp4", "127.0.0.1:0");
        rt.go("acceptor", function* () {
          yield* ln?.accept() ?? rt.gosched();
        });
        yield* rt.chan<void>().recv();
      },
      { steps: 5_000 },
    );
    expect([out, status]).toEqual([[], null]);
  });

  test("R-190: a pending timer puts the report off until it has fired", () => {
    const { out, status } = runGo(function* main(rt) {
      rt.afterFunc(50 * MS, "late", function* () {
        yield* rt.println("fired");
      });
      yield* rt.chan<void>().recv();
    });
    expect(out.slice(0, 2)).toEqual(["fired", "fatal error: all goroutines are asleep - deadlock!"]);
    expect(status).toBe(2);
  });

  test("R-191: main that calls Goexit with nobody left has its own message", () => {
    const { out, status } = runGo(function* main(rt) {
      yield* rt.gosched();
      rt.goexit();
    });
    expect(out[0]).toBe("fatal error: no goroutines (main called runtime.Goexit) - deadlock!");
    expect(status).toBe(2);
  });

  test("R-192: when main returns the process exits, and nobody else runs", () => {
    let ran = false;
    const { status, calls } = runGo(function* main(rt) {
      rt.go("never", () =>
        callback(() => {
          ran = true;
        }),
      );
      yield* rt.work(0);
    });
    expect([ran, status]).toEqual([false, 0]);
    expect(calls.some((call) => call.name === "futex" && call.result === null)).toBe(true);
  });

  test("R-193: the machine moves its clock to the next timer when nobody can run", () => {
    const { machine } = runGo(function* main(rt) {
      yield* rt.sleep(3_600_000 * MS);
    });
    expect(machine.nowNs).toBeGreaterThan(3_600_000 * MS);
  });

  test("a panic names its goroutine, and can be caught", () => {
    const { out, status } = runGo(function* main(rt) {
      rt.go("bad", () => callback(() => rt.panic("oh no")));
      yield* rt.sleep(MS);
    });
    expect(out[0]).toBe("panic: oh no");
    expect(out.some((line) => /^goroutine \d+ \[running\]:$/u.test(line))).toBe(true);
    expect(out).toContain("bad(...)");
    expect(status).toBe(2);
    const caught = runGo(function* main(rt) {
      try {
        rt.panic("caught");
      } catch (error) {
        yield* rt.println(`recovered ${(error as Error).message}`);
      }
    });
    expect([caught.out, caught.status]).toEqual([["recovered caught"], 0]);
  });
});
