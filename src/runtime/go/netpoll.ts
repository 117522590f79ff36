/**
 * The poller's side of a descriptor's life: open, close, deadlines.
 *
 * Counterpart: `runtime/netpoll.go` (`poll_runtime_pollOpen` ...; ).
 */
import { GoFatal } from "./fatal.ts";
import type { Poller } from "./netpoll-epoll.ts";
import {
  netpollgoready,
  netpollunblock,
  PD_NIL,
  type PollDesc,
  PollError,
  type PollMode,
  READ,
  READ_WRITE,
  WRITE,
} from "./poll-desc.ts";
import { G } from "./runtime2.ts";
import type { Sched } from "./sched.ts";
import { GoTimer } from "./time-heap.ts";
import type { Timers } from "./timers.ts";

export class Netpoll {
  readonly #sched: Sched;
  readonly #poller: Poller;
  readonly #timers: Timers;

  constructor(sched: Sched, poller: Poller, timers: Timers) {
    this.#sched = sched;
    this.#poller = poller;
    this.#timers = timers;
  }

  /** `poll_runtime_pollServerInit`. */
  serverInit(): void {
    this.#poller.init();
  }

  /** `poll_runtime_pollOpen`. @returns the pollDesc, or a negative errno: EPERM for what epoll does not take. */
  open(fd: number): PollDesc | number {
    const { cache } = this.#poller;
    const pd = cache.alloc();
    if (pd.wg instanceof G || pd.rg instanceof G) throw new GoFatal("runtime: blocked on free polldesc");
    pd.fd = fd;
    pd.fdseq += 1;
    pd.closing = false;
    pd.everr = false;
    pd.rg = PD_NIL;
    pd.wg = PD_NIL;
    pd.rd = 0;
    pd.wd = 0;
    pd.rseq += 1;
    pd.wseq += 1;
    const error = this.#poller.open(fd, pd);
    if (error === 0) return pd;
    cache.free(pd);
    return error;
  }

  /** `poll_runtime_pollClose`: out of epoll, before the descriptor is closed. */
  close(pd: PollDesc): void {
    if (!pd.closing) throw new GoFatal("runtime: close polldesc w/o unblock");
    this.#poller.close(pd.fd);
    if (this.#sched.version.taggedPollDesc) pd.fdseq += 1;
    this.#poller.cache.free(pd);
  }

  /** `poll_runtime_pollUnblock`: a close has begun; who waits is woken. */
  unblock(pd: PollDesc): void {
    if (pd.closing) throw new GoFatal("runtime: unblock on closing polldesc");
    pd.closing = true;
    pd.rseq += 1;
    pd.wseq += 1;
    const rg = netpollunblock(pd, READ, false);
    const wg = netpollunblock(pd, WRITE, false);
    this.#stop(pd, READ);
    this.#stop(pd, WRITE);
    if (rg !== null) netpollgoready(this.#sched, rg);
    if (wg !== null) netpollgoready(this.#sched, wg);
  }

  #stop(pd: PollDesc, mode: PollMode): void {
    const timer = mode === READ ? pd.rt : pd.wt;
    if (timer === null || !(mode === READ ? pd.rrun : pd.wrun)) return;
    this.#timers.stop(timer);
    if (mode === READ) pd.rrun = false;
    else pd.wrun = false;
  }

  /**
   * `poll_runtime_pollSetDeadline`.
   *
   * @param deadline - ns since boot; 0 for none, in the past: over at once.
   */
  setDeadline(pd: PollDesc, deadline: number, mode: PollMode): PollError {
    if (pd.closing) return PollError.CLOSING;
    const rd0 = pd.rd;
    const wd0 = pd.wd;
    const combo0 = rd0 > 0 && rd0 === wd0;
    const d = deadline > 0 && deadline <= this.#sched.nanotime() ? -1 : deadline;
    if ((mode & READ) !== 0) pd.rd = d;
    if ((mode & WRITE) !== 0) pd.wd = d;
    const combo = pd.rd > 0 && pd.rd === pd.wd;
    this.#moveRead(pd, rd0, combo0, combo);
    this.#moveWrite(pd, wd0, combo0, combo);
    // A deadline in the past wakes who is parked.
    const rg = pd.rd < 0 ? netpollunblock(pd, READ, false) : null;
    const wg = pd.wd < 0 ? netpollunblock(pd, WRITE, false) : null;
    if (rg !== null) netpollgoready(this.#sched, rg);
    if (wg !== null) netpollgoready(this.#sched, wg);
    return PollError.NONE;
  }

  /** The read timer serves both directions when their deadlines are equal. */
  #moveRead(pd: PollDesc, rd0: number, combo0: boolean, combo: boolean): void {
    if (!pd.rrun) {
      if (pd.rd > 0) {
        pd.rt ??= new GoTimer((seq) => this.#expired(pd, seq, pd.combined ? READ_WRITE : READ));
        pd.combined = combo;
        pd.rt.seq = pd.rseq;
        pd.rrun = true;
        this.#timers.modify(pd.rt, pd.rd);
      }
      return;
    }
    if (pd.rd === rd0 && combo === combo0) return;
    pd.rseq += 1;
    const timer = pd.rt as GoTimer;
    if (pd.rd > 0) {
      pd.combined = combo;
      timer.seq = pd.rseq;
      this.#timers.modify(timer, pd.rd);
    } else {
      this.#timers.stop(timer);
      pd.rrun = false;
    }
  }

  #moveWrite(pd: PollDesc, wd0: number, combo0: boolean, combo: boolean): void {
    if (!pd.wrun) {
      if (pd.wd > 0 && !combo) {
        pd.wt ??= new GoTimer((seq) => this.#expired(pd, seq, WRITE));
        pd.wt.seq = pd.wseq;
        pd.wrun = true;
        this.#timers.modify(pd.wt, pd.wd);
      }
      return;
    }
    if (pd.wd === wd0 && combo === combo0) return;
    pd.wseq += 1;
    const timer = pd.wt as GoTimer;
    if (pd.wd > 0 && !combo) {
      timer.seq = pd.wseq;
      this.#timers.modify(timer, pd.wd);
    } else {
      this.#timers.stop(timer);
      pd.wrun = false;
    }
  }

  /** `netpolldeadlineimpl`: an old sequence number does nothing. */
  #expired(pd: PollDesc, seq: number, mode: PollMode): void {
    const current = (mode & READ) !== 0 ? pd.rseq : pd.wseq;
    if (seq !== current) return;
    let rg: G | null = null;
    let wg: G | null = null;
    if ((mode & READ) !== 0) {
      pd.rd = -1;
      pd.rrun = false;
      rg = netpollunblock(pd, READ, false);
    }
    if ((mode & WRITE) !== 0) {
      pd.wd = -1;
      pd.wrun = false;
      wg = netpollunblock(pd, WRITE, false);
    }
    if (rg !== null) netpollgoready(this.#sched, rg);
    if (wg !== null) netpollgoready(this.#sched, wg);
  }
}
