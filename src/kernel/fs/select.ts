/**
 * select, and what it has in common with poll: look at every file, sleep, look again.
 *
 * Counterpart: `fs/select.c` (`do_select`, `poll_select_finish`); poll is in `poll.ts`.
 * The first look also takes its place on the files' wait queues, until a file is found ready; later looks do not.
 * Time-outs expire on the nanosecond; Linux adds slack, which only makes them later.
 */
import { assert } from "../lib/assert.ts";
import type { Mm } from "../mm/mm.ts";
import { BLOCKED, SleepingCall, type Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Poll } from "../uapi/poll.ts";
import { CONTENDED } from "./file.ts";
import { PollWqueues } from "./poll-wqueues.ts";

const { ERR: POLLERR, HUP: POLLHUP, NVAL: POLLNVAL, PRI: POLLPRI } = Poll;
/** What makes a descriptor readable, writable and exceptional for select: F-28. */
const POLLIN_SET: number = Poll.IN | Poll.RDNORM | Poll.RDBAND | POLLHUP | POLLERR | POLLNVAL;
const POLLOUT_SET: number = Poll.OUT | Poll.WRNORM | Poll.WRBAND | POLLERR | POLLNVAL;
const POLLEX_SET: number = POLLPRI | POLLNVAL;

export const ERESTARTNOHAND: number = -Errno.ERESTARTNOHAND;
const WORD_BYTES = 8;
const NSEC_PER_SEC = 1e9;
const NSEC_PER_USEC = 1e3;
const TIME_SIZE = 16;

/** Where a call leaves the rest of its time-out, and in which unit. */
export const TimeLeft = { NONE: 0, TIMEVAL: 1, TIMESPEC: 2 } as const;
export type TimeLeft = (typeof TimeLeft)[keyof typeof TimeLeft];

/** Deadlines that are no time: wait for ever; do not wait. */
const FOREVER = -1;
export const NOW = -2;

const time = new Uint8Array(TIME_SIZE);
const timeView = new DataView(time.buffer);

/** What poll and select have in common: the sleep between looks, and the end. */
export abstract class LookingCall extends SleepingCall {
  readonly table: PollWqueues = new PollWqueues();
  /** Absolute, in ns; or `FOREVER`, `NOW`. */
  protected deadlineNs: number = FOREVER;
  /** The time-out as it was asked for, and when: exact even where the deadline exceeds what the clock can count. */
  #seconds = 0;
  #nanoseconds = 0;
  #startNs = 0;
  #timeLeft: TimeLeft = TimeLeft.NONE;
  #timeLeftAt = 0;
  #timedOut = false;

  /** No time-out. */
  setForever(): void {
    this.deadlineNs = FOREVER;
    this.#timeLeft = TimeLeft.NONE;
  }

  /**
   * `poll_select_set_timeout`; 0 does not wait.
   *
   * @param timeLeft - how to store the rest at `addr` in the end.
   * @errno EINVAL - a negative time, or a billion nanoseconds or more.
   */
  setTimeout(task: Task, seconds: number, nanoseconds: number, timeLeft: TimeLeft, addr: number): number {
    if (seconds < 0 || nanoseconds < 0 || nanoseconds >= NSEC_PER_SEC) return -Errno.EINVAL;
    this.#seconds = seconds;
    this.#nanoseconds = nanoseconds;
    this.#startNs = task.kernel.clock.nowNs;
    this.#timeLeft = timeLeft;
    this.#timeLeftAt = addr;
    const end = this.#startNs + seconds * NSEC_PER_SEC + nanoseconds;
    if (seconds === 0 && nanoseconds === 0) this.deadlineNs = NOW;
    else this.deadlineNs = Number.isSafeInteger(end) ? end : FOREVER;
    return 0;
  }

  /** The same deadline as an earlier call, which a signal has stopped. */
  setDeadline(deadlineNs: number): void {
    this.deadlineNs = deadlineNs;
    this.#timeLeft = TimeLeft.NONE;
  }

  /** The call fails before it begins. */
  abandon(task: Task, error: number): number {
    this.recycle(task);
    return error;
  }

  /** Where the present look stands: the next file, and how much was ready before it. */
  protected position = 0;
  protected ready = 0;
  /** The look stopped at `position`, because an epoll there is in the middle of a scan: E-165. */
  protected contended = false;

