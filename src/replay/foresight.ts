/**
 * Would a call give its recorded result if it took effect now?
 *
 * Asked without changing anything, so that the search for an order needs no way back: a call is let through when its result is
 * right, and held while it is not.
 */
import { EventfdCtx } from "../kernel/fs/eventfd.ts";
import { CONTENDED, type File } from "../kernel/fs/file.ts";
import { InotifyGroup } from "../kernel/fs/inotify.ts";
import { PipeFile } from "../kernel/fs/pipe-file.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { errnoName } from "../kernel/uapi/errno.ts";
import { Poll } from "../kernel/uapi/poll.ts";
import { Ioctl, Sock } from "../kernel/uapi/socket.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { ActiveCall } from "./active-call.ts";
import { fittingBytes } from "./disk-watch.ts";
import { ExternalFile } from "./external.ts";
import type { ReplayTask } from "./machine.ts";
import { firstFile, NOTHING } from "./records.ts";
import { addresseeOf, findUnix } from "./relations.ts";
import { maskOf } from "./tcp-flow.ts";

/** `unknown`: only the call itself can tell. */
export type Foresight = "yes" | "no" | "unknown";

export const READABLE: number = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.HUP | Poll.ERR | Poll.RDHUP;
const WRITABLE = Poll.OUT | Poll.WRNORM | Poll.ERR | Poll.HUP;
const WORD = 2 ** 32;

const READS: ReadonlySet<string> = new Set("read readv recvfrom recvmsg".split(" "));
const WRITES: ReadonlySet<string> = new Set("write writev sendto sendmsg".split(" "));
const ACCEPTS: ReadonlySet<string> = new Set(["accept", "accept4"]);

/** @param owner - the task that makes the call. */
export function foresee(owner: ReplayTask, call: ActiveCall): Foresight {
  return known(() => look(owner, call), "unknown");
}

/** What a look at the model tells; `otherwise` where it meets what is not modelled. */
export function known<T>(ask: () => T, otherwise: T): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof Unmodelled) return otherwise;
    throw error;
  }
}

function look(owner: ReplayTask, call: ActiveCall): Foresight {
  const { name } = call.record;
  const { descriptors } = call;
  // An accept that sleeps has its number already: Linux takes it before it waits.
  if (descriptors.length > 0 && call.progress !== "sleeping" && !areNext(owner, call, descriptors)) return "no";
  if (name === "wait4") return foreseeWait(owner, call);
  const file = firstFile(owner, call.record);
  if (file instanceof ExternalFile) return "unknown";
  if (ACCEPTS.has(name)) return file === null ? "yes" : foreseeTaking(owner, call, file);
  if (descriptors.length > 0 && !READS.has(name)) return "yes";
  if (name.startsWith("epoll_")) return foreseeEpoll(owner, call, file);
  if (name === "close") return (file === null) === (call.errno === "EBADF") ? "yes" : "no";
  if (file === null) return "unknown";
  if (READS.has(name)) return foreseeRead(owner, call, file);
  if (WRITES.has(name)) return foreseeWrite(owner, call, file);
  if (name === "splice" || name === "tee") return foreseeSplice(owner, call, file);
  return "unknown";
}

/** Whether these are the numbers that an allocation would give now. */
function areNext(owner: ReplayTask, call: ActiveCall, descriptors: readonly number[]): boolean {
  const { files } = owner.task.process;
  let from = call.record.name === "fcntl" ? (evalInt(call.record.args[2] ?? NOTHING) ?? 0) : 0;
  for (const fd of descriptors) {
    if (files.lowestFree(from) !== fd) return false;
    from = fd + 1;
  }
  return true;
}

/** A wait for any child finds the oldest that has ended. */
function foreseeWait(owner: ReplayTask, call: ActiveCall): Foresight {
  const { value, record } = call;
  if (value === null || value <= 0 || evalInt(record.args[0] ?? NOTHING) !== -1) return "unknown";
  for (const child of owner.task.process.children) if (child.zombie) return child.tgid === value ? "yes" : "no";
  return "unknown";
}

function foreseeEpoll(owner: ReplayTask, call: ActiveCall, file: File | null): Foresight {
  if (file === null || file.epoll === null) return "unknown";
  const { name, args } = call.record;
  if (name === "epoll_ctl") {
    const fd = evalInt(args[2] ?? NOTHING) ?? -1;
    const watched = owner.task.process.files.getRaw(fd);
    if (watched === null) return call.errno === "EBADF" ? "yes" : "no";
    const found = file.epoll.find(watched, fd) !== null;
    if (call.errno === null)
      return found === (args[1]?.kind === "sym" && args[1].name !== "EPOLL_CTL_ADD") ? "yes" : "no";
    if (call.errno === "EEXIST") return found ? "yes" : "no";
    if (call.errno === "ENOENT") return found ? "no" : "yes";
    return "unknown";
  }
  const { events } = call;
  if (events === null) return "unknown";
  const maxevents = evalInt(args[2] ?? NOTHING) ?? events.length;
  let count = 0;
  for (let node = file.epoll.rdllist.first; node !== null && count < maxevents; node = node.next) {
    const { owner: item } = node;
    const mask = file.epoll.itemPoll(owner.task, item, null);
    if (mask === CONTENDED) return "unknown";
    if (mask === 0) continue;
    const event = events[count];
    if (event === undefined || event.events !== mask >>> 0) return "no";
    if (event.low !== item.dataLow >>> 0 || event.high !== item.dataHigh >>> 0) return "no";
    count += 1;
  }
  return count === events.length ? "yes" : "no";
}

