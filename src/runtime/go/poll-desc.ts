/**
 * The pollDesc: what the runtime keeps of a descriptor in epoll, and who waits for it.
 *
 * Counterpart: `runtime/netpoll.go` (`pollDesc`, `pollCache`, `netpollblock`, `netpollunblock`, `netpollready`).
 */
import { assert, GoFatal } from "./fatal.ts";
import { goready } from "./proc-ready.ts";
import { G, type GList, Trap } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import type { GoTimer } from "./time-heap.ts";

/** A direction's semaphore: nil, ready, about to park, or the goroutine that is parked. */
export const PD_NIL = 0;
export const PD_READY = 1;
export const PD_WAIT = 2;
export type PollSlot = typeof PD_NIL | typeof PD_READY | typeof PD_WAIT | G;

export const READ = 1;
export const WRITE = 2;
export const READ_WRITE = 3;
/** A direction: bits of read and write. */
export type PollMode = typeof READ | typeof WRITE | typeof READ_WRITE;

/** What a wait ends with. */
export const PollError = { NONE: 0, CLOSING: 1, TIMEOUT: 2, NOT_POLLABLE: 3 } as const;
export type PollError = (typeof PollError)[keyof typeof PollError];

export class PollDesc {
  /** Address of the object in the process: epoll's data. */
  readonly addr: number;
  /** Next free one. */
  link: PollDesc | null = null;
  fd = -1;
  closing = false;
  everr = false;
  /** Counts the uses of this object (newest Go). */
  fdseq = 0;
  rg: PollSlot = PD_NIL;
  wg: PollSlot = PD_NIL;
  /** Deadlines in ns since boot: 0 none, negative: over. */
  rd = 0;
  wd = 0;
  rseq = 0;
  wseq = 0;
  rt: GoTimer | null = null;
  wt: GoTimer | null = null;
  /** Whether the read timer is armed, and serves both directions. */
  rrun = false;
  wrun = false;
  combined = false;

  constructor(addr: number) {
    this.addr = addr;
  }
}

/** A block of pollDescs is a page; an object takes 240 bytes. */
const BLOCK_BYTES = 4096;
const DESC_BYTES = 240;
const DESCS_PER_BLOCK = Math.floor(BLOCK_BYTES / DESC_BYTES);
/** Where the blocks lie: low enough that a tagged pointer is still an exact number. */
const BLOCKS_START = 0x08_0000_0000;

/** `pollCache`: never freed, used again in the order last in, first out. */
export class PollCache {
  #first: PollDesc | null = null;
  #blocks = 0;
  readonly #all: PollDesc[] = [];

  alloc(): PollDesc {
    if (this.#first === null) this.#grow();
    const pd = this.#first as PollDesc;
    this.#first = pd.link;
    pd.link = null;
    return pd;
  }

  free(pd: PollDesc): void {
    pd.link = this.#first;
    this.#first = pd;
  }

  #grow(): void {
    const start = BLOCKS_START + this.#blocks * BLOCK_BYTES;
    this.#blocks += 1;
    for (let i = 0; i < DESCS_PER_BLOCK; i += 1) {
      const pd = new PollDesc(start + i * DESC_BYTES);
      this.#all.push(pd);
      this.free(pd);
    }
  }

  /** The object at this address, null when there is none. */
  at(addr: number): PollDesc | null {
    const offset = addr - BLOCKS_START;
    const index = Math.floor(offset / BLOCK_BYTES) * DESCS_PER_BLOCK + Math.floor((offset % BLOCK_BYTES) / DESC_BYTES);
    return this.#all[index] ?? null;
  }
}

/** `netpollcheckerr`: closing, then the deadline, then an event error. */
export function netpollcheckerr(pd: PollDesc, mode: PollMode): PollError {
  if (pd.closing) return PollError.CLOSING;
  if ((mode === READ && pd.rd < 0) || (mode === WRITE && pd.wd < 0)) return PollError.TIMEOUT;
  if (mode === READ && pd.everr) return PollError.NOT_POLLABLE;
  return PollError.NONE;
}

