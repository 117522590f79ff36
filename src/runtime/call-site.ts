/**
 * The system calls as a program's calls name them: one object per call, so that counting one costs an index.
 */

import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { type Syscall, syscallTable } from "../syscalls/index.ts";

/** A row of the system call table. */
export interface CallSite {
  readonly name: SyscallName;
  /** Place in `callSites`. */
  readonly index: number;
  readonly syscall: Syscall;
}

/** Every call that the model knows. */
export const callSites: readonly CallSite[] = Object.entries(syscallTable).map(([name, syscall], index) => ({
  name: name as SyscallName,
  index,
  syscall,
}));

const byName: ReadonlyMap<string, CallSite> = new Map(callSites.map((site) => [site.name, site]));

/** @throws RangeError for a call that the model does not know. */
export function callSite(name: SyscallName): CallSite {
  const site = byName.get(name);
  if (site === undefined) throw new RangeError(`${name}: the model does not know this system call`);
  return site;
}
