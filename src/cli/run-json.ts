/**
 * A run as NDJSON; docs/json.md describes it.
 */

import type { Change } from "../export/changes.ts";
import { epollMask } from "../export/mask.ts";
import type { Story } from "../export/story.ts";
import { lineToJson } from "../trace/json.ts";
import { printLine } from "../trace/printer.ts";
import type { Script } from "../trace/script.ts";
import type { WorldOptions } from "./options.ts";

/** The objects of one script, in order. */
export function* storyJson(
  script: Script,
  story: Story,
  kernel: string,
  options: WorldOptions & { readonly dump?: boolean },
): Generator<object, void, undefined> {
  const { file, ids } = script;
  yield { type: "script", file, ids, kernel, seed: options.seed ?? script.seed };
  for (const { line, changes, divergences, dump } of story.lines) {
    const at = { file, line: line.line };
    if (line.type === "call" || line.type === "resumed") {
      const as_expected = divergences.length === 0;
      yield { type: "call", ...at, task: line.task, text: printLine(line), as_expected, ast: lineToJson(line) };
    }
    for (const change of changes) yield { type: "change", ...at, ...changeJson(change) };
    for (const { field, expected, actual } of divergences) yield { type: "divergence", ...at, field, expected, actual };
    if (options.dump && dump !== null) yield { type: "dump", ...at, epolls: dump };
  }
  if (options.dump) yield { type: "dump", file, line: null, epolls: story.atEnd };
  yield { type: "end", file, calls: story.calls, diverged: story.diverged, end: story.end, reason: story.reason };
}

/** Masks as words beside their number, which is unsigned. */
function changeJson(change: Change): object {
  const words: Record<string, unknown> = {};
  if ("events" in change) Object.assign(words, { events: change.events >>> 0, events_text: epollMask(change.events) });
  if ("key" in change) Object.assign(words, { key: change.key >>> 0, key_text: epollMask(change.key) });
  return { ...change, ...words };
}
