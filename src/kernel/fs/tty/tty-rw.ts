/**
 * A read and a write of a terminal in progress.
 *
 * Counterpart: `drivers/tty/tty_io.c` (`iterate_tty_read`, `iterate_tty_write`), `drivers/tty/n_tty.c` (`n_tty_read`,
 * `n_tty_write`).
 * Reads go in steps of 64 bytes, the first of which may sleep; writes in steps of 2048, each of which may. Whoever sleeps
 * holds the lock of its direction.
 */
import { assert } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import { BLOCKED, SleepingCall, type Task, TaskState } from "../../sched/task.ts";
import type { WaitQueueHead } from "../../sched/wait.ts";
import { Errno } from "../../uapi/errno.ts";
import { Cc, Pkt } from "../../uapi/tty.ts";
import type { NTty } from "./n-tty.ts";
import type { TtyFile } from "./tty.ts";

const READ_CHUNK = 64;
const WRITE_CHUNK = 2048;
/** Tenths of a second, the unit of VTIME, in ns. */
const TENTH_NS = 100_000_000;
const FOREVER = -1;
const { EIO, EAGAIN, EFAULT, ERESTARTSYS } = Errno;

/** `add_wait_queue` and `wait_woken`. */
function sleepOn(task: Task, queue: WaitQueueHead, call: SleepingCall, deadlineNs: number): typeof BLOCKED {
  if (task.wait.entry.list === null) queue.add(task.wait);
  task.wait.mask = 0; // `woken_wake_function` takes every key
  return task.sleep(call, TaskState.INTERRUPTIBLE, deadlineNs);
}

export class TtyRead extends SleepingCall {
  readonly #file: TtyFile;
  readonly #ldisc: NTty;
  readonly #nonblock: boolean;
  readonly #kbuf = new Uint8Array(READ_CHUNK);
  /** Bytes in `kbuf`. */
  #got = 0;
  /** Bytes that the program still wants. */
  #left: number;
  #locked = false;
  /** Set when the first step begins: packet mode, VMIN, VTIME and the place of that moment. */
  #packet = false;
  #minimum = 0;
  #intervalNs = 0;
  #deadlineNs = FOREVER;
  #oldTail = 0;

  constructor(file: TtyFile, ldisc: NTty, count: number, nonblock: boolean) {
    super();
    this.#file = file;
    this.#ldisc = ldisc;
    this.#left = count;
    this.#nonblock = nonblock;
  }

  override step(task: Task): number {
    return this.run(task, task.iter);
  }

