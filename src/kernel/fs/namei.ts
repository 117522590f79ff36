/**
 * Paths: walking, creating and removing names.
 *
 * Counterpart: `fs/namei.c` (`link_path_walk`, `open_last_lookups`, `do_open`, `filename_create`, `do_unlinkat`).
 * There are no symbolic links but those of /proc/self/fd. Groups are not modelled: who is neither root nor owner is anybody.
 */
import { Unmodelled } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Mode, NAME_MAX, Open } from "../uapi/fcntl.ts";
import { In } from "../uapi/inotify.ts";
import { DirInode, SystemDir, TreeDir } from "./dir.ts";
import { fifoOpen } from "./fifo.ts";
import { type File, Inode, NamedFile } from "./file.ts";
import { fsnotifyDirent, fsnotifyFile, fsnotifyInode, fsnotifyInodeGone } from "./fsnotify.ts";
import { PipeInode } from "./pipe.ts";
import { PipeFile } from "./pipe-file.ts";
import { FdLinkInode } from "./procfs.ts";
import { RegularInode } from "./regular.ts";

const { ENOENT, EEXIST, ENOTDIR, EISDIR, EACCES, EINVAL } = Errno;
/** `MAY_EXEC`, `MAY_WRITE`, `MAY_READ`. */
const May = { EXEC: 1, WRITE: 2, READ: 4 } as const;
/** The usual umask. */
const UMASK = 0o022;

/** What the last component of a path is: `enum last_type`. */
const LastType = { NORM: 0, ROOT: 1, DOT: 2, DOTDOT: 3 } as const;
type LastType = (typeof LastType)[keyof typeof LastType];

/** A path but for its last component. */
interface Parent {
  readonly dir: DirInode;
  readonly name: string;
  readonly type: LastType;
  /** Something follows the name: a slash, which only a directory can bear. */
  readonly slash: boolean;
}

/** `inode_permission`. @param mask - MAY_*: 1 execute, 2 write, 4 read. */
export function inodePermission(task: Task, inode: Inode, mask: number): boolean {
  const { privileged, traced } = task.process;
  if (privileged || traced) return true; // a recording does not show the modes of what it names, only what came of it
  const owner = task.process.user.uid === inode.uid;
  return ((inode.mode >> (owner ? 6 : 0)) & mask) === mask;
}

/**
 * `link_path_walk`.
 *
 * @param start - where a relative path begins.
 * @errno ENOENT - a directory on the way is missing. ENOTDIR - something on the way is none. EACCES - one may not be
 *   searched. ENAMETOOLONG - a name of more than 255 bytes.
 */
function walkToParent(task: Task, start: DirInode, path: string): Parent | number {
  let dir = path.startsWith("/") ? task.kernel.rootfs(task).root : start;
  const names = path.split("/").filter((name) => name !== "");
  const last = names.pop();
  if (last === undefined) return { dir, name: "", type: LastType.ROOT, slash: true };
  for (const name of names) {
    const next = step(task, dir, name);
    if (typeof next === "number") return next;
    const inode = next instanceof FdLinkInode ? next.target.inode : next;
    if (!(inode instanceof DirInode)) return -ENOTDIR;
    dir = inode;
  }
  if (!inodePermission(task, dir, May.EXEC)) return -EACCES;
  if (last.length > NAME_MAX) return -Errno.ENAMETOOLONG;
  const type = last === "." ? LastType.DOT : last === ".." ? LastType.DOTDOT : LastType.NORM;
  return { dir, name: last, type, slash: path.endsWith("/") };
}

/** One component on the way. */
function step(task: Task, dir: DirInode, name: string): Inode | number {
  if (!inodePermission(task, dir, May.EXEC)) return -EACCES;
  if (name === ".") return dir;
  if (name === "..") return dir.parent ?? dir;
  if (name.length > NAME_MAX) return -Errno.ENAMETOOLONG;
  return dir.lookup(task, name) ?? -ENOENT;
}

/** What the last component names now, or null. */
function lookupLast(task: Task, { dir, name, type }: Parent): Inode | null {
  if (type === LastType.NORM) return dir.lookup(task, name);
  return type === LastType.DOTDOT ? (dir.parent ?? dir) : dir;
}

/** Text of the /proc/self/fd link of what is opened there. */
function linkText(task: Task, { dir, name, type }: Parent, inode: Inode): string {
  if (inode instanceof DirInode) return inode.text(task) || "/";
  return type === LastType.NORM ? `${dir.text(task)}/${name}` : dir.text(task);
}

/** An O_PATH description: it names a file and cannot touch it. */
class PathFile extends NamedFile {
  override poll(): number {
    throw new Unmodelled("poll of an O_PATH descriptor"); // `FdTable.get` hides it
  }
}

