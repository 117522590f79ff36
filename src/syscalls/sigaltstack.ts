/**
 * sigaltstack(2): kept and told, without effect. Handlers are no code here, so none runs on a stack.
 *
 * Counterpart: `kernel/signal.c` (`do_sigaltstack`).
 */
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { Ss } from "../kernel/uapi/signal.ts";
import { toInt } from "./registers.ts";

const MINSIGSTKSZ = 2048;
const STACK_T_SIZE = 24;

const scratch = new Uint8Array(STACK_T_SIZE);
const view = new DataView(scratch.buffer);

/**
 * sigaltstack(2).
 *
 * @param uss - address of the new stack, or 0. @param uoss - where to store the old one, or 0.
 * @errno EINVAL - the flags. ENOMEM - too small. EFAULT - an address; a new stack holds all the same.
 * @kernel kernel/signal.c `sigaltstack`
 */
export function sysSigaltstack(task: Task, uss: number, uoss: number): number {
  const { mm } = task.process;
  const old = task.sigaltstack;
  if (uss !== 0) {
    if (mm.copyFromUser(scratch, 0, uss, STACK_T_SIZE) < STACK_T_SIZE) return mm.fault();
    const error = set(task);
    if (error !== 0) return error;
  }
  if (uoss === 0) return 0;
  view.setBigUint64(0, BigInt(old?.sp ?? 0), true);
  view.setInt32(8, old?.flags ?? Ss.DISABLE, true);
  view.setUint32(12, 0, true);
  view.setBigUint64(16, BigInt(old?.size ?? 0), true);
  return mm.copyToUser(uoss, scratch, 0, STACK_T_SIZE) < STACK_T_SIZE ? mm.fault() : 0;
}

/** What `scratch` holds becomes the stack. */
function set(task: Task): number {
  const flags = toInt(view.getUint32(8, true));
  const mode = flags & ~Ss.AUTODISARM;
  if (mode !== Ss.DISABLE && mode !== Ss.ONSTACK && mode !== 0) return -Errno.EINVAL;
  if (mode === Ss.DISABLE) {
    task.sigaltstack = (flags & Ss.AUTODISARM) === 0 ? null : { sp: 0, flags, size: 0 };
    return 0;
  }
  const size = Number(view.getBigUint64(16, true));
  if (size < MINSIGSTKSZ) return -Errno.ENOMEM;
  task.sigaltstack = { sp: Number(view.getBigUint64(0, true)), flags, size };
  return 0;
}
