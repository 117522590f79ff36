/** A machine for tests of files: one process, an arena of user memory, calls by their plain arguments. */
import { firstChoice } from "../../src/kernel/choice.ts";
import { type File, PollTable } from "../../src/kernel/fs/file.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { assert } from "../../src/kernel/lib/assert.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { BLOCKED, type Task, type TaskBody } from "../../src/kernel/sched/task.ts";
import { WaitQueueEntry, type WaitQueueHead } from "../../src/kernel/sched/wait.ts";
import { errnoName } from "../../src/kernel/uapi/errno.ts";
import { Sig } from "../../src/kernel/uapi/signal.ts";

export const ARENA = 0x10000;
const ARENA_BYTES = 1 << 20;
/** A user address that is not mapped. */
export const BAD = 0x5000_0000;
/** One readable page; what lies behind it is not mapped. */
export const EDGE = 0x4000_0000;
export const EDGE_END: number = EDGE + 4096;
export const KERNEL_ADDRESS = 0xffff_8000_0000_0000;

/** Records what a sleeping call returned. */
export class Outcome implements TaskBody {
  result: number | null = null;
  resume(_task: Task, result: number): void {
    this.result = result;
  }
}

/** Stands on a file's wait queues like a level-triggered item that never leaves, and keeps the keys. */
export class Watch extends PollTable {
  readonly keys: number[] = [];
  readonly queues: WaitQueueHead[] = [];
  exclusive = false;

  override queue(_file: File, queue: WaitQueueHead): void {
    const { keys } = this;
    const entry = new (class extends WaitQueueEntry {
      override wake(key: number): boolean {
        keys.push(key);
        return true;
      }
    })();
    if (this.exclusive) queue.addExclusive(entry);
    else queue.add(entry);
    this.queues.push(queue);
  }

  /** The keys since the last call. */
  take(): number[] {
    return this.keys.splice(0);
  }
}

export class Machine {
  readonly kernel: Kernel;
  readonly task: Task;

  constructor(version = "6.18", uid = 0, nofile = 1024) {
    this.kernel = new Kernel({
      profile: kernelProfile(version),
      chooser: firstChoice,
      bootNs: 0,
      bootEpochNs: 0n,
    });
    this.task = this.kernel.createProcess("t", uid, nofile);
    this.task.process.sighand.ignore(Sig.PIPE);
    this.task.process.mm.map(ARENA, ARENA_BYTES, 3);
    this.task.process.mm.map(EDGE, 4096, 3);
  }

  thread(name = "u"): Task {
    return this.kernel.createThread(this.task, name);
  }

  /** What a call of another thread returns, once somebody has woken it. @throws when the call does not sleep */
  sleeper(call: (task: Task) => number): Outcome {
    const task = this.thread();
    const outcome = new Outcome();
    task.body = outcome;
    assert(call(task) === BLOCKED, "the call sleeps");
    return outcome;
  }

  get mm(): Task["process"]["mm"] {
    return this.task.process.mm;
  }

  file(fd: number): File {
    const file = this.task.process.files.getRaw(fd);
    if (file === null) throw new Error(`descriptor ${fd} is not open`);
    return file;
  }

  mask(fd: number): number {
    return this.file(fd).poll(this.task, null);
  }

  watch(fd: number, exclusive = false): Watch {
    const watch = new Watch();
    watch.exclusive = exclusive;
    this.file(fd).poll(this.task, watch);
    return watch;
  }

  poke(addr: number, bytes: Uint8Array | readonly number[] | string): void {
    const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : Uint8Array.from(bytes);
    if (this.mm.copyToUser(addr, data, 0, data.length) !== data.length) throw new Error("poke: not mapped");
  }

  peek(addr: number, length: number): Uint8Array {
    const data = new Uint8Array(length);
    if (this.mm.copyFromUser(data, 0, addr, length) !== length) throw new Error("peek: not mapped");
    return data;
  }

  peekText(addr: number, length: number): string {
    return new TextDecoder().decode(this.peek(addr, length));
  }

  poke32(addr: number, ...values: number[]): void {
    const view = new DataView(new ArrayBuffer(values.length * 4));
    for (const [i, value] of values.entries()) view.setInt32(i * 4, value, true);
    this.poke(addr, new Uint8Array(view.buffer));
  }

  poke64(addr: number, ...values: (number | bigint)[]): void {
    const view = new DataView(new ArrayBuffer(values.length * 8));
    for (const [i, value] of values.entries()) view.setBigInt64(i * 8, BigInt(value), true);
    this.poke(addr, new Uint8Array(view.buffer));
  }

  peek32(addr: number): number {
    return new DataView(this.peek(addr, 4).buffer).getInt32(0, true);
  }

  peek64(addr: number): bigint {
    return new DataView(this.peek(addr, 8).buffer).getBigUint64(0, true);
  }

  peekS64(addr: number): bigint {
    return new DataView(this.peek(addr, 8).buffer).getBigInt64(0, true);
  }
}

/** A result as a person writes it: `"EAGAIN"` for a failure, the number otherwise. */
export function shown(result: number): number | string {
  return result < 0 ? (errnoName(-result) ?? result) : result;
}
