/**
 * The lock of a descriptor: one reader, one writer, and a count of who uses it.
 *
 * Counterpart: `internal/poll/fd_mutex.go`.
 */
import { GoFatal } from "../fatal.ts";
import type { Sched } from "../sched.ts";
import { Sema, semrelease } from "../sema.ts";

/** 20 bits each for references and for waiters. */
const COUNT_MAX: number = (1 << 20) - 1;

export const Lock = { TAKEN: 0, WAIT: 1, CLOSED: 2 } as const;
export type Lock = (typeof Lock)[keyof typeof Lock];

class Side {
  locked = false;
  waiting = 0;
  readonly sema: Sema = new Sema();
}

export class FdMutex {
  readonly #sched: Sched;
  closed = false;
  #refs = 0;
  readonly #read: Side = new Side();
  #write: Side | null = null;

  constructor(sched: Sched) {
    this.#sched = sched;
  }

  #side(read: boolean): Side {
    if (read) return this.#read;
    this.#write ??= new Side();
    return this.#write;
  }

  sema(read: boolean): Sema {
    return this.#side(read).sema;
  }

  /** @returns false when the descriptor is closed. */
  incref(): boolean {
    if (this.closed) return false;
    this.#addRef();
    return true;
  }

  #addRef(): void {
    if (this.#refs === COUNT_MAX)
      throw new GoFatal("too many concurrent operations on a single file or socket (max 1048575)");
    this.#refs += 1;
  }

  /** Marks it closed, and lets all who wait for a lock find that out. @returns false when it was closed already. */
  increfAndClose(): boolean {
    if (this.closed) return false;
    this.closed = true;
    this.#addRef();
    this.#release(this.#read);
    if (this.#write !== null) this.#release(this.#write);
    return true;
  }

  #release(side: Side): void {
    for (; side.waiting > 0; side.waiting -= 1) semrelease(this.#sched, side.sema);
  }

  /** @returns whether that was the last reference of a closed descriptor. */
  decref(): boolean {
    this.#refs -= 1;
    return this.closed && this.#refs === 0;
  }

  /** `rwlock`, up to a wait: after one on `sema` it is asked again. */
  rwlock(read: boolean): Lock {
    if (this.closed) return Lock.CLOSED;
    const side = this.#side(read);
    if (!side.locked) {
      side.locked = true;
      this.#addRef();
      return Lock.TAKEN;
    }
    if (side.waiting === COUNT_MAX)
      throw new GoFatal("too many concurrent operations on a single file or socket (max 1048575)");
    side.waiting += 1;
    return Lock.WAIT;
  }

  /** @returns whether that was the last reference of a closed descriptor. */
  rwunlock(read: boolean): boolean {
    const side = this.#side(read);
    side.locked = false;
    this.#refs -= 1;
    if (side.waiting > 0) {
      side.waiting -= 1;
      semrelease(this.#sched, side.sema);
    }
    return this.closed && this.#refs === 0;
  }
}
