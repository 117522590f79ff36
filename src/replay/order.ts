/**
 * The order of effects: when, inside its interval, does a call take effect?
 *
 * Each call does so at the earliest moment at which its recorded result is right and nothing recorded inside its interval
 * contradicts. Until then it is held; a call whose result needs another's effect lets that one through first. So a way back
 * is not needed: results are foreseen, not tried.
 * A recording that says `#! order exact` (what `run --trace` prints) leaves nothing to find: a call looks where its first half stands,
 * and what it slept for it finds where its second half does.
 */
import type { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import { PidfdFile } from "../kernel/fs/pidfd.ts";
import { TaskState } from "../kernel/sched/task.ts";
import { evalInt, field } from "../trace/abi/evaluate.ts";
import type { ActiveCall } from "./active-call.ts";
import { isAddressedBefore } from "./addressees.ts";
import { learnPort } from "./arrivals.ts";
import { findSum, waitsForSum } from "./eventfd-sums.ts";
import {
  excludes,
  isReportedFirst,
  isSeenOutside,
  isTakenFirst,
  leavesToOthers,
  letsBeLost,
  mustWait,
  outlives,
} from "./evidence.ts";
import { type Foresight, foresee, known, READABLE } from "./foresight.ts";
import { INTERRUPTED, wouldWake } from "./interrupted.ts";
import { STAMP_ERROR_NS } from "./knowledge.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { Outside } from "./outside.ts";
import { PassingNumbers } from "./passing-numbers.ts";
import { stillTakesWrites } from "./pipe-ends.ts";
import { standsBefore, standsBehind } from "./pipe-order.ts";
import { QueueOrder } from "./queue-order.ts";
import { filesAsked, firstFd, firstFile, isSymbol, NOTHING } from "./records.ts";
import { Regroup } from "./regroup.ts";
import { isWatchedBy, reaches } from "./relations.ts";
import { fallsShort } from "./short-read.ts";
import { maskOf } from "./tcp-flow.ts";

/** Effects that one call may set off: a bound for what never settles. */
const ROUNDS = 10_000;

export class Order {
  readonly #machine: Machine;
  readonly #future: Lookahead;
  readonly #exact: boolean;
  /** Calls that have been entered and not begun. */
  readonly #held = new Set<ActiveCall>();

  /** Sleepers that were recorded with a time-out. */
  readonly #dozing = new Set<ActiveCall>();

  /** Sleepers that were recorded as interrupted. */
  readonly #doomed = new Set<ActiveCall>();

  readonly #queues: QueueOrder;
  readonly #groups: Regroup;
  readonly #passing = new PassingNumbers();
  readonly outside: Outside;

  /** @param exact - the lines stand in the order of effects. */
  constructor(machine: Machine, future: Lookahead, exact: boolean) {
    this.#machine = machine;
    this.#future = future;
    this.#exact = exact;
    this.#queues = new QueueOrder(machine.ports);
    this.outside = new Outside(machine, future);
    this.#groups = new Regroup(machine, future);
  }

  /** A call whose exit comes later has been entered. */
  enter(call: ActiveCall): void {
    this.#held.add(call);
    // its end is so far away that its arguments are not known yet
    if (call.isPartial || (call.record.phase === "entered" && call.isConsumer)) return;
    if (this.#exact) {
      this.#held.delete(call);
      this.start(call);
      return;
    }
    const foresight = this.#foresee(call);
    if (call.isConsumer) {
      if (this.#comesLater(call) || wouldTakeOther(call)) return;
      if (foresight === "yes" ? !this.#leaves(call) : !isAvailable(call)) this.#begin(call);
    } else if (foresight !== "no" && !this.#mustWait(call)) this.#begin(call);
  }

  #settle(call: ActiveCall): void {
    if (call.progress !== "sleeping") return;
    this.#queues.around(call, () => call.settle());
    this.outside.after(call);
  }

  #leaves(call: ActiveCall): boolean {
    return leavesToOthers(this.#machine, this.#future, call);
  }

  #mustWait(call: ActiveCall): boolean {
    const pending = [...this.#dozing, ...this.#held];
    if (mustWait(this.#machine, this.#future, call, pending) || wouldWake(call, this.#doomed)) return true;
    if (isAddressedBefore(this.#machine, this.#future, call) || stillTakesWrites(this.#machine, this.#future, call))
      return true;
    call.awaitsSum = waitsForSum(this.#machine, this.#future, call);
    return call.awaitsSum || standsBehind(this.#machine, this.#future, call);
  }

  /** Whether later results show that a call which takes has not taken yet. */
  #comesLater(call: ActiveCall): boolean {
    for (const isLater of [letsBeLost, isTakenFirst, isReportedFirst]) {
      if (isLater(this.#machine, this.#future, call)) return true;
    }
    return false;
  }

  /** Begins a call, and gives it up again where that left no trace and did not give the recorded result. */
  #begin(call: ActiveCall): void {
    this.#held.delete(call);
    this.start(call);
    if (this.#keepIfRight(call)) this.recheck();
  }

  /** A call that left no trace and did not give the recorded result is held again. @returns whether it stays begun. */
  #keepIfRight(call: ActiveCall): boolean {
    if (call.progress !== "returned" || !call.isRepeatable || call.difference(this.#machine.opaque) === null)
      return true;
    call.progress = "idle";
    this.#held.add(call);
    return false;
  }

  /** Enters a call on the model. */
  start(call: ActiveCall): void {
    this.#groups.beforeTaking(call);
    if (!this.#exact) this.outside.before(call); // else nobody is outside, and buffers are the model's own
    this.#queues.around(call, () => call.start());
    this.outside.after(call);
    if (call.record.name === "connect") this.#connected(call);
    if (call.opaque) this.#machine.opaque = true;
    if (call.progress !== "sleeping") return;
    if (call.value === 0) this.#dozing.add(call);
    if (call.errno !== null && INTERRUPTED.has(call.errno)) this.#doomed.add(call);
  }

  #connected({ owner, record }: ActiveCall): void {
    const file = firstFile(owner, record);
    const [, address] = record.args;
    const family = address?.kind === "struct" ? field(address, "sa_family", 0) : null;
    if (file !== null && isSymbol(family ?? undefined, "AF_UNSPEC")) this.#machine.ports.of(file).lost(file);
    else learnPort(this.#machine, this.#future, file);
  }

  /** Something has changed: whoever waited for just that goes on. */
  recheck(): void {
    if (this.#exact) return;
    for (let rounds = 0; rounds < ROUNDS && (this.#wake() || this.#release()); rounds += 1);
  }

  /** One woken sleeper goes on, if what it would find is what it found. */
  #wake(): boolean {
    const { runqueue } = this.#machine.kernel;
    for (let node = runqueue.first; node !== null; node = node.next) {
      const call = this.#machine.taskOf(node.owner)?.active ?? null;
      if (call === null || call.progress !== "sleeping" || !call.isQuestion || call.errno !== null) continue;
      call.settle();
      this.#keepIfRight(call);
      return true;
    }
    // who asks an epoll about others takes nothing from them, so it goes first
    for (const outer of [true, false]) {
      for (let node = runqueue.first; node !== null; node = node.next) {
        const call = this.#machine.taskOf(node.owner)?.active ?? null;
        if (call === null || call.progress !== "sleeping" || call.isQuestion || asksEpolls(call) !== outer) continue;
        if (call.isConsumer && this.#foresee(call) !== "yes") continue;
        if (call.isConsumer && isSeenOutside(this.#machine, this.#future, call)) continue;
        if (call.isConsumer && (this.#comesLater(call) || this.#leaves(call))) continue;
        this.#settle(this.#firstToEnd(call));
        return true;
      }
    }
    return false;
  }

  /**
   * Which of several sleepers a wake-up chose is open: of those that were recorded with just these events the one that ends
   * first finds them, since the others can wait for more. One whose time has run out can be chosen until it has left the queue.
   */
  #firstToEnd(woken: ActiveCall): ActiveCall {
    const ep = firstFile(woken.owner, woken.record)?.epoll ?? null;
    if (ep === null || !ep.wq.active || woken.events === null || woken.events.length === 0) return woken;
    let first = woken;
    for (const { active: other } of this.#machine.tasks.values()) {
      if (other === null || other.progress !== "sleeping" || !other.isConsumer || other.errno !== null) continue;
      if (other.value === 0 || !endsBefore(other, first)) continue;
      if (firstFile(other.owner, other.record)?.epoll === ep && this.#foresee(other) === "yes") first = other;
    }
    const { task } = first.owner;
    if (task.timedOut && isInTime(first)) task.timedOut = false;
    task.wakeUp();
    return first;
  }

  /** One held call takes effect, if its time has come. */
  #release(): boolean {
    for (const call of [...this.#held]) {
      if (call.awaitsSum) continue;
      const foresight = this.#foresee(call);
      if (foresight === "no" || (call.isConsumer && foresight === "unknown" && !call.isQuestion)) continue;
      if (call.isPartial) continue;
      if (call.isConsumer ? this.#comesLater(call) || this.#leaves(call) : this.#mustWait(call)) continue;
      this.#held.delete(call);
      this.start(call);
      if (this.#keepIfRight(call)) return true;
    }
    return false;
  }

  /** A call ends: brings it there, if the model can. */
  finish(call: ActiveCall, ns: number | null): void {
    if (call.progress === "idle" || call.progress === "sleeping") this.#addUp(call);
    const wasHeld = this.#held.delete(call);
    if (call.progress === "idle") {
      if (wasHeld) this.#letWriteFirst(call);
      if (wasHeld && !call.isConsumer) this.#advance(ns);
      const mayDiffer = this.#othersWait || call.isConsumer;
      if (mayDiffer && this.#foresee(call) === "no") this.#demand(call);
      if (call.progress === "idle" && mayDiffer && this.#foresee(call) === "no") {
        // who finds nothing first looks, and goes to sleep
        if (!shortened(call) && isAvailable(call) && this.#explain(call) && this.#foresee(call) === "no") {
          shortened(call);
        }
      }
      if (call.errno === "EPIPE") this.#endReaders(call);
      this.#infer(call);
      this.#force(call);
      if (call.progress === "idle") this.start(call);
    } else this.#infer(call);
    if (call.progress === "sleeping" && this.#foresee(call) === "no") this.#prepare(call, ns);
    this.#settle(call);
    if (call.progress === "sleeping") {
      this.#wakeUp(call);
      if (call.progress === "sleeping") this.#passTime(call, ns);
    }
    if (this.#isWrong(call)) this.#demand(call);
    if (this.#isWrong(call) && this.#explain(call)) this.#retry(call);
    while (this.#isWrong(call) && this.#hurryExit(call)) if (!this.#sleepsOn(call)) this.#retry(call);
    while (this.#isWrong(call) && this.#endWatched(call)) this.#retry(call);
    this.#dozing.delete(call);
    this.#passing.note(call.owner.task.process.files, call.record);
    this.recheck();
  }

  /** A pidfd that is asked may tell of an end whose line is still to come. */
  #endWatched({ owner, record }: ActiveCall): boolean {
    for (const asked of filesAsked(owner, record)) {
      const task = asked instanceof PidfdFile ? asked.pidRef.task : null;
      const ending = task === null || task.exiting ? null : this.#machine.taskOf(task);
      const line = ending === null || ending.exiting === null ? null : this.#future.endOf(ending.id);
      if (line === null) continue;
      this.#machine.exit(line);
      return true;
    }
    return false;
  }

  /** Who reads at the other end may be about to end. */
  #endReaders(call: ActiveCall): void {
    while (this.#foresee(call) === "no" && this.#hurryExit(call)) this.recheck();
  }

  #hurryExit({ owner }: ActiveCall): boolean {
    return this.#machine.hurryExit(owner, (other, file) => outlives(this.#machine, this.#future, other, file));
  }

  /** A sleeper that would not find what it found, even if it was woken. */
  #sleepsOn(call: ActiveCall): boolean {
    return call.progress === "sleeping" && call.isConsumer && this.#foresee(call) === "no";
  }

  /** Writes into the same pipe whose bytes are read before those of this one. */
  #letWriteFirst(call: ActiveCall): void {
    let other = standsBefore(this.#machine, this.#future, call, this.#held);
    while (other !== null) {
      this.#begin(other);
      other = standsBefore(this.#machine, this.#future, call, this.#held);
    }
  }

  /** An end of a read or a write of an eventfd may tell which writes the read has counted. */
  #addUp(call: ActiveCall): void {
    const found = findSum(this.#machine, call, this.#held);
    if (found === null) return;
    for (const write of found.writes) if (this.#held.delete(write)) this.start(write);
    const { read } = found;
    if (read.progress === "idle") {
      this.#held.delete(read);
      this.start(read);
    } else read.settle();
    for (const other of this.#held)
      if (other.awaitsSum) other.awaitsSum = waitsForSum(this.#machine, this.#future, other);
    this.recheck();
  }

  /** A call ends without a result that could be foreseen: a signal ended it, or its task did. */
  abandon(call: ActiveCall): void {
    this.#held.delete(call);
    this.#dozing.delete(call);
    this.#doomed.delete(call);
    call.interrupt();
    this.recheck();
  }

  /** The same events in an order that is not possible: a divergence, but what comes later is held to the recorded order. */
  #force(call: ActiveCall): void {
    if (this.#foresee(call) === "no" && this.#queues.settle(call, true)) call.disorder = true;
  }

  /** A sleeper that would not find what it found. */
  #prepare(call: ActiveCall, ns: number | null): void {
    if (call.value === 0) this.#passTime(call, ns);
    if (call.progress === "sleeping") this.#demand(call);
    if (call.progress === "sleeping" && this.#foresee(call) === "no") this.#explain(call);
    if (call.progress === "sleeping") this.#force(call);
  }

  /** @returns whether the queues, or something outside, were found to have been otherwise. */
  #explain(call: ActiveCall): boolean {
    return this.#groups.explain(call) || this.outside.explain(call);
  }

  /** Numbers that the process inherited are taken although no line has shown them. */
  #infer(call: ActiveCall): void {
    const { record, descriptors, owner } = call;
    if (descriptors.length === 0) return;
    const from = record.name === "fcntl" ? (evalInt(record.args[2] ?? NOTHING) ?? 0) : 0;
    if (call.progress === "idle") call.passedOver = this.#passing.below(this.#machine, call, from);
    if (call.progress === "returned" || call.passedOver.length > 0) this.#machine.allocated(owner, descriptors);
    else if (this.#machine.inferInherited(owner, record, descriptors, from)) call.inferred = true;
  }

  /** Would the call give its result now, or could it, in one of the orders that a queue may have? */
  #foresee(call: ActiveCall): Foresight {
    const foresight = foresee(call.owner, call);
    return foresight === "no" && this.#queues.settle(call, false) ? "yes" : foresight;
  }

  get #othersWait(): boolean {
    return this.#held.size > 0 || this.#machine.kernel.runqueue.first !== null;
  }

  /** Lets other calls through until this one gives its result: those that touch the same things first. */
  #demand(call: ActiveCall): void {
    for (const related of [true, false]) {
      for (const other of [...this.#held]) {
        if (!this.#held.has(other) || other.isPartial || isRelated(call, other) !== related) continue;
        if (foresee(other.owner, other) === "no") continue;
        if (!related && !other.isConsumer && this.#mustWait(other)) continue;
        if (other.isConsumer ? this.#comesLater(other) : excludes(this.#machine, call, other)) continue;
        this.#begin(other);
        if (this.#retry(call)) return;
      }
    }
    for (const other of this.#machine.tasks.values()) {
      if (other.active === null || this.#sleepsOn(other.active) || !wakeSleeper(other, call)) continue;
      this.recheck();
      if (this.#retry(call)) return;
    }
  }

  /** @returns whether the call is right now, or will be. */
  #retry(call: ActiveCall): boolean {
    if (call.progress === "returned" && call.isRepeatable) call.progress = "idle";
    if (call.progress === "idle") {
      if (this.#foresee(call) === "no") return false;
      this.start(call);
    }
    call.settle();
    return !this.#isWrong(call);
  }

  /** Whether the result so far contradicts, and another order might still mend it. */
  #isWrong(call: ActiveCall): boolean {
    if (call.progress === "refused") return false;
    if (call.progress === "returned" && !call.isRepeatable) return false;
    return call.progress === "idle" || call.difference(this.#machine.opaque) !== null;
  }

  /** Of several sleepers another one was woken: this one finds what is there as well. */
  #wakeUp(call: ActiveCall): void {
    const { task } = call.owner;
    if (call.progress !== "sleeping" || task.state === TaskState.RUNNING) return;
    if (!call.isConsumer || this.#foresee(call) !== "yes" || call.value === 0) return;
    task.wakeUp();
    call.settle();
  }

  #advance(ns: number | null): void {
    this.#machine.advance(ns);
    this.expire();
  }

  /**
   * Calls whose time is up, and which were recorded with a time-out, are over before anything else happens: a later arrival
   * must not find them still on their way.
   */
  expire(): void {
    for (let node = this.#machine.kernel.runqueue.first; node !== null; ) {
      const { owner: task, next } = node;
      const call = task.timedOut ? (this.#machine.taskOf(task)?.active ?? null) : null;
      if (call !== null && call.value === 0) {
        call.settle();
        if (call.progress !== "sleeping") this.#dozing.delete(call);
      }
      node = next;
    }
  }

  /** Up to the recorded exit, timer by timer, as exactly as the recording's times are. */
  #passTime(call: ActiveCall, ns: number | null): void {
    const { clock } = this.#machine.kernel;
    for (;;) {
      const next = clock.nextExpiryNs();
      if (next < 0 || (ns !== null && next > this.#machine.clockAt(ns) + STAMP_ERROR_NS)) return;
      clock.advanceTo(Math.max(next, clock.nowNs));
      call.settle();
      if (call.progress !== "sleeping") return;
    }
  }
}

/** Lets a read fall short, if what it did not find may have come later. */
function shortened(call: ActiveCall): boolean {
  if (!fallsShort(call)) return false;
  call.limit = call.value;
  return true;
}

/** Whether a wait lasted no longer than its time-out, as exactly as the recording's times are. */
function isInTime({ record }: ActiveCall): boolean {
  const timeout = evalInt(record.args[3] ?? NOTHING);
  const { entryNs, exitNs } = record;
  if (!/^epoll_p?wait$/.test(record.name) || timeout === null || entryNs === null || exitNs === null) return false;
  return Number(exitNs - entryNs) <= timeout * 1e6 + STAMP_ERROR_NS;
}

function endsBefore(call: ActiveCall, other: ActiveCall): boolean {
  const never = Number.POSITIVE_INFINITY;
  return (call.record.exitLine ?? never) < (other.record.exitLine ?? never);
}

/** Lets a call that was woken go on before its own exit. */
function wakeSleeper(other: ReplayTask, call: ActiveCall): boolean {
  const { active, task } = other;
  if (active === null || active === call || active.progress !== "sleeping" || task.state !== TaskState.RUNNING) {
    return false;
  }
  active.settle();
  return true;
}

/** Whether one call may change what another finds. */
function isRelated(call: ActiveCall, other: ActiveCall): boolean {
  if (call.descriptors.length > 0 && call.owner.task.process.files === other.owner.task.process.files) {
    if (other.descriptors.length > 0) return true;
    const fd = other.record.name === "close" ? firstFd(other.record) : null;
    if (fd !== null) return call.descriptors.includes(fd);
  }
  const file = firstFile(other.owner, other.record);
  if (file === null) return false;
  const target = firstFile(call.owner, call.record);
  if (target !== null && (reaches(file, target) || isWatchedBy(file, target))) return true;
  if (!call.isQuestion) return false;
  for (const asked of filesAsked(call.owner, call.record)) if (reaches(file, asked)) return true;
  return false;
}

/** An accept takes its number before it sleeps: it has to wait for those who were given the lower ones. */
function wouldTakeOther({ record, owner, descriptors }: ActiveCall): boolean {
  const [fd] = descriptors;
  return record.name.startsWith("accept") && fd !== undefined && owner.task.process.files.lowestFree() < fd;
}

/** Whether a call that takes would find something now. poll and select change nothing, so they may always be tried. */
function isAvailable(call: ActiveCall): boolean {
  if (call.isQuestion) return false;
  const { owner } = call;
  if (call.record.name === "wait4") {
    const pid = call.errno === null ? (evalInt(call.record.args[0] ?? NOTHING) ?? -1) : -1;
    return owner.task.process.children.some((child) => child.zombie && (pid <= 0 || child.tgid === pid));
  }
  const file = firstFile(owner, call.record);
  if (file === null || owner.task.state !== TaskState.RUNNING) return false;
  if (file.epoll !== null) return hasEvents(owner, file.epoll);
  return known(() => (maskOf(file, owner.task) & READABLE) !== 0, true);
}

/** Whether a scan would report something: stale items do not count. */
function hasEvents(owner: ReplayTask, ep: Eventpoll): boolean {
  for (let node = ep.rdllist.first; node !== null; node = node.next) {
    const { owner: item } = node;
    if (known(() => ep.itemPoll(owner.task, item, null), 1) !== 0) return true;
  }
  return false;
}

/** An epoll_wait whose first ready item is an epoll itself. */
function asksEpolls({ owner, record }: ActiveCall): boolean {
  const item = firstFile(owner, record)?.epoll?.rdllist.first?.owner ?? null;
  return item !== null && item.file.epoll !== null;
}
