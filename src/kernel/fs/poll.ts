/**
 * poll.
 *
 * Counterpart: `fs/select.c` (`do_sys_poll`, `do_poll`, `do_restart_poll`).
 */
import { accessOk, type Mm, PAGE_SIZE } from "../mm/mm.ts";
import type { SyscallRegs, Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Poll } from "../uapi/poll.ts";
import { CONTENDED } from "./file.ts";
import { ERESTARTNOHAND, LookingCall, NOW } from "./select.ts";

const { ERR: POLLERR, HUP: POLLHUP, NVAL: POLLNVAL } = Poll;
/** `struct pollfd`: fd at 0, events at 4, revents at 6. */
const POLLFD_SIZE = 8;
const REVENTS_OFFSET = 6;

const pollfds = new Uint8Array(PAGE_SIZE);
const pollfdView = new DataView(pollfds.buffer);

/** One poll or ppoll in progress. */
export class PollCall extends LookingCall {
  #ufds = 0;
  #nfds = 0;
  readonly #fds: number[] = [];
  readonly #events: number[] = [];
  readonly #revents: number[] = [];
  /** poll(2), which restarts after a stop by itself, rather than ppoll(2). */
  #restarts = false;

  /**
   * `do_sys_poll`, with the time-out set.
   *
   * @returns number of descriptors with events, 0 on time-out, `BLOCKED`.
   * @errno EFAULT - the array. EINVAL - more entries than RLIMIT_NOFILE.
   * @behaviour F-26
   */
  start(task: Task, ufds: number, nfds: number, restarts: boolean): number {
    this.#ufds = ufds;
    this.#nfds = nfds;
    this.#restarts = restarts;
    if (nfds > task.process.files.nofile) return this.end(task, -Errno.EINVAL);
    const error = this.#import(task.process.mm);
    if (error !== 0) return this.end(task, error);
    const now = this.deadlineNs === NOW;
    this.table.init(task, !now);
    return this.run(task, now);
  }

  #import(mm: Mm): number {
    const perPage = PAGE_SIZE / POLLFD_SIZE;
    for (let first = 0; first < this.#nfds; first += perPage) {
      const count = Math.min(perPage, this.#nfds - first);
      const bytes = count * POLLFD_SIZE;
      if (mm.copyFromUser(pollfds, 0, this.#ufds + first * POLLFD_SIZE, bytes) < bytes) return mm.fault();
      for (let i = 0; i < count; i += 1) {
        this.#fds[first + i] = pollfdView.getInt32(i * POLLFD_SIZE, true);
        this.#events[first + i] = pollfdView.getUint16(i * POLLFD_SIZE + 4, true);
      }
    }
    return 0;
  }

  /** The inner loops of `do_poll`. */
  protected override look(task: Task): number {
    for (let i = this.position; i < this.#nfds; i += 1) {
      const mask = this.#pollfd(task, this.#fds[i] as number, this.#events[i] as number);
      if (mask === CONTENDED) {
        this.position = i;
        return CONTENDED;
      }
      this.contended = false;
      this.#revents[i] = mask;
      if (mask !== 0) {
        this.ready += 1;
        this.table.registering = false;
      }
    }
    return this.ready;
  }

  /** `do_pollfd`. */
  #pollfd(task: Task, fd: number, events: number): number {
    if (fd < 0) return 0;
    const file = task.process.files.get(fd);
    if (file === null) return POLLNVAL;
    const filter = events | POLLERR | POLLHUP;
    const mask = this.table.vfsPoll(task, file, filter, this.contended);
    return mask === CONTENDED ? CONTENDED : mask & filter;
  }

  protected override store(task: Task, count: number): number {
    const { mm } = task.process;
    if (!accessOk(this.#ufds, this.#nfds * POLLFD_SIZE)) return -Errno.EFAULT; // also the address of no entries
    for (let i = 0; i < this.#nfds; i += 1) {
      pollfdView.setUint16(0, this.#revents[i] as number, true);
      if (mm.copyToUser(this.#ufds + i * POLLFD_SIZE + REVENTS_OFFSET, pollfds, 0, 2) < 2) return mm.fault();
    }
    if (count !== ERESTARTNOHAND || !this.#restarts) return count;
    task.restartBlock = new PollRestart(this.#ufds, this.#nfds, this.deadlineNs);
    return -Errno.ERESTART_RESTARTBLOCK;
  }

  protected override recycle(task: Task): void {
    task.kernel.pollFree.push(this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#ufds, this.#nfds, this.#fds, this.#events, this.#revents, this.#restarts];
  }
}

/** `do_restart_poll`: poll goes on with the time that is left. */
class PollRestart implements SyscallRegs {
  readonly #ufds: number;
  readonly #nfds: number;
  readonly #deadlineNs: number;

  constructor(ufds: number, nfds: number, deadlineNs: number) {
    this.#ufds = ufds;
    this.#nfds = nfds;
    this.#deadlineNs = deadlineNs;
  }

  execute(task: Task): number {
    const call = task.kernel.pollFree.pop() ?? new PollCall();
    call.setDeadline(this.#deadlineNs);
    return call.start(task, this.#ufds, this.#nfds, true);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#ufds, this.#nfds, this.#deadlineNs];
  }
}
