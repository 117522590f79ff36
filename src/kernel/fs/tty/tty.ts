/**
 * Terminals and their open files.
 *
 * Counterpart: `drivers/tty/tty_io.c` (`struct tty_struct`), `drivers/tty/pty.c` (the operations of a pseudo-terminal),
 * `drivers/tty/tty_ioctl.c`.
 * A terminal here is one side of a pair. What one side writes is handed to the other's line discipline at once; in Linux a
 * worker does it, a little later. There are no sessions, so no terminal controls anybody.
 * Invariants: T1 `files` are the open descriptions, and `count` is their number, one more for a slave whose master is open;
 * T2 a hung-up terminal has no line discipline.
 */
import type { Kernel } from "../../kernel.ts";
import { assert, Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { WaitQueueHead } from "../../sched/wait.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Cc, Cflag, Iflag, Pkt, Tioc } from "../../uapi/tty.ts";
import { type Inode, NamedFile, type PollTable } from "../file.ts";
import { NTty } from "./n-tty.ts";
import { TERMIOS_BYTES, Termios } from "./termios.ts";
import { TtyBufhead } from "./tty-buffer.ts";
import { TtyLock } from "./tty-lock.ts";
import { TtyRead, TtyWrite } from "./tty-rw.ts";

const { IN: EPOLLIN, OUT: EPOLLOUT, PRI: EPOLLPRI, ERR: EPOLLERR, HUP: EPOLLHUP } = Poll;
const IN2: number = Poll.IN | Poll.RDNORM;
const OUT2: number = Poll.OUT | Poll.WRNORM;
const { EIO, EFAULT, ENOTTY } = Errno;
/** `TIOCSPGRP`: the one request to which a hung-up terminal says ENOTTY. */
const TIOCSPGRP = 0x5410;
const TTY_IOCTL_TYPE = 0x54;

const bytes = new Uint8Array(TERMIOS_BYTES);
const view = new DataView(bytes.buffer);

/** One side of a pseudo-terminal. */
export class Tty {
  readonly index: number;
  readonly isMaster: boolean;
  readonly readWait: WaitQueueHead = new WaitQueueHead();
  readonly writeWait: WaitQueueHead = new WaitQueueHead();
  /** What the other side wrote and the line discipline has not taken yet. */
  readonly port: TtyBufhead = new TtyBufhead();
  termios: Termios;
  /** null when the terminal was hung up. */
  ldisc: NTty | null;
  /** `atomic_write_lock`. */
  readonly writeLock: TtyLock = new TtyLock();
  readonly files: TtyFile[] = [];
  count = 0;
  /** `TTY_IO_ERROR`: closed, or not to be opened. */
  ioError = false;
  /** `TTY_OTHER_CLOSED`. */
  otherClosed = false;
  /** `TTY_PTY_LOCK`, of a master: its slave cannot be opened. */
  ptyLock = false;
  /** `TTY_THROTTLED`: always set while open. */
  throttled = false;
  /** `flow.stopped`: output is held back. */
  stopped = false;
  /** `ctrl.packet`, of a master. */
  packet = false;
  /** `ctrl.pktstatus`, of a slave: `Pkt` bits that its master has not read. */
  pktstatus = 0;
  #link: Tty | null = null;
  #flushing = false;
  #again = false;

  private constructor(index: number, isMaster: boolean) {
    this.index = index;
    this.isMaster = isMaster;
    this.termios = isMaster ? Termios.master() : Termios.slave();
    this.ldisc = null;
  }

  /** `pty_common_install`, `tty_ldisc_setup`. @returns the master, locked; its `link` is the slave. */
  static pair(index: number): Tty {
    const master = new Tty(index, true);
    const slave = new Tty(index, false);
    master.#link = slave;
    slave.#link = master;
    master.ldisc = new NTty(master);
    slave.ldisc = new NTty(slave);
    master.count = 1;
    slave.count = 1;
    master.ptyLock = true;
    return master;
  }

  /** The other side. */
  get link(): Tty {
    assert(this.#link !== null, "tty: a side without the other");
    return this.#link;
  }

  #wake(queue: WaitQueueHead, key: number): void {
    const file = this.files[0];
    if (file === undefined) queue.wakeUp(1, key);
    else file.wakeUp(queue, 1, key);
  }

  /** `wake_up_interruptible_poll` of `read_wait`. */
  wakeReaders(key: number): void {
    this.#wake(this.readWait, key);
  }

  /** `wake_up_interruptible_poll` of `write_wait`. */
  wakeWriters(key: number): void {
    this.#wake(this.writeWait, key);
  }

  /** `tty_wakeup`: there may be room for output. @behaviour Y-04, Y-05 */
  wakeup(): void {
    this.wakeWriters(EPOLLOUT);
  }

  /** `pty_write`. @returns bytes taken. */
  write(from: Uint8Array, offset: number, count: number): number {
    if (this.stopped || count === 0) return 0;
    const to = this.link;
    const taken = to.port.insert(from, offset, count);
    if (taken > 0) to.flushToLdisc();
    return taken;
  }

  /** `pty_write_room`. */
  get writeRoom(): number {
    return this.stopped ? 0 : this.link.port.space;
  }

  /** `flush_to_ldisc`, which never runs twice at a time. */
  flushToLdisc(): void {
    if (this.#flushing) {
      this.#again = true;
      return;
    }
    this.#flushing = true;
    do {
      this.#again = false;
      this.port.flushToLdisc((from, offset, count) => this.ldisc?.receive(from, offset, count) ?? 0);
    } while (this.#again);
    this.#flushing = false;
  }

  /** `pty_flush_buffer`: what this side wrote and the other has not taken is lost. @behaviour Y-10 */
  flushBuffer(): void {
    const to = this.link;
    to.port.flush();
    if (!to.packet) return;
    this.pktstatus |= Pkt.FLUSHWRITE;
    to.wakeReaders(0);
  }

  /** `n_tty_packet_mode_flush`. @behaviour Y-10 */
  packetModeFlush(): void {
    if (!this.link.packet) return;
    this.pktstatus |= Pkt.FLUSHREAD;
    this.link.wakeReaders(0);
  }

  /** `tty_unthrottle_safe`, `pty_unthrottle`. */
  unthrottle(): void {
    if (this.throttled) this.link.wakeup();
  }

  /** `stop_tty`, `pty_stop`. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.#flowStatus(Pkt.STOP, Pkt.START);
  }

  /** `start_tty`, `pty_start`. */
  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.#flowStatus(Pkt.START, Pkt.STOP);
    this.wakeup();
  }

  #flowStatus(set: number, clear: number): void {
    if (!this.link.packet) return;
    this.pktstatus = (this.pktstatus & ~clear) | set;
    this.link.wakeReaders(EPOLLIN);
  }

  /** `tty_set_termios`, `pty_set_termios`. */
  setTermios(termios: Termios): void {
    const old = this.termios;
    termios.cflag ^= (termios.cflag ^ old.cflag) & Cflag.ADDRB;
    termios.cflag = ((termios.cflag & ~(Cflag.CSIZE | Cflag.PARENB)) | Cflag.CS8 | Cflag.CREAD) >>> 0;
    this.termios = termios;
    const flow = usualFlowControl(termios);
    if (this.link.packet && flow !== usualFlowControl(old)) {
      this.pktstatus = (this.pktstatus & ~(Pkt.DOSTOP | Pkt.NOSTOP)) | (flow ? Pkt.DOSTOP : Pkt.NOSTOP);
      this.link.wakeReaders(0);
    }
    this.ldisc?.setTermios(old);
  }

  /** `__tty_hangup`, of a slave whose master is gone. @behaviour Y-09 */
  hangup(): void {
    for (const file of this.files) file.hungUp = true;
    this.ldisc?.flushBuffer();
    this.flushBuffer();
    this.wakeWriters(EPOLLOUT);
    this.wakeReaders(EPOLLIN);
    this.termios = Termios.slave();
    this.ldisc = null;
    this.throttled = false;
    this.pktstatus = 0;
  }

  /** `pty_open`. @errno EIO - the slave of a closed or locked master. */
  open(): number {
    if (this.otherClosed || this.link.ptyLock) {
      this.ioError = true;
      return -EIO;
    }
    this.ioError = false;
    this.link.otherClosed = false;
    this.throttled = true;
    return 0;
  }

  /** `pty_close`; the caller counts. @behaviour Y-08, Y-09 */
  close(): void {
    if (!this.isMaster && (this.ioError || this.count > 2)) return;
    this.ioError = true;
    this.wakeReaders(0);
    this.wakeWriters(0);
    this.packet = false;
    const { link } = this;
    link.otherClosed = true;
    link.wakeReaders(0);
    link.wakeWriters(0);
    if (!this.isMaster) return;
    this.otherClosed = true;
    link.hangup();
  }
}

