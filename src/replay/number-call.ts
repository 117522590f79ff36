/**
 * A call that the model does not know and that gives a descriptor (`io_uring_setup`): its number is taken while the call is under
 * way, since others that overlap with it find the next one.
 */
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall } from "./active-call.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { OUTSIDE_MODEL } from "./open-call.ts";
import { noteOf } from "./records.ts";

export class NumberCall extends ActiveCall {
  readonly #machine: Machine;

  constructor(machine: Machine, owner: ReplayTask, record: CallRecord) {
    super(owner, record, OUTSIDE_MODEL, machine.ports);
    this.#machine = machine;
  }

  override start(): void {
    this.progress = "refused";
    const { owner, record, value } = this;
    const [expr] = record.result?.values ?? [];
    if (value === null || value < 0 || expr === undefined || this.errno !== null) return;
    // where the number is not the next one, the recording is believed as for every unknown call
    this.#machine.putExternal(owner, value, noteOf(expr) ?? `${record.name}()`, null, true);
  }
}
