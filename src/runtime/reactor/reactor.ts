/**
 * An event loop over one epoll instance: readiness, time-outs, and wake-ups from other threads.
 *
 * `edge`: every descriptor is registered once, for everything, with EPOLLET; its watcher must read and write until EAGAIN.
 * `level`: the watcher says what it waits for, and hears of it as long as it holds. `oneshot`: like `level`, but a descriptor that
 * was reported is silent until its watcher has returned, so that several threads can run the loop of one reactor.
 */
import { Epoll, EpollCtl } from "../../kernel/uapi/epoll.ts";
import { Errno } from "../../kernel/uapi/errno.ts";
import { Open } from "../../kernel/uapi/fcntl.ts";
import { checked } from "../blocking.ts";
import type { Syscalls } from "../syscalls.ts";
import type { Program } from "../thread.ts";
import type { UserBuffer } from "../user-memory.ts";
import { Timer, Timers } from "./timers.ts";

/** How a reactor asks for events. */
export type Trigger = "edge" | "level" | "oneshot";

export interface ReactorOptions {
  readonly trigger?: Trigger;
  /** Events that one epoll_wait takes at most. */
  readonly maxEvents?: number;
  /** What the loop computes for each event before its watcher hears of it, in ns of virtual time; nothing unless given. */
  readonly eventNs?: number;
}

const MAX_EVENTS = 512;
const NS_PER_MS = 1e6;
/** Events carry the number in these bits, and above them its generation: a number that is used again is told from its last use. */
const FD_BITS = 22;
const FD_MASK = (1 << FD_BITS) - 1;
const GENERATIONS = 1 << (32 - FD_BITS);

/** Whoever waits for events on a descriptor. It is a timer, too: connections time out. */
export abstract class Watcher extends Timer {
  /** The descriptor while it is watched, else -1. */
  fd = -1;
  generation = 0;
  /** What it waits for: `level` and `oneshot` only. */
  interest = 0;

  /** Something has happened. Calls in here must not sleep. @param events - an epoll mask. */
  abstract ready(sys: Syscalls, events: number): void;

  override expired(): void {}
}

/** The end of an eventfd that the loop sleeps on. */
class WakeWatcher extends Watcher {
  readonly #reactor: Reactor;
  readonly #value: UserBuffer;

  constructor(reactor: Reactor, value: UserBuffer) {
    super();
    this.#reactor = reactor;
    this.#value = value;
  }

  override ready(sys: Syscalls): void {
    sys.read(this.fd, this.#value, 8);
    this.#reactor.runPosted(sys);
  }
}

export class Reactor {
  readonly trigger: Trigger;
  readonly timers: Timers = new Timers();
  readonly #epfd: number;
  readonly #maxEvents: number;
  readonly #eventNs: number;
  readonly #watchers: (Watcher | null)[] = [];
  #generation = 0;
  #stopped = false;
  /** The watcher whose `ready` runs. */
  #atWork: Watcher | null = null;
  readonly #posted: ((sys: Syscalls) => void)[] = [];
  readonly #wake: WakeWatcher;
  readonly #one: UserBuffer;

