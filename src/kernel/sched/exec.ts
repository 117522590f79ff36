/**
 * What a process does not take along into another program, and what it stops sharing.
 *
 * Counterpart: `fs/exec.c` (`begin_new_exec`), `fs/file.c` (`do_close_on_exec`), `kernel/signal.c` (`flush_signal_handlers`).
 * The signal mask, pending signals and the interval timer stay. Other threads are the caller's business: Linux ends them first.
 */
import { Sig, Ss } from "../uapi/signal.ts";
import type { Process } from "./process.ts";
import type { Task } from "./task.ts";

/** execve has succeeded: close-on-exec descriptors, handlers and timers that send signals are gone. */
export function beginNewExec(process: Process): void {
  const { posixTimers } = process;
  process.exitSignal = Sig.CHLD; // `de_thread`
  unshareFiles(process);
  process.privateFutexes = new Map();
  for (const task of process.threads) task.vforkDone?.complete();
  unshareSighand(process);
  const { files } = process;
  for (const timer of posixTimers.values()) timer.delete();
  files.closeMany(0, files.end, (fd) => files.cloexec(fd));
  process.sighand.flushHandlers();
  for (const task of process.threads) forgetSigaltstack(task);
}

/** The stack goes, the flag that it disarms itself stays. */
function forgetSigaltstack(task: Task): void {
  const { sigaltstack } = task;
  if (sigaltstack === null) return;
  const kept = sigaltstack.flags & Ss.AUTODISARM;
  task.sigaltstack = kept === 0 ? null : { sp: 0, flags: Ss.DISABLE | kept, size: 0 };
}

/** `unshare_sighand`: handlers that other processes use, too, are copied. */
function unshareSighand(process: Process): void {
  const { sighand } = process;
  if (sighand.users === 1) return;
  sighand.users -= 1;
  process.sighand = sighand.clone();
}

/** `unshare_files`: a table that other processes use, too, is copied. */
export function unshareFiles(process: Process): void {
  const { files } = process;
  if (files.users === 1) return;
  files.users -= 1;
  process.files = files.clone();
}
