/**
 * Files of /proc and /sys: which of them can be polled, and what they report.
 *
 * Counterpart: `fs/proc/inode.c` (`proc_reg_poll`), `fs/proc_namespace.c` (`mounts_poll`), `fs/proc/proc_sysctl.c`
 * (`proc_sys_poll`), `fs/kernfs/file.c` (`kernfs_generic_poll`), `mm/swapfile.c` (`swaps_poll`).
 * Their text belongs to the machine and is not modelled, save where it cannot be anything else. Nothing in the model mounts,
 * swaps or changes a sysfs attribute, so their queues are never woken.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import { SleepingCall, type Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Seek } from "../uapi/fcntl.ts";
import { DEFAULT_POLLMASK, Poll } from "../uapi/poll.ts";
import { Ioctl } from "../uapi/socket.ts";
import { DirInode, SystemDir } from "./dir.ts";
import { type File, Inode, NamedFile, type PollTable } from "./file.ts";
import { fdinfoText } from "./proc.ts";

const PROC_DEV = 0x15;
const SYSFS_DEV = 0x16;
const NSFS_DEV = 0x4;
const PROC_BLKSIZE = 1024;
const IN2: number = Poll.IN | Poll.RDNORM;

/**
 * What kind of poll a file has: none; always ready; readable, with a queue for changes; a sysfs attribute, which reports a
 * change until it is read; a pressure file without a trigger, which reports one for ever.
 */
export const ProcPoll = { NONE: 0, ALWAYS: 1, CHANGES: 2, ATTRIBUTE: 3, PRESSURE: 4 } as const;
export type ProcPoll = (typeof ProcPoll)[keyof typeof ProcPoll];

export class ProcInode extends Inode {
  readonly kernel: Kernel;
  readonly poll: ProcPoll;
  /** The text, or null when it is the machine's own affair. */
  readonly content: ((task: Task) => string) | null;
  /** Where changes would be announced. */
  readonly wait: WaitQueueHead = new WaitQueueHead();

  constructor(kernel: Kernel, poll: ProcPoll, content: ((task: Task) => string) | null = null) {
    super(kernel.allocIno(), Mode.IFREG | 0o444, poll === ProcPoll.ATTRIBUTE ? SYSFS_DEV : PROC_DEV);
    this.kernel = kernel;
    this.poll = poll;
    this.content = content;
  }

  /** A sysfs attribute claims to be a page long. */
  override get size(): number {
    return this.poll === ProcPoll.ATTRIBUTE ? PAGE_SIZE : 0;
  }

  override get blksize(): number {
    return this.poll === ProcPoll.ATTRIBUTE ? PAGE_SIZE : PROC_BLKSIZE;
  }

  override open(task: Task, flags: number, path: string): File {
    return new ProcFile(this, flags, path, this.content?.(task) ?? null);
  }
}

class ProcFile extends NamedFile {
  readonly proc: ProcInode;
  /** `of->event`: a sysfs attribute that was never read has changed, as far as its reader knows. */
  #changed = true;
  /** What a read gives; null when it is the machine's own affair. */
  protected text: string | null;

  constructor(inode: ProcInode, flags: number, path: string, text: string | null) {
    super(inode.kernel, inode, flags, path);
    this.proc = inode;
    this.text = text;
  }

