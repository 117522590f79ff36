/**
 * A family of commands: what a script does with files of one type.
 */
import fc from "fast-check";
import { Act, ARENA, choose, type Draft, pick, roomLeft, type ScriptCommand } from "../command.ts";
import type { Description, Descriptor, Kind, KnownState } from "../known-state.ts";

/** A command and how often it comes up. */
export type Weighted = readonly [number, fc.Arbitrary<ScriptCommand>];

/** Everything about one type of file. */
export interface Family {
  readonly name: string;
  /** Writes what a script of this family begins with. @param variant - picks among the beginnings. */
  readonly open: (known: KnownState, draft: Draft, variant: number) => void;
  readonly commands: readonly Weighted[];
  /** Wakes of different files come in any order: each descriptor is watched by epolls of its own. */
  readonly apart?: boolean;
}

/** A command on a descriptor of some kinds; it applies where there is one. */
export function on<T>(
  kinds: readonly Kind[],
  name: string,
  params: fc.Arbitrary<T>,
  act: (target: Descriptor, params: T, draft: Draft, known: KnownState) => void,
): fc.Arbitrary<ScriptCommand> {
  return fc.tuple(pick, params).map(
    ([which, values]) =>
      new Act(
        name,
        (known) => known.ofKind(...kinds).length > 0,
        (known, draft) => act(choose(known.ofKind(...kinds), which), values, draft, known),
      ),
  );
}

/** A command on two descriptors, which may be the same one. */
export function onTwo<T>(
  first: readonly Kind[],
  second: readonly Kind[],
  name: string,
  params: fc.Arbitrary<T>,
  act: (a: Descriptor, b: Descriptor, params: T, draft: Draft, known: KnownState) => void,
): fc.Arbitrary<ScriptCommand> {
  return fc.tuple(pick, pick, params).map(
    ([one, other, values]) =>
      new Act(
        name,
        (known) => known.ofKind(...first).length > 0 && known.ofKind(...second).length > 0,
        (known, draft) =>
          act(choose(known.ofKind(...first), one), choose(known.ofKind(...second), other), values, draft, known),
      ),
  );
}

/** A command that opens something; it applies while few descriptors are open. */
export function opens<T>(
  name: string,
  params: fc.Arbitrary<T>,
  act: (params: T, draft: Draft, known: KnownState) => void,
): fc.Arbitrary<ScriptCommand> {
  return params.map((values) => new Act(name, roomLeft, (known, draft) => act(values, draft, known)));
}

/** A command without parameters. */
export const none: fc.Arbitrary<null> = fc.constant(null);

/** A new description. */
export function description(kind: Kind): Description {
  return { kind, peer: null };
}

/** Installs a new description under a new name. */
export function install(known: KnownState, prefix: string, kind: Kind): Descriptor {
  return known.install(known.name(prefix), description(kind));
}

/** Installs two descriptions that are each other's peer. */
export function installPair(
  known: KnownState,
  prefixes: readonly [string, string],
  kinds: readonly [Kind, Kind],
): [Descriptor, Descriptor] {
  const a = description(kinds[0]);
  const b = description(kinds[1]);
  a.peer = b;
  b.peer = a;
  return [known.install(known.name(prefixes[0]), a), known.install(known.name(prefixes[1]), b)];
}

/** One of some sizes that matter, or now and then any other up to `most`. */
export function sizesAround(special: readonly number[], most: number = Math.max(...special)): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...special) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: most }) },
  );
}

/** Longer data goes through memory whose content does not matter. */
const SHOWN_MAX = 9000;
const LETTERS = "abcdefghijklmnop";

/** An argument with `size` bytes to write, told apart by `token` as far as that is possible. */
export function data(size: number, token: number): string {
  if (size > SHOWN_MAX) return ARENA;
  const tag = `${token}${LETTERS}`;
  return `"${tag.slice(0, Math.max(0, Math.min(size, tag.length)))}"`;
}

/** An argument with room for `size` bytes to read. */
export function room(size: number): string {
  return size > SHOWN_MAX ? ARENA : "?";
}

/** An array of iovecs with data. */
export function iovecsOf(sizes: readonly number[], token: number): string {
  return `[${sizes.map((size, index) => `{iov_base=${data(size, token + index)}, iov_len=${size}}`).join(", ")}]`;
}

/** An array of iovecs with room. */
export function iovecRoom(sizes: readonly number[]): string {
  return `[${sizes.map((size) => `{iov_base=${room(size)}, iov_len=${size}}`).join(", ")}]`;
}
