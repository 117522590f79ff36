/**
 * A number that stands for a task, and outlives it for whoever holds a pidfd.
 *
 * Counterpart: `struct pid` of `include/linux/pid.h`, `kernel/pid.c`.
 */
import type { Task } from "./task.ts";
import { WaitQueueHead } from "./wait.ts";

export class Pid {
  readonly nr: number;
  /** `PIDTYPE_PID`: null once the task has been reaped. */
  task: Task | null;
  /** `wait_pidfd`: who polls a pidfd. */
  readonly waitPidfd: WaitQueueHead = new WaitQueueHead();

  constructor(nr: number, task: Task) {
    this.nr = nr;
    this.task = task;
  }
}
