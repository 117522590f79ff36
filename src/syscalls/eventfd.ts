/**
 * eventfd and eventfd2.
 *
 * Counterpart: `fs/eventfd.c`.
 */
import { EventfdCtx } from "../kernel/fs/eventfd.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { EventfdFlags } from "../kernel/uapi/fcntl.ts";
import { installNew } from "./install.ts";
import { toInt, toUint } from "./registers.ts";

const ALL_FLAGS = EventfdFlags.SEMAPHORE | EventfdFlags.NONBLOCK | EventfdFlags.CLOEXEC;

/**
 * eventfd2(2).
 *
 * @param count - the first count, 32 bits.
 * @returns the lowest free descriptor.
 * @errno EINVAL - an unknown flag. EMFILE - no descriptor is free.
 * @kernel fs/eventfd.c `do_eventfd`
 * @behaviour V-14
 */
export function sysEventfd2(task: Task, count: number, flags: number): number {
  const wanted = toInt(flags);
  if ((wanted & ~ALL_FLAGS) !== 0) return -Errno.EINVAL;
  const file = new EventfdCtx(task.kernel, toUint(count), wanted);
  return installNew(task, file, (wanted & EventfdFlags.CLOEXEC) !== 0);
}

/** eventfd(2): eventfd2 without flags. */
export function sysEventfd(task: Task, count: number): number {
  return sysEventfd2(task, count, 0);
}
