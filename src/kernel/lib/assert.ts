/**
 * The outcomes that are not errnos.
 *
 * Counterpart: `include/asm-generic/bug.h` (`BUG_ON`).
 */

/** The model broke one of its own invariants: a bug of epollsim, never of the program that runs on it. */
export class KernelBug extends Error {
  override readonly name = "KernelBug";
}

/** The program asked for something that the model does not know. The model never guesses an answer. */
export class Unmodelled extends Error {
  override readonly name = "Unmodelled";
  readonly what: string;

  /** @param what - call and option, such as `ioctl(eventfd, 0x1234)`. */
  constructor(what: string) {
    super(`not modelled: ${what}`);
    this.what = what;
  }
}

/** The answer tells of the machine, its devices and addresses: a recording of it knows, the model does not. */
export class Elsewhere extends Unmodelled {}

export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new KernelBug(invariant);
}
