/**
 * The poller on epoll: one instance for the process, edge-triggered, one registration per descriptor.
 *
 * Counterpart: `runtime/netpoll_epoll.go`.
 */
import { EPOLL_CLOEXEC, Epoll, EpollCtl } from "../../kernel/uapi/epoll.ts";
import { Errno } from "../../kernel/uapi/errno.ts";
import { Open } from "../../kernel/uapi/fcntl.ts";
import type { EpollEvents, UserBuffer } from "../user-memory.ts";
import { GoFatal } from "./fatal.ts";
import { netpollready, PollCache, type PollDesc, READ, READ_WRITE, WRITE } from "./poll-desc.ts";
import type { GList } from "./runtime2.ts";
import type { Sched } from "./sched.ts";

/** Events taken in one call. */
const MAX_EVENTS = 128;
const NSEC_PER_MSEC = 1_000_000;
/** From here on the time-out is 10^9 ms: about eleven days. */
const LONGEST_NS = 1e15;
const LONGEST_MS = 1e9;
const TAG_BITS = 16;
const TAG_SCALE = 2 ** TAG_BITS;
const READABLE: number = Epoll.IN | Epoll.RDHUP | Epoll.HUP | Epoll.ERR;
const WRITABLE: number = Epoll.OUT | Epoll.HUP | Epoll.ERR;
const OPEN_EVENTS: number = Epoll.IN | Epoll.OUT | Epoll.RDHUP | Epoll.ET;
/** Address of the runtime variable that stands for the interrupt descriptor. */
const BREAK_DATA = 0x5e_d000;

/** The time-out that epoll_pwait is given for a delay in ns, negative for ever. */
export function netpollTimeout(delayNs: number): number {
  if (delayNs < 0) return -1;
  if (delayNs === 0) return 0;
  if (delayNs < NSEC_PER_MSEC) return 1;
  return delayNs < LONGEST_NS ? Math.floor(delayNs / NSEC_PER_MSEC) : LONGEST_MS;
}

export class Poller {
  readonly #sched: Sched;
  readonly cache: PollCache = new PollCache();
  #epfd = -1;
  /** Where interrupts are read from and written to: the ends of a pipe, or one eventfd twice. */
  #breakRd = -1;
  #breakWr = -1;
  /** `netpollWakeSig`: an interrupt is on its way. */
  #wakeSig = false;
  readonly #word: UserBuffer;

  constructor(sched: Sched, word: UserBuffer) {
    this.#sched = sched;
    this.#word = word;
  }

  /** `netpollGenericInit`: with the first descriptor, or the first timer. */
  init(): void {
    const sched = this.#sched;
    if (sched.netpollInited) return;
    const { sys } = sched;
    this.#epfd = this.#checked("epoll_create1", sys.epollCreate1(EPOLL_CLOEXEC));
    if (sched.version.netpollEventfd) {
      this.#breakRd = this.#checked("eventfd2", sys.eventfd2(0, Open.CLOEXEC | Open.NONBLOCK));
      this.#breakWr = this.#breakRd;
    } else {
      const fds: number[] = [];
      this.#checked("pipe2", sys.pipe2(fds, Open.NONBLOCK | Open.CLOEXEC));
      this.#breakRd = fds[0] as number;
      this.#breakWr = fds[1] as number;
    }
    this.#checked("epoll_ctl", sys.epollCtl(this.#epfd, EpollCtl.ADD, this.#breakRd, Epoll.IN, BREAK_DATA));
    sched.netpollInited = true;
  }

