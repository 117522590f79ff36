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
import { openEpoll, openEventfd, openPipe, openSocketpair } from "./file-commands.ts";
import { KnownState } from "./known-state.ts";

/** How scripts are made. */
export interface GenerateOptions {
  readonly seed: number;
}

/** Commands of one script. Some do not apply where they come up, and write nothing. */
const COMMANDS_MIN = 10;
const COMMANDS_MAX = 60;
const MAXEVENTS_AT_END = 64;

const sequences = fc.array(anyCommand, { minLength: COMMANDS_MIN, maxLength: COMMANDS_MAX, size: "max" });

/** The text of script `index`. */
export function generateScript(index: number, options: GenerateOptions): string {
  const { seed } = options;
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

/** A seed of its own for each script: neighbours share nothing. (A 32-bit finalizer in the manner of MurmurHash3.) */
function mix(seed: number, index: number): number {
  let hash = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(index + 1, 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) | 0;
}
