/** The tables of costs by name, and what a tracer's stops do to time. */
import { describe, expect, test } from "vitest";
import { costsNamed, defaultCosts, straceCosts } from "../../../src/runtime/go/cost.ts";
import type { Host } from "../../../src/runtime/go/sched.ts";
import { Tracer, type TracerCosts } from "../../../src/runtime/go/tracer.ts";
import { traceGo } from "../../helpers/go.ts";

describe("costs by name", () => {
  test("a table, and a table with figures of one's own", () => {
    expect(costsNamed("plain")).toBe(defaultCosts);
    expect(costsNamed("strace")).toBe(straceCosts);
    const costs = costsNamed("strace,lookup=300000,slack=5,write=7");
    expect(costs.tracer).toEqual({ ...straceCosts.tracer, lookup: 300_000 });
    expect([costs.slack, costs.calls.write, costs.calls.read]).toEqual([5, 7, straceCosts.calls.read]);
  });

  test.each([
    ["fast", "costs 'fast': there are plain and strace"],
    ["strace,lookup", "costs: 'lookup' is no figure"],
    ["strace,lookup=1.5", "costs: 'lookup=1.5' is no figure"],
    ["strace,lookup=9999999999999", "up to an hour"],
    ["strace,lookups=1", "costs: no figure 'lookups'; there are step, "],
    ["plain,lookup=1", "costs: no figure 'lookup'"],
    ["strace,lateOneIn=1", "lateOneIn is a number of stops, at least 2"],
  ])("'%s' is refused", (text, why) => {
    expect(() => costsNamed(text)).toThrow(RangeError);
    expect(() => costsNamed(text)).toThrow(why);
  });
});

describe("a tracer", () => {
  const costs: TracerCosts = { notice: 4, handle: 10, change: 5, lookup: 1000, lateOneIn: 2, late: 160 };
  const host = (late: boolean): Host => ({
    nowNs: 0,
    skipTo: () => true,
    choose: (_site, count) => (late ? count - 1 : 0),
  });

  test("serves one stop after the other; another thread's costs more", () => {
    const tracer = new Tracer(costs, host(false));
    expect(tracer.enter(1, -1, 100)).toBe(100 + 4 + 10 + 5);
    // Behind the first: nobody has to be told of it.
    expect(tracer.enter(2, -1, 101)).toBe(119 + 15);
    expect(tracer.exit(2, "read", 3, 0, 200)).toBe(200 + 4 + 10);
  });

  test("looks a socket up until it leads somewhere, and then knows it", () => {
    const tracer = new Tracer({ ...costs, change: 0 }, host(false));
    let now = 0;
    const took = (until: number): number => {
      const span = until - now;
      now = until;
      return span;
    };
    const call = (name: string, fd: number, result: number): number[] => [
      took(tracer.enter(1, fd, now)),
      took(tracer.exit(1, name, fd, result, now)),
    ];
    expect(call("socket", -1, 3)).toEqual([14, 1014]);
    expect(call("setsockopt", 3, 0)).toEqual([1014, 14]);
    expect(call("connect", 3, -115)).toEqual([1014, 14]);
    expect(call("epoll_ctl", 3, 0)).toEqual([1014, 14]);
    expect(call("read", 3, 1)).toEqual([14, 14]);
    expect(call("accept4", 4, 5)).toEqual([14, 1014]);
    expect(call("accept4", 4, -11)).toEqual([14, 14]);
    expect(call("socket", -1, 6)).toEqual([14, 1014]);
    expect(call("close", 6, 0)).toEqual([1014, 14]);
    expect(call("openat", -1, 6)).toEqual([14, 14]);
    expect(call("read", 6, 1)).toEqual([14, 14]);
  });

  test("a late thread does not keep the tracer", () => {
    const tracer = new Tracer({ ...costs, change: 0 }, host(true));
    expect(tracer.enter(1, -1, 0)).toBe(14 + 160);
    expect(tracer.enter(2, -1, 0)).toBe(24 + 160);
  });

  test("under one a call takes its two stops, with any seed the same each time", () => {
    const text = (seed: string): string =>
      traceGo(
        function* main(rt) {
          yield* rt.println("a");
          yield* rt.println("b");
        },
        { costs: straceCosts, seed },
      );
    expect(text("1")).toBe(text("1"));
    const [a = 0, b = 0] = [...text("1").matchAll(/\.(\d{9}) write\(1/gu)].map(([, ns]) => Number(ns));
    const { notice = 0, handle = 0 } = straceCosts.tracer ?? {};
    expect(b - a).toBeGreaterThanOrEqual(2 * (notice + handle) + (straceCosts.calls.write ?? 0));
  });
});
