/**
 * Sets of signals.
 *
 * Counterpart: `include/linux/signal.h` (`sigset_t` and its operations), `next_signal` of `kernel/signal.c`.
 * Two 32-bit words: signals 1 to 32 in `low`, 33 to 64 in `high`.
 */
import { SIGSET_SIZE, SYNCHRONOUS_MASK, UNBLOCKABLE_MASK } from "../uapi/signal.ts";

const WORD_BITS = 32;

export class Sigset {
  low: number;
  high: number;

  constructor(low = 0, high = 0) {
    this.low = low;
    this.high = high;
  }

  /** `sigismember`. */
  has(sig: number): boolean {
    return sig <= WORD_BITS ? (this.low & (1 << (sig - 1))) !== 0 : (this.high & (1 << (sig - WORD_BITS - 1))) !== 0;
  }

  /** `sigaddset`. */
  add(sig: number): void {
    if (sig <= WORD_BITS) this.low |= 1 << (sig - 1);
    else this.high |= 1 << (sig - WORD_BITS - 1);
  }

  /** `sigdelset`. */
  del(sig: number): void {
    if (sig <= WORD_BITS) this.low &= ~(1 << (sig - 1));
    else this.high &= ~(1 << (sig - WORD_BITS - 1));
  }

  get empty(): boolean {
    return (this.low | this.high) === 0;
  }

  clear(): void {
    this.low = 0;
    this.high = 0;
  }

  /** Becomes a copy of `other`. */
  set(other: Sigset): void {
    this.low = other.low;
    this.high = other.high;
  }

  clone(): Sigset {
    return new Sigset(this.low, this.high);
  }

  equals(other: Sigset): boolean {
    return this.low === other.low && this.high === other.high;
  }

  /** `sigorsets` into this set. */
  or(other: Sigset): void {
    this.low |= other.low;
    this.high |= other.high;
  }

  /** `sigandsets` into this set. */
  and(other: Sigset): void {
    this.low &= other.low;
    this.high &= other.high;
  }

  /** `sigandnsets` into this set. */
  andNot(other: Sigset): void {
    this.low &= ~other.low;
    this.high &= ~other.high;
  }

  /** `signotset`. */
  invert(): void {
    this.low = ~this.low;
    this.high = ~this.high;
  }

  /** Takes SIGKILL and SIGSTOP out: nobody may block them. */
  dropUnblockable(): void {
    this.low &= ~UNBLOCKABLE_MASK;
  }

  /** `has_pending_signals`: whether a member is not in `blocked`. */
  anyOutside(blocked: Sigset): boolean {
    return ((this.low & ~blocked.low) | (this.high & ~blocked.high)) !== 0;
  }

  /** `next_signal`: faults first, then the lowest number. @returns 0 when no member is outside `blocked`. @behaviour S-03 */
  nextOutside(blocked: Sigset): number {
    const low = this.low & ~blocked.low;
    if (low !== 0) return lowestBit((low & SYNCHRONOUS_MASK) !== 0 ? low & SYNCHRONOUS_MASK : low) + 1;
    const high = this.high & ~blocked.high;
    return high === 0 ? 0 : lowestBit(high) + WORD_BITS + 1;
  }

  /** Reads a `sigset_t`. */
  load(view: DataView, offset: number): void {
    this.low = view.getInt32(offset, true);
    this.high = view.getInt32(offset + 4, true);
  }

  /** Writes a `sigset_t`. */
  store(view: DataView, offset: number): void {
    view.setInt32(offset, this.low, true);
    view.setInt32(offset + SIGSET_SIZE / 2, this.high, true);
  }

  /** As fdinfo and /proc/PID/status show it: 16 hexadecimal digits. */
  toString(): string {
    const word = (value: number) => (value >>> 0).toString(16).padStart(8, "0");
    return word(this.high) + word(this.low);
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
