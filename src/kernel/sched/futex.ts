/**
 * Futexes: sleep while a word of user memory has a value.
 *
 * Counterpart: `kernel/futex/waitwake.c`, `kernel/futex/requeue.c`, `kernel/futex/core.c`.
 * Modelled: WAIT, WAKE and their BITSET forms, REQUEUE, CMP_REQUEUE. A private futex is one of its process (and of those made with
 * CLONE_VM), any other one of the memory.
 */
import { accessOk } from "../mm/mm.ts";
import { Errno } from "../uapi/errno.ts";
import { SleepingCall, type SyscallRegs, type Task, TaskState } from "./task.ts";

const WORD = 4;

/** `FUTEX_BITSET_MATCH_ANY`, as a signed word. */
export const MATCH_ANY = -1;

const scratch = new Uint8Array(WORD);
const view = new DataView(scratch.buffer);

/** Sleepers by address, oldest first. */
export type FutexBuckets = Map<number, FutexWait[]>;

/** `get_futex_key`: whose futexes an operation means. */
function buckets({ process }: Task, shared: boolean): FutexBuckets {
  return shared ? process.mm.sharedFutexes : process.privateFutexes;
}

/**
 * The checks of `get_futex_key`. A private futex is its address; any other one needs the page behind it. That a private mapping
 * which can only be read will not do has no place here: all memory of scripts is shared.
 *
 * @errno EINVAL - an address that is no multiple of 4. EFAULT - one above user space; for a shared futex one without memory.
 */
export function checkFutexAddress({ process: { mm } }: Task, uaddr: number, shared: boolean): number {
  if (uaddr % WORD !== 0) return -Errno.EINVAL;
  if (!accessOk(uaddr, WORD)) return -Errno.EFAULT;
  if (!shared) return 0;
  return mm.find(uaddr) === null ? -Errno.EFAULT : 0;
}

/** @errno EAGAIN - the word has another value. EFAULT - the address. */
export function checkFutexValue(task: Task, uaddr: number, val: number): number {
  const { mm } = task.process;
  if (mm.copyFromUser(scratch, 0, uaddr, WORD) < WORD) return mm.fault();
  return view.getInt32(0, true) === val ? 0 : -Errno.EAGAIN;
}

/** One `futex_wait`. */
export class FutexWait extends SleepingCall implements SyscallRegs {
  readonly task: Task;
  readonly #uaddr: number;
  readonly #val: number;
  readonly #deadlineNs: number;
  readonly #shared: boolean;
  /** Where it waits: another address after `requeueTo`. A restarted wait begins at its own one again. */
  #queuedAt: number;
  /** A wake must share a bit with it. */
  readonly bitset: number;
  woken = false;

  /** @param deadlineNs - absolute, or -1 for none. */
  constructor(task: Task, uaddr: number, val: number, deadlineNs: number, bitset: number, shared: boolean) {
    super();
    this.task = task;
    this.#uaddr = uaddr;
    this.#queuedAt = uaddr;
    this.#val = val;
    this.#deadlineNs = deadlineNs;
    this.bitset = bitset;
    this.#shared = shared;
  }

  /** @errno EAGAIN - the word has another value. EFAULT - the address. ETIMEDOUT - nobody came. EINTR - a signal. */
  execute(task: Task): number {
    const error = checkFutexValue(task, this.#uaddr, this.#val);
    if (error !== 0) return error;
    this.requeueTo(buckets(task, this.#shared), this.#uaddr);
    return this.#sleep(task, false);
  }

  /** `futex_queue`, `requeue_futex`: it waits there from now on, behind the others. */
  requeueTo(queues: FutexBuckets, uaddr: number): void {
    this.#queuedAt = uaddr;
    const queue = queues.get(uaddr);
    if (queue === undefined) queues.set(uaddr, [this]);
    else queue.push(this);
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
    const left = (queues.get(this.#queuedAt) ?? []).filter((other) => other !== this);
    setQueue(queues, this.#queuedAt, left);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#uaddr, this.#val, this.#deadlineNs, this.#shared, this.#queuedAt];
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
    wake(waiter);
    count += 1;
  }
  setQueue(queues, uaddr, left);
  return count;
}

/**
 * `futex_requeue`, without priority inheritance: the longest sleepers wake, the next ones wait at another address, behind those
 * who are there.
 *
 * @param wakeMax - none for 0. @param requeueMax - none for 0.
 * @returns how many woke or moved.
 */
export function futexRequeue(
  task: Task,
  uaddr: number,
  uaddr2: number,
  wakeMax: number,
  requeueMax: number,
  shared: boolean,
): number {
  const queues = buckets(task, shared);
  const queue = queues.get(uaddr) ?? [];
  const count = Math.min(queue.length, wakeMax + requeueMax);
  for (const waiter of queue.slice(0, wakeMax)) wake(waiter);
  if (uaddr === uaddr2) {
    setQueue(queues, uaddr, queue.slice(wakeMax)); // who moves to where it is keeps its place
    return count;
  }
  setQueue(queues, uaddr, queue.slice(count));
  for (const waiter of queue.slice(wakeMax, count)) waiter.requeueTo(queues, uaddr2);
  return count;
}

function wake(waiter: FutexWait): void {
  waiter.woken = true;
  waiter.task.wakeUp();
}

function setQueue(queues: FutexBuckets, uaddr: number, queue: FutexWait[]): void {
  if (queue.length === 0) queues.delete(uaddr);
  else queues.set(uaddr, queue);
}