  override get canPoll(): boolean {
    return this.proc.poll !== ProcPoll.NONE;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override get hasSpliceRead(): boolean {
    return true;
  }

  /** @behaviour E-046, E-047, O-01, O-03, O-05 */
  override poll(_task: Task, pt: PollTable | null): number {
    const { poll, wait } = this.proc;
    if (pt !== null && (poll === ProcPoll.CHANGES || poll === ProcPoll.ATTRIBUTE)) pt.queue(this, wait);
    if (poll === ProcPoll.CHANGES) return IN2;
    const changed = poll === ProcPoll.PRESSURE || (poll === ProcPoll.ATTRIBUTE && this.#changed);
    return changed ? DEFAULT_POLLMASK | Poll.ERR | Poll.PRI : DEFAULT_POLLMASK;
  }

  /** @throws Unmodelled when the text is the machine's own. */
  override read(_task: Task, to: IovIter): number {
    const { text } = this;
    if (text === null) throw new Unmodelled(`read of ${this.path}`);
    this.#changed = false;
    const bytes = Uint8Array.from(text.slice(this.pos, this.pos + to.count), (character) => character.charCodeAt(0));
    const copied = to.copyTo(bytes, 0, bytes.length);
    if (copied < bytes.length && copied === 0) return to.fault();
    this.pos += copied;
    return copied;
  }

  override write(): number {
    throw new Unmodelled(`write to ${this.path}`);
  }

  override seek(offset: number, whence: number): number {
    if (whence > Seek.CUR) throw new Unmodelled(`lseek of ${this.path}`);
    const pos = whence === Seek.CUR ? this.pos + offset : offset;
    if (pos < 0) return -Errno.EINVAL;
    this.pos = pos;
    return pos;
  }

  /** They are regular files: FIONREAD is the size less the position. */
  override ioctl(task: Task, request: number, arg: number): number {
    if (request !== Ioctl.FIONREAD) return -Errno.ENOTTY;
    const { mm } = task.process;
    return mm.putUser32(arg, this.inode.size - this.pos) ? 0 : mm.fault();
  }

  override fsync(): number {
    return this.proc.poll === ProcPoll.ATTRIBUTE ? 0 : -Errno.EINVAL;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#changed];
  }
}

/** /proc/self/fd: a link for each open descriptor, that leads to the file itself rather than to a name. */
export class FdLinkInode extends Inode {
  readonly target: File;

  constructor(target: File) {
    super(target.kernel.allocIno(), Mode.IFLNK | 0o700, PROC_DEV);
    this.target = target;
  }
}

class FdDir extends DirInode {
  override lookup(task: Task, name: string): Inode | null {
    const file = descriptor(name) === -1 ? null : task.process.files.getRaw(descriptor(name));
    return file === null ? null : new FdLinkInode(file);
  }
}

class FdinfoDir extends DirInode {
  override lookup(task: Task, name: string): Inode | null {
    const fd = descriptor(name);
    if (fd === -1 || task.process.files.getRaw(fd) === null) return null;
    return new FdinfoInode(this.kernel, fd);
  }
}

class FdinfoInode extends ProcInode {
  readonly fd: number;

  constructor(kernel: Kernel, fd: number) {
    super(kernel, ProcPoll.NONE);
    this.fd = fd;
  }

  override open(_task: Task, flags: number, path: string): File {
    return new FdinfoFile(this, flags, path);
  }
}

/** /proc/self/fdinfo/N: made up when it is read from the start, for whatever the number is then. */
class FdinfoFile extends ProcFile {
  readonly #fd: number;

  constructor(inode: FdinfoInode, flags: number, path: string) {
    super(inode, flags, path, "");
    this.#fd = inode.fd;
  }

  /**
   * `seq_show`, `ep_show_fdinfo`: the interest list is walked under the epoll's mutex, behind a scan that holds it.
   *
   * @errno ENOENT - the number is no longer open.
   * @behaviour E-016, E-017, E-165
   */
  override read(task: Task, to: IovIter): number {
    if (this.pos !== 0) return super.read(task, to);
    const mutex = task.process.files.getRaw(this.#fd)?.epoll?.mtx ?? null;
    if (mutex !== null && mutex.owner !== null) return mutex.sleep(task, new FdinfoRead(this));
    const text = fdinfoText(task, this.#fd);
    if (text === null) return -Errno.ENOENT;
    this.text = text;
    return super.read(task, to);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#fd];
  }
}

/** A reader of fdinfo asleep behind a scan. */
class FdinfoRead extends SleepingCall {
  readonly #file: FdinfoFile;

  constructor(file: FdinfoFile) {
    super();
    this.#file = file;
  }

  override step(task: Task): number {
    return this.#file.read(task, task.iter);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#file];
  }
}

/** `name_to_int`: a decimal number without leading zeros, or -1. */
function descriptor(name: string): number {
  return /^(0|[1-9]\d{0,8})$/.test(name) ? Number(name) : -1;
}

/** /proc/self: the caller's own. */
class SelfDir extends SystemDir {
  override text(task: Task): string {
    return `/proc/${task.process.tgid}`;
  }
}

/** An open namespace: nothing can be done with it but to hold it. */
class NsInode extends Inode {
  override open(task: Task, flags: number, path: string): File {
    return new NsFile(task.kernel, this, flags, path);
  }
}

class NsFile extends NamedFile {
  override get link(): string {
    return `net:[${this.inode.ino}]`;
  }

  override get canPoll(): boolean {
    return false;
  }

  override get hasRead(): boolean {
    return false;
  }

  override get hasWrite(): boolean {
    return false;
  }

  override poll(): number {
    return DEFAULT_POLLMASK;
  }

  override ioctl(): number {
    throw new Unmodelled("ioctl of a namespace");
  }
}

/** Adds the files of /proc to its directory. */
export function fillProc(kernel: Kernel, proc: SystemDir): void {
  const file = (poll: ProcPoll) => new ProcInode(kernel, poll);
  const self = new SelfDir(kernel, proc, "self", 0o555, PROC_DEV);
  for (const name of ["status", "stat", "statm", "maps", "cmdline", "comm", "environ", "limits", "io", "cgroup"]) {
    self.known.set(name, file(ProcPoll.NONE));
  }
  const mounts = file(ProcPoll.CHANGES);
  self.known.set("mounts", mounts).set("mountinfo", file(ProcPoll.CHANGES));
  self.known.set("fd", new FdDir(kernel, self, "fd", 0o500, PROC_DEV));
  self.known.set("fdinfo", new FdinfoDir(kernel, self, "fdinfo", 0o555, PROC_DEV));
  const ns = new SystemDir(kernel, self, "ns", 0o511, PROC_DEV);
  ns.known.set("net", new NsInode(kernel.allocIno(), Mode.IFREG | 0o444, NSFS_DEV));
  const net = new SystemDir(kernel, self, "net", 0o555, PROC_DEV);
  for (const name of ["tcp", "unix"]) net.known.set(name, file(ProcPoll.ALWAYS));
  self.known.set("ns", ns).set("net", net);
  proc.known.set("self", self).set("net", net).set("mounts", mounts).set("swaps", file(ProcPoll.CHANGES));
  for (const name of ["meminfo", "stat", "loadavg", "uptime", "cpuinfo", "version"]) {
    proc.known.set(name, file(ProcPoll.ALWAYS));
  }
  for (const name of ["cpu", "io", "memory"]) addBelow(kernel, proc, ["pressure", name], file(ProcPoll.PRESSURE));
  fillSysctl(kernel, proc);
}

/** /proc/sys: one file per sysctl that the model has, and the host's name, which has a queue of its own. */
function fillSysctl(kernel: Kernel, proc: SystemDir): void {
  const sys = new SystemDir(kernel, proc, "sys", 0o555, PROC_DEV);
  proc.known.set("sys", sys);
  for (const name of kernel.sysctl.values.keys()) {
    const inode = new ProcInode(kernel, ProcPoll.ALWAYS, () => `${kernel.sysctl.get(name)}\n`);
    addBelow(kernel, sys, name.split("."), inode);
  }
  addBelow(kernel, sys, ["kernel", "hostname"], new ProcInode(kernel, ProcPoll.ALWAYS));
}

/** Adds the files of /sys to its directory. The loopback device's state is always "unknown". */
export function fillSys(kernel: Kernel, sys: SystemDir): void {
  const operstate = new ProcInode(kernel, ProcPoll.ATTRIBUTE, () => "unknown\n");
  addBelow(kernel, sys, ["class", "net", "lo", "operstate"], operstate);
}

/** Puts an inode at a path below a directory, and makes the directories between. */
function addBelow(kernel: Kernel, top: SystemDir, path: readonly string[], inode: Inode): void {
  let dir = top;
  for (const name of path.slice(0, -1)) {
    const known = dir.known.get(name);
    const next: SystemDir = known instanceof SystemDir ? known : new SystemDir(kernel, dir, name, 0o555, dir.dev);
    dir.known.set(name, next);
    dir = next;
  }
  dir.known.set(path[path.length - 1] as string, inode);
}
