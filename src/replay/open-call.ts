/**
 * An open of a path on the disk: whether it can be opened is the disk's affair, which number it gets is not (F-01).
 */
import { BLOCKED } from "../kernel/sched/task.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type KnownCall } from "./active-call.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { noteOf, openFlags, pathOf } from "./records.ts";

const O_CLOEXEC = 0o2000000;
/** Its arguments and its success are not the model's affair. */
export const OUTSIDE_MODEL: KnownCall = {
  signature: { name: "open", params: [], describe: null, noReturn: false },
  run: () => BLOCKED,
};

/** Where the recording has no `-y` notes, an absolute path says as much. */
function absolutePath(record: CallRecord): string | null {
  const path = pathOf(record);
  return path?.startsWith("/") === true ? path : null;
}

export class OpenCall extends ActiveCall {
  readonly #machine: Machine;

  constructor(machine: Machine, owner: ReplayTask, record: CallRecord) {
    super(owner, record, OUTSIDE_MODEL, machine.ports);
    this.#machine = machine;
  }

  override start(): void {
    this.progress = "returned";
    const { owner, record, value } = this;
    const [expr] = record.result?.values ?? [];
    if (this.errno !== null || value === null || value < 0 || expr === undefined) return;
    const flags = openFlags(record);
    this.ret = owner.task.process.files.lowestFree();
    this.#machine.putExternal(
      owner,
      value,
      noteOf(expr) ?? absolutePath(record) ?? "/",
      flags,
      ((flags ?? 0) & O_CLOEXEC) !== 0,
    );
  }
}
