/**
 * An epoll instance as a drawing: its tree with the colours of the nodes, its lists, and who sleeps on it.
 *
 * Counterpart: `struct eventpoll`. The tree lies on its side: the root is at the left, smaller keys are above.
 */
import { type Epitem, EppollEntry } from "../kernel/fs/eventpoll/epitem.ts";
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { RbNode } from "../kernel/lib/rbtree.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { WaitQueueEntry } from "../kernel/sched/wait.ts";
import { type ChangeLog, type ListPicture, pictureOvflist, pictureRdllist } from "./changes.ts";
import { epollMask } from "./mask.ts";

/** How parts of the drawing are painted; plain text without colours. */
export interface Paint {
  readonly red: (text: string) => string;
  readonly black: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly strong: (text: string) => string;
}

/** Leaves the text as it is. */
export const plainPaint: Paint = {
  red: (text) => text,
  black: (text) => text,
  dim: (text) => text,
  strong: (text) => text,
};

/** A tree with more nodes than this is cut below its first levels. */
const NODES_MAX = 64;
const LEVELS_MAX = 4;
const LABEL = 11;

/**
 * The lines of a drawing.
 *
 * @param log - knows the numbers and names.
 * @param tasks - to be named among the sleepers.
 */
export function drawEventpoll(ep: Eventpoll, log: ChangeLog, tasks: readonly Task[], paint: Paint): string[] {
  const fd = log.fdOf(ep.file);
  const { size } = ep.rbr;
  const items = `${size} ${size === 1 ? "item" : "items"}`;
  return [
    `${paint.strong(`epoll ${fd ?? "(closed)"}`)} ${paint.dim(`· ${items}${ep.scanning ? " · a scan is running" : ""}`)}`,
    ...section("rbr", drawTree(ep, paint), paint),
    ...section("rdllist", [drawList(pictureRdllist(ep), paint)], paint),
    ...(ep.scanning ? section("txlist", [drawBatch(ep, paint)], paint) : []),
    ...section("ovflist", [ep.scanning ? drawList(pictureOvflist(ep), paint) : paint.dim("inactive")], paint),
    ...section("waiters", [drawWaiters(ep, log, tasks, paint)], paint),
    ...section("pollers", [drawPollers(ep, log, paint)], paint),
  ];
}

function section(label: string, lines: readonly string[], paint: Paint): string[] {
  return lines.map((line, i) => `  ${i === 0 ? paint.dim(label.padEnd(LABEL)) : " ".repeat(LABEL)}${line}`);
}

function drawTree(ep: Eventpoll, paint: Paint): string[] {
  const { root, size } = ep.rbr;
  if (root === null) return [paint.dim("empty")];
  const lines: string[] = [];
  drawNode(root, "", "", size > NODES_MAX ? LEVELS_MAX : Number.POSITIVE_INFINITY, lines, paint);
  return lines;
}

/** `indent` stands in front of the subtree, `joint` in front of the node itself. */
function drawNode(
  node: RbNode<Epitem>,
  indent: string,
  joint: "" | "┌─ " | "└─ ",
  levels: number,
  lines: string[],
  paint: Paint,
): void {
  const above = indent + (joint === "" ? "" : joint === "┌─ " ? "   " : "│  ");
  const below = indent + (joint === "" ? "" : joint === "┌─ " ? "│  " : "   ");
  if (node.left !== null && levels > 1) drawNode(node.left, above, "┌─ ", levels - 1, lines, paint);
  const { fd, events } = node.owner;
  const label = node.red ? paint.red(`○ ${fd}`) : paint.black(`● ${fd}`);
  const hidden = levels > 1 ? 0 : count(node.left) + count(node.right);
  const rest = hidden === 0 ? "" : paint.dim(`  … ${hidden} more below`);
  lines.push(`${paint.dim(indent + joint)}${label}  ${epollMask(events)}${rest}`);
  if (node.right !== null && levels > 1) drawNode(node.right, below, "└─ ", levels - 1, lines, paint);
}

function count(node: RbNode<Epitem> | null): number {
  return node === null ? 0 : 1 + count(node.left) + count(node.right);
}

function drawList(list: ListPicture, paint: Paint): string {
  if (list.fds.length === 0) return paint.dim("empty");
  const more = list.more > 0 ? paint.dim(` → … ${list.more} more`) : "";
  return list.fds.join(paint.dim(" → ")) + more;
}

function drawBatch(ep: Eventpoll, paint: Paint): string {
  const fds = [...ep.txlist].map((epi) => epi.fd);
  return drawList({ fds, more: 0 }, paint);
}

/** Sleepers of epoll_wait, first the one that is woken first. */
function drawWaiters(ep: Eventpoll, log: ChangeLog, tasks: readonly Task[], paint: Paint): string {
  const names = [...ep.wq.head].map((entry) => {
    const task = tasks.find((candidate) => sleepsBy(candidate, entry));
    return task === undefined ? "somebody" : log.nameOf(task);
  });
  return names.length === 0 ? paint.dim("none") : names.join(", ");
}

/** Whether this is the task's own entry, or that of the call it sleeps in. */
function sleepsBy(task: Task, entry: WaitQueueEntry): boolean {
  return task.wait === entry || (task.call !== null && "call" in entry && entry.call === task.call);
}

/** Who watches the descriptor itself: outer epolls, and tasks in poll. */
function drawPollers(ep: Eventpoll, log: ChangeLog, paint: Paint): string {
  const names = [...ep.pollWait.head].map((entry) =>
    entry instanceof EppollEntry ? `epoll ${log.fdOf(entry.base.ep.file) ?? "(closed)"}` : "a task in poll",
  );
  return names.length === 0 ? paint.dim("none") : names.join(", ");
}
