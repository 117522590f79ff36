/**
 * The parts of a generated command: what it writes to, where it applies, what it picks.
 */
import fc from "fast-check";
import { UserLayout } from "../syscalls/port.ts";
import type { Descriptor, KnownState } from "./known-state.ts";

/** Lines of a script in the making. */
export class Draft {
  readonly lines: string[] = [];

  add(line: string): void {
    this.lines.push(line);
  }
}

/** One thing that a script does. */
export type ScriptCommand = fc.Command<KnownState, Draft>;

type Doing = (known: KnownState, draft: Draft) => void;

/** A command that applies where its condition holds. */
export class Act implements ScriptCommand {
  readonly #name: string;
  readonly #applies: (known: Readonly<KnownState>) => boolean;
  readonly #act: Doing;

  constructor(name: string, applies: (known: Readonly<KnownState>) => boolean, act: Doing) {
    this.#name = name;
    this.#applies = applies;
    this.#act = act;
  }

  check(known: Readonly<KnownState>): boolean {
    return this.#applies(known);
  }

  run(known: KnownState, draft: Draft): void {
    this.#act(known, draft);
  }

  toString(): string {
    return this.#name;
  }
}

/** Memory for more bytes than anybody wants to read in a script: its content does not matter. */
export const ARENA: string = `0x${UserLayout.arena.toString(16)}`;

/** Descriptors that a script keeps open at most: with more, events seldom meet. */
const OPEN_MAX = 14;

/** Picks among whatever is there. */
export const pick: fc.Arbitrary<number> = fc.nat({ max: 1000 });

/** Whether the script may open another descriptor. */
export function roomLeft(known: Readonly<KnownState>): boolean {
  return known.open.size < OPEN_MAX;
}

/** Whether some epoll is open. */
export function hasEpoll(known: Readonly<KnownState>): boolean {
  return known.ofKind("epoll").length > 0;
}

/** One of some things. */
export function choose<T>(items: readonly T[], index: number): T {
  return items[index % items.length] as T;
}

/** Every kind of file that has state worth watching. */
export function sources(known: Readonly<KnownState>): Descriptor[] {
  return known.ofKind("eventfd", "pipe read", "pipe write", "socket");
}
