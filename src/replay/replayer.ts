/**
 * Does the model predict what a recording shows?
 *
 * Each call has an interval from its entry to its exit, and its effect falls somewhere inside. Here the order is found
 * greedily: a call that gives (a write, a close) takes effect at its entry; one that takes (a read, an epoll_wait) goes to
 * sleep at its entry if nothing is there, and takes effect as late as its exit otherwise. Where the result contradicts,
 * other calls that are under way are let through first.
 * Time follows the recording, so that time-outs and timers are predicted.
 */
import type { Chooser } from "../kernel/choice.ts";
import type { File } from "../kernel/fs/file.ts";
import { TimerfdCtx } from "../kernel/fs/timerfd.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import { TaskState } from "../kernel/sched/task.ts";
import { hasUnblockedSignal } from "../kernel/signal/sigmask.ts";
import { Mode } from "../kernel/uapi/fcntl.ts";
import { Poll } from "../kernel/uapi/poll.ts";
import { ClockId, Tfd } from "../kernel/uapi/time.ts";
import { evalInt, field } from "../trace/abi/evaluate.ts";
import { signature } from "../trace/abi/index.ts";
import type { Expr, Line } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type Difference, knownCall } from "./active-call.ts";
import { ExternalFile } from "./external.ts";
import { CONTENT, GIVES_FD, IGNORED, LIFECYCLE, LIMITS, NAMED_BY_PATH, OPENS, STAMP_ERROR_NS } from "./knowledge.ts";
import { Lookahead, type TraceEvent } from "./lookahead.ts";
import { Machine, type ReplayTask } from "./machine.ts";
import { followGroup, namesGroup, namesStranger } from "./pids.ts";
import { namesForeignTimer, noteForeignTimer } from "./posix-timers.ts";
import { followSignal, followSigreturn, learnInherited, leaveCallMask, noteLooked } from "./signals.ts";
import { type ReplaySummary, Tally } from "./summary.ts";

/** Follows a replay: `explain` and `doctor` build their pictures from it. */
export interface ReplayWatcher {
  /** The machine exists and nothing has happened on it: the place to attach an observer. */
  begin(machine: Machine): void;
  /** Around each event of the recording: an entry, an exit, an end of a task, a signal. */
  before(event: TraceEvent): void;
  after(event: TraceEvent): void;
}

export interface ReplayOptions {
  readonly profile: KernelProfile;
  readonly chooser: Chooser;
  /** Name of the recording, for messages and the summary. */
  readonly file: string;
  readonly watcher?: ReplayWatcher;
}

/** Signals end these results; what a signal is, and when it comes, is told by the recording. */
const INTERRUPTED: ReadonlySet<string> = new Set(
  "EINTR ERESTARTSYS ERESTARTNOINTR ERESTARTNOHAND ERESTART_RESTARTBLOCK".split(" "),
);
const PATH_MAX = 4096;
const TICKS_SIZE = 8;
const READABLE = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.HUP | Poll.ERR | Poll.RDHUP;

