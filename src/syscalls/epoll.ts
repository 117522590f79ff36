/**
 * epoll_create, epoll_ctl, epoll_wait and their variants.
 *
 * Counterpart: `fs/eventpoll.c` (the SYSCALL_DEFINEs, `ep_check_params`, `do_epoll_pwait`).
 */
import { doEpollCtl, opHasEvent } from "../kernel/fs/eventpoll/ctl.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import { EventpollFile } from "../kernel/fs/eventpoll/eventpoll-file.ts";
import { EpollWaitCall, FOREVER } from "../kernel/fs/eventpoll/send-events.ts";
import type { File } from "../kernel/fs/file.ts";
import { accessOk } from "../kernel/mm/mm.ts";
import { BLOCKED, type Task } from "../kernel/sched/task.ts";
import { restoreSavedSigmask, setUserSigmask } from "../kernel/signal/sigmask.ts";
import { EPOLL_CLOEXEC, EPOLL_EVENT_SIZE } from "../kernel/uapi/epoll.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { toInt } from "./registers.ts";
import { holdIfBlocked } from "./rw.ts";
import { importSigset } from "./signal.ts";

/** `EP_MAX_EVENTS` where an event takes 12 bytes: E-101. */
const EP_MAX_EVENTS = Math.floor(0x7fffffff / EPOLL_EVENT_SIZE);
const TIMESPEC_SIZE = 16;
const NSEC_PER_SEC = 1e9;
const NSEC_PER_MSEC = 1e6;

const scratch = new Uint8Array(TIMESPEC_SIZE);
const view = new DataView(scratch.buffer);

/**
 * epoll_create1(2).
 *
 * @returns the new descriptor.
 * @errno EINVAL - a flag besides EPOLL_CLOEXEC. EMFILE - no descriptor is free.
 * @kernel fs/eventpoll.c `do_epoll_create`
 * @behaviour E-002, E-003, E-004, E-005, E-006
 */
export function sysEpollCreate1(task: Task, flags: number): number {
  const bits = toInt(flags);
  if ((bits & ~EPOLL_CLOEXEC) !== 0) return -Errno.EINVAL;
  const { files, user } = task.process;
  if (files.lowestFree() >= files.nofile) return -Errno.EMFILE;
  return files.install(new EventpollFile(task.kernel, user), bits !== 0);
}

/**
 * epoll_create(2): `size` must be positive, and means nothing else.
 *
 * @errno EINVAL - size of 0 or less. EMFILE - no descriptor is free.
 * @kernel fs/eventpoll.c `epoll_create`
 * @behaviour E-001
 */
export function sysEpollCreate(task: Task, size: number): number {
  return toInt(size) <= 0 ? -Errno.EINVAL : sysEpollCreate1(task, 0);
}

/**
 * epoll_ctl(2).
 *
 * @errno EFAULT - the event, for every op but DEL. EBADF - either descriptor. The rest: `doEpollCtl`.
 * @kernel fs/eventpoll.c `epoll_ctl`
 * @behaviour E-021 to E-048
 */
export function sysEpollCtl(task: Task, epfd: number, op: number, fd: number, event: number): number {
  const operation = toInt(op);
  const { files, mm } = task.process;
  let events = 0;
  let low = 0;
  let high = 0;
  if (opHasEvent(operation)) {
    if (mm.copyFromUser(scratch, 0, event, EPOLL_EVENT_SIZE) < EPOLL_EVENT_SIZE) return -Errno.EFAULT;
    events = view.getInt32(0, true);
    low = view.getInt32(4, true);
    high = view.getInt32(8, true);
  }
  const epfile = files.get(toInt(epfd));
  if (epfile === null) return -Errno.EBADF;
  const number = toInt(fd);
  const tfile = files.get(number);
  if (tfile === null) return -Errno.EBADF;
  return doEpollCtl(task, epfile, operation, tfile, number, events, low, high);
}

/**
 * epoll_wait(2).
 *
 * @param timeoutMs - milliseconds; 0 does not wait, a negative number waits for ever.
 * @returns number of events stored, 0 on time-out, `BLOCKED`.
 * @errno EBADF - epfd. EINVAL - maxevents, or epfd is no epoll. EFAULT - the buffer. EINTR - a signal.
 * @kernel fs/eventpoll.c `do_epoll_wait`, `ep_check_params`
 * @behaviour E-100 to E-120
 */
export function sysEpollWait(task: Task, epfd: number, events: number, maxevents: number, timeoutMs: number): number {
  const timeout = toInt(timeoutMs);
  return doEpollWait(task, epfd, events, maxevents, timeout < 0 ? FOREVER : timeout * NSEC_PER_MSEC);
}

