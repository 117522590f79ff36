/**
 * What a process does about each signal.
 *
 * Counterpart: `struct sighand_struct`, `struct k_sigaction` of `include/linux/sched/signal.h`.
 * A handler is no code here: that it ran is counted per task (`Task.handled`), and it changes nothing else.
 */
import { assert } from "../lib/assert.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { SIG_DFL, SIG_IGN, Sig, sigKernelIgnore } from "../uapi/signal.ts";
import { Sigset } from "./sigset.ts";

/** `struct k_sigaction`. */
export class Sigaction {
  /** `SIG_DFL`, `SIG_IGN` or the address of a handler. */
  handler: bigint = SIG_DFL;
  flags = 0n;
  restorer = 0n;
  readonly mask: Sigset = new Sigset();

  set(other: Sigaction): void {
    this.handler = other.handler;
    this.flags = other.flags;
    this.restorer = other.restorer;
    this.mask.set(other.mask);
  }
}

export class Sighand {
  /** `count`, in processes: more than one after `CLONE_SIGHAND`. */
  users = 1;
  /** By signal number; undefined while nobody has asked for that of a signal. */
  readonly #actions: (Sigaction | undefined)[] = [];
  /** Where signalfds of this process wait: `signalfd_wqh`. */
  readonly signalfdWqh: WaitQueueHead = new WaitQueueHead();

  /** The action of a signal, which must be 1 to 64. */
  action(sig: number): Sigaction {
    assert(sig >= 1 && sig <= Sig.MAX, "sighand: no such signal");
    let action = this.#actions[sig];
    if (action === undefined) {
      action = new Sigaction();
      this.#actions[sig] = action;
    }
    return action;
  }

  /** `sig_handler_ignored`. */
  ignores(sig: number): boolean {
    const { handler } = this.action(sig);
    return handler === SIG_IGN || (handler === SIG_DFL && sigKernelIgnore(sig));
  }

  /** What a program does with `signal(sig, SIG_IGN)` before anything is sent. */
  ignore(sig: number): void {
    this.action(sig).handler = SIG_IGN;
  }

  /** `copy_sighand`: fork's copy, with a wait queue of its own (S-06). */
  clone(): Sighand {
    const copy = new Sighand();
    for (const [sig, action] of this.#actions.entries()) if (action !== undefined) copy.action(sig).set(action);
    return copy;
  }

  /** `flush_signal_handlers` at execve: handlers are gone, SIG_IGN stays. */
  flushHandlers(): void {
    for (const action of this.#actions) {
      if (action === undefined) continue;
      if (action.handler !== SIG_IGN) action.handler = SIG_DFL;
      action.flags = 0n;
      action.restorer = 0n;
      action.mask.clear();
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#actions];
  }
}
