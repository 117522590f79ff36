/**
 * execve.
 *
 * Counterpart: `fs/exec.c` (`do_execveat_common`, `de_thread`, `begin_new_exec`).
 * There is one program: the script, which goes on behind the call. What it is told (argv, envp) nobody can see.
 */
import { Unmodelled } from "../kernel/lib/assert.ts";
import { beginNewExec } from "../kernel/sched/exec.ts";
import { SleepingCall, type Task, TaskState } from "../kernel/sched/task.ts";
import { killThread } from "../kernel/signal/send.ts";
import { getname } from "./open.ts";

const SELF = "/proc/self/exe";

/**
 * execve(2).
 *
 * @param filename - a path; only `/proc/self/exe` is a program here.
 * @errno EFAULT, ENOENT, ENAMETOOLONG - the path.
 * @throws Unmodelled - another program; a thread that is not the first of its process and would get its number.
 * @kernel fs/exec.c `do_execveat_common`
 * @behaviour E-019, F-12
 */
export function sysExecve(task: Task, filename: number, _argv: number, _envp: number): number {
  const path = getname(task, filename);
  if (typeof path === "number") return path;
  if (path !== SELF) throw new Unmodelled(`execve of ${path}`);
  const { process } = task;
  if (task !== process.leader) throw new Unmodelled("execve by a thread that is not the first of its process");
  process.groupExecTask = task;
  for (const thread of process.threads) if (thread !== task) killThread(thread);
  return new DeThread().step(task);
}

/** `de_thread`: sleeps until every other thread has gone. */
class DeThread extends SleepingCall {
  override step(task: Task): number {
    const { process } = task;
    if (process.threads.length > 1) return task.sleep(this, TaskState.UNINTERRUPTIBLE, -1);
    process.groupExecTask = null;
    beginNewExec(process);
    return 0;
  }
}
