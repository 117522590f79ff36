/**
 * inotify: file events to wait for.
 *
 * Counterpart: `fs/notify/inotify/inotify_user.c`, `inotify_fsnotify.c`, `fs/notify/notification.c`.
 * Invariants: the queue holds at most `fs.inotify.max_queued_events` events and one overflow; watch numbers are never used
 * again while numbers last (I-04).
 */
import type { Kernel } from "../kernel.ts";
import { assert, Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { waitEvent } from "../sched/wait-event.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import { IN_ALL_EVENTS, In } from "../uapi/inotify.ts";
import { Poll } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { File, type Inode, noopSeek, type PollTable } from "./file.ts";
import type { FsnotifyMark } from "./fsnotify.ts";

/** `struct inotify_event` without its name: wd, mask, cookie, len. */
export const EVENT_SIZE = 16;
const NO_WATCH = -1;
/** What a watch reports without being asked. */
const ALWAYS = In.UNMOUNT | In.IGNORED | In.Q_OVERFLOW;
const REPORTED = IN_ALL_EVENTS | ALWAYS | In.ISDIR;
const NONE = new Uint8Array(0);

export interface InotifyEvent {
  readonly wd: number;
  readonly mask: number;
  /** What the two halves of a rename have in common; 0 for all others. */
  readonly cookie: number;
  readonly name: Uint8Array;
}

/** Bytes that an event takes: the name padded with zeros to a multiple of 16, at least one of them. */
export function eventSize({ name }: InotifyEvent): number {
  return name.length === 0 ? EVENT_SIZE : EVENT_SIZE + Math.ceil((name.length + 1) / EVENT_SIZE) * EVENT_SIZE;
}

/** `struct inotify_inode_mark`. */
class InotifyMark implements FsnotifyMark {
  readonly group: InotifyGroup;
  readonly inode: Inode;
  readonly wd: number;
  /** Events asked for, with IN_ONESHOT and IN_EXCL_UNLINK. */
  mask: number;

  constructor(group: InotifyGroup, inode: Inode, wd: number, mask: number) {
    this.group = group;
    this.inode = inode;
    this.wd = wd;
    this.mask = mask;
  }

  notify(mask: number, name: string | null, unlinked: boolean): void {
    if ((mask & this.mask & IN_ALL_EVENTS) === 0) return;
    if (unlinked && (this.mask & In.EXCL_UNLINK) !== 0) return;
    // A deleted inode says so without saying what it was.
    const shown = (mask & In.DELETE_SELF) !== 0 ? mask & ~In.ISDIR : mask;
    this.group.queue(this.wd, shown, name);
    if ((this.mask & In.ONESHOT) !== 0) this.group.removeMark(this);
  }

  inodeGone(): void {
    if (this.inode.marks?.has(this)) this.group.removeMark(this);
  }
}

/** `struct fsnotify_group` of an inotify instance. */
export class InotifyGroup extends File {
  readonly notificationWaitq: WaitQueueHead = new WaitQueueHead();
  readonly #events: InotifyEvent[] = [];
  readonly #marks = new Map<number, InotifyMark>();
  #lastWd = 0;
  #overflowed = false;

  /** @param flags - `IN_NONBLOCK` or 0. */
  constructor(kernel: Kernel, flags: number) {
    super(kernel, kernel.anonInode, Open.RDONLY | flags);
  }

  override get link(): string {
    return "anon_inode:inotify";
  }

  override get hasReadIter(): boolean {
    return false;
  }

  /** `inotify_poll`. @behaviour I-01 */
  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.notificationWaitq);
    return this.#events.length > 0 ? Poll.IN | Poll.RDNORM : 0;
  }

  /**
   * `inotify_read`: whole events, as many as fit.
   *
   * @errno EINVAL - the first event does not fit. EAGAIN - no event. EFAULT - the buffer; that event is gone.
   * @behaviour I-01, I-03
   */
  override read(task: Task, to: IovIter, nonblock: boolean): number {
    return this.readLoop(task, to, nonblock, null);
  }

  readLoop(task: Task, to: IovIter, nonblock: boolean, call: InotifyRead | null): number {
    let done = 0;
    for (let event = this.#events[0]; event !== undefined; event = this.#events[0]) {
      const size = eventSize(event);
      if (size > to.count) return done > 0 ? done : -Errno.EINVAL;
      this.#events.shift();
      if (event.wd === NO_WATCH) this.#overflowed = false;
      if (to.copyTo(encode(event, size), 0, size) < size) return to.fault();
      done += size;
    }
    if (done > 0) return done;
    if (nonblock) return -Errno.EAGAIN;
    return waitEvent(task, this.notificationWaitq, call ?? new InotifyRead(this));
  }

  /** `fsnotify_insert_event`: a repetition of the newest event is dropped; a full queue takes one overflow. */
  queue(wd: number, mask: number, name: string | null): void {
    const shown = name === null ? NONE : encoder(name);
    let event: InotifyEvent = { wd, mask: (mask & REPORTED) >>> 0, cookie: 0, name: shown };
    if (this.#events.length >= this.kernel.sysctl.get("fs.inotify.max_queued_events")) {
      if (this.#overflowed) return;
      this.#overflowed = true;
      event = { wd: NO_WATCH, mask: In.Q_OVERFLOW, cookie: 0, name: NONE };
    } else if (this.#repeats(event)) return;
    this.#events.push(event);
    this.wakeUp(this.notificationWaitq, 1, 0);
  }

  /** `inotify_merge`. @behaviour I-02 */
  #repeats({ wd, mask, name }: InotifyEvent): boolean {
    const last = this.#events[this.#events.length - 1];
    if (last === undefined || (last.mask & In.IGNORED) !== 0 || last.wd !== wd || last.mask !== mask) return false;
    return last.name.length === name.length && last.name.every((byte, i) => byte === name[i]);
  }

  /**
   * `inotify_update_watch`: a new watch, or a new mask for the one that the inode has.
   *
   * @returns the number of the watch.
   * @errno EEXIST - IN_MASK_CREATE, and there is one.
   * @behaviour I-04
   */
  updateWatch(inode: Inode, arg: number): number {
    const wanted = arg & (IN_ALL_EVENTS | In.ONESHOT | In.EXCL_UNLINK);
    for (const mark of inode.marks ?? []) {
      if (!(mark instanceof InotifyMark) || mark.group !== this) continue;
      if ((arg & In.MASK_CREATE) !== 0) return -Errno.EEXIST;
      mark.mask = (arg & In.MASK_ADD) !== 0 ? mark.mask | wanted : wanted;
      return mark.wd;
    }
    this.#lastWd += 1;
    return this.#attach(new InotifyMark(this, inode, this.#lastWd, wanted));
  }

  #attach(mark: InotifyMark): number {
    const { inode } = mark;
    this.#marks.set(mark.wd, mark);
    inode.marks ??= new Set();
    inode.marks.add(mark);
    return mark.wd;
  }

  /** Events that wait to be read, the oldest first. */
  get events(): readonly InotifyEvent[] {
    return this.#events;
  }

  hasWatch(wd: number): boolean {
    return this.#marks.has(wd);
  }

  /** A watch of this number on an inode that only its observer knows (a recording); the number may have been given before. */
  watchAs(wd: number, inode: Inode, mask: number): void {
    if (this.#marks.has(wd)) return;
    this.#lastWd = Math.max(this.#lastWd, wd);
    this.#attach(new InotifyMark(this, inode, wd, mask));
  }

  /** The watch ends without a word: the event that tells of it is known already. */
  forgetWatch(wd: number): void {
    const mark = this.#marks.get(wd);
    if (mark !== undefined) this.#detach(mark);
  }

  /** Other events wait now: what has happened to inodes that only its observer knows (a recording). */
  requeue(events: readonly InotifyEvent[]): void {
    this.#events.splice(0, this.#events.length, ...events);
    if (events.length > 0) this.wakeUp(this.notificationWaitq, 1, 0);
  }

  /** inotify_rm_watch. @errno EINVAL - no such watch. @behaviour I-05 */
  removeWatch(wd: number): number {
    const mark = this.#marks.get(wd);
    if (mark === undefined) return -Errno.EINVAL;
    this.removeMark(mark);
    return 0;
  }

  /** `inotify_freeing_mark`, `inotify_ignored_and_remove_idr`. */
  removeMark(mark: InotifyMark): void {
    this.#detach(mark);
    this.queue(mark.wd, In.IGNORED, null);
  }

  #detach(mark: InotifyMark): void {
    assert(this.#marks.delete(mark.wd), "inotify: a watch is removed twice");
    mark.inode.marks?.delete(mark);
  }

  /** FIONREAD: bytes of all queued events. */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== Ioctl.FIONREAD) return super.ioctl(task, request, arg);
    const bytes = this.#events.reduce((sum, event) => sum + eventSize(event), 0);
    return task.process.mm.putUser32(arg, bytes) ? 0 : -Errno.EFAULT;
  }

  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  override fdinfo(): string {
    throw new Unmodelled("fdinfo of an inotify descriptor");
  }

  override release(): void {
    for (const mark of [...this.#marks.values()]) this.#detach(mark);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#events, this.#marks, this.#lastWd, this.#overflowed];
  }
}

function encoder(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}

function encode({ wd, mask, cookie, name }: InotifyEvent, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, wd, true);
  view.setUint32(4, mask, true);
  view.setUint32(8, cookie, true);
  view.setUint32(12, size - EVENT_SIZE, true);
  bytes.set(name, EVENT_SIZE);
  return bytes;
}

/** A reader asleep until an event comes. */
class InotifyRead extends SleepingCall {
  readonly #group: InotifyGroup;

  constructor(group: InotifyGroup) {
    super();
    this.#group = group;
  }

  override step(task: Task): number {
    task.finishWait();
    return this.#group.readLoop(task, task.iter, false, this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#group];
  }
}