/** Flow control by ^S and ^Q, as TIOCPKT reports it. */
function usualFlowControl(termios: Termios): boolean {
  return termios.input(Iflag.IXON) && termios.char(Cc.STOP) === 0x13 && termios.char(Cc.START) === 0x11;
}

/** An open terminal. */
export class TtyFile extends NamedFile {
  readonly tty: Tty;
  /** `hung_up_tty_fops`: the master has gone while this was open. */
  hungUp = false;
  /** What is left to do when the last of both sides is closed. */
  readonly #gone: (tty: Tty) => void;

  /** The caller has counted the new description. @param closed - told after each close. */
  constructor(kernel: Kernel, inode: Inode, flags: number, path: string, tty: Tty, closed: (tty: Tty) => void) {
    super(kernel, inode, flags, path);
    this.tty = tty;
    this.#gone = closed;
    tty.files.push(this);
  }

  /** Masters share one inode, and tell nobody who watches it. */
  override get nonotify(): boolean {
    return this.tty.isMaster;
  }

  override get hasFasync(): boolean {
    return !this.hungUp;
  }

  override get hasNowait(): boolean {
    return false;
  }

  override get hasSpliceRead(): boolean {
    throw new Unmodelled("splice from a terminal");
  }

  override get hasSpliceWrite(): boolean {
    throw new Unmodelled("splice to a terminal");
  }

