/**
 * Lowering: from a script to a program for a port, once for both worlds.
 *
 * Every argument gets memory of its own, its content is put there before the call, and what the call may write is filled
 * with 0xAA before and read back behind it. Names travel through slots. Lines are executed in their order; while calls of
 * other tasks are under way, each line ends with a `settle`, so that what it set off has happened before the next. The lines
 * between `#! par` and `#! join` become one race: sorted by task, each with memory of its own.
 */
import { Errno } from "../kernel/uapi/errno.ts";
import type { PortProgram, RaceLane, Register, Step } from "../syscalls/port.ts";
import { UserLayout } from "../syscalls/port.ts";
import type { WordType } from "./abi/context.ts";
import type { Word } from "./abi/image.ts";
import { paramTypes, registerOf, type Signature, signature, signatureNames } from "./abi/index.ts";
import { ulong } from "./abi/words.ts";
import type { CallLine, DirectiveLine, Expr, Result, ResumedLine } from "./ast.ts";
import { cloneFlags } from "./clone-flags.ts";
import { CallEncoder, type EncoderHost } from "./encoder.ts";
import { ParseError } from "./errors.ts";
import { nearest } from "./nearest.ts";
import { NETWORK_DIRECTIVES, parseNetworkChange } from "./network.ts";
import { joinArgs } from "./pairs.ts";
import { endsByItself, withProbes } from "./par.ts";
import { Arena, frozenPage, readableBytes } from "./places.ts";
import { printExpr } from "./printer.ts";
import type { ParallelPart, Script, ScriptLine } from "./script.ts";
import type { CallPlan, Lowered, Peek, Plan, QueryName, StepRange } from "./source-map.ts";

/** How to lower. */
export interface LowerOptions {
  /** Longest time the program may take on a real kernel, in ns. */
  readonly watchdogNs?: number;
}

const WATCHDOG_NS = 20_000_000_000;
/** A race is short, and run many times. */
const RACE_WATCHDOG_NS = 3_000_000_000;
const QUERIES: readonly QueryName[] = ["fdinfo", "fdinfo_order", "poll_mask", "blocked", "peek", "thaw"];
const QUERY_ARGS: Readonly<Record<QueryName, number>> = {
  fdinfo: 1,
  fdinfo_order: 1,
  poll_mask: 1,
  blocked: 1,
  peek: 2,
  thaw: 1,
};

/** Lowers a script. @throws ParseError for the first thing that has no meaning. */
export function lower(script: Script, options: LowerOptions = {}): Lowered {
  return new Lowering(withProbes(script)).run(
    options.watchdogNs ?? (script.par === null ? WATCHDOG_NS : RACE_WATCHDOG_NS),
  );
}

/** A call that has been entered and not yet waited for. */
interface Flight {
  /** Index of its plan, which is completed by the resumed line. */
  readonly plan: number;
  readonly line: ScriptLine;
  /** The memory of its outputs, read back when it is resumed. */
  readonly encoder: CallEncoder;
}

class Lowering implements EncoderHost {
  readonly arena: Arena = new Arena();
  readonly thawed: Set<number> = new Set();
  readonly #script: Script;
  readonly #steps: Step[] = [];
  readonly #plans: Plan[] = [];
  readonly #tasks: (string | null)[] = [];
  readonly #slots = new Map<string, number>();
  readonly #flights = new Map<number, Flight>();
  readonly #ended = new Map<number, number>();
  /** Resumed lines by the index of the line that they resume, found before anything is lowered. */
  readonly #resumedBy: ReadonlyMap<number, number>;
  #index = 0;
  /** Below this address the arena stays as it is. */
  #kept = this.arena.top;
  #raceStep: number | null = null;
  /** Tasks with lines in the part without order. */
  readonly #racing = new Set<number>();
  /** Who binds which name in the part without order; and who is being lowered there, or -1. */
  readonly #boundBy = new Map<string, number>();
  #lane = -1;

  constructor(script: Script) {
    this.#script = script;
    this.#resumedBy = pairHalves(script);
  }

