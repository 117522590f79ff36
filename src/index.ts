/**
 * epollsim as a library: read a script, run it on the model, compare it with a real kernel; replay a recording.
 *
 * ```ts
 * const lowered = lower(parseScript(text, "pipe.strace"));
 * const model = new ModelPort({ profile: kernelProfile("6.18"), chooser: firstChoice });
 * const { lines, comparisons } = outcome(lowered, model.runSync(lowered.program, null));
 * ```
 *
 * What lies below has entries of its own: `epollsim/kernel`, `epollsim/syscalls`, `epollsim/trace`, `epollsim/diff`,
 * `epollsim/native`.
 */
export {
  campaign,
  diffLowered,
  diffScripts,
  generateScript,
  judge,
  type ScriptReport,
  type Summary,
  shrinkScript,
  summarize,
  type Worlds,
} from "./diff/index.ts";
export { type Change, ChangeLog, watchKernel } from "./export/changes.ts";
export { drawEventpoll, type Paint, plainPaint } from "./export/draw-eventpoll.ts";
export { type EventpollPicture, pictureEventpoll } from "./export/picture.ts";
export { type Story, type StoryLine, tellStory } from "./export/story.ts";
export { type Chooser, firstChoice, Kernel, kernelProfile, NEWEST, seededChoice } from "./kernel/index.ts";
export { AgentUnavailable, NativePort, type NativePortOptions } from "./native-bridge/index.ts";
export { Replayer, type ReplayOptions } from "./replay/replayer.ts";
export type { Divergence, ReplaySummary } from "./replay/summary.ts";
export { type ModelOptions, ModelPort, type Port, type PortProgram, type PortResult } from "./syscalls/index.ts";
export { ParseError } from "./trace/errors.ts";
export { type LowerOptions, lower } from "./trace/lower.ts";
export { type Comparison, type Outcome, outcome } from "./trace/outcome.ts";
export { printExpr, printLine } from "./trace/printer.ts";
export { parseScript, type Script } from "./trace/script.ts";
