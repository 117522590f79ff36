/**
 * Races on the model: which outcomes there are, that every schedule can be replayed, and that policies are deterministic.
 */
import seedrandom from "seedrandom";
import { describe, expect, it } from "vitest";
import {
  explore,
  outcomeText,
  POLICIES,
  type Policy,
  parseSchedule,
  policyScheduler,
  printSchedule,
  Replay,
  ScheduleError,
} from "../../src/explore/index.ts";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { ModelPort } from "../../src/syscalls/model-port.ts";
import { ParseError } from "../../src/trace/errors.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";
import type { Lowered } from "../../src/trace/source-map.ts";

const profile = kernelProfile("6.18");
const ONE = '"\\1\\0\\0\\0\\0\\0\\0\\0"';
const watching = (mask: string): string[] => [
  "A  epoll_create1(0) = 3",
  "A  eventfd2(0, EFD_NONBLOCK) = 4",
  `A  epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=${mask}, data={u32=4, u64=4}}) = 0`,
];
const wait = (task: string, timeout = -1): string => `${task}  epoll_wait(3, ?, 8, ${timeout}) = ?`;
const write = (task: string): string => `${task}  write(4, ${ONE}, 8) = ?`;

function lowered(...lines: string[]): Lowered {
  return lower(parseScript(lines.join("\n"), "race"));
}

/** Which of the tasks returned from their first call, in every outcome. */
function returned(race: Lowered, tasks: string): string[] {
  const { outcomes } = explore(race, { profile });
  return outcomes.map(({ outcome }) =>
    [...tasks].filter((task) => new RegExp(`\\b${task}: epoll_wait 1`, "u").test(outcome)).join(""),
  );
}

describe("the outcomes of a race", () => {
  it("one edge is returned by exactly one of two waiters (ND-02)", () => {
    const race = lowered(...watching("EPOLLIN|EPOLLET"), "#! par", wait("B"), wait("C"), write("D"));
    expect(returned(race, "BC").sort()).toEqual(["B", "C"]);
  });

  it("a level that nobody reads is returned by both (ND-03)", () => {
    const race = lowered(...watching("EPOLLIN"), "#! par", wait("B"), wait("C"), write("D"));
    expect(returned(race, "BC")).toEqual(["BC"]);
  });

  it("who slept before the race can be robbed of the event that woke it (E-160)", () => {
    const sleeper = "B  epoll_wait(3, ?, 8, -1 <unfinished ...>";
    const race = lowered(...watching("EPOLLIN|EPOLLET"), sleeper, "#! par", write("C"), wait("D", 0));
    expect(returned(race, "BD").sort()).toEqual(["B", "D"]);
  });

  it("a write can race with the end of a timeout, and its edge is not lost (ND-08)", () => {
    const race = lowered(...watching("EPOLLIN|EPOLLET"), "#! par", wait("B", 5), write("C"));
    const texts = explore(race, { profile }).outcomes.map(({ outcome }) => outcome);
    expect(texts).toHaveLength(2);
    expect(texts.filter((text) => text.includes("B: epoll_wait 0"))).toEqual([
      expect.stringContaining("A: fdinfo(3) [4:0x80000019:4], epoll_wait 1"),
    ]);
  });

  it("a poll that waits behind a scan keeps its place when an arrival wakes it", () => {
    const race = lowered(
      "A  epoll_create1(0) = 3",
      "A  eventfd2(0, EFD_NONBLOCK) = 4",
      "A  eventfd2(0, EFD_NONBLOCK) = 5",
      "A  epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0",
      "A  epoll_ctl(3, EPOLL_CTL_ADD, 5, {events=EPOLLIN, data={u32=5, u64=5}}) = 0",
      "#! par",
      wait("B"),
      "C  poll([{fd=3, events=POLLIN}], 1, -1) = ?",
      write("D"),
      `D  write(5, ${ONE}, 8) = ?`,
    );
    const texts = explore(race, { profile }).outcomes.map(({ outcome }) => outcome);
    expect(texts.filter((text) => text.includes("crashed"))).toEqual([]);
  });

  it("three tasks of four calls end within the bound, which is told", () => {
    const calls = (task: string): string[] => [wait(task, 0), `${task}  read(4, ?, 8) = ?`, write(task), wait(task, 0)];
    const race = lowered(...watching("EPOLLIN|EPOLLET"), "#! par", ...calls("B"), ...calls("C"), ...calls("D"));
    const { schedules, pruned, preemptions, outcomes } = explore(race, { profile, schedulesMax: 4000 });
    expect(preemptions).toBe(0); // 34,650 orders of the twelve calls, and not one of them is missing
    expect(schedules).toBeLessThanOrEqual(4000);
    expect(pruned).toBeGreaterThan(1000);
    expect(outcomes).toHaveLength(187);
  }, 60_000);
});

