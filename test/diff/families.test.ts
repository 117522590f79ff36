/** Random operations on each type of file: the scripts make sense, and the two worlds agree about them. */
import { describe, expect, test } from "vitest";
import { divergenceText } from "../../src/cli/diff-text.ts";
import { style } from "../../src/cli/style.ts";
import { campaign } from "../../src/diff/campaign.ts";
import { families, familyNamed } from "../../src/diff/families/index.ts";
import { OPERATIONS_PER_SCRIPT } from "../../src/diff/family-script.ts";
import { generateScript, scriptIdentity } from "../../src/diff/generate.ts";
import { shrinkScript } from "../../src/diff/shrink.ts";
import type { CallPlan } from "../../src/trace/source-map.ts";
import { lowered, model, testOn, thisKernel, worldsWith } from "../helpers/worlds.ts";

const OPERATIONS = 300;
const SCRIPTS = Math.ceil(OPERATIONS / OPERATIONS_PER_SCRIPT);
const never = (): boolean => false;
const names = families.map(({ name }) => name);

const kernel = await thisKernel();

/** Everything behind an operation up to the next one: the first look. */
const LOOK = /^epoll_wait\(\$et, \?, 32, 0\) = \?$/gm;

describe("scripts about one type of file", () => {
  test("families take turns, and a script is the same whoever else takes part", () => {
    const [pipe, tcp] = [familyNamed("pipe"), familyNamed("tcp")];
    if (pipe === null || tcp === null) throw new Error("no such family");
    const both = { seed: 3, only: [pipe, tcp] };
    expect(scriptIdentity(5, both)).toEqual({ family: tcp, index: 2 });
    expect(generateScript(5, both)).toBe(generateScript(2, { seed: 3, only: [tcp] }));
    expect(generateScript(5, both)).not.toBe(generateScript(3, { seed: 3, only: [tcp] }));
    expect(familyNamed("socket")).toBeNull();
  });

  test.each(names)("%s: each has as many operations as it says, and the model knows all of its calls", (name) => {
    const only = [familyNamed(name)!];
    const results = new Map<string, Set<string>>();
    for (let index = 0; index < 12; index += 1) {
      const text = generateScript(index, { seed: 1, only });
      expect(text.match(LOOK)?.length, text).toBe(OPERATIONS_PER_SCRIPT + 1);
      const program = lowered(text);
      const result = model().runSync(program.program, null);
      expect(result, text).toMatchObject({ end: "done" });
      for (const plan of program.plans.filter((one): one is CallPlan => one.kind === "call")) {
        const outcomes = results.get(plan.signature.name) ?? new Set();
        outcomes.add((result.steps[plan.callStep]?.ret ?? -1) < 0 ? "fails" : "succeeds");
        results.set(plan.signature.name, outcomes);
      }
    }
    expect(results.get("epoll_wait")).toContain("succeeds");
    expect([...results.values()].filter((outcomes) => outcomes.has("fails")).length).toBeGreaterThan(3);
    expect([...results.values()].filter((outcomes) => outcomes.has("succeeds")).length).toBeGreaterThan(5);
  });

  test("a sleep stays with the line before it when a script is shrunk", async () => {
    const text = `timerfd_create(CLOCK_MONOTONIC, 0) = $t1
timerfd_settime($t1, 0, {it_interval={tv_sec=0, tv_nsec=0}, it_value={tv_sec=0, tv_nsec=1}}, NULL) = ?
nanosleep({tv_sec=0, tv_nsec=2000000}, NULL) = ?
poll_mask($t1) = ?
`;
    expect(await shrinkScript(text, async (candidate) => /settime/.test(candidate))).toMatch(/settime.*\nnanosleep/);
    expect(await shrinkScript(text, async (candidate) => /poll_mask/.test(candidate))).not.toMatch(/nanosleep/);
  });

  test("a difference is found, shrunk and named by its type", async () => {
    const only = [familyNamed("pipe")!];
    const found = [];
    for await (const { counterexamples } of campaign(
      { seed: 1, from: 0, count: 20, only, stopped: never },
      worldsWith(model("5.4")),
    )) {
      found.push(...counterexamples);
      if (found.length > 0) break;
    }
    expect(found[0]?.name).toMatch(/^G-1-\d+-pipe-\w+$/);
    expect(found[0]?.text).toMatch(/found by: epollsim diff --generate 1 --from \d+ --seed 1 --only pipe/);
    expect(found[0]?.text.split("\n").filter((line) => /^\w/.test(line)).length).toBeLessThan(12);
  });
});

describe("on this kernel, and there as on the model", () => {
  for (const name of names) {
    testOn(kernel, `${name}: ${OPERATIONS} random operations`, {}, async (kernel) => {
      const options = { seed: 1, from: 0, count: SCRIPTS, only: [familyNamed(name)!], stopped: never };
      const worlds = { ...worldsWith(...kernel.ports), traits: kernel.traits };
      for await (const { report } of campaign(options, worlds)) {
        const { file, divergences } = report;
        expect(divergences.map((one) => divergenceText(file, one, "kernel", style(false)))).toEqual([]);
        expect(report).toMatchObject({ skipped: null, diverged: 0 });
      }
    });
  }
});
