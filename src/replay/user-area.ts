/**
 * The user memory that a replayed call works on.
 *
 * A recording shows values, not memory: each call gets fresh room for its arguments. Small calls share a slot that their
 * task owns, so that a thousand sleeping threads need one mapping; a large buffer gets a mapping. A buffer that is larger still
 * is given its address at once, and memory when it is known what for: of one that the call reads, the recording shows the
 * beginning, and all that it cut off is one and the same piece of memory, mapped as often as it is needed. So a line that
 * claims to write 4 GiB costs what it shows.
 */
import { type Mm, PAGE_SIZE, Prot, type Vma } from "../kernel/mm/mm.ts";

/** Stands for bytes that the recording cut off (`"abc"...`). A read of such bytes proves nothing about them. */
export const UNKNOWN_BYTE = 0xa5;

const SLOT_BYTES = 4 * PAGE_SIZE;
/** Slots of the first mapping; each later one has twice as many, up to a bound. */
const SLOTS_MIN = 8;
const SLOTS_MAX = 1024;
/** Largest single buffer. What a recording claims beyond that is cut: no socket or pipe takes so much at once. */
export const BUFFER_MAX: number = 16 * 1024 * 1024;
/** All large buffers of the calls under way: who claims more finds no memory there (EFAULT). */
const LARGE_MAX = 512 * 1024 * 1024;
const CLAIMS_MAX = 4096;
/** A mapping of this size is kept for the next call of the task. */
const KEPT_MAX = 256 * 1024;
const NOWHERE = PAGE_SIZE;
const BASE = 0x1_0000_0000;
const CLAIMS_BASE = 0x1000_0000_0000;
const CLAIMS_END = 0x7000_0000_0000;
const ALIGN = 16;

/** Hands out mappings of one address space. */
export class UserSpace {
  readonly mm: Mm;
  #next = BASE;
  #slots: Vma | null = null;
  #slotsUsed = 0;
  #slotsRoom = SLOTS_MIN / 2;
  #large = 0;
  /** The latest mapping that was given back. */
  #spare: Vma | null = null;
  #nextClaim = CLAIMS_BASE;
  #claims = 0;
  /** Memory of claims that were given back, by its length. */
  readonly #spareBytes = new Map<number, Uint8Array>();
  /** What was cut off. */
  #unknown: Uint8Array | null = null;

  constructor(mm: Mm) {
    this.mm = mm;
  }

  map(bytes: number): Vma {
    const length = roundUp(bytes, PAGE_SIZE);
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

  /** Addresses for `size` bytes, where nothing is mapped yet; null when there are too many. */
  claim(size: number): Claim | null {
    if (this.#claims >= CLAIMS_MAX) return null;
    const length = roundUp(size, PAGE_SIZE) + PAGE_SIZE;
    let addr = this.#nextClaim;
    for (let free = false; !free; ) {
      if (addr + length > CLAIMS_END) addr = CLAIMS_BASE;
      const there = this.mm.vmas.find((vma) => addr < vma.end && vma.start < addr + length);
      free = there === undefined;
      addr = there?.end ?? addr;
    }
    this.#nextClaim = addr + length;
    this.#claims += 1;
    return { addr, size, vmas: [] };
  }

  /** Memory of its own for a claim, with whatever stood there before. Nothing is mapped when there is too much of it. */
  back(claim: Claim): void {
    const length = 2 ** Math.ceil(Math.log2(roundUp(claim.size, PAGE_SIZE)));
    if (this.#large + length > LARGE_MAX) return;
    const bytes = this.#spareBytes.get(length) ?? new Uint8Array(length);
    this.#spareBytes.delete(length);
    this.#large += length;
    claim.vmas.push(this.mm.map(claim.addr, roundUp(claim.size, PAGE_SIZE), Prot.RW, false, bytes));
  }

  /** Memory for a claim that a call reads: `content`, and behind it what was cut off. */
  backCut(claim: Claim, content: Uint8Array): void {
    const head = new Uint8Array(roundUp(content.length, PAGE_SIZE)).fill(UNKNOWN_BYTE, content.length);
    head.set(content);
    if (head.length > 0) claim.vmas.push(this.mm.map(claim.addr, head.length, Prot.READ, false, head));
    const rest = roundUp(claim.size, PAGE_SIZE) - head.length;
    this.#unknown ??= new Uint8Array(BUFFER_MAX).fill(UNKNOWN_BYTE);
    if (rest <= 0) return;
    const unknown = this.#unknown.subarray(0, rest);
    claim.vmas.push(this.mm.map(claim.addr + head.length, rest, Prot.READ, false, unknown));
  }

  /** Gives a claim back. */
  release({ vmas }: Claim): void {
    this.#claims -= 1;
    for (const vma of vmas) {
      this.mm.unmap(vma);
      if ((vma.prot & Prot.WRITE) === 0) continue;
      const bytes = new Uint8Array(vma.bytes.buffer);
      this.#large -= bytes.length;
      this.#spareBytes.set(bytes.length, bytes);
    }
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

/** The place of one very large buffer. */
interface Claim {
  readonly addr: number;
  readonly size: number;
  /** Its memory, once it is known what for. */
  readonly vmas: Vma[];
}

function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

/** Room for the arguments of one call at a time. */
export class UserArea {
  readonly #space: UserSpace;
  readonly #slot: Vma;
  readonly #offset: number;
  #used = 0;
  readonly #large: Vma[] = [];
  #largeUsed = 0;
  readonly #claims: Claim[] = [];

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
    for (const claim of this.#claims.splice(0)) this.#space.release(claim);
  }

  /** @returns the address of `size` bytes whose content is whatever stood there. Very large ones exist behind `settle`. */
  reserve(size: number): number {
    const room = roundUp(Math.min(size, BUFFER_MAX), ALIGN);
    if (this.#used + room <= SLOT_BYTES - ALIGN) {
      const addr = this.#slot.start + this.#offset + this.#used;
      this.#used += room;
      return addr;
    }
    if (room > KEPT_MAX) {
      const claim = this.#space.claim(room);
      if (claim === null) return NOWHERE;
      this.#claims.push(claim);
      return claim.addr;
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
    const claim = this.#unbacked(addr);
    if (claim !== null) this.#space.back(claim);
    this.#space.mm.copyToUser(addr, bytes, 0, bytes.length);
  }

  /** Puts `size` bytes there of which only the first are known. */
  writeCut(addr: number, content: Uint8Array, size: number): void {
    const claim = this.#unbacked(addr);
    if (claim !== null) {
      this.#space.backCut(claim, content);
      return;
    }
    const { mm } = this.#space;
    mm.copyToUser(addr, content, 0, content.length);
    const vma = content.length < size ? mm.find(addr) : null;
    vma?.bytes.fill(UNKNOWN_BYTE, addr + content.length - vma.start, addr + size - vma.start);
  }

  /** All buffers of the call are known: those that nothing was put into get memory. */
  settle(): void {
    for (const claim of this.#claims) if (claim.vmas.length === 0) this.#space.back(claim);
  }

  #unbacked(addr: number): Claim | null {
    return this.#claims.find((claim) => claim.addr === addr && claim.vmas.length === 0) ?? null;
  }

  /** @returns a copy, or null where nothing is mapped. */
  read(addr: number, length: number): Uint8Array | null {
    const bytes = new Uint8Array(length);
    return this.#space.mm.copyFromUser(bytes, 0, addr, length) === length ? bytes : null;
  }
}