export class Replayer {
  readonly tally: Tally = new Tally();
  readonly #options: ReplayOptions;
  readonly #lookahead: Lookahead;
  #machine: Machine | null = null;
  /** Some content of the recording is not known. */
  #opaque = false;
  /** Descriptions that took part in a call which the model does not know: what they do from then on is not predicted. */
  readonly #tainted = new WeakSet<File>();
  /** Calls whose new numbers have shown inherited descriptors. */
  readonly #inferred = new WeakSet<CallRecord>();

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#lookahead = new Lookahead(options.file);
  }

  /** @throws ParseError - the line cannot belong to this recording. */
  push(line: Line): void {
    if (this.#machine === null && line.type !== "blank" && line.type !== "comment" && line.type !== "directive") {
      const epochNs = line.time?.form === "unix" ? line.time.ns : 0n;
      this.#machine = new Machine(this.#options.profile, this.#options.chooser, epochNs);
      this.#options.watcher?.begin(this.#machine);
    }
    this.#lookahead.push(line);
    this.#drain(false);
  }

  finish(): ReplaySummary {
    this.#drain(true);
    for (const owner of this.#machine?.tasks.values() ?? []) this.#explain(owner, true);
    return this.tally.summary(this.#options.file);
  }

  #drain(last: boolean): void {
    const machine = this.#machine;
    if (machine === null) return;
    const { watcher } = this.#options;
    for (let event = this.#lookahead.next(last); event !== null; event = this.#lookahead.next(last)) {
      watcher?.before(event);
      this.#event(machine, event);
      watcher?.after(event);
    }
  }

  #event(machine: Machine, event: TraceEvent): void {
    switch (event.kind) {
      case "enter":
        machine.advance(event.ns);
        expire(machine);
        this.#enter(machine, event.call);
        return;
      case "exit":
        this.#exit(machine, event.call, event.ns);
        return;
      case "gone":
        machine.advance(event.ns);
        this.#explain(machine.tasks.get(event.line.task) ?? null, true);
        machine.exit(event.line);
        return;
      case "signal": {
        const owner = machine.task(event.line.task);
        machine.advance(event.ns);
        this.#explain(owner, true);
        followSignal(machine, owner, event.line, STAMP_ERROR_NS);
        return;
      }
    }
  }

  #enter(machine: Machine, record: CallRecord): void {
    const owner = machine.task(record.task);
    const { name } = record;
    this.#explain(owner, false);
    leaveCallMask(owner);
    if (LIFECYCLE.has(name)) {
      if (name.startsWith("clone") || name.endsWith("fork")) machine.spawn(owner, record);
      else if (name === "exit_group" || name === "exit") machine.beginExit(owner, record);
      return;
    }
    if (IGNORED.has(name) || LIMITS.has(name) || isOnDisk(machine, record)) return;
    for (const arg of record.args) machine.learn(owner, arg);
    if (this.#lowestFreeIsHigher(machine, owner, record)) this.#inferred.add(record);
    const known = knownCall(name);
    if (known === null || this.#isContent(owner, record) || isAbsoluteMonotonic(owner, record)) return;
    if (namesStranger(machine, record) || isOthersRestart(owner, record) || namesForeignTimer(owner, record)) return;
    const call = new ActiveCall(record, known, machine.ports);
    owner.active = call;
    // its end is so far away that its arguments are not known yet
    if (record.phase === "entered" && call.isConsumer) return;
    const whole = record.exitLine === record.entryLine;
    if (whole || !call.isConsumer || !isAvailable(owner, record)) this.#attempt(owner, call);
    // A consumer that found nothing, but was recorded with something, tries again at its exit.
    if (!whole && call.isRepeatable && call.difference(owner, this.#opaque) !== null) call.progress = "idle";
  }

  #attempt(owner: ReplayTask, call: ActiveCall): void {
    call.start(owner);
    if (call.opaque) this.#opaque = true;
  }

  #exit(machine: Machine, record: CallRecord, ns: number | null): void {
    const owner = machine.task(record.task);
    const fd = firstFd(record);
    if (fd !== null && fd >= 0) machine.see(owner, fd);
    const call = owner.active;
    owner.active = null;
    if (call === null || call.record !== record) {
      this.#passOver(machine, owner, record, ns);
      return;
    }
    const errno = record.result?.errnos[0] ?? null;
    if (errno !== null && INTERRUPTED.has(errno) && call.progress !== "returned") {
      machine.advance(ns);
      this.#interrupted(owner, call);
      return;
    }
    if (isUnknown(record)) {
      machine.advance(ns);
      call.interrupt(owner);
      this.tally.count("ignored");
      return;
    }
    this.#complete(machine, owner, call, ns);
    machine.advance(ns);
    this.#judge(machine, owner, call);
  }

  /** A signal has ended the call: one that was on its way, or one that the task's next line shows. */
  #interrupted(owner: ReplayTask, call: ActiveCall): void {
    const { record } = call;
    const wasSent = hasUnblockedSignal(owner.task);
    call.interrupt(owner);
    const known = call.progress !== "refused" && call.progress !== "idle";
    const difference = known ? call.difference(owner, this.#opaque) : null;
    if (call.progress === "refused") this.tally.unsupported(record.name);
    else if (difference !== null) this.#diverged(record, difference);
    else if (wasSent) this.tally.count("agreed");
    else owner.unexplained = record;
  }

  /**
   * The next line of a task whose call was interrupted. In a process of several threads another one may have taken the signal.
   *
   * @param shown - the line shows a signal, or the task's end.
   */
  #explain(owner: ReplayTask | null, shown: boolean): void {
    const record = owner?.unexplained ?? null;
    if (owner === null || record === null) return;
    owner.unexplained = null;
    if (shown || owner.task.process.threads.length > 1) this.tally.count("assumed");
    else this.#diverged(record, { field: "result", recorded: interruption(record), predicted: "no signal came" });
  }

  /** Brings the call to its end, if the model can. */
  #complete(machine: Machine, owner: ReplayTask, call: ActiveCall, ns: number | null): void {
    if (call.progress === "idle") this.#attempt(owner, call);
    call.settle(owner);
    if (call.progress === "sleeping") this.#passTime(machine, owner, call, ns);
    for (const letThrough of [wakeSleeper, this.#beginWaiting]) {
      for (const other of machine.tasks.values()) {
        if (!this.#isWrong(owner, call)) return;
        if (letThrough(other)) this.#retry(owner, call);
      }
    }
    while (this.#isWrong(owner, call) && machine.hurryExit()) this.#retry(owner, call);
  }

  /** Begins a call that has entered and waits for its exit; a wait for events helps nobody, so it stays where it is. */
  readonly #beginWaiting = (other: ReplayTask): boolean => {
    const { active } = other;
    if (active === null || active.progress !== "idle" || active.record.name.startsWith("epoll_")) return false;
    if (active.record.phase === "entered" && active.isConsumer) return false;
    this.#attempt(other, active);
    return true;
  };

  #retry(owner: ReplayTask, call: ActiveCall): void {
    if (call.progress === "returned") this.#attempt(owner, call);
    call.settle(owner);
  }

  /** Whether the result so far contradicts, and another order might still mend it. */
  #isWrong(owner: ReplayTask, call: ActiveCall): boolean {
    if (call.progress === "refused") return false;
    if (call.progress === "returned" && !call.isRepeatable) return false;
    return call.difference(owner, this.#opaque) !== null;
  }

  /** Up to the recorded exit, timer by timer, as exactly as the recording's times are. */
  #passTime(machine: Machine, owner: ReplayTask, call: ActiveCall, ns: number | null): void {
    const { clock } = machine.kernel;
    for (;;) {
      const next = clock.nextExpiryNs();
      if (next < 0 || (ns !== null && next > machine.clockAt(ns) + STAMP_ERROR_NS)) return;
      clock.advanceTo(Math.max(next, clock.nowNs));
      call.settle(owner);
      if (call.progress !== "sleeping") return;
    }
  }

  #judge(machine: Machine, owner: ReplayTask, call: ActiveCall): void {
    const { record } = call;
    if (call.progress === "refused") {
      this.#unsupported(machine, owner, record);
      return;
    }
    let difference = call.difference(owner, this.#opaque);
    if (call.progress === "sleeping") call.interrupt(owner);
    if (difference !== null && learnInherited(machine, owner, record)) {
      this.#attempt(owner, call);
      difference = call.difference(owner, this.#opaque);
      call.learnt = true;
    }
    noteLooked(machine, owner, record);
    if (difference !== null && isTickError(owner, call)) {
      this.tally.count("agreed");
      return;
    }
    if (difference !== null && isForeign(firstFile(owner, record))) {
      this.#unsupported(machine, owner, record);
      return;
    }
    if (this.#guessed(owner, record) || (difference !== null && namesGroup(record))) {
      this.tally.count("assumed");
      return;
    }
    if (difference === null) {
      noteName(machine, record);
      this.tally.count(this.#inferred.has(record) || call.learnt ? "assumed" : "agreed");
      return;
    }
    for (const file of filesAsked(owner, record)) {
      if (!this.#tainted.has(file)) continue;
      this.#unsupported(machine, owner, record);
      return;
    }
    this.#diverged(record, difference);
  }

  #diverged(record: CallRecord, difference: Difference): void {
    const { entryLine, exitLine, task, name } = record;
    this.tally.diverged({ line: entryLine, exit_line: exitLine, task, call: name, ...difference });
  }

  /** The model does not know the call: whatever it did to its first descriptor, the model has missed it. */
  #unsupported(machine: Machine, owner: ReplayTask, record: CallRecord): void {
    this.tally.unsupported(record.name);
    noteForeignTimer(owner, record);
    const file = firstFile(owner, record);
    if (file !== null) this.#tainted.add(file);
    this.#keepNumber(machine, owner, record);
  }

  /** Numbers that the process inherited are occupied although no line has shown them. */
  #lowestFreeIsHigher(machine: Machine, owner: ReplayTask, record: CallRecord): boolean {
    const fds = newDescriptors(record);
    const from = record.name === "fcntl" ? (evalInt(record.args[2] ?? NOTHING) ?? 0) : 0;
    return fds.length > 0 && machine.inferInherited(owner, fds, from);
  }

  /** F_GETFL of an inherited descriptor: its flags are a guess. */
  #guessed(owner: ReplayTask, record: CallRecord): boolean {
    if (record.name !== "fcntl" || !isSymbol(record.args[1], "F_GETFL")) return false;
    const file = firstFile(owner, record);
    return file instanceof ExternalFile && !file.flagsKnown;
  }

  /** Calls that the model has no part in, or does not know. */
  #passOver(machine: Machine, owner: ReplayTask, record: CallRecord, ns: number | null): void {
    machine.advance(ns);
    const { name } = record;
    if (OPENS.has(name)) {
      this.#opened(machine, owner, record);
      return;
    }
    if (name === "rt_sigreturn") {
      this.#sigreturn(owner, record);
      return;
    }
    if (namesStranger(machine, record) || name === "restart_syscall") {
      this.#keepNumber(machine, owner, record);
      this.tally.count(isOthersRestart(owner, record) && isFutex(record) ? "ignored" : "assumed");
      return;
    }
    followGroup(machine, owner, record);
    if (LIFECYCLE.has(name)) {
      if (name.startsWith("exec") && (record.result?.errnos[0] ?? null) === null) machine.exec(owner);
      this.tally.count("ignored");
      return;
    }
    if (LIMITS.has(name)) {
      this.tally.count(this.#limit(owner, record));
      return;
    }
    if (IGNORED.has(name) || NAMED_BY_PATH.has(name) || this.#isContent(owner, record)) this.tally.count("ignored");
    else this.#unsupported(machine, owner, record);
  }

  #sigreturn(owner: ReplayTask, record: CallRecord): void {
    const difference = followSigreturn(owner, record);
    if (difference === null) this.tally.count("agreed");
    else if (difference === "unknown") this.tally.count("assumed");
    else this.#diverged(record, difference);
  }

  /** RLIMIT_NOFILE decides about EMFILE: the recording tells the inherited limit, and each change of it. */
  #limit(owner: ReplayTask, record: CallRecord): "assumed" | "ignored" {
    const index = record.name === "prlimit64" ? 1 : 0;
    const failed = (record.result?.errnos[0] ?? null) !== null;
    if (failed || !isSymbol(record.args[index], "RLIMIT_NOFILE")) return "ignored";
    const { files } = owner.task.process;
    const limit = softLimit(record.args[index + 1]) ?? softLimit(record.args[index + 2]);
    if (limit !== null) files.nofile = limit;
    return "assumed";
  }

  /** Whether a file can be opened is the disk's affair; which number it gets is not (F-01). */
  #opened(machine: Machine, owner: ReplayTask, record: CallRecord): void {
    const value = record.result?.values[0];
    const fd = value === undefined ? null : evalInt(value);
    if (value === undefined || fd === null || fd < 0) {
      this.tally.count("ignored");
      return;
    }
    const flags = openFlags(record);
    const inferred = machine.inferInherited(owner, [fd], 0);
    const free = owner.task.process.files.lowestFree();
    machine.putExternal(owner, fd, noteOf(value) ?? "/", flags, ((flags ?? 0) & 0o2000000) !== 0);
    if (free === fd) this.tally.count(inferred ? "assumed" : "agreed");
    else this.#diverged(record, { field: "result", recorded: String(fd), predicted: String(free) });
  }

  /** A descriptor that an unknown call gave still takes its number. */
  #keepNumber(machine: Machine, owner: ReplayTask, record: CallRecord): void {
    const value = record.result?.values[0];
    const fd = value === undefined || !GIVES_FD.has(record.name) ? null : evalInt(value);
    if (value === undefined || fd === null || fd < 0) return;
    machine.putExternal(owner, fd, noteOf(value) ?? `${record.name}()`, null, record.args.some(hasCloexec));
  }

  /** The content of a file that the model knows only by name. */
  #isContent(owner: ReplayTask, record: CallRecord): boolean {
    if (!CONTENT.has(record.name)) return false;
    const file = firstFile(owner, record);
    return file instanceof ExternalFile && file.kind === "disk";
  }
}

