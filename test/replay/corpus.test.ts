/**
 * How well the model predicts the training recordings, which lie beside the checkout: upper bounds for each kind of answer.
 *
 * In a recording of a closed world every peer is inside, so that hardly anything may be taken from it: no event and no EAGAIN, and
 * of the rest at most one result in 50.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { openBatches } from "../../src/cli/input.ts";
import { expandRecordings } from "../../src/cli/sets.ts";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile, NEWEST } from "../../src/kernel/profile.ts";
import type { TraceEvent } from "../../src/replay/lookahead.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import type { ReplaySummary } from "../../src/replay/summary.ts";

const TRACES = fileURLToPath(new URL("../../../shared/traces/", import.meta.url));
const CAPTURED = `${TRACES}captured/`;
const WAIT = /^epoll_p?wait/;

/** What has been reached over all recordings, with a little room. */
const DIVERGED_MAX = 25;
const UNSUPPORTED_MAX = 550;
const ASSUMED_MAX = 21_900;
/** Results that one process may have to take over: a descriptor that it inherited, a limit. */
const FIRST_LOOKS = 2;
/** Closed files that need more, how many, and why they cannot be predicted. */
const EXCEPTIONS: ReadonlyMap<string, readonly [most: number, reason: string]> = new Map([
  ["ltp/accept4_01.strace.gz", [10, "eight accepts are the first lines that show their clients' ports"]],
  [
    "ltp-extra/connect02.strace.gz",
    [1002, "1,000 times bind to port 0 and getsockname, the first line to show the port"],
  ],
  ["socat/fork-tcp-forward.strace.gz", [160, "the server behind the forwarder is not in the recording"]],
]);
interface Result extends ReplaySummary {
  /** Events and EAGAIN that were taken from the recording. */
  readonly doubtful: readonly string[];
  readonly wallS: number;
}

async function replay(path: string): Promise<Result> {
  const doubtful: string[] = [];
  let assumed = 0;
  const replayer: Replayer = new Replayer({
    profile: kernelProfile(NEWEST),
    chooser: firstChoice,
    file: path,
    watcher: {
      begin() {},
      before() {
        ({ assumed } = replayer.tally.counts);
      },
      after(event: TraceEvent) {
        if (event.kind !== "exit" || replayer.tally.counts.assumed <= assumed) return;
        const { name, entryLine, result } = event.call;
        const errno = result?.errnos[0] ?? null;
        if (errno === "EAGAIN" || (errno === null && WAIT.test(name))) doubtful.push(`${entryLine} ${name}`);
      },
    },
  });
  const startedS = performance.now() / 1000;
  for await (const batch of openBatches(path, { lenient: true })) for (const line of batch) replayer.push(line);
  return { ...replayer.finish(), doubtful, wallS: performance.now() / 1000 - startedS };
}

function relevant({ agreed, diverged, assumed, unsupported }: ReplaySummary): number {
  return agreed + diverged + assumed + unsupported;
}

describe.skipIf(!existsSync(CAPTURED))("the training recordings", () => {
  const results = new Map<string, Result>();
  let closed: readonly (readonly [string, Result])[] = [];

  beforeAll(async () => {
    for (const { name } of expandRecordings([CAPTURED, `${TRACES}go`])) results.set(name, await replay(name));
    const index = readFileSync(`${CAPTURED}index.tsv`, "utf8").split("\n").slice(1);
    closed = index
      .map((line) => line.split("\t"))
      .filter(([, , world]) => world === "closed")
      .map(([file = ""]) => [file, results.get(`${CAPTURED}${file}`) as Result]);
  }, 600_000);

  const sum = (count: (result: Result) => number): number => [...results.values()].reduce((n, r) => n + count(r), 0);

  test("diverge in fewer than 1 of 10,000 relevant calls", () => {
    const diverged = sum((result) => result.diverged);
    const calls = sum(relevant);
    console.log(
      `${results.size} files, ${calls} relevant calls, diverged ${diverged}, ${sum((r) => r.wallS).toFixed(0)} s`,
    );
    expect(results.size).toBe(220);
    expect(diverged).toBeLessThanOrEqual(Math.min(DIVERGED_MAX, calls / 10_000));
  });

  test("hold few calls that the model does not know", () => {
    expect(sum((result) => result.unsupported)).toBeLessThanOrEqual(Math.min(UNSUPPORTED_MAX, sum(relevant) / 200));
  });

  test("need no more from the recordings than before", () => {
    expect(sum((result) => result.assumed)).toBeLessThanOrEqual(ASSUMED_MAX);
  });

  test("of a closed world need little from the recording", () => {
    const assumed = closed.reduce((n, [, result]) => n + result.assumed, 0);
    expect(assumed / closed.reduce((n, [, result]) => n + relevant(result), 0)).toBeLessThan(1 / 50);
    const above = closed.filter(([file, result]) => {
      return result.assumed > (EXCEPTIONS.get(file)?.[0] ?? Math.max(FIRST_LOOKS, relevant(result) / 50));
    });
    expect(above.map(([file, result]) => `${file} ${result.assumed} of ${relevant(result)}`)).toEqual([]);
  });

  test("of a closed world need no event and no EAGAIN", () => {
    expect(closed.flatMap(([file, { doubtful }]) => doubtful.map((call) => `${file}:${call}`))).toEqual([]);
  });
});