  /** Looks at every file from `position` on. @returns how much is ready, or `CONTENDED`. */
  protected abstract look(task: Task): number;

  /** Stores what the last look has found. @returns `count`, or a negative errno. */
  protected abstract store(task: Task, count: number): number;

  /** The call is over: gives the object back. */
  protected abstract recycle(task: Task): void;

  protected run(task: Task, timedOut: boolean): number {
    const { table } = this;
    this.#timedOut = timedOut;
    for (;;) {
      let count = this.look(task);
      this.contended = count === CONTENDED;
      if (this.contended) return this.#sleepInLook(task);
      this.position = 0;
      this.ready = 0;
      table.registering = false;
      if (count === 0 && task.signalPending) count = ERESTARTNOHAND;
      if (count !== 0 || timedOut) return this.#finish(task, count);
      if (table.schedule(this, this.deadlineNs) === BLOCKED) return BLOCKED;
    }
  }

  #sleepInLook(task: Task): number {
    const { contended } = task.kernel;
    assert(contended !== null, "poll: a look was stopped by nobody");
    return contended.sleep(task, this);
  }

  override step(task: Task): number {
    if (!this.contended) {
      this.table.triggered = false;
      this.#timedOut = task.timedOut;
    }
    return this.run(task, this.#timedOut);
  }

  #finish(task: Task, count: number): number {
    this.table.free();
    return this.end(task, this.store(task, count));
  }

  /** `poll_select_finish`, also for a call that failed before it looked. */
  protected end(task: Task, result: number): number {
    const updates = this.#timeLeft !== TimeLeft.NONE && this.deadlineNs !== NOW;
    const stored = !updates || this.#storeTimeLeft(task);
    this.recycle(task);
    return result === ERESTARTNOHAND && !stored ? -Errno.EINTR : result;
  }

  #storeTimeLeft(task: Task): boolean {
    const elapsedNs = task.kernel.clock.nowNs - this.#startNs;
    let seconds = this.#seconds - Math.floor(elapsedNs / NSEC_PER_SEC);
    let nanoseconds = this.#nanoseconds - (elapsedNs % NSEC_PER_SEC);
    if (nanoseconds < 0) {
      seconds -= 1;
      nanoseconds += NSEC_PER_SEC;
    }
    if (seconds < 0) {
      seconds = 0;
      nanoseconds = 0;
    }
    const fraction = this.#timeLeft === TimeLeft.TIMEVAL ? Math.floor(nanoseconds / NSEC_PER_USEC) : nanoseconds;
    timeView.setBigInt64(0, BigInt(seconds), true);
    timeView.setBigInt64(8, BigInt(fraction), true);
    return task.process.mm.copyToUser(this.#timeLeftAt, time, 0, TIME_SIZE) === TIME_SIZE;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#seconds, this.#nanoseconds, this.#startNs, this.#timeLeft, this.#timeLeftAt, this.#timedOut];
  }
}

/** One of select's three sets: the bits asked for and the bits found. */
class FdSet {
  /** User address, 0 for a set that is not there. */
  addr = 0;
  wanted: Uint8Array = new Uint8Array(WORD_BYTES);
  found: Uint8Array = new Uint8Array(WORD_BYTES);

  /** `get_fd_set`. */
  import(mm: Mm, addr: number, bytes: number): number {
    this.addr = addr;
    if (this.wanted.length < bytes) {
      this.wanted = new Uint8Array(bytes);
      this.found = new Uint8Array(bytes);
    }
    if (addr === 0) {
      this.wanted.fill(0, 0, bytes);
      return 0;
    }
    return mm.copyFromUser(this.wanted, 0, addr, bytes) < bytes ? mm.fault() : 0;
  }

  has(fd: number): boolean {
    return (((this.wanted[fd >> 3] as number) >> (fd & 7)) & 1) !== 0;
  }

  /** Notes that an asked-for descriptor is ready. */
  mark(fd: number): void {
    this.found[fd >> 3] = (this.found[fd >> 3] as number) | (1 << (fd & 7));
  }

