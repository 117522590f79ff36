/**
 * An epoll instance as a drawing: its tree with the colours of the nodes, its lists, and who sleeps on it.
 *
 * The tree lies on its side: the root is at the left, smaller keys are above.
 */
import type { ListPicture } from "./changes.ts";
import { epollMask } from "./mask.ts";
import type { EventpollPicture, NodePicture } from "./picture.ts";

/** How parts of the drawing are painted. */
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
const LABEL_WIDTH = 9;

/** The lines of a drawing. */
export function drawEventpoll(picture: EventpollPicture, paint: Paint): string[] {
  const { fd, items, txlist, ovflist } = picture;
  const more = `${items} ${items === 1 ? "item" : "items"}${txlist === null ? "" : ", a scan is under way"}`;
  return [
    `${paint.strong(`epoll ${fd ?? "(closed)"}`)}  ${paint.dim(more)}`,
    ...section("rbr", drawTree(picture, paint), paint),
    ...section("rdllist", [drawList(picture.rdllist, paint)], paint),
    ...(txlist === null ? [] : section("txlist", [drawList(txlist, paint)], paint)),
    ...section("ovflist", [ovflist === null ? paint.dim("inactive") : drawList(ovflist, paint)], paint),
    ...section("waiters", [picture.waiters.join(", ") || paint.dim("none")], paint),
    ...section("pollers", [drawPollers(picture) || paint.dim("none")], paint),
  ];
}

function section(label: string, lines: readonly string[], paint: Paint): string[] {
  return lines.map((line, i) => `  ${i === 0 ? paint.dim(label.padEnd(LABEL_WIDTH)) : " ".repeat(LABEL_WIDTH)}${line}`);
}

function drawPollers({ pollers }: EventpollPicture): string {
  return pollers.map((poller) => (typeof poller === "number" ? `epoll ${poller}` : poller)).join(", ");
}

function drawList({ fds, more }: ListPicture, paint: Paint): string {
  if (fds.length === 0) return paint.dim("empty");
  const rest = more > 0 ? paint.dim(` → ${more} more`) : "";
  return fds.join(paint.dim(" → ")) + rest;
}

function drawTree({ rbr, items }: EventpollPicture, paint: Paint): string[] {
  if (rbr === null) return [paint.dim("empty")];
  const lines: string[] = [];
  drawNode(rbr, "", "root", items > NODES_MAX ? LEVELS_MAX : Number.POSITIVE_INFINITY, lines, paint);
  return lines;
}

/** What stands in front of a node, and in front of the subtrees above and below it. */
const JOINTS = {
  root: { joint: "", above: "", below: "" },
  left: { joint: "┌─ ", above: "   ", below: "│  " },
  right: { joint: "└─ ", above: "│  ", below: "   " },
} as const;

function drawNode(
  node: NodePicture,
  indent: string,
  side: keyof typeof JOINTS,
  levels: number,
  lines: string[],
  paint: Paint,
): void {
  const { joint, above, below } = JOINTS[side];
  const { fd, events, red, left, right } = node;
  if (left !== null && levels > 1) drawNode(left, indent + above, "left", levels - 1, lines, paint);
  const hidden = levels > 1 ? 0 : count(left) + count(right);
  const rest = hidden === 0 ? "" : paint.dim(`  and ${hidden} more around it`);
  const label = red ? paint.red(`○ ${fd}`) : paint.black(`● ${fd}`);
  lines.push(`${paint.dim(indent + joint)}${label}  ${paint.dim(epollMask(events))}${rest}`);
  if (right !== null && levels > 1) drawNode(right, indent + below, "right", levels - 1, lines, paint);
}

function count(node: NodePicture | null): number {
  return node === null ? 0 : 1 + count(node.left) + count(node.right);
}
