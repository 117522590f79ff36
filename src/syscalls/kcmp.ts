/**
 * kcmp: whether two things of the kernel are the same.
 *
 * Counterpart: `kernel/kcmp.c`, `fs/eventpoll.c` (`get_epoll_tfile_raw_ptr`, `ep_find_tfd`).
 */
import type { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { toInt, toUint } from "./registers.ts";

const KCMP_FILE = 0;
const KCMP_EPOLL_TFD = 7;
const KCMP_TYPES = 8;
/** `struct kcmp_epoll_slot`: efd, tfd, toff. */
const SLOT_SIZE = 12;
const scratch = new Uint8Array(SLOT_SIZE);
const view = new DataView(scratch.buffer);

/**
 * kcmp(2) of descriptors, and of a descriptor with an epoll item.
 *
 * @param idx2 - a descriptor of the second task (KCMP_FILE), or the address of a slot (KCMP_EPOLL_TFD).
 * @returns 0 for the same description, 1 or 2 for an order that is arbitrary but constant.
 * @errno ESRCH - no such task. EBADF - a descriptor. EFAULT - the slot. EINVAL - the type, or efd is no epoll. ENOENT - no
 *   such item.
 * @throws Unmodelled for other types.
 * @kernel kernel/kcmp.c `kcmp`, `kcmp_epoll_target`
 * @behaviour E-059
 */
export function sysKcmp(task: Task, pid1: number, pid2: number, type: number, idx1: number, idx2: number): number {
  const first = task.kernel.pids.get(toInt(pid1))?.task ?? null;
  const second = task.kernel.pids.get(toInt(pid2))?.task ?? null;
  if (first === null || second === null) return -Errno.ESRCH;
  switch (toInt(type)) {
    case KCMP_FILE:
      return compare(first.process.files.getRaw(toUint(idx1)), second.process.files.getRaw(toUint(idx2)));
    case KCMP_EPOLL_TFD:
      return compareWithItem(task, first, second, toUint(idx1), idx2);
    default:
      if (toInt(type) < 0 || toInt(type) >= KCMP_TYPES) return -Errno.EINVAL;
      throw new Unmodelled(`kcmp of type ${toInt(type)}`);
  }
}

/** `kcmp_ptr`. */
function compare(a: File | null, b: File | null): number {
  if (a === null || b === null) return -Errno.EBADF;
  return a === b ? 0 : a.id < b.id ? 1 : 2;
}

function compareWithItem(task: Task, first: Task, second: Task, fd: number, slot: number): number {
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, slot, SLOT_SIZE) < SLOT_SIZE) return mm.fault();
  const file = first.process.files.getRaw(fd);
  const epfile = second.process.files.get(view.getUint32(0, true));
  if (file === null || epfile === null) return -Errno.EBADF;
  if (epfile.epoll === null) return -Errno.EINVAL;
  const epi = findTfd(epfile.epoll, view.getUint32(4, true), view.getUint32(8, true));
  return epi === null ? -Errno.ENOENT : compare(file, epi.file);
}

/** `ep_find_tfd`: the `toff`-th item with that number, in the order of the tree. */
function findTfd(ep: Eventpoll, tfd: number, toff: number): Epitem | null {
  let skip = toff;
  for (let node = ep.rbr.leftmost; node !== null; node = rbNext(node)) {
    if (node.owner.fd !== tfd) continue;
    if (skip === 0) return node.owner;
    skip -= 1;
  }
  return null;
}
