import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkRbtree, RbNode, RbTree, rbNext } from "../../src/kernel/lib/rbtree.ts";

interface Item {
  readonly key: number;
  readonly node: RbNode<Item>;
}

function makeItem(key: number): Item {
  const item = { key } as { key: number; node: RbNode<Item> };
  item.node = new RbNode<Item>(item);
  return item;
}

function keys(tree: RbTree<Item>): number[] {
  const found: number[] = [];
  for (let node = tree.leftmost; node !== null; node = rbNext(node)) found.push(node.owner.key);
  return found;
}

/** A tree beside a sorted array: the naive model. */
class Pair {
  readonly tree = new RbTree<Item>((a, b) => a.key - b.key);
  readonly items = new Map<number, Item>();

  toggle(key: number): void {
    const item = this.items.get(key);
    if (item === undefined) {
      const fresh = makeItem(key);
      this.items.set(key, fresh);
      this.tree.insert(fresh.node);
    } else {
      this.items.delete(key);
      this.tree.erase(item.node);
    }
  }

  sorted(): number[] {
    return [...this.items.keys()].sort((a, b) => a - b);
  }
}

describe("the red-black tree against a sorted array", () => {
  test("every invariant holds after each of a few operations", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 120 }), (ops) => {
        const pair = new Pair();
        for (const key of ops) {
          pair.toggle(key);
          checkRbtree(pair.tree);
          expect(keys(pair.tree)).toEqual(pair.sorted());
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("100,000 random operations", () => {
    const pair = new Pair();
    let state = 12345;
    for (let i = 0; i < 100_000; i += 1) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      pair.toggle((state >>> 8) % 2000);
      if (i % 100 === 0) {
        checkRbtree(pair.tree);
        expect(keys(pair.tree)).toEqual(pair.sorted());
      }
    }
    checkRbtree(pair.tree);
    expect(keys(pair.tree)).toEqual(pair.sorted());
  });

  test("a second node with the same key is a bug of the caller", () => {
    const pair = new Pair();
    pair.toggle(7);
    expect(() => pair.tree.insert(makeItem(7).node)).toThrow("already in the tree");
  });
});
