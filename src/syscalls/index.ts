/**
 * The call surface: the port for programs of steps, and the calls of one task for whoever drives the model directly.
 */
export { type ModelOptions, ModelPort, type StepWatcher } from "./model-port.ts";
export type { Port, PortProgram, PortResult, Register, Registers, Setup, Step, StepResult } from "./port.ts";
export { UserLayout } from "./port.ts";
export { type Syscall, syscallTable } from "./table.ts";
