/**
 * Making a call: the way into the kernel, and the signals on the way out.
 *
 * Counterpart: `arch/x86/entry/common.c` (`do_syscall_64`), `kernel/entry/common.c` (`syscall_exit_to_user_mode`).
 * Whoever executes programs makes their calls through here. A function of the system call table, called directly, does the
 * same but for signals: nothing is delivered before the next step of the machine, and no call is made again.
 */
import { BLOCKED, type SyscallRegs, type Task } from "../kernel/sched/task.ts";
import type { Syscall } from "./table.ts";

/** A call with its registers: kept while the task sleeps in it, in case that a signal makes it begin again. */
class Regs implements SyscallRegs {
  syscall: Syscall;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  e = 0;
  f = 0;

  constructor(syscall: Syscall) {
    this.syscall = syscall;
  }

  execute(task: Task): number {
    return this.syscall(task, this.a, this.b, this.c, this.d, this.e, this.f);
  }
}

/**
 * One call of a task that is in user mode.
 *
 * @returns the result that the program sees, a negative errno, or `BLOCKED`: the task sleeps in the call, has stopped, or is
 *   no more (`task.state`).
 * @behaviour E-121, E-124, E-128
 */
export function doSyscall(
  task: Task,
  syscall: Syscall,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
): number {
  const result = syscall(task, a, b, c, d, e, f);
  if (result !== BLOCKED && !task.signalPending) return result;
  const regs = task.regs instanceof Regs ? task.regs : new Regs(syscall);
  task.regs = regs;
  regs.syscall = syscall;
  regs.a = a;
  regs.b = b;
  regs.c = c;
  regs.d = d;
  regs.e = e;
  regs.f = f;
  return result === BLOCKED ? BLOCKED : task.kernel.exitToUserMode(task, result);
}
