/**
 * What each step of a lowered program stands for: from the results of a run back to the lines of the script.
 */
import type { PortProgram, Register } from "../syscalls/port.ts";
import type { Image } from "./abi/image.ts";
import type { Signature } from "./abi/signature.ts";
import type { Expr, Result } from "./ast.ts";
import type { Script } from "./script.ts";

/** Bytes that the call found at an address. */
export interface Input {
  readonly addr: number;
  readonly image: Image;
  /** The image's bytes: the cells of names hold 0. */
  readonly bytes: Uint8Array;
}

/** A `peek` step: bytes that the call left at an address. */
export interface Peek {
  readonly step: number;
  readonly addr: number;
  readonly length: number;
}

/** A `peekSlot` step: a slot that receives 4 bytes at an address. */
export interface SlotPeek {
  readonly addr: number;
  readonly slot: number;
}

/** Steps of a line: `from` up to, not with, `to`. */
export interface StepRange {
  readonly from: number;
  readonly to: number;
}

/** A system call of the script, from its entry to its end. */
export interface CallPlan {
  readonly kind: "call";
  /** Index into the script's lines, of the whole call or its first half. */
  readonly line: number;
  /** Index of its `resumed` line; null for a whole call and for one that never returns. */
  readonly resumedLine: number | null;
  readonly task: number;
  readonly signature: Signature;
  /** Arguments of both halves. */
  readonly args: readonly Expr[];
  readonly registers: readonly Register[];
  readonly inputs: readonly Input[];
  readonly peeks: readonly Peek[];
  readonly slotPeeks: readonly SlotPeek[];
  readonly slot: number | null;
  readonly expected: Result | null;
  /** The step that enters the call. */
  readonly callStep: number;
  /** The step that gives its result: `callStep`, or an `await`; null when the script never waits for it. */
  readonly resultStep: number | null;
  /** The `blocked` step at the end of the script, for a call that never returns; null for the others. */
  readonly blockedStep: number | null;
  /** It is part of the outcome, not an expectation: a call without order, or one that slept when those began. */
  readonly par: boolean;
  /** Steps of the entry's line, and of the resumed line. */
  readonly steps: StepRange;
  readonly resumedSteps: StepRange | null;
}

/** A call that asks the port, not the kernel: `fdinfo`, `fdinfo_order`, `poll_mask`, `blocked`, `peek`, `thaw`. */
export interface QueryPlan {
  readonly kind: "query";
  readonly line: number;
  readonly task: number;
  readonly name: QueryName;
  readonly args: readonly Expr[];
  readonly expected: Result | null;
  /** The step that gives the answer. */
  readonly step: number;
  readonly steps: StepRange;
}

/** Calls of the language that are not system calls. */
export type QueryName = "fdinfo" | "fdinfo_order" | "poll_mask" | "blocked" | "peek" | "thaw";

/** A `#! dump` line: the state is wanted before step `step`. */
export interface DumpPlan {
  readonly kind: "dump";
  readonly line: number;
  /** The epoll descriptor, or null for all. A number, or `$name`. */
  readonly fd: string | null;
  readonly step: number;
}

/** What a part of the program stands for. */
export type Plan = CallPlan | QueryPlan | DumpPlan;

/** A script as a program for a port, with the way back. */
export interface Lowered {
  readonly script: Script;
  readonly program: PortProgram;
  /** In the order of their lines. */
  readonly plans: readonly Plan[];
  /** Names of the tasks by index; null for the single task of a script without a task column. */
  readonly tasks: readonly (string | null)[];
  /** Slots by the name that they are bound to. A result may be bound again: then the same slot changes. */
  readonly slots: ReadonlyMap<string, number>;
  /** Index of the `race` step; null for a script whose lines all have an order. */
  readonly raceStep: number | null;
}
