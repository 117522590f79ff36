/**
 * Bytes on their way to a terminal's line discipline.
 *
 * Counterpart: `drivers/tty/tty_buffer.c` (`struct tty_bufhead`, `struct tty_buffer`), whose sizes decide how much a stuck
 * terminal takes (Y-07). In Linux a worker carries the bytes on; here whoever inserts them does, at once.
 * Invariants (`checkTtyBufhead`): B1 `memUsed` is the sum of the queued buffers' sizes; B2 no buffer is read beyond what was
 * stored, nor filled beyond its room; B3 only the newest buffer may be empty.
 */
import { assert } from "../../lib/assert.ts";

/** `tty_buffer_set_limit` of a pseudo-terminal: bytes of buffers, each of which holds twice its size. */
const MEM_LIMIT = 8192;
/** `MIN_TTYB_SIZE`; sizes are multiples of it, and buffers of this size are kept for reuse, whatever the limit. */
const MIN_SIZE = 256;
/** `TTY_BUFFER_PAGE`: most bytes that ask for room together. */
const BUFFER_PAGE = 1792;

/** Takes bytes over. @returns how many. */
export type ReceiveBuf = (bytes: Uint8Array, offset: number, count: number) => number;

/** `struct tty_buffer` without flags for its bytes, which a pseudo-terminal never has: their room holds bytes too. */
class TtyBuffer {
  readonly size: number;
  readonly data: Uint8Array;
  used = 0;
  read = 0;

  constructor(size: number) {
    this.size = size;
    this.data = new Uint8Array(size * 2);
  }

  get left(): number {
    return this.data.length - this.used;
  }
}

export class TtyBufhead {
  /** From head to tail; never empty: the first one is the sentinel, which has no room. */
  readonly buffers: TtyBuffer[] = [new TtyBuffer(0)];
  memUsed = 0;
  /** Smallest buffers that wait for reuse. */
  #nrFree = 0;

  /** `tty_buffer_space_avail`: an estimate, in sizes of buffers rather than bytes. */
  get space(): number {
    return Math.max(MEM_LIMIT - this.memUsed, 0);
  }

  get #tail(): TtyBuffer {
    return this.buffers[this.buffers.length - 1] as TtyBuffer;
  }

  /** `tty_buffer_alloc`. */
  #alloc(bytes: number): TtyBuffer | null {
    const size = Math.ceil(bytes / MIN_SIZE) * MIN_SIZE;
    if (size <= MIN_SIZE && this.#nrFree > 0) this.#nrFree -= 1;
    else if (this.memUsed > MEM_LIMIT) return null;
    this.memUsed += size;
    return new TtyBuffer(size);
  }

  /** `tty_buffer_free` of the head. */
  #dropHead(): void {
    const { size } = this.buffers.shift() as TtyBuffer;
    this.memUsed -= size;
    if (size === MIN_SIZE) this.#nrFree += 1;
  }

  /** `__tty_buffer_request_room`. @returns bytes that the newest buffer takes, at most `size`. */
  #requestRoom(size: number): number {
    const { left } = this.#tail;
    if (left >= size) return size;
    const buffer = this.#alloc(size);
    if (buffer === null) return left;
    this.buffers.push(buffer);
    return size;
  }

  /** `tty_insert_flip_string`. @returns bytes stored. */
  insert(bytes: Uint8Array, offset: number, count: number): number {
    let done = 0;
    while (done < count) {
      const space = this.#requestRoom(Math.min(count - done, BUFFER_PAGE));
      if (space === 0) break;
      const tail = this.#tail;
      tail.data.set(bytes.subarray(offset + done, offset + done + space), tail.used);
      tail.used += space;
      done += space;
    }
    return done;
  }

  /** `flush_to_ldisc`: hands the bytes on until there are none or nobody takes them. */
  flushToLdisc(receive: ReceiveBuf): void {
    for (;;) {
      const head = this.buffers[0] as TtyBuffer;
      const count = head.used - head.read;
      if (count === 0) {
        if (this.buffers.length === 1) return;
        this.#dropHead();
        continue;
      }
      const taken = receive(head.data, head.read, count);
      head.read += taken;
      if (taken === 0) return;
    }
  }

  /** Whether a byte that waits is one of these. */
  pending(isWanted: (byte: number) => boolean): boolean {
    return this.buffers.some(({ data, read, used }) => data.subarray(read, used).some(isWanted));
  }

  /** `tty_buffer_flush`: forgets what waits. */
  flush(): void {
    while (this.buffers.length > 1) this.#dropHead();
    const head = this.#tail;
    head.read = head.used;
  }
}

/** @throws KernelBug naming the invariant that does not hold. */
export function checkTtyBufhead(head: TtyBufhead): void {
  let size = 0;
  for (const [i, buffer] of head.buffers.entries()) {
    size += buffer.size;
    assert(buffer.read <= buffer.used && buffer.used <= buffer.data.length, "B2: a buffer is read or filled too far");
    const empty = buffer.read === buffer.used;
    assert(!empty || i === head.buffers.length - 1, "B3: an empty buffer in front of others");
  }
  assert(size === head.memUsed, "B1: memUsed is not the sum of the buffers");
}
