/**
 * Pieces of pages that hold what is sent.
 *
 * Counterpart: `net/core/sock.c` (`sk_page_frag_refill`), `net/core/skbuff.c` (`skb_shift`, `skb_split`).
 * A task fills one stretch of 32 KiB after the other with what it sends, whichever socket it goes to. A buffer takes no more than
 * 17 pieces, and what lies behind its last piece without a gap makes that longer. A place is the number of a stretch and an offset
 * in it. (A stretch that nobody uses any more is filled anew in Linux; here each is used once.)
 */
import type { Task } from "../../sched/task.ts";
import type { SkBuff } from "../skbuff.ts";

/** Bytes of a stretch, what has to be left of it to go on with, and how far apart the places of two stretches are. */
const STRETCH_BYTES = 32_768;
const REST_BYTES = 32;
const STRIDE = 65_536;
/** Places of different tasks lie further apart than any of them gets. */
const TASK_STRIDE = 2 ** 40;

/** Mark of a received buffer that shares its head with none of the sender's. */
export const NO_CLONE = -1;

/** `sk_page_frag_refill`. @returns bytes that the task can put behind its place */
export function fragmentRoom(task: Task): number {
  const used = task.fragment % STRIDE;
  if (used + REST_BYTES > STRETCH_BYTES) task.fragment += STRIDE - used;
  return STRETCH_BYTES - (task.fragment % STRIDE);
}

/** The task's place. */
export function fragmentPlace(task: Task): number {
  return task.tid * TASK_STRIDE + task.fragment;
}

/** Which piece of a buffer holds its byte `at`. */
function pieceOf(skb: SkBuff, at: number): number {
  const first = STRETCH_BYTES - (skb.start % STRIDE);
  return at < first ? 0 : 1 + Math.floor((at - first) / STRETCH_BYTES);
}

/** The place of byte `at`. */
function placeOf(skb: SkBuff, at: number): number {
  const piece = pieceOf(skb, at);
  if (piece === 0) return skb.start + at;
  const first = STRETCH_BYTES - (skb.start % STRIDE);
  return skb.start - (skb.start % STRIDE) + piece * STRIDE + ((at - first) % STRETCH_BYTES);
}

/** How many pieces hold the bytes from `at` on. */
export function piecesIn(skb: SkBuff, at: number, bytes: number): number {
  return Math.min(pieceOf(skb, at + bytes - 1) - pieceOf(skb, at) + 1, skb.frags);
}

/** `skb_split`: what is from `at` on goes to `rest`; the piece there belongs to both. */
export function splitPieces(skb: SkBuff, rest: SkBuff, at: number): void {
  const last = Math.min(pieceOf(skb, at - 1), skb.frags - 1);
  rest.start = placeOf(skb, at);
  rest.mark = skb.mark;
  rest.frags = Math.max(skb.frags - Math.min(pieceOf(skb, at), skb.frags - 1), 1);
  skb.frags = last + 1;
}

/** `skb_shift`. @returns how many pieces `skb` has with the first `bytes` of `next` */
export function piecesWith(skb: SkBuff, next: SkBuff, bytes: number): number {
  const moved = bytes === next.len ? next.frags : Math.min(pieceOf(next, bytes - 1) + 1, next.frags);
  return skb.frags + moved - (skb.mark === next.start ? 1 : 0);
}

/** The first `bytes` of `next` have gone to `skb`. */
export function shiftPieces(skb: SkBuff, next: SkBuff, bytes: number): void {
  skb.frags = piecesWith(skb, next, bytes);
  if (bytes === next.len) {
    skb.mark = next.mark;
    return;
  }
  const gone = Math.min(pieceOf(next, bytes), next.frags - 1);
  next.start = placeOf(next, bytes);
  next.frags -= gone;
  skb.mark = next.start;
}
