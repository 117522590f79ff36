/**
 * Pruning leaves out only what is equivalent to something else: on small random races the outcomes are those of every schedule.
 *
 * `EPOLLSIM_EXPLORE=full` asks more of them.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Exploration, explore } from "../../src/explore/index.ts";
import { Unmodelled } from "../../src/kernel/lib/assert.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";
import type { Lowered } from "../../src/trace/source-map.ts";

const ONE = '"\\1\\0\\0\\0\\0\\0\\0\\0"';
/** 3 and 4 are epolls, 5 and 6 eventfds, 7 and 8 a pipe, 9 and 10 a pair of sockets, 11 a timerfd, 12 a signalfd, 13 blocks. */
const PROLOGUE = [
  "A  epoll_create1(0) = 3",
  "A  epoll_create1(0) = 4",
  "A  eventfd2(0, EFD_NONBLOCK) = 5",
  "A  eventfd2(2, EFD_NONBLOCK|EFD_SEMAPHORE) = 6",
  "A  pipe2([7, 8], O_NONBLOCK) = 0",
  "A  socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [9, 10]) = 0",
  "A  timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK) = 11",
  "A  rt_sigprocmask(SIG_BLOCK, [USR2], NULL, 8) = 0",
  "A  signalfd4(-1, [USR2], 8, SFD_NONBLOCK) = 12",
  "A  eventfd2(0, 0) = 13",
  "A  rt_sigaction(SIGUSR1, {sa_handler=0x1000, sa_mask=[], sa_flags=0}, NULL, 8) = 0",
  "A  getpid() = $pid",
  "#! thread B A",
  "#! thread C A",
  "#! thread D A",
  "B  gettid() = $b",
  "C  gettid() = $c",
];

const modes = ["", "|EPOLLET", "|EPOLLONESHOT", "|EPOLLET|EPOLLONESHOT"];
const watches = [
  ...modes.map((mode) => `EPOLLIN${mode}`),
  "EPOLLIN|EPOLLEXCLUSIVE",
  "EPOLLIN|EPOLLOUT|EPOLLET",
  "EPOLLOUT",
];

const event = (fd: number, mask: string): string => `{events=${mask}, data={u32=${fd}, u64=${fd}}}`;

const epoll = fc.constantFrom(3, 4);
/** What can be watched: files of every kind, and the second epoll. */
const watched = fc.constantFrom(5, 6, 7, 9, 11, 12, 4);
const mask = fc.constantFrom(...watches);
const timeout = fc.constantFrom(-1, 0, 5, 10);

const ctl = fc
  .tuple(fc.constantFrom("ADD", "ADD", "MOD", "DEL"), epoll, watched, mask)
  .map(
    ([op, ep, fd, events]) => `epoll_ctl(${ep}, EPOLL_CTL_${op}, ${fd}, ${op === "DEL" ? "NULL" : event(fd, events)})`,
  );

const wait = fc.oneof(
  fc.tuple(epoll, fc.constantFrom(1, 4), timeout).map(([ep, most, ms]) => `epoll_wait(${ep}, ?, ${most}, ${ms})`),
  fc.tuple(fc.constantFrom(3, 5, 7, 9), timeout).map(([fd, ms]) => `poll([{fd=${fd}, events=POLLIN}], 1, ${ms})`),
  epoll.map((ep) => `epoll_pwait(${ep}, ?, 4, 5, [USR1], 8)`),
);

const transfer = fc.constantFrom(
  `write(5, ${ONE}, 8)`,
  `write(6, ${ONE}, 8)`,
  `write(13, ${ONE}, 8)`,
  "read(5, ?, 8)",
  "read(6, ?, 8)",
  "read(13, ?, 8)",
  'write(8, "x", 1)',
  "read(7, ?, 4)",
  'write(10, "x", 1)',
  "read(9, ?, 4)",
  "shutdown(10, SHUT_WR)",
);

const other = fc.constantFrom(
  "close(5)",
  "close(6)",
  "close(8)",
  "close(10)",
  "close(4)",
  "dup(5)",
  "dup2(6, 5)",
  "eventfd2(1, EFD_NONBLOCK)",
  "timerfd_settime(11, 0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=7000000}}, NULL)",
  "read(11, ?, 8)",
  "nanosleep({tv_sec=0, tv_nsec=5000000}, NULL)",
);

/** Calls that no footprint tells of. */
const signal = fc.constantFrom(
  "tgkill($pid, $b, SIGUSR1)",
  "tgkill($pid, $c, SIGUSR1)",
  "kill($pid, SIGUSR2)",
  "read(12, ?, 128)",
  "rt_sigtimedwait([USR2], NULL, {tv_sec=0, tv_nsec=5000000}, 8)",
  "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=0, tv_usec=6000}}, NULL)",
  "pause()",
);

const call = fc.oneof(
  { weight: 4, arbitrary: transfer },
  { weight: 4, arbitrary: wait },
  { weight: 3, arbitrary: ctl },
  { weight: 2, arbitrary: other },
  { weight: 1, arbitrary: signal },
);

const watch = fc
  .tuple(epoll, watched, mask)
  .map(([ep, fd, events]) => `A  epoll_ctl(${ep}, EPOLL_CTL_ADD, ${fd}, ${event(fd, events)}) = ?`);

const race = fc
  .tuple(
    fc.array(watch, { maxLength: 3 }),
    fc.array(call, { minLength: 1, maxLength: 2 }),
    fc.array(call, { minLength: 1, maxLength: 2 }),
    fc.array(call, { minLength: 0, maxLength: 1 }),
  )
  .map(([set, ...tasks]) => {
    const lanes = tasks.flatMap((calls, index) => calls.map((text) => `${"BCD"[index]}  ${text} = ?`));
    return [...PROLOGUE, ...set, "#! par", ...lanes].join("\n");
  });

const profile = kernelProfile("6.18");

/** Every outcome, from all schedules; null for a race that the model does not follow to its end. */
function exploreAll(lowered: Lowered): Exploration | null {
  try {
    return explore(lowered, { profile, prune: false, preemptions: 1, schedulesMax: 3000 });
  } catch (error) {
    if (error instanceof Unmodelled) return null;
    throw error;
  }
}

const FULL = process.env.EPOLLSIM_EXPLORE === "full";

it("the outcomes of a pruned exploration are those of all schedules", () => {
  let left = 0;
  fc.assert(
    fc.property(race, (text) => {
      const lowered = lower(parseScript(text, "race"));
      const all = exploreAll(lowered);
      fc.pre(all !== null && (all.preemptions >= 1 || all.complete));
      const pruned = explore(lowered, { profile, preemptions: 1, schedulesMax: 3000 });
      expect(pruned.outcomes.map(({ outcome }) => outcome)).toEqual(all.outcomes.map(({ outcome }) => outcome));
      expect(pruned.schedules).toBeLessThanOrEqual(all.schedules);
      left += all.schedules - pruned.schedules;
    }),
    { numRuns: FULL ? 2000 : 200, seed: 4 },
  );
  expect(left).toBeGreaterThan(0);
}, 1_200_000);
