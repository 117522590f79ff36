/**
 * Does what comes later show that a call had not taken effect yet?
 *
 * A call that gives (a write, a close) is let through when it is entered, since its effect comes soon after. But calls of
 * other tasks inside its interval may show that it had not: a read that found nothing, a descriptor number still in use.
 */
import { EventfdCtx } from "../kernel/fs/eventfd.ts";
import { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { File } from "../kernel/fs/file.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { SignalfdCtx } from "../kernel/fs/signalfd.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import { decodeEvent, decodeEvents, type EventValue, evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { tcpListenerOf } from "./addresses.ts";
import { roomOf } from "./arrivals.ts";
import { isDatagram, known, READABLE, readableBytes } from "./foresight.ts";
import { CONSUMERS } from "./knowledge.ts";
import type { Lookahead } from "./lookahead.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import type { PortMap } from "./ports.ts";
import { firstFd, firstFile, NOTHING, newDescriptors } from "./records.ts";
import { peerOf, reaches, unixAt } from "./relations.ts";
import { maskOf } from "./tcp-flow.ts";

/** Calls that send a signal. */
const SENDERS: ReadonlySet<string> = new Set("kill tkill tgkill".split(" "));
const WRITES: ReadonlySet<string> = new Set("write writev sendto sendmsg".split(" "));
/** Events that are looked at for one call. */
const LOOK = 400;

/** What a later call says of the one in question. */
type Testimony = "before" | "after" | "nothing";

/**
 * @param pending - calls that have been entered and have not got what they were recorded with: held ones, and sleepers that
 *   were recorded with a time-out.
 * @returns whether the call has to wait: something recorded inside its interval contradicts its effect now.
 */
export function mustWait(
  machine: Machine,
  future: Lookahead,
  call: ActiveCall,
  pending: Iterable<ActiveCall>,
): boolean {
  const { record, owner } = call;
  if (record.exitLine === null) return false;
  if (SENDERS.has(record.name)) return isPending(machine, future, record);
  const subject = Subject.of(call, machine.ports);
  for (const other of pending) {
    if (other === call || other.record.task === record.task) continue;
    if (known<Testimony>(() => subject.ask(owner, other.owner, other.record), "nothing") === "after") return true;
  }
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === record) return false;
    if ((event.kind !== "enter" && event.kind !== "exit") || event.call.task === record.task) continue;
    const other = machine.tasks.get(event.call.task);
    if (other === undefined || (event.kind === "exit" && !stillSleeps(other, event.call))) continue;
    const testimony = known<Testimony>(() => subject.ask(owner, other, event.call), "nothing");
    if (testimony !== "nothing") return testimony === "after";
  }
  return false;
}

/** A wait that had begun before tells at its end. */
function stillSleeps({ active }: ReplayTask, record: CallRecord): boolean {
  return active !== null && active.record === record && active.progress === "sleeping";
}

/** Whether what a call was recorded with shows that another one has not taken effect before it. */
export function excludes(machine: Machine, call: ActiveCall, other: ActiveCall): boolean {
  const subject = Subject.of(other, machine.ports);
  return known<Testimony>(() => subject.ask(other.owner, call.owner, call.record), "nothing") === "after";
}

/**
 * Whether a description that goes with the process of an ending task was still there when others looked: the first result that
 * tells anything of its other end, up to the line that shows the end of the task, says so.
 */
export function outlives(machine: Machine, future: Lookahead, owner: ReplayTask, file: File): boolean {
  const subject = Subject.closing(file);
  if (subject === null) return false;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "gone" && event.line.task === owner.id) return false;
    if (event.kind !== "enter" && event.kind !== "exit") continue;
    const other = machine.tasks.get(event.call.task);
    if (other === undefined || other.task.process === owner.task.process) continue;
    if (event.kind === "exit" && !stillSleeps(other, event.call)) continue;
    const testimony = known<Testimony>(() => subject.ask(owner, other, event.call), "nothing");
    if (testimony !== "nothing") return testimony === "after";
  }
  return false;
}

/**
 * Whether a read of a signalfd has to wait: the signal is sent once more inside its interval, and what comes later shows that this
 * one was lost, since the one before it still waited.
 */
export function letsBeLost(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner } = call;
  if (!(firstFile(owner, record) instanceof SignalfdCtx)) return false;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === record) return false;
    if (event.kind !== "enter" || !SENDERS.has(event.call.name)) continue;
    const receiver = receiverWithPending(machine, event.call);
    if (receiver === owner && findsNothing(future, receiver)) return true;
  }
  return false;
}

