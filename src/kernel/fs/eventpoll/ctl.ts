/**
 * Changing the interest set.
 *
 * Counterpart: `fs/eventpoll.c` (`do_epoll_ctl`). The order in which errors win is the catalogue's section 2.
 */
import { SleepingCall, type Task, TaskState } from "../../sched/task.ts";
import { Epoll, EpollCtl as Op } from "../../uapi/epoll.ts";
import { Errno } from "../../uapi/errno.ts";
import type { File } from "../file.ts";
import type { Eventpoll } from "./eventpoll.ts";
import { busyBelow, loopCheck } from "./nesting.ts";

const { EXCLUSIVE: EPOLLEXCLUSIVE, WAKEUP: EPOLLWAKEUP, ERR: EPOLLERR, HUP: EPOLLHUP } = Epoll;
const { ADD: EPOLL_CTL_ADD, DEL: EPOLL_CTL_DEL, MOD: EPOLL_CTL_MOD } = Op;
const EPOLLEXCLUSIVE_OK_BITS = Epoll.IN | Epoll.OUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | Epoll.ET | EPOLLEXCLUSIVE;

/** `ep_op_has_event`: everything but DEL, unknown operations included. */
export function opHasEvent(op: number): boolean {
  return op !== EPOLL_CTL_DEL;
}

/**
 * An epoll_ctl that waits for a scan to end (E-165), or for the checks of another one. It keeps both descriptions open,
 * and `epnested_mutex` once it has it.
 */
class EpollCtlCall extends SleepingCall {
  readonly #ctl: EpollCtl;

  constructor(ctl: EpollCtl) {
    super();
    this.#ctl = ctl;
    ctl.epfile.get();
    ctl.tfile.get();
  }

  override step(task: Task): number {
    const { epfile, tfile } = this.#ctl;
    const result = perform(task, this.#ctl, this);
    if (task.state !== TaskState.RUNNING) return result;
    tfile.put();
    epfile.put();
    return result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#ctl];
  }
}

/** The arguments of one epoll_ctl. */
interface EpollCtl {
  readonly ep: Eventpoll;
  readonly epfile: File;
  readonly op: number;
  readonly tfile: File;
  readonly fd: number;
  readonly events: number;
  readonly low: number;
  readonly high: number;
}

/**
 * `do_epoll_ctl`, after the event was copied and both descriptors were looked up.
 *
 * @param events - the event's mask, int32. @param low - and `high`: the event's data.
 * @returns 0, `BLOCKED` while a scan holds the instance, or a negative errno.
 * @errno EPERM - the target has no poll method. EINVAL - `epfile` is no epoll, or is the target; EPOLLEXCLUSIVE where it may
 *   not stand; an unknown op; too many wake-up paths. ELOOP - a loop, or a chain too long. EEXIST, ENOENT - the pair.
 *   ENOSPC - the watches of the epoll's creator are used up.
 */
export function doEpollCtl(
  task: Task,
  epfile: File,
  op: number,
  tfile: File,
  fd: number,
  events: number,
  low: number,
  high: number,
): number {
  if (!tfile.canPoll) return -Errno.EPERM;
  const ep = epfile.epoll;
  if (epfile === tfile || ep === null) return -Errno.EINVAL;
  if (opHasEvent(op) && (events & EPOLLEXCLUSIVE) !== 0) {
    if (op === EPOLL_CTL_MOD) return -Errno.EINVAL;
    const allowed = tfile.epoll === null && (events & ~EPOLLEXCLUSIVE_OK_BITS) === 0;
    if (op === EPOLL_CTL_ADD && !allowed) return -Errno.EINVAL;
  }
  return perform(task, { ep, epfile, op, tfile, fd, events, low, high }, null);
}

/**
 * The part under locks. Where one is taken, nothing has been done yet, and `call` (a new one if null) tries again.
 */
function perform(task: Task, ctl: EpollCtl, call: EpollCtlCall | null): number {
  const { ep, op, tfile } = ctl;
  const { epnested, profile } = task.kernel;
  if (ep.mtx.owner !== null) return ep.mtx.sleep(task, call ?? new EpollCtlCall(ctl));
  if (op !== EPOLL_CTL_ADD || (ep.refs === null && tfile.epoll === null)) return change(task, ctl, false);
  if (epnested.mutex.owner !== task && !epnested.mutex.tryLock(task)) {
    return epnested.mutex.sleep(task, call ?? new EpollCtlCall(ctl));
  }
  const busy = tfile.epoll === null ? null : busyBelow(epnested, tfile.epoll);
  if (busy !== null) return busy.sleep(task, call ?? new EpollCtlCall(ctl));
  epnested.loopCheckGen += 1;
  epnested.tfileCheckList.clear();
  const allowed = tfile.epoll === null || loopCheck(epnested, ep, tfile.epoll, profile.loopCheckUpwards);
  const result = allowed ? change(task, ctl, true) : -Errno.ELOOP;
  epnested.mutex.unlock(task);
  return result;
}

/** The part under `ep->mtx`. EPOLLWAKEUP is dropped: this machine has no PM sleep (E-042). */
function change(task: Task, { ep, op, tfile, fd, events, low, high }: EpollCtl, fullCheck: boolean): number {
  const epi = ep.find(tfile, fd);
  const mask = (events | EPOLLERR | EPOLLHUP) & ~EPOLLWAKEUP;
  switch (op) {
    case EPOLL_CTL_ADD:
      return epi === null ? ep.insert(task, tfile, fd, mask, low, high, fullCheck) : -Errno.EEXIST;
    case EPOLL_CTL_DEL:
      if (epi === null) return -Errno.ENOENT;
      ep.remove(epi, "del");
      return 0;
    case EPOLL_CTL_MOD:
      if (epi === null) return -Errno.ENOENT;
      return (epi.events & EPOLLEXCLUSIVE) !== 0 ? -Errno.EINVAL : ep.modify(task, epi, mask, low, high);
    default:
      return -Errno.EINVAL;
  }
}