/**
 * epoll_pwait(2). A null mask is epoll_wait.
 *
 * @errno EINVAL - sigsetsize is not 8. EFAULT - the mask. The rest as epoll_wait.
 * @kernel fs/eventpoll.c `do_epoll_pwait`
 * @behaviour E-118
 */
export function sysEpollPwait(
  task: Task,
  epfd: number,
  events: number,
  maxevents: number,
  timeoutMs: number,
  sigmask: number,
  sigsetsize: number,
): number {
  const error = importSigmask(task, sigmask, sigsetsize);
  if (error !== 0) return error;
  return withSigmask(task, sysEpollWait(task, epfd, events, maxevents, timeoutMs));
}

/**
 * epoll_pwait2(2): the time-out is a timespec; a null one waits for ever.
 *
 * @errno ENOSYS - before 5.11. EFAULT - the timespec, or the mask. EINVAL - a timespec out of range, or sigsetsize. The rest
 *   as epoll_wait.
 * @kernel fs/eventpoll.c `epoll_pwait2`
 * @behaviour E-115, E-116, E-117, E-118
 */
export function sysEpollPwait2(
  task: Task,
  epfd: number,
  events: number,
  maxevents: number,
  timeout: number,
  sigmask: number,
  sigsetsize: number,
): number {
  if (!task.kernel.profile.epollPwait2) return -Errno.ENOSYS;
  let timeoutNs: number = FOREVER;
  if (timeout !== 0) {
    if (task.process.mm.copyFromUser(scratch, 0, timeout, TIMESPEC_SIZE) < TIMESPEC_SIZE) return -Errno.EFAULT;
    const seconds = Number(view.getBigInt64(0, true));
    const nanoseconds = Number(view.getBigInt64(8, true));
    if (seconds < 0 || nanoseconds < 0 || nanoseconds >= NSEC_PER_SEC) return -Errno.EINVAL;
    timeoutNs = seconds * NSEC_PER_SEC + nanoseconds;
  }
  const error = importSigmask(task, sigmask, sigsetsize);
  if (error !== 0) return error;
  return withSigmask(task, doEpollWait(task, epfd, events, maxevents, timeoutNs));
}

/**
 * `set_user_sigmask`: puts a mask in force for the time of this call; none at address 0.
 *
 * @errno EINVAL - the size. EFAULT - the mask.
 * @behaviour E-118, E-124, E-126
 */
export function importSigmask(task: Task, sigmask: number, sigsetsize: number): number {
  if (sigmask === 0) return 0;
  const mask = importSigset(task, sigmask, sigsetsize);
  if (typeof mask === "number") return mask;
  setUserSigmask(task, mask);
  return 0;
}

/** The end of a call whose mask `importSigmask` has set, unless it sleeps: then the kernel restores the mask when it ends. */
export function withSigmask(task: Task, result: number): number {
  if (result !== BLOCKED && task.restoreSigmask) restoreSavedSigmask(task, result);
  return result;
}

function doEpollWait(task: Task, epfd: number, events: number, maxevents: number, timeoutNs: number): number {
  const file = task.process.files.get(toInt(epfd));
  const max = toInt(maxevents);
  const { kernel } = task;
  if (kernel.profile.waitChecksFdFirst && file === null) return -Errno.EBADF;
  if (max <= 0 || max > EP_MAX_EVENTS) return -Errno.EINVAL;
  if (!accessOk(events, max * EPOLL_EVENT_SIZE)) return -Errno.EFAULT;
  if (file === null) return -Errno.EBADF;
  const ep = file.epoll;
  return ep === null ? -Errno.EINVAL : epPoll(task, file, ep, events, max, timeoutNs);
}

function epPoll(task: Task, file: File, ep: Eventpoll, events: number, max: number, timeoutNs: number): number {
  const { clock, epollWaitFree } = task.kernel;
  if (timeoutNs === 0 && !ep.eventsAvailable) return 0;
  let deadlineNs = timeoutNs;
  if (timeoutNs > 0) {
    deadlineNs = clock.nowNs + timeoutNs;
    // `timespec64_add_safe` saturates; beyond what the clock can count there is no difference from for ever.
    if (!Number.isSafeInteger(deadlineNs)) deadlineNs = FOREVER;
  }
  const call = epollWaitFree.pop() ?? new EpollWaitCall(epollWaitFree);
  return holdIfBlocked(task, file, call.start(task, ep, events, max, deadlineNs));
}
