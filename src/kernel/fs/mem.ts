/**
 * The memory devices, the random devices, and devices that can be polled and little else before somebody attaches them.
 *
 * Counterpart: `drivers/char/mem.c`, `drivers/char/random.c`, `drivers/net/tun.c`, `fs/fuse/dev.c`.
 * Of the memory and random devices only /dev/random has a poll method; epoll refuses the others (O-01, E-045).
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { PAGE_SIZE } from "../mm/mm.ts";
import type { Task } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode } from "../uapi/fcntl.ts";
import { DEFAULT_POLLMASK, Poll } from "../uapi/poll.ts";
import { type File, Inode, NamedFile, noopSeek, type PollTable } from "./file.ts";

const DEVTMPFS_DEV = 0x6;
const IN2: number = Poll.IN | Poll.RDNORM;
const zeros = new Uint8Array(PAGE_SIZE);
const noise = new Uint8Array(PAGE_SIZE);

/** How a device makes the description of an open. */
type DeviceOpen = (inode: DeviceInode, flags: number, path: string) => File;

export class DeviceInode extends Inode {
  readonly kernel: Kernel;
  readonly #open: DeviceOpen;

  /** @param rdev - `makedev(major, minor)`: the major number in bits 8 to 19. */
  constructor(kernel: Kernel, rdev: number, permissions: number, open: DeviceOpen) {
    super(kernel.allocIno(), Mode.IFCHR | permissions, DEVTMPFS_DEV, rdev);
    this.kernel = kernel;
    this.#open = open;
  }

  override open(_task: Task, flags: number, path: string): File {
    return this.#open(this, flags, path);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return []; // how it opens goes with its number
  }
}

abstract class DeviceFile extends NamedFile {
  constructor(inode: DeviceInode, flags: number, path: string) {
    super(inode.kernel, inode, flags, path);
  }

  override get canPoll(): boolean {
    return false;
  }

  override get hasPositions(): boolean {
    return true;
  }

  override poll(_task: Task, _pt: PollTable | null): number {
    return DEFAULT_POLLMASK;
  }
}

/** /dev/null: reads end at once, writes vanish. */
export class NullFile extends DeviceFile {
  /** @param inode - null for a descriptor that no open of the model has made: the first three of a process. */
  constructor(kernel: Kernel, flags: number, inode: DeviceInode | null = null) {
    super(inode ?? nullDevice(kernel), flags, "/dev/null");
  }

  override get hasSpliceWrite(): boolean {
    return true;
  }

  override read(_task: Task, _to: IovIter): number {
    return 0;
  }

  override write(_task: Task, from: IovIter): number {
    return from.count;
  }

  /** `null_lseek`. */
  override seek(_offset: number, _whence: number): number {
    return 0;
  }
}

/** /dev/zero: endless zeros to read. */
class ZeroFile extends DeviceFile {
  override get hasSpliceRead(): boolean {
    return true;
  }

  override get hasSpliceWrite(): boolean {
    return true;
  }

  override read(_task: Task, to: IovIter): number {
    return copyPages(zeros, to);
  }

  override write(_task: Task, from: IovIter): number {
    return from.count;
  }

  override seek(): number {
    return 0;
  }
}

/** /dev/full: zeros to read, and never room to write. */
class FullFile extends ZeroFile {
  override get hasSpliceWrite(): boolean {
    return false;
  }

  override get hasWriteIter(): boolean {
    return false;
  }

  override write(_task: Task, _from: IovIter): number {
    return -Errno.ENOSPC;
  }
}

/**
 * /dev/urandom and /dev/random. The bytes are no secret here: a fixed sequence, since no program can rely on any.
 */
class RandomFile extends DeviceFile {
  #state = 1;

  override get hasSpliceRead(): boolean {
    return true;
  }

  override get hasSpliceWrite(): boolean {
    return true;
  }

  override read(_task: Task, to: IovIter): number {
    for (let i = 0; i < noise.length; i += 1) {
      this.#state = (Math.imul(this.#state, 1103515245) + 12345) & 0x7fffffff;
      noise[i] = this.#state >> 16;
    }
    return copyPages(noise, to);
  }

