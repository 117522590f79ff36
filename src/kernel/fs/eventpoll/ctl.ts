/**
 * Changing the interest set.
 *
 * Counterpart: `fs/eventpoll.c` (`do_epoll_ctl`). The order in which errors win is the catalogue's section 2.
 */
import { SleepingCall, type Task } from "../../sched/task.ts";
import { Epoll, EpollCtl } from "../../uapi/epoll.ts";
import { Errno } from "../../uapi/errno.ts";
import type { File } from "../file.ts";
import type { Eventpoll } from "./eventpoll.ts";
import { loopCheck } from "./nesting.ts";

const { EXCLUSIVE: EPOLLEXCLUSIVE, WAKEUP: EPOLLWAKEUP, ERR: EPOLLERR, HUP: EPOLLHUP } = Epoll;
const EPOLLEXCLUSIVE_OK_BITS = Epoll.IN | Epoll.OUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | Epoll.ET | EPOLLEXCLUSIVE;

/** `ep_op_has_event`: everything but DEL, unknown operations included. */
export function opHasEvent(op: number): boolean {
  return op !== EpollCtl.DEL;
}

/** An epoll_ctl that waits for the end of a scan (E-165), and keeps both descriptions open meanwhile. */
class EpollCtlCall extends SleepingCall {
  readonly #ep: Eventpoll;
  readonly #epfile: File;
  readonly #tfile: File;
  readonly #again: () => number;

  constructor(ep: Eventpoll, epfile: File, tfile: File, again: () => number) {
    super();
    this.#ep = ep;
    this.#epfile = epfile.get();
    this.#tfile = tfile.get();
    this.#again = again;
  }

  override step(task: Task): number {
    if (this.#ep.mtx.owner !== null) return this.#ep.mtx.sleep(task, this);
    const result = this.#again();
    this.#tfile.put();
    this.#epfile.put();
    return result;
  }
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
    if (op === EpollCtl.MOD) return -Errno.EINVAL;
    const allowed = tfile.epoll === null && (events & ~EPOLLEXCLUSIVE_OK_BITS) === 0;
    if (op === EpollCtl.ADD && !allowed) return -Errno.EINVAL;
  }
  if (ep.mtx.owner !== null) {
    const call = new EpollCtlCall(ep, epfile, tfile, () => ctlLocked(task, ep, op, tfile, fd, events, low, high));
    return ep.mtx.sleep(task, call);
  }
  return ctlLocked(task, ep, op, tfile, fd, events, low, high);
}

/** The part under `ep->mtx`. EPOLLWAKEUP is dropped: this machine has no PM sleep (E-042). */
function ctlLocked(
  task: Task,
  ep: Eventpoll,
  op: number,
  tfile: File,
  fd: number,
  events: number,
  low: number,
  high: number,
): number {
  const { epnested, profile } = task.kernel;
  const fullCheck = op === EpollCtl.ADD && (ep.refs !== null || tfile.epoll !== null);
  if (fullCheck) {
    epnested.loopCheckGen += 1;
    epnested.tfileCheckList.clear();
    if (tfile.epoll !== null && !loopCheck(epnested, ep, tfile.epoll, profile.loopCheckUpwards)) return -Errno.ELOOP;
  }
  const epi = ep.find(tfile, fd);
  const mask = (events | EPOLLERR | EPOLLHUP) & ~EPOLLWAKEUP;
  switch (op) {
    case EpollCtl.ADD:
      return epi === null ? ep.insert(task, tfile, fd, mask, low, high, fullCheck) : -Errno.EEXIST;
    case EpollCtl.DEL:
      if (epi === null) return -Errno.ENOENT;
      ep.remove(epi);
      return 0;
    case EpollCtl.MOD:
      if (epi === null) return -Errno.ENOENT;
      return (epi.events & EPOLLEXCLUSIVE) !== 0 ? -Errno.EINVAL : ep.modify(task, epi, mask, low, high);
    default:
      return -Errno.EINVAL;
  }
}
