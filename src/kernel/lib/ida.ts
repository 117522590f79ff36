/**
 * Small numbers, lowest first.
 *
 * Counterpart: `lib/idr.c` (`struct ida`).
 * Invariant: no number below `#lowest` is free.
 */
import { assert } from "./assert.ts";

export class Ida {
  readonly #used: boolean[] = [];
  #lowest = 0;

  /** `ida_alloc`. @returns the lowest number not in use. */
  alloc(): number {
    let id = this.#lowest;
    while (this.#used[id] === true) id += 1;
    this.#used[id] = true;
    this.#lowest = id + 1;
    return id;
  }

  /** `ida_free`. */
  free(id: number): void {
    assert(this.#used[id] === true, "ida: the number is not in use");
    this.#used[id] = false;
    if (id < this.#lowest) this.#lowest = id;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#used, this.#lowest];
  }
}
