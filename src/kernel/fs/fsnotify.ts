/**
 * Telling whoever watches a file or a directory what happens to it.
 *
 * Counterpart: `fs/notify/fsnotify.c` (`fsnotify`), `include/linux/fsnotify.h`.
 * Regular files and directories of the in-memory tree report; sockets, FIFOs and devices do not.
 */
import { In } from "../uapi/inotify.ts";
import type { DirInode } from "./dir.ts";
import type { Inode, NamedFile } from "./file.ts";

/** `struct fsnotify_mark`: one watch on an inode. */
export interface FsnotifyMark {
  /**
   * `handle_event`.
   *
   * @param name - the child that it happened to, or null for the watched inode itself.
   * @param unlinked - it happened through a description whose name has been removed.
   */
  notify(mask: number, name: string | null, unlinked: boolean): void;
  /** The inode is gone: the watch goes with it. */
  inodeGone(): void;
}

/** Where a name stands: `struct dentry`. */
export interface Dentry {
  readonly dir: DirInode;
  readonly name: string;
}

function notifyMarks(inode: Inode, mask: number, name: string | null, unlinked = false): void {
  if (inode.marks === null) return;
  for (const mark of [...inode.marks]) mark.notify(mask, name, unlinked);
}

/** `fsnotify_dirent`: a name in `dir` came or went. */
export function fsnotifyDirent(dir: DirInode, name: string, inode: Inode, mask: number): void {
  notifyMarks(dir, mask | isDir(inode), name);
}

/** `fsnotify_parent`: something happened to an inode that is known by a name. The directory hears of it first. */
export function fsnotifyInode(inode: Inode, dentry: Dentry | null, mask: number, unlinked = false): void {
  const whole = mask | isDir(inode);
  if (dentry !== null) notifyMarks(dentry.dir, whole, dentry.name, unlinked);
  notifyMarks(inode, whole, null, unlinked);
}

/** `fsnotify_open`, `fsnotify_access`, `fsnotify_modify`, `fsnotify_close`. */
export function fsnotifyFile(file: NamedFile, mask: number): void {
  if (!file.nonotify) fsnotifyInode(file.inode, file.dentry, mask, file.inode.nlink === 0);
}

/** `fsnotify_inoderemove`: nothing refers to the inode any more. */
export function fsnotifyInodeGone(inode: Inode): void {
  if (inode.marks === null) return;
  notifyMarks(inode, In.DELETE_SELF, null);
  for (const mark of [...inode.marks]) mark.inodeGone();
}

const DIRECTORY = 0o040000;
const TYPE = 0o170000;

function isDir(inode: Inode): number {
  return (inode.mode & TYPE) === DIRECTORY ? In.ISDIR : 0;
}
