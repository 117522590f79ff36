/**
 * inotify on files of a disk.
 *
 * What a path names, and what happens to it, is the disk's affair. Watches are known by the path that they were made with, so
 * their numbers are predicted. Events are acts of the world outside: a read or a wait that finds some proves that they came,
 * and from then on they wait in the queue as Linux keeps it, together with those that the model has put there itself.
 */
import { EVENT_SIZE, eventSize, type InotifyEvent, InotifyGroup } from "../kernel/fs/inotify.ts";
import { Errno } from "../kernel/uapi/errno.ts";
import { In } from "../kernel/uapi/inotify.ts";
import { evalInt, exitOf } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type KnownCall, knownCall } from "./active-call.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { firstFile, NOTHING } from "./records.ts";
import { UNKNOWN_BYTE } from "./user-area.ts";

const PATH_MAX = 4096;
/** What the disk says of a path. */
const DISK_ERRORS: ReadonlySet<string> = new Set("ENOENT ENOTDIR EACCES ELOOP ENAMETOOLONG ENOSPC".split(" "));

/** inotify_add_watch of a path on a disk, and inotify_rm_watch of such a watch. */
export class WatchCall extends ActiveCall {
  readonly #machine: Machine;
  readonly #group: InotifyGroup;
  readonly #path: string;

  /** @returns null for any other call. */
  static of(machine: Machine, owner: ReplayTask, record: CallRecord): WatchCall | null {
    const known = record.name.startsWith("inotify_") ? knownCall(record.name) : null;
    const group = known === null ? null : firstFile(owner, record);
    if (known === null || !(group instanceof InotifyGroup)) return null;
    if (record.name === "inotify_rm_watch") return new WatchCall(machine, owner, record, known, group, "");
    const [, name] = record.args;
    const path = name?.kind === "str" ? String.fromCharCode(...name.bytes.subarray(0, PATH_MAX)) : null;
    return path === null || machine.names.has(path) ? null : new WatchCall(machine, owner, record, known, group, path);
  }

  private constructor(
    machine: Machine,
    owner: ReplayTask,
    record: CallRecord,
    known: KnownCall,
    group: InotifyGroup,
    path: string,
  ) {
    super(owner, record, known, machine.ports);
    this.#machine = machine;
    this.#group = group;
    this.#path = path;
  }

  /** Whether the path can be watched was not the model's to say. */
  get isDisksAffair(): boolean {
    return this.#path !== "" && this.errno !== null && DISK_ERRORS.has(this.errno);
  }

  protected override execute(): number {
    const { errno, value } = this;
    if (this.#path === "") return this.#remove();
    if (this.isDisksAffair) return -Errno.ENOENT;
    const exists = errno === "EEXIST";
    if (!exists && (errno !== null || value === null || value <= 0)) return super.execute();
    const mask = evalInt(this.record.args[2] ?? NOTHING) ?? 0;
    const inode = this.#machine.diskInode(this.#path);
    const given = this.#group.updateWatch(inode, mask);
    if (given === value || exists || value === null) return given;
    // another name of the same file, or another file of the same name
    if (!this.#group.hasWatch(value)) {
      this.#group.watchAs(value, this.#machine.newDiskInode(this.#path), mask);
    }
    this.learnt = true;
    return value;
  }

  /** A watch that is gone although nobody has removed it: so is its file. */
  #remove(): number {
    const wd = evalInt(this.record.args[1] ?? NOTHING) ?? 0;
    if (this.errno !== "EINVAL" || !this.#group.hasWatch(wd)) return super.execute();
    this.#group.removeWatch(wd);
    this.learnt = true;
    return super.execute();
  }
}

/** The events that a read gave. What the recording cut off stands as one event of the right size. */
function eventsOf(record: CallRecord): InotifyEvent[] {
  const length = evalInt(record.result?.values[0] ?? NOTHING) ?? 0;
  const buffer = exitOf(record.args[1] ?? NOTHING);
  const bytes = buffer.kind === "str" ? buffer.bytes.subarray(0, length) : new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const events: InotifyEvent[] = [];
  let at = 0;
  while (at + EVENT_SIZE <= bytes.length) {
    const size = EVENT_SIZE + view.getUint32(at + 12, true);
    if (at + size > length) break;
    const shown = bytes.subarray(at + EVENT_SIZE, at + size);
    const end = shown.indexOf(0);
    const name = end === -1 ? padded(shown, size) : shown.slice(0, end);
    events.push({
      wd: view.getInt32(at, true),
      mask: view.getUint32(at + 4, true),
      cookie: view.getUint32(at + 8, true),
      name,
    });
    at += size;
  }
  if (length - at < EVENT_SIZE) return events;
  const isKnown = bytes.length - at >= 8;
  events.push({
    wd: isKnown ? view.getInt32(at, true) : 0,
    mask: isKnown ? view.getUint32(at + 4, true) : 0,
    cookie: 0,
    name: padded(new Uint8Array(), length - at),
  });
  return events;
}

/** A name that was cut off, as long as its event is. */
function padded(shown: Uint8Array, size: number): Uint8Array {
  const name = new Uint8Array(Math.max(0, size - EVENT_SIZE - 1)).fill(UNKNOWN_BYTE);
  name.set(shown.subarray(0, name.length));
  return name;
}

/**
 * Lets the events come that a read shows, where the model has not put them into the queue itself.
 *
 * @param read - who reads next; null when nobody does.
 * @returns whether there were any.
 */
export function happenAt(group: InotifyGroup, read: CallRecord | null): boolean {
  const waiting = [...group.events];
  if (read === null) {
    if (waiting.length > 0) return false;
    group.requeue([{ wd: 0, mask: 0, cookie: 0, name: new Uint8Array() }]);
    return true;
  }
  const shown = eventsOf(read);
  let own = 0;
  for (const event of shown) {
    const next = waiting[own];
    if (next !== undefined && isSame(next, event)) own += 1;
    else if ((event.mask & In.IGNORED) !== 0) group.forgetWatch(event.wd);
  }
  if (own === shown.length) return false;
  group.requeue([...shown, ...waiting.slice(own)]);
  return true;
}

function isSame(first: InotifyEvent, second: InotifyEvent): boolean {
  return first.wd === second.wd && first.mask === second.mask && eventSize(first) === eventSize(second);
}

/** What a read of `count` bytes would give: whole events. */
export function fittingBytes(group: InotifyGroup, count: number): number {
  let bytes = 0;
  for (const event of group.events) {
    if (bytes + eventSize(event) > count) break;
    bytes += eventSize(event);
  }
  return bytes;
}
