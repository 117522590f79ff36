import { describe, expect, test } from "vitest";
import { diffLowered, diffScripts, skipReason } from "../../src/diff/engine.ts";
import { type ScriptReport, summarize } from "../../src/diff/report.ts";
import { survey } from "../../src/diff/survey.ts";
import { AgentFailed } from "../../src/native-bridge/index.ts";
import type { Port } from "../../src/syscalls/port.ts";
import { altered, anyTarget, lowered, model, script, withResult, worldsWith } from "../helpers/worlds.ts";

const EDGE = `#! id E-077
epoll_create1(0) = 3
eventfd2(1, EFD_NONBLOCK) = 4
epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0
epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
#! id E-078
epoll_wait(3, [], 8, 0) = 0
`;

const SLEEPER = `A epoll_create1(0) = 3
A eventfd2(0, EFD_NONBLOCK) = 4
A epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
B epoll_wait(3,  <unfinished ...>
A write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
B <... epoll_wait resumed>?, 8, -1) = 1
`;

function stepOf(text: string, name: string): number {
  return lowered(text).program.steps.findLastIndex((step) => step.op === "call" && step.name === name);
}

describe("one script in two worlds", () => {
  test("agreement counts every call", async () => {
    const report = await diffLowered(lowered(EDGE), model(), model());
    expect(report).toMatchObject({ calls: 5, agreed: 5, diverged: 0, skipped: null, divergences: [] });
    expect(report.ids).toEqual(["E-077", "E-078"]);
  });

  test("a target that does not do as the script expects diverges, at the line and row", async () => {
    const report = await diffLowered(lowered(EDGE), model(), withResult(stepOf(EDGE, "epoll_wait"), -22));
    expect(report).toMatchObject({ calls: 5, agreed: 4, diverged: 1 });
    expect(report.divergences[0]).toMatchObject({
      line: 7,
      call: "epoll_wait",
      field: "result",
      expected: "0",
      model: null,
      target: "-1 EINVAL",
      ids: ["E-078"],
    });
  });

  test("what the script leaves open is compared between the worlds", async () => {
    const open = EDGE.replaceAll(/= \d+$/gm, "= ?");
    const report = await diffLowered(lowered(open), model(), withResult(stepOf(open, "epoll_ctl"), -17));
    expect(report.divergences).toHaveLength(1);
    expect(report.divergences[0]).toMatchObject({ field: "result", expected: null, model: "0", target: "-1 EEXIST" });
  });

  test("where the script permits a set, each world must be in it, and they may differ", async () => {
    const free = EDGE.replace("= 0\nepoll_wait", "= {0 | -1 EEXIST}\nepoll_wait");
    const at = stepOf(free, "epoll_ctl");
    expect((await diffLowered(lowered(free), model(), withResult(at, -17))).diverged).toBe(0);
    const outside = await diffLowered(lowered(free), model(), withResult(at, -9));
    expect(outside.divergences[0]).toMatchObject({ expected: "{0 | -1 EEXIST}", model: null, target: "-1 EBADF" });
  });

  test("whom a line wakes is compared", async () => {
    const deaf = altered(model(), (result) => ({
      ...result,
      steps: result.steps.map((step) => ({ ...step, woke: [] })),
    }));
    const report = await diffLowered(lowered(SLEEPER), model(), deaf);
    expect(report.divergences).toMatchObject([
      { line: 5, call: "write", field: "woken", model: "B", target: "nobody" },
    ]);
  });

  test("a target that refuses a step skips the script", async () => {
    const poor = altered(model(), () => ({ steps: [], end: "unsupported", reason: "no epoll here" }));
    const report = await diffLowered(lowered(EDGE), model(), poor);
    expect(report).toMatchObject({ calls: 0, diverged: 0, skipped: "the target cannot do it: no epoll here" });
  });

  test("a model that does not know a call diverges", async () => {
    const ignorant = altered(model(), ({ steps }) => ({ steps: steps.slice(0, 2), end: "unsupported", reason: "why" }));
    const report = await diffLowered(lowered(EDGE), ignorant, model());
    expect(report).toMatchObject({ calls: 5, agreed: 1, diverged: 1 });
    expect(report.divergences[0]).toMatchObject({ field: "end", model: "unsupported: why", target: null });
  });

  test("an agent that dies is a divergence of this script, not the end of all", async () => {
    const mortal: Port = { run: () => Promise.reject(new AgentFailed("killed")), close: () => Promise.resolve() };
    const report = await diffLowered(lowered(EDGE), model(), mortal);
    expect(report.divergences[0]).toMatchObject({ field: "end", target: "crashed: killed" });
  });

  test("state: masks and fdinfo are compared after each call", async () => {
    const blind = altered(model(), (result, program) => ({
      ...result,
      steps: result.steps.map((step, index) => (program.steps[index]?.op === "pollMask" ? { ...step, ret: 4 } : step)),
    }));
    expect((await diffLowered(lowered(EDGE), model(), blind)).diverged).toBe(0);
    const report = await diffLowered(lowered(EDGE), model(), blind, { state: true });
    expect(report.divergences[0]).toMatchObject({
      line: 2,
      field: "poll_mask(3) behind it",
      model: "0",
      target: "POLLOUT",
    });
    expect((await diffLowered(lowered(EDGE), model(), model(), { state: true })).diverged).toBe(0);
  });
});

