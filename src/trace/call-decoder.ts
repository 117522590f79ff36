/**
 * From the results of a run back to values: a decoder for each call, and a walk through the run in the order of its steps.
 */
import type { PortResult, Register, StepResult } from "../syscalls/port.ts";
import type { Decoder } from "./abi/context.ts";
import { readWord } from "./abi/image.ts";
import type { Expr } from "./ast.ts";
import { printPlace } from "./places.ts";
import type { CallPlan, Input, Lowered, Plan, QueryPlan } from "./source-map.ts";

/** A block of memory that is known. */
export interface Block {
  readonly addr: number;
  readonly bytes: Uint8Array;
}

const NOTHING: readonly Block[] = [];

/** Reads the values of one call; see `Decoder`. */
export class CallDecoder implements Decoder {
  /** Null while the call sleeps, and when the run ended before. */
  ret: number | null = null;
  readonly #args: readonly number[];
  readonly #before: readonly Block[];
  #after: Block[] | null = null;

  constructor(args: readonly number[], before: readonly Block[]) {
    this.#args = args;
    this.#before = before;
  }

  /** Adds memory that was read back. */
  readBack(addr: number, bytes: Uint8Array): void {
    this.#after ??= [];
    this.#after.push({ addr, bytes });
  }

  arg(index: number): number {
    return this.#args[index] ?? 0;
  }

  before(addr: number, length: number): Uint8Array | null {
    return find(this.#before, addr, length);
  }

  after(addr: number, length: number): Uint8Array | null {
    return find(this.#after ?? NOTHING, addr, length);
  }

  address(addr: bigint): Expr {
    return printPlace(addr);
  }
}

/** The youngest block that holds the address wins: a later argument may have overwritten an earlier one. */
function find(blocks: readonly Block[], addr: number, length: number): Uint8Array | null {
  for (let i = blocks.length - 1; i >= 0; i -= 1) {
    const block = blocks[i]!;
    if (addr < block.addr || addr > block.addr + block.bytes.length) continue;
    if (addr === block.addr + block.bytes.length && length > 0) continue;
    const offset = addr - block.addr;
    return block.bytes.subarray(offset, Math.min(block.bytes.length, offset + length));
  }
  return null;
}

/** A call as it went, as far as the run got. */
export interface CallRun {
  readonly plan: CallPlan;
  readonly decoder: CallDecoder;
  /** The run got as far as its entry. */
  readonly entered: boolean;
  /** The run got as far as its last step, so `decoder.ret` null means that it sleeps. */
  readonly ended: boolean;
}

/** Told of each plan in the order of the steps; `slots` holds the names' values at that moment. */
export interface RunVisitor {
  call(run: CallRun, slots: readonly number[]): void;
  query(plan: QueryPlan, result: StepResult | null, slots: readonly number[]): void;
}

/** Goes through the results of a run. */
export function readRun(lowered: Lowered, result: PortResult, visitor: RunVisitor): void {
  new RunReader(lowered, result, visitor).walk();
}

class RunReader {
  readonly #plans: readonly Plan[];
  readonly #steps: readonly StepResult[];
  readonly #visitor: RunVisitor;
  readonly #slots: number[];
  readonly #decoders = new Map<CallPlan, CallDecoder>();
  /** Tasks that sleep in a race: their further calls were never entered. */
  readonly #asleep = new Set<number>();

  constructor(lowered: Lowered, result: PortResult, visitor: RunVisitor) {
    this.#plans = lowered.plans;
    this.#steps = result.steps;
    this.#visitor = visitor;
    this.#slots = new Array<number>(lowered.program.setup.slots).fill(0);
  }

  /** Begins and ends of calls in the order of their steps, so that each sees the names of its time. */
  walk(): void {
    const plans = [...this.#plans].sort((a, b) => firstStep(a) - firstStep(b));
    /** Calls that have begun and end later, by the step of their end. */
    const open: CallPlan[] = [];
    for (const plan of plans) {
      while (open.length > 0 && endStep(open[0]!) < firstStep(plan)) this.#end(open.shift()!);
      if (plan.kind === "query") this.#query(plan);
      if (plan.kind !== "call") continue;
      this.#begin(plan);
      if (endStep(plan) === plan.callStep) this.#end(plan);
      else {
        open.push(plan);
        open.sort((a, b) => endStep(a) - endStep(b));
      }
    }
    for (const plan of open) this.#end(plan);
  }

  #query(plan: QueryPlan): void {
    this.#visitor.query(plan, this.#steps[plan.step] ?? null, this.#slots);
  }

  #begin(plan: CallPlan): void {
    const { registers, inputs } = plan;
    const args = registers.every((register) => typeof register === "number")
      ? registers
      : registers.map((register) => this.#value(register));
    const before = inputs.every(({ image }) => image.patches.length === 0)
      ? inputs
      : inputs.map((input) => this.#block(input));
    this.#decoders.set(plan, new CallDecoder(args, before));
  }

  #value(register: Register): number {
    return typeof register === "number" ? register : (this.#slots[register.slot] ?? 0);
  }

  /** An input with the names' values filled in. */
  #block({ addr, image }: Input): Block {
    const bytes = image.bytes.slice();
    const view = new DataView(bytes.buffer);
    for (const { offset, size, slot } of image.patches) {
      const value = this.#slots[slot] ?? 0;
      if (size === 4) view.setInt32(offset, value, true);
      else view.setBigInt64(offset, BigInt(value), true);
    }
    return { addr, bytes };
  }

  #end(plan: CallPlan): void {
    const decoder = this.#decoders.get(plan)!;
    this.#decoders.delete(plan);
    if (plan.par && this.#asleep.has(plan.task)) {
      this.#visitor.call({ plan, decoder, entered: false, ended: false }, this.#slots);
      return;
    }
    const entered = this.#steps[plan.callStep];
    const last = this.#steps[endStep(plan)];
    decoder.ret = last?.ret ?? entered?.ret ?? null;
    if (plan.par && decoder.ret === null) this.#asleep.add(plan.task);
    for (const { step, addr } of plan.peeks) {
      const bytes = this.#steps[step]?.bytes;
      if (bytes !== undefined && bytes !== null) decoder.readBack(addr, bytes);
    }
    if (plan.slot !== null && decoder.ret !== null) this.#slots[plan.slot] = decoder.ret;
    for (const { addr, slot } of plan.slotPeeks) {
      const bytes = decoder.after(addr, 4);
      if (bytes !== null) this.#slots[slot] = Number(readWord(bytes, 0, 4, true));
    }
    this.#visitor.call({ plan, decoder, entered: entered !== undefined, ended: last !== undefined }, this.#slots);
  }
}

function firstStep(plan: Plan): number {
  return plan.kind === "call" ? plan.callStep : plan.step;
}

/** The step after which nothing more is learnt about a call's result. */
function endStep(plan: CallPlan): number {
  return plan.resultStep ?? plan.blockedStep ?? plan.callStep;
}
