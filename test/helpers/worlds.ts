/** Worlds for tests: models of any version, and ports that answer otherwise than they should. */
import { afterAll, type TestContext, type TestOptions, test } from "vitest";
import { openTarget, type Target } from "../../src/cli/worlds.ts";
import type { TargetTraits, Worlds } from "../../src/diff/engine.ts";
import { firstChoice } from "../../src/kernel/choice.ts";
import { kernelProfile, NEWEST } from "../../src/kernel/profile.ts";
import { ModelPort } from "../../src/syscalls/model-port.ts";
import type { Port, PortProgram, PortResult } from "../../src/syscalls/port.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript, type Script } from "../../src/trace/script.ts";
import type { Lowered } from "../../src/trace/source-map.ts";

export const anyTarget: TargetTraits = { release: null, offers: new Set(["root", "userfaultfd", "net"]) };

/** This machine's kernel, or why it cannot be asked; closed when the tests of the file are over. */
export async function thisKernel(): Promise<Target | string> {
  try {
    const kernel = await openTarget({ agents: 1 });
    afterAll(() => kernel.close());
    return kernel;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A test that asks the kernel; skipped by name, with the reason, where it cannot be asked. */
export function testOn(
  kernel: Target | string,
  name: string,
  options: TestOptions,
  body: (kernel: Target, context: TestContext) => Promise<void>,
): void {
  if (typeof kernel === "string") test.skip(`${name}: ${kernel}`, () => {});
  else test(name, options, (context) => body(kernel, context));
}

export function model(version: string = NEWEST): ModelPort {
  return new ModelPort({ profile: kernelProfile(version), chooser: firstChoice });
}

/** The newest model against targets. */
export function worldsWith(...targets: readonly Port[]): Worlds {
  return { model: () => model(), targets, traits: anyTarget };
}

/** A port whose results are changed before anybody sees them. */
export function altered(port: Port, change: (result: PortResult, program: PortProgram) => PortResult): Port {
  return {
    run: async (program) => change(await port.run(program), program),
    close: () => port.close(),
  };
}

/** A port whose n-th step gives another result. */
export function withResult(step: number, ret: number): Port {
  return altered(model(), (result) => ({
    ...result,
    steps: result.steps.map((one, index) => (index === step ? { ...one, ret } : one)),
  }));
}

export function script(text: string, file = "test.strace"): Script {
  return parseScript(text, file);
}

export function lowered(text: string): Lowered {
  return lower(script(text));
}
