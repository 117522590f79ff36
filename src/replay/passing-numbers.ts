/**
 * Numbers that a failing call has for a while: open and accept take theirs before they look (`get_unused_fd_flags`), and give it
 * back. Whoever asks for a number meanwhile, in another thread, gets a higher one.
 */
import type { FdTable } from "../kernel/fs/fdtable.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { OPENS } from "./knowledge.ts";
import type { Machine } from "./machine.ts";

/** Failed calls of one table that are kept: as many threads may open at once. */
const KEPT = 64;
/** Errors of accept that come before it takes a number. */
const EARLY: ReadonlySet<string> = new Set("EBADF EINVAL EMFILE ENFILE".split(" "));

export class PassingNumbers {
  readonly #recent = new WeakMap<FdTable, CallRecord[]>();

  /** A call has ended. */
  note(files: FdTable, record: CallRecord): void {
    if (record.whole || !hasPassed(record)) return; // nothing of another task stands inside a whole line
    const recent = this.#recent.get(files) ?? [];
    recent.push(record);
    if (recent.length > KEPT) recent.shift();
    this.#recent.set(files, recent);
  }

  /**
   * The free numbers below the one that a call was given, if so many calls that overlap with it may have had them.
   *
   * @param from - the lowest number that would have done.
   */
  below(machine: Machine, { owner, record, descriptors }: ActiveCall, from: number): readonly number[] {
    const { files } = owner.task.process;
    const [fd] = descriptors;
    if (fd === undefined || record.whole) return [];
    const entry = record.entryLine ?? 0;
    let passing = (this.#recent.get(files) ?? []).filter(({ exitLine }) => (exitLine ?? 0) > entry).length;
    for (const { active, task } of machine.tasks.values()) {
      if (active !== null && active.owner !== owner && task.process.files === files && hasPassed(active.record))
        passing += 1;
    }
    const free: number[] = [];
    for (let next = files.lowestFree(from); next < fd; next = files.lowestFree(next + 1)) {
      if (free.length === passing) return [];
      free.push(next);
    }
    return free;
  }
}

function hasPassed({ name, result }: CallRecord): boolean {
  const errno = result?.errnos[0] ?? null;
  return errno !== null && (OPENS.has(name) || (name.startsWith("accept") && !EARLY.has(errno)));
}