/** The path that a call names; null when it names none. */
function pathOf(record: CallRecord): string | null {
  const expr = record.args[NAMED_BY_PATH.get(record.name) ?? Number.NaN];
  return expr?.kind === "str" ? String.fromCharCode(...expr.bytes.subarray(0, PATH_MAX)) : null;
}

/** Whether a call names a file that the recording has not made itself as a socket or a FIFO. */
function isOnDisk(machine: Machine, record: CallRecord): boolean {
  const path = pathOf(record);
  if (path === null) return NAMED_BY_PATH.has(record.name);
  return !record.name.startsWith("mknod") ? !machine.names.has(path) : !makesName(record);
}

/** A mknod of a FIFO or a socket that worked. */
function makesName(record: CallRecord): boolean {
  const mode = record.args[(NAMED_BY_PATH.get(record.name) ?? 0) + 1];
  const type = (mode === undefined ? 0 : (evalInt(mode) ?? 0)) & Mode.IFMT;
  return (type === Mode.IFIFO || type === Mode.IFSOCK) && (record.result?.errnos[0] ?? null) === null;
}

/** Keeps account of the names that the recording makes and removes. */
function noteName(machine: Machine, record: CallRecord): void {
  if ((record.result?.errnos[0] ?? null) !== null) return;
  const path = pathOf(record);
  if (record.name === "bind") {
    const bound = record.args[1]?.kind === "struct" ? field(record.args[1], "sun_path", 1) : null;
    if (bound?.kind === "str") machine.names.add(String.fromCharCode(...bound.bytes.subarray(0, PATH_MAX)));
  } else if (path !== null && record.name.startsWith("mknod")) machine.names.add(path);
  else if (path !== null && record.name.startsWith("unlink")) machine.names.delete(path);
}

