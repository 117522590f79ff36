/**
 * Signals about files: who is told, with which signal, and when.
 *
 * Counterpart: `fs/fcntl.c` (`f_setown`, `send_sigio`, `send_sigurg`, `kill_fasync`), `sock_wake_async` of `net/socket.c`.
 * Modelled: pipes, FIFOs, and what a socket has to read. Not modelled: that a socket has room again (`SOCK_WAKE_SPACE`), terminals,
 * inotify, process groups as owners.
 */

import type { Pid } from "../sched/pid.ts";
import type { Task } from "../sched/task.ts";
import { sendToProcess, sendToTask } from "../signal/send.ts";
import { SigInfo } from "../signal/sigpending.ts";
import { Open } from "../uapi/fcntl.ts";
import { Sig } from "../uapi/signal.ts";
import type { File } from "./file.ts";

/** `POLL_IN` and so on: `si_code` of a signal about a file. */
export const Band = { IN: 1, OUT: 2, MSG: 3, ERR: 4, PRI: 5, HUP: 6 } as const;
/** `band_table`: the poll mask that each of them stands for. */
const BAND_MASKS: readonly number[] = [0, 0x41, 0x304, 0x441, 0x8, 0x82, 0x18];
/** Their signals have codes of their own, so a file cannot use those. */
const SPECIFIC: ReadonlySet<number> = new Set<number>([
  Sig.ILL,
  Sig.FPE,
  Sig.SEGV,
  Sig.BUS,
  Sig.TRAP,
  Sig.CHLD,
  Sig.SYS,
]);
const SI_SIGIO = -5;

/** `struct fown_struct`, with the number that FIOASYNC or F_SETFL was called with. */
export class FileOwner {
  /** Null for nobody. */
  pid: Pid | null = null;
  /** `PIDTYPE_PID`: a thread alone. */
  isThread = false;
  /** 0 for SIGIO without anything told. */
  signum = 0;
  /** `fa_fd`. */
  fd = -1;
  /** Who has set it. */
  uid = 0;
  euid = 0;

  /** `__f_setown`. */
  set(task: Task, pid: Pid | null, isThread: boolean): void {
    this.pid = pid;
    this.isThread = isThread;
    this.uid = task.process.user.uid;
    this.euid = task.process.euid;
  }
}

/** `kill_fasync` for one file: its owner hears what happened, if it asked for signals. */
export function killFasync(file: File, band: number): void {
  const { fown } = file;
  if (fown === null || (file.flags & Open.ASYNC) === 0) return;
  const target = ownerTask(fown);
  if (target === null) return;
  if (fown.signum === 0) deliver(fown, target, Sig.IO, SigInfo.fromKernel(Sig.IO));
  else deliver(fown, target, fown.signum, bandInfo(fown, band));
}

/** `send_sigurg`, `sk_send_sigurg`: an urgent byte came. The owner is told with SIGURG, and then as of anything else. */
export function sendSigurg(file: File): void {
  const { fown } = file;
  const target = fown === null ? null : ownerTask(fown);
  if (fown === null || target === null) return;
  deliver(fown, target, Sig.URG, SigInfo.fromKernel(Sig.URG));
  killFasync(file, Band.PRI);
}

/** Null when there is none, or the owner may not be told: `sigio_perm`. */
function ownerTask(fown: FileOwner): Task | null {
  const target = fown.pid?.task ?? null;
  if (target === null) return null;
  const { suid, user } = target.process;
  const allowed = fown.euid === 0 || [fown.euid, fown.uid].some((uid) => uid === suid || uid === user.uid);
  return allowed ? target : null;
}

function deliver(fown: FileOwner, target: Task, sig: number, info: SigInfo): void {
  if (fown.isThread) sendToTask(target, sig, info);
  else sendToProcess(target.process, sig, info);
}

/** `send_sigio_to_task` with F_SETSIG: which file, and what. */
function bandInfo(fown: FileOwner, band: number): SigInfo {
  const { signum } = fown;
  const info = new SigInfo(signum, signum !== Sig.IO && SPECIFIC.has(signum) ? SI_SIGIO : band);
  info.band = BAND_MASKS[band] as number;
  info.fd = fown.fd;
  return info;
}
