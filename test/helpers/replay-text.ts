import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Replayer } from "../../src/replay/replayer.ts";
import type { Divergence, ReplaySummary } from "../../src/replay/summary.ts";
import { parseText } from "../../src/trace/reader.ts";

/** What comes of a recording, with every divergence. */
export interface Replayed extends ReplaySummary {
  readonly divergences: readonly Divergence[];
}

/** Replays a recording that is written down in a test. */
export function replayText(text: string): Replayed {
  const replayer = new Replayer({ profile: kernelProfile("6.18"), chooser: firstChoice, file: "test" });
  for (const line of parseText(text, { lenient: true })) replayer.push(line);
  return { ...replayer.finish(), divergences: replayer.tally.divergences };
}
