/**
 * What a call has to wait for on its way back to its program.
 *
 * Counterpart: `kernel/task_work.c`. The one user is a socket whose last descriptor goes while SO_LINGER asks to wait for
 * the peer (C-25): the call that dropped it sleeps, whichever it was.
 */
import { BLOCKED, SleepingCall, type Task } from "./task.ts";

/** The result of a call, once all the work that stands in its way is done. */
class WorkedCall extends SleepingCall {
  readonly #works: readonly SleepingCall[];
  readonly #result: number;
  #next = 0;

  constructor(works: readonly SleepingCall[], result: number) {
    super();
    this.#works = works;
    this.#result = result;
  }

  override step(task: Task): number {
    for (; this.#next < this.#works.length; this.#next += 1) {
      task.call = null;
      if ((this.#works[this.#next] as SleepingCall).step(task) !== BLOCKED) continue;
      task.call = this;
      return BLOCKED;
    }
    return this.#result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#works, this.#result, this.#next];
  }
}

/** `task_work_run`, for a call that is about to return `result`. @returns that, or `BLOCKED`. */
export function finishTaskWork(task: Task, result: number): number {
  const { taskWorks } = task.kernel;
  if (taskWorks.length === 0) return result;
  return new WorkedCall(taskWorks.splice(0), result).step(task);
}