/**
 * Calls whose time is up, and which were recorded with a time-out, are over before anything else happens: a later arrival
 * must not find them still on their way.
 */
function expire(machine: Machine): void {
  for (let node = machine.kernel.runqueue.first; node !== null; ) {
    const { owner: task, next } = node;
    const owner = task.timedOut ? machine.taskOf(task) : null;
    const active = owner?.active ?? null;
    const value = active?.record.result?.values[0];
    if (owner !== null && active !== null && value !== undefined && evalInt(value) === 0) active.settle(owner);
    node = next;
  }
}

/** Lets a call that was woken go on before its own exit. */
function wakeSleeper(other: ReplayTask): boolean {
  const { active, task } = other;
  if (active === null || active.progress !== "sleeping" || task.state !== TaskState.RUNNING) return false;
  active.settle(other);
  return true;
}

function noteOf(expr: Expr): string | null {
  return expr.kind === "int" ? expr.note : null;
}

function isSymbol(expr: Expr | undefined, name: string): boolean {
  return expr?.kind === "sym" && expr.name === name;
}

/** `rlim_cur` of `{rlim_cur=1024, rlim_max=4*1024}`; null for NULL and for no limit. */
function softLimit(expr: Expr | undefined): number | null {
  const limit = expr?.kind === "struct" ? field(expr, "rlim_cur", 0) : null;
  return limit === null ? null : evalInt(limit);
}

