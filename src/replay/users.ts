/**
 * Which users a process acts as, as the calls that set or ask them show.
 *
 * Their results are not predicted: what a process may do depends on its capabilities, which the model does not have. So one that
 * keeps or sets capabilities stays privileged.
 */
import type { Process } from "../kernel/sched/process.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { mentions, NOTHING } from "./records.ts";

/** "Leave this one as it is." */
const KEEP = -1;
type Users = readonly [real: number, effective: number, saved: number];

/** What becomes of the three users, by the call's arguments; `ret` is its result. */
const CALLS: Readonly<Record<string, (now: Users, given: readonly number[], ret: number) => Users>> = {
  setuid: ([real, effective, saved], [uid = KEEP]) => (effective === 0 ? [uid, uid, uid] : [real, uid, saved]),
  setreuid: ([real, effective, saved], [r = KEEP, e = KEEP]) => {
    const euid = e === KEEP ? effective : e;
    return [r === KEEP ? real : r, euid, r !== KEEP || (e !== KEEP && e !== real) ? euid : saved];
  },
  setresuid: (now, given) => now.map((uid, i) => ((given[i] ?? KEEP) === KEEP ? uid : given[i])) as unknown as Users,
  getuid: ([, effective, saved], _given, ret) => [ret, effective, saved],
  geteuid: ([real, , saved], _given, ret) => [real, ret, saved],
};

export class FollowedUsers {
  readonly #capable = new WeakSet<Process>();

  /** A call is over that has nothing to do with the model. */
  follow(process: Process, { name, args, result }: CallRecord): void {
    const ret = evalInt(result?.values[0] ?? NOTHING);
    if (ret === null || (result?.errnos[0] ?? null) !== null) return;
    const keeps = name === "prctl" && args.some((arg) => mentions(arg, "PR_SET_KEEPCAPS"));
    if (keeps || name === "capset") this.#capable.add(process);
    const change = CALLS[name];
    if (change === undefined || this.#capable.has(process)) return;
    const given = args.map((arg) => evalInt(arg) ?? KEEP);
    const [real, effective, saved] = change([process.user.uid, process.euid, process.suid], given, ret);
    if (real !== process.user.uid && real >= 0) {
      const kernel = process.leader?.kernel;
      if (kernel !== undefined) process.user = kernel.user(real);
    }
    process.euid = effective;
    process.suid = saved;
  }
}