describe("schedules", () => {
  const race = lowered(
    ...watching("EPOLLIN|EPOLLET"),
    `A  write(4, ${ONE}, 8) = 8`,
    "#! par",
    write("B"),
    wait("C", 0),
    wait("C", 0),
  );

  it("each outcome's witness gives that outcome again, from its text", () => {
    const { outcomes } = explore(race, { profile });
    expect(outcomes.length).toBeGreaterThan(2);
    for (const { outcome, witness } of outcomes) {
      const turns = parseSchedule(printSchedule(witness, race.tasks), race.tasks);
      const replay = new Replay(turns, race.tasks);
      const result = new ModelPort({ profile, chooser: replay, scheduler: replay }).runSync(race.program, null);
      expect(outcomeText(race, result)).toBe(outcome);
    }
  });

  it("a turn of a task that cannot run is refused, with those that can", () => {
    const replay = new Replay(parseSchedule("B B", race.tasks), race.tasks);
    const port = new ModelPort({ profile, chooser: replay, scheduler: replay });
    expect(() => port.runSync(race.program, null)).toThrow(/turn 2 is B, which cannot run there; those that can: C/u);
  });

  it.each(["X", "B/x", "B/1."])("'%s' is no schedule", (text) => {
    expect(() => parseSchedule(text, race.tasks)).toThrow(ScheduleError);
  });
});

describe("policies", () => {
  const tasks = Array.from({ length: 100 }, (_, index) => `T${index}`);
  const crowd = lowered(
    ...watching("EPOLLIN"),
    "#! par",
    ...tasks.flatMap((task, index) => [index % 3 === 0 ? write(task) : wait(task), `${task}  read(4, ?, 8) = ?`]),
  );
  const run = (policy: Policy, seed: string): string => {
    const scheduler = policyScheduler(policy, { random: seedrandom(seed), depth: 5 });
    return outcomeText(crowd, new ModelPort({ profile, chooser: firstChoice, scheduler }).runSync(crowd.program, null));
  };

  it.each(POLICIES)("%s: the same seed gives the same bytes, also with 100 tasks", (policy) => {
    expect(run(policy, "7")).toBe(run(policy, "7"));
  });

  it.each(["random", "pct"] as const)("%s: another seed gives another run", (policy) => {
    expect(new Set(["1", "2", "3", "4"].map((seed) => run(policy, seed))).size).toBeGreaterThan(1);
  });
});

describe("the part without order", () => {
  it.each([
    ["a result", ["#! par", `B  write(4, ${ONE}, 8) = 8`], "a result in a part without order"],
    ["half a call", ["#! par", "B  epoll_wait(3, ?, 8, -1 <unfinished ...>"], "half a call"],
    ["a query", ["#! par", "B  fdinfo(3) = ?"], "'fdinfo' in a part without order"],
    ["a second part", ["#! par", write("B"), "#! par"], "a second 'par'"],
    ["an end without a begin", ["#! join"], "a 'join' without its 'par'"],
    ["a racing task behind it", ["#! par", write("B"), "#! join", "B  close(4) = 0"], "a task that may still sleep"],
    ["a name of another task", ["#! par", "B  dup(4) = $x", "C  close($x) = ?"], "which another task binds"],
  ])("refuses %s", (_name, lines, message) => {
    const read = (): Lowered => lowered(...watching("EPOLLIN"), ...lines);
    expect(read).toThrow(ParseError);
    expect(read).toThrow(message);
  });
});