describe("which scripts a target runs", () => {
  const here = { release: "6.12.5-cloud", offers: new Set<string>() };
  test.each([
    ["#! kernel >= 6.15\nclose(3) = -1 EBADF", "needs kernel >= 6.15"],
    ["#! kernel < 6.15\nclose(3) = -1 EBADF", null],
    ["#! needs root, userfaultfd\nclose(3) = -1 EBADF", "needs root, userfaultfd"],
    ["#! uid 4242\nclose(3) = -1 EBADF", "needs root"],
    ["#! model-only no kernel shows it\nclose(3) = -1 EBADF", "on the model only: no kernel shows it"],
    ["#! litmus\nA close(3) = -1 EBADF", "a litmus script: its lines have no order"],
  ])("%j", (text, reason) => {
    expect(skipReason(script(text), here)).toBe(reason);
  });

  test("a target that offers everything runs everything else", () => {
    expect(skipReason(script("#! needs root\n#! kernel >= 9.9\nclose(3) = -1 EBADF"), anyTarget)).toBeNull();
  });
});

describe("many scripts", () => {
  /** Answers after some time, the first programs last. */
  function slow(): Port {
    let delay = 40;
    return {
      run: async (program) => {
        delay -= 5;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, delay)));
        return model().run(program);
      },
      close: () => Promise.resolve(),
    };
  }

  test("reports come in the order of the scripts", async () => {
    const scripts = Array.from({ length: 20 }, (_, i) => script(EDGE, `${i}.strace`));
    const files: string[] = [];
    for await (const report of diffScripts(scripts, worldsWith(slow(), slow()))) files.push(report.file);
    expect(files).toEqual(scripts.map(({ file }) => file));
  });

  test("what a target does once and not again is told apart", async () => {
    let runs = 0;
    const moody: Port = {
      run: (program) => {
        runs += 1;
        return (runs === 1 ? withResult(stepOf(EDGE, "epoll_ctl"), -17) : model()).run(program);
      },
      close: () => Promise.resolve(),
    };
    for await (const report of diffScripts([script(EDGE)], worldsWith(moody))) {
      expect(report).toMatchObject({ agreed: 5, diverged: 0, divergences: [] });
      expect(report.unsteady).toMatchObject([{ call: "epoll_ctl", target: "-1 EEXIST" }]);
    }
    expect(runs).toBe(2);
    const constant = withResult(stepOf(EDGE, "epoll_ctl"), -17);
    for await (const report of diffScripts([script(EDGE)], worldsWith(constant))) {
      expect(report).toMatchObject({ diverged: 1, unsteady: [] });
    }
  });

  test("the model runs alone what the target cannot", async () => {
    const worlds = { ...worldsWith(model()), traits: { release: "6.1", offers: new Set<string>() } };
    const entries = [];
    for await (const entry of survey([script(`#! needs root\n${EDGE}`), script(EDGE)], worlds, "")) entries.push(entry);
    expect(entries.map(({ model: a, target: b }) => [a, b])).toEqual([
      ["agreed", "not run"],
      ["agreed", "agreed"],
    ]);
    expect(entries[0]?.report).toMatchObject({ calls: 5, agreed: 5, skipped: "needs root" });
  });
});

describe("sums", () => {
  const report = (ids: string[], more: Partial<ScriptReport>): ScriptReport => ({
    file: "f",
    ids,
    calls: 2,
    agreed: 2,
    diverged: 0,
    skipped: null,
    divergences: [],
    unsteady: [],
    ...more,
  });

  test("rows: what diverges anywhere diverges; what only skipped scripts show is not shown", () => {
    const bad = {
      line: 1,
      task: null,
      call: "x",
      field: "result",
      expected: "0",
      model: "1",
      target: null,
      ids: ["E-003"],
    };
    const summary = summarize(
      [
        report(["E-010", "E-002"], {}),
        report(["E-003", "E-004"], { diverged: 1, agreed: 1, divergences: [bad] }),
        report(["E-003"], {}),
        report(["E-005"], { skipped: "no", calls: 0, agreed: 0 }),
        report(["E-002"], { skipped: "no", calls: 0, agreed: 0 }),
      ],
      ["E-006", "E-010"],
      ["a.strace"],
    );
    expect(summary).toEqual({
      scripts: 5,
      calls: 6,
      agreed: 5,
      diverged: 1,
      rows: {
        "E-002": "agreed",
        "E-003": "diverged",
        "E-004": "agreed",
        "E-005": "not-shown",
        "E-006": "not-shown",
        "E-010": "agreed",
      },
      counterexamples: ["a.strace"],
    });
    expect(Object.keys(summary.rows)).toEqual(["E-002", "E-003", "E-004", "E-005", "E-006", "E-010"]);
  });
});