  #checked(name: string, result: number): number {
    this.#sched.chargeCall(name);
    if (result < 0) throw new GoFatal(`runtime: netpollinit failed: ${name} gives ${result}`);
    return result;
  }

  /** `netpollopen`: the only registration a descriptor ever gets; the stop before it lies behind. @returns 0 or a negative errno. */
  open(fd: number, pd: PollDesc): number {
    const sched = this.#sched;
    const result = sched.sys.epollCtl(this.#epfd, EpollCtl.ADD, fd, OPEN_EVENTS, this.#dataOf(pd));
    sched.chargeKernel("epoll_ctl");
    sched.stopAtExit("epoll_ctl", fd, result);
    return result;
  }

  #dataOf(pd: PollDesc): number {
    return this.#sched.version.taggedPollDesc ? pd.addr * TAG_SCALE + (pd.fdseq % TAG_SCALE) : pd.addr;
  }

  /** `netpollclose`: with an event that the kernel does not look at. */
  close(fd: number): number {
    const sched = this.#sched;
    const result = sched.sys.epollCtl(this.#epfd, EpollCtl.DEL, fd, 0, 0);
    sched.chargeCall("epoll_ctl");
    return result;
  }

  /** `netpollBreak`: any number of interrupts cost one write until the poller is up. */
  interrupt(): void {
    const sched = this.#sched;
    sched.stats.netpollBreaks += 1;
    if (this.#wakeSig) return;
    this.#wakeSig = true;
    sched.stats.netpollBreakWrites += 1;
    const { bytes } = this.#word;
    bytes.fill(0);
    bytes[0] = sched.version.netpollEventfd ? 1 : 0;
    const result = sched.sys.write(this.#breakWr, this.#word, sched.version.netpollEventfd ? 8 : 1);
    sched.chargeCall("write");
    if (result < 0 && result !== -Errno.EAGAIN) throw new GoFatal(`runtime: netpollBreak write failed with ${-result}`);
  }

  /** The epoll_pwait of `netpoll`; its time is charged by the caller, before or behind a sleep. @returns number of events, a negative errno, or `BLOCKED`. */
  wait(events: EpollEvents, delayNs: number): number {
    const sched = this.#sched;
    sched.stats.epollCalls += 1;
    return sched.sys.epollPwait(this.#epfd, events, MAX_EVENTS, netpollTimeout(delayNs));
  }

  /**
   * What `netpoll` makes of the result.
   *
   * @param blocking - whether the poll had a delay: only then is the interrupt taken.
   * @param list - receives the goroutines to run, the latest event's first.
   * @returns false for a wait without end that a signal has ended: it is made again.
   */
  ready(events: EpollEvents, result: number, delayNs: number, list: GList): boolean {
    const sched = this.#sched;
    const { stats } = sched;
    if (result < 0) {
      if (result !== -Errno.EINTR) throw new GoFatal(`runtime: netpoll failed with ${-result}`);
      return delayNs > 0;
    }
    stats.events += result;
    if (result === 0) stats.epollEmpty += 1;
    if (result === MAX_EVENTS) stats.epollFull += 1;
    for (let i = 0; i < result; i += 1) {
      const mask = events.events(i);
      if (mask === 0) continue;
      const data = events.data(i);
      if (data === BREAK_DATA) this.#broken(mask, delayNs !== 0);
      else this.#event(mask, data, list);
    }
    return true;
  }

  #broken(mask: number, blocking: boolean): void {
    if (mask !== Epoll.IN) throw new GoFatal("runtime: netpoll: break fd ready for something unexpected");
    if (!blocking) return;
    const sched = this.#sched;
    sched.sys.read(this.#breakRd, this.#word, sched.version.netpollEventfd ? 8 : 16);
    sched.chargeCall("read");
    this.#wakeSig = false;
  }

  #event(mask: number, data: number, list: GList): void {
    const sched = this.#sched;
    const tagged = sched.version.taggedPollDesc;
    const pd = this.cache.at(tagged ? Math.floor(data / TAG_SCALE) : data);
    if (pd === null) throw new GoFatal("runtime: netpoll: an event of no descriptor");
    if (tagged && data % TAG_SCALE !== pd.fdseq % TAG_SCALE) return;
    let mode = 0;
    if ((mask & READABLE) !== 0) mode |= READ;
    if ((mask & WRITABLE) !== 0) mode |= WRITE;
    if ((mode & READ_WRITE) === 0) return;
    pd.everr = mask === Epoll.ERR;
    netpollready(sched, list, pd, mode);
  }
}

/** The buffer of one thread's polls. */
export function pollBuffer(sched: Sched): EpollEvents {
  return sched.sys.memory.allocEvents(MAX_EVENTS);
}
