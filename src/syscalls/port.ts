/**
 * The port: the one call surface that the model and a real kernel both implement.
 *
 * A program for the port is a list of steps in machine terms: system call numbers, registers, and the bytes of user
 * memory. Whoever lowers a script to steps (src/trace) and whoever reads the results back does it once, for both worlds;
 * only the execution differs. Addresses are the same in both worlds (see `UserLayout`), so a pointer that faults here
 * faults there.
 *
 * Units: addresses and lengths in bytes, times in ns.
 */
import type { LinkOptions } from "../kernel/net/link.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";

/**
 * The user address space of a script. Everything outside these ranges is unmapped in both worlds.
 *
 * `arena` is read-write. `readOnly` is one page that can be read, not written. `frozen` is a row of pages that are
 * missing until a `thaw` step: the first access blocks in the middle of the call (userfaultfd on a real kernel).
 * `edgeEnd` is the first unmapped byte behind the last page of `edge`: a buffer at `edgeEnd - n` has room for n bytes.
 */
export const UserLayout = {
  pageSize: 4096,
  arena: 0x2_0000_0000,
  arenaBytes: 0x100_0000,
  edge: 0x2_1000_0000,
  edgeEnd: 0x2_1001_0000,
  readOnly: 0x2_2000_0000,
  frozen: 0x2_3000_0000,
  frozenPages: 16,
  /** A user address that is never mapped. */
  bad: 0x2_4000_0000,
  /** The lowest address that no user pointer may have (`access_ok` refuses it). */
  kernel: 0xffff_8000_0000_0000,
} as const;

/** A register: an integer (negative: two's complement), or the value that a slot holds when the step runs. */
export type Register = number | { readonly slot: number };

/** Registers of one call, at most six; missing ones are 0. */
export type Registers = readonly Register[];

/**
 * One step. `task` is the index of a task: 0 is there from the beginning, others after their `spawn`.
 *
 * - `poke`: put bytes into user memory. `pokeSlot`: put a slot's value there, little-endian.
 * - `call`: enter a call. With `wait` the step ends when the call has returned; without, also when it sleeps.
 *   `slot` receives the result.
 * - `await`: wait until the call that the task is in has returned.
 * - `blocked`: report whether the task is still inside its call (`ret` null) or has returned.
 * - `peek`: read user memory. `peekSlot`: set a slot from 4 bytes of user memory (the numbers of a new pipe).
 * - `thaw`: let the blocked access to frozen page `page` (0-based) go on, with a page of zeros.
 * - `spawn`: a new task: a thread of `parent`, or a process forked from it (descriptor table copied).
 * - `fdinfo`: text of /proc/self/fdinfo of descriptor `fd` in the task's process.
 * - `pollMask`: what poll(2) reports for `fd` with every event asked, without sleeping.
 * - `network`: change what lies between the machines of `Setup.hosts`.
 * - `settle`: wait until every task has returned or sleeps.
 * - `race`: the steps behind it have no order between the lanes: the first `lanes[0].steps` of them belong to the first lane, the
 *   next to the second, and so on; only calls and memory steps may stand there. The step ends when every lane is at its end
 *   or sleeps for ever. Inside, `wait` says that a call comes back by itself at last (a time-out). A call that sleeps at the
 *   end, and one behind it, have a null `ret`.
 */