  /** `iterate_tty_read`. */
  run(task: Task, to: IovIter): number {
    const { readLock } = this.#ldisc;
    if (!this.#locked) {
      if (!readLock.tryLock(task)) return this.#nonblock ? -EAGAIN : readLock.sleep(task, this);
      task.finishWait();
      this.#locked = true;
      this.#begin(task);
    }
    let more = false;
    let result = this.#first(task);
    if (result === BLOCKED) return BLOCKED;
    if (result === MORE) {
      more = true;
      result = this.#got;
    }
    let done = 0;
    let fault = false;
    while (result > 0) {
      const copied = to.copyTo(this.#kbuf, 0, result);
      done += copied;
      fault = copied < result;
      this.#left = fault ? 0 : this.#left - copied;
      if (!more) break;
      more = this.#goOn();
      result = this.#got;
    }
    assert(!more, "tty: a read ended that had more to do");
    if (result < 0 && done === 0) return result;
    return fault && done === 0 ? -EFAULT : done;
  }

  #begin(task: Task): void {
    const ldisc = this.#ldisc;
    const { tty } = this.#file;
    this.#packet = tty.packet;
    this.#oldTail = ldisc.readTail;
    if (ldisc.icanon) return;
    const timeNs = tty.termios.char(Cc.TIME) * TENTH_NS;
    this.#minimum = tty.termios.char(Cc.MIN);
    if (this.#minimum > 0) this.#intervalNs = timeNs;
    else {
      this.#minimum = 1;
      this.#deadlineNs = task.kernel.clock.nowNs + timeNs;
    }
  }

  /** `n_tty_read` until it must wait. @returns bytes in `kbuf`, a negative errno, `BLOCKED`, or `MORE`. */
  #first(task: Task): number {
    const ldisc = this.#ldisc;
    const { link } = this.#file.tty;
    const room = Math.min(this.#left, READ_CHUNK);
    let error = 0;
    while (this.#got < room) {
      if (this.#packet && link.pktstatus !== 0) {
        if (this.#got > 0) break;
        this.#kbuf[this.#got++] = link.pktstatus;
        link.pktstatus = 0;
        break;
      }
      if (!ldisc.inputAvailable(false)) {
        error = this.#waitForInput(task);
        if (error === BLOCKED) return BLOCKED;
        break;
      }
      if (!ldisc.icanon && this.#packet && this.#got === 0) this.#kbuf[this.#got++] = Pkt.DATA;
      if (this.#copy(room) && (ldisc.icanon || this.#got >= this.#minimum)) {
        task.finishWait();
        return MORE;
      }
      ldisc.checkUnthrottle();
      if (this.#got >= this.#minimum) break;
      if (this.#intervalNs > 0) this.#deadlineNs = task.kernel.clock.nowNs + this.#intervalNs;
    }
    if (this.#oldTail !== ldisc.readTail) ldisc.kickWorker();
    this.#unlock(task);
    return this.#got > 0 ? this.#got : error;
  }

  /** @returns whether there is more of the same. */
  #copy(room: number): boolean {
    const ldisc = this.#ldisc;
    const more = ldisc.icanon
      ? ldisc.copyCanon(this.#kbuf, this.#got, room - this.#got)
      : ldisc.copyRaw(this.#kbuf, this.#got, room - this.#got);
    this.#got += ldisc.copied;
    return more;
  }

  /** `n_tty_wait_for_input`. @returns 0 for an end, a negative errno, or `BLOCKED`. */
  #waitForInput(task: Task): number {
    const file = this.#file;
    if (file.tty.otherClosed) return -EIO;
    if (file.hungUp) return 0;
    if (this.#deadlineNs !== FOREVER && task.kernel.clock.nowNs >= this.#deadlineNs) return 0;
    if (this.#nonblock) return -EAGAIN;
    if (task.signalPending) return -ERESTARTSYS;
    return sleepOn(task, file.tty.readWait, this, this.#deadlineNs);
  }

  /** `n_tty_continue_cookie`: fills `kbuf` anew. @returns whether even more is there. */
  #goOn(): boolean {
    const ldisc = this.#ldisc;
    const room = Math.min(this.#left, READ_CHUNK);
    this.#got = 0;
    if (ldisc.icanon && room === 0) ldisc.skipEof();
    else if (this.#copy(room)) return true;
    ldisc.checkUnthrottle(); // Linux starts the worker first, but looks before it has done anything
    ldisc.kickWorker();
    const { owner } = ldisc.readLock;
    if (owner !== null) this.#unlock(owner);
    return false;
  }

  #unlock(task: Task): void {
    task.finishWait();
    this.#ldisc.readLock.unlock(task);
  }
}

/** There is more to be copied, and the lock is still held. */
const MORE = -4097;

export class TtyWrite extends SleepingCall {
  readonly #file: TtyFile;
  readonly #ldisc: NTty;
  readonly #nonblock: boolean;
  #locked = false;
  /** The present step, null between steps, and how much of it is written. */
  #chunk: Uint8Array | null = null;
  #at = 0;
  #left: number;
  #written = 0;

  constructor(file: TtyFile, ldisc: NTty, count: number, nonblock: boolean) {
    super();
    this.#file = file;
    this.#ldisc = ldisc;
    this.#left = count;
    this.#nonblock = nonblock;
  }

  override step(task: Task): number {
    return this.run(task, task.iter);
  }

  /** `iterate_tty_write`. */
  run(task: Task, from: IovIter): number {
    const { tty } = this.#file;
    if (!this.#locked) {
      if (!tty.writeLock.tryLock(task)) return this.#nonblock ? -EAGAIN : tty.writeLock.sleep(task, this);
      task.finishWait();
      this.#locked = true;
    }
    const error = this.#chunks(task, from);
    if (error === BLOCKED) return BLOCKED;
    task.finishWait();
    tty.writeLock.unlock(task);
    tty.wakeup();
    return this.#written > 0 ? this.#written : error;
  }

  #chunks(task: Task, from: IovIter): number {
    for (;;) {
      if (this.#chunk === null) {
        this.#chunk = new Uint8Array(Math.min(WRITE_CHUNK, this.#left));
        this.#at = 0;
        const size = this.#chunk.length;
        if (from.copyFrom(this.#chunk, 0, size) < size) return -EFAULT;
        this.#ldisc.out.processEchoes();
      }
      const size = this.#chunk.length;
      const result = this.#writeChunk(task, this.#chunk);
      if (result <= 0) return result;
      this.#chunk = null;
      this.#written += result;
      if (result < size) from.revert(size - result);
      this.#left -= result;
      if (this.#left === 0) return 0;
      if (task.signalPending) return -ERESTARTSYS;
    }
  }

  /** `n_tty_write` until it must wait. @returns bytes written, a negative errno, or `BLOCKED`. */
  #writeChunk(task: Task, chunk: Uint8Array): number {
    const { tty } = this.#file;
    let error = 0;
    for (;;) {
      if (task.signalPending) error = -ERESTARTSYS;
      else if (this.#file.hungUp || tty.link.count === 0) error = -EIO;
      if (error !== 0) break;
      this.#at += this.#ldisc.out.output(chunk, this.#at, chunk.length - this.#at);
      if (this.#at === chunk.length) break;
      if (!this.#nonblock) return sleepOn(task, tty.writeWait, this, FOREVER);
      error = -EAGAIN;
    }
    return this.#at > 0 ? this.#at : error;
  }
}
