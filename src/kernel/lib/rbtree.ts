/**
 * An intrusive red-black tree with a cached leftmost node.
 *
 * Counterpart: `lib/rbtree.c`, `include/linux/rbtree.h` (`rb_root_cached`). The rebalancing is the textbook one (Cormen
 * et al., with `null` leaves), written for this project.
 * Invariants (`checkRbtree`): R1 the root is black; R2 a red node has no red child; R3 every path from a node to its
 * leaves has the same number of black nodes; R4 an in-order walk is strictly ascending; R5 parent links mirror child
 * links, `leftmost` is the first node and `size` counts them.
 */
import { assert } from "./assert.ts";

export class RbNode<T> {
  readonly owner: T;
  parent: RbNode<T> | null = null;
  left: RbNode<T> | null = null;
  right: RbNode<T> | null = null;
  red = false;

  /** @param owner - null when the owner is the node itself, by inheritance: one object less to visit. */
  constructor(owner: T | null) {
    this.owner = owner ?? (this as unknown as T);
  }
}

export class RbTree<T> {
  root: RbNode<T> | null = null;
  leftmost: RbNode<T> | null = null;
  size = 0;
  readonly compare: (a: T, b: T) => number;

  /** @param compare - negative, 0 or positive, a total order. */
  constructor(compare: (a: T, b: T) => number) {
    this.compare = compare;
  }

  /** `rb_insert_color_cached` after the descent. The key must not be in the tree. */
  insert(node: RbNode<T>): void {
    let parent: RbNode<T> | null = null;
    let at = this.root;
    let leftmost = true;
    let goLeft = false;
    while (at !== null) {
      parent = at;
      const order = this.compare(node.owner, at.owner);
      assert(order !== 0, "rbtree: the key is already in the tree");
      goLeft = order < 0;
      if (goLeft) {
        at = at.left;
      } else {
        at = at.right;
        leftmost = false;
      }
    }
    node.parent = parent;
    node.left = null;
    node.right = null;
    node.red = true;
    if (parent === null) this.root = node;
    else if (goLeft) parent.left = node;
    else parent.right = node;
    if (leftmost) this.leftmost = node;
    this.size += 1;
    this.#fixInsert(node);
  }

  /** `rb_erase_cached`. */
  erase(node: RbNode<T>): void {
    if (this.leftmost === node) this.leftmost = rbNext(node);
    let removedRed: boolean;
    let child: RbNode<T> | null;
    let childParent: RbNode<T> | null;
    if (node.left !== null && node.right !== null) {
      let successor = node.right;
      while (successor.left !== null) successor = successor.left;
      removedRed = successor.red;
      child = successor.right;
      if (successor.parent === node) {
        childParent = successor;
      } else {
        childParent = successor.parent;
        this.#replace(successor, child);
        successor.right = node.right;
        successor.right.parent = successor;
      }
      this.#replace(node, successor);
      successor.left = node.left;
      successor.left.parent = successor;
      successor.red = node.red;
    } else {
      removedRed = node.red;
      child = node.left ?? node.right;
      childParent = node.parent;
      this.#replace(node, child);
    }
    node.parent = null;
    node.left = null;
    node.right = null;
    this.size -= 1;
    if (!removedRed) this.#fixErase(child, childParent);
  }

