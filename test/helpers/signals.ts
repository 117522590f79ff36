/** A machine for tests of signals: calls go through the front door, so signals are dealt with on the way out. */
import { BLOCKED, type Task, TaskState } from "../../src/kernel/sched/task.ts";
import { Sig } from "../../src/kernel/uapi/signal.ts";
import type { SyscallName } from "../../src/kernel/uapi/unistd.ts";
import { doSyscall } from "../../src/syscalls/entry.ts";
import { syscallTable } from "../../src/syscalls/table.ts";
import { ARENA, Machine, Outcome, shown } from "./files.ts";

export const HANDLER = 1000;
const SCRATCH: number = ARENA + 0x8000;

export class SignalMachine extends Machine {
  readonly outcomes: Map<Task, Outcome> = new Map();

  /** One call; `"asleep"` when it sleeps, `"gone"` when the task died in it. */
  sys(task: Task, name: SyscallName, ...args: number[]): number | string {
    const syscall = syscallTable[name];
    if (syscall === undefined) throw new Error(`${name} is not modelled`);
    const outcome = new Outcome();
    task.body = outcome;
    this.outcomes.set(task, outcome);
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args;
    const result = doSyscall(task, syscall, a, b, c, d, e, f);
    outcome.result = result === BLOCKED ? null : result;
    this.kernel.settle();
    return this.result(task);
  }

  /** What became of a task's latest call. */
  result(task: Task): number | string {
    if (task.state === TaskState.DEAD) return "gone";
    const result = this.outcomes.get(task)?.result ?? null;
    return result === null ? "asleep" : shown(result);
  }

  call(name: SyscallName, ...args: number[]): number | string {
    return this.sys(this.task, name, ...args);
  }

  /** `[USR1]`: the address of a set. */
  set(...sigs: number[]): number {
    this.poke64(
      SCRATCH,
      sigs.reduce((mask, sig) => mask | (1n << BigInt(sig - 1)), 0n),
    );
    return SCRATCH;
  }

  handle(sig: number, handler = HANDLER, flags = 0n, mask = 0n, task: Task = this.task): void {
    this.poke64(SCRATCH + 64, handler, flags, 0, mask);
    if (this.sys(task, "rt_sigaction", sig, SCRATCH + 64, 0, 8) !== 0) throw new Error("rt_sigaction failed");
  }

  block(task: Task, ...sigs: number[]): void {
    this.sys(task, "rt_sigprocmask", 0, this.set(...sigs), 0, 8);
  }

  blocked(task: Task): number[] {
    return members(task.blocked);
  }

  /** `rt_sigpending`. */
  pending(task: Task): number[] {
    this.sys(task, "rt_sigpending", SCRATCH, 8);
    const word = this.peek64(SCRATCH);
    return Array.from({ length: Sig.MAX }, (_, i) => i + 1).filter((sig) => (word >> BigInt(sig - 1)) & 1n);
  }

  handled(task: Task, sig: number): number {
    return task.handled.get(sig) ?? 0;
  }

  fork(name = "child"): Task {
    return this.kernel.fork(this.task, name);
  }
}

function members(set: { has(sig: number): boolean }): number[] {
  return Array.from({ length: Sig.MAX }, (_, i) => i + 1).filter((sig) => set.has(sig));
}
