/**
 * What the two tasks of `#! fork` share, written as strace writes flags: `CLONE_VM|CLONE_SIGHAND`.
 */
import { Clone } from "../kernel/uapi/sched.ts";

const FLAGS: ReadonlyMap<string, number> = new Map(Object.entries(Clone).map(([name, bit]) => [`CLONE_${name}`, bit]));

/** The forms that `cloneFlags` takes, for messages. */
export const CLONE_FLAGS_FORM: string = `${[...FLAGS.keys()].join("|")}; CLONE_SIGHAND only with CLONE_VM`;

/** @returns the bits, or null for an unknown name or what no kernel permits. */
export function cloneFlags(text: string): number | null {
  let flags = 0;
  for (const name of text.split("|")) {
    const flag = FLAGS.get(name);
    if (flag === undefined) return null;
    flags |= flag;
  }
  const isPermitted = (flags & Clone.SIGHAND) === 0 || (flags & Clone.VM) !== 0;
  return isPermitted ? flags : null;
}