  run(watchdogNs: number): Lowered {
    const { par } = this.#script;
    for (const { name } of this.#script.hosts) this.#tasks.push(name);
    for (const [index, { line }] of this.#script.lines.entries()) {
      this.#index = index;
      if (index === par?.from) this.#race(par);
      if (par !== null && index >= par.from && index < par.to) continue;
      this.#index = index;
      if (line.type === "call") this.#call(line);
      else if (line.type === "resumed") this.#resumed(line);
      else if (line.type === "directive") this.#directive(line);
    }
    this.#checkBlocked();
    const { uid, nofile, sysctls, hosts } = this.#script;
    const setup = { uid, nofile, sysctls, hosts, slots: this.#slots.size, watchdogNs };
    const program: PortProgram = { setup, steps: this.#steps };
    const plans = this.#plans.sort((a, b) => a.line - b.line);
    return { script: this.#script, program, plans, tasks: this.#tasks, slots: this.#slots, raceStep: this.#raceStep };
  }

  // what encoders ask for

  slotOf(name: string): number | null {
    const binder = this.#boundBy.get(name);
    if (this.#lane >= 0 && binder !== undefined && binder !== this.#lane) {
      this.#complain(`$${name}`, `'$${name}', which another task binds at the same time`, "a name of this task");
    }
    return this.#slots.get(name) ?? null;
  }

  bind(name: string): number {
    const slot = this.#slots.get(name) ?? this.#slots.size;
    this.#slots.set(name, slot);
    if (this.#lane >= 0) this.#boundBy.set(name, this.#lane);
    return slot;
  }

  boundNames(): Iterable<string> {
    return this.#slots.keys();
  }

  fail(expr: Expr, found: string, expected: string): never {
    this.#complain(needle(expr), found, expected);
  }

  #complain(at: string, found: string, expected: string): never {
    const { line, text } = this.#script.lines[this.#index]!;
    throw new ParseError(this.#script.file, line.line, columnOf(text, at), found, expected);
  }

  // lines

  #call(line: CallLine): void {
    const query = QUERIES.find((name) => name === line.name);
    if (query !== undefined) this.#query(query, line);
    else this.#systemCall(line);
  }

  #systemCall(line: CallLine): void {
    const declared = this.#signature(line.name);
    const from = this.#steps.length;
    const task = this.#enter(line);
    const resumedLine = this.#resumedBy.get(this.#index) ?? null;
    const resumed = resumedLine === null ? null : (this.#script.lines[resumedLine]!.line as ResumedLine);
    const args = resumed === null ? line.args : joinArgs(line.args, resumed.args);
    const top = this.arena.top;
    const endless = line.unfinished && resumed === null;
    const encoder = new CallEncoder(this, args, endless ? declared.params.map((p) => p.missing) : []);
    const registers = this.#registers(declared, args, endless, encoder);
    this.#steps.push(...encoder.steps);
    const callStep = this.#steps.length;
    const wait = !line.unfinished && !declared.noReturn;
    const expected = resumed === null ? line.result : resumed.result;
    const slot = this.#resultSlot(expected);
    this.#steps.push({ op: "call", task, name: declared.name, args: registers, wait, slot });
    this.#settle();
    const peeks = wait ? this.#readBack(encoder) : [];
    const plan: CallPlan = {
      kind: "call",
      line: this.#index,
      resumedLine,
      task,
      signature: declared,
      args,
      registers,
      inputs: encoder.inputs,
      peeks,
      slotPeeks: encoder.slotPeeks,
      slot,
      expected,
      callStep,
      resultStep: wait ? callStep : null,
      blockedStep: null,
      par: false,
      steps: { from, to: this.#steps.length },
      resumedSteps: null,
    };
    this.#plans.push(plan);
    if (declared.noReturn) this.#ended.set(task, line.line);
    else if (wait) this.#release(declared, top);
    else this.#flights.set(task, { plan: this.#plans.length - 1, line: this.#script.lines[this.#index]!, encoder });
  }

  // the part without order

  /** Lowers the lines between `#! par` and `#! join`, task by task. */
  #race({ from, to }: ParallelPart): void {
    const byTask = new Map<number, number[]>();
    for (let index = from; index < to; index += 1) {
      const { line } = this.#script.lines[index]!;
      this.#index = index;
      if (line.type === "comment" || line.type === "blank") continue;
      if (line.type !== "call") this.#complain("", "this line in a part without order", "whole calls only");
      const task = this.#task(line.task);
      this.#enter(line);
      const indices = byTask.get(task);
      if (indices === undefined) byTask.set(task, [index]);
      else indices.push(index);
    }
    for (const { line } of this.#script.lines.slice(to)) if (line.type === "call") this.#task(line.task);
    const lanes: RaceLane[] = [];
    this.#raceStep = this.#steps.length;
    this.#steps.push({ op: "race", lanes });
    for (const [task, indices] of byTask) {
      const first = this.#steps.length;
      this.#lane = task;
      for (const index of indices) this.#racingCall(index, task);
      lanes.push({ task, steps: this.#steps.length - first, spins: 0 });
      this.#racing.add(task);
    }
    this.#lane = -1;
    this.#kept = this.arena.top;
    this.#sleepers();
  }

  #racingCall(index: number, task: number): void {
    this.#index = index;
    const line = this.#script.lines[index]!.line as CallLine;
    const { args, result: expected } = line;
    if (QUERIES.some((name) => name === line.name)) {
      this.#complain(line.name, `'${line.name}' in a part without order`, "its place behind '#! join'");
    }
    const declared = this.#signature(line.name);
    if (declared.noReturn) this.#complain(line.name, `'${line.name}' in a part without order`, "a call that returns");
    if (line.unfinished) this.#complain("<unfinished", "half a call in a part without order", "the whole call, '= ?'");
    const [value] = expected?.values ?? [];
    if (value !== undefined && value.kind !== "var" && printExpr(value) !== "?") {
      this.#complain(printExpr(value), "a result in a part without order", "'= ?', or '= $name'");
    }
    const from = this.#steps.length;
    const encoder = new CallEncoder(this, args, []);
    const registers = this.#registers(declared, args, false, encoder);
    this.#steps.push(...encoder.steps);
    const callStep = this.#steps.length;
    const slot = this.#resultSlot(expected);
    const wait = endsByItself(declared.name, registers);
    this.#steps.push({ op: "call", task, name: declared.name, args: registers, wait, slot });
    const peeks = this.#readBack(encoder);
    this.#plans.push({
      kind: "call",
      line: index,
      resumedLine: null,
      task,
      signature: declared,
      args,
      registers,
      inputs: encoder.inputs,
      peeks,
      slotPeeks: encoder.slotPeeks,
      slot,
      expected,
      callStep,
      resultStep: callStep,
      blockedStep: null,
      par: true,
      steps: { from, to: this.#steps.length },
      resumedSteps: null,
    });
  }

  /** Who slept when the race began, and is never resumed: what has become of them belongs to the outcome. */
  #sleepers(): void {
    for (const [task, { plan, encoder }] of this.#flights) {
      const call = this.#plans[plan] as CallPlan;
      if (call.resumedLine !== null) continue;
      const resultStep = this.#steps.length;
      this.#steps.push({ op: "blocked", task });
      const peeks = this.#readBack(encoder);
      this.#plans[plan] = { ...call, peeks, resultStep, par: true };
      this.#flights.delete(task);
      this.#racing.add(task);
    }
  }

  /** Memory of a call that is over is free again, unless the kernel may still look at it (pages given to a pipe). */
  #release(declared: Signature, top: number): void {
    if (declared.name === "vmsplice") this.#kept = this.arena.top;
    else this.arena.release(top);
  }

  #signature(name: string): Signature {
    const declared = signature(name);
    if (declared !== null) return declared;
    const near = nearest(name, [...signatureNames(), ...QUERIES]);
    return this.#complain(name, `the unknown call '${name}'`, near === null ? "a call of the language" : `'${near}'`);
  }

  /** The task of a call line; it must not be inside another call. */
  #enter(line: CallLine): number {
    const task = this.#task(line.task);
    const flight = this.#flights.get(task);
    if (flight !== undefined) {
      const { name, line: since } = flight.line.line as CallLine;
      this.#complain(
        line.name,
        `a call of a task that is inside ${name} since line ${since}`,
        "its resumed line first",
      );
    }
    if (this.#racing.has(task)) {
      this.#complain(
        line.task ?? line.name,
        "a task that may still sleep",
        "another task for the lines behind the race",
      );
    }
    const ended = this.#ended.get(task);
    if (ended !== undefined) this.#complain(line.name, `a call of a task that ended in line ${ended}`, "another task");
    return task;
  }

  /** The index of a task by its name; a new name becomes a thread of the first task. */
  #task(name: string | null): number {
    const known = this.#tasks.indexOf(name);
    if (known >= 0) return known;
    const { hosts } = this.#script;
    if (hosts.length > 0) {
      const names = hosts.map((host) => host.name).join(", ");
      const expected = `a machine (${names}), or '#! thread ${name ?? "T"} ${hosts[0]?.name}' before it`;
      this.#complain(
        name ?? "",
        name === null ? "a line without a task" : `the task '${name}', on no machine`,
        expected,
      );
    }
    if (name === null && this.#tasks.length > 0) return 0;
    return this.#spawn(name, 0, "thread");
  }

  #spawn(name: string | null, parent: number, as: "thread" | "process", flags = 0): number {
    const task = this.#tasks.length;
    this.#tasks.push(name);
    if (task > 0) this.#steps.push({ op: "spawn", task, parent, as, flags });
    return task;
  }

  #registers(declared: Signature, args: readonly Expr[], endless: boolean, encoder: CallEncoder): Register[] {
    const types = paramTypes(declared, (index) => encoder.argValue(index));
    const least = endless ? 0 : types.length;
    if (args.length < least || args.length > declared.params.length) {
      const names = declared.params.slice(0, Math.max(types.length, 1)).map((p) => p.name);
      const wanted = `${types.length} (${types.length === 0 ? "none" : names.join(", ")})`;
      this.#complain(declared.name, `${args.length} arguments of ${declared.name}`, wanted);
    }
    const registers: Register[] = [];
    const put = (index: number, register: Register): void => {
      const at = registerOf(declared, index, (other) => encoder.argValue(other));
      while (registers.length < at) registers.push(0);
      registers[at] = register;
    };
    for (const [index, arg] of args.entries()) {
      put(index, this.#register((types[index] ?? ulong).toWord(arg, encoder), arg));
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
    if (type.output) return this.#register(type.toWord(fresh, encoder), fresh);
    return this.#complain(
      declared.name,
      `no argument ${index + 1} (${name}) of ${declared.name}`,
      "all of its arguments",
    );
  }

  #register(word: Word, expr: Expr): Register {
    if (typeof word !== "bigint") return { slot: word.slot };
    const value = Number(BigInt.asIntN(64, word));
    if (!Number.isSafeInteger(value)) this.fail(expr, `'${printExpr(expr)}'`, "a number below 2^53 in a register");
    return value;
  }

  #resultSlot(expected: Result | null): number | null {
    for (const errno of expected?.errnos ?? []) {
      if (errno === null || errno in Errno) continue;
      const near = nearest(errno, Object.keys(Errno));
      this.#complain(errno, `the unknown error '${errno}'`, near === null ? "a name such as EBADF" : `'${near}'`);
    }
    const [value] = expected?.values ?? [];
    return value?.kind === "var" ? this.bind(value.name) : null;
  }

  /** Reads back what a call may have written; sets the slots that lie there. */
  #readBack(encoder: CallEncoder): Peek[] {
    const peeks: Peek[] = [];
    for (const { addr, size } of encoder.outputs) {
      const length = readableBytes(addr, size, this.thawed);
      if (length === 0) continue;
      peeks.push({ step: this.#steps.length, addr, length });
      this.#steps.push({ op: "peek", addr, length });
    }
    for (const { addr, slot } of encoder.slotPeeks) this.#steps.push({ op: "peekSlot", addr, slot });
    return peeks;
  }

  #settle(): void {
    if (this.#flights.size > 0) this.#steps.push({ op: "settle" });
  }

  #resumed(line: ResumedLine): void {
    const task = this.#task(line.task);
    const flight = this.#flights.get(task)!;
    const plan = this.#plans[flight.plan] as CallPlan;
    const from = this.#steps.length;
    this.#steps.push({ op: "await", task });
    this.#flights.delete(task);
    this.#settle();
    const peeks = this.#readBack(flight.encoder);
    const resumedSteps: StepRange = { from, to: this.#steps.length };
    if (this.#flights.size === 0) this.arena.release(this.#kept);
    this.#plans[flight.plan] = { ...plan, peeks, resultStep: from, resumedSteps };
  }

  #query(name: QueryName, line: CallLine): void {
    const from = this.#steps.length;
    const task = this.#task(line.task);
    if (line.args.length !== QUERY_ARGS[name]) {
      this.#complain(name, `${line.args.length} arguments of ${name}`, String(QUERY_ARGS[name]));
    }
    const top = this.arena.top;
    const step = this.#queryStep(name, line.args, task);
    this.arena.release(top);
    this.#steps.push(step);
    const at = this.#steps.length - 1;
    if (name === "thaw") this.#settle();
    const steps: StepRange = { from, to: this.#steps.length };
    const { args, result: expected } = line;
    this.#plans.push({ kind: "query", line: this.#index, task, name, args, expected, step: at, steps });
  }

  #queryStep(name: QueryName, args: readonly Expr[], task: number): Step {
    const encoder = new CallEncoder(this, args, []);
    const [first, second] = args;
    switch (name) {
      case "fdinfo":
      case "fdinfo_order":
        return { op: "fdinfo", task, fd: this.#register(encoder.word(first!), first!) };
      case "poll_mask":
        return { op: "pollMask", task, fd: this.#register(encoder.word(first!), first!) };
      case "blocked":
        return { op: "blocked", task: this.#taskNamed(first!) };
      case "thaw":
        return { op: "thaw", page: this.#thaw(this.#address(first!, encoder), first!) };
      case "peek":
        return this.#peek(this.#address(first!, encoder), first!, encoder.argValue(1), second!);
    }
  }

  #address(expr: Expr, encoder: CallEncoder): number {
    const word = encoder.word(expr);
    return typeof word === "bigint" ? Number(word) : this.fail(expr, `'${printExpr(expr)}'`, "a place, such as @buf");
  }

  #taskNamed(expr: Expr): number {
    const task = this.#tasks.indexOf(printExpr(expr));
    if (task >= 0) return task;
    return this.fail(expr, `the unknown task '${printExpr(expr)}'`, `one of ${this.#tasks.join(", ")}`);
  }

  #thaw(addr: number, expr: Expr): number {
    const page = frozenPage(addr);
    const { frozenPages } = UserLayout;
    if (page < 0 || page >= frozenPages) this.fail(expr, `'${printExpr(expr)}'`, "@frozen, or @frozen+4096 and so on");
    this.thawed.add(page);
    return page;
  }

  #peek(addr: number, place: Expr, length: number | null, lengthExpr: Expr): Step {
    if (length === null || length < 0) this.fail(lengthExpr, `'${printExpr(lengthExpr)}'`, "a number of bytes");
    if (readableBytes(addr, length, this.thawed) < length) {
      this.fail(place, `${length} bytes at ${printExpr(place)}`, "bytes that can be read");
    }
    return { op: "peek", addr, length };
  }

  #directive(line: DirectiveLine): void {
    const { word, rest } = line;
    if (NETWORK_DIRECTIVES.includes(word)) {
      const names = this.#script.hosts.map(({ name }) => name);
      this.#steps.push({ op: "network", change: parseNetworkChange(word, rest, names) });
    } else if (word === "dump") {
      this.#plans.push({ kind: "dump", line: this.#index, fd: rest === "" ? null : rest, step: this.#steps.length });
    } else if (word === "fork" || word === "thread") {
      const [name, parentName, flags] = rest.split(/\s+/u);
      if (this.#tasks.includes(name!))
        this.#complain(name!, `the task '${name}', which is there already`, "a new name");
      // the first task may be named here, before its first line
      if (this.#tasks.length === 0) this.#spawn(parentName!, 0, "thread");
      const parent = this.#tasks.indexOf(parentName!);
      if (parent < 0) {
        this.#complain(parentName!, `the unknown task '${parentName}'`, `one of ${this.#tasks.join(", ")}`);
      }
      this.#spawn(
        name!,
        parent,
        word === "thread" ? "thread" : "process",
        flags === undefined ? 0 : (cloneFlags(flags) ?? 0),
      );
    }
  }

  /** Calls that were never resumed must be asleep at the end. */
  #checkBlocked(): void {
    for (const [task, { plan }] of this.#flights) {
      const call = this.#plans[plan] as CallPlan;
      this.#plans[plan] = { ...call, blockedStep: this.#steps.length };
      this.#steps.push({ op: "blocked", task });
    }
  }
}

/** Finds the resumed line of each unfinished call. @throws ParseError for one that resumes nothing. */
function pairHalves(script: Script): Map<number, number> {
  const open = new Map<string | null, number>();
  const pairs = new Map<number, number>();
  for (const [index, { line, text }] of script.lines.entries()) {
    if (line.type === "call" && line.unfinished && line.result === null) open.set(line.task, index);
    if (line.type !== "resumed") continue;
    const first = open.get(line.task);
    const name = first === undefined ? null : (script.lines[first]!.line as CallLine).name;
    if (first === undefined || name !== line.name) {
      const inside = name === null ? "inside no call" : `inside ${name}`;
      const column = columnOf(text, line.name);
      throw new ParseError(
        script.file,
        line.line,
        column,
        `'${line.name} resumed' of a task ${inside}`,
        "the call's first half before it",
      );
    }
    open.delete(line.task);
    pairs.set(first, index);
  }
  return pairs;
}

/** The word of an expression to look for in the line. */
function needle(expr: Expr): string {
  const symbol = expr.kind === "op" ? null : printExpr(expr);
  return symbol ?? "";
}

function columnOf(text: string, at: string): number {
  return Math.max(0, at === "" ? 0 : text.indexOf(at)) + 1;
}
