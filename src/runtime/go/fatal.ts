/**
 * The three ways in which something is wrong: the model, the program's goroutine, the program as a whole.
 *
 * Counterpart: `runtime/panic.go`.
 */

/** A mistake of the model itself. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`go runtime: ${message}`);
}

/** A Go panic: unwinds the goroutine, and ends the program unless a body catches it (`recover`). */
export class GoPanic extends Error {
  override readonly name = "GoPanic";
}

/** `throw`, `fatal`: ends the program at once; no goroutine can recover it. */
export class GoFatal extends Error {
  override readonly name = "GoFatal";
}

/** `runtime.Goexit`: ends the goroutine; its deferred work (`finally`) runs. */
export class Goexit extends Error {
  override readonly name = "Goexit";
}
