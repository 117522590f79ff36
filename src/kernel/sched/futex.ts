/**
 * Futexes: sleep while a word of user memory has a value.
 *
 * Counterpart: `kernel/futex/waitwake.c`, `kernel/futex/core.c`.
 * Modelled: WAIT, WAKE and their BITSET forms. A private futex is one of its process, any other one of the memory.
 */
import type { Mm } from "../mm/mm.ts";
import { Errno } from "../uapi/errno.ts";
import type { Process } from "./process.ts";
import { SleepingCall, type SyscallRegs, type Task, TaskState } from "./task.ts";

const WORD = 4;

/** `FUTEX_BITSET_MATCH_ANY`, as a signed word. */
export const MATCH_ANY = -1;

const scratch = new Uint8Array(WORD);
const view = new DataView(scratch.buffer);

/** Sleepers by address, oldest first. */
type Buckets = Map<number, FutexWait[]>;

const bucketsOf: WeakMap<Mm | Process, Buckets> = new WeakMap();

/** `get_futex_key`: whose futexes an operation means. */
function buckets(task: Task, shared: boolean): Buckets {
  const owner = shared ? task.process.mm : task.process;
  let found = bucketsOf.get(owner);
  if (found === undefined) {
    found = new Map();
    bucketsOf.set(owner, found);
  }
  return found;
}

/** @errno EINVAL - an address that is no multiple of 4. */
export function checkFutexAddress(uaddr: number): number {
  return uaddr % WORD === 0 ? 0 : -Errno.EINVAL;
}

/** One `futex_wait`. */
export class FutexWait extends SleepingCall implements SyscallRegs {
  readonly task: Task;
  readonly #uaddr: number;
  readonly #val: number;
  readonly #deadlineNs: number;
  readonly #shared: boolean;
  /** A wake must share a bit with it. */
  readonly bitset: number;
  woken = false;

  /** @param deadlineNs - absolute, or -1 for none. */
  constructor(task: Task, uaddr: number, val: number, deadlineNs: number, bitset: number, shared: boolean) {
    super();
    this.task = task;
    this.#uaddr = uaddr;
    this.#val = val;
    this.#deadlineNs = deadlineNs;
    this.bitset = bitset;
    this.#shared = shared;
  }

  /** @errno EAGAIN - the word has another value. EFAULT - the address. ETIMEDOUT - nobody came. EINTR - a signal. */
  execute(task: Task): number {
    const { mm } = task.process;
    if (mm.copyFromUser(scratch, 0, this.#uaddr, WORD) < WORD) return mm.fault();
    if (view.getInt32(0, true) !== this.#val) return -Errno.EAGAIN;
    const queues = buckets(task, this.#shared);
    const queue = queues.get(this.#uaddr);
    if (queue === undefined) queues.set(this.#uaddr, [this]);
    else queue.push(this);
    return this.#sleep(task, false);
  }

  override step(task: Task): number {
    return this.woken ? 0 : this.#sleep(task, task.timedOut);
  }

  #sleep(task: Task, timedOut: boolean): number {
    const late = this.#deadlineNs >= 0 && this.#deadlineNs <= task.kernel.clock.nowNs;
    if (!timedOut && !late && !task.signalPending) return task.sleep(this, TaskState.INTERRUPTIBLE, this.#deadlineNs);
    this.#leave(task);
    if (timedOut || late) return -Errno.ETIMEDOUT;
    if (this.#deadlineNs < 0) return -Errno.ERESTARTSYS;
    task.restartBlock = new FutexWait(task, this.#uaddr, this.#val, this.#deadlineNs, this.bitset, this.#shared);
    return -Errno.ERESTART_RESTARTBLOCK;
  }

  #leave(task: Task): void {
    const queues = buckets(task, this.#shared);
    const left = (queues.get(this.#uaddr) ?? []).filter((other) => other !== this);
    if (left.length === 0) queues.delete(this.#uaddr);
    else queues.set(this.#uaddr, left);
  }
}

/** `futex_wake`: the longest sleepers first. @param max - wakes at least one. @returns how many woke. */
export function futexWake(task: Task, uaddr: number, max: number, bitset: number, shared: boolean): number {
  const queues = buckets(task, shared);
  const left: FutexWait[] = [];
  let count = 0;
  for (const waiter of queues.get(uaddr) ?? []) {
    const takes = (waiter.bitset & bitset) !== 0 && (count === 0 || count < max);
    if (!takes) {
      left.push(waiter);
      continue;
    }
    waiter.woken = true;
    waiter.task.wakeUp();
    count += 1;
  }
  if (left.length === 0) queues.delete(uaddr);
  else queues.set(uaddr, left);
  return count;
}