  constructor(sys: Syscalls, { trigger = "edge", maxEvents = MAX_EVENTS, eventNs = 0 }: ReactorOptions = {}) {
    this.trigger = trigger;
    this.#maxEvents = maxEvents;
    this.#eventNs = eventNs;
    this.#epfd = checked(sys.epollCreate1(Open.CLOEXEC), "epoll_create1");
    this.#one = sys.memory.alloc(8);
    this.#one.bytes.fill(0);
    this.#one.bytes[0] = 1;
    this.#wake = new WakeWatcher(this, sys.memory.alloc(8));
    this.add(sys, checked(sys.eventfd2(0, Open.NONBLOCK | Open.CLOEXEC), "eventfd2"), this.#wake, Epoll.IN);
  }

  /** Milliseconds of the virtual clock: what timers count in. */
  nowMs(sys: Syscalls): number {
    return Math.floor(sys.nowNs / NS_PER_MS);
  }

  /** Watches a descriptor, which must not block. @param interest - an epoll mask; EPOLLIN unless given. */
  add(sys: Syscalls, fd: number, watcher: Watcher, interest: number = Epoll.IN): void {
    while (this.#watchers.length <= fd) this.#watchers.push(null);
    this.#generation = (this.#generation + 1) % GENERATIONS;
    watcher.fd = fd;
    watcher.generation = this.#generation;
    watcher.interest = interest;
    this.#watchers[fd] = watcher;
    checked(sys.epollCtl(this.#epfd, EpollCtl.ADD, fd, this.#mask(watcher), this.#data(watcher)), "epoll_ctl");
  }

  /** What a watcher waits for from now on; nothing happens where it has asked for everything (`edge`). */
  change(sys: Syscalls, watcher: Watcher, interest: number): void {
    if (this.trigger === "edge" || watcher.interest === interest) return;
    watcher.interest = interest;
    // A one-shot watcher that is at work is armed again when it returns.
    if (watcher !== this.#atWork || this.trigger === "level") this.#modify(sys, watcher);
  }

  #modify(sys: Syscalls, watcher: Watcher): void {
    const { fd } = watcher;
    checked(sys.epollCtl(this.#epfd, EpollCtl.MOD, fd, this.#mask(watcher), this.#data(watcher)), "epoll_ctl");
  }

  #data({ fd, generation }: Watcher): number {
    return generation * 2 ** FD_BITS + fd;
  }

  #mask({ interest }: Watcher): number {
    switch (this.trigger) {
      case "edge":
        return interest === 0 ? Epoll.ET : Epoll.IN | Epoll.OUT | Epoll.RDHUP | Epoll.ET;
      case "level":
        return interest;
      case "oneshot":
        return interest | Epoll.ONESHOT;
    }
  }

  /** Forgets a watcher and closes its descriptor, which takes it off the epoll instance. */
  close(sys: Syscalls, watcher: Watcher): void {
    const { fd } = watcher;
    if (fd === -1) return;
    this.timers.cancel(watcher);
    this.#watchers[fd] = null;
    watcher.fd = -1;
    sys.close(fd);
  }

  /** Has `task` run on the loop's thread: from any thread, by its own calls. */
  post(sys: Syscalls, task: (own: Syscalls) => void): void {
    this.#posted.push(task);
    if (this.#posted.length === 1) sys.write(this.#wake.fd, this.#one, 8);
  }

  runPosted(sys: Syscalls): void {
    for (const task of this.#posted.splice(0)) task(sys);
  }

  /** Ends every `loop`. From any thread. */
  stop(sys: Syscalls): void {
    this.#stopped = true;
    sys.write(this.#wake.fd, this.#one, 8);
  }

  /** The loop of one thread, until `stop`. */
  *loop(sys: Syscalls): Program {
    const events = sys.memory.allocEvents(this.#maxEvents);
    while (!this.#stopped) {
      const count = yield sys.epollWait(this.#epfd, events, this.#maxEvents, this.#timeoutMs(sys));
      if (count < 0 && count !== -Errno.EINTR) checked(count, "epoll_wait");
      for (let i = 0; i < count; i += 1) {
        if (this.#eventNs > 0) yield sys.compute(this.#eventNs);
        this.#dispatch(sys, events.data(i), events.events(i));
      }
      if (this.timers.size > 0) this.timers.expire(this.nowMs(sys));
    }
    // A thread that slept beside this one is told, too.
    sys.write(this.#wake.fd, this.#one, 8);
  }

  #dispatch(sys: Syscalls, data: number, mask: number): void {
    const fd = data & FD_MASK;
    const watcher = this.#watchers[fd] ?? null;
    if (watcher === null || watcher.generation !== data >>> FD_BITS) return;
    this.#atWork = watcher;
    watcher.ready(sys, mask);
    this.#atWork = null;
    if (this.trigger === "oneshot" && watcher.fd === fd) this.#modify(sys, watcher);
  }

  /** Rounded up: an early wake would find nothing due. */
  #timeoutMs(sys: Syscalls): number {
    const { nextMs } = this.timers;
    return nextMs === -1 ? -1 : Math.max(0, Math.ceil(nextMs - sys.nowNs / NS_PER_MS));
  }
}
