/**
 * Waiting for children.
 *
 * Counterpart: `kernel/exit.c` (`do_wait`, `wait_consider_task`).
 * Not modelled: tracing.
 */
import { Errno } from "../uapi/errno.ts";
import { Cld, Sig } from "../uapi/signal.ts";
import { Wait } from "../uapi/wait.ts";
import { childInfo, exitStatus, releaseProcess } from "./exit.ts";
import { type Process, StopState } from "./process.ts";
import { BLOCKED, SleepingCall, type Task } from "./task.ts";
import { waitEvent } from "./wait-event.ts";

/** Which children: `null` all; a positive number that process, a negative one that process group. */
export type WaitTarget = number | null;

/** What was found. */
export interface Waited {
  readonly pid: number;
  readonly uid: number;
  /** `si_code` and `si_status` of SIGCHLD. */
  readonly cause: number;
  readonly status: number;
  /** As wait4 stores it. */
  readonly word: number;
}

/** Turns what was found, or 0 for nothing under WNOHANG, or a negative errno, into the result of the call. */
export type WaitEnd = (task: Task, outcome: Waited | number) => number;

/** One wait4 or waitid in progress. */
export class WaitCall extends SleepingCall {
  readonly #target: WaitTarget;
  /** `Wait`, with EXITED, STOPPED and CONTINUED for what to wait for. */
  readonly #options: number;
  readonly #finish: WaitEnd;

  constructor(target: WaitTarget, options: number, finish: WaitEnd) {
    super();
    this.#target = target;
    this.#options = options;
    this.#finish = finish;
  }

  /** `do_wait`. @errno ECHILD - no such child. ERESTARTSYS - a signal. */
  override step(task: Task): number {
    let any = false;
    for (const child of task.process.children) {
      if (!this.#isEligible(child)) continue;
      any = true;
      const found = this.#consider(child);
      if (found === null) continue;
      task.finishWait();
      return this.#finish(task, found);
    }
    const result = any ? this.#sleep(task) : -Errno.ECHILD;
    if (result === BLOCKED) return BLOCKED;
    task.finishWait();
    return this.#finish(task, result);
  }

  #sleep(task: Task): number {
    return (this.#options & Wait.NOHANG) !== 0 ? 0 : waitEvent(task, task.process.waitChldexit, this);
  }

  #isEligible(child: Process): boolean {
    const isClone = child.exitSignal !== Sig.CHLD;
    if ((this.#options & Wait.ALL) === 0 && isClone !== ((this.#options & Wait.CLONE) !== 0)) return false;
    const target = this.#target;
    return target === null || (target > 0 ? child.tgid === target : child.pgid === -target);
  }

  /** `wait_consider_task`. */
  #consider(child: Process): Waited | null {
    const options = this.#options;
    const keep = (options & Wait.NOWAIT) !== 0;
    if (child.zombie) {
      if ((options & Wait.EXITED) === 0) return null;
      const { code, status } = childInfo(child);
      const found = waited(child, code, status, exitStatus(child));
      if (!keep) releaseProcess(child);
      return found;
    }
    const signal = child.groupExitCode;
    if ((options & Wait.STOPPED) !== 0 && child.stopState === StopState.STOPPED && signal !== 0) {
      if (!keep) child.groupExitCode = 0;
      return waited(child, Cld.STOPPED, signal, (signal << 8) | 0x7f);
    }
    if ((options & Wait.CONTINUED) === 0 || child.stopState !== StopState.CONTINUED) return null;
    if (!keep) child.stopState = StopState.NONE;
    return waited(child, Cld.CONTINUED, Sig.CONT, 0xffff);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#target, this.#options, this.#finish];
  }
}

function waited(child: Process, cause: number, status: number, word: number): Waited {
  return { pid: child.tgid, uid: child.user.uid, cause, status, word };
}
