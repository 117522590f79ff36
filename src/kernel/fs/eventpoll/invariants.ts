/**
 * What must hold of an epoll instance between any two steps.
 *
 * Counterpart: the comments and WARN_ONs of `fs/eventpoll.c`.
 * I1 an item is on the ready list or in the batch, at most once; I2 outside a scan the batch and ovflist are empty;
 * I3 every item of the tree is on its file's `fEp`, and its hooks are on the queues they name; I4 the tree is a red-black
 * tree; I5 the creator pays for each item.
 */
import { assert } from "../../lib/assert.ts";
import { checkList } from "../../lib/list.ts";
import { checkRbtree, rbNext } from "../../lib/rbtree.ts";
import type { Eventpoll } from "./eventpoll.ts";

/** @throws KernelBug naming the invariant that does not hold. */
export function checkEventpoll(ep: Eventpoll): void {
  checkList(ep.rdllist);
  checkList(ep.txlist);
  checkRbtree(ep.rbr);
  assert(ep.scanning || (ep.txlist.length === 0 && ep.ovflist === null), "I2: leftovers of a scan that is over");
  for (const epi of ep.rdllist) assert(epi.ep === ep, "I1: a foreign item on the ready list");
  assert(ep.user.epollWatches >= ep.rbr.size, "I5: items that nobody pays for");
  for (let node = ep.rbr.leftmost; node !== null; node = rbNext(node)) {
    const epi = node.owner;
    const { list } = epi.rdllink;
    assert(list === null || list === ep.rdllist || list === ep.txlist, "I1: an item is on a foreign list");
    assert(epi.fllink.list === epi.file.fEp, "I3: an item is not on its file's list");
    for (let pwq = epi.pwqlist; pwq !== null; pwq = pwq.nextPwq) {
      assert(pwq.whead === null || pwq.entry.list === pwq.whead.head, "I3: a hook is not on its queue");
    }
  }
}
