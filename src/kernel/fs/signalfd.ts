/**
 * signalfd: pending signals to read.
 *
 * Counterpart: `fs/signalfd.c` (`struct signalfd_ctx`), `kernel/signal.c` (`dequeue_signal`).
 * A signalfd belongs to nobody: it shows and takes the signals of whoever calls. Only the wait queue on which a poll table
 * entry stands stays that of the process that made the entry.
 */
import type { Kernel } from "../kernel.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { waitEvent } from "../sched/wait-event.ts";
import { dequeueSignal } from "../signal/deliver.ts";
import type { SigInfo } from "../signal/sigpending.ts";
import { Sigset } from "../signal/sigset.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import { Poll } from "../uapi/poll.ts";
import { File, noopSeek, type PollTable } from "./file.ts";

const EPOLLIN = Poll.IN;
/** `sizeof(struct signalfd_siginfo)`, and where its fields stand. */
const RECORD_SIZE = 128;
const At = { CODE: 8, PID: 12, FD: 20, BAND: 28, UID: 16, TID: 24, OVERRUN: 32, STATUS: 40, INT: 44, PTR: 48 } as const;
/** Before 6.10 a read took one buffer at a time: F-24. */
const READ_ITER_SINCE = 6010;

const record = new Uint8Array(RECORD_SIZE);
const view = new DataView(record.buffer);

export class SignalfdCtx extends File {
  /** `sigmask`: the signals that it does not show. */
  readonly hidden: Sigset = new Sigset();

  /** @param flags - `SFD_NONBLOCK` or 0. */
  constructor(kernel: Kernel, mask: Sigset, flags: number) {
    super(kernel, kernel.anonInode, Open.RDWR | flags);
    this.setMask(mask);
  }

  /** Shows these signals from now on. SIGKILL and SIGSTOP are left out without a word. @behaviour S-08 */
  setMask(mask: Sigset): void {
    this.hidden.set(mask);
    this.hidden.dropUnblockable();
    this.hidden.invert();
  }

  override get link(): string {
    return "anon_inode:[signalfd]";
  }

  override get hasWrite(): boolean {
    return false;
  }

  override get hasReadIter(): boolean {
    return this.kernel.profile.version >= READ_ITER_SINCE;
  }

  /** `signalfd_poll`. @behaviour S-01, S-05, S-06, E-140, E-141 */
  override poll(task: Task, pt: PollTable | null): number {
    const { sharedPending, sighand } = task.process;
    if (pt !== null) pt.queue(this, sighand.signalfdWqh);
    const { hidden } = this;
    return task.pending.signal.anyOutside(hidden) || sharedPending.signal.anyOutside(hidden) ? EPOLLIN : 0;
  }

  /**
   * `signalfd_read_iter`: as many records as fit and are there; sleeps for the first alone.
   *
   * @errno EINVAL - room for less than 128 bytes. EAGAIN - no signal. EFAULT - the buffer; the signal is gone all the same.
   * @behaviour S-02, S-03, S-09
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    if (to.count < RECORD_SIZE) return -Errno.EINVAL;
    const result = this.take(task, to);
    if (result !== 0) return result;
    return nonblock ? -Errno.EAGAIN : new SignalfdRead(this).step(task);
  }

  /** @returns bytes read, 0 when there is no signal. */
  take(task: Task, to: IovIter): number {
    let total = 0;
    while (to.count >= RECORD_SIZE) {
      const info = dequeueSignal(task, this.hidden);
      if (info === null) break;
      encode(info);
      if (to.copyTo(record, 0, RECORD_SIZE) < RECORD_SIZE) return total === 0 ? to.fault() : total;
      total += RECORD_SIZE;
    }
    return total;
  }

  /** `noop_llseek`. */
  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  /** `signalfd_show_fdinfo`. */
  override fdinfo(): string {
    const mask = this.hidden.clone();
    mask.invert();
    return `sigmask:\t${mask}\n`;
  }
}

/** `signalfd_copyinfo`: into `record`. */
function encode(info: SigInfo): void {
  record.fill(0);
  view.setUint32(0, info.signo, true);
  view.setInt32(4, info.errno, true);
  view.setInt32(At.CODE, info.code, true);
  const { layout } = info;
  if (layout === "poll") {
    view.setInt32(At.FD, info.fd, true);
    view.setUint32(At.BAND, info.band, true);
    return;
  }
  if (layout === "timer") {
    view.setUint32(At.TID, info.timerId, true);
    view.setUint32(At.OVERRUN, info.overrun, true);
  } else {
    view.setUint32(At.PID, info.pid, true);
    view.setUint32(At.UID, info.uid, true);
  }
  if (layout === "child") {
    view.setInt32(At.STATUS, info.status, true);
  } else if (layout !== "kill") {
    view.setInt32(At.INT, Number(BigInt.asIntN(32, info.value)), true);
    view.setBigUint64(At.PTR, info.value, true);
  }
}

/** A reader asleep until there is a signal to show. */
class SignalfdRead extends SleepingCall {
  readonly ctx: SignalfdCtx;

  constructor(ctx: SignalfdCtx) {
    super();
    this.ctx = ctx;
  }

  override step(task: Task): number {
    const result = this.ctx.take(task, task.iter);
    const done = result === 0 ? waitEvent(task, task.process.sighand.signalfdWqh, this) : result;
    if (done !== BLOCKED) task.finishWait();
    return done;
  }
}
