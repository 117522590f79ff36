/**
 * The two worlds of a command: models with their version and seed, and agents on a real kernel.
 */
import seedrandom from "seedrandom";
import type { TargetTraits } from "../diff/engine.ts";
import { Replay } from "../explore/index.ts";
import { type Chooser, firstChoice, seededChoice } from "../kernel/choice.ts";
import { kernelProfile, NEWEST, parseVersion } from "../kernel/profile.ts";
import { AgentUnavailable, type Greeting, NativePort } from "../native-bridge/index.ts";
import { ModelPort } from "../syscalls/model-port.ts";
import type { RaceScheduler } from "../syscalls/race.ts";
import { kernelFits, type Script } from "../trace/script.ts";
import { UserError } from "./errors.ts";
import type { WorldOptions } from "./options.ts";

/** Every release that changed something that the model knows. */
const RELEASES = [
  "6.18",
  "6.17",
  "6.16",
  "6.15",
  "6.14",
  "6.12",
  "6.9",
  "6.8",
  "6.6",
  "6.1",
  "5.15",
  "5.14",
  "5.13",
  "5.11",
  "5.10",
  "5.5",
  "5.4",
  "5.1",
  "5.0",
  "4.19",
  "4.14",
  "4.9",
  "4.4",
];

/**
 * A model for a script: the version and seed of the command line, else those of the script.
 *
 * @param scheduler - who runs in a race; a replayed schedule makes the other choices, too.
 */
export function modelFor(
  script: Script,
  options: WorldOptions,
  fallback: string = NEWEST,
  scheduler: RaceScheduler | null = null,
): ModelPort {
  const profile = kernelProfile(modelVersion(script, options, fallback));
  const chooser = scheduler instanceof Replay ? scheduler : chooserFor(options.seed ?? script.seed);
  return new ModelPort({ profile, chooser, ...(scheduler === null ? {} : { scheduler }) });
}

/** Choices to try where the first one is not what a target shows. */
const OTHER_SEEDS = 16;

/** Models like `modelFor`'s that make other choices. */
export function* otherModels(script: Script, options: WorldOptions, fallback: string): Generator<ModelPort, void> {
  for (let seed = 0; seed < OTHER_SEEDS; seed += 1) {
    yield modelFor(script, { ...options, seed: `${options.seed ?? script.seed ?? ""}/${seed}` }, fallback);
  }
}

/** The version that a model for a script has. */
export function modelVersion(script: Script, options: WorldOptions, fallback: string): string {
  return options.kernel ?? versionFor(script, fallback);
}

/** `preferred`, or the newest release that the script's `#! kernel` lines allow. */
function versionFor(script: Script, preferred: string): string {
  if (kernelFits(script, preferred)) return preferred;
  return RELEASES.find((release) => kernelFits(script, release)) ?? preferred;
}

/** Without a seed the first permitted outcome is taken: what usually happens. */
export function chooserFor(seed: string | null | undefined): Chooser {
  return seed === null || seed === undefined ? firstChoice : seededChoice(seedrandom(seed));
}

/** An open target. */
export interface Target {
  readonly ports: readonly NativePort[];
  readonly traits: TargetTraits;
  /** Such as `Linux 6.18.44 x86_64`. */
  readonly title: string;
  readonly close: () => Promise<void>;
}

/** How to reach a target. */
export interface TargetOptions {
  /** `exec:COMMAND`, or undefined for this machine. */
  readonly target?: string | undefined;
  readonly agents: number;
}

const EXEC = "exec:";

/**
 * Starts the agents.
 *
 * @throws UserError without an agent, with the remedy.
 */
export async function openTarget({ target, agents }: TargetOptions): Promise<Target> {
  const ports: NativePort[] = [];
  try {
    const command = target?.slice(EXEC.length);
    for (let i = 0; i < agents; i += 1) ports.push(await NativePort.open({ command }));
  } catch (error) {
    await Promise.all(ports.map((port) => port.close()));
    if (error instanceof AgentUnavailable) throw new UserError(`no agent: ${error.message}`, REMEDY);
    throw error;
  }
  const { greeting } = ports[0] as NativePort;
  return {
    ports,
    traits: traitsOf(greeting),
    title: `${greeting.sysname} ${greeting.release} ${greeting.machine}`,
    close: async () => {
      await Promise.all(ports.map((port) => port.close()));
    },
  };
}

const REMEDY = "`epollsim run` needs no agent; `--target 'exec:COMMAND'` reaches one elsewhere";

function traitsOf(greeting: Greeting): TargetTraits {
  const offers = new Set<string>(["net"]);
  if (greeting.uid === 0 && greeting.setUid && greeting.sysctl) offers.add("root");
  if (greeting.userfaultfd) offers.add("userfaultfd");
  return { release: greeting.release, offers };
}

/** The profile nearest to a target's release: `6.18` for anything newer. */
export function profileOf(traits: TargetTraits): string {
  if (traits.release === null) return NEWEST;
  const version = Math.min(parseVersion(traits.release), parseVersion(NEWEST));
  return `${Math.floor(version / 1000)}.${version % 1000}`;
}
