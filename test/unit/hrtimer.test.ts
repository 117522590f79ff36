import { describe, expect, test } from "vitest";
import { Clock, Hrtimer } from "../../src/kernel/time/hrtimer.ts";

class Recorder extends Hrtimer {
  readonly name: string;
  readonly log: string[];
  readonly clock: Clock;

  constructor(name: string, log: string[], clock: Clock) {
    super();
    this.name = name;
    this.log = log;
    this.clock = clock;
  }

  override fire(): void {
    this.log.push(`${this.name}@${this.clock.nowNs}`);
  }
}

describe("the virtual clock", () => {
  test("fires in order of expiry, ties in order of arming, never early", () => {
    const clock = new Clock(0, 0n);
    const log: string[] = [];
    for (const [name, at] of [
      ["c", 30],
      ["a", 10],
      ["b", 20],
      ["b2", 20],
    ] as const) {
      clock.start(new Recorder(name, log, clock), at);
    }
    clock.advanceTo(9);
    expect(log).toEqual([]);
    clock.advanceTo(25);
    expect(log).toEqual(["a@10", "b@20", "b2@20"]);
    expect(clock.nowNs).toBe(25);
    expect(clock.nextExpiryNs()).toBe(30);
  });

  test("a cancelled or restarted timer fires once, at its new time", () => {
    const clock = new Clock(0, 0n);
    const log: string[] = [];
    const timers = Array.from({ length: 50 }, (_, i) => new Recorder(String(i), log, clock));
    for (const [i, timer] of timers.entries()) clock.start(timer, 1000 - i);
    for (const [i, timer] of timers.entries()) {
      if (i % 2 === 0) expect(clock.cancel(timer)).toBe(true);
      else clock.start(timer, i);
    }
    expect(clock.cancel(timers[0] as Recorder)).toBe(false);
    clock.advanceTo(2000);
    expect(log).toEqual(Array.from({ length: 25 }, (_, i) => `${2 * i + 1}@${2 * i + 1}`));
  });

  test("a timer armed in the past fires at the present time", () => {
    const clock = new Clock(100, 0n);
    const log: string[] = [];
    clock.start(new Recorder("late", log, clock), 50);
    clock.advanceTo(100);
    expect(log).toEqual(["late@100"]);
  });
});