export type Step =
  | { readonly op: "poke"; readonly addr: number; readonly bytes: Uint8Array }
  | { readonly op: "pokeSlot"; readonly addr: number; readonly size: 4 | 8; readonly slot: number }
  | {
      readonly op: "call";
      readonly task: number;
      readonly name: SyscallName;
      readonly args: Registers;
      readonly wait: boolean;
      readonly slot: number | null;
    }
  | { readonly op: "await"; readonly task: number }
  | { readonly op: "blocked"; readonly task: number }
  | { readonly op: "peek"; readonly addr: number; readonly length: number }
  | { readonly op: "peekSlot"; readonly addr: number; readonly slot: number }
  | { readonly op: "thaw"; readonly page: number }
  | {
      readonly op: "spawn";
      readonly task: number;
      readonly parent: number;
      readonly as: "thread" | "process";
      readonly flags: number;
    }
  | { readonly op: "fdinfo"; readonly task: number; readonly fd: Register }
  | { readonly op: "pollMask"; readonly task: number; readonly fd: Register }
  | { readonly op: "network"; readonly change: NetworkChange }
  | { readonly op: "settle" }
  | { readonly op: "race"; readonly lanes: readonly RaceLane[] };

/** The calls of one task in a race. */
export interface RaceLane {
  readonly task: number;
  /** How many of the following steps are its own. */
  readonly steps: number;
  /** Rounds of a busy loop in front of its first call, on a real kernel. */
  readonly spins: number;
}

/** A machine of a program that has several; its addresses with the bits of their networks' prefixes (null: 24, or 64). */
export interface HostSetup {
  readonly name: string;
  readonly addresses: readonly { readonly bytes: Uint8Array; readonly prefix: number | null }[];
}

/**
 * A change of the network, between machines by their names: a link is made or gets other properties; nothing gets through any
 * more, or everything again, in both directions or one; the next packets of one direction get lost.
 */
export type NetworkChange =
  | { readonly what: "link"; readonly from: string; readonly to: string; readonly options: Partial<LinkOptions> }
  | { readonly what: "partition" | "heal"; readonly from: string; readonly to: string; readonly oneWay: boolean }
  | { readonly what: "drop"; readonly from: string; readonly to: string; readonly count: number };

/** What the machine must look like before the first step; everything is undone after the last. */
export interface Setup {
  /** Run as this uid; 0 or null keeps the caller's. A uid of its own starts with empty per-user quotas. */
  readonly uid: number | null;
  /** `RLIMIT_NOFILE` (soft), or null for 1024. */
  readonly nofile: number | null;
  /** Sysctls by name with dots, e.g. `fs.epoll.max_user_watches`. */
  readonly sysctls: ReadonlyMap<string, string>;
  /**
   * Several machines, on each a first process: task i is that of host i. All of them see the same user memory. Empty for one
   * machine, whose first task is task 0. Real kernels cannot have any.
   */
  readonly hosts: readonly HostSetup[];
  /** How many slots the steps use. */
  readonly slots: number;
  /** Longest time the whole program may take on a real kernel; then it is killed and `timeout` is reported. */
  readonly watchdogNs: number;
}

export interface PortProgram {
  readonly setup: Setup;
  readonly steps: readonly Step[];
}

/**
 * What a step gave.
 *
 * - `ret`: result of the call that the step entered or awaited (negative errno on failure); null while it sleeps, and
 *   for steps that have no result.
 * - `bytes`: memory (`peek`) or text (`fdinfo`) read; null if the memory could not be read.
 * - `woke`: tasks whose earlier, sleeping call returned during this step, ascending. Their result comes with `await`.
 */
export interface StepResult {
  readonly ret: number | null;
  readonly bytes: Uint8Array | null;
  readonly woke: readonly number[];
}

/** The end of a program: `done`; a step that a world cannot execute (`unsupported`); or the watchdog fired. */
export interface PortResult {
  readonly steps: readonly StepResult[];
  readonly end: "done" | "unsupported" | "timeout" | "crashed";
  /** Why, in words, unless `done`. */
  readonly reason: string;
}

/** Many runs of one program: the different results, and how often each came up. */
export interface RaceTally {
  readonly runs: number;
  readonly results: readonly { readonly count: number; readonly result: PortResult }[];
}

/** A world that can execute programs: the model (`ModelPort`) or a real kernel (`NativePort`). */
export interface Port {
  run(program: PortProgram): Promise<PortResult>;
  close(): Promise<void>;
}
