/**
 * A Go program: the runtime, made ready, and what a program sees of it.
 *
 * Counterpart: `runtime/proc.go` (`schedinit`, `main`), the packages `runtime`, `time`, `net`, `os`, `sync` and `context` as far as a
 * server needs them.
 */
import { Fcntl, Open } from "../../kernel/uapi/fcntl.ts";
import { Sig } from "../../kernel/uapi/signal.ts";
import type { Syscalls } from "../syscalls.ts";
import type { StepProgram } from "../thread.ts";
import { Chan } from "./chan.ts";
import { Context } from "./context.ts";
import { type CostModel, defaultCosts } from "./cost.ts";
import { Goexit, type GoFatal, GoPanic } from "./fatal.ts";
import { Gc } from "./gc.ts";
import { bytesOf } from "./io.ts";
import type { Network } from "./net/addr.ts";
import type { Conn } from "./net/conn.ts";
import { type Control, type DialOptions, Net } from "./net/dial.ts";
import type { Listener } from "./net/listener.ts";
import { Netpoll } from "./netpoll.ts";
import { Poller } from "./netpoll-epoll.ts";
import { How, StopTheWorldOp, SuspendOnce, SyscallOp, WorkOp } from "./ops.ts";
import { type File, openFile, pipe, wrapFile } from "./os/file.ts";
import type { GoError } from "./poll/errors.ts";
import { FD, type PollRuntime } from "./poll/fd.ts";
import type { Result } from "./poll/result.ts";
import { destroyPipe, type SplicePipe, SplicePipes } from "./poll/zero-copy.ts";
import { Mstart, type Shared } from "./proc.ts";
import { checkmcount, newproc } from "./proc-ready.ts";
import { World } from "./proc-world.ts";
import { type Body, Cont, type G, type Go, Gstatus, M, type Op, Trap } from "./runtime2.ts";
import { type Host, Sched } from "./sched.ts";
import { type SelectCase, SelectOp } from "./select.ts";
import { Stats } from "./stats.ts";
import { Mutex } from "./sync/mutex.ts";
import { Pool } from "./sync/pool.ts";
import { RWMutex } from "./sync/rwmutex.ts";
import { Cond, type Locker, Once, WaitGroup } from "./sync/waitgroup.ts";
import { Sysmon } from "./sysmon.ts";
import { FuncTimer, SleepOp, Ticker, type TimeRuntime, Timer } from "./time.ts";
import { Timers } from "./timers.ts";
import { type GoVersion, goVersions } from "./version.ts";

const EXIT_FATAL = 2;
const BOUNCE_MIN = 4096;
const NOTE_BYTES = 16;
/** Any address: the handler only returns. */
const SIGHANDLER = 0x46_3d40;

export interface GoOptions {
  /** Number of P's; 1 unless given. */
  readonly gomaxprocs?: number;
  /** A profile of `goVersions`: `1.19` (unless given) or `newest`. */
  readonly version?: string;
  /** `defaultCosts` unless given. */
  readonly costs?: CostModel;
}

/** A Go program's main function. */
export type GoMain = (rt: Runtime) => Go<void>;

export class Runtime implements PollRuntime, TimeRuntime {
  readonly sched: Sched;
  readonly timers: Timers;
  readonly netpoll: Netpoll;
  readonly gc: Gc;
  readonly splicePipes: SplicePipes;
  readonly stats: Stats = new Stats();
  readonly #sys: Syscalls;
  readonly #poller: Poller;
  readonly #shared: Shared;
  readonly #net: Net;
  readonly #stdout: FD;
  /** `context.Background()`. */
  readonly background: Context;

