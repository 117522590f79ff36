/**
 * A program's own memory: a heap in the simulated address space, and blocks of it seen as typed arrays.
 *
 * A program writes into the bytes that the kernel reads, and reads what the kernel has written: nothing is copied in between.
 * `malloc` counterpart: size classes of powers of two with free lists, big blocks by whole pages.
 */
import { EPOLL_EVENT_SIZE } from "../kernel/uapi/epoll.ts";
import { Af } from "../kernel/uapi/socket.ts";
import { type Mm, Prot, type Vma } from "../syscalls/index.ts";

const PAGE_SIZE = 4096;
/** Where the heap begins. */
const HEAP_START = 0x10_0000_0000;
/** The heap grows by chunks, each as big as all before, between these limits. */
const CHUNK_MIN = 1 << 20;
const CHUNK_MAX = 64 << 20;
const CLASS_MIN = 16;
/** Blocks above this are whole pages. */
const CLASS_MAX = 1 << 20;
const WORDS_PER_EVENT = EPOLL_EVENT_SIZE / 4;

/** An address, or a block that stands for the address of its first byte. */
export type Pointer = number | UserBuffer;

/** The address that a pointer means; `null` is NULL. */
export function addressOf(pointer: Pointer | null): number {
  if (typeof pointer === "number") return pointer;
  return pointer === null ? 0 : pointer.addr;
}

/** A block of user memory. `bytes` is the memory itself. */
export class UserBuffer {
  readonly addr: number;
  readonly length: number;
  readonly bytes: Uint8Array;

  constructor(addr: number, bytes: Uint8Array) {
    this.addr = addr;
    this.length = bytes.length;
    this.bytes = bytes;
  }

  /** Puts text there, one byte a character (U+0000 to U+00FF). @returns bytes written; what does not fit is left out. */
  write(text: string, offset = 0): number {
    const count = Math.min(text.length, this.length - offset);
    for (let i = 0; i < count; i += 1) this.bytes[offset + i] = text.charCodeAt(i);
    return count;
  }

  /** Bytes as text, one character each. */
  text(from = 0, to: number = this.length): string {
    let text = "";
    for (let i = from; i < to; i += 1) text += String.fromCharCode(this.bytes[i] as number);
    return text;
  }
}

/** Room for `max` events of epoll_wait. */
export class EpollEvents extends UserBuffer {
  readonly max: number;
  readonly #words: Int32Array;

  constructor(addr: number, bytes: Uint8Array) {
    super(addr, bytes);
    this.max = Math.floor(bytes.length / EPOLL_EVENT_SIZE);
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, this.max * WORDS_PER_EVENT);
  }

  /** The mask of event `index`, an int32 as every mask here. */
  events(index: number): number {
    return this.#words[index * WORDS_PER_EVENT] as number;
  }

  /** The user data of event `index`: the number that epoll_ctl was given. */
  data(index: number): number {
    const at = index * WORDS_PER_EVENT + 1;
    const low = (this.#words[at] as number) >>> 0;
    const high = this.#words[at + 1] as number;
    return high === 0 ? low : low + high * 2 ** 32;
  }
}

const SOCKADDR_IN_SIZE = 16;
const SUN_PATH_MAX = 108;

/** `struct sockaddr_in`: an IPv4 address and a port, in user memory. */
export class SockaddrIn extends UserBuffer {
  /** @param address - as a number (127.0.0.1 is 0x7f000001), or dotted. */
  set(address: number | string, port: number): this {
    const value = typeof address === "number" ? address : parseAddress(address);
    const { bytes } = this;
    bytes[0] = Af.INET;
    bytes[1] = 0;
    bytes[2] = port >> 8;
    bytes[3] = port;
    bytes[4] = value >>> 24;
    bytes[5] = value >>> 16;
    bytes[6] = value >>> 8;
    bytes[7] = value;
    return this;
  }

  get port(): number {
    return ((this.bytes[2] as number) << 8) | (this.bytes[3] as number);
  }

  /** The address as an unsigned number. */
  get address(): number {
    const [, , , , a = 0, b = 0, c = 0, d = 0] = this.bytes;
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }
}

/** @throws RangeError for what is no dotted address. */
function parseAddress(text: string): number {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)) {
    throw new RangeError(`'${text}' is no IPv4 address, such as 127.0.0.1`);
  }
  return parts.reduce((value, part) => value * 256 + part, 0);
}

