/**
 * Programs on the model: processes and threads that make system calls, run to the end in virtual time.
 */
export { Epoll, EpollCtl } from "../kernel/uapi/epoll.ts";
export { Errno, errnoName } from "../kernel/uapi/errno.ts";
export { Fcntl, Open } from "../kernel/uapi/fcntl.ts";
export { Sig } from "../kernel/uapi/signal.ts";
export { Af, Msg, Shut, SOL_SOCKET, SOL_TCP, So, Sock } from "../kernel/uapi/socket.ts";
export { ClockId, Tfd } from "../kernel/uapi/time.ts";
export type { SyscallName } from "../kernel/uapi/unistd.ts";
export { BLOCKED, type LinkOptions, TaskState } from "../syscalls/index.ts";
export {
  acceptThreads,
  CallFailed,
  checked,
  connectTcp,
  type ListenOptions,
  listenTcp,
  readFull,
  writeAll,
} from "./blocking.ts";
export type { Counters } from "./costs.ts";
export {
  type CallTracer,
  Machine,
  type MachineOptions,
  type ProcessOptions,
  type Sleeper,
} from "./machine.ts";
export { BufferPool, DEFAULT_TIERS, type Tier, type TierStats } from "./pool/buffer-pool.ts";
export {
  type ConnectionLimits,
  ConnectionPool,
  type Leak,
  PooledConnection,
  type PoolHost,
  type PoolStats,
} from "./pool/connection-pool.ts";
export {
  type Cell,
  defineProgram,
  type Figures,
  type Host,
  type Main,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
  type ProgramDefinition,
  type Runnable,
} from "./program.ts";
export { Acceptor, Connection } from "./reactor/connection.ts";
export { Reactor, type ReactorOptions, type Trigger, Watcher } from "./reactor/reactor.ts";
export { Timer, Timers } from "./reactor/timers.ts";
export { Syscalls } from "./syscalls.ts";
export {
  type Blocking,
  type Program,
  ProgramError,
  type ProgramFunction,
  type StepProgram,
  Thread,
  type ThreadBody,
} from "./thread.ts";
export { EpollEvents, type Pointer, SockaddrIn, UserBuffer, UserMemory } from "./user-memory.ts";
