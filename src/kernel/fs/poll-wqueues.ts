/**
 * What a task in poll or select stands on while it waits.
 *
 * Counterpart: `fs/select.c` (`struct poll_wqueues`, `struct poll_table_entry`, `pollwake`).
 * Each entry pins its file: a file closed meanwhile stays open until the call is over.
 */
import { assert } from "../lib/assert.ts";
import { type SleepingCall, type Task, TaskState } from "../sched/task.ts";
import { WaitQueueEntry, type WaitQueueHead } from "../sched/wait.ts";
import { DEFAULT_POLLMASK } from "../uapi/poll.ts";
import { type File, PollTable } from "./file.ts";

/** `struct poll_table_entry`. */
class PollTableEntry extends WaitQueueEntry {
  readonly pwq: PollWqueues;
  file: File | null = null;
  wait: WaitQueueHead | null = null;
  /** What the caller asked of this file: a wake whose key has none of it passes by. */
  key = 0;

  constructor(pwq: PollWqueues) {
    super();
    this.pwq = pwq;
  }

  /** `pollwake`. The entry stays on its queue. */
  override wake(key: number): boolean {
    if (key !== 0 && (key & this.key) === 0) return false;
    this.pwq.triggered = true;
    return this.pwq.task?.wakeUp() ?? false;
  }
}

export class PollWqueues extends PollTable {
  task: Task | null = null;
  /** A wake has come since the latest look at the files. */
  triggered = false;
  /** `_key`: the events asked of the file that is being polled. */
  key = 0;
  /** `_qproc` is not null: files still name their queues. */
  registering = false;
  readonly #entries: PollTableEntry[] = [];
  #used = 0;

  /** `poll_initwait`. @param wait - false for a call that will not sleep. */
  init(task: Task, wait: boolean): void {
    this.task = task;
    this.triggered = false;
    this.registering = wait;
  }

  /**
   * `vfs_poll` for a caller interested in `key`.
   *
   * @param again - the file has named its queues before `CONTENDED` stopped the look.
   * @returns a mask, or `CONTENDED`.
   * @behaviour F-29
   */
  vfsPoll(task: Task, file: File, key: number, again: boolean): number {
    if (!file.canPoll) return DEFAULT_POLLMASK;
    this.key = key;
    return file.poll(task, this.registering && !again ? this : null);
  }

  /** `__pollwait`. */
  override queue(file: File, queue: WaitQueueHead): void {
    let entry = this.#entries[this.#used];
    if (entry === undefined) {
      entry = new PollTableEntry(this);
      this.#entries.push(entry);
    }
    this.#used += 1;
    entry.file = file.get();
    entry.wait = queue;
    entry.key = this.key;
    queue.add(entry);
  }

  /** `poll_schedule_timeout`. @returns `BLOCKED`, or 0 to look again at once: a wake has come already. */
  schedule(call: SleepingCall, deadlineNs: number): number {
    const { task } = this;
    assert(task !== null, "poll: the table is not in use");
    if (!this.triggered) return task.sleep(call, TaskState.INTERRUPTIBLE, deadlineNs);
    this.triggered = false;
    return 0;
  }

  /** `poll_freewait`: may be the last to let go of a file. */
  free(): void {
    for (let i = 0; i < this.#used; i += 1) {
      const entry = this.#entries[i] as PollTableEntry;
      entry.wait?.remove(entry);
      entry.file?.put();
      entry.wait = null;
      entry.file = null;
    }
    this.#used = 0;
    this.task = null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#entries.slice(0, this.#used)];
  }
}
