/**
 * sendfile, splice and their like between a file on a disk and something that the model knows.
 *
 * What the file holds, and where it ends, is the disk's affair. So is how much of the request was moved, unless the other side
 * had no room or nothing to give: what was moved must have fitted, or must have been there.
 */
import { MAX_RW_COUNT, Splice } from "../kernel/uapi/fcntl.ts";
import { syscallTable } from "../syscalls/table.ts";
import { bare, entryOf, evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type KnownCall } from "./active-call.ts";
import { diskSplice, MOVED_MAX } from "./disk-content.ts";
import { ExternalFile, hasOwnContent } from "./external.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { NOTHING } from "./records.ts";
import { peerOf } from "./relations.ts";

/** Which arguments are the source, the destination, the count and the source's position. */
const TRANSFERS: ReadonlyMap<string, readonly [number, number, number, number]> = new Map([
  ["sendfile", [1, 0, 3, 2]],
  ["splice", [0, 2, 4, 1]],
  ["copy_file_range", [0, 2, 4, 1]],
]);
const SPLICE_FLAGS = 5;
/** What the side that the model knows may answer. */
const MOVING: ReadonlySet<string> = new Set(["EAGAIN", "EPIPE", "EINTR"]);
const PART = 1024 * 1024;
const NO_BYTES = new Uint8Array(0);

export class DiskTransfer extends ActiveCall {
  readonly #machine: Machine;
  readonly #fd: number;
  readonly #count: number;
  /** Null when the file on the disk is the destination. */
  readonly #source: ExternalFile | null;

  /** @returns null for any other call, between two files on disks, and for one that was refused whatever the two hold. */
  static of(machine: Machine, owner: ReplayTask, record: CallRecord): DiskTransfer | null {
    const places = TRANSFERS.get(record.name);
    const errno = record.result?.errnos[0] ?? null;
    if (places === undefined || (errno !== null && !MOVING.has(errno) && !errno.startsWith("ERESTART"))) return null;
    const [from, to, count] = places.map((index) => evalInt(record.args[index] ?? NOTHING) ?? -1) as [
      number,
      number,
      number,
      number,
    ];
    const source = onDisk(owner, from);
    const reads = onDisk(owner, to) !== null;
    if (reads === (source !== null)) return null;
    return new DiskTransfer(machine, owner, record, reads ? from : to, count, source);
  }

  private constructor(
    machine: Machine,
    owner: ReplayTask,
    record: CallRecord,
    fd: number,
    count: number,
    source: ExternalFile | null,
  ) {
    const name = source === null ? "read" : "write";
    const known: KnownCall = {
      signature: { name, params: [], describe: null, noReturn: false },
      run: syscallTable[name] ?? (() => 0),
    };
    super(owner, record, known, machine.ports);
    this.#machine = machine;
    this.#fd = fd;
    this.#count = count;
    this.#source = source;
  }

  protected override execute(): number {
    const { owner, errno, value } = this;
    const source = this.#source;
    const wanted = Math.min(errno === null ? (value ?? 0) : this.#count, errno === null ? MAX_RW_COUNT : PART);
    if (wanted <= 0) return 0;
    const length = Math.min(wanted, PART);
    const spliced = source === null ? null : this.#splice(source, wanted);
    if (spliced !== null) return spliced;
    owner.area.reset();
    const addr = owner.area.reserve(length);
    owner.area.writeCut(addr, NO_BYTES, length);
    this.#machine.opaque = true;
    const run = syscallTable[source === null ? "read" : "write"];
    if (run === undefined) return 0;
    for (let done = 0; ; ) {
      const ret = run(owner.task, this.#fd, addr, Math.min(length, wanted - done), 0, 0, 0);
      if (ret <= 0) return done > 0 ? done : ret;
      done += ret;
      if (done >= wanted) return done;
      if (done >= MOVED_MAX && this.#isOutside()) return wanted;
    }
  }

  /** Whoever is at the other end of the socket is not in the recording, and takes everything. */
  #isOutside(): boolean {
    const file = this.owner.task.process.files.getRaw(this.#fd);
    const peer = file === null ? null : peerOf(file);
    return peer !== null && this.#machine.strangers.has(peer);
  }

  /** @returns null where the other side takes copies. */
  #splice(source: ExternalFile, length: number): number | null {
    const { owner, record } = this;
    const output = owner.task.process.files.get(this.#fd);
    if (record.name === "copy_file_range" || output === null || !output.canWrite) return null;
    const nonblock = ((evalInt(record.args[SPLICE_FLAGS] ?? NOTHING) ?? 0) & Splice.NONBLOCK) !== 0;
    const call = diskSplice(source, output, positionOf(record), length, nonblock, this.#isOutside());
    if (call === null) return null;
    this.#machine.opaque = true;
    return call.step(owner.task);
  }
}

/** Where the source was read; 0 when it was at its own position, which is not known. */
function positionOf(record: CallRecord): number {
  const [, , , place] = TRANSFERS.get(record.name) ?? [];
  const shown = bare(entryOf(record.args[place ?? -1] ?? NOTHING));
  const [at] = shown.kind === "array" ? shown.items : [];
  return Math.max(0, at === undefined ? 0 : (evalInt(at) ?? 0));
}

function onDisk(owner: ReplayTask, fd: number): ExternalFile | null {
  const file = owner.task.process.files.getRaw(fd);
  return file instanceof ExternalFile && hasOwnContent(file) ? file : null;
}
