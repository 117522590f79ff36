/**
 * Does a pipe lose its last reader before a write that overlaps, or after it?
 *
 * The write's result tells: one that has put bytes into the pipe came first.
 */
import type { File } from "../kernel/fs/file.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import type { Lookahead, TraceEvent } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { firstFile, NOTHING } from "./records.ts";

const LOOK = 400;
const WRITES: ReadonlySet<string> = new Set(["write", "writev"]);

/** Whether the close of a pipe's last reader has to wait: a write inside its interval still succeeds. */
export function stillTakesWrites(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner } = call;
  const file = record.name === "close" ? firstFile(owner, record) : null;
  if (!isLastReader(file)) return false;
  return isWritten(machine, future, new Set([file.pipe]), owner, (event) => {
    return event.kind === "exit" && event.call === record;
  });
}

/** Whether a task that is about to end is the last reader of a pipe into which a write succeeds before its end is shown. */
export function endsBehindWrites(machine: Machine, future: Lookahead, owner: ReplayTask): boolean {
  const { files } = owner.task.process;
  if (files.users > 1) return false;
  const pipes = new Set<object>();
  for (let fd = files.nextOpen(0); fd >= 0 && fd < files.end; fd = files.nextOpen(fd + 1)) {
    const file = files.getRaw(fd);
    if (isLastReader(file)) pipes.add(file.pipe);
  }
  if (pipes.size === 0) return false;
  return isWritten(machine, future, pipes, owner, (event) => event.kind === "gone" && event.line.task === owner.id);
}

function isLastReader(file: File | null): file is PipeFile {
  return file instanceof PipeFile && file.canRead && file.refs === 1 && file.pipe.readers === 1;
}

/** Whether the first result that tells of the pipes is a success. */
function isWritten(
  machine: Machine,
  future: Lookahead,
  pipes: ReadonlySet<object>,
  owner: ReplayTask,
  isEnd: (event: TraceEvent) => boolean,
): boolean {
  for (const { active } of machine.tasks.values()) {
    if (active === null || active.progress !== "idle" || active.owner === owner) continue;
    if (goesInto(active.owner, active.record, pipes) && hasWritten(active.record)) return true;
  }
  for (const event of future.ahead(LOOK)) {
    if (isEnd(event)) return false;
    if (event.kind !== "enter" || !WRITES.has(event.call.name)) continue;
    const writer = machine.tasks.get(event.call.task);
    if (writer === undefined || writer === owner || !goesInto(writer, event.call, pipes)) continue;
    return hasWritten(event.call);
  }
  return false;
}

function goesInto(writer: ReplayTask, record: CallRecord, pipes: ReadonlySet<object>): boolean {
  const file = WRITES.has(record.name) ? firstFile(writer, record) : null;
  return file instanceof PipeFile && pipes.has(file.pipe);
}

function hasWritten({ result }: CallRecord): boolean {
  return (result?.errnos[0] ?? null) === null && (evalInt(result?.values[0] ?? NOTHING) ?? 0) > 0;
}
