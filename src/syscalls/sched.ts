/**
 * Giving up the CPU: sched_yield, and what the scheduler does with tasks that are in no call.
 *
 * Counterpart: `kernel/sched/syscalls.c` (`do_sched_yield`), `kernel/sched/core.c` (`wake_up_new_task`).
 * The model has as many CPUs as runnable tasks, and a program's own computing takes no time unless it says so (`burnCpu`).
 */
import { BLOCKED, SleepingCall, type Task, TaskState } from "../kernel/sched/task.ts";

/** A task that could run and waits for its turn; `result` is what its program sees then. */
class Turn extends SleepingCall {
  readonly #result: number;

  constructor(result: number) {
    super();
    this.#result = result;
  }

  override step(_task: Task): number {
    return this.#result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#result];
  }
}

/** Puts a task that is in user mode behind all others that can run. Its body is resumed with `result`. */
export function resched(task: Task, result: number): typeof BLOCKED {
  task.sleep(new Turn(result), TaskState.UNINTERRUPTIBLE, -1);
  task.wakeUp();
  return BLOCKED;
}

/** The task computes until `untilNs`: nothing interrupts it. Its body is resumed with `result`. */
export function burnCpu(task: Task, untilNs: number, result: number): typeof BLOCKED {
  return task.sleep(new Turn(result), TaskState.UNINTERRUPTIBLE, untilNs);
}

/** sched_yield(2). @returns 0, after all others that can run have run. @kernel kernel/sched/syscalls.c `do_sched_yield` */
export function sysSchedYield(task: Task): number {
  return task.kernel.runqueue.first === null ? 0 : resched(task, 0);
}
