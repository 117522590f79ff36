/**
 * The races of traces/litmus: the model goes through all of them, and this machine's kernel shows nothing else.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { litmus, litmusSums } from "../../src/diff/litmus.ts";
import { explore } from "../../src/explore/index.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { defaultAgentPath, NativePort } from "../../src/native-bridge/index.ts";
import { lower } from "../../src/trace/lower.ts";
import { kernelFits, parseScript } from "../../src/trace/script.ts";
import type { Lowered } from "../../src/trace/source-map.ts";

const FOLDER = "traces/litmus";
const profile = kernelProfile("6.18");
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".strace"));
const read = (name: string): Lowered => lower(parseScript(readFileSync(`${FOLDER}/${name}`, "utf8"), name));

describe("every schedule of the races in traces/litmus", () => {
  it.each(files)("%s", (name) => {
    const { outcomes, preemptions, complete } = explore(read(name), { profile });
    expect(complete || preemptions >= 1).toBe(true);
    expect(outcomes.filter(({ outcome }) => /^(?:crashed|timeout)/u.test(outcome))).toEqual([]);
  });

  it("shows every row of section 13", () => {
    const ids = new Set(files.flatMap((name) => read(name).script.ids));
    for (let row = 1; row <= 24; row += 1) expect(ids).toContain(`ND-${String(row).padStart(2, "0")}`);
  });

  it("has the 64 cases of the wake-up grid", () => {
    const numbers = files.flatMap((name) => /^grid-(\d\d)-/u.exec(name)?.[1] ?? []);
    expect(numbers).toEqual(Array.from({ length: 64 }, (_, index) => String(index + 1).padStart(2, "0")));
  });
});

it("tells whether an outcome may be missing", async () => {
  const name = files.find((file) => file.startsWith("ND-06"))!;
  const options = { profile, runs: 0, seed: 1, prune: true, schedulesMax: 15_000, onRuns: () => {} };
  const whole = await litmus(read(name), [], { ...options, preemptions: 9, stopped: () => false });
  const bounded = await litmus(read(name), [], { ...options, preemptions: 0, stopped: () => false });
  const cut = await litmus(read(name), [], { ...options, preemptions: 9, stopped: () => true });
  const short = await litmus(read(name), [], { ...options, schedulesMax: 1, preemptions: 9, stopped: () => false });
  expect(whole.report.complete).toBe(true);
  expect(bounded.report).toMatchObject({ complete: false, preemptions: 0 });
  expect(cut.report).toMatchObject({ complete: false, preemptions: -1 });
  expect(short.report).toMatchObject({ complete: false, preemptions: -1 });
  expect(litmusSums([whole.report]).complete).toBe(true);
  expect(litmusSums([whole.report, cut.report]).complete).toBe(false);
});

describe.skipIf(!existsSync(defaultAgentPath()))("the kernel shows nothing that the model does not permit", () => {
  let port: NativePort;
  beforeAll(async () => {
    port = await NativePort.open();
  });
  afterAll(async () => {
    await port.close();
  });

  const shown = files.filter((name) => /^(?:ND|herd|oneshot)/u.test(name));
  it.each(shown)(
    "%s",
    async (name) => {
      const lowered = read(name);
      if (!kernelFits(lowered.script, port.greeting.release)) return;
      const options = {
        profile,
        runs: 100,
        seed: 1,
        prune: true,
        preemptions: 2,
        schedulesMax: 15_000,
        stopped: () => false,
        onRuns: () => {},
      };
      const { report } = await litmus(lowered, [port], options);
      expect(report.outcomes.filter(({ permitted }) => !permitted)).toEqual([]);
      expect(report.runs).toBeGreaterThan(0);
      expect(litmusSums([report, report])).toMatchObject({ total: true, runs: 2 * report.runs, seen_not_permitted: 0 });
    },
    30_000,
  );
});
