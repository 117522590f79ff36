/** What happens between two steps of a search for work: rows that need another thread at the right moment. */
import { callback, defaultCosts, type File, type Go, type Runtime } from "epollsim/go";
import { Errno } from "epollsim/runtime";
import { describe, expect, test } from "vitest";
import { Cont } from "../../../src/runtime/go/runtime2.ts";
import { runGo } from "../../helpers/go.ts";

const US = 1_000;
const MS = 1_000_000;

type PipeEnds = { readonly r: File; readonly w: File };

function* pipe(rt: Runtime): Go<PipeEnds> {
  const { value, err } = yield* rt.pipe();
  return err === null ? value : rt.panic(err.text);
}

/** Computes until some thread stands there. */
function* until(rt: Runtime, cont: Cont): Go<void> {
  while (!rt.sched.allm.some((m) => m.cont === cont)) yield* rt.work(2 * US);
}

describe("the non-blocking poll takes its time", () => {
  const SLOW_POLL = { ...defaultCosts, step: 200, calls: { ...defaultCosts.calls, epoll_pwait: MS } };

  test("R-033: in 1.19 two threads poll at once; in the newest the second leaves it to the first", () => {
    /** Two goroutines end with this distance: how many polls have another one of another thread beside them. */
    const together = (version: string, apart: number): number => {
      const { named } = runGo(
        function* main(rt) {
          const { r } = yield* pipe(rt);
          rt.go("reader", function* () {
            yield* r.read(new Uint8Array(1));
          });
          yield* rt.sleep(10 * MS);
          for (const ns of [3 * MS, 3 * MS + apart]) {
            rt.go("worker", function* () {
              yield* rt.work(ns);
            });
          }
          yield* rt.work(8 * MS);
        },
        { version, gomaxprocs: 3, costs: SLOW_POLL },
      );
      const polls = named("epoll_pwait").filter((call) => call.args[3] === 0);
      return polls.filter((call) =>
        polls.some((other) => other.tid !== call.tid && Math.abs(other.atNs - call.atNs) < MS),
      ).length;
    };
    const distances = Array.from({ length: 20 }, (_, i) => i * 50 * US);
    expect(Math.max(...distances.map((apart) => together("1.19", apart)))).toBeGreaterThanOrEqual(2);
    expect(Math.max(...distances.map((apart) => together("newest", apart)))).toBe(0);
  });

  test("R-109: an event of a descriptor that was closed meanwhile wakes the next user in 1.19; the newest drops it", () => {
    const tries = (version: string): (number | null)[] => {
      let fd = -1;
      let from = 0;
      const { named } = runGo(
        function* main(rt) {
          const idle = yield* pipe(rt);
          const first = yield* pipe(rt);
          rt.go("reader", function* () {
            yield* idle.r.read(new Uint8Array(1));
          });
          yield* rt.sleep(20 * MS);
          yield* first.w.write(new Uint8Array(1));
          // Somebody else finds nothing to do, and polls: the event of the first pipe is on its way.
          rt.go("short", () => callback(() => {}));
          yield* until(rt, Cont.LOOKED);
          const pd = first.r.fd.pd;
          yield* first.r.close();
          const second = yield* pipe(rt);
          expect(second.r.fd.pd).toBe(pd);
          fd = second.r.fd.sysfd;
          from = rt.now();
          second.r.setReadDeadline(rt.now() + 30 * MS);
          yield* second.r.read(new Uint8Array(3));
        },
        { version, gomaxprocs: 2, costs: SLOW_POLL },
      );
      return named("read")
        .filter((call) => call.args[0] === fd && call.args[2] === 3 && call.atNs >= from)
        .map((call) => call.result);
    };
    expect(tries("1.19")).toEqual([-Errno.EAGAIN, -Errno.EAGAIN]);
    expect(tries("newest")).toEqual([-Errno.EAGAIN]);
  });
});

