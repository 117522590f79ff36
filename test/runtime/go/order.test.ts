/** Order oracles: programs whose output order is fixed by the queue rules, as real Go 1.19.8 printed it at GOMAXPROCS=1. */
import { callback, type GoMain } from "epollsim/go";
import { describe, expect, test } from "vitest";
import { echoswarm } from "../../../examples/go/echoswarm.ts";
import { pingpong } from "../../../examples/go/pingpong.ts";
import { runGo } from "../../helpers/go.ts";

const MS = 1_000_000;

/** Main yields, creates `n` goroutines that report their index, then sleeps. */
function creates(n: number, order: number[]): GoMain {
  return function* main(rt) {
    // The runtime's own goroutines run first: what follows begins with empty queues.
    yield* rt.gosched();
    for (let i = 0; i < n; i += 1) rt.go("report", () => callback(() => order.push(i)));
    yield* rt.sleep(10 * MS);
  };
}

function orderOf(n: number): number[] {
  const order: number[] = [];
  runGo(creates(n, order));
  return order;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe("run queues", () => {
  test("R-021, R-022: last created first, then in order of creation", () => {
    expect(orderOf(5)).toEqual([4, 0, 1, 2, 3]);
    expect(orderOf(256)).toEqual([255, ...range(0, 254)]);
    expect(orderOf(257)).toEqual([256, ...range(0, 255)]);
  });

  test("R-020, R-023: the 258th moves half of the ring to the global queue", () => {
    const order = orderOf(258);
    expect(order.slice(0, 4)).toEqual([257, 128, 129, 130]);
    expect(order.at(-1)).toBe(256);
    expect([...order].sort((a, b) => a - b)).toEqual(range(0, 257));
  });

  test("R-026, R-027: with 300, every 61st slice takes one from the global queue", () => {
    const order = orderOf(300);
    expect(order[0]).toBe(299);
    const expected = [
      ...[299, ...range(128, 183), 0, ...range(184, 243), 1, ...range(244, 255)],
      ...[...range(257, 298), ...range(2, 127), 256],
    ];
    expect(order).toEqual(expected);
  });

  test("R-023, R-026: the same without the first yield: the finalizers' goroutine is in the ring too", () => {
    const order: number[] = [];
    runGo(function* main(rt) {
      const done = rt.chan<void>();
      for (let i = 0; i < 300; i += 1) {
        rt.go("report", function* () {
          order.push(i);
          yield* done.send();
        });
      }
      for (let i = 0; i < 300; i += 1) yield* done.recv();
    });
    const expected = [
      ...[299, ...range(127, 243), 0, ...range(244, 254)],
      ...[...range(256, 298), ...range(1, 126), 255],
    ];
    expect(order).toEqual(expected);
  });
});

describe("against real Go at GOMAXPROCS=1", () => {
  test("R-044: 1000 round trips cost 2002 parks and as many polls, none of which blocks", () => {
    const { rt, out } = runGo(pingpong({ rounds: 1000, net: "tcp4" }));
    expect(out).toEqual(["rounds 1000 last 232"]);
    expect(rt.stats.parksByReason.get("IO wait")).toBe(2002);
    expect(rt.stats.epollCalls).toBeGreaterThanOrEqual(2002);
    expect(rt.stats.epollCalls).toBeLessThanOrEqual(2004);
    expect(rt.stats.netpollBlocking).toBe(0);
  });

  test("the counters of echoswarm -conns 10 -rounds 5 are the measured medians", () => {
    const { stats } = runGo(echoswarm({ conns: 10, rounds: 5, size: 64 })).rt;
    expect(stats).toMatchObject({
      goroutines: 26,
      parks: 133,
      goready: 17,
      pickRunnext: 13,
      pickLocal: 130,
      netpollNonblocking: 12,
      events: 122,
      readersUnparked: 102,
      writersUnparked: 10,
      eventsNobody: 10,
      injected: 100,
      entersyscall: 457,
      exitsyscallOldP: 457,
      handoffp: 2,
      wakep: 42,
      newm: 1,
      wokeM: 1,
      stopm: 2,
    });
  });
});
