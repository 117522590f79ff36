/**
 * G, M and P: a goroutine, a thread, and the right to run Go code.
 *
 * Counterpart: `runtime/runtime2.go`.
 * A goroutine's body is a generator. What it does is done by operations (`yield* op`) that run inside its thread's time; one that
 * has to wait leaves a trap in its M and suspends the generator, and the M's loop (proc.ts) goes on from there.
 */
import type { Syscalls } from "../syscalls.ts";
import type { UserBuffer } from "../user-memory.ts";
import type { Sched } from "./sched.ts";
import type { GoTimer } from "./time-heap.ts";

/** Statuses of a goroutine: `_Gidle` ...; 5 and 7 are unused, as in Go. */
export const Gstatus = {
  IDLE: 0,
  RUNNABLE: 1,
  RUNNING: 2,
  SYSCALL: 3,
  WAITING: 4,
  DEAD: 6,
  COPYSTACK: 8,
  PREEMPTED: 9,
} as const;
export type Gstatus = (typeof Gstatus)[keyof typeof Gstatus];

/** Statuses of a P. */
export const Pstatus = { IDLE: 0, RUNNING: 1, SYSCALL: 2, GCSTOP: 3, DEAD: 4 } as const;
export type Pstatus = (typeof Pstatus)[keyof typeof Pstatus];

/** A goroutine's body, or a function of Go that may block. `T` is what it returns. */
export type Go<T> = Generator<undefined, T, undefined>;

/** What a goroutine runs: a generator, or an object that does the same. */
export type Body = Iterator<undefined, void, undefined>;

/** A function that never waits, as a goroutine's body. */
export function callback(f: () => void): Body {
  return {
    next: () => {
      f();
      return { done: true, value: undefined };
    },
  };
}

/** One operation of a goroutine: `yield*` it. */
export interface Op<T> extends Iterable<undefined, T, undefined> {
  [Symbol.iterator](): Iterator<undefined, T, undefined>;
}

export const SUSPENDED: IteratorYieldResult<undefined> = { done: false, value: undefined };

/** Why a goroutine gave its thread back. */
export const Trap = {
  NONE: 0,
  /** `gopark`: `m.waitunlockf` decides whether it really parks. */
  PARK: 1,
  /** `Gosched`: to the tail of the global queue. */
  SCHED: 2,
  /** `goyield`: to the tail of the local queue. */
  YIELD: 3,
  /** The thread has used time that has not passed yet for the others. */
  BUSY: 4,
  /** The same inside a system call that has its result. */
  SYSCALL: 5,
  /** A system call that sleeps. */
  BLOCKED: 6,
  /** Asked by sysmon to make room. */
  PREEMPT: 7,
  /** A sleeping system call that the scheduler knows nothing of: the P stays. */
  RAW: 8,
  /** Asks the M to stop the world; `m.newprocs` says for what. */
  STOPTHEWORLD: 9,
  /** What it has allocated calls for a collection. */
  GCSTART: 10,
} as const;
export type Trap = (typeof Trap)[keyof typeof Trap];

/** `unlockf` of `gopark`: runs when the goroutine waits already. @returns false to refuse the park. */
export type Unlockf = (sched: Sched, g: G, lock: unknown) => boolean;

export class G {
  goid = 0;
  /** Name of the function of the `go` statement. */
  name: string;
  /** Goroutine that made this one, 0 for none. */
  parent = 0;
  body: Body | null = null;
  status: Gstatus = Gstatus.IDLE;
  m: M | null = null;
  /** Link of the queue or list that the goroutine is in. */
  schedlink: G | null = null;
  waitreason = "";
  preempt = false;
  /** It has allocated where a collection was due, and starts one before it does anything else. */
  gcStarts = false;
  /** What the runtime does on this goroutine in the middle of its body; null for nothing. */
  inRuntime: Body | null = null;
  lockedm: M | null = null;
  /** A goroutine of the runtime: not counted by the deadlock check. */
  system = false;
  /** What the waker says: a sudog for channels. */
  param: unknown = null;
  /** Result of the goroutine's latest system call. */
  ret = 0;
  /** Copies out of the thread's memory what a system call that slept has stored; null when there is nothing. */
  onReturn: ((m: M, ret: number) => void) | null = null;
  /** Timer of Sleep, made once. */
  timer: GoTimer | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** A new life. */
  begin(goid: number, name: string, body: Body, system: boolean): void {
    this.goid = goid;
    this.name = name;
    this.body = body;
    this.system = system;
    this.status = Gstatus.RUNNABLE;
    this.preempt = false;
    this.gcStarts = false;
    this.inRuntime = null;
    this.param = null;
    this.waitreason = "";
  }
}