  constructor(sys: Syscalls, options: GoOptions) {
    const { gomaxprocs = 1, costs = defaultCosts } = options;
    this.#sys = sys;
    const { memory } = sys;
    const m0 = new M(0, memory.alloc(NOTE_BYTES), memory.alloc(BOUNCE_MIN));
    m0.sys = sys;
    this.sched = new Sched(
      versionNamed(options.version ?? "1.19"),
      costs,
      gomaxprocs,
      hostOf(sys),
      this.stats,
      m0,
      memory.alloc(NOTE_BYTES),
      this,
    );
    this.#poller = new Poller(this.sched, memory.alloc(NOTE_BYTES));
    this.timers = new Timers(this.sched, this.#poller);
    this.netpoll = new Netpoll(this.sched, this.#poller, this.timers);
    this.gc = new Gc(this.sched, memory.alloc(NOTE_BYTES));
    const world = new World(this.sched, this.#poller, () => this.gc.collect());
    const sysmon = new Sysmon(this.sched, this.#poller, this.gc);
    this.#shared = { sched: this.sched, poller: this.#poller, sysmon, world, gc: this.gc, ending: this };
    const pipes = new Pool<SplicePipe>(this.sched, undefined, (p) =>
      this.sched.finalizers.queue(() => destroyPipe(this, p)),
    );
    this.gc.addPool(pipes);
    this.splicePipes = new SplicePipes(pipes);
    this.#net = new Net(this);
    this.#stdout = new FD(this, 1, true);
    this.background = new Context(this, null, 0);
    this.sched.allm.push(m0);
    world.procresize(gomaxprocs);
  }

  // What the scheduler asks for

  newM(): M {
    const { memory } = this.#sys;
    const { allm } = this.sched;
    const m = new M(allm.length, memory.alloc(NOTE_BYTES), memory.alloc(BOUNCE_MIN));
    allm.push(m);
    return m;
  }

  /** `newosproc`: all signals are blocked around the call, and so for the new thread until it has begun. */
  newosproc(m: M): void {
    const { sched } = this;
    m.busyUntil = sched.nanotime() + sched.costs.threadStart + (m.isSysmon ? sched.costs.sysmonStart : 0);
    const { sys } = sched;
    // What the masks take is counted with the clone, and with the new thread's way to its first instruction.
    sys.setSigmask(true, true);
    sys.clone("go", new Mstart(this.#shared, m), "bare thread");
    sys.setSigmask(false);
    sched.chargeCall("clone");
  }

  wakeNetPoller(when: number): void {
    this.timers.wakeNetPoller(when);
  }

  mallocgc(bytes: number, kept: boolean): void {
    this.gc.mallocgc(bytes, kept);
  }

  bounce(m: M, length: number): Uint8Array {
    if (m.bounce.length < length) {
      this.#sys.memory.free(m.bounce);
      m.bounce = this.#sys.memory.alloc(length);
    }
    return m.bounce.bytes;
  }

  // The life of the program

  /** `schedinit` and `main`, on the first thread. */
  begin(main: GoMain): StepProgram {
    const { sched } = this;
    for (const signal of [Sig.PIPE, Sig.URG]) this.#sys.sigaction(signal, SIGHANDLER);
    newproc(sched, "runtime.main", this.#runtimeMain(main));
    const m0 = sched.m;
    m0.cont = Cont.START;
    sched.lastpoll = sched.nanotime();
    sched.charge(sched.costs.start);
    return new Mstart(this.#shared, m0);
  }

  /** `runtime.main`: sysmon, the helpers, package init on the locked first thread, then the program's main. */
  *#runtimeMain(main: GoMain): Go<void> {
    const { sched } = this;
    sched.mainStarted = true;
    sched.lastGc = sched.nanotime();
    this.#startSysmon();
    this.lockOSThread();
    this.#system("runtime.forcegchelper", this.gc.helper());
    const c = new Chan<number>(sched, 2);
    this.#system("runtime.bgsweep", this.#background(c, this.gc.sweeper()));
    this.#system("runtime.bgscavenge", this.#background(c, this.#parkForEver("GC scavenge wait")));
    yield* c.recv();
    yield* c.recv();
    yield* this.#osInit();
    this.unlockOSThread();
    sched.getg().name = "main.main";
    yield* main(this);
    this.exit(0);
  }

  /** The init of package os looks at descriptors 0 to 2, and starts the finalizers' goroutine. */
  *#osInit(): Go<void> {
    for (const fd of [0, 1, 2]) yield* new SyscallOp(this.sched, "fcntl", (sys) => sys.fcntl(fd, Fcntl.GETFL));
    this.#system("runtime.runfinq", this.sched.finalizers.run(this.sched));
    this.sched.charge(this.sched.costs.init);
  }

  #startSysmon(): void {
    const { sched } = this;
    const m = this.newM();
    m.isSysmon = true;
    sched.sysmon = m;
    sched.nmsys += 1;
    this.newosproc(m);
  }

  #system(name: string, body: Go<void>): void {
    newproc(this.sched, name, body, true);
  }

  /** `bgsweep`, `bgscavenge`: say that they run, and sleep for good: there is nothing to sweep. */
  *#background(c: Chan<number>, work: Go<void>): Go<void> {
    yield* c.send(1);
    yield* work;
  }

  *#parkForEver(reason: string): Go<void> {
    yield* new SuspendOnce(() => {
      this.sched.m.trap = Trap.PARK;
      this.sched.getg().waitreason = reason;
      return true;
    });
  }

  /** `os.Exit`: exit_group; nobody runs any more, nor does what stands behind the call. */
  exit(status: number): never {
    this.#end(status);
    throw new Goexit("exit");
  }

  #end(status: number): void {
    const { sched } = this;
    sched.dead = true;
    sched.sys.exitGroup(status);
  }

  /** A panic that nobody recovered, or a fatal error: says so on standard error, and exits with 2. */
  died(error: GoPanic | GoFatal, g: G | null): void {
    const head = error instanceof GoPanic ? `panic: ${error.message}` : `fatal error: ${error.message}`;
    const stacks = g === null ? this.#stacks() : [`goroutine ${g.goid} [running]:\n${g.name}(...)\n`];
    const text = `${head}\n\n${stacks.join("\n")}`;
    const bytes = this.bounce(this.sched.m, text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i) & 0xff;
    this.sched.sys.write(2, this.sched.m.bounce, text.length);
    for (const line of text.trimEnd().split("\n")) this.#sys.machine.print(line);
    this.#end(EXIT_FATAL);
  }

  /** Who waits for what: `goroutine N [reason]:` and the function, in the order of their numbers. */
  #stacks(): string[] {
    const waiting = [...this.sched.allgs].filter((g) => !g.system && g.status === Gstatus.WAITING);
    waiting.sort((a, b) => a.goid - b.goid);
    return waiting.map((g) => {
      const created = g.parent === 0 ? "" : `created by goroutine ${g.parent}\n`;
      return `goroutine ${g.goid} [${g.waitreason}]:\n${g.name}(...)\n${created}`;
    });
  }

