/** Scripts with known causes under traces/explain, and what `explain` must answer: verdicts and lines, not words. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli } from "../helpers/cli.ts";

interface Expected {
  readonly script: string;
  readonly at: number;
  readonly ending: string;
  /** `fd`, verdict, and every line that the answer rests on. */
  readonly answers: readonly (readonly [number, string, readonly number[]])[];
  /** Who was woken, by which line, in vain or not, and who slept there. */
  readonly wakings?: readonly (readonly [string, number, boolean, readonly string[]])[];
  readonly stale?: number;
}

const causes: readonly Expected[] = [
  { script: "missed-nobody-wrote", at: 5, ending: "time-out", answers: [[4, "quiet", [4]]] },
  { script: "missed-edge-after-partial-read", at: 6, ending: "events", answers: [[4, "delivered", [5, 6]]] },
  { script: "missed-edge-after-partial-read", at: 8, ending: "time-out", answers: [[4, "taken", [5, 6, 7]]] },
  { script: "missed-edge-taken-by-another-wait", at: 7, ending: "time-out", answers: [[4, "taken", [5, 6]]] },
  { script: "missed-filtered-key", at: 7, ending: "time-out", answers: [[4, "filtered", [5, 6]]] },
  { script: "missed-empty-mask", at: 6, ending: "time-out", answers: [[4, "filtered", [4, 5]]] },
  { script: "missed-oneshot-disarmed", at: 9, ending: "time-out", answers: [[4, "disarmed", [6, 7, 8]]] },
  { script: "missed-oneshot-still-ready", at: 6, ending: "time-out", answers: [[4, "disarmed", [5]]] },
  { script: "mod-rearms-oneshot", at: 7, ending: "events", answers: [[4, "delivered", [6, 7]]] },
  { script: "mod-rearms-edge", at: 8, ending: "events", answers: [[4, "delivered", [5, 7, 8]]] },
  { script: "missed-drained-before-the-scan", at: 7, ending: "time-out", answers: [[4, "drained", [6, 7]]] },
  { script: "missed-registration-deleted", at: 7, ending: "time-out", answers: [[4, "erased", [4, 5]]] },
  { script: "missed-closed-and-reused", at: 8, ending: "time-out", answers: [[4, "erased", [4, 5]]] },
  { script: "ghost-event-of-a-dup", at: 8, ending: "events", answers: [[4, "delivered", [6, 7, 8]]], stale: 6 },
  { script: "ghost-event-of-a-fork", at: 8, ending: "events", answers: [[4, "delivered", [6, 7, 8]]], stale: 7 },
  { script: "missed-stale-number-reused", at: 9, ending: "time-out", answers: [[4, "quiet", [5, 6]]], stale: 6 },
  { script: "doubled-level-triggered", at: 7, ending: "events", answers: [[4, "delivered", [5, 6, 7]]] },
  { script: "doubled-edge-two-writes", at: 8, ending: "events", answers: [[4, "delivered", [5, 7, 8]]] },
  {
    script: "doubled-two-registrations",
    at: 8,
    ending: "events",
    answers: [
      [5, "delivered", [7, 8]],
      [4, "delivered", [7, 8]],
    ],
  },
  {
    script: "waiter-newest-first",
    at: 6,
    ending: "events",
    answers: [[4, "delivered", [6, 7]]],
    wakings: [["C", 7, false, ["C", "B"]]],
  },
  { script: "waiter-newest-first", at: 5, ending: "asleep", answers: [[4, "taken", [6, 7]]], wakings: [] },
  {
    script: "exclusive-other-epoll-woken",
    at: 7,
    ending: "events",
    answers: [[5, "delivered", [7, 9]]],
    wakings: [["B", 9, false, ["B"]]],
  },
  { script: "exclusive-other-epoll-woken", at: 8, ending: "asleep", answers: [[5, "exclusive", [6, 9]]], wakings: [] },
  { script: "nested-inner-ready", at: 8, ending: "events", answers: [[4, "delivered", [7, 8]]] },
  { script: "nested-inner-drained", at: 9, ending: "time-out", answers: [[4, "drained", [8, 9]]] },
  { script: "timeout-by-the-clock", at: 5, ending: "time-out", answers: [[4, "quiet", [4]]] },
  { script: "timerfd-expires", at: 6, ending: "events", answers: [[4, "delivered", [4, 6]]] },
  { script: "hang-up-by-close", at: 6, ending: "events", answers: [[4, "delivered", [5, 6]]] },
  { script: "shutdown-announces-rdhup", at: 6, ending: "events", answers: [[4, "delivered", [5, 6]]] },
  { script: "shutdown-announces-rdhup", at: 7, ending: "time-out", answers: [[4, "taken", [5, 6]]] },
  { script: "missed-below-rcvlowat", at: 14, ending: "time-out", answers: [[6, "below-mark", [12, 13]]] },
  { script: "missed-below-rcvlowat", at: 16, ending: "events", answers: [[6, "delivered", [13, 15, 16]]] },
  { script: "missed-too-little-room", at: 9, ending: "time-out", answers: [[4, "no-room", [7, 8]]] },
  { script: "queued-behind-maxevents", at: 8, ending: "events", answers: [[5, "delivered", [6, 8]]] },
  {
    script: "woken-in-vain",
    at: 5,
    ending: "events",
    answers: [[4, "delivered", [5, 8]]],
    wakings: [
      ["B", 6, true, ["B"]],
      ["B", 8, false, ["B"]],
    ],
  },
  { script: "arrival-during-a-scan", at: 12, ending: "events", answers: [[5, "delivered", [8, 9, 12]]] },
  { script: "edge-of-a-pipe-with-data", at: 8, ending: "time-out", answers: [[4, "taken", [5, 6]]] },
  { script: "edge-of-a-pipe-with-data", at: 11, ending: "events", answers: [[4, "delivered", [9, 11]]] },
  { script: "accept-leaves-the-backlog", at: 13, ending: "time-out", answers: [[4, "taken", [8, 10, 11, 12]]] },
  { script: "asleep-for-ever", at: 5, ending: "asleep", answers: [[4, "filtered", [4, 6]]], wakings: [] },
];

