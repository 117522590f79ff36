/**
 * Pages that the kernel keeps data in.
 *
 * Counterpart: `struct page` with its count, `mm/page_alloc.c`. Freed pages are kept and handed out again, as
 * `pipe->tmp_page` does on a small scale: a pipe in steady state allocates no memory.
 */
import { assert, Unmodelled } from "../lib/assert.ts";
import { PAGE_SIZE } from "./mm.ts";

/** Freed pages beyond these are left to the collector: 4 MiB. */
const FREE_MAX = 1024;
/** All that pipes and files in memory may hold, as for sockets: 512 MiB. */
const HELD_MAX = 131_072;

export class Page {
  readonly bytes: Uint8Array;
  /** `page_count`. */
  refs = 1;

  /** @param size - a multiple of the page size; more than one page for a compound one. */
  constructor(size: number = PAGE_SIZE) {
    this.bytes = new Uint8Array(size);
  }
}

export class PageAllocator {
  readonly #free: Page[] = [];
  /** Pages that are in use. */
  #held = 0;

  /**
   * `alloc_page`. The content is whatever was there before.
   *
   * @throws Unmodelled - what a machine does that is out of memory.
   */
  alloc(): Page {
    this.#hold(1);
    const page = this.#free.pop();
    if (page === undefined) return new Page();
    page.refs = 1;
    return page;
  }

  /** `alloc_pages`: one of at least `size` bytes, all zeros if it is more than a page. @throws Unmodelled - as `alloc`. */
  allocCompound(size: number): Page {
    if (size <= PAGE_SIZE) return this.alloc();
    const pages = Math.ceil(size / PAGE_SIZE);
    this.#hold(pages);
    return new Page(pages * PAGE_SIZE);
  }

  #hold(pages: number): void {
    if (this.#held + pages > HELD_MAX) throw new Unmodelled(`pipes and files that hold more than ${HELD_MAX} pages`);
    this.#held += pages;
  }

  /** `put_page`. */
  put(page: Page): void {
    page.refs -= 1;
    assert(page.refs >= 0, "page: more puts than gets");
    if (page.refs > 0) return;
    this.#held -= page.bytes.length / PAGE_SIZE;
    if (page.bytes.length === PAGE_SIZE && this.#free.length < FREE_MAX) this.#free.push(page);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#held]; // pages kept for reuse have no content
  }
}
