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
import { Sig } from "../../src/kernel/uapi/signal.ts";
import { Af, Msg, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysRecvfrom, sysRecvmsg, sysSendmsg, sysSendto } from "../../src/syscalls/msg.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { sysBind, sysConnect, sysListen, sysSocket, sysSocketpair } from "../../src/syscalls/socket.ts";
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

  /** @param kernel - a machine of a cluster; default: one of its own. */
  constructor(nofile = 1024, uid = 0, kernel: Kernel | null = null) {
    this.kernel =
      kernel ?? new Kernel({ profile: kernelProfile("6.18"), chooser: firstChoice, bootNs: 0, bootEpochNs: 0n });
    this.task = this.kernel.createProcess("t", uid, nofile);
    this.task.process.mm.map(BUF, BUF_BYTES, 3);
    this.task.process.sighand.ignore(Sig.PIPE);
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

  /** Puts an address where the calls read it. @returns its length. */
  addr(bytes: Uint8Array): number {
    this.poke(ARG + 64, bytes);
    return bytes.length;
  }

  bind(fd: number, addr: Uint8Array): number {
    return sysBind(this.task, fd, ARG + 64, this.addr(addr));
  }

  connect(fd: number, addr: Uint8Array, task: Task = this.task): number {
    return sysConnect(task, fd, ARG + 64, this.addr(addr));
  }

  /** A bound, listening, non-blocking socket. */
  listener(family: number, type: number, addr: Uint8Array, backlog: number): number {
    const fd = sysSocket(this.task, family, type | Sock.NONBLOCK, 0);
    const err = this.bind(fd, addr) || sysListen(this.task, fd, backlog);
    if (err < 0) throw new Error(`listener: ${err}`);
    return fd;
  }

  sendto(fd: number, data: string, flags: number, addr: Uint8Array | null): number {
    this.poke(
      BUF,
      [...data].map((char) => char.charCodeAt(0)),
    );
    return sysSendto(
      this.task,
      fd,
      BUF,
      data.length,
      flags,
      addr === null ? 0 : ARG + 64,
      addr === null ? 0 : this.addr(addr),
    );
  }

  /** @returns the bytes as text, or the negative result. */
  recv(fd: number, count: number, flags: number): string | number {
    const result = sysRecvfrom(this.task, fd, BUF, count, flags, 0, 0);
    return result < 0 ? result : this.text(BUF, Math.min(result, count));
  }

  /** sendmsg with one buffer and descriptors. */
  sendFds(fd: number, data: string, fds: readonly number[]): number {
    this.poke(
      BUF,
      [...data].map((char) => char.charCodeAt(0)),
    );
    const length = 16 + fds.length * 4;
    const control = new DataView(new ArrayBuffer(fds.length === 0 ? 0 : (length + 7) & ~7));
    if (fds.length > 0) {
      control.setBigUint64(0, BigInt(length), true);
      control.setInt32(8, 1, true);
      control.setInt32(12, 1, true);
      for (const [index, value] of fds.entries()) control.setInt32(16 + index * 4, value, true);
    }
    this.poke(BUF + 8192, new Uint8Array(control.buffer));
    this.msghdr(data.length, BUF + 8192, fds.length === 0 ? 0 : length);
    return sysSendmsg(this.task, fd, ARG + 256, Msg.NOSIGNAL);
  }

  /** recvmsg with one buffer. @param room - bytes for control data. */
  recvFds(
    fd: number,
    count: number,
    room: number,
    flags = 0,
  ): { result: number; text: string; fds: number[]; flags: number } {
    this.msghdr(count, room === 0 ? 0 : BUF + 8192, room);
    const result = sysRecvmsg(this.task, fd, ARG + 256, flags);
    const header = new DataView(this.peek(ARG + 256, 56).buffer);
    const used = Number(header.getBigUint64(40, true));
    const control = new DataView(this.peek(BUF + 8192, used).buffer);
    const fds: number[] = [];
    const end = used >= 16 ? Number(control.getBigUint64(0, true)) : 0;
    for (let at = 16; at < end; at += 4) fds.push(control.getInt32(at, true));
    return { result, text: result > 0 ? this.text(BUF, result) : "", fds, flags: header.getInt32(48, true) };
  }

  private msghdr(count: number, control: number, room: number): void {
    const bytes = new DataView(new ArrayBuffer(72));
    bytes.setBigUint64(16, BigInt(ARG + 256 + 56), true);
    bytes.setBigUint64(24, 1n, true);
    bytes.setBigUint64(32, BigInt(control), true);
    bytes.setBigUint64(40, BigInt(room), true);
    bytes.setBigUint64(56, BigInt(BUF), true);
    bytes.setBigUint64(64, BigInt(count), true);
    this.poke(ARG + 256, new Uint8Array(bytes.buffer));
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

/** A `struct sockaddr_un`; a leading `@` stands for the NUL of an abstract name. */
export function sunAddr(name: string): Uint8Array {
  const path = name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`;
  return Uint8Array.from([Af.UNIX, 0, ...[...path].map((char) => char.charCodeAt(0))]);
}

/** A `struct sockaddr_in`. */
export function inAddr(text: string, port: number): Uint8Array {
  return Uint8Array.from([Af.INET, 0, port >> 8, port & 0xff, ...text.split(".").map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);
}

/** A `struct sockaddr_in6` with `::` or `::1`. */
export function in6Addr(which: "any" | "loopback", port: number): Uint8Array {
  const bytes = new Uint8Array(28);
  bytes.set([Af.INET6, 0, port >> 8, port & 0xff]);
  bytes[23] = which === "any" ? 0 : 1;
  return bytes;
}
