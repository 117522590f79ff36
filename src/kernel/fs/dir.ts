/**
 * Directories of the model's small file tree.
 *
 * Counterpart: `struct dentry` and `fs/libfs.c` as far as names and lookups go. There is one name per inode and no rename.
 */
import type { Kernel } from "../kernel.ts";
import { Unmodelled } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, Seek } from "../uapi/fcntl.ts";
import { DEFAULT_POLLMASK } from "../uapi/poll.ts";
import { type File, Inode, NamedFile } from "./file.ts";

const EISDIR = -Errno.EISDIR;
/** An empty directory: its own name and ".". */
const DIR_NLINK = 2;

export abstract class DirInode extends Inode {
  readonly kernel: Kernel;
  readonly parent: DirInode | null;
  readonly name: string;

  /** @param name - empty for the root, whose parent is null. */
  constructor(kernel: Kernel, parent: DirInode | null, name: string, permissions: number, dev: number) {
    super(kernel.allocIno(), Mode.IFDIR | permissions, dev);
    this.kernel = kernel;
    this.parent = parent;
    this.name = name;
    this.nlink = DIR_NLINK;
  }

  /** Path of the directory, as `task` sees it; the root's is empty. */
  text(task: Task): string {
    return this.parent === null ? "" : `${this.parent.text(task)}/${this.name}`;
  }

  /**
   * `->lookup`. @returns null when there is no such name.
   * @throws Unmodelled where a real machine may have one.
   */
  abstract lookup(task: Task, name: string): Inode | null;

  override open(task: Task, flags: number, path: string): File {
    return new DirFile(task.kernel, this, flags, path);
  }
}

/** A directory whose content is all there is: what programs create goes here. */
export class TreeDir extends DirInode {
  readonly children: Map<string, Inode> = new Map<string, Inode>();

  override lookup(_task: Task, name: string): Inode | null {
    return this.children.get(name) ?? null;
  }

  add(name: string, inode: Inode): void {
    this.children.set(name, inode);
    if (inode instanceof DirInode) this.nlink += 1;
  }

  /** Takes the name away; what it named lives on while it is open. */
  remove(name: string, inode: Inode): void {
    this.children.delete(name);
    if (inode instanceof DirInode) {
      inode.nlink = 0;
      this.nlink -= 1;
    } else {
      inode.nlink -= 1;
    }
  }
}

/** A directory of the system, of which the model knows a part. */
export class SystemDir extends DirInode {
  readonly known: Map<string, Inode> = new Map<string, Inode>();

  override lookup(task: Task, name: string): Inode {
    const inode = this.known.get(name);
    if (inode === undefined) throw new Unmodelled(`the path ${this.text(task)}/${name}`);
    return inode;
  }
}

/** An open directory. Reading its entries takes getdents, which is not modelled. */
class DirFile extends NamedFile {
  override get canPoll(): boolean {
    return false;
  }

  override poll(): number {
    return DEFAULT_POLLMASK;
  }

  override get hasPositions(): boolean {
    return true;
  }

  /** `generic_read_dir`. */
  override read(): number {
    return EISDIR;
  }

  override seek(offset: number, whence: number): number {
    if (whence === Seek.END) throw new Unmodelled("lseek(SEEK_END) of a directory");
    const pos = whence === Seek.CUR ? this.pos + offset : offset;
    if (whence > Seek.END || pos < 0) return -Errno.EINVAL;
    this.pos = pos;
    return pos;
  }

  /** `noop_fsync`; /proc and /sys have none. */
  override fsync(): number {
    let top = this.inode as DirInode;
    while (top.parent !== null && top.parent.parent !== null) top = top.parent;
    return top.name === "proc" || top.name === "sys" ? -Errno.EINVAL : 0;
  }
}