/**
 * `do_filp_open`. A FIFO that must wait for its other side comes back with `awaited` set.
 *
 * @param flags - as `build_open_flags` leaves them.
 * @param mode - permissions of a file that O_CREAT makes.
 * @errno as `walkToParent`, and: EEXIST - O_EXCL. EISDIR - writing to a directory, or O_CREAT of one. ENOTDIR - a slash or
 *   O_DIRECTORY behind something else. ELOOP - O_NOFOLLOW of a link. EACCES - permission. ENXIO - sockets and anonymous
 *   files; a FIFO without a reader. EINVAL - O_DIRECT of what has none.
 * @behaviour E-009, P-35, P-38
 */
export function doFilpOpen(task: Task, start: DirInode, path: string, flags: number, mode: number): File | number {
  const parent = walkToParent(task, start, path);
  if (typeof parent === "number") return parent;
  const creates = (flags & Open.CREAT) !== 0;
  if (creates && parent.slash && parent.type === LastType.NORM) return -EISDIR;
  const inode = lookupLast(task, parent);
  if (inode === null) {
    // The permissions of a file that is just being created do not bind its creator.
    if (!creates) return -ENOENT;
    const made = create(task, parent, new RegularInode(task.kernel, mode & ~UMASK, parent.dir.dev));
    return typeof made === "number" ? made : opened(vfsOpen(task, made, flags, linkText(task, parent, made)), parent);
  }
  if (inode instanceof FdLinkInode) {
    if (creates && (flags & Open.EXCL) !== 0) return -EEXIST;
    if ((flags & Open.NOFOLLOW) !== 0) {
      if ((flags & Open.PATH) !== 0) throw new Unmodelled("open of a symbolic link itself");
      return -Errno.ELOOP;
    }
    return openChecked(task, parent, inode.target.inode, flags, pathOf(inode.target));
  }
  return openChecked(task, parent, inode, flags, linkText(task, parent, inode));
}

/** The path that a description was opened by, as far as it has one. */
function pathOf(file: File): string {
  return file instanceof NamedFile || file instanceof PipeFile ? (file.path ?? file.link) : file.link;
}

/** `do_open` for what exists already. */
function openChecked(task: Task, parent: Parent, inode: Inode, flags: number, text: string): File | number {
  const isDir = inode instanceof DirInode;
  if ((flags & Open.CREAT) !== 0) {
    if ((flags & Open.EXCL) !== 0) return -EEXIST;
    if (isDir) return -EISDIR;
  }
  if (((flags & Open.DIRECTORY) !== 0 || parent.slash) && !isDir) return -ENOTDIR;
  if ((flags & Open.PATH) !== 0) return new PathFile(task.kernel, inode, flags, text);
  let mask = OPEN_MASK[flags & Open.ACCMODE] as number;
  if ((flags & Open.TRUNC) !== 0) mask |= May.WRITE;
  if (isDir && (mask & May.WRITE) !== 0) return -EISDIR;
  if (!inodePermission(task, inode, mask)) return -EACCES;
  const file = opened(vfsOpen(task, inode, flags, text), parent);
  if (typeof file !== "number" && (flags & Open.TRUNC) !== 0 && inode instanceof RegularInode) {
    inode.resize(0);
    fsnotifyInode(inode, parent, In.MODIFY);
  }
  return file;
}

/** `ACC_MODE`: mode 3 asks for both and gives neither. */
const OPEN_MASK: readonly number[] = [May.READ, May.WRITE, May.READ | May.WRITE, May.READ | May.WRITE];

/** `do_dentry_open`: O_DIRECT is looked at when the file is open, and closes it again. */
function vfsOpen(task: Task, inode: Inode, flags: number, text: string): File | number {
  if ((flags & Open.DIRECT) !== 0 && inode instanceof RegularInode) throw new Unmodelled("O_DIRECT on a regular file");
  const file = inode instanceof PipeInode ? fifoOpen(inode, task, flags, text) : inode.open(task, flags, text);
  if (typeof file === "number" || (flags & Open.DIRECT) === 0) return file;
  file.put();
  return -EINVAL;
}

/** Remembers the name that a description was opened by, and tells watchers. */
function opened(file: File | number, parent: Parent): File | number {
  if (file instanceof NamedFile) {
    if (parent.type === LastType.NORM) {
      file.dentry = parent;
      parent.dir.opens += 1; // a name keeps the directory that it stands in
    }
    fsnotifyFile(file, In.OPEN);
  }
  return file;
}

/** Gives a new inode its name. @errno EACCES - the directory may not be changed. */
function create(task: Task, { dir, name }: Parent, inode: Inode): Inode | number {
  if (!(dir instanceof TreeDir)) throw new Unmodelled(`a new file in ${dir.text(task)}`);
  if (!inodePermission(task, dir, May.WRITE | May.EXEC)) return -EACCES;
  inode.uid = task.process.user.uid;
  dir.add(name, inode);
  fsnotifyDirent(dir, name, inode, In.CREATE);
  return inode;
}

/** `filename_create`: the place for a name that must be new. */
function placeForNew(task: Task, start: DirInode, path: string, directory: boolean): Parent | number {
  const parent = walkToParent(task, start, path);
  if (typeof parent === "number") return parent;
  if (parent.type !== LastType.NORM || lookupLast(task, parent) !== null) return -EEXIST;
  return parent.slash && !directory ? -ENOENT : parent;
}

