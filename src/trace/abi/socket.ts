/**
 * Sockets.
 *
 * Counterpart: `net/socket.c`, `include/uapi/asm-generic/socket.h`.
 */
import { Af, SOL_SOCKET, So } from "../../kernel/uapi/socket.ts";
import type { Expr } from "../ast.ts";
import { int as intExpr, named, str } from "../build.ts";
import { boxed, buffer, fdPair, fieldAt, pointer, struct } from "./blocks.ts";
import type { BlockType, Decoder, Encoder, WordType } from "./context.ts";
import { entryOf } from "./evaluate.ts";
import { type Image, readWord } from "./image.ts";
import { mmsghdrPointer, msghdrPointer, ucred } from "./msghdr.ts";
import { putNetlinkRequest } from "./netlink.ts";
import { declare, type Param, param, type ResultOutput, type Signature, values, words } from "./signature.ts";
import { sockaddr } from "./sockaddr.ts";
import type { SymbolTable } from "./symbol-table.ts";
import {
  addressFamilies,
  errnos,
  inetProtocols,
  ipOptions,
  ipv6Options,
  msgFlags,
  netlinkProtocols,
  shutdownModes,
  socketFlags,
  socketLevels,
  socketOptions,
  tcpOptions,
  udpOptions,
} from "./symbols.ts";
import { timespec, timeval } from "./time.ts";
import { enumeration, fd, flags, int, printedBy, socketType, uint, ulong } from "./words.ts";

const family = enumeration(addressFamilies);
/** What is sent: bytes, or a request to the kernel. */
const message: BlockType = {
  ...buffer({ arg: 2 }),
  encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
    const inner = entryOf(expr);
    if (!putNetlinkRequest(inner, image, offset)) buffer({ arg: 2 }).encode(inner, image, offset, enc);
  },
};
const bytesOut = pointer(buffer({ arg: 2 }, "result"), "out");
const sendFlags = flags(msgFlags);

/** More than any address has; a program that tells a greater length gets this much. */
const SOCKADDR_ROOM_MAX = 4096;

/** The protocol's names depend on the family; others are numbers. */
function protocol(arg: (index: number) => number | null): WordType {
  const af = arg(0);
  if (af === Af.INET || af === Af.INET6) return enumeration(inetProtocols);
  return af === Af.NETLINK ? enumeration(netlinkProtocols) : int;
}

/** An address whose length is a number in argument `index`. */
function addressIn(index: number): WordType {
  const block = sockaddr(
    (enc) => Math.min(enc.argValue(index) ?? 0, SOCKADDR_ROOM_MAX),
    (dec) => dec.arg(index),
  );
  return pointer(block, "in");
}

/** An address that the call gives; its length stands behind the pointer in argument `index`. */
function addressOut(index: number): WordType {
  const block = sockaddr(
    (enc) => Math.min(enc.argValue(index) ?? 0, SOCKADDR_ROOM_MAX),
    (dec) => Math.min(lengthAt(dec.before(dec.arg(index), 4)), lengthAt(dec.after(dec.arg(index), 4))),
  );
  return pointer(block, "out");
}

function lengthAt(bytes: Uint8Array | null): number {
  return bytes === null ? 0 : Number(readWord(bytes, 0, 4, true));
}

const socklen: WordType = pointer(boxed(int), "inout");

function namePart(at: number): Param[] {
  return [param("addr", addressOut(at + 1), 0), param("addrlen", socklen, 0)];
}

// socket options

const optionTables: Readonly<Record<number, SymbolTable>> = {
  0: ipOptions,
  [SOL_SOCKET]: socketOptions,
  6: tcpOptions,
  17: udpOptions,
  41: ipv6Options,
};

/** The option's names depend on the level. */
function optionName(arg: (index: number) => number | null): WordType {
  const table = optionTables[arg(1) ?? -1];
  return table === undefined ? int : enumeration(table);
}

const linger: BlockType = struct(8, [fieldAt(0, "l_onoff", int), fieldAt(4, "l_linger", int)]);

/** `[ECONNREFUSED]`, `[0]`. */
const errorBox = boxed(printedBy(int, (value) => (value === 0n ? intExpr(0) : errnos.printEnum(value))));

const socketOptionTypes: Readonly<Record<number, BlockType>> = {
  [So.LINGER]: linger,
  [So.PEERCRED]: ucred,
  [So.ERROR]: errorBox,
  [So.RCVTIMEO]: timeval,
  [So.SNDTIMEO]: timeval,
};

/** TCP_INFO, TCP_CONGESTION, TCP_ULP: bytes. */
const TCP_BYTES: ReadonlySet<number> = new Set([11, 13, 31]);
const SO_BYTES: ReadonlySet<number> = new Set([25, 26, 28, 31, 57, 59]);

function optionBlock(level: number | null, name: number | null): BlockType | null {
  if (level === SOL_SOCKET) {
    if (SO_BYTES.has(name ?? -1)) return null;
    return socketOptionTypes[name ?? -1] ?? boxed(int);
  }
  return level === 6 && TCP_BYTES.has(name ?? -1) ? null : boxed(int);
}

