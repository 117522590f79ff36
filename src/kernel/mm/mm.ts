/**
 * User memory: what a pointer may point to, and what happens when it does not.
 *
 * Counterpart: `struct mm_struct`, `arch/x86/include/asm/uaccess_64.h` (`access_ok`), `lib/usercopy.c`, and
 * `fs/userfaultfd.c` for pages that are missing until somebody provides them.
 * Addresses are numbers: user space ends at 2^47, far below 2^53. A register that holds a kernel address is a negative
 * number or a large double; `accessOk` refuses both.
 */
import { assert, Unmodelled } from "../lib/assert.ts";
import type { FutexBuckets } from "../sched/futex.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";

export const PAGE_SIZE = 4096;
/** `TASK_SIZE_MAX`: the first address that no user pointer may reach. */
export const TASK_SIZE_MAX = 0x7fff_ffff_f000;

export const Prot = { READ: 1, WRITE: 2, RW: 3 } as const;

/**
 * Kernel memory that is copied from and to often: the same bytes seen one by one and as words.
 *
 * Copying 64 bytes word by word takes 20 ns where byte by byte takes 110, and makes no view as `subarray` does.
 */
export class Slab {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;

  /** @param length - in bytes, a multiple of 4. */
  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.words = new Int32Array(this.bytes.buffer);
  }
}

/** A mapping: consecutive pages with one protection. */
export class Vma {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Int32Array;
  /** Pages registered with userfaultfd and not yet provided; null when the mapping has none. */
  readonly missing: Set<number> | null;

  constructor(start: number, bytes: Uint8Array, prot: number, missing: Set<number> | null) {
    assert(start % PAGE_SIZE === 0 && bytes.length % PAGE_SIZE === 0, "mm: a mapping is whole pages");
    this.start = start;
    this.end = start + bytes.length;
    this.prot = prot;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.missing = missing;
  }
}

/** Below this a byte loop beats `set(subarray)`, which allocates a view. */
const LOOP_BYTES = 256;

/** `memcpy` without a temporary view for short runs. */
export function copyBytes(
  to: Uint8Array,
  toOffset: number,
  from: Uint8Array,
  fromOffset: number,
  length: number,
): void {
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i += 1) to[toOffset + i] = from[fromOffset + i] as number;
  } else {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
  }
}

/** Above this `set(subarray)` beats a loop over words. */
const WORDS_BYTES = 256;

/** `memcpy` between memories that can be seen as words. */
function copyWords(
  to: Uint8Array,
  toWords: Int32Array,
  toOffset: number,
  from: Uint8Array,
  fromWords: Int32Array,
  fromOffset: number,
  length: number,
): void {
  if (length > WORDS_BYTES) {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
    return;
  }
  let done = 0;
  if (((toOffset | fromOffset) & 3) === 0) {
    const toWord = toOffset >> 2;
    const fromWord = fromOffset >> 2;
    const count = length >> 2;
    let i = 0;
    for (; i + 4 <= count; i += 4) {
      toWords[toWord + i] = fromWords[fromWord + i] as number;
      toWords[toWord + i + 1] = fromWords[fromWord + i + 1] as number;
      toWords[toWord + i + 2] = fromWords[fromWord + i + 2] as number;
      toWords[toWord + i + 3] = fromWords[fromWord + i + 3] as number;
    }
    for (; i < count; i += 1) toWords[toWord + i] = fromWords[fromWord + i] as number;
    done = count << 2;
  }
  for (; done < length; done += 1) to[toOffset + done] = from[fromOffset + done] as number;
}

/** `memcpy` from slab to slab. */
export function copySlab(to: Slab, toOffset: number, from: Slab, fromOffset: number, length: number): void {
  copyWords(to.bytes, to.words, toOffset, from.bytes, from.words, fromOffset, length);
}

/** `access_ok`: range only, not whether anything is mapped. */
export function accessOk(addr: number, length: number): boolean {
  return addr >= 0 && addr + length <= TASK_SIZE_MAX;
}

export class Mm {
  readonly vmas: Vma[] = [];
  /** Tasks whose access waits for a missing page (`handle_userfault`). */
  readonly faultWait: WaitQueueHead = new WaitQueueHead();
  /**
   * Address of the missing page that stopped the latest copy, or -1 if it stopped at a hole or did not stop.
   * A copy that can sleep there asks for it.
   */
  missingAt = -1;
  /** Sleepers on futexes that any process with this memory can name. */
  readonly sharedFutexes: FutexBuckets = new Map();
  #last: Vma | null = null;

  /**
   * `mmap(MAP_FIXED)` of anonymous memory.
   *
   * @param bytes - the pages, all zeros.
   * @throws KernelBug when it overlaps another mapping.
   */
  map(start: number, length: number, prot: number, missing = false, bytes: Uint8Array = new Uint8Array(length)): Vma {
    const pages = missing ? new Set<number>() : null;
    for (let page = start; pages !== null && page < start + length; page += PAGE_SIZE) pages.add(page);
    const vma = new Vma(start, bytes, prot, pages);
    for (const other of this.vmas) assert(vma.end <= other.start || other.end <= start, "mm: mappings overlap");
    this.vmas.push(vma);
    return vma;
  }

