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
  readonly foreseen: boolean;
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

describe("a peer that is not in the recording", () => {
  const SERVER = '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}';
  const recording = [
    "7 1.0 epoll_create1(0) = 3",
    "7 1.1 socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4",
    `7 1.2 connect(4, ${SERVER}, 16) = -1 EINPROGRESS`,
    "7 1.3 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0",
    "7 1.4 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0",
    "7 1.5 epoll_wait(3, [], 8, 0) = 0",
    "7 1.6 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1 <0.05>",
    '7 1.7 read(4, "pong", 8) = 4',
    "7 1.8 epoll_wait(3, [], 8, 1000) = -1 EINTR (Interrupted system call) <0.05>",
    "7 1.9 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---",
    "7 1.9 +++ killed by SIGTERM +++",
  ];

  async function explained(line: number): Promise<Explained> {
    const folder = mkdtempSync(join(tmpdir(), "epollsim-"));
    const trace = join(folder, "client.strace");
    writeFileSync(trace, `${recording.join("\n")}\n`);
    try {
      const [found] = (await explanations(trace, "--at", String(line))) as unknown as [Explained];
      return found;
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("has sent what an event tells of, and that event proves it", async () => {
    const { complete, answers, wakings } = await explained(7);
    expect(complete).toBe(true);
    const facts = answers[0]?.facts.map(({ what, line }) => [what, line]);
    expect(facts).toEqual([
      ["outside", 7],
      ["bytes", 7],
      ["wake", 7],
      ["queued", 7],
      ["delivered", 7],
    ]);
    expect(wakings.map(({ lines, in_vain }) => [[...new Set(lines)], in_vain])).toEqual([[[7], false]]);
  });

  test("is who wrote what a read took", async () => {
    const { effects } = await explained(8);
    expect(effects.filter(({ what }) => what === "outside" || what === "bytes")).toMatchObject([
      { what: "outside", line: 7, call: null },
      { what: "bytes", line: 7 },
    ]);
  });

  test("has sent nothing when a signal ends the wait", async () => {
    const { ending, complete, answers } = await explained(9);
    expect({ ending, complete }).toEqual({ ending: "interrupted", complete: true });
    expect(answers.map(({ fd, verdict }) => [fd, verdict])).toEqual([[4, "taken"]]);
  });
});

const captured = [
  "gvisor-syscalls/epoll-DoubleLayerEpoll",
  "gvisor-syscalls/epoll-WaitThenUnblock",
  "epoll-shim/epoll__realtime_timer",
  "kselftest-epoll/epoll19",
  "servers/nginx-w1-ab-close",
  "servers/redis-pipelined",
  "servers/go-echoswarm-10",
].map((name) => `traces/captured/${name}.strace.gz`);

for (const trace of captured) {
  test.skipIf(!existsSync(trace))(`${trace}: every wait is explained without a gap`, async () => {
    const found = (await explanations(trace)) as unknown as Explained[];
    expect(found.length).toBeGreaterThan(0);
    for (const { complete, foreseen, ending, answers } of found) {
      expect({ complete, foreseen }).toEqual({ complete: true, foreseen: true });
      if (ending === "events") expect(answers.length).toBeGreaterThan(0);
    }
  });
}

test("--at reads no further than it must, and answers the same", async () => {
  const trace = "traces/captured/servers/go-echoswarm-10.strace.gz";
  const all = (await explanations(trace)) as unknown as { line: number }[];
  for (const index of [3, 10, all.length - 1]) {
    const one = all[index] as { line: number };
    expect(await explanations(trace, "--at", String(one.line))).toEqual([one]);
  }
});
