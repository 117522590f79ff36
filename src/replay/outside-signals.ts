/**
 * Signals that strangers send to a program which waits for them without a handler: by rt_sigtimedwait, or through a signalfd.
 *
 * strace shows no line for those; what the call that took one tells of its sender proves that it came from outside.
 */
import type { SignalfdCtx } from "../kernel/fs/signalfd.ts";
import { sendToProcess } from "../kernel/signal/send.ts";
import { SigInfo } from "../kernel/signal/sigpending.ts";
import { evalInt, exitOf, field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { callsOn } from "./arrivals.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { NOTHING } from "./records.ts";

const SIG_MAX = 64;
/** Bytes of `struct signalfd_siginfo` up to its `ssi_uid`. */
const HEAD_BYTES = 20;

/** The signal that an rt_sigtimedwait took. @returns whether a stranger has sent it now. */
export function sendAwaited(machine: Machine, { owner, record, value }: ActiveCall): boolean {
  if (record.name !== "rt_sigtimedwait" || value === null) return false;
  const info = exitOf(record.args[1] ?? NOTHING);
  if (info.kind !== "struct") return send(machine, owner, value, 0, null, 0);
  const part = (name: string): number | null => evalInt(field(info, name, -1) ?? (NOTHING as Expr));
  return send(machine, owner, value, part("si_code") ?? 0, part("si_pid"), part("si_uid") ?? 0);
}

/** The signal that the next read of a signalfd takes. @returns that read, if a stranger has sent it now; null otherwise. */
export function sendToSignalfd(
  machine: Machine,
  future: Lookahead,
  owner: ReplayTask,
  file: SignalfdCtx,
  now: CallRecord | null,
): CallRecord | null {
  for (const record of callsOn(machine, future, file, now)) {
    if (record.name !== "read") continue;
    const shown = exitOf(record.args[1] ?? NOTHING);
    if (shown.kind !== "str" || shown.bytes.length < HEAD_BYTES) return null;
    const view = new DataView(shown.bytes.buffer, shown.bytes.byteOffset);
    const [signo, code, pid, uid] = [0, 8, 12, 16].map((at) => view.getInt32(at, true)) as [
      number,
      number,
      number,
      number,
    ];
    return send(machine, owner, signo, code, pid, uid) ? record : null;
  }
  return null;
}

function send(
  machine: Machine,
  { task }: ReplayTask,
  signo: number,
  code: number,
  pid: number | null,
  uid: number,
): boolean {
  // who is in the recording would have been seen to send it, and what the kernel itself sends follows from calls
  if (signo < 1 || signo > SIG_MAX || code > 0 || (pid !== null && machine.pids.has(pid))) return false;
  const info = new SigInfo(signo, code);
  info.pid = pid ?? 0;
  info.uid = uid;
  sendToProcess(task.process, signo, info);
  return true;
}
