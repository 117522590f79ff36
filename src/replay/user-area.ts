/**
 * The user memory that a replayed call works on.
 *
 * A recording shows values, not memory: each call gets fresh room for its arguments. Small calls share a slot that their
 * task owns, so that a thousand sleeping threads need one mapping; a large buffer gets a mapping that the task keeps.
 */
import { type Mm, PAGE_SIZE, Prot, type Vma } from "../kernel/mm/mm.ts";

const SLOT_BYTES = 4 * PAGE_SIZE;
const SLOTS_PER_VMA = 1024;
/** Largest single buffer. What a recording claims beyond that is cut: no socket or pipe takes so much at once. */
export const BUFFER_MAX: number = 16 * 1024 * 1024;
const BASE = 0x1_0000_0000;
const ALIGN = 16;

/** Hands out mappings of one address space. */
export class UserSpace {
  readonly mm: Mm;
  #next = BASE;
  #slots: Vma | null = null;
  #slotsUsed = 0;

  constructor(mm: Mm) {
    this.mm = mm;
  }

  map(bytes: number): Vma {
    const length = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
    const vma = this.mm.map(this.#next, length, Prot.RW);
    this.#next = vma.end + PAGE_SIZE; // a hole, so that an overrun faults
    return vma;
  }

  /** A new task's slot. */
  area(): UserArea {
    if (this.#slots === null || this.#slotsUsed === SLOTS_PER_VMA) {
      this.#slots = this.map(SLOT_BYTES * SLOTS_PER_VMA);
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
  #large: Vma | null = null;
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
  }

  /** @returns the address of `size` bytes whose content is whatever stood there. */
  reserve(size: number): number {
    const room = Math.ceil(Math.min(size, BUFFER_MAX) / ALIGN) * ALIGN;
    if (this.#used + room <= SLOT_BYTES - ALIGN) {
      const addr = this.#slot.start + this.#offset + this.#used;
      this.#used += room;
      return addr;
    }
    const kept = this.#large;
    if (kept === null || this.#largeUsed + room > kept.bytes.length) {
      this.#large = this.#space.map(2 ** Math.ceil(Math.log2(room)));
      this.#largeUsed = 0;
    }
    const vma = this.#large as Vma;
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
