/**
 * An epoll instance at one moment, as data: the kernel goes on, the picture stays.
 *
 * Counterpart: `struct eventpoll` of `fs/eventpoll.c`.
 */
import { type Epitem, EppollEntry } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { File } from "../kernel/fs/file.ts";
import type { RbNode } from "../kernel/lib/rbtree.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { WaitQueueEntry } from "../kernel/sched/wait.ts";
import { type ChangeLog, type ListPicture, pictureOvflist, pictureRdllist } from "./changes.ts";

/** A node of the tree. `events` is the mask as stored, int32. */
export interface NodePicture {
  readonly fd: number;
  readonly events: number;
  readonly red: boolean;
  readonly left: NodePicture | null;
  readonly right: NodePicture | null;
}

/** An instance. Everything is named by descriptor numbers and task names. */
export interface EventpollPicture {
  /** Null for an instance that no descriptor refers to any more. */
  readonly fd: number | null;
  readonly items: number;
  readonly rbr: NodePicture | null;
  readonly rdllist: ListPicture;
  /** The batch of a running scan; null outside of one. */
  readonly txlist: ListPicture | null;
  /** Arrivals during a running scan; null outside of one. */
  readonly ovflist: ListPicture | null;
  /** Sleepers of epoll_wait, the next to be woken first. */
  readonly waiters: readonly string[];
  /** Outer epolls, by number, and tasks in poll. */
  readonly pollers: readonly (number | string)[];
}

/** Takes the picture of one instance. */
export function pictureEventpoll(ep: Eventpoll, log: ChangeLog, tasks: readonly Task[]): EventpollPicture {
  return {
    fd: log.fdOf(ep.file),
    items: ep.rbr.size,
    rbr: pictureNode(ep.rbr.root),
    rdllist: pictureRdllist(ep),
    txlist: ep.scanning ? { fds: [...ep.txlist].map((epi) => epi.fd), more: 0 } : null,
    ovflist: ep.scanning ? pictureOvflist(ep) : null,
    waiters: [...ep.wq.head].map((entry) => sleeper(entry, log, tasks)),
    pollers: [...ep.pollWait.head].map((entry) =>
      entry instanceof EppollEntry ? (log.fdOf(entry.base.ep.file) ?? "a closed epoll") : sleeper(entry, log, tasks),
    ),
  };
}

/** Every instance that a descriptor of the tasks refers to, by ascending number. */
export function eventpollsOf(tasks: readonly Task[]): Eventpoll[] {
  const found = new Set<File>();
  for (const { process } of tasks) {
    for (let fd = 0; fd < process.files.end; fd += 1) {
      const file = process.files.getRaw(fd);
      if (file !== null && file.epoll !== null) found.add(file);
    }
  }
  return [...found].map((file) => file.epoll as Eventpoll);
}

function pictureNode(node: RbNode<Epitem> | null): NodePicture | null {
  if (node === null) return null;
  const { fd, events } = node.owner;
  return { fd, events, red: node.red, left: pictureNode(node.left), right: pictureNode(node.right) };
}

/** Who sleeps behind an entry: its own task, or the one inside the call that the entry belongs to. */
function sleeper(entry: WaitQueueEntry, log: ChangeLog, tasks: readonly Task[]): string {
  const task = tasks.find(
    (candidate) =>
      candidate.wait === entry ||
      ("task" in entry && entry.task === candidate) ||
      (candidate.call !== null && "call" in entry && entry.call === candidate.call),
  );
  return task === undefined ? "a task" : log.nameOf(task);
}
