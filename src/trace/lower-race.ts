/**
 * Lowering the part of a script that has no order: one step for the race, and behind it the steps of each task, with memory of its
 * own.
 */
import type { RaceLane } from "../syscalls/port.ts";
import type { CallLine } from "./ast.ts";
import { type Draft, QUERIES } from "./draft.ts";
import { CallEncoder } from "./encoder.ts";
import { endsByItself } from "./par.ts";
import { printExpr } from "./printer.ts";
import type { ParallelPart } from "./script.ts";
import type { CallPlan } from "./source-map.ts";

/** Lowers the lines between `#! par` and `#! join`, task by task. @returns the index of the race's step. */
export function lowerRace(draft: Draft, { from, to }: ParallelPart): number {
  const byTask = new Map<number, number[]>();
  for (let index = from; index < to; index += 1) {
    const { line } = draft.script.lines[index]!;
    draft.index = index;
    if (line.type === "comment" || line.type === "blank") continue;
    if (line.type !== "call") draft.complain("", "this line in a part without order", "whole calls only");
    const task = draft.task(line.task);
    draft.enter(line);
    const indices = byTask.get(task);
    if (indices === undefined) byTask.set(task, [index]);
    else indices.push(index);
  }
  for (const { line } of draft.script.lines.slice(to)) if (line.type === "call") draft.task(line.task);
  const lanes: RaceLane[] = [];
  const raceStep = draft.steps.length;
  draft.steps.push({ op: "race", lanes });
  for (const [task, indices] of byTask) {
    const first = draft.steps.length;
    draft.lane = task;
    for (const index of indices) racingCall(draft, index, task);
    lanes.push({ task, steps: draft.steps.length - first, spins: 0 });
    draft.racing.add(task);
  }
  draft.lane = -1;
  sleepers(draft);
  return raceStep;
}

function racingCall(draft: Draft, index: number, task: number): void {
  draft.index = index;
  const line = draft.script.lines[index]!.line as CallLine;
  const { args, result: expected } = line;
  if (QUERIES.some((name) => name === line.name)) {
    draft.complain(line.name, `'${line.name}' in a part without order`, "its place behind '#! join'");
  }
  const declared = draft.signature(line.name);
  if (declared.noReturn) draft.complain(line.name, `'${line.name}' in a part without order`, "a call that returns");
  if (line.unfinished) draft.complain("<unfinished", "half a call in a part without order", "the whole call, '= ?'");
  const [value] = expected?.values ?? [];
  if (value !== undefined && value.kind !== "var" && printExpr(value) !== "?") {
    draft.complain(printExpr(value), "a result in a part without order", "'= ?', or '= $name'");
  }
  const from = draft.steps.length;
  const encoder = new CallEncoder(draft, args, []);
  const registers = draft.registers(declared, args, false, encoder);
  const wait = endsByItself(declared.name, registers);
  const call = draft.call({ task, declared, args, registers, expected, wait }, encoder, from);
  const peeks = draft.readBack(encoder);
  const steps = { from, to: draft.steps.length };
  draft.plans.push({ ...call, peeks, resultStep: call.callStep, par: true, steps });
}

/** Who slept when the race began, and is never resumed: what has become of them belongs to the outcome. */
function sleepers(draft: Draft): void {
  for (const [task, { plan, encoder }] of draft.flights) {
    const call = draft.plans[plan] as CallPlan;
    if (call.resumedLine !== null) continue;
    const resultStep = draft.steps.length;
    draft.steps.push({ op: "blocked", task });
    const peeks = draft.readBack(encoder);
    draft.plans[plan] = { ...call, peeks, resultStep, par: true };
    draft.flights.delete(task);
    draft.racing.add(task);
  }
}