/** What an M goes on with when it has the CPU again. */
export const Cont = {
  /** `mstart`: the thread begins. */
  START: 0,
  SCHEDULE: 1,
  /** The current goroutine's body. */
  RUN: 2,
  /** The end of the current goroutine's system call. */
  EXITSYSCALL: 3,
  /** `stopm` was woken: take `nextp`. */
  STOPPED: 4,
  /** The blocking netpoll has returned. */
  POLLED: 5,
  /** `runqgrab` has slept before it looks at a runnext. */
  STEAL: 6,
  /** sysmon. */
  SYSMON: 7,
  /** The end of a system call that the scheduler was not told of. */
  RAW: 8,
  /** The thread has ended. */
  DEAD: 9,
  /** The non-blocking netpoll has returned. */
  LOOKED: 10,
  /** Nothing to steal: the P is given up next. */
  SEARCHED: 11,
  /** The P was given up. */
  RELEASED: 12,
  /** Waits for the others to stop. */
  STOPPING: 13,
  /** The world stands still, and is started next. */
  STARTING: 14,
} as const;
export type Cont = (typeof Cont)[keyof typeof Cont];

export class M {
  readonly id: number;
  /** The thread's calls; null until it runs. */
  sys: Syscalls | null;
  /** `park`: the word that the thread sleeps on when there is nothing to do. */
  readonly park: UserBuffer;
  /** Where the thread's calls find and put their bytes: Go's heap itself is not in simulated memory. */
  bounce: UserBuffer;
  p: P | null;
  nextp: P | null;
  oldp: P | null;
  curg: G | null;
  lockedg: G | null;
  spinning: boolean;
  cont: Cont;
  trap: Trap;
  waitunlockf: Unlockf | null;
  /** Third argument of `waitunlockf`. */
  waitlock: unknown;
  /** What a sleeping call of the thread returned. */
  ret: number;
  /** The clock, once the thread has done what it did: its calls and steps take time. */
  busyUntil: number;
  /** Where an interrupted search for a victim goes on, plus 1; 0 when it begins. */
  stealAt: number;
  readonly stealOrder: number[];
  /** What the latest theft got; null when it is in the own queue. */
  stolen: G | null;
  ranTimer: boolean;
  /** Earliest timer that the search for work has seen, 0 for none. */
  pollUntil: number;
  /** The time before the poll that the thread sleeps in. */
  pollBefore: number;
  /** Intrusive list of idle Ms. */
  schedlink: M | null;
  signalPending: boolean;
  /** Was spinning when it gave its P up. */
  wasSpinning: boolean;
  pollDelay: number;
  /** `BLOCKED` when what the M just did makes its thread sleep, else 0. */
  sleeps: number;
  /** The call that sleeps is a goroutine's: its result is for it. */
  returns: boolean;
  /** Sleeps a span of time: it overruns by the timer slack. */
  slack: boolean;
  /** The call after which whoever traces the thread still has to stop it, its descriptor and its result; empty for none. */
  inCall: string;
  callFd: number;
  callResult: number;
  tid: number;
  /** Woken to run the goroutine that it belongs to. */
  runLocked: boolean;
  isSysmon: boolean;
  /** The current goroutine's body has ended. */
  done: boolean;
  /** What the world is stopped for: another number of P's, or 0 for a collection. */
  newprocs: number;

