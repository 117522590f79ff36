/**
 * A dial that its context can end.
 *
 * Counterpart: `net/fd_unix.go` (`netFD.connect`), `net/net.go` (`mapErr`; R-149).
 */
import { Chan } from "../chan.ts";
import { Canceled, type Context } from "../context.ts";
import { ErrDeadlineExceeded, GoError } from "../poll/errors.ts";
import type { FD } from "../poll/fd.ts";
import { WRITE } from "../poll-desc.ts";
import { newproc } from "../proc-ready.ts";
import type { Go } from "../runtime2.ts";
import { RecvCase, SelectOp } from "../select.ts";

/** `errCanceled`. */
const ErrCanceled: GoError = new GoError("operation was canceled");
/** `aLongTimeAgo`: any time that is over. */
const LONG_AGO = 1;

/** `mapErr`: what package net says of a context that is over. */
export function mapErr(err: GoError): GoError {
  return err === Canceled ? ErrCanceled : ErrDeadlineExceeded;
}

/** While a connection comes about: a goroutine that ends the wait, by a write deadline in the past, when the context is over. */
export class Interrupter {
  readonly #connected: Chan<never>;
  readonly #result: Chan<GoError | null>;

  /** @param done - the context's channel. */
  constructor(fd: FD, ctx: Context, done: Chan<never>) {
    const { sched } = fd.rt;
    const connected = new Chan<never>(sched, 0);
    const result = new Chan<GoError | null>(sched, 0);
    this.#connected = connected;
    this.#result = result;
    newproc(
      sched,
      "net.(*netFD).connect.func2",
      (function* (): Go<void> {
        const cases = [new RecvCase(done), new RecvCase(connected)];
        const over = (yield* new SelectOp(sched, cases, false)) === 0;
        if (over) fd.setDeadline(LONG_AGO, WRITE);
        yield* result.send(over ? ctx.err : null);
      })(),
    );
  }

  /** The wait is over: waits for the goroutine. @returns why the context is over, if the goroutine has seen that. */
  *finish(): Go<GoError | null> {
    this.#connected.close();
    return (yield* this.#result.recv()) ?? null;
  }
}
