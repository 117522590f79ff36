/**
 * clone, vfork: a new process.
 *
 * Counterpart: `kernel/fork.c` (`kernel_clone`). A child begins wherever the script says, so this is a step of a port, not a call.
 */
import { PidfdFile } from "../kernel/fs/pidfd.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Clone } from "../kernel/uapi/sched.ts";
import { installNew } from "./install.ts";

/** The release that gave `CLONE_PIDFD` its meaning; before, the bit was passed over. */
const PIDFD_SINCE = 5002;

/**
 * `kernel_clone` of a process. With `Clone.PIDFD` the parent has a pidfd of the child, which is closed on exec: since 5.2.
 *
 * @throws Unmodelled - no descriptor is free for it; a vfork by a task that sleeps.
 */
export function cloneProcess(parent: Task, comm: string, flags: number): Task {
  if ((flags & Clone.VFORK) !== 0 && parent.call !== null) throw new Unmodelled("a vfork by a task that is in a call");
  const child = parent.kernel.fork(parent, comm, flags);
  if ((flags & Clone.PIDFD) === 0 || parent.kernel.profile.version < PIDFD_SINCE) return child;
  const fd = installNew(parent, new PidfdFile(parent.kernel, child.pid, 0), true);
  if (fd < 0) throw new Unmodelled("a clone that fails");
  return child;
}
