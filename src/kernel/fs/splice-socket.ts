/**
 * splice and sendfile with a socket as an end.
 *
 * Counterpart: `fs/splice.c` (`splice_to_socket`, `copy_splice_read`), `net/socket.c` (`sock_splice_read`),
 * `unix_stream_splice_read`, `tcp_splice_read`.
 * A socket takes up to 16 slots of the pipe in one send. What a stream gives keeps its pieces: each buffer of the receive queue
 * becomes a slot, however long it is (Linux: one for its head, one for each fragment). While the send or the read sleeps, Linux
 * holds the lock of the pipe and everybody else has to wait; here they go on.
 */
import { Unmodelled } from "../lib/assert.ts";
import { IovIter } from "../mm/iov-iter.ts";
import { Mm, PAGE_SIZE, type Slab } from "../mm/mm.ts";
import type { SocketFile } from "../net/socket.ts";
import { BLOCKED, type SleepingCall, type Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Af, Msg, Sock as SockType } from "../uapi/socket.ts";
import type { File } from "./file.ts";
import type { PipeInodeInfo } from "./pipe.ts";
import type { PipeFile } from "./pipe-file.ts";
import { kernelIter, readAt, SpliceCall, type SplicePos, storePos, wakeReaders, wakeWriters } from "./splice.ts";

const EAGAIN = -Errno.EAGAIN;
const ERESTARTSYS = -Errno.ERESTARTSYS;
/** Slots that one send takes. */
const BVECS = 16;
const { DONTWAIT: MSG_DONTWAIT, MORE: MSG_MORE, SPLICE_PAGES: MSG_SPLICE_PAGES } = Msg;

/** A splice whose socket may send it to sleep. */
abstract class SocketSplice extends SpliceCall {
  /** What the socket is in the middle of. */
  #inner: SleepingCall | null = null;

  /** A call of the protocol, or the rest of one that sleeps. */
  protected socketCall(task: Task, begin: () => number): number {
    const inner = this.#inner;
    this.#inner = null;
    task.call = null;
    const result = inner === null ? begin() : inner.step(task);
    if (result !== BLOCKED) return result;
    this.#inner = task.call;
    task.call = this;
    return BLOCKED;
  }

  /** Whether the socket is in the middle of something. */
  protected get inSocket(): boolean {
    return this.#inner !== null;
  }
}

/** `splice_to_socket`. @behaviour F-23 */
export class SplicePipeToSocket extends SocketSplice {
  readonly #pipe: PipeInodeInfo;
  readonly #socket: SocketFile;
  readonly #length: number;
  readonly #more: boolean;
  #spliced = 0;
  #needWakeup = false;

  constructor(input: PipeFile, output: SocketFile, length: number, nonblock: boolean, more: boolean) {
    super(input, output, nonblock || input.nonblock);
    this.#pipe = input.pipe;
    this.#socket = output;
    this.#length = length;
    this.#more = more;
  }

  protected override attempt(task: Task): number {
    const result = this.#sendAll(task);
    if (result === BLOCKED) return BLOCKED;
    if (this.#needWakeup) wakeWriters(this.input, this.#pipe);
    return this.#spliced > 0 ? this.#spliced : result;
  }

  /** @returns what to answer when nothing was spliced. */
  #sendAll(task: Task): number {
    const pipe = this.#pipe;
    while (this.#spliced < this.#length) {
      if (!this.inSocket && pipe.empty) {
        if (pipe.writers === 0 || this.#spliced > 0) return 0;
        if (this.nonblock) return EAGAIN;
        if (task.signalPending) return ERESTARTSYS;
        return this.waitForData(task, pipe);
      }
      const sent = this.socketCall(task, () => this.#send(task));
      if (sent === BLOCKED || sent <= 0) return sent;
      this.#consume(sent);
    }
    return 0;
  }

  #send(task: Task): number {
    const pipe = this.#pipe;
    const wanted = this.#length - this.#spliced;
    let bytes = 0;
    let at = pipe.tail;
    for (let slots = 0; at !== pipe.head && slots < BVECS && bytes < wanted; slots += 1) {
      bytes += pipe.slot(at).len;
      at += 1;
    }
    const data = new Uint8Array(Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE);
    for (let done = 0, slot = pipe.tail; slot !== at; slot += 1) {
      const { page, offset, len } = pipe.slot(slot);
      if (page !== null) data.set(page.bytes.subarray(offset, offset + len), done);
      done += len;
    }
    const more = this.#more || (bytes < wanted && at !== pipe.head);
    const flags = (this.#socket.nonblock ? MSG_DONTWAIT : 0) | (more ? MSG_MORE : 0) | MSG_SPLICE_PAGES;
    return this.#socket.sk.sendmsg(task, kernelIter(data, Math.min(bytes, wanted)), flags, null);
  }

  /** What was sent leaves the pipe. */
  #consume(sent: number): void {
    const pipe = this.#pipe;
    this.#spliced += sent;
    for (let left = sent; left > 0; ) {
      const buf = pipe.slot(pipe.tail);
      const chars = Math.min(left, buf.len);
      pipe.consume(buf, chars);
      left -= chars;
      if (buf.len > 0) continue;
      pipe.dropTail();
      this.#needWakeup = true;
    }
  }
}

/** A cursor that puts what is copied to it into the slots of a pipe. */
class PipeIter extends IovIter {
  readonly #pipe: PipeInodeInfo;
  /** Most bytes of a slot. */
  readonly #slotBytes: number;