/** The heap of one address space. */
export class UserMemory {
  readonly mm: Mm;
  /** Bytes given out and not yet freed, by the sizes that were asked for. */
  bytesInUse = 0;
  /** Bytes that were ever asked for. */
  allocatedBytes = 0;
  /** The most that `bytesInUse` ever was. */
  peakBytes = 0;
  /** Bytes mapped. */
  bytesMapped = 0;
  #chunk: Vma | null = null;
  #next = HEAP_START;
  /** Free blocks by size class. */
  readonly #free: Map<number, number[]> = new Map();

  constructor(mm: Mm) {
    this.mm = mm;
  }

  /** A block of zeros or, where one is used again, of what its last owner left. */
  alloc(length: number): UserBuffer {
    const addr = this.#place(length);
    return new UserBuffer(addr, this.bytesAt(addr, length));
  }

  /** Room for the events of one epoll_wait. */
  allocEvents(max: number): EpollEvents {
    const addr = this.#place(max * EPOLL_EVENT_SIZE);
    return new EpollEvents(addr, this.bytesAt(addr, max * EPOLL_EVENT_SIZE));
  }

  /** A `struct sockaddr_in`. */
  sockaddrIn(address: number | string, port: number): SockaddrIn {
    const addr = this.#place(SOCKADDR_IN_SIZE);
    return new SockaddrIn(addr, this.bytesAt(addr, SOCKADDR_IN_SIZE)).set(address, port);
  }

  /** A `struct sockaddr_un`. @param path - with a leading NUL: an abstract name. */
  sockaddrUn(path: string): UserBuffer {
    if (path.length >= SUN_PATH_MAX) throw new RangeError(`a socket's path of ${path.length} bytes: at most 107`);
    const named = !path.startsWith("\0");
    const block = this.alloc(2 + path.length + (named ? 1 : 0));
    block.bytes[0] = Af.UNIX;
    block.bytes[1] = 0;
    block.write(path, 2);
    if (named) block.bytes[block.length - 1] = 0;
    return block;
  }

  /** A block that holds this text. */
  allocText(text: string): UserBuffer {
    const block = this.alloc(text.length);
    block.write(text);
    return block;
  }

  /** Gives a block back. */
  free(block: UserBuffer): void {
    const size = classOf(block.length);
    this.bytesInUse -= block.length;
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [block.addr]);
    else list.push(block.addr);
  }

  /** The memory itself. @throws RangeError when it is not one mapped block. */
  bytesAt(addr: number, length: number): Uint8Array {
    const vma = this.mm.find(addr);
    if (vma === null || addr + length > vma.end) throw new RangeError(`no memory at 0x${addr.toString(16)}`);
    const { bytes } = vma;
    return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + addr - vma.start, length);
  }

  /** A copy of at most `length` bytes, up to the end of their mapping; null where nothing is mapped. */
  peek(addr: number, length: number): Uint8Array | null {
    const vma = this.mm.find(addr);
    return vma === null ? null : this.bytesAt(addr, Math.min(length, vma.end - addr)).slice();
  }

  #place(length: number): number {
    const size = classOf(length);
    this.bytesInUse += length;
    this.allocatedBytes += length;
    if (this.bytesInUse > this.peakBytes) this.peakBytes = this.bytesInUse;
    const used = this.#free.get(size)?.pop();
    if (used !== undefined) return used;
    if (this.#chunk === null || this.#next + size > this.#chunk.end) this.#grow(size);
    const addr = this.#next;
    this.#next += size;
    return addr;
  }

  #grow(size: number): void {
    const start = this.#chunk?.end ?? HEAP_START;
    const wanted = Math.min(Math.max(this.bytesMapped, CHUNK_MIN), CHUNK_MAX);
    const length = Math.ceil(Math.max(wanted, size) / PAGE_SIZE) * PAGE_SIZE;
    this.#chunk = this.mm.map(start, length, Prot.RW);
    this.#next = start;
    this.bytesMapped += length;
  }
}

function classOf(length: number): number {
  if (length > CLASS_MAX) return Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
  return length <= CLASS_MIN ? CLASS_MIN : 2 ** (32 - Math.clz32(length - 1));
}