/** `poll_runtime_pollReset`: forgets a stale ready mark. */
export function pollReset(pd: PollDesc, mode: PollMode): PollError {
  const err = netpollcheckerr(pd, mode);
  if (err !== PollError.NONE) return err;
  if (mode === READ) pd.rg = PD_NIL;
  else pd.wg = PD_NIL;
  return PollError.NONE;
}

/**
 * First half of `netpollblock`: traps the running goroutine into a park, unless it can go on.
 *
 * @returns whether it goes on at once: with a ready mark, or because an error has come.
 */
export function netpollblock(sched: Sched, pd: PollDesc, mode: PollMode): boolean {
  const slot = mode === READ ? pd.rg : pd.wg;
  if (slot === PD_READY) {
    sched.stats.readyWithoutPark += 1;
    return true;
  }
  if (slot !== PD_NIL) throw new GoFatal("runtime: double wait");
  if (mode === READ) pd.rg = PD_WAIT;
  else pd.wg = PD_WAIT;
  if (netpollcheckerr(pd, mode) !== PollError.NONE) return true;
  const { m } = sched;
  m.trap = Trap.PARK;
  m.waitunlockf = mode === READ ? commitRead : commitWrite;
  m.waitlock = pd;
  sched.getg().waitreason = "IO wait";
  return false;
}

/** Second half: takes the mark away. @returns whether I/O is ready. */
export function netpollunblocked(pd: PollDesc, mode: PollMode): boolean {
  const old = mode === READ ? pd.rg : pd.wg;
  if (mode === READ) pd.rg = PD_NIL;
  else pd.wg = PD_NIL;
  if (old instanceof G) throw new GoFatal("runtime: corrupted polldesc");
  return old === PD_READY;
}

/** `netpollblockcommit`. */
function commitRead(sched: Sched, g: G, lock: unknown): boolean {
  const pd = lock as PollDesc;
  if (pd.rg !== PD_WAIT) return false;
  pd.rg = g;
  sched.netpollWaiters += 1;
  return true;
}

function commitWrite(sched: Sched, g: G, lock: unknown): boolean {
  const pd = lock as PollDesc;
  if (pd.wg !== PD_WAIT) return false;
  pd.wg = g;
  sched.netpollWaiters += 1;
  return true;
}

/** `netpollunblock`. @returns the goroutine to run, if one was parked. */
export function netpollunblock(pd: PollDesc, mode: PollMode, ioready: boolean): G | null {
  const old = mode === READ ? pd.rg : pd.wg;
  if (old === PD_READY) return null;
  if (old === PD_NIL && !ioready) return null;
  const now = ioready ? PD_READY : PD_NIL;
  if (mode === READ) pd.rg = now;
  else pd.wg = now;
  return old instanceof G ? old : null;
}

/** `netpollready`: the reader is pushed first, so the writer runs before it. */
export function netpollready(sched: Sched, list: GList, pd: PollDesc, mode: number): void {
  const { stats } = sched;
  let nobody = true;
  if ((mode & READ) !== 0) {
    const rg = netpollunblock(pd, READ, true);
    if (rg !== null) {
      nobody = false;
      stats.readersUnparked += 1;
      push(sched, list, rg);
    }
  }
  if ((mode & WRITE) !== 0) {
    const wg = netpollunblock(pd, WRITE, true);
    if (wg !== null) {
      nobody = false;
      stats.writersUnparked += 1;
      push(sched, list, wg);
    }
  }
  if (nobody) stats.eventsNobody += 1;
}

function push(sched: Sched, list: GList, g: G): void {
  assert(g.schedlink === null, "netpollready: the goroutine is in a list");
  list.push(g);
  if (sched.version.netpollAdjustWaiters) sched.netpollWaiters -= 1;
}

/** `netpollgoready`: the way of deadlines and closes. */
export function netpollgoready(sched: Sched, g: G): void {
  sched.netpollWaiters -= 1;
  goready(sched, g);
}
