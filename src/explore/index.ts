/** Exploration: every outcome of a race, schedules as text, and policies that pick one. */
export { type Exploration, type ExploreOptions, explore, type PermittedOutcome, SCHEDULES_MAX } from "./explore.ts";
export { outcomeText } from "./outcome.ts";
export { POLICIES, type Policy, type PolicyOptions, policyScheduler, Replay } from "./policies.ts";
export { parseSchedule, printSchedule, ScheduleError, type Turn } from "./schedule.ts";
