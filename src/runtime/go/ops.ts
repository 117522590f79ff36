/**
 * What a goroutine can do that may take it off its thread: park, yield, call the system, compute.
 *
 * Counterpart: `runtime/proc.go` (`gopark`, `Gosched`, `goyield`), `syscall` (`Syscall`, `RawSyscall`).
 * An operation is an iterator that `yield*` drives: it is done at its first `next`, or it leaves a trap in the M and is asked again
 * when the goroutine goes on. So one that need not wait costs no suspension, and no generator stands between it and the goroutine.
 */
import { BLOCKED } from "../../syscalls/index.ts";
import type { Syscalls } from "../syscalls.ts";
import { entersyscall, entersyscallblock, exitsyscall } from "./proc-syscall.ts";
import { type M, type Op, SUSPENDED, Trap, type Unlockf } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** The thread may go on: it is not asked to make room, and the clock has caught up with it. Else leaves a trap. */
export function mayGoOn(sched: Sched): boolean {
  const { m } = sched;
  if (m.curg?.preempt === true) {
    m.trap = Trap.PREEMPT;
    return false;
  }
  if (m.curg?.gcStarts === true) {
    m.trap = Trap.GCSTART;
    return false;
  }
  if (sched.caughtUp()) return true;
  m.trap = Trap.BUSY;
  return false;
}

/** The stop before a traced call. @returns whether the call can be made now; else leaves a trap. */
export function mayEnter(sched: Sched, fd: number): boolean {
  if (sched.tracer === null) return true;
  sched.stopAtEntry(fd);
  if (sched.caughtUp()) return true;
  sched.m.trap = Trap.BUSY;
  return false;
}

/**
 * The end of a bracketed call that was just made.
 *
 * @param bytes - that it moved.
 * @returns whether the goroutine goes on at once, with the result in `g.ret`; else it is suspended until it has the result and a P.
 */
export function leave(sched: Sched, name: string, result: number, bytes = 0, fd = -1): boolean {
  const { m } = sched;
  sched.chargeKernel(name);
  if (bytes > 0) sched.charge(Math.ceil(bytes * sched.costs.byte));
  if (sched.tracer !== null) m.stopsAfter(name, fd, result);
  if (result === BLOCKED) {
    m.trap = Trap.BLOCKED;
    return false;
  }
  sched.getg().ret = result;
  if (m.inCall !== "" || !sched.caughtUp()) {
    m.trap = Trap.SYSCALL;
    return false;
  }
  exitsyscall(sched);
  return true;
}

/** `gopark`. */
export function park(sched: Sched, reason: string, unlockf: Unlockf | null, lock: unknown): void {
  const { m } = sched;
  m.trap = Trap.PARK;
  m.waitunlockf = unlockf;
  m.waitlock = lock;
  sched.getg().waitreason = reason;
}

/** An operation without a result that suspends once. */
export class SuspendOnce implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #trap: () => boolean;
  #suspended = false;

  /** @param trap - leaves the trap; false when there is nothing to wait for. */
  constructor(trap: () => boolean) {
    this.#trap = trap;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    if (this.#suspended) return { done: true, value: undefined };
    this.#suspended = true;
    return this.#trap() ? SUSPENDED : { done: true, value: undefined };
  }
}

/** Stops the world and starts it again: for a collection, or for another number of P's. Who comes second waits for his turn. */
export class StopTheWorldOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #sched: Sched;
  readonly #newprocs: number;
  #asked = false;

  /** @param newprocs - 0 for a collection. */
  constructor(sched: Sched, newprocs: number) {
    this.#sched = sched;
    this.#newprocs = newprocs;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    if (this.#asked) return { done: true, value: undefined };
    const { m, gcwaiting } = this.#sched;
    if (gcwaiting) m.trap = Trap.PREEMPT;
    else {
      this.#asked = true;
      m.trap = Trap.STOPTHEWORLD;
      m.newprocs = this.#newprocs;
    }
    return SUSPENDED;
  }
}

/** How a call is made: in the bracket; known to sleep, so that the P is handed on; or without a word to the scheduler. */
export const How = { SYSCALL: 0, BLOCK: 1, RAW: 2 } as const;
export type How = (typeof How)[keyof typeof How];

/** A system call of a goroutine. The result is what the call returned. */
export class SyscallOp implements Op<number>, Iterator<undefined, number, undefined> {
  readonly #sched: Sched;
  readonly #name: string;
  readonly #call: (sys: Syscalls, m: M) => number;
  readonly #onReturn: ((m: M, ret: number) => void) | null;
  readonly #how: How;
  readonly #fd: number;
  #entered = false;
  #called = false;

  /**
   * @param onReturn - takes out of the thread's memory what the call has stored.
   * @param fd - a socket that the call is about: one that traces the process says where it leads.
   */
  constructor(
    sched: Sched,
    name: string,
    call: (sys: Syscalls, m: M) => number,
    onReturn: ((m: M, ret: number) => void) | null = null,
    how: How = How.SYSCALL,
    fd = -1,
  ) {
    this.#sched = sched;
    this.#name = name;
    this.#call = call;
    this.#onReturn = onReturn;
    this.#how = how;
    this.#fd = fd;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, number> {
    const sched = this.#sched;
    if (this.#called) return { done: true, value: sched.getg().ret };
    if (!this.#entered) {
      if (!mayGoOn(sched)) return SUSPENDED;
      this.#entered = true;
      if (this.#how === How.SYSCALL) entersyscall(sched);
      else if (this.#how === How.BLOCK) entersyscallblock(sched);
      if (!mayEnter(sched, this.#fd)) return SUSPENDED;
    }
    this.#called = true;
    const { m } = sched;
    const g = sched.getg();
    const result = this.#call(sched.sys, m);
    if (result === BLOCKED) g.onReturn = this.#onReturn;
    else this.#onReturn?.(m, result);
    if (this.#how !== How.RAW)
      return leave(sched, this.#name, result, 0, this.#fd) ? { done: true, value: result } : SUSPENDED;
    sched.chargeKernel(this.#name);
    if (sched.tracer !== null) m.stopsAfter(this.#name, this.#fd, result);
    if (result === BLOCKED) {
      m.trap = Trap.RAW;
      return SUSPENDED;
    }
    if (m.inCall === "") return { done: true, value: result };
    g.ret = result;
    m.trap = Trap.BUSY;
    return SUSPENDED;
  }
}

/** Slices in which a goroutine computes: between them it can be preempted. */
const WORK_SLICE_NS = 200_000;

/** Computes for this much CPU time. */
export class WorkOp implements Op<void>, Iterator<undefined, void, undefined> {
  readonly #sched: Sched;
  #leftNs: number;

  constructor(sched: Sched, ns: number) {
    this.#sched = sched;
    this.#leftNs = ns;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<undefined, void> {
    const sched = this.#sched;
    while (mayGoOn(sched)) {
      if (this.#leftNs <= 0) return { done: true, value: undefined };
      const slice = Math.min(this.#leftNs, WORK_SLICE_NS);
      this.#leftNs -= slice;
      sched.charge(slice);
    }
    return SUSPENDED;
  }
}