/** mkdir. @errno as `walkToParent`, and EEXIST, EACCES. */
export function doMkdir(task: Task, start: DirInode, path: string, mode: number): number {
  const parent = placeForNew(task, start, path, true);
  if (typeof parent === "number") return parent;
  const { dir, name } = parent;
  const made = create(task, parent, new TreeDir(task.kernel, dir, name, mode & 0o1777 & ~UMASK, dir.dev));
  return typeof made === "number" ? made : 0;
}

const MKNOD_TYPES: ReadonlySet<number> = new Set<number>([
  0,
  Mode.IFREG,
  Mode.IFIFO,
  Mode.IFSOCK,
  Mode.IFCHR,
  Mode.IFBLK,
]);

/** `may_mknod`. @errno EPERM - a directory. EINVAL - an unknown type. */
export function mayMknod(mode: number): number {
  const type = mode & Mode.IFMT;
  if (type === Mode.IFDIR) return -Errno.EPERM;
  return MKNOD_TYPES.has(type) ? 0 : -EINVAL;
}

/**
 * mknod of a FIFO, a socket or a regular file, of a type that `mayMknod` has let pass.
 *
 * @returns the inode.
 * @errno as `walkToParent`, and: EPERM - a device without privilege. EEXIST, EACCES. ENOENT - a slash at the end.
 */
export function doMknod(task: Task, start: DirInode, path: string, mode: number): Inode | number {
  const { kernel } = task;
  const type = mode & Mode.IFMT;
  const parent = placeForNew(task, start, path, false);
  if (typeof parent === "number") return parent;
  const permissions = mode & 0o7777 & ~UMASK;
  const { dev } = parent.dir;
  if (type === Mode.IFCHR || type === Mode.IFBLK) {
    if (!task.process.privileged) return -Errno.EPERM;
    throw new Unmodelled("mknod of a device");
  }
  if (type === Mode.IFIFO) return create(task, parent, new PipeInode(kernel, false, permissions, dev));
  if (type === Mode.IFSOCK) return create(task, parent, new Inode(kernel.allocIno(), Mode.IFSOCK | permissions, dev));
  return create(task, parent, new RegularInode(kernel, permissions, dev));
}

/** unlink. @errno as `walkToParent`, and ENOENT, EISDIR, EACCES; ENOTDIR - a slash behind a file. */
export function doUnlink(task: Task, start: DirInode, path: string): number {
  const parent = walkToParent(task, start, path);
  if (typeof parent === "number") return parent;
  if (parent.type !== LastType.NORM) return -EISDIR;
  const inode = lookupLast(task, parent);
  if (inode === null) return -ENOENT;
  if (parent.slash) return inode instanceof DirInode ? -EISDIR : -ENOTDIR;
  return remove(task, parent, inode, false);
}

/**
 * rmdir.
 *
 * @errno as `walkToParent`, and: EINVAL - ".". ENOTEMPTY - "..", or names are left. EBUSY - the root. ENOENT, ENOTDIR,
 *   EACCES.
 */
export function doRmdir(task: Task, start: DirInode, path: string): number {
  const parent = walkToParent(task, start, path);
  if (typeof parent === "number") return parent;
  if (parent.type === LastType.DOTDOT) return -Errno.ENOTEMPTY;
  if (parent.type === LastType.DOT) return -EINVAL;
  if (parent.type === LastType.ROOT) return -Errno.EBUSY;
  const inode = lookupLast(task, parent);
  return inode === null ? -ENOENT : remove(task, parent, inode, true);
}

/** `may_delete` and the removal. */
function remove(task: Task, { dir, name }: Parent, inode: Inode, directory: boolean): number {
  if (!(dir instanceof TreeDir)) throw new Unmodelled(`unlink in ${dir.text(task)}`);
  if (!inodePermission(task, dir, May.WRITE | May.EXEC)) return -EACCES;
  if (inode instanceof DirInode !== directory) return directory ? -ENOTDIR : -EISDIR;
  if (inode instanceof SystemDir) throw new Unmodelled(`rmdir of ${inode.text(task)}`);
  if (inode instanceof TreeDir && inode.children.size > 0) return -Errno.ENOTEMPTY;
  dir.remove(name, inode);
  if (!directory) fsnotifyInode(inode, null, In.ATTRIB);
  if (inode.opens === 0) fsnotifyInodeGone(inode);
  else if (directory) {
    inode.pinned = dir;
    dir.opens += 1;
  }
  fsnotifyDirent(dir, name, inode, In.DELETE);
  return 0;
}

/** `kern_path`: what a path names. @errno as `walkToParent`, and ENOENT, ENOTDIR. */
export function kernPath(task: Task, start: DirInode, path: string): Inode | number {
  const parent = walkToParent(task, start, path);
  if (typeof parent === "number") return parent;
  const found = lookupLast(task, parent);
  if (found === null) return -ENOENT;
  const inode = found instanceof FdLinkInode ? found.target.inode : found;
  return parent.slash && !(inode instanceof DirInode) ? -ENOTDIR : inode;
}
