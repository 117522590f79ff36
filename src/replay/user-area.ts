/**
 * The user memory that a replayed call works on.
 *
 * A recording shows values, not memory: each call gets fresh room for its arguments. Small calls share a slot that their
 * task owns, so that a thousand sleeping threads need one mapping; a large buffer gets a mapping.
 */
import { type Mm, PAGE_SIZE, Prot, type Vma } from "../kernel/mm/mm.ts";

const SLOT_BYTES = 4 * PAGE_SIZE;
/** Slots of the first mapping; each later one has twice as many, up to a bound. */
const SLOTS_MIN = 8;
const SLOTS_MAX = 1024;
/** Largest single buffer. What a recording claims beyond that is cut: no socket or pipe takes so much at once. */
export const BUFFER_MAX: number = 16 * 1024 * 1024;
/** All large buffers of the calls under way: who claims more finds no memory there (EFAULT). */
const LARGE_MAX = 512 * 1024 * 1024;
/** A mapping of this size is kept for the next call of the task. */
const KEPT_MAX = 256 * 1024;
const NOWHERE = PAGE_SIZE;
const BASE = 0x1_0000_0000;
const ALIGN = 16;

/** Hands out mappings of one address space. */
export class UserSpace {
  readonly mm: Mm;
  #next = BASE;
  #slots: Vma | null = null;
  #slotsUsed = 0;
  #slotsRoom = SLOTS_MIN / 2;
  #large = 0;
  /** The latest mapping that was given back: to map 16 MB means to clear them. */
  #spare: Vma | null = null;

  constructor(mm: Mm) {
    this.mm = mm;
  }

  map(bytes: number): Vma {
    const length = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
    const vma = this.mm.map(this.#next, length, Prot.RW);
    this.#next = vma.end + PAGE_SIZE; // a hole, so that an overrun faults
    return vma;
  }

  /** A mapping for large buffers, with whatever stood there before; null when there are too many of them. */
  mapLarge(bytes: number): Vma | null {
    if (this.#large + bytes > LARGE_MAX) return null;
    const spare = this.#spare?.bytes.length === bytes ? this.#spare : null;
    if (spare !== null) this.#spare = null;
    const vma = spare ?? this.map(bytes);
    this.#large += vma.bytes.length;
    return vma;
  }

  /** Gives one back. */
  releaseLarge(vma: Vma): void {
    if (this.#spare !== null) this.mm.unmap(this.#spare);
    this.#spare = vma;
    this.#large -= vma.bytes.length;
  }

  /** A new task's slot. */
  area(): UserArea {
    if (this.#slots === null || this.#slotsUsed === this.#slotsRoom) {
      this.#slotsRoom = Math.min(this.#slotsRoom * 2, SLOTS_MAX);
      this.#slots = this.map(SLOT_BYTES * this.#slotsRoom);
      this.#slotsUsed = 0;
    }
    const offset = this.#slotsUsed * SLOT_BYTES;
    this.#slotsUsed += 1;
    return new UserArea(this, this.#slots, offset);
  }
}

/** Room for the arguments of one call at a time. */
export class UserArea {
  readonly #space: UserSpace;
  readonly #slot: Vma;
  readonly #offset: number;
  #used = 0;
  readonly #large: Vma[] = [];
  #largeUsed = 0;

  constructor(space: UserSpace, slot: Vma, offset: number) {
    this.#space = space;
    this.#slot = slot;
    this.#offset = offset;
  }

  /** Four bytes for a question between calls. */
  get scratch(): number {
    return this.#slot.start + this.#offset + SLOT_BYTES - ALIGN;
  }

  /** The previous call is over. */
  reset(): void {
    this.#used = 0;
    this.#largeUsed = 0;
    const last = this.#large.at(-1);
    const kept = last !== undefined && last.bytes.length <= KEPT_MAX ? 1 : 0;
    while (this.#large.length > kept) this.#space.releaseLarge(this.#large.shift() as Vma);
  }

  /** @returns the address of `size` bytes whose content is whatever stood there. */
  reserve(size: number): number {
    const room = Math.ceil(Math.min(size, BUFFER_MAX) / ALIGN) * ALIGN;
    if (this.#used + room <= SLOT_BYTES - ALIGN) {
      const addr = this.#slot.start + this.#offset + this.#used;
      this.#used += room;
      return addr;
    }
    let vma = this.#large.at(-1) ?? null;
    if (vma === null || this.#largeUsed + room > vma.bytes.length) {
      vma = this.#space.mapLarge(2 ** Math.ceil(Math.log2(room)));
      if (vma === null) return NOWHERE;
      this.#large.push(vma);
      this.#largeUsed = 0;
    }
    const addr = vma.start + this.#largeUsed;
    this.#largeUsed += room;
    return addr;
  }

  write(addr: number, bytes: Uint8Array): void {
    this.#space.mm.copyToUser(addr, bytes, 0, bytes.length);
  }

  /** @returns a copy, or null where nothing is mapped. */
  read(addr: number, length: number): Uint8Array | null {
    const bytes = new Uint8Array(length);
    return this.#space.mm.copyFromUser(bytes, 0, addr, length) === length ? bytes : null;
  }
}
