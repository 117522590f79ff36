/**
 * Epoll inside epoll: no loops, no deep chains, no wake-up storms.
 *
 * Counterpart: `fs/eventpoll.c` (`ep_loop_check`, `reverse_path_check`, `path_limits`).
 */

import type { List } from "../../lib/list.ts";
import { rbNext } from "../../lib/rbtree.ts";
import { Mutex } from "../../sched/mutex.ts";
import type { EpollHook, File } from "../file.ts";
import type { Eventpoll } from "./eventpoll.ts";

/** `EP_MAX_NESTS`: epoll-to-epoll links on any path (E-187). */
const EP_MAX_NESTS = 4;
/** `path_limits`: paths with 0, 1, 2, 3, 4 nested links that may end at one file. The first is never applied (E-191). */
const PATH_LIMITS: readonly number[] = [1000, 500, 100, 50, 10];

/** What Linux keeps in globals under `epnested_mutex`. */
export class Epnested {
  /** `epnested_mutex`: held around the checks, and until the new link is made. */
  readonly mutex: Mutex = new Mutex();
  /** `loop_check_gen`: marks the instances that the present check has visited. */
  loopCheckGen = 0;
  /** `tfile_check_list`: files whose paths the new link may lengthen. */
  readonly tfileCheckList: Set<File> = new Set<File>();
}

/**
 * `ep_loop_check`: may `to` be added to `ep`? Lists the files below `to` for `reversePathCheck`.
 *
 * @param upwards - whether the chain above `ep` counts too: kernels before 6.17 looked down only.
 */
export function loopCheck(nested: Epnested, ep: Eventpoll, to: Eventpoll, upwards: boolean): boolean {
  const depth = depthBelow(nested, ep, to, 0);
  if (depth > EP_MAX_NESTS) return false;
  return depth + 1 + (upwards ? depthAbove(nested, ep) : 0) <= EP_MAX_NESTS;
}

/**
 * The mutex of an instance below `to` that is in the middle of a scan: `ep_loop_check_proc` would sleep on it. The check
 * has no effect before its end, so it may as well begin after the sleep.
 */
export function busyBelow(nested: Epnested, to: Eventpoll): Mutex | null {
  nested.loopCheckGen += 1;
  return busyUnder(nested, to);
}

function busyUnder(nested: Epnested, ep: Eventpoll): Mutex | null {
  if (ep.gen === nested.loopCheckGen) return null;
  ep.gen = nested.loopCheckGen;
  if (ep.mtx.owner !== null) return ep.mtx;
  for (let node = ep.rbr.leftmost; node !== null; node = rbNext(node)) {
    const inner = node.owner.file.epoll;
    const mutex = inner === null ? null : busyUnder(nested, inner);
    if (mutex !== null) return mutex;
  }
  return null;
}

/** `ep_loop_check_proc`: depth of the tree under `ep`, or more than EP_MAX_NESTS for a loop. */
function depthBelow(nested: Epnested, into: Eventpoll, ep: Eventpoll, depth: number): number {
  if (ep.gen === nested.loopCheckGen) return ep.loopCheckDepth;
  ep.gen = nested.loopCheckGen;
  let result = 0;
  for (let node = ep.rbr.leftmost; node !== null; node = rbNext(node)) {
    const { file } = node.owner;
    const inner = file.epoll;
    if (inner === null) {
      nested.tfileCheckList.add(file);
      continue;
    }
    if (inner === into || depth > EP_MAX_NESTS) result = EP_MAX_NESTS + 1;
    else result = Math.max(result, depthBelow(nested, into, inner, depth + 1) + 1);
    if (result > EP_MAX_NESTS) break;
  }
  ep.loopCheckDepth = result;
  return result;
}

/** `ep_get_upwards_depth_proc`: the longest chain of epolls that watch `ep`. */
function depthAbove(nested: Epnested, ep: Eventpoll): number {
  if (ep.gen === nested.loopCheckGen) return ep.loopCheckDepth;
  let result = 0;
  for (const hook of ep.refs ?? []) result = Math.max(result, depthAbove(nested, hook.ep) + 1);
  ep.gen = nested.loopCheckGen;
  ep.loopCheckDepth = result;
  return result;
}

/**
 * `reverse_path_check`: whether every listed file still has few enough wake-up paths.
 *
 * @param added - the file that the new link leads to; listed unless it is itself an epoll, whose leaves are.
 */
export function reversePathCheck(nested: Epnested, added: File): boolean {
  if (added.epoll === null) nested.tfileCheckList.add(added);
  for (const file of nested.tfileCheckList) {
    const counts = PATH_LIMITS.map(() => 0);
    if (!countPaths(file.fEp, 0, counts)) return false;
  }
  return true;
}

/** `reverse_path_check_proc`, `path_count_inc`. */
function countPaths(hooks: List<EpollHook> | null, depth: number, counts: number[]): boolean {
  if (depth > EP_MAX_NESTS) return false;
  for (const hook of hooks ?? []) {
    const above = hook.ep.refs;
    if (above !== null) {
      if (!countPaths(above, depth + 1, counts)) return false;
    } else if (depth > 0) {
      const count = (counts[depth] ?? 0) + 1;
      counts[depth] = count;
      if (count > (PATH_LIMITS[depth] ?? 0)) return false;
    }
  }
  return true;
}