  constructor(id: number, park: UserBuffer, bounce: UserBuffer) {
    this.id = id;
    this.sys = null;
    this.park = park;
    this.bounce = bounce;
    this.p = null;
    this.nextp = null;
    this.oldp = null;
    this.curg = null;
    this.lockedg = null;
    this.spinning = false;
    this.cont = 0;
    this.trap = 0;
    this.waitunlockf = null;
    this.waitlock = null;
    this.ret = 0;
    this.busyUntil = 0;
    this.stealAt = 0;
    this.stealOrder = [];
    this.stolen = null;
    this.ranTimer = false;
    this.pollUntil = 0;
    this.pollBefore = 0;
    this.schedlink = null;
    this.signalPending = false;
    this.wasSpinning = false;
    this.pollDelay = 0;
    this.sleeps = 0;
    this.returns = false;
    this.slack = false;
    this.inCall = "";
    this.callFd = -1;
    this.callResult = 0;
    this.tid = 0;
    this.runLocked = false;
    this.isSysmon = false;
    this.done = false;
    this.newprocs = 0;
  }

  /** A call under a tracer: the thread stops once more when it is over. */
  stopsAfter(name: string, fd: number, result: number): void {
    this.inCall = name;
    this.callFd = fd;
    this.callResult = result;
  }
}

const RUNQ_SIZE = 256;

export class P {
  readonly id: number;
  status: Pstatus;
  m: M | null;
  /** Counts time slices. */
  schedtick: number;
  /** Counts system calls that are over, and P's taken away from one. */
  syscalltick: number;
  /** What sysmon saw last. */
  sysmonSchedtick: number;
  sysmonSchedwhen: number;
  sysmonSyscalltick: number;
  sysmonSyscallwhen: number;
  /** The ring: `runqhead` and `runqtail` only grow. */
  readonly runq: (G | null)[];
  runqhead: number;
  runqtail: number;
  runnext: G | null;
  readonly timers: GoTimer[];
  deletedTimers: number;
  /** Earliest new time of a timer that was moved forward and is not yet in its place; 0 for none. */
  timerModifiedEarliest: number;
  gFree: G | null;
  gFreeCount: number;
  /** Intrusive list of idle P's. */
  link: P | null;
  idle: boolean;
  /** Newest Go: the M whose goroutine is in a system call while the P stays running. */
  syscallm: M | null;
  /** Results of the latest `runqget`, `checkTimers` and `stealWork`. */
  inheritTime: boolean;

  constructor(id: number) {
    this.id = id;
    this.status = Pstatus.GCSTOP;
    this.m = null;
    this.schedtick = 0;
    this.syscalltick = 0;
    this.sysmonSchedtick = 0;
    this.sysmonSchedwhen = 0;
    this.sysmonSyscalltick = 0;
    this.sysmonSyscallwhen = 0;
    this.runq = new Array<G | null>(RUNQ_SIZE).fill(null);
    this.runqhead = 0;
    this.runqtail = 0;
    this.runnext = null;
    this.timers = [];
    this.deletedTimers = 0;
    this.timerModifiedEarliest = 0;
    this.gFree = null;
    this.gFreeCount = 0;
    this.link = null;
    this.idle = false;
    this.syscallm = null;
    this.inheritTime = false;
  }

  /** `runqempty`. */
  get runqempty(): boolean {
    return this.runqhead === this.runqtail && this.runnext === null;
  }
}

/** `gList`: a stack of goroutines, linked through `schedlink`. */
export class GList {
  head: G | null = null;
  length = 0;

  get empty(): boolean {
    return this.head === null;
  }

  push(g: G): void {
    g.schedlink = this.head;
    this.head = g;
    this.length += 1;
  }

  pop(): G | null {
    const g = this.head;
    if (g === null) return null;
    this.head = g.schedlink;
    g.schedlink = null;
    this.length -= 1;
    return g;
  }
}

/** `gQueue` with its size: the global run queue. */
export class GQueue {
  head: G | null = null;
  tail: G | null = null;
  length = 0;

  pushBack(g: G): void {
    g.schedlink = null;
    if (this.tail === null) this.head = g;
    else this.tail.schedlink = g;
    this.tail = g;
    this.length += 1;
  }

  pushFront(g: G): void {
    g.schedlink = this.head;
    this.head = g;
    this.tail ??= g;
    this.length += 1;
  }

  pop(): G | null {
    const g = this.head;
    if (g === null) return null;
    this.head = g.schedlink;
    if (this.head === null) this.tail = null;
    g.schedlink = null;
    this.length -= 1;
    return g;
  }
}
