/**
 * A cursor over the user buffers of one call.
 *
 * Counterpart: `lib/iov_iter.c` (`struct iov_iter`). One object per task, set up anew by each call, so that a read or a
 * write allocates nothing.
 */
import type { Mm, Slab } from "./mm.ts";

export class IovIter {
  mm: Mm;
  /** Bytes left. */
  count: number;
  readonly #bases: number[] = [];
  readonly #lengths: number[] = [];
  #segments = 0;
  #segment = 0;
  #offset = 0;

  constructor(mm: Mm) {
    this.mm = mm;
    this.count = 0;
  }

  /** `iov_iter_ubuf`: one buffer. */
  setBuffer(addr: number, length: number): void {
    this.#bases[0] = addr;
    this.#lengths[0] = length;
    this.#segments = 1;
    this.#segment = 0;
    this.#offset = 0;
    this.count = length;
  }

  /** Starts an empty vector; `addSegment` fills it. */
  clear(): void {
    this.#segments = 0;
    this.#segment = 0;
    this.#offset = 0;
    this.count = 0;
  }

  addSegment(addr: number, length: number): void {
    this.#bases[this.#segments] = addr;
    this.#lengths[this.#segments] = length;
    this.#segments += 1;
    this.count += length;
  }

  /** `iov_iter_truncate`: forgets what lies beyond `length` bytes. */
  truncate(length: number): void {
    if (this.count > length) this.count = length;
  }

  /** `copy_from_iter`. @returns bytes copied; short when a buffer cannot be read. The cursor moves by that much. */
  copyFrom(to: Uint8Array, toOffset: number, length: number): number {
    return this.#copy(to, toOffset, length, true);
  }

  /** `copy_to_iter`. @returns bytes copied; short when a buffer cannot be written. */
  copyTo(from: Uint8Array, fromOffset: number, length: number): number {
    return this.#copy(from, fromOffset, length, false);
  }

  /** `copyFrom` into a slab. */
  slabFrom(to: Slab, toOffset: number, length: number): number {
    if (this.#segments !== 1 || length > this.count) return this.copyFrom(to.bytes, toOffset, length);
    const copied = this.mm.slabFromUser(to, toOffset, (this.#bases[0] as number) + this.#offset, length);
    this.#offset += copied;
    this.count -= copied;
    return copied;
  }

  /** `copyTo` out of a slab. */
  slabTo(from: Slab, fromOffset: number, length: number): number {
    if (this.#segments !== 1 || length > this.count) return this.copyTo(from.bytes, fromOffset, length);
    const copied = this.mm.slabToUser((this.#bases[0] as number) + this.#offset, from, fromOffset, length);
    this.#offset += copied;
    this.count -= copied;
    return copied;
  }

  #copy(bytes: Uint8Array, offset: number, length: number, fromUser: boolean): number {
    const want = Math.min(length, this.count);
    let done = 0;
    while (done < want) {
      const room = (this.#lengths[this.#segment] as number) - this.#offset;
      if (room === 0) {
        this.#segment += 1;
        this.#offset = 0;
        continue;
      }
      const run = Math.min(room, want - done);
      const addr = (this.#bases[this.#segment] as number) + this.#offset;
      const copied = fromUser
        ? this.mm.copyFromUser(bytes, offset + done, addr, run)
        : this.mm.copyToUser(addr, bytes, offset + done, run);
      this.#offset += copied;
      done += copied;
      if (copied < run) break;
    }
    this.count -= done;
    return done;
  }

  /** What a short copy means for the call: see `Mm.fault`. */
  fault(): number {
    return this.mm.fault();
  }

  /** `iov_iter_revert`: steps back over the last `length` bytes copied. */
  revert(length: number): void {
    let left = length;
    this.count += length;
    while (left > this.#offset) {
      left -= this.#offset;
      this.#segment -= 1;
      this.#offset = this.#lengths[this.#segment] as number;
    }
    this.#offset -= left;
  }

  /** Goes on to the next segment that is not used up, if there is one. */
  #skipUsed(): void {
    while (this.#offset === this.#lengths[this.#segment] && this.#segment + 1 < this.#segments) {
      this.#segment += 1;
      this.#offset = 0;
    }
  }

  /** `iter_iov_addr`: the address that the next byte is copied from or to. */
  get address(): number {
    return (this.#bases[this.#segment] as number) + this.#offset;
  }

  /** `iter_iov_addr`, `iter_iov_len`: makes `into` a cursor over what is left of the present segment. */
  currentSegment(into: IovIter): void {
    const length = (this.#lengths[this.#segment] as number) - this.#offset;
    into.setBuffer(this.address, length);
  }

  /**
   * `iov_iter_advance`: skips `length` bytes without touching memory, and then segments that are used up.
   */
  advance(length: number): void {
    let left = Math.min(length, this.count);
    this.count -= left;
    this.#skipUsed();
    while (left > 0) {
      const room = (this.#lengths[this.#segment] as number) - this.#offset;
      const run = Math.min(room, left);
      this.#offset += run;
      left -= run;
      this.#skipUsed();
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#bases, this.#lengths, this.#segments, this.#segment, this.#offset];
  }
}
