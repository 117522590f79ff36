/**
 * Scripts out of nothing: fast-check draws commands, the commands write lines.
 *
 * Script `index` of a seed depends on the two numbers alone, so an interrupted run goes on where it stopped, and one script
 * can be made again without the others.
 */
import fc from "fast-check";
import { Draft } from "./command.ts";
import { anyCommand } from "./commands.ts";
import { waitText, wakeSleeper } from "./epoll-commands.ts";
import type { Family } from "./families/family.ts";
import { familyScript } from "./family-script.ts";
import { openEpoll, openEventfd, openPipe, openSocketpair } from "./file-commands.ts";
import { KnownState } from "./known-state.ts";
import { mix } from "./mix.ts";

/** How scripts are made. */
export interface GenerateOptions {
  readonly seed: number;
  /** Types of files that take turns, a script each; none: scripts about epoll. */
  readonly only?: readonly Family[];
}

/** Which script an index means: number `index` of its family. */
export interface ScriptIdentity {
  readonly family: Family | null;
  readonly index: number;
}

/** Families take turns. */
export function scriptIdentity(index: number, { only = [] }: GenerateOptions): ScriptIdentity {
  const family = only[index % only.length];
  return family === undefined ? { family: null, index } : { family, index: Math.floor(index / only.length) };
}

/** Commands of one script. Some do not apply where they come up, and write nothing. */
const COMMANDS_MIN = 10;
const COMMANDS_MAX = 60;
const MAXEVENTS_AT_END = 64;

const sequences = fc.array(anyCommand, { minLength: COMMANDS_MIN, maxLength: COMMANDS_MAX, size: "max" });

/** The text of script `index`. */
export function generateScript(index: number, options: GenerateOptions): string {
  const { seed } = options;
  const identity = scriptIdentity(index, options);
  if (identity.family !== null) return familyScript(identity.family, identity.index, seed);
  const [sequence] = fc.sample(sequences, { seed: mix(seed, index), numRuns: 1, unbiased: true });
  const known = new KnownState();
  const draft = new Draft();
  draft.add(`# generated: seed ${seed}, script ${index}`);
  openEpoll(known, draft);
  openSources(known, draft, index);
  fc.modelRun(() => ({ model: known, real: draft }), sequence ?? []);
  finish(known, draft);
  return `${draft.lines.join("\n")}\n`;
}

/** Something to watch, so that the first commands find it. */
function openSources(known: KnownState, draft: Draft, index: number): void {
  const kinds = [openEventfd, openPipe, openSocketpair];
  for (const open of [kinds[index % 3], kinds[Math.floor(index / 3) % 3]]) open?.(known, draft);
}

/** Looks at everything once more: who is registered, what each file says, and what is still to be delivered. */
function finish(known: KnownState, draft: Draft): void {
  for (const waiter of known.waiters) wakeSleeper(waiter, known, draft);
  for (const { name, file } of known.descriptors()) {
    if (file.kind !== "epoll") draft.add(`poll_mask($${name}) = ?`);
  }
  for (const { name } of known.ofKind("epoll")) {
    draft.add(`fdinfo($${name}) = ?`);
    draft.add(waitText(name, MAXEVENTS_AT_END, "wait"));
  }
}
