/**
 * Sleeping until a condition holds.
 *
 * Counterpart: `include/linux/wait.h` (`wait_event_interruptible` and its relatives), `kernel/sched/wait.c`
 * (`prepare_to_wait_event`, `do_wait_intr_irq`).
 * The caller has found its condition false; its `SleepingCall` tests it again in each step and comes back here while it
 * does not hold. A wake has taken the entry off its queue, so whoever sleeps again queues anew; a signal leaves it.
 */
import { Errno } from "../uapi/errno.ts";
import { type BLOCKED, type SleepingCall, type Task, TaskState } from "./task.ts";
import type { WaitQueueHead } from "./wait.ts";

/** `wait_event_interruptible`: not exclusive, at the head. @errno ERESTARTSYS - a signal is pending. */
export function waitEvent(task: Task, queue: WaitQueueHead, call: SleepingCall): number {
  if (task.signalPending) return interrupted(task);
  if (task.wait.entry.list === null) queue.add(task.wait);
  return schedule(task, call);
}

/** `wait_event_interruptible_exclusive`: at the tail, one per wake. @errno ERESTARTSYS - a signal is pending. */
export function waitEventExclusive(task: Task, queue: WaitQueueHead, call: SleepingCall): number {
  if (task.signalPending) return interrupted(task);
  if (task.wait.entry.list === null) queue.addExclusive(task.wait);
  return schedule(task, call);
}

/** `wait_event_interruptible_locked_irq`: not exclusive, at the tail. @errno ERESTARTSYS - a signal is pending. */
export function waitEventLocked(task: Task, queue: WaitQueueHead, call: SleepingCall): number {
  if (task.signalPending) return interrupted(task);
  if (task.wait.entry.list === null) queue.addTail(task.wait);
  return schedule(task, call);
}

function interrupted(task: Task): number {
  task.finishWait();
  return -Errno.ERESTARTSYS;
}

function schedule(task: Task, call: SleepingCall): typeof BLOCKED {
  task.wait.mask = 0; // these sleepers take every wake, whatever its key
  return task.sleep(call, TaskState.INTERRUPTIBLE, -1);
}
