/**
 * What a section touches: two sections that touch nothing in common, or only read it, can change places without anybody
 * noticing. In doubt a section touches more than it does.
 *
 * Objects are named by numbers that are the same in every run with the same beginning: those of descriptions and inodes. All
 * sockets are one object, and so are all descriptor tables.
 */
import { Eventpoll } from "../kernel/fs/eventpoll/eventpoll.ts";
import type { FdTable } from "../kernel/fs/fdtable.ts";
import { File } from "../kernel/fs/file.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { assert } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import type { SyscallName } from "../kernel/uapi/unistd.ts";
import { type PortProgram, UserLayout } from "../syscalls/port.ts";

const TABLES = -1;
const SOCKETS = -2;
/** Conflicts with everything. */
const EVERYTHING = -3;
const S_IFMT = 0o170000;
const S_IFSOCK = 0o140000;
const SHARED_BYTES = 16 * 1024;

/** The calls whose every effect goes through descriptors. */
const SAFE: ReadonlySet<SyscallName> = new Set<SyscallName>([
  "read",
  "write",
  "readv",
  "writev",
  "close",
  "dup",
  "dup2",
  "dup3",
  "pipe",
  "pipe2",
  "poll",
  "ppoll",
  "select",
  "pselect6",
  "eventfd",
  "eventfd2",
  "epoll_create",
  "epoll_create1",
  "epoll_ctl",
  "epoll_wait",
  "epoll_pwait",
  "epoll_pwait2",
  "socket",
  "socketpair",
  "bind",
  "listen",
  "connect",
  "accept",
  "accept4",
  "shutdown",
  "sendto",
  "recvfrom",
  "sendmsg",
  "recvmsg",
  "timerfd_create",
  "timerfd_settime",
  "timerfd_gettime",
]);

/** A set of touched objects, each read or written. */
export class Footprint {
  readonly #keys: number[] = [];
  readonly #writes: boolean[] = [];

  add(key: number, write: boolean): void {
    const at = this.#keys.indexOf(key);
    if (at < 0) {
      this.#keys.push(key);
      this.#writes.push(write);
    } else if (write) this.#writes[at] = true;
  }

  addAll(other: Footprint): void {
    for (let i = 0; i < other.#keys.length; i += 1) this.add(other.#keys[i] as number, other.#writes[i] as boolean);
  }

  /** Whether the two may not change places. */
  conflicts(other: Footprint): boolean {
    for (let i = 0; i < this.#keys.length; i += 1) {
      const key = this.#keys[i] as number;
      if (key === EVERYTHING) return true;
      const at = other.#keys.indexOf(key);
      if (at >= 0 && (this.#writes[i] === true || other.#writes[at] === true)) return true;
    }
    return other.#keys.includes(EVERYTHING);
  }
}

/** Collects the footprints of a run. */
export class Tracker {
  #current: Footprint = new Footprint();
  /** What the call that a task is in has touched so far. */
  readonly #ofCall = new Map<number, Footprint>();

  /** Has the descriptor tables of these tasks report what is looked up and changed. */
  watch(tasks: readonly Task[]): void {
    for (const table of new Set(tasks.map((task) => task.process.files))) this.#watchTable(table);
  }

  #watchTable(table: FdTable): void {
    const { get, getRaw, take, replace, reserve, setCloexec } = table;
    table.get = (fd) => this.#looked(get.call(table, fd));
    table.getRaw = (fd) => this.#looked(getRaw.call(table, fd));
    table.take = (fd) => {
      const file = getRaw.call(table, fd);
      if (file !== null) this.#released(file);
      this.#current.add(TABLES, true);
      return take.call(table, fd);
    };
    table.replace = (fd, file, cloexec) => {
      const before = getRaw.call(table, fd);
      if (before !== null) this.#released(before);
      this.#current.add(TABLES, true);
      return replace.call(table, fd, file, cloexec);
    };
    table.reserve = (fd) => {
      this.#current.add(TABLES, true);
      reserve.call(table, fd);
    };
    table.setCloexec = (fd, on) => {
      this.#current.add(TABLES, true);
      setCloexec.call(table, fd, on);
    };
  }

  #looked(file: File | null): File | null {
    this.#current.add(TABLES, false);
    if (file !== null) this.#current.add(keyOf(file), true);
    return file;
  }

  /** A number goes: perhaps with the description, and that with its items. */
  #released(file: File): void {
    this.#current.add(keyOf(file), true);
    for (let node = file.fEp?.first ?? null; node !== null; node = node.next) {
      const hook: object = node.owner;
      if ("ep" in hook && hook.ep instanceof Eventpoll) this.touch(hook.ep, true);
    }
  }

  /** See `Exploration.touch`. */
  touch(object: object, write: boolean): void {
    const file = object instanceof Eventpoll ? object.file : object;
    assert(file instanceof File, "explore: something was touched that has no name");
    this.#current.add(keyOf(file), write);
  }

  /** The running section is one that nothing can change places with. */
  touchEverything(): void {
    this.#current.add(EVERYTHING, true);
  }

  /** Ends a section. @param goesOn - it was not the first of its call. */
  take(task: number, goesOn: boolean): Footprint {
    const footprint = this.#current;
    const before = goesOn ? this.#ofCall.get(task) : undefined;
    if (before !== undefined) footprint.addAll(before);
    else if (goesOn) footprint.add(EVERYTHING, true); // its call began before the race
    this.#ofCall.set(task, footprint);
    this.#current = new Footprint();
    return footprint;
  }
}

function keyOf(file: File): number {
  const { inode, kernel }: { inode: File["inode"]; kernel: Kernel } = file;
  if (inode === kernel.anonInode) return 2 * file.id;
  return (inode.mode & S_IFMT) === S_IFSOCK ? SOCKETS : 2 * inode.ino + 1;
}

/** Whether the footprints of these races tell everything: no signals or futexes, no memory that calls share, no quotas. */
export function isTraceable(program: PortProgram): boolean {
  if (program.setup.sysctls.size > 0 || program.setup.nofile !== null) return false;
  const { arena, edge, frozen, frozenPages, pageSize } = UserLayout;
  const isShared = (address: number): boolean =>
    (address >= arena && address < arena + SHARED_BYTES) ||
    (address >= edge && address < frozen + frozenPages * pageSize);
  return program.steps.every(
    (step) =>
      step.op !== "call" ||
      !isRacing(program, step) ||
      (SAFE.has(step.name) && step.args.every((arg) => typeof arg !== "number" || !isShared(arg))),
  );
}

function isRacing({ steps }: PortProgram, step: PortProgram["steps"][number]): boolean {
  const race = steps.findIndex(({ op }) => op === "race");
  return race >= 0 && steps.indexOf(step) > race;
}
