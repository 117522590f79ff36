/**
 * What poll and select were asked, and what they answered, as a recording prints it.
 */
import type { File } from "../kernel/fs/file.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import { entryOf, evalInt, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ReplayTask } from "./machine.ts";

interface Answer {
  readonly asked: File;
  readonly events: number;
}

/** What a recorded poll or select says of each description that it reports. */
export function* polled(owner: ReplayTask, record: CallRecord): Generator<Answer, void, undefined> {
  const shown = record.result?.output ?? null;
  if (shown?.kind !== "struct") return;
  if (record.name.includes("select")) {
    for (const part of shown.fields) {
      const events = part.kind === "named" ? (part.name === "in" ? Epoll.IN : part.name === "out" ? Epoll.OUT : 0) : 0;
      if (events !== 0 && part.kind === "named") yield* members(owner, part.value, events);
    }
    return;
  }
  yield* pollfds(owner, shown.fields[0], "revents");
}

/** The descriptions that a recorded poll or select asked whether they can be written to, and did not report so. */
export function* notWritable(owner: ReplayTask, record: CallRecord): Generator<File, void, undefined> {
  const [first, , writefds] = record.args;
  const isSelect = record.name.includes("select");
  if (!isSelect && !record.name.endsWith("poll")) return;
  const asked = isSelect ? members(owner, writefds, Epoll.OUT) : pollfds(owner, first, "events");
  const writable = new Set<File>();
  for (const answer of polled(owner, record)) if ((answer.events & Epoll.OUT) !== 0) writable.add(answer.asked);
  for (const { asked: file, events } of asked) if ((events & Epoll.OUT) !== 0 && !writable.has(file)) yield file;
}

/** `[3 5]`. */
function* members(owner: ReplayTask, set: Expr | undefined, events: number): Generator<Answer, void, undefined> {
  const inner = set === undefined ? null : entryOf(set);
  if (inner?.kind !== "array" && inner?.kind !== "set") return;
  for (const item of inner.items) {
    const asked = owner.task.process.files.getRaw(evalInt(item) ?? -1);
    if (asked !== null) yield { asked, events };
  }
}

/** `[{fd=3, revents=POLLIN}]`. */
function* pollfds(owner: ReplayTask, list: Expr | undefined, name: string): Generator<Answer, void, undefined> {
  const inner = list === undefined ? null : entryOf(list);
  for (const item of inner?.kind === "array" ? inner.items : []) {
    if (item.kind !== "struct") continue;
    const number = field(item, "fd", 0);
    const mask = field(item, name, 1);
    const asked = owner.task.process.files.getRaw(number === null ? -1 : (evalInt(number) ?? -1));
    const events = mask === null ? null : evalInt(mask);
    if (asked !== null && events !== null) yield { asked, events };
  }
}
