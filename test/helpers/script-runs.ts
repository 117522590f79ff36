/** Scripts with results made by hand: what a world would have answered. */
import type { PortProgram, PortResult, Step, StepResult } from "../../src/syscalls/port.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";
import type { Lowered } from "../../src/trace/source-map.ts";

/** Parses and lowers a script. */
export function lowered(text: string): Lowered {
  return lower(parseScript(text, "s"));
}

/** One line for each step of a program: `poke 200004000 [4]`, `call 0 close 3`. */
export function describeSteps({ steps }: PortProgram): string[] {
  return steps.map((step) => describeStep(step));
}

function describeStep(step: Step): string {
  switch (step.op) {
    case "poke":
      return `poke ${step.addr.toString(16)} [${step.bytes.length}]`;
    case "pokeSlot":
      return `pokeSlot ${step.addr.toString(16)} ${step.size} slot ${step.slot}`;
    case "call": {
      const args = step.args.map((arg) =>
        typeof arg === "number" ? arg.toString(arg > 65535 ? 16 : 10) : `slot ${arg.slot}`,
      );
      const slot = step.slot === null ? "" : ` -> slot ${step.slot}`;
      return `call ${step.task} ${step.name}(${args.join(", ")})${step.wait ? "" : " nowait"}${slot}`;
    }
    case "await":
    case "blocked":
      return `${step.op} ${step.task}`;
    case "peek":
      return `peek ${step.addr.toString(16)} [${step.length}]`;
    case "peekSlot":
      return `peekSlot ${step.addr.toString(16)} slot ${step.slot}`;
    case "thaw":
      return `thaw ${step.page}`;
    case "spawn":
      return `spawn ${step.task} ${step.as} of ${step.parent}`;
    case "fdinfo":
    case "pollMask":
      return `${step.op} ${step.task} ${typeof step.fd === "number" ? step.fd : `slot ${step.fd.slot}`}`;
    default:
      return step.op;
  }
}

/** What a test says of a step: a result, bytes, or both with who woke. */
export type Answer = number | null | Uint8Array | Partial<StepResult>;

/**
 * The result of a program. `answers` are for the steps that have one (calls, awaits, peeks, queries), in their order; when
 * they run out, the program ended there.
 */
export function resultOf(
  program: PortProgram,
  answers: readonly Answer[],
  end: PortResult["end"] = "done",
): PortResult {
  const steps: StepResult[] = [];
  let next = 0;
  for (const step of program.steps) {
    if (!["call", "await", "blocked", "peek", "fdinfo", "pollMask", "thaw"].includes(step.op)) {
      steps.push({ ret: null, bytes: null, woke: [] });
      continue;
    }
    if (next >= answers.length) break;
    steps.push(stepResult(answers[next]!));
    next += 1;
  }
  return { steps, end, reason: end === "done" ? "" : `ended: ${end}` };
}

function stepResult(answer: Answer): StepResult {
  if (typeof answer === "number" || answer === null) return { ret: answer, bytes: null, woke: [] };
  if (answer instanceof Uint8Array) return { ret: null, bytes: answer, woke: [] };
  return { ret: null, bytes: null, woke: [], ...answer };
}

/** Bytes of 32-bit numbers, little-endian. */
export function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setInt32(index * 4, value, true);
  return bytes;
}
