/**
 * Preemption points: places inside a call at which another CPU may get in between, and see that it does.
 *
 * Counterpart: none; Linux runs calls on several CPUs at once, the model one section after the other. Wherever the middle of a
 * call can be observed there is a point with a name. Outside exploration (`Kernel.exploring` is null) nothing happens there.
 *
 * - `ep_send_events`: before the re-poll of each item of a scan; arrivals go to `ovflist`, others wait for `mtx`.
 * - `accept`: the new number is taken, and the queue of connections not looked at.
 * - `wake`: what was written can be read and polled, and its waiters have not been told.
 */
import type { File } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { type BLOCKED, SleepingCall, type Task, TaskState } from "./task.ts";
import type { WaitQueueHead } from "./wait.ts";

/** Whoever goes through schedules: told what a section touches, asked where it may end early. */
export interface Exploration {
  /** The running section used `object`. @param write - it may have changed it. */
  touch(object: object, write: boolean): void;
  /** Whether somebody else runs now. @param site - the point's name. */
  preempt(site: string): boolean;
}

/** Leaves the CPU in the middle of a call: `call` is stepped when the task's turn comes again. */
export function preempted(task: Task, call: SleepingCall): typeof BLOCKED {
  task.call = null;
  const blocked = task.sleep(call, TaskState.UNINTERRUPTIBLE, -1);
  task.wakeUp();
  return blocked;
}

/** The wake-up that ends a write. @returns `result`, or `BLOCKED` when somebody gets in between. */
export function wakeLast(
  kernel: Kernel,
  task: Task,
  file: File,
  queue: WaitQueueHead,
  key: number,
  result: number,
): number {
  const { exploring } = kernel;
  if (exploring?.preempt("wake") === true) return preempted(task, new LateWake(file, queue, key, result));
  file.wakeUp(queue, 1, key);
  return result;
}

/** A write whose waiters are still to be told. */
class LateWake extends SleepingCall {
  readonly #file: File;
  readonly #queue: WaitQueueHead;
  readonly #key: number;
  readonly #result: number;

  constructor(file: File, queue: WaitQueueHead, key: number, result: number) {
    super();
    this.#file = file;
    this.#queue = queue;
    this.#key = key;
    this.#result = result;
  }

  override step(_task: Task): number {
    this.#file.wakeUp(this.#queue, 1, this.#key);
    return this.#result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#file, this.#queue, this.#key, this.#result];
  }
}