/** The signal that a call sends waits at its receiver already, so that another one would be lost: it is taken first. */
function isPending(machine: Machine, future: Lookahead, record: CallRecord): boolean {
  const receiver = receiverWithPending(machine, record);
  return receiver !== null && !findsNothing(future, receiver);
}

/** Who is sent a signal that waits there already; null when it does not. */
function receiverWithPending(machine: Machine, record: CallRecord): ReplayTask | null {
  const [pid, tid] = record.args;
  const target = record.name === "tgkill" ? tid : pid;
  const signal = record.args.at(-1);
  const receiver = machine.tasks.get(String(evalInt(target ?? NOTHING)));
  const number = signal === undefined ? null : evalInt(signal);
  if (receiver === undefined || number === null || number < 1) return null;
  const { task } = receiver;
  const pending = record.name === "kill" ? task.process.sharedPending : task.pending;
  return pending.holds(number) ? receiver : null;
}

/** The task's next wait was recorded with a time-out: nothing has come that the wait before it did not see. */
function findsNothing(future: Lookahead, { id }: ReplayTask): boolean {
  for (const event of future.ahead(LOOK)) {
    if (event.kind !== "enter" || event.call.task !== id || !/^epoll_p?wait|poll$|select/.test(event.call.name))
      continue;
    return evalInt(event.call.result?.values[0] ?? NOTHING) === 0;
  }
  return false;
}

/**
 * Whether a waiter of an epoll that another epoll watches has to wait: what it takes is seen through the outer one as well, by
 * a call that comes before its exit.
 */
export function isSeenOutside(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const inner = firstFile(call.owner, call.record);
  if (inner === null || inner.fEp === null || inner.fEp.first === null) return false;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === call.record) return false;
    if (event.kind !== "enter" || event.call.task === call.record.task) continue;
    const other = machine.tasks.get(event.call.task);
    const outer = other === undefined ? null : firstFile(other, event.call);
    if (outer === null || outer.epoll === null || !CONSUMERS.has(event.call.name)) continue;
    for (const hook of inner.fEp) if (hook.ep.file === outer) return true;
  }
  return false;
}

/**
 * Whether what a wait would take is taken by another one that begins later and ends earlier: an edge is reported once.
 */
export function isTakenFirst(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner, events } = call;
  const file = firstFile(owner, record);
  const item = file?.epoll?.rdllist.first?.owner ?? null;
  if (item === null || events === null || (item.events & (Epoll.ET | Epoll.ONESHOT)) === 0) return false;
  const end = record.exitLine ?? 0;
  for (const event of future.ahead(LOOK)) {
    if (event.kind === "exit" && event.call === record) return false;
    if (event.kind !== "enter" || event.call.name !== record.name || (event.call.exitLine ?? end) >= end) continue;
    const other = machine.tasks.get(event.call.task);
    if (other === undefined || firstFile(other, event.call) !== file) continue;
    const found = event.call.args[1] === undefined ? null : decodeEvents(event.call.args[1]);
    const [first] = found ?? [];
    if (first !== undefined && first.data === dataOf(item)) return true;
  }
  return false;
}

/**
 * Whether a read that could have its bytes now leaves them to another one: that one is over sooner, and what both take is
 * as long as they asked for, so that what comes in between does not matter.
 */
export function leavesToOthers(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner, value } = call;
  if (record.name !== "read" || value === null || value <= 0) return false;
  const file = firstFile(owner, record);
  if (file === null || value !== evalInt(record.args[2] ?? NOTHING) || file.inode === file.kernel.anonInode)
    return false;
  for (const event of future.ahead(LOOK)) {
    if (event.kind !== "exit") continue;
    if (event.call === record) return false;
    const other = machine.tasks.get(event.call.task);
    if (event.call.name !== "read" || other === undefined || firstFile(other, event.call) !== file) continue;
    if (other.active?.record === event.call && other.active.progress === "returned") continue;
    if (evalInt(event.call.result?.values[0] ?? NOTHING) === value) return true;
  }
  return false;
}

/**
 * Whether a read or an accept has to wait: a wait of another task inside its interval reports what it would take, and nothing
 * else arrives that might be meant.
 */
