/**
 * The call surface: the port for programs of steps, and the calls of one task for whoever drives the model directly.
 *
 * The runtime reaches the kernel through here alone, so what it needs to build a machine stands here too.
 */
export { type Chooser, firstChoice, seededChoice } from "../kernel/choice.ts";
export { Cluster } from "../kernel/cluster.ts";
export { NullFile } from "../kernel/fs/mem.ts";
export { Kernel } from "../kernel/kernel.ts";
export { type Mm, Prot, type Vma } from "../kernel/mm/mm.ts";
export type { LinkOptions } from "../kernel/net/link.ts";
export { kernelProfile, NEWEST } from "../kernel/profile.ts";
export type { Process } from "../kernel/sched/process.ts";
export { BLOCKED, type Task, type TaskBody, TaskState } from "../kernel/sched/task.ts";
export { doSyscall } from "./entry.ts";
export { type ModelOptions, ModelPort, type StepWatcher } from "./model-port.ts";
export type { Port, PortProgram, PortResult, Register, Registers, Setup, Step, StepResult } from "./port.ts";
export { UserLayout } from "./port.ts";
export { burnCpu, resched } from "./sched.ts";
export { type Syscall, syscallTable } from "./table.ts";