function foreseeTaking(owner: ReplayTask, call: ActiveCall, file: File): Foresight {
  const mask = maskOf(file, owner.task);
  if (call.errno === "EAGAIN") return (mask & READABLE) === 0 ? "yes" : "no";
  if (call.errno !== null) return "unknown";
  return (mask & READABLE) === 0 ? "no" : "yes";
}

function foreseeRead(owner: ReplayTask, call: ActiveCall, file: File): Foresight {
  const taking = foreseeTaking(owner, call, file);
  const { value } = call;
  if (taking !== "yes" || call.errno !== null || value === null) return taking;
  const text = call.record.args[1];
  if (file instanceof EventfdCtx) {
    if (text?.kind !== "str" || text.bytes.length !== 8) return "unknown";
    const view = new DataView(text.bytes.buffer, text.bytes.byteOffset);
    const low = file.semaphore ? 1 : file.low;
    return view.getUint32(0, true) === low && (file.semaphore || view.getUint32(4, true) === file.high) ? "yes" : "no";
  }
  if (file instanceof InotifyGroup) {
    const room = evalInt(call.record.args[2] ?? NOTHING);
    return room === null || value === fittingBytes(file, room) ? "yes" : "no";
  }
  const ready = readableBytes(owner, file);
  if (ready === null) return "yes"; // a record of fixed size: a signal, ticks
  const size =
    call.record.name === "read" || call.record.name === "recvfrom" ? evalInt(call.record.args[2] ?? NOTHING) : null;
  if (size === null) return value <= ready || isDatagram(file) ? "unknown" : "no";
  return value === Math.min(size, ready) ? "yes" : "no";
}

/** What was moved must have been there. */
function foreseeSplice(owner: ReplayTask, call: ActiveCall, file: File): Foresight {
  const { record, value } = call;
  const ready = readableBytes(owner, file);
  if (ready === null || call.errno !== null || value === null || value === 0) return "unknown";
  const length = evalInt(record.args[record.name === "splice" ? 4 : 2] ?? NOTHING);
  if (value > ready) return "no";
  return length !== null && value === Math.min(length, ready) ? "yes" : "unknown";
}

export function isDatagram(file: File): boolean {
  return file instanceof SocketFile && file.sk.type !== Sock.STREAM;
}

/** FIONREAD; null where there is none. */
export function readableBytes(owner: ReplayTask, file: File): number | null {
  const addr = owner.area.scratch;
  if (file.ioctl(owner.task, Ioctl.FIONREAD, addr) !== 0) return null;
  const bytes = owner.area.read(addr, 4);
  return bytes === null ? null : new DataView(bytes.buffer).getUint32(0, true) % WORD;
}

/** A message to a name finds who has bound it, or nobody; null where no name is given, or something else is the matter. */
function foreseeAddressee(owner: ReplayTask, call: ActiveCall, file: File): Foresight | null {
  if (!(file instanceof SocketFile) || !(file.sk instanceof UnixSock)) return null;
  const named = addresseeOf(call.record);
  if (named === null) return null;
  const found = findUnix(owner, file.sk, named);
  if (found === null) return null;
  const isMissed = call.errno === "ECONNREFUSED" || call.errno === "ENOENT";
  if (typeof found !== "number") return isMissed ? "no" : null;
  if (call.errno !== null && !isMissed) return null;
  return errnoName(-found) === call.errno ? "yes" : "no";
}

function foreseeWrite(owner: ReplayTask, call: ActiveCall, file: File): Foresight {
  if (file instanceof PipeFile && file.pipe.readers === 0 && (call.value ?? 0) > 0) return "no";
  if (file instanceof PipeFile && call.errno === "EPIPE") return file.pipe.readers === 0 ? "yes" : "no";
  const room = (maskOf(file, owner.task) & WRITABLE) !== 0;
  const addressee = foreseeAddressee(owner, call, file);
  if (addressee !== null) return addressee;
  if (call.errno === "EAGAIN") return room && !isDatagram(file) ? "no" : "unknown";
  if (call.errno !== null || room || !file.nonblock || file instanceof SocketFile) return "unknown";
  return "no";
}