export function isReportedFirst(machine: Machine, future: Lookahead, call: ActiveCall): boolean {
  const { record, owner } = call;
  const file = firstFile(owner, record);
  if (file === null || file.epoll !== null || file.fEp === null || record.exitLine === null || call.isQuestion)
    return false;
  for (const item of file.fEp) {
    if (!(item instanceof Epitem) || item.rdllink.list === null || (item.events & READABLE) === 0) continue;
    for (const { active } of machine.tasks.values()) {
      if (active !== null && active.progress !== "returned" && reports(active, item)) return true;
    }
    for (const event of future.ahead(LOOK)) {
      if (event.kind === "exit" && event.call === record) break;
      if (event.kind !== "enter" || event.call.task === record.task) continue;
      const other = machine.tasks.get(event.call.task);
      const touched = other === undefined ? null : firstFile(other, event.call);
      if (other === undefined || touched === null) continue;
      if (touched !== item.ep.file) {
        if (!CONSUMERS.has(event.call.name) && reaches(touched, file)) break;
        continue;
      }
      if (CONSUMERS.has(event.call.name) && showsDatum(event.call, item)) return true;
    }
  }
  return false;
}

/** A wait that has not got its events yet is one on the item's epoll that reports it. */
function reports({ record, owner }: ActiveCall, item: Epitem): boolean {
  return CONSUMERS.has(record.name) && firstFile(owner, record) === item.ep.file && showsDatum(record, item);
}

function showsDatum({ args, result }: CallRecord, item: Epitem): boolean {
  if (args[1] === undefined || (result?.errnos[0] ?? null) !== null) return false;
  const data = dataOf(item);
  return decodeEvents(args[1])?.some((event) => event.data === data && (event.events & READABLE) !== 0) ?? false;
}

/** What a call in question would change. */
interface Deed {
  readonly fd: number | null;
  readonly file: File | null;
  readonly peer: File | null;
  readonly closes: boolean;
  /** It puts bytes into a stream. */
  readonly writes: boolean;
  /** The epoll that it registers something with, and what for. */
  readonly watcher: File | null;
  readonly registers: EventValue | null;
}

/** A call in question. */
class Subject {
  readonly #deed: Deed;
  #wasRead = false;

  private constructor(deed: Deed) {
    this.#deed = deed;
  }

  static of({ record, owner }: ActiveCall, ports: PortMap): Subject {
    const { name } = record;
    const registers = name === "epoll_ctl" && record.args[3] !== undefined ? decodeEvent(record.args[3]) : null;
    const watcher = registers === null ? null : firstFile(owner, record);
    const fd = name === "epoll_ctl" ? evalInt(record.args[2] ?? NOTHING) : firstFd(record);
    const file = fd === null ? null : owner.task.process.files.getRaw(fd);
    const peer = file === null ? null : name === "connect" ? listenerOf(owner, record, ports) : peerOf(file);
    return new Subject({ fd, file, peer, closes: name === "close", writes: WRITES.has(name), watcher, registers });
  }

  /** The end of a process closes this description; null when nobody can see that. */
  static closing(file: File): Subject | null {
    const peer = peerOf(file);
    const isLast =
      file instanceof PipeFile &&
      ((file.canWrite && file.pipe.writers === 1) || (file.canRead && file.pipe.readers === 1));
    if (peer === null && !isLast) return null;
    return new Subject({ fd: null, file, peer, closes: true, writes: false, watcher: null, registers: null });
  }

