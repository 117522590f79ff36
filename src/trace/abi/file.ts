/**
 * Files by path, their state, inotify, memfd, message queues.
 *
 * Counterpart: `fs/{open,stat,namei,sync}.c`, `fs/notify/inotify`, `mm/memfd.c`, `ipc/mqueue.c`.
 */
import type { Expr } from "../ast.ts";
import { call, hex } from "../build.ts";
import { boxed, buffer, cstring, type Field, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, WordType } from "./context.ts";
import { readWord } from "./image.ts";
import { declare, type Param, param, type Signature } from "./signature.ts";
import { atFlags, fallocateModes, inotifyInitFlags, inotifyMasks, memfdFlags, openFlags } from "./symbols.ts";
import { timespec } from "./time.ts";
import { dirFd, fd, fileMode, flags, int, long, mode, openMode, uint, ulong, word } from "./words.ts";

const path = pointer(cstring, "in");
const openFlagsWord = flags(openFlags, 8);
const O_CREAT = 0o100;
const O_TMPFILE_BIT = 0o20000000;

/** `mode` is looked at only when a file may be made. */
function createMode(flagsAt: number): (arg: (index: number) => number | null) => WordType | null {
  return (arg) => (((arg(flagsAt) ?? 0) & (O_CREAT | O_TMPFILE_BIT)) === 0 ? null : mode);
}

/** `makedev(0, 0x6)`. */
function printDevice(value: bigint): Expr {
  const major = ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n);
  const minor = (value & 0xffn) | ((value >> 12n) & 0xffffff00n);
  return call("makedev", [hex(major), hex(minor)]);
}

const device = word(8, false, printDevice);
const S_IFMT = 0o170000n;
const S_IFCHR = 0o020000n;
const S_IFBLK = 0o060000n;

function isDevice(bytes: Uint8Array): boolean {
  const type = readWord(bytes, 24, 4, false) & S_IFMT;
  return type === S_IFCHR || type === S_IFBLK;
}

function times(offset: number, name: string): Field[] {
  return [fieldAt(offset, name, long), fieldAt(offset + 8, `${name}_nsec`, ulong)];
}

/** `struct stat` of x86-64, in strace's order. */
const stat: BlockType = struct(144, [
  fieldAt(0, "st_dev", device),
  fieldAt(8, "st_ino", ulong),
  fieldAt(24, "st_mode", fileMode),
  fieldAt(16, "st_nlink", ulong),
  fieldAt(28, "st_uid", uint),
  fieldAt(32, "st_gid", uint),
  fieldAt(56, "st_blksize", long),
  fieldAt(64, "st_blocks", long),
  fieldAt(48, "st_size", long, (bytes) => !isDevice(bytes)),
  fieldAt(40, "st_rdev", device, isDevice),
  ...times(72, "st_atime"),
  ...times(88, "st_mtime"),
  ...times(104, "st_ctime"),
]);

/** `struct mq_attr`. */
const mqAttr: BlockType = struct(64, [
  fieldAt(0, "mq_flags", openFlagsWord),
  fieldAt(8, "mq_maxmsg", long),
  fieldAt(16, "mq_msgsize", long),
  fieldAt(24, "mq_curmsgs", long),
]);
/** Room for a message when nothing else is said. */
const MQ_ROOM = 8192;

const fdParam: Param = param("fd", fd);
const device32 = word(4, false, printDevice);

/** `dev` is looked at only for device files. */
function nodeDevice(modeAt: number): (arg: (index: number) => number | null) => WordType | null {
  return (arg) => {
    const type = BigInt(arg(modeAt) ?? 0) & S_IFMT;
    return type === S_IFCHR || type === S_IFBLK ? device32 : null;
  };
}

/** Declarations. */
export const fileCalls: readonly Signature[] = [
  declare("open", [param("filename", path), param("flags", openMode), param("mode", createMode(1))]),
  declare("openat", [
    param("dfd", dirFd),
    param("filename", path),
    param("flags", openMode),
    param("mode", createMode(2)),
  ]),
  declare("fstat", [fdParam, param("statbuf", pointer(stat, "out"))]),
  declare("fsync", [fdParam]),
  declare("ftruncate", [fdParam, param("length", long)]),
  declare("fallocate", [fdParam, param("mode", flags(fallocateModes)), param("offset", long), param("len", long)]),
  declare("fchmod", [fdParam, param("mode", mode)]),
  declare("mkdir", [param("pathname", path), param("mode", mode)]),
  declare("unlink", [param("pathname", path)]),
  declare("unlinkat", [param("dfd", dirFd), param("pathname", path), param("flag", flags(atFlags))]),
  declare("mknod", [param("filename", path), param("mode", fileMode), param("dev", nodeDevice(1))]),
  declare("mknodat", [
    param("dfd", dirFd),
    param("filename", path),
    param("mode", fileMode),
    param("dev", nodeDevice(2)),
  ]),
  declare("memfd_create", [param("uname", path), param("flags", flags(memfdFlags))]),
  declare("inotify_init", []),
  declare("inotify_init1", [param("flags", flags(inotifyInitFlags))]),
  declare("inotify_add_watch", [fdParam, param("pathname", path), param("mask", flags(inotifyMasks))]),
  declare("inotify_rm_watch", [fdParam, param("wd", int)]),
  declare("mq_open", [
    param("name", path),
    param("oflag", openMode),
    param("mode", createMode(1)),
    param("attr", (arg) => (createMode(1)(arg) === null ? null : pointer(mqAttr, "in"))),
  ]),
  declare("mq_timedsend", [
    param("mqdes", fd),
    param("msg_ptr", pointer(buffer({ arg: 2 }), "in")),
    param("msg_len", ulong),
    param("msg_prio", uint),
    param("abs_timeout", pointer(timespec, "in")),
  ]),
  declare("mq_timedreceive", [
    param("mqdes", fd),
    param("msg_ptr", pointer(buffer({ arg: 2 }, "result"), "out")),
    param("msg_len", ulong, MQ_ROOM),
    param("msg_prio", pointer(boxed(uint), "out"), 0),
    param("abs_timeout", pointer(timespec, "in"), 0),
  ]),
  declare("mq_getsetattr", [
    param("mqdes", fd),
    param("mqstat", pointer(mqAttr, "in")),
    param("omqstat", pointer(mqAttr, "out")),
  ]),
];
