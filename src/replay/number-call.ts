/**
 * Calls of which the model knows only that they give a descriptor, and which number that is (F-01). The number is taken while the
 * call is under way, since others that overlap with it find the next one.
 */

import { BLOCKED } from "../kernel/sched/task.ts";
import { Open } from "../kernel/uapi/fcntl.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type KnownCall } from "./active-call.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { noteOf, openFlags, pathOf } from "./records.ts";

const O_CLOEXEC = 0o2000000;
/** Arguments and success are not the model's affair. */
const OUTSIDE_MODEL: KnownCall = {
  signature: { name: "open", params: [], describe: null, noReturn: false },
  run: () => BLOCKED,
};

/** Their descriptors are O_PATH ones, which most calls take for closed. */
const PATH_ONLY: ReadonlySet<string> = new Set(["open_tree", "fsmount"]);

/** A call that the model does not know (`io_uring_setup`). */
export class NumberCall extends ActiveCall {
  protected readonly machine: Machine;

  constructor(machine: Machine, owner: ReplayTask, record: CallRecord) {
    super(owner, record, OUTSIDE_MODEL, machine.ports);
    this.machine = machine;
  }

  override start(): void {
    this.progress = "refused";
    const given = this.given();
    if (given === null) return;
    // where the number is not the next one, the recording is believed as for every unknown call
    const { name } = this.record;
    const flags = PATH_ONLY.has(name) ? Open.PATH : null;
    this.machine.putExternal(this.owner, this.value as number, noteOf(given) ?? `${name}()`, flags, true);
  }

  /** The descriptor as the recording shows it; null when the call failed. */
  protected given(): Expr | null {
    const [expr] = this.record.result?.values ?? [];
    return this.errno !== null || this.value === null || this.value < 0 ? null : (expr ?? null);
  }
}

/** An open of a path on the disk: whether it can be opened is the disk's affair. */
export class OpenCall extends NumberCall {
  override start(): void {
    this.progress = "returned";
    const { owner, record, machine } = this;
    const given = this.given();
    if (given === null) return;
    const flags = openFlags(record);
    this.ret = this.passedOver.length > 0 ? (this.value ?? -1) : owner.task.process.files.lowestFree();
    machine.putExternal(
      owner,
      this.value as number,
      noteOf(given) ?? absolutePath(record) ?? "/",
      flags,
      ((flags ?? 0) & O_CLOEXEC) !== 0,
    );
  }
}

/** Where the recording has no `-y` notes, an absolute path says as much. */
function absolutePath(record: CallRecord): string | null {
  const path = pathOf(record);
  return path?.startsWith("/") === true ? path : null;
}
