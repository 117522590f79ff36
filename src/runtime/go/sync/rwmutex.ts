/**
 * sync.RWMutex.
 *
 * Counterpart: `sync/rwmutex.go`: a writer that waits keeps new readers out.
 */
import { GoFatal } from "../fatal.ts";
import type { Go } from "../runtime2.ts";
import type { Sched } from "../sched.ts";
import { Sema, SemacquireOp, semrelease } from "../sema.ts";
import { Mutex } from "./mutex.ts";

const MAX_READERS: number = 1 << 30;

export class RWMutex {
  readonly #sched: Sched;
  readonly #w: Mutex;
  readonly #writerSem: Sema = new Sema();
  readonly #readerSem: Sema = new Sema();
  /** Negative by `MAX_READERS` while a writer waits or holds it. */
  #readerCount = 0;
  #readerWait = 0;

  constructor(sched: Sched) {
    this.#sched = sched;
    this.#w = new Mutex(sched);
  }

  *rlock(): Go<void> {
    this.#readerCount += 1;
    if (this.#readerCount < 0) yield* new SemacquireOp(this.#sched, this.#readerSem);
  }

  runlock(): void {
    this.#readerCount -= 1;
    if (this.#readerCount >= 0) return;
    if (this.#readerCount === -1 || this.#readerCount === -MAX_READERS - 1) {
      throw new GoFatal("sync: RUnlock of unlocked RWMutex");
    }
    this.#readerWait -= 1;
    if (this.#readerWait === 0) semrelease(this.#sched, this.#writerSem);
  }

  *lock(): Go<void> {
    yield* this.#w.lock();
    const readers = this.#readerCount;
    this.#readerCount -= MAX_READERS;
    this.#readerWait += readers;
    if (readers !== 0 && this.#readerWait !== 0) yield* new SemacquireOp(this.#sched, this.#writerSem, false);
  }

  *unlock(): Go<void> {
    this.#readerCount += MAX_READERS;
    if (this.#readerCount >= MAX_READERS) throw new GoFatal("sync: Unlock of unlocked RWMutex");
    for (let i = this.#readerCount; i > 0; i -= 1) semrelease(this.#sched, this.#readerSem);
    yield* this.#w.unlock();
  }
}