  ask(owner: ReplayTask, other: ReplayTask, record: CallRecord): Testimony {
    const { files } = owner.task.process;
    if (this.#deed.closes && this.#deed.fd !== null && other.task.process.files === files) {
      const testimony = askNumber(this.#deed.fd, record);
      if (testimony !== "nothing") return testimony;
    }
    if (!CONSUMERS.has(record.name)) return "nothing";
    const file = firstFile(other, record);
    if (file === null) return "nothing";
    if (file.epoll !== null) {
      return file === this.#deed.watcher
        ? this.#askRegistered(other, file, record)
        : this.#askWait(other, file, record);
    }
    if (file !== this.#deed.peer && (file !== this.#deed.file || this.#deed.closes)) {
      const piped =
        this.#deed.file !== null && file.inode === this.#deed.file.inode && file.inode !== file.kernel.anonInode;
      if (!piped) return "nothing";
    }
    if ((maskOf(file, other.task) & READABLE) !== 0) {
      return file instanceof EventfdCtx ? askCounter(file, record) : this.#askStream(other, file, record);
    }
    if (this.#deed.closes && (evalInt(record.result?.values[0] ?? NOTHING) ?? 0) > 0) return "nothing";
    return record.result?.errnos[0] === "EAGAIN" ? "after" : "before";
  }

  /** A read of a stream that had room for more, and found just what is there without the call. Later reads find the rest. */
  #askStream(other: ReplayTask, file: File, record: CallRecord): Testimony {
    if (!this.#deed.writes || this.#wasRead) return "nothing";
    const value = evalInt(record.result?.values[0] ?? NOTHING);
    const ready = known(() => readableBytes(other, file), null);
    this.#wasRead = true;
    if (value === null || value <= 0 || ready === null || isDatagram(file)) return "nothing";
    if (value > ready) return "before";
    return value === ready && roomOf(record) > value ? "after" : "nothing";
  }

  /** A wait on the epoll that something is registered with, which is ready already. */
  #askRegistered(other: ReplayTask, watcher: File, record: CallRecord): Testimony {
    const file = this.#deed.file;
    const events = allReported(record);
    if (events === null || file === null || this.#deed.registers === null || this.#deed.fd === null) return "nothing";
    const { data, events: mask } = this.#deed.registers;
    const item = watcher.epoll?.find(file, this.#deed.fd) ?? null;
    if (item !== null && (item.rdllink.list !== null || item.events === (mask | 0))) return "nothing";
    if ((maskOf(file, other.task) & mask) === 0) return "nothing";
    return events.some((event) => event.data === data) ? "before" : "after";
  }

  /** What goes into a connection or a pipe comes out at its other end. */
  #ends(watcher: File): Iterable<File | null> {
    if (this.#deed.peer !== null) return [this.#deed.peer];
    const file = this.#deed.file;
    return file instanceof PipeFile ? otherEndsOf(file, watcher) : [file];
  }

  /** An epoll_wait that would have reported it. */
  #askWait(other: ReplayTask, watcher: File, record: CallRecord): Testimony {
    const events = allReported(record);
    if (events === null) return "nothing";
    for (const file of this.#ends(watcher)) {
      if (file === null || file.fEp === null) continue;
      for (const item of file.fEp) {
        if (item.ep.file !== watcher || !(item instanceof Epitem)) continue;
        const data = dataOf(item);
        const edge = (item.events & Epoll.ET) !== 0;
        const reported = edge ? item.rdllink.list !== null : item.ep.itemPoll(other.task, item, null) !== 0;
        if (reported || (item.events & READABLE) === 0) continue;
        return events.some((event) => event.data === data) ? "before" : "after";
      }
    }
    return "nothing";
  }
}

/** The other ends of a pipe, as far as an epoll watches them. */
function* otherEndsOf({ inode, canRead }: PipeFile, { epoll }: File): Generator<File, void, undefined> {
  for (let node = epoll?.rbr.leftmost ?? null; node !== null; node = rbNext(node)) {
    const { file } = node.owner;
    if (file.inode === inode && file.canRead !== canRead) yield file;
  }
}

/** The events of an epoll_wait that had room for more; null for any other call. */
export function allReported({ name, args, result }: CallRecord): readonly EventValue[] | null {
  if (!/^epoll_p?wait/.test(name)) return null;
  const [, array, room] = args;
  const value = evalInt(result?.values[0] ?? NOTHING);
  if ((result?.errnos[0] ?? null) !== null || value === null || array === undefined) return null;
  const events = value === 0 ? [] : decodeEvents(array);
  return events === null || events.length >= (evalInt(room ?? NOTHING) ?? 0) ? null : events;
}

export function dataOf({ dataHigh, dataLow }: Epitem): bigint {
  return (BigInt(dataHigh >>> 0) << 32n) | BigInt(dataLow >>> 0);
}

/** The counter that a read found is the one without the call. */
function askCounter(file: EventfdCtx, record: CallRecord): Testimony {
  const text = record.args[1];
  if (file.semaphore || record.name !== "read") return "nothing";
  if (text?.kind !== "str" || text.bytes.length !== 8) return "nothing";
  const view = new DataView(text.bytes.buffer, text.bytes.byteOffset);
  return view.getUint32(0, true) === file.low && view.getUint32(4, true) === file.high ? "after" : "nothing";
}

/** The socket that a connect adds a connection to. */
function listenerOf(owner: ReplayTask, record: CallRecord, ports: PortMap): File | null {
  const socket = firstFile(owner, record);
  if (socket instanceof SocketFile && socket.sk instanceof TcpSock) {
    return tcpListenerOf(record, socket, ports)?.file ?? null;
  }
  if (!(socket instanceof SocketFile) || !(socket.sk instanceof UnixSock)) return null;
  const { sk } = socket;
  return known(() => unixAt(owner, sk, record.args[1]), null)?.file ?? null;
}

/** What numbers say of a close: an allocation takes the lowest one, so one beyond it shows that it was still taken. */
function askNumber(fd: number, record: CallRecord): Testimony {
  const given = newDescriptors(record);
  if (given.length > 0) {
    if (given.includes(fd)) return "before";
    return given.some((other) => other > fd) && record.name !== "fcntl" ? "after" : "nothing";
  }
  if (firstFd(record) !== fd) return "nothing";
  return record.result?.errnos[0] === "EBADF" ? "before" : "after";
}
