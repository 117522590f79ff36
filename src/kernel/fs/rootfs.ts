/**
 * The file tree of a machine: what programs find, and a directory of their own.
 *
 * Counterpart: `init/do_mounts.c` and the file systems it leads to, down to the few names that programs which poll ask for.
 */
import type { Kernel } from "../kernel.ts";
import type { UserStruct } from "../sched/process.ts";
import { type DirInode, SystemDir, TreeDir } from "./dir.ts";
import { KmsgInode } from "./kmsg.ts";
import { memoryDevices, tunDevice } from "./mem.ts";
import { fillProc, fillSys } from "./procfs.ts";
import { DevptsDir, PtmxInode } from "./tty/pty.ts";

const ROOT_DEV = 0xfe00;
const PROC_DEV = 0x15;
const SYSFS_DEV = 0x16;
const DEVTMPFS_DEV = 0x6;

export class Rootfs {
  readonly root: DirInode;
  /** Every task's working directory: empty at first, and its user's own. */
  readonly cwd: TreeDir;

  /** @param user - who may create files in the working directory. */
  constructor(kernel: Kernel, user: UserStruct) {
    const root = new SystemDir(kernel, null, "", 0o755, ROOT_DEV);
    const dev = new SystemDir(kernel, root, "dev", 0o755, DEVTMPFS_DEV);
    const net = new SystemDir(kernel, dev, "net", 0o755, DEVTMPFS_DEV);
    const proc = new SystemDir(kernel, root, "proc", 0o555, PROC_DEV);
    const sys = new SystemDir(kernel, root, "sys", 0o555, SYSFS_DEV);
    for (const [name, device] of memoryDevices(kernel)) dev.known.set(name, device);
    net.known.set("tun", tunDevice(kernel));
    const pts = new DevptsDir(kernel, dev);
    dev.known.set("net", net).set("pts", pts).set("ptmx", new PtmxInode(kernel, pts));
    dev.known.set("kmsg", new KmsgInode(kernel));
    fillProc(kernel, proc);
    fillSys(kernel, sys);
    this.cwd = new TreeDir(kernel, root, "work", 0o755, ROOT_DEV);
    this.cwd.uid = user.uid;
    root.known.set("dev", dev).set("proc", proc).set("sys", sys).set("work", this.cwd);
    root.known.set("tmp", new SystemDir(kernel, root, "tmp", 0o1777, ROOT_DEV));
    this.root = root;
  }
}
