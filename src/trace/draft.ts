/**
 * A program under construction: steps, plans, tasks and names so far, and what every kind of line needs to add its own.
 */
import { Errno } from "../kernel/uapi/errno.ts";
import type { Register, Step } from "../syscalls/port.ts";
import type { WordType } from "./abi/context.ts";
import type { Word } from "./abi/image.ts";
import { paramTypes, registerOf, type Signature, signature, signatureNames } from "./abi/index.ts";
import { ulong } from "./abi/words.ts";
import type { CallLine, Expr, Result } from "./ast.ts";
import type { CallEncoder, EncoderHost } from "./encoder.ts";
import { ParseError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { Arena, readableBytes } from "./places.ts";
import { printExpr } from "./printer.ts";
import type { Script, ScriptLine } from "./script.ts";
import type { CallPlan, Peek, Plan, QueryName } from "./source-map.ts";

/** How many arguments a query has. */
export const QUERY_ARGS: Readonly<Record<QueryName, number>> = {
  fdinfo: 1,
  fdinfo_order: 1,
  poll_mask: 1,
  blocked: 1,
  peek: 2,
  thaw: 1,
};
/** Calls of the language that are not system calls. */
export const QUERIES: readonly QueryName[] = Object.keys(QUERY_ARGS) as QueryName[];

/** A call that has been entered and not yet waited for. */
export interface Flight {
  /** Index of its plan, which is completed by the resumed line. */
  readonly plan: number;
  readonly line: ScriptLine;
  /** The memory of its outputs, read back when it is resumed. */
  readonly encoder: CallEncoder;
}

/** A system call, ready to be added. */
export interface DraftCall {
  readonly task: number;
  readonly declared: Signature;
  readonly args: readonly Expr[];
  readonly registers: readonly Register[];
  readonly expected: Result | null;
  /** Its step ends when it has returned. */
  readonly wait: boolean;
}

/** What has been lowered so far. */
export class Draft implements EncoderHost {
  readonly script: Script;
  readonly arena: Arena = new Arena();
  /** Pages of `@frozen` that a line has thawed. */
  readonly thawed: Set<number> = new Set();
  readonly steps: Step[] = [];
  readonly plans: Plan[] = [];
  /** Names by index; null for the single task of a script without a task column. */
  readonly tasks: (string | null)[] = [];
  readonly slots: Map<string, number> = new Map();
  /** By task. */
  readonly flights: Map<number, Flight> = new Map();
  /** Tasks that have ended, with the number of the line. */
  readonly ended: Map<number, number> = new Map();
  /** Tasks with lines in the part without order. */
  readonly racing: Set<number> = new Set();
  /** Index of the line that is being lowered. */
  index = 0;
  /** Who is being lowered in the part without order, or -1; and who binds which name there. */
  lane = -1;
  readonly #boundBy = new Map<string, number>();

  constructor(script: Script) {
    this.script = script;
  }

  slotOf(name: string): number | null {
    const binder = this.#boundBy.get(name);
    if (this.lane >= 0 && binder !== undefined && binder !== this.lane) {
      this.complain(`$${name}`, `'$${name}', which another task binds at the same time`, "a name of this task");
    }
    return this.slots.get(name) ?? null;
  }

  bind(name: string): number {
    const slot = this.slots.get(name) ?? this.slots.size;
    this.slots.set(name, slot);
    if (this.lane >= 0) this.#boundBy.set(name, this.lane);
    return slot;
  }

  boundNames(): Iterable<string> {
    return this.slots.keys();
  }

  fail(expr: Expr, found: string, expected: string): never {
    this.complain(needle(expr), found, expected);
  }

  /** @throws ParseError for the present line; `at` is the text in it to point at. */
  complain(at: string, found: string, expected: string): never {
    const { line, text } = this.script.lines[this.index]!;
    throw new ParseError(this.script.file, line.line, columnOf(text, at), found, expected);
  }

  /** @throws ParseError for a call that the language does not have. */
  signature(name: string): Signature {
    const declared = signature(name);
    if (declared !== null) return declared;
    const near = nearest(name, [...signatureNames(), ...QUERIES]);
    return this.complain(name, `the unknown call '${name}'`, near === null ? "a call of the language" : `'${near}'`);
  }

  /** The task of a call line; it must not be inside another call. */
  enter(line: CallLine): number {
    const task = this.task(line.task);
    const flight = this.flights.get(task);
    if (flight !== undefined) {
      const { name, line: since } = flight.line.line as CallLine;
      this.complain(line.name, `a call of a task that is inside ${name} since line ${since}`, "its resumed line first");
    }
    if (this.racing.has(task)) {
      this.complain(
        line.task ?? line.name,
        "a task that may still sleep",
        "another task for the lines behind the race",
      );
    }
    const ended = this.ended.get(task);
    if (ended !== undefined) this.complain(line.name, `a call of a task that ended in line ${ended}`, "another task");
    return task;
  }

  /** The index of a task by its name; a new name becomes a thread of the first task. */
  task(name: string | null): number {
    const known = this.tasks.indexOf(name);
    if (known >= 0) return known;
    const { hosts } = this.script;
    if (hosts.length > 0) {
      const names = hosts.map((host) => host.name).join(", ");
      const expected = `a machine (${names}), or '#! thread ${name ?? "T"} ${hosts[0]?.name}' before it`;
      this.complain(
        name ?? "",
        name === null ? "a line without a task" : `the task '${name}', on no machine`,
        expected,
      );
    }
    if (name === null && this.tasks.length > 0) return 0;
    return this.spawn(name, 0, "thread");
  }

  /** Adds a task; the first one is there already. */
  spawn(name: string | null, parent: number, as: "thread" | "process", flags = 0): number {
    const task = this.tasks.length;
    this.tasks.push(name);
    if (task > 0) this.steps.push({ op: "spawn", task, parent, as, flags });
    return task;
  }

  /** @param endless - the call never returns, and may leave arguments out. */
  registers(declared: Signature, args: readonly Expr[], endless: boolean, encoder: CallEncoder): Register[] {
    const types = paramTypes(declared, (index) => encoder.argValue(index));
    const least = endless ? 0 : types.length;
    if (args.length < least || args.length > declared.params.length) {
      const names = declared.params.slice(0, Math.max(types.length, 1)).map((p) => p.name);
      const wanted = `${types.length} (${types.length === 0 ? "none" : names.join(", ")})`;
      this.complain(declared.name, `${args.length} arguments of ${declared.name}`, wanted);
    }
    const registers: Register[] = [];
    const put = (index: number, register: Register): void => {
      const at = registerOf(declared, index, (other) => encoder.argValue(other));
      while (registers.length < at) registers.push(0);
      registers[at] = register;
    };
    for (const [index, arg] of args.entries()) {
      put(index, this.register((types[index] ?? ulong).toWord(arg, encoder), arg));
    }
    for (let index = args.length; index < types.length; index += 1) {
      put(index, this.#missing(declared, index, types[index]!, encoder));
    }
    return registers;
  }

  /** The value of an argument that a call which never returns leaves out. */
  #missing(declared: Signature, index: number, type: WordType, encoder: CallEncoder): Register {
    const { name, missing } = declared.params[index]!;
    if (missing !== null) return missing;
    const fresh: Expr = { kind: "sym", name: "?", note: null };
    if (type.output) return this.register(type.toWord(fresh, encoder), fresh);
    return this.complain(
      declared.name,
      `no argument ${index + 1} (${name}) of ${declared.name}`,
      "all of its arguments",
    );
  }

  /** A word as what goes into a register. */
  register(word: Word, expr: Expr): Register {
    if (typeof word !== "bigint") return { slot: word.slot };
    const value = Number(BigInt.asIntN(64, word));
    if (!Number.isSafeInteger(value)) this.fail(expr, `'${printExpr(expr)}'`, "a number below 2^53 in a register");
    return value;
  }

  /**
   * Adds what the arguments of a call need, and the call itself.
   *
   * @param from - the line's first step.
   * @returns its plan, as of a call whose result nobody waits for.
   */
  call({ task, declared, args, registers, expected, wait }: DraftCall, encoder: CallEncoder, from: number): CallPlan {
    this.steps.push(...encoder.steps);
    const callStep = this.steps.length;
    const slot = this.resultSlot(expected);
    this.steps.push({ op: "call", task, name: declared.name, args: registers, wait, slot });
    return {
      kind: "call",
      line: this.index,
      resumedLine: null,
      task,
      signature: declared,
      args,
      registers,
      inputs: encoder.inputs,
      peeks: [],
      slotPeeks: encoder.slotPeeks,
      slot,
      expected,
      callStep,
      resultStep: null,
      blockedStep: null,
      par: false,
      steps: { from, to: this.steps.length },
      resumedSteps: null,
    };
  }

  /** The slot that `= $name` binds, or null. */
  resultSlot(expected: Result | null): number | null {
    for (const errno of expected?.errnos ?? []) {
      if (errno === null || errno in Errno) continue;
      const near = nearest(errno, Object.keys(Errno));
      this.complain(errno, `the unknown error '${errno}'`, near === null ? "a name such as EBADF" : `'${near}'`);
    }
    const [value] = expected?.values ?? [];
    return value?.kind === "var" ? this.bind(value.name) : null;
  }

  /** Reads back what a call may have written; sets the slots that lie there. */
  readBack(encoder: CallEncoder): Peek[] {
    const peeks: Peek[] = [];
    for (const { addr, size } of encoder.outputs) {
      const length = readableBytes(addr, size, this.thawed);
      if (length === 0) continue;
      peeks.push({ step: this.steps.length, addr, length });
      this.steps.push({ op: "peek", addr, length });
    }
    for (const { addr, slot } of encoder.slotPeeks) this.steps.push({ op: "peekSlot", addr, slot });
    return peeks;
  }

  /** What the line has set off happens before the next line, as long as calls are under way. */
  settle(): void {
    if (this.flights.size > 0) this.steps.push({ op: "settle" });
  }
}

/** The word of an expression to look for in the line. */
function needle(expr: Expr): string {
  const symbol = expr.kind === "op" ? null : printExpr(expr);
  return symbol ?? "";
}

/** Where `at` stands in a line, counted from 1; 1 if it does not. */
export function columnOf(text: string, at: string): number {
  return Math.max(0, at === "" ? 0 : text.indexOf(at)) + 1;
}
