/**
 * Intrusive doubly linked lists.
 *
 * Counterpart: `include/linux/list.h` (`struct list_head`).
 * A node knows its owner, which replaces `container_of`, and the list it is on, so "is it linked" is a field test.
 * Invariants: a node is on at most one list; `length` counts the nodes reachable from `first`.
 */
import { assert } from "./assert.ts";

export class ListNode<T> {
  readonly owner: T;
  list: List<T> | null;
  prev: ListNode<T> | null;
  next: ListNode<T> | null;

  /** @param owner - null when the owner is the node itself, by inheritance: one object less to visit. */
  constructor(owner: T | null) {
    this.owner = owner ?? (this as unknown as T);
    this.list = null;
    this.prev = null;
    this.next = null;
  }
}

export class List<T> {
  first: ListNode<T> | null = null;
  last: ListNode<T> | null = null;
  length = 0;

  /** `list_add`: in front of all others. */
  addHead(node: ListNode<T>): void {
    assert(node.list === null, "list: the node is already on a list");
    node.list = this;
    node.prev = null;
    node.next = this.first;
    if (this.first === null) this.last = node;
    else this.first.prev = node;
    this.first = node;
    this.length += 1;
  }

  /** `list_add_tail`: behind all others. */
  addTail(node: ListNode<T>): void {
    assert(node.list === null, "list: the node is already on a list");
    node.list = this;
    node.next = null;
    node.prev = this.last;
    if (this.last === null) this.first = node;
    else this.last.next = node;
    this.last = node;
    this.length += 1;
  }

  /** `list_del_init`. */
  remove(node: ListNode<T>): void {
    assert(node.list === this, "list: the node is not on this list");
    const { prev, next } = node;
    if (prev === null) this.first = next;
    else prev.next = next;
    if (next === null) this.last = prev;
    else next.prev = prev;
    node.list = null;
    node.prev = null;
    node.next = null;
    this.length -= 1;
  }

  /** Moves every node of `other` behind this list's. Costs one step per moved node: a node names its list. */
  appendAll(other: List<T>): void {
    for (let node = other.first; node !== null; node = other.first) {
      other.remove(node);
      this.addTail(node);
    }
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let node = this.first; node !== null; node = node.next) yield node.owner;
  }
}

/** @throws KernelBug when links, owner list or length disagree. */
export function checkList<T>(list: List<T>): void {
  let count = 0;
  let prev: ListNode<T> | null = null;
  for (let node = list.first; node !== null; node = node.next) {
    assert(node.list === list, "list: a linked node does not know its list");
    assert(node.prev === prev, "list: prev does not mirror next");
    count += 1;
    assert(count <= list.length, "list: a cycle, or length is too small");
    prev = node;
  }
  assert(list.last === prev, "list: last is not the last node");
  assert(count === list.length, "list: length is too large");
}
