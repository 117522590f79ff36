/**
 * Does the model predict what a recording shows?
 *
 * Each call has an interval from its entry to its exit, and its effect falls somewhere inside: `Order` finds where. Here each
 * call is followed from its entry to its exit, and judged.
 * Time follows the recording, so that time-outs and timers are predicted.
 */
import type { Chooser } from "../kernel/choice.ts";
import type { File } from "../kernel/fs/file.ts";
import type { KernelProfile } from "../kernel/profile.ts";
import type { Process } from "../kernel/sched/process.ts";
import { hasUnblockedSignal } from "../kernel/signal/sigmask.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { Line } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { printExpr } from "../trace/printer.ts";
import { ActiveCall, type Difference, knownCall } from "./active-call.ts";
import { AutoboundNames } from "./autobound.ts";
import {
  isAbsoluteMonotonic,
  isHardlyOver,
  isMachineFact,
  isOfCpuTime,
  isOverrunError,
  isOwnAddress,
  isTickError,
  namesForeign,
  tellsOfStranger,
} from "./beyond.ts";
import { isOnDisk, isRefusedByDisk, noteName } from "./disk-names.ts";
import { DiskTransfer } from "./disk-transfer.ts";
import { WatchCall } from "./disk-watch.ts";
import { outlives } from "./evidence.ts";
import { ExternalFile, hasOwnContent } from "./external.ts";
import { INTERRUPTED } from "./interrupted.ts";
import { CONTENT, GIVES_FD, IGNORED, LIFECYCLE, LIMITS, NAMED_BY_PATH, OPENS, STAMP_ERROR_NS } from "./knowledge.ts";
import { Lookahead, type TraceEvent } from "./lookahead.ts";
import { Machine, NOFILE, type ReplayTask } from "./machine.ts";
import { NumberCall, OpenCall } from "./number-call.ts";
import { Order } from "./order.ts";
import { endAwaited, followGroup, namesGroup, namesStranger } from "./pids.ts";
import { endsBehindWrites } from "./pipe-ends.ts";
import { namesForeignTimer, noteForeignTimer } from "./posix-timers.ts";
import {
  descriptorsNamed,
  filesAsked,
  firstFd,
  firstFile,
  givesFd,
  hasCloexec,
  isSymbol,
  isUnknown,
  mentions,
  noteOf,
} from "./records.ts";
import { peerOf } from "./relations.ts";
import { ReuseportChooser } from "./reuseport.ts";
import { followSignal, followSigreturn, learnInherited, leaveCallMask, noteLooked } from "./signals.ts";
import { type ReplaySummary, Tally } from "./summary.ts";
import { FollowedUsers } from "./users.ts";

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

