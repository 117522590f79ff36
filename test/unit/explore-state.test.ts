/**
 * States of races: equal for races that go on in the same way, different for those that need not, and none where a class keeps
 * something to itself.
 */
import { describe, expect, it } from "vitest";
import { StateReader } from "../../src/explore/state.ts";
import { firstChoice } from "../../src/kernel/choice.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { ModelPort } from "../../src/syscalls/model-port.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";

const ONE = '"\\1\\0\\0\\0\\0\\0\\0\\0"';
const event = (fd: number): string => `{events=EPOLLIN|EPOLLET, data={u32=${fd}, u64=${fd}}}`;
const PROLOGUE = [
  "A  epoll_create1(0) = 3",
  "A  eventfd2(0, EFD_NONBLOCK) = 4",
  "A  eventfd2(0, EFD_NONBLOCK) = 5",
  `A  epoll_ctl(3, EPOLL_CTL_ADD, 4, ${event(4)}) = 0`,
  `A  epoll_ctl(3, EPOLL_CTL_ADD, 5, ${event(5)}) = 0`,
];

/** The state at each turn of a run in which the tasks of `order` run in front of all others. */
function states(reader: StateReader, lines: readonly string[], order: readonly number[]): (string | null)[] {
  const found: (string | null)[] = [];
  let kernel: Kernel | null = null;
  let race: object = {};
  const port = new ModelPort({
    profile: kernelProfile("6.18"),
    chooser: firstChoice,
    compact: true,
    scheduler: {
      timeRaces: true,
      begin: (begun, _tasks, under) => {
        kernel = begun;
        race = under;
      },
      pick: (enabled) => {
        if (kernel !== null) found.push(reader.read(race, kernel));
        return Math.max(0, enabled.indexOf(order[found.length - 1] ?? -1));
      },
      end: () => {},
    },
  });
  port.runSync(lower(parseScript([...PROLOGUE, "#! par", ...lines].join("\n"), "race")).program, null);
  return found;
}

describe("the state of a race", () => {
  const adds = [`B  read(4, ?, 8) = ?`, `C  read(5, ?, 8) = ?`, "D  epoll_wait(3, ?, 4, -1) = ?"];

  it("is the same in two runs with the same turns", () => {
    const reader = new StateReader();
    const first = states(reader, adds, [1, 2, 3]);
    expect(first).not.toContain(null);
    expect(states(reader, adds, [1, 2, 3])).toEqual(first);
    expect(new Set(first).size).toBe(first.length);
  });

  it("forgets an order that left nothing behind", () => {
    const reader = new StateReader();
    expect(states(reader, adds, [1, 2, 3])[2]).toBe(states(reader, adds, [2, 1, 3])[2]);
  });

  it("keeps an order that is left behind: the ready list, and who sleeps in front of whom", () => {
    const reader = new StateReader();
    const writes = [`B  write(4, ${ONE}, 8) = ?`, `C  write(5, ${ONE}, 8) = ?`, "D  close(5) = ?"];
    expect(states(reader, writes, [1, 2, 3])[2]).not.toBe(states(reader, writes, [2, 1, 3])[2]);
    const sleepers = ["B  epoll_wait(3, ?, 4, -1) = ?", "C  epoll_wait(3, ?, 4, -1) = ?", "D  close(5) = ?"];
    expect(states(reader, sleepers, [1, 2, 3])[2]).not.toBe(states(reader, sleepers, [2, 1, 3])[2]);
  });

  it("is none where something cannot be looked into", () => {
    class Closed {
      readonly #inside = 1;
      get twice(): number {
        return 2 * this.#inside;
      }
    }
    class Forgetful extends Closed {
      readonly #more = 2;
      readonly #most = 3;
      get all(): number {
        return this.#more + this.#most;
      }
      privateFields(): unknown[] {
        return [this.#more];
      }
    }
    class Showing {
      readonly #inside = 1;
      privateFields(): unknown[] {
        return [this.#inside];
      }
    }
    const reader = new StateReader();
    const kernel = {} as Kernel;
    expect(reader.read(new Showing(), kernel)).not.toBeNull();
    expect(reader.read(new Forgetful(), kernel)).toBeNull();
    expect(reader.read({ closed: new Closed() }, kernel)).toBeNull();
    expect(reader.read(new WeakMap(), kernel)).toBeNull();
    expect(reader.read({ open: 1 }, kernel)).not.toBe(reader.read({ open: 2 }, kernel));
  });
});
