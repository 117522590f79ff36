/**
 * Contexts.
 *
 * Counterpart: `context/context.go`.
 */
import { Chan } from "./chan.ts";
import { GoError } from "./poll/errors.ts";
import { callback } from "./runtime2.ts";
import { FuncTimer, type TimeRuntime } from "./time.ts";

export const Canceled: GoError = new GoError("context canceled");
export const DeadlineExceeded: GoError = new GoError("context deadline exceeded", true);

export class Context {
  readonly #rt: TimeRuntime;
  readonly #parent: Context | null;
  readonly #children: Set<Context> = new Set();
  readonly done: Chan<never> | null;
  /** In ns since boot, 0 for none. */
  readonly deadline: number;
  #err: GoError | null = null;
  #timer: FuncTimer | null = null;

  /** @param ns - until the deadline; 0 for none. Use `background`, `withCancel` and `withTimeout`. */
  constructor(rt: TimeRuntime, parent: Context | null, ns: number) {
    this.#rt = rt;
    this.#parent = parent;
    this.done = parent === null ? null : new Chan<never>(rt.sched, 0);
    const own = ns > 0 ? rt.sched.nanotime() + ns : 0;
    const inherited = parent?.deadline ?? 0;
    this.deadline = own !== 0 && (inherited === 0 || own < inherited) ? own : inherited;
    if (parent?.err != null) this.#end(parent.err);
    else if (parent !== null) {
      parent.#children.add(this);
      // The parent's deadline, if earlier, cancels this one too.
      if (own !== 0 && own === this.deadline) this.#arm(ns);
    }
  }

  #arm(ns: number): void {
    this.#timer = new FuncTimer(this.#rt, ns, "context.deadline", () => callback(() => this.#end(DeadlineExceeded)));
  }

  /** Why it is done, null while it is not. */
  get err(): GoError | null {
    return this.#err;
  }

  /** `cancel()`. */
  cancel(): void {
    this.#end(Canceled);
  }

  /** Children are cancelled directly, without a goroutine each. */
  #end(err: GoError): void {
    if (this.#err !== null) return;
    this.#err = err;
    this.done?.close();
    for (const child of this.#children) child.#end(err);
    this.#children.clear();
    if (this.#parent !== null) this.#parent.#children.delete(this);
    this.#timer?.stop();
  }

  withCancel(): Context {
    return new Context(this.#rt, this, 0);
  }

  withTimeout(ns: number): Context {
    return new Context(this.#rt, this, ns);
  }
}
