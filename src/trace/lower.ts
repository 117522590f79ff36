/**
 * Lowering: from a script to a program for a port, once for both worlds.
 *
 * Every argument gets memory of its own, its content is put there before the call, and what the call may write is filled
 * with 0xAA before and read back behind it. Names travel through slots. Lines are executed in their order; while calls of
 * other tasks are under way, each line ends with a `settle`, so that what it set off has happened before the next. The lines
 * between `#! par` and `#! join` become one race: see `lower-race.ts`.
 */
import type { PortProgram } from "../syscalls/port.ts";
import type { Signature } from "./abi/index.ts";
import type { CallLine, DirectiveLine, ResumedLine } from "./ast.ts";
import { cloneFlags } from "./clone-flags.ts";
import { columnOf, Draft, QUERIES } from "./draft.ts";
import { CallEncoder } from "./encoder.ts";
import { ParseError } from "./errors.ts";
import { lowerQuery } from "./lower-query.ts";
import { lowerRace } from "./lower-race.ts";
import { NETWORK_DIRECTIVES, parseNetworkChange } from "./network.ts";
import { joinArgs } from "./pairs.ts";
import { withProbes } from "./par.ts";
import type { Script } from "./script.ts";
import type { CallPlan, Lowered, StepRange } from "./source-map.ts";

/** How to lower. */
export interface LowerOptions {
  /** Longest time the program may take on a real kernel, in ns. */
  readonly watchdogNs?: number;
}

const WATCHDOG_NS = 20_000_000_000;
/** A race is short, and run many times. */
const RACE_WATCHDOG_NS = 3_000_000_000;

/** Lowers a script. @throws ParseError for the first thing that has no meaning. */
export function lower(script: Script, options: LowerOptions = {}): Lowered {
  return new Lowering(withProbes(script)).run(
    options.watchdogNs ?? (script.par === null ? WATCHDOG_NS : RACE_WATCHDOG_NS),
  );
}

class Lowering {
  readonly #draft: Draft;
  /** Resumed lines by the index of the line that they resume, found before anything is lowered. */
  readonly #resumedBy: ReadonlyMap<number, number>;
  /** Below this address the arena stays as it is. */
  #kept: number;

  constructor(script: Script) {
    this.#draft = new Draft(script);
    this.#resumedBy = pairHalves(script);
    this.#kept = this.#draft.arena.top;
  }

  run(watchdogNs: number): Lowered {
    const draft = this.#draft;
    const { script } = draft;
    const { par } = script;
    let raceStep: number | null = null;
    for (const { name } of script.hosts) draft.tasks.push(name);
    for (const [index, { line }] of script.lines.entries()) {
      if (par !== null && index === par.from) {
        raceStep = lowerRace(draft, par);
        this.#kept = draft.arena.top;
      }
      if (par !== null && index >= par.from && index < par.to) continue;
      draft.index = index;
      if (line.type === "call") this.#call(line);
      else if (line.type === "resumed") this.#resumed(line);
      else if (line.type === "directive") this.#directive(line);
    }
    this.#checkBlocked();
    const { uid, nofile, sysctls, hosts } = script;
    const setup = { uid, nofile, sysctls, hosts, slots: draft.slots.size, watchdogNs };
    const program: PortProgram = { setup, steps: draft.steps };
    const plans = draft.plans.sort((a, b) => a.line - b.line);
    return { script, program, plans, tasks: draft.tasks, slots: draft.slots, raceStep };
  }

  #call(line: CallLine): void {
    const query = QUERIES.find((name) => name === line.name);
    if (query !== undefined) lowerQuery(this.#draft, query, line);
    else this.#systemCall(line);
  }

  #systemCall(line: CallLine): void {
    const draft = this.#draft;
    const declared = draft.signature(line.name);
    const from = draft.steps.length;
    const task = draft.enter(line);
    const resumedLine = this.#resumedBy.get(draft.index) ?? null;
    const resumed = resumedLine === null ? null : (draft.script.lines[resumedLine]!.line as ResumedLine);
    const args = resumed === null ? line.args : joinArgs(line.args, resumed.args);
    const top = draft.arena.top;
    const endless = line.unfinished && resumed === null;
    const encoder = new CallEncoder(draft, args, endless ? declared.params.map((p) => p.missing) : []);
    const registers = draft.registers(declared, args, endless, encoder);
    const wait = !line.unfinished && !declared.noReturn;
    const expected = resumed === null ? line.result : resumed.result;
    const call = draft.call({ task, declared, args, registers, expected, wait }, encoder, from);
    draft.settle();
    const peeks = wait ? draft.readBack(encoder) : [];
    const steps = { from, to: draft.steps.length };
    draft.plans.push({ ...call, resumedLine, peeks, resultStep: wait ? call.callStep : null, steps });
    if (declared.noReturn) draft.ended.set(task, line.line);
    else if (wait) this.#release(declared, top);
    else draft.flights.set(task, { plan: draft.plans.length - 1, line: draft.script.lines[draft.index]!, encoder });
  }

  /** Memory of a call that is over is free again, unless the kernel may still look at it (pages given to a pipe). */
  #release(declared: Signature, top: number): void {
    const { arena } = this.#draft;
    if (declared.name === "vmsplice") this.#kept = arena.top;
    else arena.release(top);
  }

  #resumed(line: ResumedLine): void {
    const draft = this.#draft;
    const task = draft.task(line.task);
    const flight = draft.flights.get(task)!;
    const plan = draft.plans[flight.plan] as CallPlan;
    const from = draft.steps.length;
    draft.steps.push({ op: "await", task });
    draft.flights.delete(task);
    draft.settle();
    const peeks = draft.readBack(flight.encoder);
    const resumedSteps: StepRange = { from, to: draft.steps.length };
    if (draft.flights.size === 0) draft.arena.release(this.#kept);
    draft.plans[flight.plan] = { ...plan, peeks, resultStep: from, resumedSteps };
  }

  #directive(line: DirectiveLine): void {
    const draft = this.#draft;
    const { word, rest } = line;
    if (NETWORK_DIRECTIVES.includes(word)) {
      const names = draft.script.hosts.map(({ name }) => name);
      draft.steps.push({ op: "network", change: parseNetworkChange(word, rest, names) });
    } else if (word === "dump") {
      draft.plans.push({ kind: "dump", line: draft.index, fd: rest === "" ? null : rest, step: draft.steps.length });
    } else if (word === "fork" || word === "thread") {
      const [name, parentName, flags] = rest.split(/\s+/u);
      if (draft.tasks.includes(name!))
        draft.complain(name!, `the task '${name}', which is there already`, "a new name");
      // the first task may be named here, before its first line
      if (draft.tasks.length === 0) draft.spawn(parentName!, 0, "thread");
      const parent = draft.tasks.indexOf(parentName!);
      if (parent < 0) {
        draft.complain(parentName!, `the unknown task '${parentName}'`, `one of ${draft.tasks.join(", ")}`);
      }
      draft.spawn(
        name!,
        parent,
        word === "thread" ? "thread" : "process",
        flags === undefined ? 0 : (cloneFlags(flags) ?? 0),
      );
    }
  }

  /** Calls that were never resumed must be asleep at the end. */
  #checkBlocked(): void {
    const draft = this.#draft;
    for (const [task, { plan }] of draft.flights) {
      const call = draft.plans[plan] as CallPlan;
      draft.plans[plan] = { ...call, blockedStep: draft.steps.length };
      draft.steps.push({ op: "blocked", task });
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
