/**
 * The state of one Go process's scheduler, and its way to virtual time.
 *
 * Counterpart: `runtime/runtime2.go` (`schedt`) and the globals of `runtime/proc.go`.
 * Nothing here runs in parallel: one M is on at a time, and what Linux and Go do under locks or by compare-and-swap is plain code.
 */
import type { Syscalls } from "../syscalls.ts";
import type { UserBuffer } from "../user-memory.ts";
import type { CostModel } from "./cost.ts";
import { Finalizers } from "./mfinal.ts";
import { type G, GQueue, type M, type P } from "./runtime2.ts";
import type { Stats } from "./stats.ts";
import { Tracer } from "./tracer.ts";
import type { GoVersion } from "./version.ts";

/** What the scheduler asks of the machine below it. */
export interface Host {
  /** ns since boot. */
  readonly nowNs: number;
  /**
   * Moves the clock to `untilNs` if nobody else has anything to do up to and at that time.
   *
   * @returns whether it did.
   */
  skipTo(untilNs: number): boolean;
  /** One of `count` permitted outcomes. */
  choose(site: string, count: number): number;
}

/** What the lower parts of the scheduler need from the upper ones. */
export interface SchedHooks {
  /** A new M, in `allm`. */
  newM(): M;
  /** Starts the thread of a new M. */
  newosproc(m: M): void;
  /** `wakeNetPoller`: whoever polls must be up at this time. */
  wakeNetPoller(when: number): void;
  /** The packages of the runtime allocate. @param kept - for good, on the system's stack. */
  mallocgc(bytes: number, kept: boolean): void;
}

export class Sched {
  readonly version: GoVersion;
  readonly costs: CostModel;
  readonly host: Host;
  readonly stats: Stats;
  /** Who traces the process; null for nobody. */
  readonly tracer: Tracer | null;
  gomaxprocs: number;
  /** The M that runs now: `getg().m`. */
  m: M;
  readonly #hooks: SchedHooks;
  readonly allp: P[] = [];
  readonly allm: M[] = [];
  /** Goroutines that are not dead. */
  readonly allgs: Set<G> = new Set();
  goidgen = 0;
  readonly runq: GQueue = new GQueue();
  /** Idle Ms, the latest first. */
  midle: M | null = null;
  nmidle = 0;
  nmidlelocked = 0;
  /** Threads that are no part of the deadlock check: sysmon. */
  nmsys = 0;
  pidle: P | null = null;
  npidle = 0;
  nmspinning = 0;
  needspinning = false;
  /** A thread is in the non-blocking poll. */
  pollingNet = false;
  /** Somebody stops the world, or has. */
  gcwaiting = false;
  /** P's that have not stopped yet. */
  stopwait = 0;
  /** What the stopper sleeps on. */
  readonly stopnote: UserBuffer;
  readonly finalizers: Finalizers = new Finalizers();
  gFree: G | null = null;
  gFreeCount = 0;
  /** Time of the last poll; 0 while a thread is blocked in one. */
  lastpoll = 0;
  pollUntil = 0;
  netpollInited = false;
  netpollWaiters = 0;
  sysmonwait = false;
  /** The thread of sysmon, once it runs. */
  sysmon: M | null = null;
  /** `runtimeInitTime` has been set: main has begun. */
  mainStarted = false;
  numgc = 0;
  lastGc = 0;
  /** More threads than this are fatal. */
  maxmcount = 10_000;
  /** Ms whose threads have ended. */
  nmfreed = 0;
  /** The process is over; no M does anything any more. */
  dead = false;

  constructor(
    version: GoVersion,
    costs: CostModel,
    gomaxprocs: number,
    host: Host,
    stats: Stats,
    m0: M,
    stopnote: UserBuffer,
    hooks: SchedHooks,
  ) {
    this.version = version;
    this.costs = costs;
    this.gomaxprocs = gomaxprocs;
    this.host = host;
    this.stats = stats;
    this.tracer = costs.tracer === null ? null : new Tracer(costs.tracer, host);
    this.m = m0;
    this.stopnote = stopnote;
    this.#hooks = hooks;
  }

  /** `nanotime`: what the running thread has lived through, ahead of the others' clock by what it has not yet slept off. */
  nanotime(): number {
    return Math.max(this.m.busyUntil, this.host.nowNs);
  }

  /** The running thread takes this long for what it just did. */
  charge(ns: number): void {
    const { m } = this;
    const now = this.host.nowNs;
    m.busyUntil = Math.max(m.busyUntil, now) + ns;
  }

  /** What the kernel does for this call of the running thread. */
  chargeKernel(name: string): void {
    this.charge(this.costs.syscall + (this.costs.calls[name] ?? 0));
  }

  /** The running thread has made this call, in one go. */
  chargeCall(name: string): void {
    this.stopAtEntry();
    this.chargeKernel(name);
    this.stopAtExit(name, -1, 0);
  }

  /** Who is traced stops before each call. @param fd - the descriptor that the call is about, if it is a socket's. */
  stopAtEntry(fd = -1): void {
    if (this.tracer !== null) this.m.busyUntil = this.tracer.enter(this.m.id, fd, this.nanotime());
  }

  /** And after it. */
  stopAtExit(name: string, fd: number, result: number): void {
    if (this.tracer !== null) this.m.busyUntil = this.tracer.exit(this.m.id, name, fd, result, this.nanotime());
  }

  /** The stop after a call of which it was put off (`M.stopsAfter`). */
  stopAfterCall(): void {
    const { m } = this;
    const { inCall } = m;
    m.inCall = "";
    this.stopAtExit(inCall, m.callFd, m.callResult);
  }

  /** The calls of the running thread. */
  get sys(): Syscalls {
    return this.m.sys as Syscalls;
  }

  newM(): M {
    return this.#hooks.newM();
  }

  newosproc(m: M): void {
    this.#hooks.newosproc(m);
  }

  wakeNetPoller(when: number): void {
    this.#hooks.wakeNetPoller(when);
  }

  /** The runtime's packages allocate. @param kept - for good, on the system's stack. */
  mallocgc(bytes: number, kept: boolean): void {
    this.#hooks.mallocgc(bytes, kept);
  }

  /** Lets the clock catch up with the running thread. @returns false when others have something to do before. */
  caughtUp(): boolean {
    const { busyUntil } = this.m;
    return busyUntil <= this.host.nowNs || this.host.skipTo(busyUntil);
  }

  /** The goroutine that runs now. */
  getg(): G {
    return this.m.curg as G;
  }
}
