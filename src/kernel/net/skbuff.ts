/**
 * Socket buffers: what one send puts into a queue, and what the kernel charges for it.
 *
 * Counterpart: `net/core/skbuff.c`, `include/linux/skbuff.h`.
 * The charge (`truesize`) is the memory that Linux would take, computed from the sizes in `SkbConfig`; the bytes live in
 * a pooled array of their own. A buffer that is freed goes back to its pool, so a program that keeps sending and
 * receiving allocates nothing.
 * Invariants: a buffer is on at most one queue; a pooled buffer is on none and belongs to nobody.
 */
import { assert, Unmodelled } from "../lib/assert.ts";
import { Slab } from "../mm/mm.ts";
import type { InetAddr } from "./inet/addr.ts";
import type { Scm } from "./scm.ts";
import type { Sock } from "./sock.ts";

/** The sizes that decide what a message costs. They depend on how a kernel was built. */
export interface SkbConfig {
  /** `SKB_DATA_ALIGN(sizeof(struct sk_buff))`. */
  readonly skbBytes: number;
  /** `SKB_DATA_ALIGN(sizeof(struct skb_shared_info))`. */
  readonly sharedInfoBytes: number;
  /** `SMP_CACHE_BYTES`. */
  readonly cacheLine: number;
  /** `SKB_SMALL_HEAD_CACHE_SIZE`: heads that are not charged to a memory cgroup come from a cache of this size. */
  readonly smallHeadBytes: number;
  readonly pageBytes: number;
  /** `MAX_SKB_FRAGS`. */
  readonly maxFrags: number;
  /** `PAGE_ALLOC_COSTLY_ORDER`. */
  readonly costlyOrder: number;
}

/** x86-64, 4096-byte pages, 17 fragments: the reference kernel. */
export const SKB_CONFIG_X86_64: SkbConfig = {
  skbBytes: 256,
  sharedInfoBytes: 320,
  cacheLine: 64,
  smallHeadBytes: 576,
  pageBytes: 4096,
  maxFrags: 17,
  costlyOrder: 3,
};

/** Smallest power of two that is not below `n`. */
function powerOfTwo(n: number): number {
  return 1 << (32 - Math.clz32(n - 1));
}

/** Charge of a buffer's linear part of `length` bytes that a memory cgroup pays for (`GFP_KERNEL_ACCOUNT`). */
export function headTruesize(config: SkbConfig, length: number): number {
  const aligned = (length + config.cacheLine - 1) & ~(config.cacheLine - 1);
  return powerOfTwo(aligned + config.sharedInfoBytes) + config.skbBytes;
}

/** As `headTruesize`, for a head that may come from the cache of small heads. */
export function plainHeadTruesize(config: SkbConfig, length: number): number {
  const aligned = (length + config.cacheLine - 1) & ~(config.cacheLine - 1);
  const bytes = aligned + config.sharedInfoBytes;
  return (bytes <= config.smallHeadBytes ? config.smallHeadBytes : powerOfTwo(bytes)) + config.skbBytes;
}

/** TCP: charge of an empty buffer, `SKB_TRUESIZE` of a small head. */
export const EMPTY_TRUESIZE = 832;
/** `MAX_SKB_FRAGS` of the reference kernel. */
export const MAX_FRAGS = 17;

/** The sender of a datagram. */
export interface DatagramSource {
  readonly src: InetAddr;
  readonly sport: number;
}

export class SkBuff {
  next: SkBuff | null;
  prev: SkBuff | null;
  /** The queue it is on; null while it is on none. */
  list: SkBuffHead | null;
  /** The socket that is charged for it. */
  sk: Sock | null;
  /** Where the data lies: at `offset` of `slab`. */
  readonly slab: Slab;
  readonly offset: number;
  /** Bytes of data. */
  len: number;
  /** `TCP_SKB_CB(skb)->seq`: sequence number of the first byte. */
  seq: number;
  /** `UNIXCB(skb).consumed`: how many of them have been read. */
  consumed: number;
  truesize: number;
  /** Credentials and descriptors that travel with it; null for plain bytes. */
  scm: Scm | null;
  /** Where a UDP datagram came from; null for everything else. */
  source: DatagramSource | null;
  /** `kernel.actor` when a stream socket queued it for its reader. */
  queuedBy: object | null;
  /** An empty datagram that has been peeked at: `skb->peeked`. */
  peeked: boolean;
  /** TCP: `gso_size`, bytes of each segment in it; 0 for a single segment. */
  gsoSize: number;
  /** TCP: `nr_frags`, pieces of pages that hold it; behind a merge, of all that were merged. */
  frags: number;
  /** TCP: where the first of these begins and the last ends, while it is written to: see `tcp-fragment.ts`. */
  start: number;
  /** The latter; in a receive queue, the sequence number at which the one that others were merged into ended. */
  mark: number;
  /** TCP: merged into the one before it: both are freed at once. */
  joined: boolean;
  /** TCP: to be sent with PSH. */
  push: boolean;
  /** TCP: nothing may be added (MSG_EOR). */
  eor: boolean;
  /** Which pool list it goes back to. */
  readonly sizeClass: number;

  /** TCP: `tcp_skb_pcount`. */
  get segments(): number {
    return this.gsoSize === 0 ? 1 : Math.ceil(this.len / this.gsoSize);
  }

  /** Bytes that it has storage for. */
  get capacity(): number {
    return MIN_CLASS_BYTES << this.sizeClass;
  }

