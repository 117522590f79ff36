/**
 * Descriptors: reading, writing, duplicating, control, pipes, eventfd, splice.
 *
 * Counterpart: `fs/read_write.c`, `fs/file.c`, `fs/fcntl.c`, `fs/pipe.c`, `fs/eventfd.c`, `fs/splice.c`, `fs/ioctl.c`.
 */

import { EPIOCGPARAMS, EPIOCSPARAMS } from "../../kernel/uapi/epoll.ts";
import { Fcntl } from "../../kernel/uapi/fcntl.ts";
import { Ioctl } from "../../kernel/uapi/socket.ts";
import { Tfd } from "../../kernel/uapi/time.ts";
import type { Expr } from "../ast.ts";
import { call, hex, named } from "../build.ts";
import { boxed, buffer, fdPair, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Decoder, WordType } from "./context.ts";
import { iovecs } from "./iovec.ts";
import { declare, type Param, param, type ResultOutput, type Signature, values, words } from "./signature.ts";
import {
  closeRangeFlags,
  eventfdFlags,
  fcntlCommands,
  fdFlags,
  ioctlDirections,
  ioctlRequests,
  openFlags,
  ownerTypes,
  pipeFlags,
  rwfFlags,
  sealFlags,
  signals,
  spliceFlags,
  whence,
} from "./symbols.ts";
import { termios } from "./terminal.ts";
import {
  address,
  byte,
  enumeration,
  fd,
  flags,
  int,
  long,
  openMode,
  pid,
  printOpenFlags,
  signal,
  uint,
  ulong,
  ulongHex,
  ushort,
  word,
} from "./words.ts";

const bytesIn: WordType = pointer(buffer({ arg: 2 }), "in");
const bytesOut: WordType = pointer(buffer({ arg: 2 }, "result"), "out");
const vectorIn: WordType = pointer(iovecs({ arg: 2 }, "in"), "in");
const vectorOut: WordType = pointer(iovecs({ arg: 2 }, "out"), "in");
const offset: WordType = pointer({ ...boxed(ulong), changesOutside: true }, "inout");
/** splice's offsets are printed as they were at entry. */
const offsetAtEntry: WordType = { ...offset, output: false, fromWord: pointer(boxed(ulong), "in").fromWord };
const count = param("count", ulong, 4096);

const F_SETOWN_EX = 15;
const F_GETOWN_EX = 16;
const F_GETLEASE = 1025;

/** `struct f_owner_ex`. */
const ownerEx: BlockType = struct(8, [fieldAt(0, "type", enumeration(ownerTypes)), fieldAt(4, "pid", pid)]);

const fcntlArg: Readonly<Record<number, WordType>> = {
  [Fcntl.DUPFD]: int,
  [Fcntl.SETFD]: flags(fdFlags),
  [Fcntl.SETFL]: openMode,
  [Fcntl.SETOWN]: pid,
  [Fcntl.SETSIG]: signal,
  [Fcntl.DUPFD_QUERY]: fd,
  [Fcntl.DUPFD_CLOEXEC]: int,
  [Fcntl.SETPIPE_SZ]: uint,
  [Fcntl.ADD_SEALS]: flags(sealFlags),
  [F_SETOWN_EX]: pointer(ownerEx, "in"),
  [F_GETOWN_EX]: pointer(ownerEx, "out"),
};

const FCNTL_WITHOUT_ARGUMENT: ReadonlySet<number> = new Set([
  Fcntl.GETFD,
  Fcntl.GETFL,
  Fcntl.GETOWN,
  Fcntl.GETSIG,
  Fcntl.GETPIPE_SZ,
  Fcntl.GET_SEALS,
  F_GETLEASE,
]);

function fcntlType(arg: (index: number) => number | null): WordType | null {
  const command = arg(1) ?? -1;
  return FCNTL_WITHOUT_ARGUMENT.has(command) ? null : (fcntlArg[command] ?? ulongHex);
}

const fcntlResult: Readonly<Record<number, (value: bigint) => Expr>> = {
  [Fcntl.GETFD]: (value) => fdFlags.printFlags(value),
  [Fcntl.GETFL]: printOpenFlags,
  [Fcntl.GET_SEALS]: (value) => sealFlags.printFlags(value),
};

function printSignalName(number: number): string {
  return signals.nameOf(BigInt(number)) ?? String(number);
}

/** `(flags O_RDWR|O_NONBLOCK)`, `(SIGUSR1)`. */
function describeFcntl(dec: Decoder): ResultOutput | null {
  if (dec.arg(1) === Fcntl.GETSIG && dec.ret !== null && dec.ret > 0) return words(printSignalName(dec.ret));
  const print = fcntlResult[dec.arg(1)];
  if (print === undefined || dec.ret === null || dec.ret < 0) return null;
  const word = dec.arg(1) === Fcntl.GET_SEALS ? "seals" : "flags";
  if (dec.ret === 0 && dec.arg(1) !== Fcntl.GETFL) return null;
  return values([named(word, print(BigInt(dec.ret)))], "hex");
}

/** `struct epoll_params`. */
const epollParams: BlockType = struct(8, [
  fieldAt(0, "busy_poll_usecs", uint),
  fieldAt(4, "busy_poll_budget", ushort),
  fieldAt(6, "prefer_busy_poll", byte),
  fieldAt(7, "__pad", byte, (bytes) => bytes[7] !== 0),
]);

