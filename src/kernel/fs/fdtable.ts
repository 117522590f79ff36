/**
 * Descriptor tables.
 *
 * Counterpart: `fs/file.c` (`struct files_struct`, `struct fdtable`).
 * The lowest free number is found through bitmaps of full words, 32-fold per level, as `full_fds_bits` does with one
 * level: constant work for any table this side of 32^5 descriptors.
 * Invariants: F1 a bit of level 0 is set exactly while the number is open or reserved; F2 a bit of level n+1 is set exactly
 * while its word of level n is full.
 */
import { assert } from "../lib/assert.ts";
import { Errno } from "../uapi/errno.ts";
import { Open } from "../uapi/fcntl.ts";
import type { File } from "./file.ts";

const FULL = -1; // a word with all 32 bits set
const LEVELS = 5;
const NR_OPEN_DEFAULT = 64;
/** A number further than this behind all others leaves holes in the arrays: dup2 to 2^20 - 1 must not cost 8 MB in each fork. */
const DENSE = 4096;

export class FdTable {
  /** `RLIMIT_NOFILE`, soft. Numbers above it that are open stay usable. */
  nofile: number;
  /** Processes that share the table: `files_struct.count`. */
  users = 1;
  /** Descriptors in use. */
  count = 0;
  readonly #files: (File | null)[] = [];
  /** `close_on_exec`: a bit for each number. */
  readonly #cloexec: number[] = [];
  readonly #levels: number[][] = Array.from({ length: LEVELS }, () => []);

  constructor(nofile: number) {
    this.nofile = nofile;
  }

  /** Any description, O_PATH ones too (`fdget_raw`). */
  getRaw(fd: number): File | null {
    return this.#files[fd] ?? null;
  }

  /** `fdget`: null for a number that is not open, and for an O_PATH descriptor. */
  get(fd: number): File | null {
    const file = this.#files[fd];
    return file !== undefined && file !== null && (file.flags & Open.PATH) === 0 ? file : null;
  }

  /**
   * `alloc_fd` and `fd_install`: takes over the caller's reference.
   *
   * @param from - the lowest number that will do.
   * @returns the lowest free number.
   * @errno EMFILE - no number is free below the limit.
   */
  install(file: File, cloexec: boolean, from = 0): number {
    const fd = this.lowestFree(from);
    if (fd >= this.nofile) return -Errno.EMFILE;
    this.replace(fd, file, cloexec);
    return fd;
  }

  /** The number that the next `install` would take, without regard to the limit. */
  lowestFree(from = 0): number {
    let at = from;
    for (let level = 0; level < LEVELS; level += 1) {
      // `at` counts in units of this level; a partly passed word must be looked at bit by bit.
      const words = this.#levels[level] as number[];
      const word = words[at >> 5] ?? 0;
      const free = ~word & (FULL << (at & 31));
      if (free !== 0) return this.#descend(level, (at & ~31) | ctz(free));
      at = (at >> 5) + 1;
    }
    assert(false, "fdtable: more descriptors than the bitmap can count");
  }