  /** `set_fd_set`. @returns 0 or `-EFAULT`. */
  export(mm: Mm, bytes: number): number {
    return this.addr !== 0 && mm.copyToUser(this.addr, this.found, 0, bytes) < bytes ? mm.fault() : 0;
  }
}

/** One select or pselect6 in progress. */
export class SelectCall extends LookingCall {
  readonly #in: FdSet = new FdSet();
  readonly #out: FdSet = new FdSet();
  readonly #ex: FdSet = new FdSet();
  #bytes = 0;
  /** One more than the highest descriptor asked for. */
  #max = 0;

  /**
   * `core_sys_select`, with the time-out set. Bits beyond the descriptor table are ignored.
   *
   * @returns number of bits set in the three sets, 0 on time-out, `BLOCKED`.
   * @errno EINVAL - n is negative. EFAULT - a set. EBADF - a set names a closed descriptor.
   * @behaviour F-27, F-28
   */
  start(task: Task, n: number, inp: number, outp: number, exp: number): number {
    if (n < 0) return this.end(task, -Errno.EINVAL);
    const { files, mm } = task.process;
    const nr = Math.min(n, files.maxFds);
    this.#bytes = Math.ceil(nr / (8 * WORD_BYTES)) * WORD_BYTES;
    let error = this.#in.import(mm, inp, this.#bytes);
    if (error === 0) error = this.#out.import(mm, outp, this.#bytes);
    if (error === 0) error = this.#ex.import(mm, exp, this.#bytes);
    if (error === 0) error = this.#maxSelectFd(task, nr);
    if (error !== 0) return this.end(task, error);
    const now = this.deadlineNs === NOW;
    this.table.init(task, !now);
    return this.run(task, now);
  }

  /**
   * `max_select_fd`.
   *
   * @errno EBADF - a descriptor that is asked for is not in use: one of O_PATH is, and one that a sleeping accept has taken.
   */
  #maxSelectFd(task: Task, nr: number): number {
    const { files } = task.process;
    this.#max = 0;
    for (let fd = 0; fd < nr; fd += 1) {
      if (!this.#in.has(fd) && !this.#out.has(fd) && !this.#ex.has(fd)) continue;
      if (files.getRaw(fd) === null && !files.isReserved(fd)) return -Errno.EBADF;
      this.#max = fd + 1;
    }
    return 0;
  }

  /** The inner loops of `do_select`. */
  protected override look(task: Task): number {
    if (!this.contended) for (const set of [this.#in, this.#out, this.#ex]) set.found.fill(0, 0, this.#bytes);
    for (let fd = this.position; fd < this.#max; fd += 1) {
      const wantsIn = this.#in.has(fd);
      const wantsOut = this.#out.has(fd);
      const wantsEx = this.#ex.has(fd);
      if (!wantsIn && !wantsOut && !wantsEx) continue;
      const file = task.process.files.get(fd);
      const key = POLLEX_SET | (wantsIn ? POLLIN_SET : 0) | (wantsOut ? POLLOUT_SET : 0);
      const mask = file === null ? POLLNVAL : this.table.vfsPoll(task, file, key, this.contended);
      if (mask === CONTENDED) {
        this.position = fd;
        return CONTENDED;
      }
      this.contended = false;
      const before = this.ready;
      if (wantsIn && (mask & POLLIN_SET) !== 0) {
        this.#in.mark(fd);
        this.ready += 1;
      }
      if (wantsOut && (mask & POLLOUT_SET) !== 0) {
        this.#out.mark(fd);
        this.ready += 1;
      }
      if (wantsEx && (mask & POLLEX_SET) !== 0) {
        this.#ex.mark(fd);
        this.ready += 1;
      }
      if (this.ready > before) this.table.registering = false;
    }
    return this.ready;
  }

  protected override store(task: Task, count: number): number {
    if (count < 0) return count;
    const { mm } = task.process;
    let error = this.#in.export(mm, this.#bytes);
    if (error === 0) error = this.#out.export(mm, this.#bytes);
    if (error === 0) error = this.#ex.export(mm, this.#bytes);
    return error === 0 ? count : error;
  }

  protected override recycle(task: Task): void {
    task.kernel.selectFree.push(this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#in, this.#out, this.#ex, this.#bytes, this.#max];
  }
}