const path = (script: string): string => `traces/explain/${script}.strace`;

/** The explanations that a command prints. */
async function explanations(...args: string[]): Promise<Record<string, never>[]> {
  const ran = await cli(["explain", ...args, "--json"]);
  expect(ran).toMatchObject({ code: 0, err: "" });
  return ran.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("explain names the cause and its lines", () => {
  for (const { script, at, ending, answers, wakings, stale } of causes) {
    test(`${script}, line ${at}`, async () => {
      const [found] = (await explanations(path(script), "--at", String(at))) as unknown as [Explained];
      expect(found.ending).toBe(ending);
      expect(found.complete).toBe(true);
      expect(found.answers.map(({ fd, verdict, lines }) => [fd, verdict, lines])).toEqual(answers);
      if (wakings !== undefined) {
        const told = found.wakings.map(({ task, lines, in_vain, waiters }) => [task, lines.at(-1), in_vain, waiters]);
        expect(told).toEqual(wakings);
      }
      expect(found.answers.find(({ stale_since }) => stale_since !== null)?.stale_since).toBe(stale);
    });
  }
});

interface Explained {
  readonly ending: string;
  readonly complete: boolean;
  readonly answers: readonly {
    fd: number;
    verdict: string;
    lines: readonly number[];
    stale_since: number | null;
    facts: readonly { what: string; line: number }[];
  }[];
  readonly wakings: readonly { task: string; lines: readonly number[]; in_vain: boolean; waiters: readonly string[] }[];
  readonly effects: readonly { what: string; line: number; call: string | null }[];
}

test("a write tells what it set off", async () => {
  const [found] = (await explanations(path("nested-inner-ready"), "--at", "7")) as unknown as [Explained];
  expect(found.effects.map(({ what }) => what)).toEqual([
    "call",
    "bytes",
    "wake",
    "queued",
    "wake",
    "queued",
    "return",
  ]);
});

test("a read tells who wrote what it took", async () => {
  const [found] = (await explanations(path("missed-edge-after-partial-read"), "--at", "7")) as unknown as [Explained];
  expect(found.effects.filter(({ what }) => what === "bytes")).toMatchObject([{ line: 5, call: "write" }]);
});

test("--fd tells the story of a number between two lines", async () => {
  const ran = await cli(["explain", path("missed-oneshot-disarmed"), "--fd", "4", "--between", "7", "8", "--json"]);
  const answer = JSON.parse(ran.out) as Explained["answers"][number];
  expect(answer.verdict).toBe("disarmed");
  expect(answer.lines).toEqual([6, 7, 8]);
});

test("--mermaid draws the chain", async () => {
  const { out } = await cli(["explain", path("nested-inner-ready"), "--at", "8", "--mermaid"]);
  expect(out.split("\n")).toContain("  fd_5->>epoll_4: line 7: joins rdllist (wake)");
  expect(out.split("\n")).toContain("  epoll_3->>task: line 8: reports EPOLLIN for 4");
});

test("bad questions are refused with a remedy", async () => {
  const script = path("missed-nobody-wrote");
  const refused = [
    ["--at", "1"],
    ["--at", "99"],
    ["--fd", "9"],
    ["--at", "5", "--fd", "4"],
    ["--ep", "3"],
    ["--task", "nobody"],
    ["--fd", "4", "--mermaid"],
  ];
  for (const question of refused) {
    const ran = await cli(["explain", script, ...question]);
    expect(ran.code).toBe(2);
    expect(ran.err).toContain("hint:");
  }
});

test("a wait that the model does not foresee is called so", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epollsim-"));
  const trace = join(folder, "middle.strace");
  const wait = "epoll_wait(3<anon_inode:[eventpoll]>, [{events=EPOLLIN, data={u32=1, u64=1}}], 8, -1) = 1 <0.1>";
  writeFileSync(trace, `100 1.0 ${wait}\n100 1.2 close(9) = 0\n`);
  try {
    const [found] = (await explanations(trace)) as unknown as [Explained];
    expect(found).toMatchObject({ foreseen: false, complete: false });
    expect((await cli(["explain", trace])).out).toContain("another result than the model gave");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const captured = [
  "gvisor-syscalls/epoll-DoubleLayerEpoll",
  "gvisor-syscalls/epoll-WaitThenUnblock",
  "epoll-shim/epoll__realtime_timer",
  "kselftest-epoll/epoll19",
].map((name) => `traces/captured/${name}.strace.gz`);

for (const trace of captured) {
  test.skipIf(!existsSync(trace))(`${trace}: every wait is explained without a gap`, async () => {
    const found = (await explanations(trace)) as unknown as Explained[];
    expect(found.length).toBeGreaterThan(0);
    for (const { complete, ending, answers } of found) {
      expect(complete).toBe(true);
      if (ending === "events") expect(answers.length).toBeGreaterThan(0);
    }
  });
}
