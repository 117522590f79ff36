import { describe, expect, test } from "vitest";
import { campaign } from "../../src/diff/campaign.ts";
import { judgeText } from "../../src/diff/counterexample.ts";
import { diffLowered } from "../../src/diff/engine.ts";
import { generateScript } from "../../src/diff/generate.ts";
import { shrinkScript } from "../../src/diff/shrink.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { ModelPort } from "../../src/syscalls/model-port.ts";
import { outcome } from "../../src/trace/outcome.ts";
import { lowered, model, withResult, worldsWith } from "../helpers/worlds.ts";

const SEED = { seed: 7 };
const never = (): boolean => false;

describe("generated scripts", () => {
  test("a seed and an index make the same script again; other ones make another", () => {
    expect(generateScript(5, SEED)).toBe(generateScript(5, SEED));
    expect(generateScript(5, SEED)).not.toBe(generateScript(6, SEED));
    expect(generateScript(5, SEED)).not.toBe(generateScript(5, { seed: 8 }));
  });

  test("the model runs every one to its end; together they do what matters", () => {
    const seen = new Set<string>();
    for (let index = 0; index < 200; index += 1) {
      const program = lowered(generateScript(index, SEED));
      const result = model().runSync(program.program, null);
      expect(result, generateScript(index, SEED)).toMatchObject({ end: "done" });
      for (const line of outcome(program, result).lines) {
        if (line.type !== "call" && line.type !== "resumed") continue;
        const value = line.result?.values[0];
        const errno = line.result?.errnos[0] ?? null;
        const task = line.type === "resumed" ? "resumed " : "";
        seen.add(`${task}${line.name} ${errno ?? (value?.kind === "int" && value.num > 0 ? "some" : "none")}`);
      }
    }
    for (const what of [
      "epoll_wait some",
      "epoll_wait none",
      "epoll_wait EINVAL",
      "epoll_wait EFAULT",
      "epoll_pwait2 some",
      "epoll_ctl none",
      "epoll_ctl EEXIST",
      "epoll_ctl ENOENT",
      "epoll_ctl EBADF",
      "epoll_ctl EFAULT",
      "epoll_ctl EINVAL",
      "epoll_ctl ELOOP",
      "read some",
      "read EAGAIN",
      "write some",
      "write EAGAIN",
      "write EPIPE",
      "shutdown none",
      "dup2 some",
      "resumed epoll_wait some",
    ]) {
      expect(seen).toContain(what);
    }
  });
});

describe("shrinking", () => {
  test("keeps what the failure needs, and what binds the names in it", async () => {
    const text = `# a comment
epoll_create1(0) = $ep1
eventfd2(0, EFD_NONBLOCK) = $ev2
pipe2([$r3, $w4], O_NONBLOCK) = ?
dup($ev2) = $d5
write($w4, "abc", 3) = ?
epoll_ctl($ep1, EPOLL_CTL_ADD, $d5, {events=EPOLLIN|EPOLLOUT|EPOLLET, data={u32=1, u64=1}}) = ?
epoll_wait($ep1, ?, 8, 0) = ?
close($r3) = ?
`;
    const small = await shrinkScript(text, async (candidate) => /EPOLLOUT/.test(candidate));
    expect(small).toBe(`epoll_create1(0) = $ep1
eventfd2(0, EFD_NONBLOCK) = $ev1
epoll_ctl($ep1, EPOLL_CTL_ADD, $ev1, {events=EPOLLOUT, data={u32=1, u64=1}}) = ?
`);
  });

  test("asks only about scripts whose names are all bound", async () => {
    for (let index = 0; index < 6; index += 1) {
      const wanted = index % 2 === 0 ? /fdinfo/ : /poll_mask/;
      await shrinkScript(generateScript(index, SEED), async (candidate) => {
        expect(() => lowered(candidate)).not.toThrow();
        return wanted.test(candidate);
      });
    }
  });
});