export class Replayer {
  readonly tally: Tally = new Tally();
  readonly #options: ReplayOptions;
  readonly #lookahead: Lookahead;
  #machine: Machine | null = null;
  #order: Order | null = null;
  /** The recording says that its lines stand in the order of effects. */
  #exact = false;
  /** Descriptions that took part in a call whose other side is outside the recording. */
  readonly #outside = new WeakSet<File>();
  /** Calls whose new numbers have shown inherited descriptors, and which were counted as assumed. */
  readonly #numbersAssumed = new WeakSet<CallRecord>();
  /** What options of the recorded machine are, by option and by the model's value. */
  readonly #facts = new Map<string, string>();
  readonly #users = new FollowedUsers();
  readonly #autobound = new AutoboundNames();
  /** A call that the model does not know may have made the kernel send signals. */
  #signalsUnknown = false;
  /** The latest line of each process that shows a signal. */
  readonly #signalLines = new WeakMap<Process, number>();

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#lookahead = new Lookahead(options.file);
  }

  /** @throws ParseError - the line cannot belong to this recording. */
  push(line: Line): void {
    if (line.type === "directive" && line.word === "order" && line.rest === "exact") this.#exact = true;
    if (this.#machine === null && line.type !== "blank" && line.type !== "comment" && line.type !== "directive") {
      const epochNs = line.time?.form === "unix" ? line.time.ns : 0n;
      const chooser = new ReuseportChooser(this.#options.chooser, this.#lookahead);
      this.#machine = new Machine(this.#options.profile, chooser, epochNs);
      chooser.machine = this.#machine;
      this.#machine.begunByExec = line.type === "call" && line.name.startsWith("execve");
      this.#order = new Order(this.#machine, this.#lookahead, this.#exact);
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
      for (const record of machine.inherited.takeFallen()) this.#reviseNumber(record);
      watcher?.after(event);
    }
  }

  /** The program uses a lower number than the recorded one, which was taken for an inherited descriptor. */
  #reviseNumber(record: CallRecord): void {
    if (!this.#numbersAssumed.delete(record)) return;
    const [value] = record.result?.values ?? [];
    this.tally.counts.assumed -= 1;
    this.#diverged(record, {
      field: "result",
      recorded: value === undefined ? "?" : printExpr(value),
      predicted: "the number that is used next",
    });
  }

  #event(machine: Machine, event: TraceEvent): void {
    switch (event.kind) {
      case "enter":
        machine.advance(event.ns);
        this.#order?.expire();
        this.#enter(machine, event.call);
        return;
      case "exit":
        this.#exit(machine, event.call, event.ns);
        return;
      case "gap":
        machine.forget();
        return;
      case "gone":
        machine.advance(event.ns);
        this.#explain(machine.tasks.get(event.line.task) ?? null, true);
        machine.exit(event.line);
        this.#order?.recheck();
        return;
      case "signal": {
        const owner = machine.task(event.line.task);
        machine.advance(event.ns);
        this.#explain(owner, true);
        if (event.line.line !== null) this.#signalLines.set(owner.task.process, event.line.line);
        followSignal(machine, owner, event.line, STAMP_ERROR_NS);
        return;
      }
    }
  }

  #enter(machine: Machine, record: CallRecord): void {
    const owner = machine.task(record.task);
    const { name } = record;
    this.#explain(owner, false);
    owner.execing = null;
    if (owner.active !== null) this.#order?.abandon(owner.active);
    owner.active = null;
    leaveCallMask(owner);
    if (LIFECYCLE.has(name)) {
      if (name.startsWith("clone") || name.endsWith("fork")) machine.spawn(owner, record);
      else if (name === "exit_group" || name === "exit") this.#beginExit(machine, owner, record);
      else if (name.startsWith("exec")) owner.execing = record;
      this.#order?.recheck();
      return;
    }
    const opens = OPENS.has(name);
    machine.inherited.used(owner.task.process.files, record);
    if (isIgnored(record) || LIMITS.has(name) || (isOnDisk(machine, record) && !opens)) return;
    for (const arg of record.args) machine.learn(owner, arg);
    machine.learnUsed(owner, record);
    const call = this.#activeCall(machine, owner, record);
    if (call === null) return;
    owner.active = call;
    if (!record.whole) this.#order?.enter(call);
  }

  #beginExit(machine: Machine, owner: ReplayTask, record: CallRecord): void {
    const future = this.#lookahead;
    machine.beginExit(owner, record, endsBehindWrites(machine, future, owner), (file) => {
      return outlives(machine, future, owner, file);
    });
  }

  #activeCall(machine: Machine, owner: ReplayTask, record: CallRecord): ActiveCall | null {
    if (OPENS.has(record.name) && isOnDisk(machine, record)) return new OpenCall(machine, owner, record);
    const onDisk = DiskTransfer.of(machine, owner, record) ?? WatchCall.of(machine, owner, record);
    if (onDisk !== null) return onDisk;
    const known = knownCall(record.name);
    if (known === null && GIVES_FD.has(record.name)) return new NumberCall(machine, owner, record);
    if (known === null || this.#isContent(owner, record) || isAbsoluteMonotonic(owner, record)) return null;
    if (namesStranger(machine, record) || isOthersRestart(owner, record) || namesForeignTimer(owner, record))
      return null;
    if (isRefusedByDisk(machine, record)) return null;
    return new ActiveCall(owner, record, known, machine.ports);
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
    call.readResult();
    if (call.errno !== null && INTERRUPTED.has(call.errno) && (call.progress !== "returned" || isHardlyOver(record))) {
      machine.advance(ns);
      this.#interrupted(machine, call);
      return;
    }
    if (isUnknown(record)) {
      machine.advance(ns);
      this.#order?.abandon(call);
      this.tally.count("ignored");
      return;
    }
    owner.active = call;
    if (endAwaited(machine, owner, record)) call.learnt = true;
    this.#order?.finish(call, ns);
    owner.active = null;
    machine.advance(ns);
    this.#judge(machine, owner, call);
    owner.area.reset();
  }

  /** A signal has ended the call: one that was on its way, or one that the task's next line shows. */
  #interrupted(machine: Machine, call: ActiveCall): void {
    const { record, owner } = call;
    const wasSent = hasUnblockedSignal(owner.task);
    this.#order?.abandon(call);
    const known = call.progress !== "refused" && call.progress !== "idle";
    const difference = known && !isHardlyOver(record) ? call.difference(machine.opaque) : null;
    if (call.progress === "refused") this.tally.unsupported(record.name);
    else if (difference !== null) this.#diverged(record, difference);
    else if (wasSent) this.tally.count("agreed");
    else owner.unexplained = record;
  }

  /**
   * The next line of a task whose call was interrupted. Another thread of its process may have taken the signal,
   * and a call that is restarted may be on its way again before that one's line.
   *
   * @param shown - the line shows a signal, or the task's end.
   */
  #explain(owner: ReplayTask | null, shown: boolean): void {
    const record = owner?.unexplained ?? null;
    if (owner === null || record === null) return;
    owner.unexplained = null;
    const restarts = record.result?.errnos[0] !== "EINTR" && owner.task.process.threads.length > 1;
    const taken = restarts || (this.#signalLines.get(owner.task.process) ?? 0) > (record.entryLine ?? 0);
    if (shown || taken || this.#order?.outside.ringWork.interrupts(owner)) this.tally.count("assumed");
    else this.#diverged(record, { field: "result", recorded: interruption(record), predicted: "no signal came" });
  }

  /** A signal has ended a transfer that had come as far as recorded: one that was on its way, or one that the next line shows. */
  #wasCutShort(machine: Machine, call: ActiveCall): boolean {
    const { owner } = call;
    if (call.progress !== "sleeping" || call.value === null || call.value <= 0) return false;
    const wasSent = hasUnblockedSignal(owner.task);
    call.interrupt();
    if (call.difference(machine.opaque) !== null) return false;
    if (wasSent) this.tally.count("agreed");
    else owner.unexplained = call.record;
    return true;
  }

  #judge(machine: Machine, owner: ReplayTask, call: ActiveCall): void {
    const { record } = call;
    if (call.progress === "refused") {
      if (call.elsewhere) this.tally.count("ignored");
      else this.#unsupported(machine, owner, record);
      return;
    }
    let difference = call.difference(machine.opaque);
    if (difference !== null && this.#wasCutShort(machine, call)) return;
    if (call.progress === "sleeping") call.interrupt();
    if (difference !== null && learnInherited(machine, owner, record)) {
      call.start();
      difference = call.difference(machine.opaque);
      call.learnt = true;
    }
    noteLooked(machine, owner, record);
    if (difference !== null && (isTickError(owner, call) || isOverrunError(owner, call))) {
      this.tally.count("agreed");
      return;
    }
    if (
      difference !== null &&
      !(call instanceof OpenCall) &&
      (namesForeign(owner, record) || isOfCpuTime(record) || call.untold)
    ) {
      this.#unsupported(machine, owner, record);
      this.#settleNumber(owner, call);
      return;
    }
    if (difference !== null && isOwnAddress(record, difference)) {
      this.#unsupported(machine, owner, record);
      return;
    }
    if (difference !== null && tellsOfStranger(machine, owner, record)) {
      for (const [index, fd] of call.descriptors.entries()) machine.putOutside(owner, fd, `passed ${index}`, true);
      this.tally.count("assumed");
      return;
    }
    if (difference !== null && this.#autobound.learn(owner, record, difference)) {
      this.tally.count("assumed");
      return;
    }
    if (difference !== null && isMachineFact(record)) {
      this.tally.count(this.#isKnownFact(record, difference) ? "agreed" : "assumed");
      return;
    }
    if (this.#guessed(owner, record) || (difference !== null && namesGroup(record))) {
      this.tally.count("assumed");
      return;
    }
    if ((call instanceof OpenCall && call.errno !== null) || (call instanceof WatchCall && call.isDisksAffair)) {
      this.tally.count("ignored");
      return;
    }
    if (difference === null && call.disorder) {
      this.#diverged(record, { field: "events", recorded: "this order", predicted: "another order" });
      return;
    }
    if (difference === null) {
      noteName(machine, record);
      if (call.inferred) this.#numbersAssumed.add(record);
      this.tally.count(call.inferred || call.learnt || this.#order?.outside.proofs.has(record) ? "assumed" : "agreed");
      return;
    }
    if (this.#signalsUnknown && record.name === "rt_sigtimedwait") {
      this.#unsupported(machine, owner, record);
      return;
    }
    for (const file of filesAsked(owner, record)) {
      if (!machine.tainted.has(file) && !this.#outside.has(file)) continue;
      this.#unsupported(machine, owner, record);
      return;
    }
    this.#diverged(record, difference);
    this.#settleNumber(owner, call);
  }

  /** What follows is held to the recorded numbers, so that one mistake counts once. */
  #settleNumber(owner: ReplayTask, call: ActiveCall): void {
    const { record, descriptors, ret, progress } = call;
    const isAllocation = givesFd(record) || record.name === "dup" || isSymbol(record.args[1], "F_DUPFD");
    if (!isAllocation || progress !== "returned" || call instanceof OpenCall) return;
    const { files } = owner.task.process;
    const [fd] = descriptors;
    const file = ret < 0 || ret === fd ? null : files.take(ret);
    if (file === null) return;
    if (fd === undefined || fd < 0 || fd >= NOFILE || files.isReserved(fd)) file.put();
    else files.replace(fd, file, false)?.put();
  }

  #diverged(record: CallRecord, difference: Difference): void {
    const { entryLine, exitLine, task, name } = record;
    this.tally.diverged({ line: entryLine, exit_line: exitLine, task, call: name, ...difference });
  }

  /**
   * The model does not know the call: whatever it did to its first descriptor, the model has missed it. What comes from before the
   * recording is outside it, so the recording is believed.
   */
  #unsupported(machine: Machine, owner: ReplayTask, record: CallRecord): void {
    const named = descriptorsNamed(record).map((fd) => owner.task.process.files.getRaw(fd));
    const asked = [...named, ...filesAsked(owner, record)];
    const outside = asked.some((file) => file !== null && (this.#outside.has(file) || isOutside(file)));
    if (outside) this.tally.count("assumed");
    else this.tally.unsupported(record.name);
    const request = record.name === "fcntl" && record.args[1]?.kind === "sym" ? record.args[1].name : "";
    if (SIGNAL_REQUESTS.test(request)) this.#signalsUnknown = true;
    noteForeignTimer(owner, record);
    this.#keepNumber(machine, owner, record, outside);
    this.#order?.outside.unknown(owner, record);
    const file = firstFile(owner, record);
    if (file !== null) (outside ? this.#outside : machine.tainted).add(file);
    const peer = file === null || outside ? null : peerOf(file);
    if (peer !== null) machine.tainted.add(peer); // what has gone there is not known either
  }

  /** Whether an earlier line has shown that this machine has the recorded value where the model has its own. */
  #isKnownFact({ args }: CallRecord, { recorded, predicted }: Difference): boolean {
    const [, level, option] = args;
    const key = `${level === undefined ? "" : printExpr(level)} ${option === undefined ? "" : printExpr(option)} ${predicted}`;
    if (this.#facts.get(key) === recorded) return true;
    this.#facts.set(key, recorded);
    return false;
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
    if (name === "rt_sigreturn") {
      this.#sigreturn(owner, record);
      return;
    }
    if (namesStranger(machine, record) || name === "restart_syscall") {
      this.#keepNumber(machine, owner, record, true);
      this.tally.count(isOthersRestart(owner, record) && isFutex(record) ? "ignored" : "assumed");
      return;
    }
    if (record.entryLine === null && !isIgnored(record)) {
      machine.learnUsed(owner, record);
      this.#keepNumber(machine, owner, record, true);
      this.tally.count("assumed");
      return;
    }
    followGroup(machine, owner, record);
    this.#users.follow(owner.task.process, record);
    if (name === "unshare" && unsharesFiles(record)) machine.unshare(owner);
    if (LIFECYCLE.has(name)) {
      if (name.startsWith("exec") && (record.result?.errnos[0] ?? null) === null) machine.exec(owner, record);
      this.tally.count("ignored");
      return;
    }
    if (LIMITS.has(name)) {
      const found = machine.limits.follow(owner.task.process, record);
      if (found === null) this.tally.count("agreed");
      else if (typeof found === "string") this.tally.count(found);
      else this.#diverged(record, found);
      return;
    }
    if (
      isIgnored(record) ||
      isRefusedByDisk(machine, record) ||
      NAMED_BY_PATH.has(name) ||
      this.#isContent(owner, record)
    )
      this.tally.count("ignored");
    else this.#unsupported(machine, owner, record);
  }

  #sigreturn(owner: ReplayTask, record: CallRecord): void {
    const difference = followSigreturn(owner, record);
    if (difference === null) this.tally.count("agreed");
    else if (difference === "unknown") this.tally.count("assumed");
    else this.#diverged(record, difference);
  }

  /** A descriptor that an unknown call gave still takes its number. */
  #keepNumber(machine: Machine, owner: ReplayTask, record: CallRecord, outside: boolean): void {
    const value = record.result?.values[0];
    const fd = value === undefined || !givesFd(record) ? null : evalInt(value);
    if (value === undefined || fd === null || fd < 0) return;
    const note = noteOf(value) ?? `${record.name}()`;
    const there = owner.task.process.files.getRaw(fd);
    if (there instanceof ExternalFile && there.note === note) return; // put there by the call itself
    if (outside) machine.putOutside(owner, fd, note, record.args.some(hasCloexec));
    else machine.putExternal(owner, fd, note, null, record.args.some(hasCloexec));
  }

  /** The content of a file that the model knows only by name. */
  #isContent(owner: ReplayTask, record: CallRecord): boolean {
    if (!CONTENT.has(record.name) || changesDescription(record)) return false;
    const file = firstFile(owner, record);
    return file instanceof ExternalFile && hasOwnContent(file);
  }
}

function isOutside(file: File): boolean {
  return file instanceof ExternalFile && file.outside && file.kind === "other";
}

/** Nothing to do with the model: by name, or a lock, which flock is as well. */
function isIgnored({ name, args }: CallRecord): boolean {
  if (IGNORED.has(name)) return true;
  return name === "fcntl" && args[1]?.kind === "sym" && /^F_(OFD_)?(GET|SET)LKW?(64)?$/.test(args[1].name);
}

/** An ioctl that concerns the descriptor or the description, whatever the file. */
function changesDescription({ name, args }: CallRecord): boolean {
  return name === "ioctl" && args[1]?.kind === "sym" && /^FIO(NBIO|CLEX|NCLEX)$/.test(args[1].name);
}

/** Requests after which the kernel may send signals that the model does not. */
const SIGNAL_REQUESTS = /^F_(SETLEASE|SETOWN|SETOWN_EX|NOTIFY)$/;

function unsharesFiles({ args, result }: CallRecord): boolean {
  return (result?.errnos[0] ?? null) === null && args[0] !== undefined && mentions(args[0], "CLONE_FILES");
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