  /** `n_tty_poll`, `hung_up_tty_poll`. @behaviour Y-01, Y-02, Y-06, Y-07, Y-08, Y-09, Y-10 */
  override poll(_task: Task, pt: PollTable | null): number {
    const { tty } = this;
    const { ldisc, link } = tty;
    if (this.hungUp || ldisc === null) return IN2 | OUT2 | EPOLLERR | EPOLLHUP;
    if (pt !== null) {
      pt.queue(this, tty.readWait);
      pt.queue(this, tty.writeWait);
    }
    let mask = 0;
    if (ldisc.inputAvailable(true)) mask |= IN2;
    if (tty.packet && link.pktstatus !== 0) mask |= EPOLLPRI | IN2;
    if (tty.otherClosed) mask |= EPOLLHUP;
    if (tty.writeLock.owner === null && tty.writeRoom > 0) mask |= OUT2;
    return mask;
  }

  /**
   * `tty_read`.
   *
   * @returns bytes; 0 of a hung-up slave, at an end of file, or when VTIME is over.
   * @errno EIO - a master without a slave, when all is read. EAGAIN, ERESTARTSYS, EFAULT - as usual.
   * @behaviour Y-01, Y-02, Y-08, Y-09, Y-10
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    const { tty } = this;
    if (this.hungUp) return 0;
    if (tty.ioError) return -EIO;
    return tty.ldisc === null ? 0 : new TtyRead(this, tty.ldisc, to.count, nonblock).run(task, to);
  }

  /**
   * `tty_write`. Success wakes the waiters of the same side.
   *
   * @errno EIO - the master is gone. EAGAIN - no room, or another writer sleeps. ERESTARTSYS, EFAULT - as usual.
   * @behaviour Y-03, Y-04, Y-05, Y-07, Y-08, Y-09
   */
  override write(task: Task, from: IovIter, nonblock: boolean): number {
    const { tty } = this;
    if (this.hungUp || tty.ioError || tty.ldisc === null) return -EIO;
    return new TtyWrite(this, tty.ldisc, from.count, nonblock).run(task, from);
  }