  /** `munmap` of a whole mapping. */
  unmap(vma: Vma): void {
    const index = this.vmas.indexOf(vma);
    assert(index !== -1, "mm: unmapped what is not mapped");
    this.vmas.splice(index, 1);
    this.#last = null;
  }

  /** `UFFDIO_ZEROPAGE`: provides a missing page and lets the tasks that wait for it go on. */
  provide(page: number): boolean {
    for (const vma of this.vmas) {
      if (vma.missing?.delete(page)) {
        this.faultWait.wakeUp(0, 0);
        return true;
      }
    }
    return false;
  }

  find(addr: number): Vma | null {
    const last = this.#last;
    if (last !== null && addr >= last.start && addr < last.end) return last;
    for (const vma of this.vmas) {
      if (addr >= vma.start && addr < vma.end) {
        this.#last = vma;
        return vma;
      }
    }
    return null;
  }

  /** How many of `length` bytes at `addr`, all in one mapping, can be accessed. Sets `missingAt`. */
  #reach(vma: Vma, addr: number, length: number): number {
    const end = Math.min(addr + length, vma.end);
    if (vma.missing !== null && vma.missing.size > 0) {
      for (let page = addr - (addr % PAGE_SIZE); page < end; page += PAGE_SIZE) {
        if (!vma.missing.has(page)) continue;
        this.missingAt = page;
        return Math.max(0, page - addr);
      }
    }
    return end - addr;
  }

  /**
   * `copy_from_user`.
   *
   * @returns bytes copied: less than `length` when the range reaches something that cannot be read.
   */
  copyFromUser(to: Uint8Array, toOffset: number, addr: number, length: number): number {
    this.missingAt = -1;
    let done = 0;
    while (done < length) {
      const vma = this.find(addr + done);
      if (vma === null || (vma.prot & Prot.READ) === 0) break;
      const run = this.#reach(vma, addr + done, length - done);
      copyBytes(to, toOffset + done, vma.bytes, addr + done - vma.start, run);
      done += run;
      if (this.missingAt !== -1) break;
    }
    return done;
  }

  /** `copy_to_user`. @returns bytes copied, as `copyFromUser`. */
  copyToUser(addr: number, from: Uint8Array, fromOffset: number, length: number): number {
    this.missingAt = -1;
    let done = 0;
    while (done < length) {
      const vma = this.find(addr + done);
      if (vma === null || (vma.prot & Prot.WRITE) === 0) break;
      const run = this.#reach(vma, addr + done, length - done);
      copyBytes(vma.bytes, addr + done - vma.start, from, fromOffset + done, run);
      done += run;
      if (this.missingAt !== -1) break;
    }
    return done;
  }

  /**
   * What a copy that came out short means for a call that cannot sleep in the middle.
   *
   * @returns `-EFAULT`.
   * @throws Unmodelled when the copy stopped at a missing page: there the real call sleeps.
   */
  fault(): number {
    if (this.missingAt !== -1) throw new Unmodelled("a sleep on a missing page outside epoll_wait");
    return -Errno.EFAULT;
  }

  /** `copyFromUser` into a slab. */
  slabFromUser(to: Slab, toOffset: number, addr: number, length: number): number {
    const vma = this.#last;
    if (vma !== null && vma.missing === null && addr >= vma.start && addr + length <= vma.end && vma.prot & Prot.READ) {
      copyWords(to.bytes, to.words, toOffset, vma.bytes, vma.words, addr - vma.start, length);
      return length;
    }
    return this.copyFromUser(to.bytes, toOffset, addr, length);
  }

  /** `copyToUser` out of a slab. */
  slabToUser(addr: number, from: Slab, fromOffset: number, length: number): number {
    const vma = this.#last;
    if (
      vma !== null &&
      vma.missing === null &&
      addr >= vma.start &&
      addr + length <= vma.end &&
      vma.prot & Prot.WRITE
    ) {
      copyWords(vma.bytes, vma.words, addr - vma.start, from.bytes, from.words, fromOffset, length);
      return length;
    }
    return this.copyToUser(addr, from.bytes, fromOffset, length);
  }

  /**
   * `__put_user` of 4 bytes, little-endian. A word is stored whole or not at all.
   *
   * @returns whether it could be stored; `missingAt` says if a missing page is the reason.
   */
  putUser32(addr: number, value: number): boolean {
    const vma = this.#writable(addr, 4);
    if (vma === null) return false;
    vma.view.setInt32(addr - vma.start, value, true);
    return true;
  }

  /** `__put_user` of 8 bytes, given as two halves. */
  putUser64(addr: number, low: number, high: number): boolean {
    const vma = this.#writable(addr, 8);
    if (vma === null) return false;
    vma.view.setInt32(addr - vma.start, low, true);
    vma.view.setInt32(addr - vma.start + 4, high, true);
    return true;
  }

  #writable(addr: number, length: number): Vma | null {
    this.missingAt = -1;
    const vma = this.find(addr);
    if (vma === null || (vma.prot & Prot.WRITE) === 0) return null;
    return this.#reach(vma, addr, length) === length ? vma : null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#last];
  }
}
