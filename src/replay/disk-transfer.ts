/**
 * sendfile, splice and their like between a file on a disk and something that the model knows.
 *
 * What the file holds, and where it ends, is the disk's affair. So is how much of the request was moved, unless the other side
 * had no room or nothing to give: what was moved must have fitted, or must have been there.
 */
import { MAX_RW_COUNT } from "../kernel/uapi/fcntl.ts";
import { syscallTable } from "../syscalls/table.ts";
import { evalInt } from "../trace/abi/evaluate.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { ActiveCall, type KnownCall } from "./active-call.ts";
import { ExternalFile, hasOwnContent } from "./external.ts";
import type { Machine, ReplayTask } from "./machine.ts";
import { NOTHING } from "./records.ts";

/** Which arguments are the source, the destination and the count. */
const TRANSFERS: ReadonlyMap<string, readonly [number, number, number]> = new Map([
  ["sendfile", [1, 0, 3]],
  ["splice", [0, 2, 4]],
  ["copy_file_range", [0, 2, 4]],
]);
/** What the side that the model knows may answer. */
const MOVING: ReadonlySet<string> = new Set(["EAGAIN", "EPIPE", "EINTR"]);
const PART = 1024 * 1024;
/** Whoever has taken so much in one call reads as fast as it comes, and has taken the rest as well. */
const MOVED_MAX = 8 * 1024 * 1024;
const NO_BYTES = new Uint8Array(0);

export class DiskTransfer extends ActiveCall {
  readonly #machine: Machine;
  readonly #fd: number;
  readonly #count: number;
  readonly #reads: boolean;

  /** @returns null for any other call, between two files on disks, and for one that was refused whatever the two hold. */
  static of(machine: Machine, owner: ReplayTask, record: CallRecord): DiskTransfer | null {
    const places = TRANSFERS.get(record.name);
    const errno = record.result?.errnos[0] ?? null;
    if (places === undefined || (errno !== null && !MOVING.has(errno) && !errno.startsWith("ERESTART"))) return null;
    const [from, to, count] = places.map((index) => evalInt(record.args[index] ?? NOTHING) ?? -1) as [
      number,
      number,
      number,
    ];
    const reads = isOnDisk(owner, to);
    if (reads === isOnDisk(owner, from)) return null;
    return new DiskTransfer(machine, owner, record, reads ? from : to, count, reads);
  }

  private constructor(
    machine: Machine,
    owner: ReplayTask,
    record: CallRecord,
    fd: number,
    count: number,
    reads: boolean,
  ) {
    const name = reads ? "read" : "write";
    const known: KnownCall = {
      signature: { name, params: [], describe: null, noReturn: false },
      run: syscallTable[name] ?? (() => 0),
    };
    super(owner, record, known, machine.ports);
    this.#machine = machine;
    this.#fd = fd;
    this.#count = count;
    this.#reads = reads;
  }

  protected override execute(): number {
    const { owner, errno, value } = this;
    const length = Math.min(errno === null ? (value ?? 0) : this.#count, PART);
    if (length <= 0) return 0;
    owner.area.reset();
    const addr = owner.area.reserve(length);
    owner.area.writeCut(addr, NO_BYTES, length);
    this.#machine.opaque = true;
    const run = syscallTable[this.#reads ? "read" : "write"];
    if (run === undefined) return 0;
    const wanted = Math.min(value ?? length, MAX_RW_COUNT);
    for (let done = 0; ; ) {
      const ret = run(owner.task, this.#fd, addr, Math.min(length, wanted - done), 0, 0, 0);
      if (ret <= 0) return done > 0 ? done : ret;
      done += ret;
      if (done >= wanted) return done;
      if (done >= MOVED_MAX) return wanted;
    }
  }
}

function isOnDisk(owner: ReplayTask, fd: number): boolean {
  const file = owner.task.process.files.getRaw(fd);
  return file instanceof ExternalFile && hasOwnContent(file);
}