  /** `write_pool_user`: whatever is written is stirred in. @errno EFAULT - the buffer. */
  override write(_task: Task, from: IovIter): number {
    let done = 0;
    while (from.count > 0) {
      const copied = from.copyFrom(noise, 0, Math.min(PAGE_SIZE, from.count));
      if (copied === 0) return done === 0 ? from.fault() : done;
      done += copied;
    }
    return done;
  }

  override get hasFasync(): boolean {
    return true;
  }

  /** `random_ioctl`. @errno EINVAL - an unknown request, rather than ENOTTY. */
  override ioctl(_task: Task, request: number, _arg: number): number {
    if (((request >> 8) & 0xff) === RANDOM_IOCTL_TYPE) throw new Unmodelled(`ioctl(${this.path}, ${request})`);
    return -Errno.EINVAL;
  }

  override seek(_offset: number, whence: number): number {
    return noopSeek(this.pos, whence);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#state];
  }
}

/** The `'R'` of `_IOR('R', ...)`. */
const RANDOM_IOCTL_TYPE = 0x52;

/** /dev/random: can be polled, and is ready, since the generator was seeded at boot (O-02). */
class PollableRandomFile extends RandomFile {
  /** `crng_init_wait`: nobody wakes it after boot. */
  readonly #initWait = new WaitQueueHead();

  override get canPoll(): boolean {
    return true;
  }

  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.#initWait);
    return IN2;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#initWait];
  }
}

/**
 * /dev/net/tun and /dev/fuse before they are attached poll as an error (O-05). What else they do is not modelled, so nothing
 * ever wakes who waits for them.
 */
class UnattachedFile extends DeviceFile {
  readonly #wait = new WaitQueueHead();

  override get canPoll(): boolean {
    return true;
  }

  override poll(_task: Task, pt: PollTable | null): number {
    if (pt !== null) pt.queue(this, this.#wait);
    return Poll.ERR;
  }

  override read(): number {
    throw new Unmodelled(`read of ${this.path}`);
  }

  override write(): number {
    throw new Unmodelled(`write to ${this.path}`);
  }

  override ioctl(): number {
    throw new Unmodelled(`ioctl of ${this.path}`);
  }

  override checkFlags(): number {
    throw new Unmodelled(`fcntl(F_SETFL) of ${this.path}`);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#wait];
  }
}

/** Copies a page over and over. @returns bytes copied, or `-EFAULT` if none could be. */
function copyPages(page: Uint8Array, to: IovIter): number {
  let done = 0;
  while (to.count > 0) {
    const want = Math.min(page.length, to.count);
    const copied = to.copyTo(page, 0, want);
    done += copied;
    if (copied < want) {
      const fault = to.fault();
      return done === 0 ? fault : done;
    }
  }
  return done;
}

const WORLD = 0o666;
const ROOT_ONLY = 0o600;

function nullDevice(kernel: Kernel): DeviceInode {
  return new DeviceInode(kernel, 0x103, WORLD, (inode, flags) => new NullFile(inode.kernel, flags, inode));
}

/** The devices of /dev by name. */
export function memoryDevices(kernel: Kernel): Map<string, DeviceInode> {
  return new Map<string, DeviceInode>([
    ["null", nullDevice(kernel)],
    ["zero", new DeviceInode(kernel, 0x105, WORLD, (...open) => new ZeroFile(...open))],
    ["full", new DeviceInode(kernel, 0x107, WORLD, (...open) => new FullFile(...open))],
    ["random", new DeviceInode(kernel, 0x108, WORLD, (...open) => new PollableRandomFile(...open))],
    ["urandom", new DeviceInode(kernel, 0x109, WORLD, (...open) => new RandomFile(...open))],
    ["fuse", new DeviceInode(kernel, 0xae5, ROOT_ONLY, (...open) => new UnattachedFile(...open))],
  ]);
}

/** /dev/net/tun. */
export function tunDevice(kernel: Kernel): DeviceInode {
  return new DeviceInode(kernel, 0xac8, ROOT_ONLY, (...open) => new UnattachedFile(...open));
}