/** `O_CLOEXEC`, `SFD_CLOEXEC|SFD_NONBLOCK` ... */
function hasCloexec(expr: Expr): boolean {
  if (expr.kind === "op") return expr.items.some(hasCloexec);
  return expr.kind === "sym" && expr.name.endsWith("_CLOEXEC");
}

function openFlags(record: CallRecord): number | null {
  if (record.name === "creat") return 1;
  const flags = record.args[record.name === "open" ? 1 : 2];
  return flags === undefined ? null : evalInt(flags);
}

/** `= ?`: the task ended inside the call, and nobody saw a result. */
function isUnknown(record: CallRecord): boolean {
  return isSymbol(record.result?.values[0], "?") && (record.result?.errnos[0] ?? null) === null;
}

/** `-1 EINTR`, `? ERESTARTSYS`. */
function interruption({ result }: CallRecord): string {
  const errno = result?.errnos[0] ?? "?";
  return errno.startsWith("ERESTART") ? `? ${errno}` : `-1 ${errno}`;
}

/** restart_syscall of a call that the model has not made: a futex, or one that had begun before the recording. */
function isOthersRestart(owner: ReplayTask, record: CallRecord): boolean {
  return record.name === "restart_syscall" && (owner.task.restartBlock === null || isFutex(record));
}

function isFutex({ args }: CallRecord): boolean {
  return args[0]?.kind === "sym" && args[0].name.includes(" futex ");
}

