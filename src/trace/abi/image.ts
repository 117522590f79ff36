/**
 * Bytes of user memory under construction: little-endian cells, and cells whose value is known only when the program runs.
 */

/** A value that the program learns while it runs: the result of an earlier call. */
export interface SlotRef {
  readonly slot: number;
}

/** A value of a register or a memory cell. */
export type Word = bigint | SlotRef;

/** A cell that receives a slot's value before the call. */
export interface Patch {
  readonly offset: number;
  readonly size: 4 | 8;
  readonly slot: number;
}

/**
 * A block of memory: `bytes`, and over them `patches`.
 *
 * A block may be said to be long of which little is written down, so its bytes exist only once somebody asks for them.
 */
export class Image {
  readonly size: number;
  readonly patches: Patch[] = [];
  #bytes: Uint8Array | null = null;
  #content: Uint8Array | null = null;

  constructor(size: number) {
    this.size = size;
  }

  /** The whole block. */
  get bytes(): Uint8Array {
    if (this.#bytes === null) {
      this.#bytes = new Uint8Array(this.size);
      if (this.#content !== null) this.#bytes.set(this.#content);
      this.#content = null;
    }
    return this.#bytes;
  }

  /** What has been put into the block, if that is one run of bytes at its beginning; null otherwise. */
  get content(): Uint8Array | null {
    return this.#content;
  }

  /** Puts an integer of `size` bytes at `offset`. A slot's value needs 4 or 8 bytes. */
  put(offset: number, size: number, word: Word): void {
    if (typeof word !== "bigint") {
      if (size !== 4 && size !== 8) throw new RangeError(`a name cannot stand in a field of ${size} bytes`);
      this.patches.push({ offset, size, slot: word.slot });
      return;
    }
    const { bytes } = this;
    const low = Number(BigInt.asUintN(32, word));
    for (let i = 0; i < size && i < 4; i += 1) bytes[offset + i] = low >>> (8 * i);
    if (size <= 4) return;
    const high = Number(BigInt.asUintN(32, word >> 32n));
    for (let i = 4; i < size; i += 1) bytes[offset + i] = high >>> (8 * (i - 4));
  }

  /** Puts bytes at `offset`. */
  putBytes(offset: number, bytes: Uint8Array): void {
    if (offset === 0 && this.#bytes === null && this.#content === null && bytes.length <= this.size) {
      this.#content = bytes;
    } else this.bytes.set(bytes, offset);
  }
}

/** The integer of `size` bytes at `offset`, little-endian. Bytes behind the end count as 0. */
export function readWord(bytes: Uint8Array, offset: number, size: number, signed: boolean): bigint {
  const low = BigInt(read32(bytes, offset, Math.min(size, 4)));
  const value = size <= 4 ? low : (BigInt(read32(bytes, offset + 4, size - 4)) << 32n) | low;
  return signed ? BigInt.asIntN(size * 8, value) : value;
}

function read32(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i -= 1) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}