  #replace(old: RbNode<T>, by: RbNode<T> | null): void {
    const { parent } = old;
    if (parent === null) this.root = by;
    else if (parent.left === old) parent.left = by;
    else parent.right = by;
    if (by !== null) by.parent = parent;
  }

  #rotateLeft(node: RbNode<T>): void {
    const pivot = node.right as RbNode<T>;
    node.right = pivot.left;
    if (pivot.left !== null) pivot.left.parent = node;
    this.#replace(node, pivot);
    pivot.left = node;
    node.parent = pivot;
  }

  #rotateRight(node: RbNode<T>): void {
    const pivot = node.left as RbNode<T>;
    node.left = pivot.right;
    if (pivot.right !== null) pivot.right.parent = node;
    this.#replace(node, pivot);
    pivot.right = node;
    node.parent = pivot;
  }

  #fixInsert(inserted: RbNode<T>): void {
    let node = inserted;
    for (;;) {
      let parent = node.parent;
      if (parent === null || !parent.red) break;
      const grand = parent.parent as RbNode<T>; // a red node is never the root
      const parentIsLeft = parent === grand.left;
      const uncle = parentIsLeft ? grand.right : grand.left;
      if (uncle?.red) {
        parent.red = false;
        uncle.red = false;
        grand.red = true;
        node = grand;
        continue;
      }
      if (parentIsLeft) {
        if (node === parent.right) {
          this.#rotateLeft(parent);
          parent = node;
        }
        parent.red = false;
        grand.red = true;
        this.#rotateRight(grand);
      } else {
        if (node === parent.left) {
          this.#rotateRight(parent);
          parent = node;
        }
        parent.red = false;
        grand.red = true;
        this.#rotateLeft(grand);
      }
      break;
    }
    (this.root as RbNode<T>).red = false;
  }

  /** `node` (maybe a leaf) under `parent` carries one black too few. */
  #fixErase(child: RbNode<T> | null, childParent: RbNode<T> | null): void {
    let node = child;
    let parent = childParent;
    while (parent !== null && !node?.red) {
      const nodeIsLeft = node === parent.left;
      // R3: the side that lacks a black has a sibling, else the other side would have none to spare.
      let sibling = (nodeIsLeft ? parent.right : parent.left) as RbNode<T>;
      if (sibling.red) {
        sibling.red = false;
        parent.red = true;
        if (nodeIsLeft) this.#rotateLeft(parent);
        else this.#rotateRight(parent);
        sibling = (nodeIsLeft ? parent.right : parent.left) as RbNode<T>;
      }
      const near = nodeIsLeft ? sibling.left : sibling.right;
      const far = nodeIsLeft ? sibling.right : sibling.left;
      if (!near?.red && !far?.red) {
        sibling.red = true;
        node = parent;
        parent = node.parent;
        continue;
      }
      if (!far?.red) {
        (near as RbNode<T>).red = false;
        sibling.red = true;
        if (nodeIsLeft) this.#rotateRight(sibling);
        else this.#rotateLeft(sibling);
        sibling = (nodeIsLeft ? parent.right : parent.left) as RbNode<T>;
      }
      sibling.red = parent.red;
      parent.red = false;
      ((nodeIsLeft ? sibling.right : sibling.left) as RbNode<T>).red = false;
      if (nodeIsLeft) this.#rotateLeft(parent);
      else this.#rotateRight(parent);
      return;
    }
    if (node !== null) node.red = false;
  }
}

/** `rb_next`: the in-order successor. */
export function rbNext<T>(node: RbNode<T>): RbNode<T> | null {
  if (node.right !== null) {
    let at = node.right;
    while (at.left !== null) at = at.left;
    return at;
  }
  let at = node;
  while (at.parent !== null && at === at.parent.right) at = at.parent;
  return at.parent;
}

/** @throws KernelBug naming the invariant that does not hold. Costs one step per node. */
export function checkRbtree<T>(tree: RbTree<T>): void {
  assert(!tree.root?.red, "R1: the root is red");
  assert(tree.root === null || tree.root.parent === null, "R5: the root has a parent");
  blackHeight(tree.root);
  let count = 0;
  let previous: RbNode<T> | null = null;
  let first = tree.root;
  while (first !== null && first.left !== null) first = first.left;
  assert(tree.leftmost === first, "R5: leftmost is not the first node");
  for (let node = first; node !== null; node = rbNext(node)) {
    assert(previous === null || tree.compare(previous.owner, node.owner) < 0, "R4: the order is not ascending");
    previous = node;
    count += 1;
  }
  assert(count === tree.size, "R5: size does not count the nodes");
}

function blackHeight<T>(node: RbNode<T> | null): number {
  if (node === null) return 1;
  for (const child of [node.left, node.right]) {
    if (child === null) continue;
    assert(child.parent === node, "R5: a child does not know its parent");
    assert(!(node.red && child.red), "R2: a red node has a red child");
  }
  const left = blackHeight(node.left);
  assert(left === blackHeight(node.right), "R3: the black heights differ");
  return left + (node.red ? 0 : 1);
}