const NOTHING: Expr = { kind: "ellipsis" };

/** The number in the first argument, if that is a descriptor; null otherwise. */
function firstFd(record: CallRecord): number | null {
  const arg = record.args[0];
  if (arg === undefined) return null;
  const isFd = noteOf(arg) !== null || /fd|fildes|sock/.test(signature(record.name)?.params[0]?.name ?? "");
  return isFd ? evalInt(arg) : null;
}

/** The description behind the first argument. */
function firstFile(owner: ReplayTask, record: CallRecord): File | null {
  const fd = firstFd(record);
  return fd === null ? null : owner.task.process.files.getRaw(fd);
}

/**
 * An expiry by a clock that counts from boot: no line tells when the recorded machine was booted, so nobody can say whether it
 * is past.
 */
function isAbsoluteMonotonic(owner: ReplayTask, record: CallRecord): boolean {
  if (record.name === "clock_nanosleep") {
    return !isSymbol(record.args[0], "CLOCK_REALTIME") && isSymbol(record.args[1], "TIMER_ABSTIME");
  }
  if (record.name !== "timerfd_settime" || ((evalInt(record.args[1] ?? NOTHING) ?? 0) & Tfd.TIMER_ABSTIME) === 0)
    return false;
  const file = firstFile(owner, record);
  return file instanceof TimerfdCtx && file.clockId !== ClockId.REALTIME && file.clockId !== ClockId.REALTIME_ALARM;
}

/** Ticks of a periodic timer that are as many as the recorded ones, as exactly as the recording's times are. */
function isTickError(owner: ReplayTask, call: ActiveCall): boolean {
  const { record } = call;
  const file = firstFile(owner, record);
  const recorded = record.args[1];
  const found = call.bytesRead(owner, TICKS_SIZE);
  if (record.name !== "read" || !(file instanceof TimerfdCtx) || file.interval === 0n) return false;
  if (recorded?.kind !== "str" || recorded.bytes.length !== TICKS_SIZE || found === null) return false;
  const ticks = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const off = ticks(recorded.bytes) - ticks(found);
  return (off < 0n ? -off : off) * file.interval <= BigInt(STAMP_ERROR_NS);
}

/** A description of a kind that the model does not know: what calls on it answer is not predicted. */
function isForeign(file: File | null): boolean {
  return file instanceof ExternalFile && file.kind === "other";
}

/** The descriptions that a call's result depends on: its first one, what an epoll watches, what poll asks. */
function* filesAsked(owner: ReplayTask, record: CallRecord): Generator<File, void, undefined> {
  const file = firstFile(owner, record);
  if (file !== null) yield file;
  for (let node = file?.epoll?.rbr.leftmost ?? null; node !== null; node = rbNext(node)) yield node.owner.file;
  const [set] = record.args;
  if (!record.name.endsWith("poll") || set?.kind !== "array") return;
  for (const item of set.items) {
    const number = item.kind === "struct" ? field(item, "fd", 0) : null;
    const polled = owner.task.process.files.getRaw(number === null ? -1 : (evalInt(number) ?? -1));
    if (polled !== null) yield polled;
  }
}

/** The numbers that a recorded call gave, in the order of their allocation. */
function newDescriptors(record: CallRecord): number[] {
  const { name, args, result } = record;
  const value = result?.values[0];
  const ret = value === undefined ? null : evalInt(value);
  if (ret === null || ret < 0) return [];
  if (name === "pipe" || name === "pipe2" || name === "socketpair") {
    const pair = args[name === "socketpair" ? 3 : 0];
    return pair?.kind === "array" ? pair.items.map((item) => evalInt(item) ?? 0) : [];
  }
  const duplicates =
    name === "dup" || (name === "fcntl" && args[1]?.kind === "sym" && args[1].name.startsWith("F_DUPFD"));
  return duplicates || GIVES_FD.has(name) ? [ret] : [];
}

/** Whether a call that takes would find something now. poll and select change nothing, so they may always be tried. */
function isAvailable(owner: ReplayTask, record: CallRecord): boolean {
  if (/poll$|select/.test(record.name)) return false;
  const file = firstFile(owner, record);
  if (file === null || owner.task.state !== TaskState.RUNNING) return false;
  if (file.epoll !== null) return file.epoll.eventsAvailable;
  return file instanceof ExternalFile || (file.poll(owner.task, null) & READABLE) !== 0;
}
