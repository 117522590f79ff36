/**
 * Pruning leaves out only what is equivalent to something else: on small random races the outcomes are those of every schedule.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { explore } from "../../src/explore/index.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";

const ONE = '"\\1\\0\\0\\0\\0\\0\\0\\0"';
const PROLOGUE = [
  "A  epoll_create1(0) = 3",
  "A  epoll_create1(0) = 4",
  "A  eventfd2(0, EFD_NONBLOCK) = 5",
  "A  eventfd2(0, EFD_NONBLOCK) = 6",
  "A  pipe2([7, 8], O_NONBLOCK) = 0",
];

const watches = [
  "EPOLLIN",
  "EPOLLIN|EPOLLET",
  "EPOLLIN|EPOLLONESHOT",
  "EPOLLIN|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLOUT|EPOLLET",
];

const event = (fd: number, mask: string): string => `{events=${mask}, data={u32=${fd}, u64=${fd}}}`;

/** Calls of a race, without their task. */
const call = fc.oneof(
  fc.constantFrom(5, 6).map((fd) => `write(${fd}, ${ONE}, 8) = ?`),
  fc.constantFrom(5, 6).map((fd) => `read(${fd}, ?, 8) = ?`),
  fc.constant('write(8, "x", 1) = ?'),
  fc.constant("read(7, ?, 4) = ?"),
  fc.constantFrom(3, 4).map((ep) => `epoll_wait(${ep}, ?, 4, 0) = ?`),
  fc.constantFrom(3, 4).map((ep) => `epoll_wait(${ep}, ?, 1, -1) = ?`),
  fc
    .tuple(fc.constantFrom(3, 4), fc.constantFrom(5, 6, 7))
    .map(([ep, fd]) => `epoll_ctl(${ep}, EPOLL_CTL_DEL, ${fd}, NULL) = ?`),
  fc
    .tuple(fc.constantFrom(3, 4), fc.constantFrom(5, 6, 7), fc.constantFrom(...watches))
    .map(([ep, fd, mask]) => `epoll_ctl(${ep}, EPOLL_CTL_ADD, ${fd}, ${event(fd, mask)}) = ?`),
  fc.constantFrom(5, 6).map((fd) => `close(${fd}) = ?`),
  fc.constant("dup(5) = ?"),
);

const watch = fc
  .tuple(fc.constantFrom(3, 4), fc.constantFrom(5, 6, 7), fc.constantFrom(...watches))
  .map(([ep, fd, mask]) => `A  epoll_ctl(${ep}, EPOLL_CTL_ADD, ${fd}, ${event(fd, mask)}) = ?`);

const race = fc
  .tuple(
    fc.array(watch, { maxLength: 3 }),
    fc.array(call, { minLength: 1, maxLength: 2 }),
    fc.array(call, { minLength: 1, maxLength: 2 }),
    fc.array(call, { minLength: 0, maxLength: 2 }),
  )
  .map(([set, ...tasks]) => {
    const lanes = tasks.flatMap((calls, index) => calls.map((text) => `${"BCD"[index]}  ${text}`));
    return [...PROLOGUE, ...set, "#! par", ...lanes].join("\n");
  });

const profile = kernelProfile("6.18");

it("the outcomes of a pruned exploration are those of all schedules", () => {
  fc.assert(
    fc.property(race, (text) => {
      const lowered = lower(parseScript(text, "race"));
      const all = explore(lowered, { profile, prune: false, preemptions: 1, schedulesMax: 20_000 });
      fc.pre(all.preemptions >= 1 || all.complete);
      const pruned = explore(lowered, { profile, preemptions: 1, schedulesMax: 20_000 });
      expect(pruned.outcomes.map(({ outcome }) => outcome)).toEqual(all.outcomes.map(({ outcome }) => outcome));
      expect(pruned.schedules).toBeLessThanOrEqual(all.schedules);
    }),
    { numRuns: 60, seed: 4 },
  );
}, 120_000);