  /**
   * `tty_ioctl`. What concerns the settings goes to the slave, whichever side is asked.
   *
   * @errno ENOTTY - a request of masters on a slave, or unknown. EFAULT - the argument. EIO - hung up.
   * @throws Unmodelled for the other requests of terminals.
   */
  override ioctl(task: Task, request: number, arg: number): number {
    const { tty } = this;
    const { mm } = task.process;
    if (this.hungUp) return request === TIOCSPGRP ? -ENOTTY : -EIO;
    if (tty.ldisc === null) return -EIO;
    const real = tty.isMaster ? tty.link : tty;
    switch (request) {
      case Tioc.INQ:
        return mm.putUser32(arg, tty.ldisc.inq) ? 0 : -EFAULT;
      case Tioc.OUTQ:
        return mm.putUser32(arg, 0) ? 0 : -EFAULT;
      case Tioc.TCGETS:
        return mm.copyToUser(arg, real.termios.encode(), 0, TERMIOS_BYTES) < TERMIOS_BYTES ? -EFAULT : 0;
      case Tioc.TCSETS:
      case Tioc.TCSETSW:
      case Tioc.TCSETSF:
        if (mm.copyFromUser(bytes, 0, arg, TERMIOS_BYTES) < TERMIOS_BYTES) return -EFAULT;
        return setTermios(real, request);
      default:
        return this.#masterIoctl(task, request, arg);
    }
  }

  /** `pty_unix98_ioctl`. @behaviour Y-01, Y-10 */
  #masterIoctl(task: Task, request: number, arg: number): number {
    const { tty } = this;
    const { mm } = task.process;
    switch (request) {
      case Tioc.GPTN:
      case Tioc.GPTLCK:
      case Tioc.GPKT: {
        if (!tty.isMaster) return -ENOTTY;
        const value = request === Tioc.GPTN ? tty.index : Number(request === Tioc.GPTLCK ? tty.ptyLock : tty.packet);
        return mm.putUser32(arg, value) ? 0 : -EFAULT;
      }
      case Tioc.SPTLCK:
      case Tioc.PKT: {
        if (!tty.isMaster) return -ENOTTY;
        if (mm.copyFromUser(bytes, 0, arg, 4) < 4) return -EFAULT;
        const on = view.getInt32(0, true) !== 0;
        if (request === Tioc.SPTLCK) tty.ptyLock = on;
        else {
          if (on && !tty.packet) tty.link.pktstatus = 0;
          tty.packet = on;
        }
        return 0;
      }
      default:
        if (((request >> 8) & 0xff) === TTY_IOCTL_TYPE)
          throw new Unmodelled(`ioctl(0x${request.toString(16)}) of a terminal`);
        return -ENOTTY;
    }
  }

  /** `pty_show_fdinfo`. */
  override fdinfo(): string {
    return this.tty.isMaster ? `tty-index:\t${this.tty.index}\n` : "";
  }

  /** `tty_release`. @behaviour Y-08, Y-09 */
  override release(): void {
    super.release();
    const { tty } = this;
    tty.close();
    if (tty.isMaster) tty.link.count -= 1;
    tty.count -= 1;
    tty.files.splice(tty.files.indexOf(this), 1);
    assert(tty.count >= tty.files.length, "T1: more open files than counted");
    this.#gone(tty);
  }
}

/** `set_termios`: output never waits on its way, so TCSETSW waits for nothing. */
function setTermios(real: Tty, request: number): number {
  if (request !== Tioc.TCSETS) {
    if (real.writeLock.owner !== null) throw new Unmodelled("TCSETSW and TCSETSF while a writer sleeps");
    if (request === Tioc.TCSETSF) real.ldisc?.flushBuffer();
  }
  real.setTermios(Termios.decode(bytes));
  if (request !== Tioc.TCSETS) real.wakeup();
  return 0;
}
