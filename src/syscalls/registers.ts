/**
 * Reading registers: a register holds 64 bits, a parameter may be an `int`.
 */

/** A `size_t`: a negative number is its two's complement, far above any user address. */
export function toSize(value: number): number {
  return value < 0 ? value + 2 ** 64 : value;
}

/** An `int`. */
export function toInt(value: number): number {
  return value | 0;
}

/** An `unsigned int`. */
export function toUint(value: number): number {
  return value >>> 0;
}

/** A `long` or an `off_t`. */
export function toLong(value: number): number {
  return value >= 2 ** 63 ? value - 2 ** 64 : value;
}
