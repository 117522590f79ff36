/**
 * Sleepers that a signal is about to end in vain.
 *
 * Had a write, or whatever else would have woken them, taken effect before, they would have returned with it.
 */
import { TaskState } from "../kernel/sched/task.ts";
import type { ActiveCall } from "./active-call.ts";
import { filesAsked, firstFile } from "./records.ts";
import { reaches } from "./relations.ts";

/** Results that a signal causes. */
export const INTERRUPTED: ReadonlySet<string> = new Set(
  "EINTR ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ERESTART_RESTARTBLOCK".split(" "),
);

/**
 * Whether a call has to wait until a sleeper has ended, which overlaps with it and would have been woken.
 *
 * @param sleepers - those that are recorded as interrupted.
 */
export function wouldWake(call: ActiveCall, sleepers: Iterable<ActiveCall>): boolean {
  const { owner, record } = call;
  for (const sleeper of sleepers) {
    if (sleeper.progress !== "sleeping" || sleeper.owner.task.state === TaskState.RUNNING) continue;
    if ((sleeper.record.exitLine ?? 0) > (record.exitLine ?? 0)) continue;
    const file = firstFile(owner, record);
    if (file === null) return false;
    for (const asked of filesAsked(sleeper.owner, sleeper.record)) {
      if (asked !== file && reaches(file, asked)) return true;
      if (asked === file && asked.inode === asked.kernel.anonInode && record.name !== "epoll_ctl") return true;
    }
  }
  return false;
}