  #descend(level: number, index: number): number {
    let at = index;
    for (let below = level - 1; below >= 0; below -= 1) {
      const word = this.#levels[below]?.[at] ?? 0;
      at = (at << 5) | ctz(~word);
    }
    return at;
  }

  #mark(fd: number): void {
    let at = fd;
    for (const words of this.#levels) {
      const index = at >> 5;
      while (words.length <= index && index - words.length < DENSE) words.push(0);
      const word = (words[index] ?? 0) | (1 << (at & 31));
      words[index] = word;
      if (word !== FULL) return;
      at = index;
    }
  }

  #unmark(fd: number): void {
    let at = fd;
    for (const words of this.#levels) {
      const index = at >> 5;
      const word = words[index] as number;
      words[index] = word & ~(1 << (at & 31));
      if (word !== FULL) return;
      at = index;
    }
  }

  /** `get_unused_fd_flags`: takes a free number for a description that is still to come; `replace` fills it. */
  reserve(fd: number): void {
    assert(this.getRaw(fd) === null, "fdtable: reserved a number in use");
    this.#mark(fd);
  }

  /** `put_unused_fd`. */
  unreserve(fd: number): void {
    assert(this.getRaw(fd) === null, "fdtable: gave back a number in use");
    this.#unmark(fd);
  }

  /** Taken, yet without a description: dup2 onto it is EBUSY. */
  isReserved(fd: number): boolean {
    return this.getRaw(fd) === null && this.lowestFree(fd) !== fd;
  }

  /** `do_dup2` without its checks: puts `file` on `fd` and returns what was there. */
  replace(fd: number, file: File, cloexec: boolean): File | null {
    const old = this.getRaw(fd);
    const files = this.#files;
    while (files.length <= fd && fd - files.length < DENSE) files.push(null);
    files[fd] = file;
    if (old === null) {
      this.count += 1;
      this.#mark(fd);
    }
    this.setCloexec(fd, cloexec);
    return old;
  }

  /** `file_close_fd`: frees the number; the reference goes to the caller. Null when it was not open. */
  take(fd: number): File | null {
    const file = this.getRaw(fd);
    if (file === null) return null;
    this.#files[fd] = null;
    this.setCloexec(fd, false);
    this.count -= 1;
    this.#unmark(fd);
    return file;
  }

  cloexec(fd: number): boolean {
    return ((this.#cloexec[fd >> 5] ?? 0) & (1 << (fd & 31))) !== 0;
  }

  setCloexec(fd: number, on: boolean): void {
    const words = this.#cloexec;
    const index = fd >> 5;
    if (!on && index >= words.length) return;
    while (words.length <= index) words.push(0);
    const bit = 1 << (fd & 31);
    words[index] = on ? (words[index] as number) | bit : (words[index] as number) & ~bit;
  }

  /** The lowest open number from `from` on; `end` when there is none. */
  nextOpen(from: number): number {
    const words = this.#levels[0] as number[];
    const { end } = this;
    for (let fd = from; fd < end; fd += 1) {
      if ((fd & 31) === 0 && (words[fd >> 5] ?? 0) === 0) fd |= 31;
      else if (this.getRaw(fd) !== null) return fd;
    }
    return end;
  }

  /** One more than the highest number that ever was in use. */
  get end(): number {
    return this.#files.length;
  }

  /** `max_fds`: the room of the table, 64 numbers at first and doubled as numbers need it. */
  get maxFds(): number {
    let room = NR_OPEN_DEFAULT;
    while (room < this.end) room *= 2;
    return room;
  }

  /**
   * Frees the numbers from `from` up to `end` that `chosen` names. A description whose last number goes is released on the way
   * back to user space, and there the newest work comes first: from the highest number down (`fput`, `task_work_run`).
   */
  closeMany(from: number, end: number, chosen: (fd: number) => boolean): void {
    const released: File[] = [];
    for (let fd = this.nextOpen(from); fd < end; fd = this.nextOpen(fd + 1)) {
      const file = chosen(fd) ? this.take(fd) : null;
      if (file === null) continue;
      if (file.refs > 1) file.put();
      else released.push(file);
    }
    for (const file of released.reverse()) file.put();
  }

  /** `dup_fd`: a copy that shares the descriptions. */
  clone(): FdTable {
    const copy = new FdTable(this.nofile);
    for (let fd = this.nextOpen(0); fd < this.end; fd = this.nextOpen(fd + 1)) {
      const file = this.getRaw(fd);
      if (file !== null) copy.replace(fd, file.get(), this.cloexec(fd));
    }
    return copy;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#files, this.#cloexec, this.#levels];
  }
}

/** Index of the lowest set bit of a non-zero word. */
function ctz(word: number): number {
  return 31 - Math.clz32(word & -word);
}
