/**
 * In which order did writes that overlap go into a pipe?
 *
 * What is read later tells: a write is held while other bytes are read at the place where its own would stand.
 */
import type { File } from "../kernel/fs/file.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import type { Process } from "../kernel/sched/process.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { readableBytes } from "./foresight.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { firstFile, NOTHING } from "./records.ts";

const LOOK = 400;
const READS_MAX = 8;

/** Calls that look at a pipe: which argument bounds what they get, and whether they leave it there. */
const LOOKS: ReadonlyMap<string, { readonly asked: number; readonly leaves: boolean }> = new Map([
  ["read", { asked: 2, leaves: false }],
  ["splice", { asked: 4, leaves: false }],
  ["tee", { asked: 2, leaves: true }],
]);

/** Whether what is read at the place of this write, if it went into the pipe now, is somebody else's. */
export function standsBehind(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const pipe = pipeOf(call);
  const { value, record, owner } = call;
  const [, text] = record.args;
  if (pipe === null || value === null || value <= 0 || text?.kind !== "str") return false;
  const unread = readableBytes(owner, pipe);
  if (unread === null) return false;
  let at = -unread;
  const looks = [...looksAt(machine, future, pipe)];
  // which of several readers came first is open itself
  if (looks.some(({ task }) => task !== looks[0]?.task)) return false;
  for (const { name, args, result } of looks) {
    const kind = LOOKS.get(name);
    const length = evalInt(result?.values[0] ?? NOTHING);
    if (kind === undefined || length === null || length <= 0) continue;
    const [, shown] = args;
    const bytes = shown?.kind === "str" ? shown.bytes : null;
    for (let place = Math.max(0, -at); place < Math.min(length, bytes?.length ?? 0) && at + place < value; place += 1) {
      if (at + place >= text.bytes.length) break;
      if (bytes?.[place] !== text.bytes[at + place]) return true;
    }
    // a call that got less than it asked for has seen all that was there
    const asked = evalInt(args[kind.asked] ?? NOTHING);
    if (at + length <= 0 && asked !== null && length < asked && (pipe.flags & Open.DIRECT) === 0) return true;
    if (at + length >= value) return false;
    if (!kind.leaves) at += length;
  }
  return false;
}

/** The pipe that a write goes into. */
function pipeOf({ owner, record }: ActiveCall): File | null {
  const file = record.name === "write" ? firstFile(owner, record) : null;
  return file instanceof PipeFile ? file : null;
}

/** Calls that look at the pipe and have not done so yet: those under way, and those that come. */
function* looksAt(machine: Machine, future: Lookahead, pipe: File): Generator<CallRecord, void, undefined> {
  for (const { active } of machine.tasks.values()) {
    if (active === null || !LOOKS.has(active.record.name) || active.progress === "returned") continue;
    if (firstFile(active.owner, active.record)?.inode === pipe.inode) yield active.record;
  }
  const closers = new Set<Process>();
  let count = 0;
  for (const event of future.ahead(LOOK)) {
    if (count === READS_MAX) return;
    if (event.kind !== "enter") continue;
    const { name } = event.call;
    if (!LOOKS.has(name) && name !== "close") continue;
    const reader = machine.tasks.get(event.call.task);
    const file = reader === undefined ? null : firstFile(reader, event.call);
    if (reader === undefined || file?.inode !== pipe.inode || closers.has(reader.task.process)) continue;
    if (name === "close") {
      // from here on its number may be another pipe's
      if (file.canRead) closers.add(reader.task.process);
      continue;
    }
    count += 1;
    yield event.call;
  }
}

/** Of the calls that wait, a write into the same pipe whose bytes are read next. */
export function standsBefore(
  machine: Machine,
  future: Lookahead,
  call: ActiveCall,
  held: Iterable<ActiveCall>,
): ActiveCall | null {
  const pipe = pipeOf(call);
  if (pipe === null || !standsBehind(machine, future, call)) return null;
  for (const other of held) {
    if (other !== call && pipeOf(other)?.inode === pipe.inode && !standsBehind(machine, future, other)) return other;
  }
  return null;
}