  constructor(slab: Slab, offset: number, sizeClass: number) {
    this.next = null;
    this.prev = null;
    this.list = null;
    this.sk = null;
    this.slab = slab;
    this.offset = offset;
    this.len = 0;
    this.seq = 0;
    this.consumed = 0;
    this.truesize = 0;
    this.scm = null;
    this.source = null;
    this.queuedBy = null;
    this.peeked = false;
    this.gsoSize = 0;
    this.frags = 1;
    this.start = 0;
    this.mark = 0;
    this.joined = false;
    this.push = false;
    this.eor = false;
    this.sizeClass = sizeClass;
  }
}

/** `struct sk_buff_head`. */
export class SkBuffHead {
  first: SkBuff | null;
  last: SkBuff | null;
  length: number;

  constructor() {
    this.first = null;
    this.last = null;
    this.length = 0;
  }

  /** `__skb_queue_tail`. */
  queueTail(skb: SkBuff): void {
    assert(skb.list === null, "skb: already on a queue");
    const { last } = this;
    skb.list = this;
    skb.prev = last;
    if (last === null) this.first = skb;
    else last.next = skb;
    this.last = skb;
    this.length += 1;
  }

  /** `__skb_unlink`. */
  unlink(skb: SkBuff): void {
    assert(skb.list === this, "skb: not on this queue");
    const { prev, next } = skb;
    if (prev === null) this.first = next;
    else prev.next = next;
    if (next === null) this.last = prev;
    else next.prev = prev;
    skb.list = null;
    skb.prev = null;
    skb.next = null;
    this.length -= 1;
  }

  /** `__skb_queue_after`. */
  queueAfter(prev: SkBuff, skb: SkBuff): void {
    assert(skb.list === null && prev.list === this, "skb: already on a queue, or its neighbour on none");
    const { next } = prev;
    skb.list = this;
    skb.prev = prev;
    skb.next = next;
    prev.next = skb;
    if (next === null) this.last = skb;
    else next.prev = skb;
    this.length += 1;
  }

  /** `__skb_dequeue`. */
  dequeue(): SkBuff | null {
    const skb = this.first;
    if (skb !== null) this.unlink(skb);
    return skb;
  }
}

const MIN_CLASS_BYTES = 64;
/** Buffers up to this size are cut from slabs of `SLAB_BYTES`; larger ones have a slab each. */
const CUT_BYTES = 4096;
const SLAB_BYTES = 65_536;
/** A pool list keeps no more than this many bytes of free storage. */
const MAX_POOLED_BYTES = 1 << 24;

/**
 * All that the queues of a machine may hold. The real limit is its memory; a recording or a script that asks for more than this
 * must not use up that of the machine it is looked at on.
 */
const HELD_MAX = 512 * 1024 * 1024;

/** Free buffers, one list per power of two of storage. */
export class SkbPool {
  /** Storage of all buffers that are in use. */
  #held = 0;
  readonly #free: (SkBuff | null)[] = [];
  readonly #count: number[] = [];

  /**
   * `alloc_skb`: a buffer with room for `length` bytes, which is also its length. The caller charges it.
   *
   * @throws Unmodelled - what a machine does that is out of memory.
   */
  alloc(length: number): SkBuff {
    const sizeClass = length <= MIN_CLASS_BYTES ? 0 : 26 - Math.clz32(length - 1);
    this.#held += MIN_CLASS_BYTES << sizeClass;
    if (this.#held > HELD_MAX) this.#exhausted(sizeClass);
    let skb = sizeClass < this.#free.length ? (this.#free[sizeClass] as SkBuff | null) : null;
    if (skb === null) skb = this.#grow(sizeClass);
    this.#free[sizeClass] = skb.next;
    this.#count[sizeClass] = (this.#count[sizeClass] as number) - 1;
    skb.next = null;
    skb.len = length;
    return skb;
  }

  #exhausted(sizeClass: number): never {
    this.#held -= MIN_CLASS_BYTES << sizeClass;
    throw new Unmodelled(`sockets that hold more than ${HELD_MAX} bytes`);
  }

  /** Fills an empty list. @returns its first buffer, still on the list. */
  #grow(sizeClass: number): SkBuff {
    while (this.#free.length <= sizeClass) {
      this.#free.push(null);
      this.#count.push(0);
    }
    const bytes = MIN_CLASS_BYTES << sizeClass;
    const slab = new Slab(bytes <= CUT_BYTES ? SLAB_BYTES : bytes);
    let first: SkBuff | null = null;
    for (let offset = slab.bytes.length - bytes; offset >= 0; offset -= bytes) {
      const skb = new SkBuff(slab, offset, sizeClass);
      skb.next = first;
      first = skb;
    }
    this.#count[sizeClass] = slab.bytes.length / bytes;
    return first as SkBuff;
  }

  /** `kfree_skb` after its destructor: nobody may use the buffer any more. */
  free(skb: SkBuff): void {
    assert(skb.list === null && skb.scm === null, "skb: freed while it is queued or carries something");
    const { sizeClass } = skb;
    this.#held -= MIN_CLASS_BYTES << sizeClass;
    const count = this.#count[sizeClass] as number;
    if (count << (sizeClass + 6) >= MAX_POOLED_BYTES) return;
    skb.sk = null;
    skb.source = null;
    skb.consumed = 0;
    skb.peeked = false;
    skb.gsoSize = 0;
    skb.frags = 1;
    skb.joined = false;
    skb.push = false;
    skb.eor = false;
    skb.next = this.#free[sizeClass] as SkBuff | null;
    this.#free[sizeClass] = skb;
    this.#count[sizeClass] = count + 1;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#held]; // buffers kept for reuse have no content
  }
}
