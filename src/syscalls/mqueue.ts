/**
 * mq_open.
 *
 * Counterpart: `ipc/mqueue.c`.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { getname } from "./open.ts";
import { toInt, toUint } from "./registers.ts";

/**
 * mq_open(2). The name has no slash here: libc takes it off. The descriptor is always close-on-exec.
 *
 * @errno EFAULT, ENAMETOOLONG, ENOENT - the name. EMFILE - no descriptor is free. The rest: `Mqueues.open`.
 * @throws Unmodelled with attributes.
 * @kernel ipc/mqueue.c `do_mq_open`
 * @behaviour O-07
 */
export function sysMqOpen(task: Task, nameAddr: number, flags: number, mode: number, attr: number): number {
  if (attr !== 0) throw new Unmodelled("mq_open with attributes");
  const name = getname(task, nameAddr);
  if (typeof name === "number") return name;
  const { files } = task.process;
  if (files.lowestFree() >= files.nofile) return -Errno.EMFILE;
  const file = task.kernel.mqueues.open(task, name, toInt(flags), toUint(mode));
  return typeof file === "number" ? file : files.install(file, true);
}