  constructor(pipe: PipeInodeInfo, length: number, slotBytes: number) {
    super(new Mm());
    this.#pipe = pipe;
    this.#slotBytes = slotBytes;
    this.count = length;
  }

  /** `skb_splice_bits`. A full pipe takes no more. */
  override slabTo(from: Slab, fromOffset: number, length: number): number {
    let done = 0;
    while (done < length && this.count > 0) {
      const chars = Math.min(length - done, this.count, this.#slotBytes);
      const page = this.#pipe.kernel.pages.allocCompound(chars);
      page.bytes.set(from.bytes.subarray(fromOffset + done, fromOffset + done + chars));
      this.#pipe.push(page, 0, chars, 0);
      this.count = this.#pipe.full ? 0 : this.count - chars;
      done += chars;
    }
    return done;
  }
}

/** `splice_file_to_pipe` from a socket. @behaviour F-23 */
export class SpliceSocketToPipe extends SocketSplice {
  readonly #pipe: PipeInodeInfo;
  readonly #socket: SocketFile;
  readonly #length: number;

  constructor(input: SocketFile, output: PipeFile, length: number, nonblock: boolean) {
    super(input, output, nonblock || output.nonblock);
    this.#pipe = output.pipe;
    this.#socket = input;
    this.#length = length;
  }

  protected override attempt(task: Task): number {
    const pipe = this.#pipe;
    if (!this.inSocket) {
      const wait = this.waitForSpace(task, pipe);
      if (wait !== 0) return wait;
    }
    const result = this.socketCall(task, () => this.#read(task));
    if (result > 0) wakeReaders(this.output, pipe);
    return result;
  }

  /** `sock_splice_read`: only streams have one of their own, the others are read into fresh pages. */
  #read(task: Task): number {
    const pipe = this.#pipe;
    const { sk, nonblock } = this.#socket;
    if (this.#length === 0) return 0;
    if (sk.urgent) throw new Unmodelled("splice from a socket with an urgent byte");
    const room = (pipe.bufs.length - (pipe.head - pipe.tail)) * PAGE_SIZE;
    const stream = sk.type === SockType.STREAM;
    const to = new PipeIter(pipe, Math.min(this.#length, room), stream ? room : PAGE_SIZE);
    const impatient = nonblock || (this.nonblock && stream && sk.family === Af.UNIX);
    return sk.recvmsg(task, to, impatient ? MSG_DONTWAIT : 0, null);
  }
}

/** `do_splice_direct` of a file to a socket. @behaviour F-23 */
export class SendfileToSocket extends SocketSplice {
  readonly #socket: SocketFile;
  readonly #pos: SplicePos;
  readonly #length: number;
  #done = 0;
  /** What has been read and not sent: the content of the internal pipe. */
  #chunk: Uint8Array = new Uint8Array(0);
  #chunkBytes = 0;
  /** Bytes that the internal pipe could have taken. */
  #chunkRoom = 0;
  #sent = 0;

  constructor(input: File, output: SocketFile, pos: SplicePos, length: number) {
    super(input, output, false);
    this.#socket = output;
    this.#pos = pos;
    this.#length = length;
  }

  protected override attempt(task: Task): number {
    const result = this.#sendAll(task);
    if (result === BLOCKED) return BLOCKED;
    return storePos(task, this.input, this.#pos, this.#done > 0 ? this.#done : result);
  }

  /** @returns what to answer when nothing was sent. */
  #sendAll(task: Task): number {
    while (this.#done < this.#length) {
      if (this.#sent === this.#chunkBytes) {
        const got = this.#fill(task);
        if (got <= 0) return got;
      }
      const sent = this.socketCall(task, () => this.#send(task));
      if (sent === BLOCKED) return BLOCKED;
      if (sent <= 0) {
        this.#pos.value -= this.#chunkBytes - this.#sent;
        return sent;
      }
      this.#sent += sent;
      this.#done += sent;
    }
    return 0;
  }

  /** The internal pipe has 16 slots; each shows one page of the file, of which the first may begin in the middle. */
  #fill(task: Task): number {
    if (!this.input.hasSpliceRead) return -Errno.EINVAL;
    const into = this.input.hasPages ? this.#pos.value % PAGE_SIZE : 0;
    this.#chunkRoom = BVECS * PAGE_SIZE - into;
    const room = Math.min(this.#chunkRoom, this.#length - this.#done);
    this.#chunk = new Uint8Array(Math.ceil(room / PAGE_SIZE) * PAGE_SIZE);
    const got = readAt(task, this.input, this.#pos, this.#chunk, room);
    this.#chunkBytes = Math.max(got, 0);
    this.#sent = 0;
    return got;
  }

  /** While the file goes on, the socket is told that more is coming. */
  #send(task: Task): number {
    const more =
      this.#chunkBytes === this.#chunkRoom &&
      this.#pos.value < this.input.inode.size &&
      this.#done + this.#chunkBytes < this.#length;
    const flags = (this.#socket.nonblock ? MSG_DONTWAIT : 0) | (more ? MSG_MORE : 0) | MSG_SPLICE_PAGES;
    const data = this.#chunk.slice(this.#sent, this.#chunkBytes);
    return this.#socket.sk.sendmsg(task, kernelIter(padded(data), data.length), flags, null);
  }
}

/** As a whole number of pages. */
function padded(data: Uint8Array): Uint8Array {
  const pages = new Uint8Array(Math.ceil(data.length / PAGE_SIZE) * PAGE_SIZE);
  pages.set(data);
  return pages;
}
