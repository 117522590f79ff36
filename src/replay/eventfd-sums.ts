/**
 * Which of the writes that overlap with a read of an eventfd came before it.
 *
 * A read takes the sum of everything that was written since the one before it. Writers that overlap with the reader may fall on
 * either side, and the recorded sum tells which ones it has taken. So such writes are held until the reader, or the first of them,
 * ends: then a selection is looked for that makes the sum up, and the earliest to end go first.
 */
import { EventfdCtx } from "../kernel/fs/eventfd.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { firstFile, NOTHING } from "./records.ts";

const COUNT_SIZE = 8;
/** Larger sums, and more writers, are not searched. */
const SUM_MAX = 1 << 20;
const ADDENDS_MAX = 1024;
const BITS = 32;
const LOOK = 400;

/** The number in a whole read or write of an eventfd; null for any other call, and for numbers beyond the search. */
function countOf(record: CallRecord): number | null {
  const text = record.args[1];
  if (evalInt(record.result?.values[0] ?? NOTHING) !== COUNT_SIZE) return null;
  if (text?.kind !== "str" || text.bytes.length !== COUNT_SIZE) return null;
  const view = new DataView(text.bytes.buffer, text.bytes.byteOffset);
  const low = view.getUint32(0, true);
  return view.getUint32(4, true) === 0 && low <= SUM_MAX ? low : null;
}

function counter(call: ActiveCall): EventfdCtx | null {
  const file = firstFile(call.owner, call.record);
  return file instanceof EventfdCtx && !file.semaphore ? file : null;
}

/** Whether a write waits for what a read that overlaps with it has taken. */
export function waitsForSum(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  if (call.record.name !== "write") return false;
  const file = counter(call);
  const own = file === null ? null : countOf(call.record);
  if (file === null || own === null || file.high !== 0) return false;
  const isOther = (record: CallRecord): boolean => {
    const taken = record.name === "read" ? countOf(record) : null;
    return taken !== null && taken !== file.low + own;
  };
  if (readersOf(machine, file).some(({ record }) => isOther(record))) return true;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === call.record) return false;
    if (event.kind !== "enter" || event.call.name !== "read") continue;
    const reader = machine.tasks.get(event.call.task);
    if (reader !== undefined && firstFile(reader, event.call) === file) return isOther(event.call);
  }
  return false;
}

/** Reads of the counter that are under way and have not got it. */
function readersOf(machine: Machine, file: EventfdCtx): ActiveCall[] {
  const readers: ActiveCall[] = [];
  for (const { active } of machine.tasks.values()) {
    if (active === null || active.record.name !== "read" || active.progress === "returned") continue;
    if (firstFile(active.owner, active.record) === file) readers.push(active);
  }
  return readers;
}

/**
 * A write or a read of an eventfd ends. Who has taken what by then?
 *
 * @param held - calls that have been entered and have not taken effect.
 * @returns a read, and the writes that it counts; null when no selection makes its sum up.
 */
export function findSum(
  machine: Machine,
  call: ActiveCall,
  held: Iterable<ActiveCall>,
): { readonly read: ActiveCall; readonly writes: ActiveCall[] } | null {
  const file = counter(call);
  if (file === null || file.high !== 0) return null;
  const readers = call.record.name === "read" ? [call] : readersOf(machine, file);
  if (readers.length === 0) return null;
  const writes = [...held].filter((other) => other.record.name === "write" && counter(other) === file);
  writes.sort((first, second) => (first.record.exitLine ?? Infinity) - (second.record.exitLine ?? Infinity));
  for (const read of readers) {
    const taken = countOf(read.record);
    const chosen = taken === null || taken < file.low ? null : select(writes, taken - file.low);
    if (chosen !== null && (taken ?? 0) > 0) return { read, writes: chosen };
  }
  return null;
}

/** Some of the writes that add up to a number; the first ones if there is a choice. */
function select(writes: readonly ActiveCall[], sum: number): ActiveCall[] | null {
  if (sum === 0) return [];
  const counts = writes.slice(0, ADDENDS_MAX).map(({ record }) => countOf(record) ?? 0);
  const words = (sum >>> 5) + 1;
  // what the writes from each place on can add up to
  const reachable: Uint32Array[] = new Array(counts.length + 1);
  let later = new Uint32Array(words);
  later[0] = 1;
  reachable[counts.length] = later;
  for (let at = counts.length - 1; at >= 0; at -= 1) {
    later = withAddend(later, counts[at] as number);
    reachable[at] = later;
  }
  if (!has(later, sum)) return null;
  const chosen: ActiveCall[] = [];
  let rest = sum;
  for (const [at, count] of counts.entries()) {
    if (count === 0 || count > rest || !has(reachable[at + 1] as Uint32Array, rest - count)) continue;
    chosen.push(writes[at] as ActiveCall);
    rest -= count;
  }
  return chosen;
}

function has(sums: Uint32Array, sum: number): boolean {
  return (((sums[sum >>> 5] as number) >>> (sum & (BITS - 1))) & 1) === 1;
}

/** The same sums, and each of them with one number more. */
function withAddend(sums: Uint32Array<ArrayBuffer>, addend: number): Uint32Array<ArrayBuffer> {
  const result = sums.slice();
  const skip = addend >>> 5;
  const shift = addend & (BITS - 1);
  for (let word = sums.length - 1; word >= skip; word -= 1) {
    const high = (sums[word - skip] as number) << shift;
    const low = shift === 0 || word === skip ? 0 : (sums[word - skip - 1] as number) >>> (BITS - shift);
    result[word] = (result[word] as number) | high | low;
  }
  return result;
}