describe("a target that behaves otherwise", () => {
  /** An older kernel: a pipe write wakes only if the pipe was empty, and epoll_wait looks at maxevents first. */
  const other = (): ReturnType<typeof model> => model("5.10");

  test("is found out, each difference once, by scripts of a few lines with its own answers", async () => {
    const found = [];
    const options = { seed: 7, from: 0, count: 30, stopped: never };
    for await (const { counterexamples } of campaign(options, worldsWith(other()))) {
      found.push(...counterexamples);
    }
    expect(found.length).toBeGreaterThanOrEqual(2);
    expect(found.length).toBeLessThanOrEqual(8);
    for (const { name, text } of found) {
      expect(name).toMatch(/^G-7-\d+-\w+$/);
      const calls = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      expect(calls.length, text).toBeLessThanOrEqual(9);
      const again = await diffLowered(lowered(text), model(), other());
      expect(again.diverged, text).toBeGreaterThan(0);
      expect(
        again.divergences.every((divergence) => divergence.target === null),
        text,
      ).toBe(true);
    }
  });

  test("the same seed finds the same", async () => {
    const texts = async (): Promise<string[]> => {
      const all = [];
      for await (const { counterexamples } of campaign(
        { seed: 3, from: 0, count: 8, stopped: never },
        worldsWith(other()),
      )) {
        all.push(...counterexamples.map(({ text }) => text));
      }
      return all;
    };
    expect(await texts()).toEqual(await texts());
  });

  test("a campaign can be stopped, and goes on at an index", async () => {
    let done = 0;
    const indices = [];
    for await (const { index } of campaign(
      { seed: 7, from: 10, count: 50, stopped: () => done >= 5 },
      worldsWith(model()),
    )) {
      done += 1;
      indices.push(index);
    }
    expect(indices).toEqual([10, 11, 12, 13, 14]);
  });
});

describe("where Linux leaves a choice", () => {
  /** One close wakes C, and B through the outer epoll: whoever looks first takes the event away from the other. */
  const RACE = `epoll_create1(0) = $ep1
pipe2([$r1, $w1], O_NONBLOCK) = ?
dup($ep1) = $k1
B epoll_wait($k1,  <unfinished ...>
epoll_create1(0) = $ep2
epoll_ctl($ep2, EPOLL_CTL_ADD, $r1, {events=EPOLLONESHOT, data={u32=2, u64=2}}) = ?
C epoll_wait($ep2,  <unfinished ...>
epoll_ctl($ep1, EPOLL_CTL_ADD, $ep2, {events=EPOLLIN, data={u32=9, u64=9}}) = ?
close($w1) = ?
eventfd2(1, EFD_NONBLOCK) = $ev1
epoll_ctl($k1, EPOLL_CTL_ADD, $ev1, {events=EPOLLIN, data={u32=19, u64=19}}) = ?
B <... epoll_wait resumed>?, 3, -1) = ?
C <... epoll_wait resumed>?, 1, -1) = ?
`;
  const choosing = (index: number): ModelPort =>
    new ModelPort({
      profile: kernelProfile("6.18"),
      chooser: { choose: (_site, count) => Math.min(index, count - 1) },
    });

  test("a target that does as any of the model's choices is right", async () => {
    const worlds = worldsWith(choosing(1));
    const strict = await judgeText(RACE, "race", worlds, true);
    expect(strict?.divergences.map(({ call, field }) => [call, field])).toContainEqual(["close", "woken"]);
    const free = await judgeText(RACE, "race", { ...worlds, otherModels: () => [choosing(0), choosing(1)] }, true);
    expect(free?.diverged).toBe(0);
  });

  test("what no choice explains still diverges", async () => {
    const pipe = lowered(RACE).program.steps.findIndex((step) => step.op === "call" && step.name === "pipe2");
    const worlds = { ...worldsWith(withResult(pipe, -24)), otherModels: () => [choosing(0), choosing(1)] };
    expect((await judgeText(RACE, "race", worlds, true))?.diverged).toBeGreaterThan(0);
  });
});
