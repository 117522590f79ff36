/**
 * Timers that are not predicted: of clocks that the model does not have (CPU time), and those that expire at a time since boot,
 * which no line tells. They take their ids all the same.
 */
import type { Process } from "../kernel/sched/process.ts";
import { ClockId, TIMER_ABSTIME } from "../kernel/uapi/time.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ReplayTask } from "./machine.ts";

const foreign = new WeakMap<Process, Set<number>>();

/** A timer_create that the model has refused. */
export function noteForeignTimer({ task }: ReplayTask, { name, args, result }: CallRecord): void {
  const created = args[2];
  if (name !== "timer_create" || (result?.errnos[0] ?? null) !== null || created?.kind !== "array") return;
  const [item] = created.items;
  const id = item === undefined ? null : evalInt(item);
  if (id === null) return;
  const { process } = task;
  setForeign(process, id);
  process.nextTimerId = Math.max(process.nextTimerId, id + 1);
}

/** Whether a call is about such a timer. */
export function namesForeignTimer({ task: { process } }: ReplayTask, { name, args }: CallRecord): boolean {
  const [timer, flags] = args;
  if (!name.startsWith("timer_") || name === "timer_create" || timer === undefined) return false;
  const id = evalInt(timer) ?? -1;
  const clock = process.posixTimers.get(id)?.clockId;
  const absolute = name === "timer_settime" && flags !== undefined && evalInt(flags) === TIMER_ABSTIME;
  if ((absolute && clock !== ClockId.REALTIME) || isCpuClock(clock)) setForeign(process, id);
  if (name === "timer_delete" && clock !== undefined) return false;
  return foreign.get(process)?.has(id) ?? false;
}

/** How much of the CPU a program has used is not told by its recording. */
function isCpuClock(clock: number | undefined): boolean {
  return clock === ClockId.PROCESS_CPUTIME_ID || clock === ClockId.THREAD_CPUTIME_ID || (clock ?? 0) < 0;
}

function setForeign(process: Process, id: number): void {
  foreign.set(process, (foreign.get(process) ?? new Set()).add(id));
}