const intIn = pointer(boxed(int), "in");
const intOut = pointer(boxed(int), "out");
/** `struct ifreq` and its like, which no model reads: see `SocketFile.ioctl`. */
const deviceRequest: WordType = { ...address, toWord: () => 0n };
const [FIRST_DEVICE_REQUEST, LAST_DEVICE_REQUEST] = [0x8910, 0x894a];
const ioctlArg: Readonly<Record<number, WordType | null>> = {
  [Ioctl.FIONREAD]: intOut,
  [Ioctl.TIOCOUTQ]: intOut,
  [Ioctl.SIOCOUTQNSD]: intOut,
  [Ioctl.SIOCATMARK]: intOut,
  [Ioctl.FIONBIO]: intIn,
  [Ioctl.FIOASYNC]: intIn,
  [Ioctl.FIOCLEX]: null,
  [Ioctl.FIONCLEX]: null,
  [Ioctl.TCSETS]: pointer(termios, "in"),
  [Ioctl.TIOCPKT]: intIn,
  [Ioctl.TIOCSPTLCK]: intIn,
  [Ioctl.TIOCGPTN]: intOut,
  [Tfd.IOC_SET_TICKS]: pointer(boxed(ulong), "in"),
  [EPIOCSPARAMS]: pointer(epollParams, "in"),
  [EPIOCGPARAMS]: pointer(epollParams, "out"),
};

/** The request's name, or the parts of its number. */
const ioctlRequest = word(4, false, (value) => {
  if (ioctlRequests.nameOf(value) !== null) return ioctlRequests.printEnum(value);
  const direction = ioctlDirections.printEnum(value >> 30n);
  return call("_IOC", [direction, hex((value >> 8n) & 0xffn), hex(value & 0xffn), hex((value >> 16n) & 0x3fffn)]);
});

function ioctlType(arg: (index: number) => number | null): WordType | null {
  const known = ioctlArg[(arg(1) ?? 0) >>> 0];
  if (known !== undefined) return known;
  const request = (arg(1) ?? 0) >>> 0;
  return request >= FIRST_DEVICE_REQUEST && request <= LAST_DEVICE_REQUEST ? deviceRequest : address;
}

function positioned(vector: WordType): Param[] {
  return [param("fd", fd), param("vec", vector), param("vlen", ulong), param("pos", long)];
}

/** Declarations. */
export const fdCalls: readonly Signature[] = [
  declare("read", [param("fd", fd), param("buf", bytesOut), count]),
  declare("write", [param("fd", fd), param("buf", bytesIn), count]),
  declare("pread64", [param("fd", fd), param("buf", bytesOut), count, param("pos", long)]),
  declare("pwrite64", [param("fd", fd), param("buf", bytesIn), count, param("pos", long)]),
  declare("readv", [param("fd", fd), param("vec", vectorOut), param("vlen", ulong)]),
  declare("writev", [param("fd", fd), param("vec", vectorIn), param("vlen", ulong)]),
  declare("preadv", positioned(vectorOut)),
  declare("pwritev", positioned(vectorIn)),
  declare("preadv2", [...positioned(vectorOut), param("flags", flags(rwfFlags), null, 5)]),
  declare("pwritev2", [...positioned(vectorIn), param("flags", flags(rwfFlags), null, 5)]),
  declare("close", [param("fd", fd)]),
  declare("close_range", [param("first", uint), param("last", uint), param("flags", flags(closeRangeFlags))]),
  declare("lseek", [param("fd", fd), param("offset", long), param("whence", enumeration(whence))]),
  declare("dup", [param("fildes", fd)]),
  declare("dup2", [param("oldfd", fd), param("newfd", fd)]),
  declare("dup3", [param("oldfd", fd), param("newfd", fd), param("flags", flags(openFlags))]),
  declare("fcntl", [param("fd", fd), param("cmd", enumeration(fcntlCommands)), param("arg", fcntlType)], {
    describe: describeFcntl,
  }),
  declare("ioctl", [param("fd", fd), param("cmd", ioctlRequest), param("arg", ioctlType)]),
  declare("pipe", [param("fildes", pointer(fdPair(fd), "out"))]),
  declare("pipe2", [param("fildes", pointer(fdPair(fd), "out")), param("flags", flags(pipeFlags))]),
  declare("eventfd", [param("count", uint)]),
  declare("eventfd2", [param("count", uint), param("flags", flags(eventfdFlags))]),
  declare("sendfile", [param("out_fd", fd), param("in_fd", fd), param("offset", offset), param("count", ulong)]),
  declare("splice", [
    param("fd_in", fd),
    param("off_in", offsetAtEntry),
    param("fd_out", fd),
    param("off_out", offsetAtEntry),
    param("len", ulong),
    param("flags", flags(spliceFlags)),
  ]),
  declare("tee", [param("fdin", fd), param("fdout", fd), param("len", ulong), param("flags", flags(spliceFlags))]),
  declare("vmsplice", [
    param("fd", fd),
    param("iov", vectorIn),
    param("nr_segs", ulong),
    param("flags", flags(spliceFlags)),
  ]),
];