const OPTION_BYTES_MAX = 4096;

/** A block that may be written as a string of bytes too, and that is as long as the call says if that is longer. */
function orBytes(block: BlockType, length: (enc: Encoder) => number): BlockType {
  return {
    ...block,
    room: (expr, enc) =>
      Math.max(
        expr?.kind === "str" ? expr.bytes.length : block.room(expr, enc),
        Math.min(length(enc), OPTION_BYTES_MAX),
      ),
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      const inner = entryOf(expr);
      if (inner.kind === "str") image.putBytes(offset, inner.bytes);
      else block.encode(inner, image, offset, enc);
    },
  };
}

function optionIn(arg: (index: number) => number | null): WordType {
  const block = optionBlock(arg(1), arg(2)) ?? buffer({ arg: 4 });
  return pointer(
    orBytes(block, (enc) => enc.argValue(4) ?? 0),
    "in",
  );
}

function optionOut(arg: (index: number) => number | null): WordType {
  const length = (dec: Decoder): number => lengthAt(dec.after(dec.arg(4), 4));
  const block = optionBlock(arg(1), arg(2)) ?? {
    ...buffer(0, OPTION_BYTES_MAX),
    decode: (bytes) => str(bytes.slice()),
  };
  const sized = orBytes(block, (enc) => enc.argValue(4) ?? 0);
  return pointer(
    {
      ...sized,
      extent: (dec) => Math.min(block.extent(dec), length(dec)),
      // a number that was cut off is shown as its bytes
      decode: (bytes, dec) =>
        length(dec) > 0 && length(dec) < 4 ? str(bytes.slice(0, length(dec))) : block.decode(bytes, dec),
    },
    "out",
  );
}

/** The words behind recvmmsg's result: the time that is left. */
function describeRecvmmsg(dec: Decoder): ResultOutput | null {
  if (dec.ret === null || dec.ret < 0) return null;
  if (dec.ret === 0) return words("Timeout");
  const left = dec.arg(4) === 0 ? null : dec.after(dec.arg(4), 16);
  return left === null ? null : values([named("left", timespec.decode(left, dec))]);
}

const timeoutInOut: WordType = {
  ...pointer(timespec, "inout"),
  output: false,
  fromWord: pointer(timespec, "in").fromWord,
};

const option = [param("fd", fd), param("level", enumeration(socketLevels)), param("optname", optionName)];

/** Declarations. */
export const socketCalls: readonly Signature[] = [
  declare("socket", [param("family", family), param("type", socketType), param("protocol", protocol)]),
  declare("socketpair", [
    param("family", family),
    param("type", socketType),
    param("protocol", protocol),
    param("usockvec", pointer(fdPair(fd), "out")),
  ]),
  declare("bind", [param("fd", fd), param("umyaddr", addressIn(2)), param("addrlen", int)]),
  declare("connect", [param("fd", fd), param("uservaddr", addressIn(2)), param("addrlen", int)]),
  declare("listen", [param("fd", fd), param("backlog", int)]),
  declare("accept", [param("fd", fd), ...namePart(1)]),
  declare("accept4", [param("fd", fd), ...namePart(1), param("flags", flags(socketFlags), 0)]),
  declare("getsockname", [param("fd", fd), ...namePart(1)]),
  declare("getpeername", [param("fd", fd), ...namePart(1)]),
  declare("shutdown", [param("fd", fd), param("how", enumeration(shutdownModes))]),
  declare("sendto", [
    param("fd", fd),
    param("buff", pointer(message, "in")),
    param("len", ulong),
    param("flags", sendFlags),
    param("addr", addressIn(5)),
    param("addr_len", int),
  ]),
  declare("recvfrom", [
    param("fd", fd),
    param("ubuf", bytesOut),
    param("size", ulong, 4096),
    param("flags", sendFlags, 0),
    ...namePart(4),
  ]),
  declare("sendmsg", [param("fd", fd), param("msg", msghdrPointer("send")), param("flags", sendFlags)]),
  declare("recvmsg", [param("fd", fd), param("msg", msghdrPointer("receive")), param("flags", sendFlags, 0)]),
  declare("sendmmsg", [
    param("fd", fd),
    param("mmsg", mmsghdrPointer("send", { arg: 2 })),
    param("vlen", uint),
    param("flags", sendFlags),
  ]),
  declare(
    "recvmmsg",
    [
      param("fd", fd),
      param("mmsg", mmsghdrPointer("receive", { arg: 2 })),
      param("vlen", uint),
      param("flags", sendFlags, 0),
      param("timeout", timeoutInOut, 0),
    ],
    { describe: describeRecvmmsg },
  ),
  declare("setsockopt", [...option, param("optval", optionIn), param("optlen", int)]),
  declare("getsockopt", [...option, param("optval", optionOut), param("optlen", socklen)]),
];
