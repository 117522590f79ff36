/**
 * Pseudo-terminals by name: /dev/ptmx makes a pair, /dev/pts/N is its slave.
 *
 * Counterpart: `drivers/tty/pty.c` (`ptmx_open`, `pty_unix98_remove`), `fs/devpts/inode.c`.
 * Invariants: the directory names exactly the slaves whose master is open; a number is in use until both sides are closed.
 */
import type { Kernel } from "../../kernel.ts";
import { Unmodelled } from "../../lib/assert.ts";
import { Ida } from "../../lib/ida.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Mode, Open } from "../../uapi/fcntl.ts";
import { In } from "../../uapi/inotify.ts";
import { DirInode } from "../dir.ts";
import { type File, Inode } from "../file.ts";
import { fsnotifyDirent } from "../fsnotify.ts";
import { Tty, TtyFile } from "./tty.ts";

const DEVTMPFS_DEV = 0x6;
const DEVPTS_DEV = 0x17;
/** `makedev(5, 2)`; slaves: `makedev(136, N)`. */
const PTMX_RDEV = 0x502;
const PTS_MAJOR = 0x8800;

/** /dev/pts: the slaves by number. */
export class DevptsDir extends DirInode {
  readonly #slaves = new Map<string, PtsInode>();
  readonly #numbers = new Ida();

  constructor(kernel: Kernel, dev: DirInode) {
    super(kernel, dev, "pts", 0o755, DEVPTS_DEV);
  }

  override lookup(_task: Task, name: string): Inode | null {
    if (name === "ptmx") throw new Unmodelled("/dev/pts/ptmx");
    return this.#slaves.get(name) ?? null;
  }

  /** `ptmx_open`. @returns the master, locked. */
  openMaster(task: Task, inode: Inode, flags: number, path: string): TtyFile {
    const master = Tty.pair(this.#numbers.alloc());
    const slave = new PtsInode(this, master.link);
    slave.uid = task.process.user.uid;
    this.#slaves.set(String(master.index), slave);
    fsnotifyDirent(this, String(master.index), slave, In.CREATE);
    master.open();
    return new TtyFile(this.kernel, inode, flags, path, master, (tty) => this.#closed(tty));
  }

  /**
   * `tty_reopen` and the open of a slave.
   *
   * @errno EIO - the master is gone or locked. @throws Unmodelled without O_NOCTTY: it might become somebody's controlling terminal.
   */
  openSlave(inode: PtsInode, flags: number, path: string): TtyFile | number {
    const { tty } = inode;
    if ((flags & Open.NOCTTY) === 0) throw new Unmodelled("open of a terminal without O_NOCTTY");
    if (tty.count === 0 || tty.otherClosed) return -Errno.EIO;
    const error = tty.open();
    if (error !== 0) return error;
    tty.count += 1;
    return new TtyFile(this.kernel, inode, flags, path, tty, (closed) => this.#closed(closed));
  }

  /** `devpts_pty_kill` when the master goes, `pty_unix98_remove` with the last side. */
  #closed(tty: Tty): void {
    const name = String(tty.index);
    const slave = tty.isMaster ? this.#slaves.get(name) : undefined;
    if (slave !== undefined) {
      this.#slaves.delete(name);
      slave.nlink = 0;
      fsnotifyDirent(this, name, slave, In.DELETE);
    }
    if (tty.count === 0 && tty.link.count === 0) this.#numbers.free(tty.index);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#slaves, this.#numbers];
  }
}

/** /dev/ptmx: every open makes a new pair. */
export class PtmxInode extends Inode {
  readonly #devpts: DevptsDir;

  constructor(kernel: Kernel, devpts: DevptsDir) {
    super(kernel.allocIno(), Mode.IFCHR | 0o666, DEVTMPFS_DEV, PTMX_RDEV);
    this.#devpts = devpts;
  }

  override open(task: Task, flags: number, path: string): File {
    return this.#devpts.openMaster(task, this, flags, path);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#devpts];
  }
}

/** /dev/pts/N. */
class PtsInode extends Inode {
  readonly tty: Tty;
  readonly #devpts: DevptsDir;

  constructor(devpts: DevptsDir, tty: Tty) {
    super(
      tty.index + 3,
      Mode.IFCHR | 0o620,
      DEVPTS_DEV,
      PTS_MAJOR | (tty.index & 0xff) | ((tty.index & 0xfff00) << 12),
    );
    this.tty = tty;
    this.#devpts = devpts;
  }

  override open(_task: Task, flags: number, path: string): File | number {
    return this.#devpts.openSlave(this, flags, path);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#devpts];
  }
}
