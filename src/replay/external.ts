/**
 * Descriptions that the model knows only by name: files on a disk, terminals, netlink sockets.
 *
 * A recording shows that a descriptor exists and what kind it is (the `-y` note); it does not hold the content.
 */
import { File, Inode, type PollTable } from "../kernel/fs/file.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { Unmodelled } from "../kernel/lib/assert.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Mode, Open } from "../kernel/uapi/fcntl.ts";
import { DEFAULT_POLLMASK } from "../kernel/uapi/poll.ts";

/** `disk`: always ready, refused by epoll. `sysctl`: always ready (`proc_sys_poll`). `other`: nobody knows. */
export type ExternalKind = "disk" | "sysctl" | "other";

export class ExternalFile extends File {
  readonly kind: ExternalKind;
  readonly note: string;
  /** Whether `flags` is what the recording showed, or a guess (inherited descriptors). */
  readonly flagsKnown: boolean;
  /** It was there before the recording, or came from something that was: what it does is told by the recording alone. */
  readonly outside: boolean;
  /** When its last reference went; null while it is there. */
  releasedNs: number | null = null;

  constructor(kernel: Kernel, note: string, flags: number | null, outside: boolean) {
    super(kernel, new Inode(kernel.allocIno(), Mode.IFREG | 0o600, 0), openedFlags(flags ?? Open.RDWR));
    this.kind = externalKind(note);
    this.note = note;
    this.flagsKnown = flags !== null;
    this.outside = outside;
  }

  /** The model has one directory for all names that a recording makes. */
  override namesBeginAt(task: Task): Inode {
    return (this.flags & Open.DIRECTORY) === 0 ? this.inode : task.kernel.rootfs(task).cwd;
  }

  override get link(): string {
    return this.note;
  }

  override get hasPositions(): boolean {
    return this.kind === "disk";
  }

  override get canPoll(): boolean {
    if (this.kind !== "other") return this.kind === "sysctl";
    throw new Unmodelled(`poll of ${this.note}`);
  }

  override poll(_task: Task, _pt: PollTable | null): number {
    if (this.kind !== "other") return DEFAULT_POLLMASK;
    throw new Unmodelled(`poll of ${this.note}`);
  }

  override release(): void {
    this.releasedNs = this.kernel.clock.nowNs;
  }

  override read(): number {
    throw new Unmodelled(`read of ${this.note}`);
  }

  override write(): number {
    throw new Unmodelled(`write to ${this.note}`);
  }

  override ioctl(_task: Task, request: number): number {
    throw new Unmodelled(`ioctl ${request} on ${this.note}`);
  }

  override seek(): number {
    throw new Unmodelled(`lseek on ${this.note}`);
  }
}

/** A file whose content says nothing about the model: on a disk, or what the kernel shows under /proc and /sys. */
export function hasOwnContent(file: ExternalFile): boolean {
  return file.kind === "disk" || (file.note.startsWith("/") && !/^\/dev\/(pts|tty|ptmx|console)/.test(file.note));
}

/** `build_open_flags`: a 64-bit open sets O_LARGEFILE, except on an O_PATH descriptor. */
function openedFlags(flags: number): number {
  return (flags & Open.PATH) !== 0 ? flags : flags | Open.LARGEFILE;
}

/** Memory devices behave as files on a disk do; the rest of /proc, /sys and /dev are anybody's guess. */
function externalKind(note: string): ExternalKind {
  if (/^\/dev\/(null|zero|full|urandom)(<|$)/.test(note)) return "disk";
  if (note.startsWith("/proc/sys/")) return "sysctl";
  return note.startsWith("/") && !/^\/(proc|sys|dev(?!\/shm\/))(\/|$)/.test(note) && !note.includes("<")
    ? "disk"
    : "other";
}