  // package runtime

  /** The `go` statement. @param name - shown in stacks. */
  go(name: string, f: () => Body): void {
    newproc(this.sched, name, f());
  }

  gosched(): Op<void> {
    return this.#trap(Trap.SCHED);
  }

  #trap(trap: Trap): Op<void> {
    return new SuspendOnce(() => {
      this.sched.m.trap = trap;
      return true;
    });
  }

  /** `runtime.Goexit`: ends this goroutine; its `finally` blocks run. */
  goexit(): never {
    throw new Goexit("Goexit");
  }

  /** `panic`. */
  panic(message: string): never {
    throw new GoPanic(message);
  }

  lockOSThread(): void {
    const { m } = this.sched;
    m.lockedg = this.sched.getg();
    m.lockedg.lockedm = m;
  }

  unlockOSThread(): void {
    const { m } = this.sched;
    this.sched.getg().lockedm = null;
    m.lockedg = null;
  }

  /** `runtime.GC()`. */
  *collect(): Go<void> {
    yield* this.gc.cycle();
    yield* this.gosched();
  }

  /** `runtime.GOMAXPROCS(n)`: stops the world to change the number of P's. @returns how many there were; 0 and less only ask. */
  *gomaxprocs(n: number): Go<number> {
    const old = this.sched.gomaxprocs;
    if (n > 0 && n !== old) yield* new StopTheWorldOp(this.sched, n);
    return old;
  }

  /** `debug.SetMaxThreads`. @returns the limit of before; 10,000 at first. */
  setMaxThreads(n: number): number {
    const { sched } = this;
    const old = sched.maxmcount;
    sched.maxmcount = n;
    checkmcount(sched);
    return old;
  }

  numGoroutine(): number {
    let count = 0;
    for (const g of this.sched.allgs) if (!g.system) count += 1;
    return count;
  }

  /** Computes for `ns` of CPU time; can be preempted meanwhile. */
  work(ns: number): Op<void> {
    return new WorkOp(this.sched, ns);
  }

  /** `make([]byte, n)`, as the collector counts it. */
  makeBytes(n: number): Uint8Array {
    this.gc.malloc(n);
    return new Uint8Array(n);
  }

  /** A call made through package syscall. */
  syscall(name: string, call: (sys: Syscalls, m: M) => number): Op<number> {
    return new SyscallOp(this.sched, name, call);
  }

  /** A call that is known to sleep, and hands its P on at once. */
  syscallBlock(name: string, call: (sys: Syscalls, m: M) => number): Op<number> {
    return new SyscallOp(this.sched, name, call, null, How.BLOCK);
  }

  rawSyscall(name: string, call: (sys: Syscalls, m: M) => number): Op<number> {
    return new SyscallOp(this.sched, name, call, null, How.RAW);
  }

  // Channels

  chan<T>(cap = 0): Chan<T> {
    return new Chan<T>(this.sched, cap);
  }

  /** The result is the index of the case that happened, -1 for the default. */
  select(cases: readonly SelectCase[], hasDefault = false): Op<number> {
    return new SelectOp(this.sched, cases, hasDefault);
  }

  // package time: ns throughout

  /** The monotonic clock. */
  now(): number {
    return this.sched.nanotime();
  }

  sleep(ns: number): Op<void> {
    return new SleepOp(this, ns);
  }

  newTimer(ns: number): Timer {
    return new Timer(this, ns);
  }

  after(ns: number): Chan<number> {
    return new Timer(this, ns).c;
  }

  newTicker(ns: number): Ticker {
    return new Ticker(this, ns);
  }

  afterFunc(ns: number, name: string, f: () => Body): FuncTimer {
    return new FuncTimer(this, ns, name, f);
  }

  // package sync

  mutex(): Mutex {
    return new Mutex(this.sched);
  }

  rwmutex(): RWMutex {
    return new RWMutex(this.sched);
  }

  waitGroup(): WaitGroup {
    return new WaitGroup(this.sched);
  }

  once(): Once {
    return new Once(this.sched);
  }

  cond(locker: Locker): Cond {
    return new Cond(this.sched, locker);
  }

  pool<T>(make?: () => T): Pool<T> {
    const pool = new Pool<T>(this.sched, make);
    this.gc.addPool(pool);
    return pool;
  }

  // packages net and os

  listen(network: Network, address: string, control: Control | null = null): Go<Result<Listener>> {
    return this.#net.listen(network, address, control);
  }

  dial(network: Network, address: string, options?: DialOptions): Go<Result<Conn>> {
    return this.#net.dial(network, address, options);
  }

  open(path: string, flags: number = Open.RDONLY): Go<Result<File>> {
    return openFile(this, path, flags);
  }

  pipe(): Go<Result<{ readonly r: File; readonly w: File }>> {
    return pipe(this);
  }

  newFile(fd: number, name: string): Go<File> {
    return wrapFile(this, fd, name);
  }

  /** `fmt.Println` of text: one write to standard output. */
  *println(text: string): Go<GoError | null> {
    this.#sys.machine.print(text);
    const { err } = yield* this.#stdout.write(bytesOf(`${text}\n`));
    return err;
  }
}

/** @throws RangeError for an unknown profile. */
function versionNamed(name: string): GoVersion {
  const version = goVersions[name];
  if (version === undefined) {
    throw new RangeError(`Go version '${name}': known are ${Object.keys(goVersions).join(", ")}`);
  }
  return version;
}

function hostOf(sys: Syscalls): Host {
  const { machine } = sys;
  return {
    get nowNs(): number {
      return machine.nowNs;
    },
    skipTo: (untilNs) => machine.skipTo(untilNs),
    choose: (site, count) => machine.choose(site, count),
  };
}

/**
 * A Go program as the body of a process's first thread.
 *
 * @param main - `func main()`.
 * @param onStart - is given the runtime before the first instruction: whoever wants its counters.
 */
export function goProgram(main: GoMain, options: GoOptions = {}, onStart?: (rt: Runtime) => void): StepProgram {
  let program: StepProgram | null = null;
  return {
    step(sys, result) {
      if (program === null) {
        const rt = new Runtime(sys, options);
        onStart?.(rt);
        program = rt.begin(main);
      }
      return program.step(sys, result);
    },
  };
}
