/**
 * Both worlds compared: scripts that were written, and scripts that were made up.
 */
export { type CampaignOptions, type CampaignStep, campaign, type NamedCounterexample } from "./campaign.ts";
export { type Counterexample, shrinkTo } from "./counterexample.ts";
export { diffLowered, diffScripts, skipReason, type TargetTraits, type Worlds } from "./engine.ts";
export { type GenerateOptions, generateScript } from "./generate.ts";
export { judge } from "./judge.ts";
export {
  compareIds,
  type Divergence,
  type RowStatus,
  type ScriptReport,
  type Summary,
  summarize,
} from "./report.ts";
export { type StillFails, shrinkScript } from "./shrink.ts";
export type { StateFinding } from "./state-probes.ts";
export { type SurveyEntry, survey, type Verdict } from "./survey.ts";