describe("between the release of a P and the second look", () => {
  const SLOW_RELEASE = { ...defaultCosts, release: 100 * US };

  /** Waits until a spinning thread has given its P up and not yet looked again. */
  function* whileReleased(rt: Runtime): Go<void> {
    rt.go("first", () => callback(() => {}));
    yield* until(rt, Cont.RELEASED);
    expect(rt.sched.nmspinning).toBe(1);
  }

  test("R-036: work that comes in then wakes nobody, since there is a spinner; the second look finds it", () => {
    let late = 0;
    runGo(
      function* main(rt) {
        yield* whileReleased(rt);
        const start = rt.now();
        const { newm, wokeM, wakepSpinner } = rt.stats;
        rt.go("work", () =>
          callback(() => {
            late = rt.now() - start;
          }),
        );
        expect([rt.stats.newm, rt.stats.wokeM, rt.stats.wakepSpinner]).toEqual([newm, wokeM, wakepSpinner + 1]);
        yield* rt.work(5 * MS);
      },
      { gomaxprocs: 2, costs: SLOW_RELEASE },
    );
    expect(late).toBeGreaterThan(0);
    expect(late).toBeLessThan(MS);
  });

  test("R-036: the newest looks at the global queue once more too; in 1.19 what is there waits for who has a P", () => {
    const waited = (version: string): number => {
      let ns = 0;
      runGo(
        function* main(rt) {
          yield* whileReleased(rt);
          rt.go("long", function* () {
            yield* rt.work(5 * MS);
          });
          const start = rt.now();
          yield* rt.gosched();
          ns = rt.now() - start;
        },
        { version, gomaxprocs: 2, costs: SLOW_RELEASE },
      );
      return ns;
    };
    expect(waited("1.19")).toBeGreaterThan(4 * MS);
    expect(waited("newest")).toBeLessThan(MS);
  });

  test("R-037: work for which there was no P makes the newest's next idler look for it; in 1.19 it may wait for its maker", () => {
    /** A goroutine comes out of a system call just when one thread gives its P up, and another is about to. */
    const starts = (version: string, call: number): number => {
      let ns = 0;
      runGo(
        function* main(rt) {
          rt.go("caller", function* () {
            yield* rt.syscallBlock("nanosleep", (sys) => sys.nanosleep(MS + call));
            const start = rt.now();
            rt.go("work", () =>
              callback(() => {
                ns = rt.now() - start;
              }),
            );
            yield* rt.work(5 * MS);
          });
          yield* rt.gosched();
          rt.go("second", function* () {
            yield* rt.work(900 * US);
          });
          yield* rt.work(MS);
          yield* rt.sleep(10 * MS);
        },
        { version, gomaxprocs: 2, costs: { ...SLOW_RELEASE, search: 300 * US } },
      );
      return ns;
    };
    const spans = Array.from({ length: 80 }, (_, i) => i * 10 * US);
    expect(Math.max(...spans.map((span) => starts("newest", span)))).toBeLessThan(2 * MS);
    expect(Math.max(...spans.map((span) => starts("1.19", span)))).toBeGreaterThan(4 * MS);
  });
});

describe("the search for something to steal", () => {
  test("R-046: at most half as many search as are busy; who finds them searching gives its P up without a look", () => {
    const spinners = (gomaxprocs: number): number => {
      let most = 0;
      runGo(
        function* main(rt) {
          for (let i = 1; i < gomaxprocs; i += 1) {
            rt.go("short", function* () {
              yield* rt.work(2 * MS);
            });
          }
          // All end at once, and search for half a millisecond each.
          for (let i = 0; i < 100; i += 1) {
            yield* rt.work(50 * US);
            if (i > 30) most = Math.max(most, rt.sched.nmspinning);
          }
        },
        { gomaxprocs, costs: { ...defaultCosts, search: 500 * US } },
      );
      return most;
    };
    expect([2, 4, 6, 8].map(spinners)).toEqual([1, 2, 3, 4]);
  });

  test("R-047: four passes, each over every P once, from a random one on with a random step that is coprime to their number", () => {
    const asked = (gomaxprocs: number, start: number, step: number): { orders: number[][]; sites: string[] } => {
      const sites: string[] = [];
      let orders: number[][] = [];
      let at = 0;
      runGo(
        function* main(rt) {
          const { sched } = rt;
          Object.assign(sched.host, {
            choose: (site: string, count: number): number => {
              // A search without a find takes no time by itself: its passes are all in one instant.
              if (rt.sched.host.nowNs !== at) sites.length = 0;
              at = rt.sched.host.nowNs;
              sites.push(`${site} of ${count}`);
              return site === "go.steal.start" ? start : step;
            },
          });
          rt.go("short", () => callback(() => {}));
          while (sites.length < 4) yield* rt.work(2 * US);
          yield* until(rt, Cont.SEARCHED);
          orders = sched.allm.map((m) => [...m.stealOrder]);
        },
        { gomaxprocs, costs: { ...defaultCosts, search: 100 * US } },
      );
      return { orders, sites };
    };
    const passes = (start: string, step: string): string[] => Array.from({ length: 4 }, () => [start, step]).flat();
    // Coprime to 5: 1, 2, 3, 4; to 6: 1, 5.
    const five = asked(5, 3, 1);
    expect(five.orders).toContainEqual([3, 0, 2, 4, 1]);
    expect(five.sites).toEqual(passes("go.steal.start of 5", "go.steal.step of 4"));
    const six = asked(6, 0, 1);
    expect(six.orders).toContainEqual([0, 5, 4, 3, 2, 1]);
    expect(six.sites).toEqual(passes("go.steal.start of 6", "go.steal.step of 2"));
  });
});
