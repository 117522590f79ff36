/**
 * A kernel, a process and its memory, for tests that call the model's system calls directly.
 */
import { firstChoice } from "../../src/kernel/choice.ts";
import type { File } from "../../src/kernel/fs/file.ts";
import { PollTable } from "../../src/kernel/fs/file.ts";
import { Kernel } from "../../src/kernel/kernel.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import type { Task } from "../../src/kernel/sched/task.ts";
import { WaitQueueEntry, type WaitQueueHead } from "../../src/kernel/sched/wait.ts";
import { Af, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { sysSocketpair } from "../../src/syscalls/socket.ts";
import { sysGetsockopt, sysSetsockopt } from "../../src/syscalls/sockopt.ts";

export const BUF = 0x2_0000_0000;
export const BUF_BYTES = 4 << 20;
/** Scratch for small arguments, behind the buffer. */
export const ARG: number = BUF + BUF_BYTES - 4096;
export const BAD = 0x2_4000_0000;

/** A poll(2)-like entry that remembers the keys with which it was woken. */
export class Recorder extends WaitQueueEntry {
  readonly keys: number[] = [];

  override wake(key: number): boolean {
    this.keys.push(key);
    return true;
  }

  /** The keys since the last look. */
  take(): number[] {
    return this.keys.splice(0);
  }
}

class RecorderTable extends PollTable {
  readonly recorder: Recorder;

  constructor(recorder: Recorder) {
    super();
    this.recorder = recorder;
  }

  override queue(_file: File, queue: WaitQueueHead): void {
    queue.add(this.recorder);
  }
}

/** Results of calls that slept, by task. */
export class Results {
  readonly of: Map<Task, number> = new Map();

  watch(task: Task): void {
    task.body = { resume: (who, result) => this.of.set(who, result) };
  }
}

export class World {
  readonly kernel: Kernel;
  readonly task: Task;
  readonly results: Results = new Results();

  constructor(nofile = 1024, uid = 0) {
    this.kernel = new Kernel({ profile: kernelProfile("6.18"), chooser: firstChoice, bootNs: 0, bootEpochNs: 0n });
    this.task = this.kernel.createProcess("t", uid, nofile);
    this.task.process.mm.map(BUF, BUF_BYTES, 3);
    this.task.process.ignoredSignals = 1 << 12;
    this.results.watch(this.task);
  }

  thread(): Task {
    const task = this.kernel.createThread(this.task, "thread");
    this.results.watch(task);
    return task;
  }

  poke(addr: number, bytes: Uint8Array | number[]): void {
    const from = Uint8Array.from(bytes);
    this.task.process.mm.copyToUser(addr, from, 0, from.length);
  }

  poke32(addr: number, value: number): void {
    this.task.process.mm.putUser32(addr, value);
  }

  peek(addr: number, length: number): Uint8Array {
    const to = new Uint8Array(length);
    this.task.process.mm.copyFromUser(to, 0, addr, length);
    return to;
  }

  peek32(addr: number): number {
    return new DataView(this.peek(addr, 4).buffer).getInt32(0, true);
  }

  text(addr: number, length: number): string {
    return String.fromCharCode(...this.peek(addr, length));
  }

  /** A connected pair of AF_UNIX sockets, non-blocking unless told. */
  pair(type: number = Sock.STREAM, flags: number = Sock.NONBLOCK): [number, number] {
    const err = sysSocketpair(this.task, Af.UNIX, type | flags, 0, ARG);
    if (err < 0) throw new Error(`socketpair: ${err}`);
    return [this.peek32(ARG), this.peek32(ARG + 4)];
  }

  file(fd: number): File {
    const file = this.task.process.files.get(fd);
    if (file === null) throw new Error(`fd ${fd} is not open`);
    return file;
  }

  mask(fd: number): number {
    return this.file(fd).poll(this.task, null);
  }

  record(fd: number): Recorder {
    const recorder = new Recorder();
    this.file(fd).poll(this.task, new RecorderTable(recorder));
    return recorder;
  }

  close(fd: number): void {
    const file = this.task.process.files.take(fd);
    if (file === null) throw new Error(`fd ${fd} is not open`);
    file.put();
  }

  write(fd: number, data: string | number, task: Task = this.task): number {
    if (typeof data === "number") return sysWrite(task, fd, BUF, data);
    this.poke(
      BUF,
      [...data].map((char) => char.charCodeAt(0)),
    );
    return sysWrite(task, fd, BUF, data.length);
  }

  /** @returns the bytes as text, or the negative result. */
  read(fd: number, count = 65536): string | number {
    const result = sysRead(this.task, fd, BUF, count);
    return result < 0 ? result : this.text(BUF, result);
  }

  ioctl(fd: number, request: number): number {
    const err = this.file(fd).ioctl(this.task, request, ARG);
    return err < 0 ? err : this.peek32(ARG);
  }

  setsockopt(fd: number, level: number, option: number, value: number): number {
    this.poke32(ARG, value);
    return sysSetsockopt(this.task, fd, level, option, ARG, 4);
  }

  getsockopt(fd: number, level: number, option: number): number {
    this.poke32(ARG + 8, 4);
    const err = sysGetsockopt(this.task, fd, level, option, ARG, ARG + 8);
    return err < 0 ? err : this.peek32(ARG);
  }
}
