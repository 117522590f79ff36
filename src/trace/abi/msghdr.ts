/**
 * `struct msghdr` and `struct mmsghdr` with their control messages.
 *
 * Counterpart: `include/linux/socket.h` (`user_msghdr`, `cmsghdr`), `net/core/scm.c`; layout of the text: strace `msghdr.c`.
 */
import { SOL_SOCKET } from "../../kernel/uapi/socket.ts";
import type { Expr, StructExpr } from "../ast.ts";
import { array as arrayExpr, hex, int, named, str, struct } from "../build.ts";
import { fieldAt, pointer, struct as structType } from "./blocks.ts";
import {
  type BlockType,
  type Count,
  countAtEntry,
  countAtExit,
  type Decoder,
  type Encoder,
  type WordType,
} from "./context.ts";
import { entryOf, evalInt, field } from "./evaluate.ts";
import { Image, readWord, type Word } from "./image.ts";
import { decodeIovecs, iovecs } from "./iovec.ts";
import { sockaddr } from "./sockaddr.ts";
import { msgFlags, scmTypes, socketLevels } from "./symbols.ts";
import { printAddress, uint } from "./words.ts";

/** Which way the data goes. */
export type MsgDirection = "send" | "receive";

const MSGHDR_SIZE = 56;
const MMSGHDR_SIZE = 64;
const CMSG_HEADER = 16;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const At = { name: 0, namelen: 8, iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48 } as const;

/** `struct ucred`. */
export const ucred: BlockType = structType(12, [
  fieldAt(0, "pid", uint),
  fieldAt(4, "uid", uint),
  fieldAt(8, "gid", uint),
]);

/** A pointer to a msghdr, as sendmsg and recvmsg take it. */
export function msghdrPointer(direction: MsgDirection): WordType {
  const block = msghdr(direction);
  const base = pointer(block, direction === "send" ? "in" : "inout");
  if (direction === "send") return base;
  return {
    ...base,
    fromWord(value: bigint, dec: Decoder): Expr {
      const addr = Number(value);
      const before = value === 0n ? null : dec.before(addr, MSGHDR_SIZE);
      if (before === null || dec.ret === null) return printAddress(value, dec);
      if (dec.ret < 0) return struct([named("msg_namelen", int(readWord(before, At.namelen, 4, true)))]);
      const after = dec.after(addr, MSGHDR_SIZE);
      return after === null ? printAddress(value, dec) : decodeMsghdr(after, before, "receive", dec.ret, dec);
    },
  };
}

/** A pointer to the array of sendmmsg and recvmmsg. */
export function mmsghdrPointer(direction: MsgDirection, count: Count): WordType {
  const block: BlockType = {
    ...msghdr(direction),
    room: (expr, enc) =>
      Math.max(expr?.kind === "array" ? expr.items.length : 0, Math.min(countAtEntry(count, enc) ?? 0, 1024)) *
      MMSGHDR_SIZE,
    encode(expr: Expr, image: Image, offset: number, enc: Encoder): void {
      const inner = entryOf(expr);
      if (inner.kind !== "array") enc.fail(inner, "not an array", "[{msg_hdr={...}}]");
      for (const [index, item] of inner.items.entries()) {
        if (item.kind !== "ellipsis") encodeMmsghdr(item, image, offset + index * MMSGHDR_SIZE, direction, enc);
      }
    },
  };
  return { ...pointer(block, "inout"), fromWord: (value, dec) => decodeMmsghdrs(value, direction, count, dec) };
}

function encodeMmsghdr(expr: Expr, image: Image, offset: number, direction: MsgDirection, enc: Encoder): void {
  const inner = entryOf(expr);
  const header = inner.kind === "struct" ? field(inner, "msg_hdr", 0) : null;
  if (header === null) enc.fail(inner, "no msg_hdr", "{msg_hdr={...}}");
  encodeMsghdr(header, image, offset, direction, enc);
  const length = inner.kind === "struct" ? field(inner, "msg_len", 1) : null;
  if (length !== null) image.put(offset + MSGHDR_SIZE, 4, enc.word(length));
}

function decodeMmsghdrs(value: bigint, direction: MsgDirection, count: Count, dec: Decoder): Expr {
  const addr = Number(value);
  const shown = direction === "send" || dec.ret === null ? countAtExit(count, dec) : Math.max(0, dec.ret);
  const before = value === 0n ? null : dec.before(addr, shown * MMSGHDR_SIZE);
  const after = value === 0n ? null : dec.after(addr, shown * MMSGHDR_SIZE);
  const bytes = dec.ret !== null && dec.ret >= 0 ? (after ?? before) : direction === "send" ? before : null;
  if (bytes === null || before === null) return printAddress(value, dec);
  const items: Expr[] = [];
  for (let offset = 0; offset + MMSGHDR_SIZE <= bytes.length; offset += MMSGHDR_SIZE) {
    const part = bytes.subarray(offset, offset + MMSGHDR_SIZE);
    const length = readWord(part, MSGHDR_SIZE, 4, false);
    const budget = direction === "send" ? Number.POSITIVE_INFINITY : Number(length);
    const header = decodeMsghdr(part, before.subarray(offset), direction, budget, dec);
    const fields = [named("msg_hdr", header)];
    if (items.length < (dec.ret ?? 0)) fields.push(named("msg_len", int(length)));
    items.push(struct(fields));
  }
  return arrayExpr(items);
}

function msghdr(direction: MsgDirection): BlockType {
  return {
    kind: "block",
    room: () => MSGHDR_SIZE,
    encode: (expr, image, offset, enc) => encodeMsghdr(expr, image, offset, direction, enc),
    extent: () => MSGHDR_SIZE,
    decode: (bytes, dec) => decodeMsghdr(bytes, bytes, direction, Number.POSITIVE_INFINITY, dec),
  };
}

function encodeMsghdr(expr: Expr, image: Image, offset: number, direction: MsgDirection, enc: Encoder): void {
  const inner = entryOf(expr);
  if (inner.kind !== "struct") enc.fail(inner, "not a msghdr", "{msg_name=NULL, msg_namelen=0, msg_iov=[...], ...}");
  const put = (at: number, size: number, name: string, fallback: Word): void => {
    const value = field(inner, name, -1);
    image.put(offset + at, size, value === null ? fallback : enc.word(entryOf(value)));
  };
  put(At.namelen, 4, "msg_namelen", 0n);
  put(At.iovlen, 8, "msg_iovlen", BigInt(listLength(inner, "msg_iov")));
  put(At.controllen, 8, "msg_controllen", BigInt(controlBytes(field(inner, "msg_control", -1))));
  put(At.flags, 4, "msg_flags", 0n);
  const name = field(inner, "msg_name", 0);
  if (name !== null) image.put(offset + At.name, 8, encodeName(inner, name, direction, enc));
  const iov = field(inner, "msg_iov", -1);
  if (iov !== null) {
    const vector = pointer(iovecs(listLength(inner, "msg_iov"), direction === "send" ? "in" : "out"), "in");
    image.put(offset + At.iov, 8, vector.toWord(iov, enc));
  }
  image.put(offset + At.control, 8, encodeControl(inner, direction, enc));
}

function listLength(expr: StructExpr, name: string): number {
  const list = field(expr, name, -1);
  return list?.kind === "array" ? list.items.filter((item) => item.kind !== "ellipsis").length : 0;
}

function encodeName(expr: StructExpr, name: Expr, direction: MsgDirection, enc: Encoder): Word {
  const length = evalInt(entryOf(field(expr, "msg_namelen", -1) ?? int(0))) ?? 0;
  const block = sockaddr(
    () => length,
    () => length,
  );
  return pointer(block, direction === "send" ? "in" : "out").toWord(name, enc);
}

/** The control buffer: `msg_controllen` bytes at entry, or as many as its messages need. */
function encodeControl(expr: StructExpr, direction: MsgDirection, enc: Encoder): Word {
  const control = field(expr, "msg_control", -1);
  const lengthExpr = field(expr, "msg_controllen", -1);
  const length = lengthExpr === null ? controlBytes(control) : (evalInt(entryOf(lengthExpr)) ?? 0);
  const outer = control === null ? null : entryOf(control);
  if (outer !== null && (outer.kind === "sym" || outer.kind === "int")) return enc.word(outer);
  if (outer === null && length === 0) return 0n;
  const content = outer?.kind === "at" ? outer.content : outer;
  const room = Math.max(Math.min(Math.max(length, 0), 65536), controlBytes(content));
  const addr = outer?.kind === "at" ? enc.place(outer, room) : enc.reserve(room);
  const image = new Image(room);
  if (direction === "send") {
    if (content !== null) encodeMessages(content, image, enc);
    enc.poke(addr, image);
    return BigInt(addr);
  }
  enc.output(addr, room, true);
  if (content !== null && enc.hasUnbound(content))
    enc.expect(addr, image, false, () => encodeMessages(content, image, enc));
  return BigInt(addr);
}

function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Bytes that control messages take, each aligned: `CMSG_SPACE`. */
function controlBytes(control: Expr | null): number {
  const inner = control === null ? null : entryOf(control);
  const content = inner?.kind === "at" ? inner.content : inner;
  if (content?.kind !== "array") return 0;
  return content.items.reduce((sum, item) => sum + align8(CMSG_HEADER + messageBytes(item)), 0);
}

/** Bytes of one message's data. */
function messageBytes(expr: Expr): number {
  const data = expr.kind === "struct" ? field(expr, "cmsg_data", 3) : null;
  if (data?.kind === "array") return data.items.length * 4;
  if (data?.kind === "str") return data.bytes.length;
  return data?.kind === "struct" ? 12 : 0;
}

function encodeMessages(expr: Expr, image: Image, enc: Encoder): void {
  if (expr.kind !== "array")
    enc.fail(expr, "not a list of control messages", "[{cmsg_len=20, cmsg_level=SOL_SOCKET, ...}]");
  let offset = 0;
  for (const item of expr.items) {
    if (item.kind === "ellipsis") return;
    if (item.kind !== "struct") enc.fail(item, "not a control message", "{cmsg_len=N, cmsg_level=..., cmsg_type=...}");
    const length = CMSG_HEADER + messageBytes(item);
    image.put(offset, 8, enc.word(field(item, "cmsg_len", 0) ?? int(length)));
    image.put(offset + 8, 4, enc.word(field(item, "cmsg_level", 1) ?? int(SOL_SOCKET)));
    image.put(offset + 12, 4, enc.word(field(item, "cmsg_type", 2) ?? int(SCM_RIGHTS)));
    const data = field(item, "cmsg_data", 3);
    if (data !== null) encodeMessageData(data, image, offset + CMSG_HEADER, enc);
    offset += align8(length);
  }
}

function encodeMessageData(data: Expr, image: Image, offset: number, enc: Encoder): void {
  if (data.kind === "str") image.putBytes(offset, data.bytes);
  else if (data.kind === "struct") ucred.encode(data, image, offset, enc);
  else if (data.kind === "array") {
    for (const [index, item] of data.items.entries()) image.put(offset + index * 4, 4, enc.word(item));
  } else enc.fail(data, "not data of a control message", "[3, 4], {pid=1, uid=0, gid=0} or a string");
}

/** @param budget - bytes to share out over the buffers */
function decodeMsghdr(
  bytes: Uint8Array,
  before: Uint8Array,
  direction: MsgDirection,
  budget: number,
  dec: Decoder,
): Expr {
  const namelenBefore = readWord(before, At.namelen, 4, true);
  const namelen = readWord(bytes, At.namelen, 4, true);
  const shown = Math.min(Number(namelen), Number(namelenBefore));
  const iovlen = Number(readWord(bytes, At.iovlen, 8, false));
  const fields: Expr[] = [
    named("msg_name", decodeName(readWord(bytes, At.name, 8, false), shown, direction, dec)),
    named("msg_namelen", changed(namelenBefore, namelen)),
    named("msg_iov", decodeIov(readWord(bytes, At.iov, 8, false), iovlen, direction, budget, dec)),
    named("msg_iovlen", int(iovlen)),
  ];
  const controllen = readWord(bytes, At.controllen, 8, false);
  const controllenBefore = readWord(before, At.controllen, 8, false);
  if (controllen !== 0n) {
    const control = readWord(bytes, At.control, 8, false);
    fields.push(named("msg_control", decodeControl(control, Number(controllen), direction, dec)));
  }
  fields.push(named("msg_controllen", changed(controllenBefore, controllen)));
  fields.push(named("msg_flags", msgFlags.printFlags(readWord(bytes, At.flags, 4, false))));
  return struct(fields);
}

/** `128 => 16`. */
function changed(before: bigint, after: bigint): Expr {
  return before === after ? int(after) : { kind: "change", from: int(before), to: int(after), brackets: "" };
}

function memory(addr: bigint, length: number, direction: MsgDirection, dec: Decoder): Uint8Array | null {
  return direction === "send" ? dec.before(Number(addr), length) : dec.after(Number(addr), length);
}

function decodeName(addr: bigint, length: number, direction: MsgDirection, dec: Decoder): Expr {
  const bytes = addr === 0n || length < 2 ? null : memory(addr, length, direction, dec);
  if (bytes === null) return printAddress(addr, dec);
  const block = sockaddr(
    () => length,
    () => length,
  );
  return block.decode(bytes, dec);
}

function decodeIov(addr: bigint, count: number, direction: MsgDirection, budget: number, dec: Decoder): Expr {
  const bytes = addr === 0n ? null : dec.before(Number(addr), Math.min(count, 1024) * 16);
  if (bytes === null) return printAddress(addr, dec);
  return decodeIovecs(bytes, direction === "send" ? "in" : "out", budget, dec);
}

function decodeControl(addr: bigint, length: number, direction: MsgDirection, dec: Decoder): Expr {
  const bytes = addr === 0n ? null : memory(addr, length, direction, dec);
  if (bytes === null) return printAddress(addr, dec);
  const items: Expr[] = [];
  for (let offset = 0; offset + CMSG_HEADER <= bytes.length; ) {
    const cmsgLen = Number(readWord(bytes, offset, 8, false));
    items.push(decodeMessage(bytes.subarray(offset), cmsgLen, dec));
    if (cmsgLen < CMSG_HEADER) break;
    offset += align8(cmsgLen);
  }
  return arrayExpr(items);
}

function decodeMessage(bytes: Uint8Array, cmsgLen: number, dec: Decoder): Expr {
  const level = readWord(bytes, 8, 4, true);
  const type = readWord(bytes, 12, 4, true);
  const isSocket = level === BigInt(SOL_SOCKET);
  const fields = [
    named("cmsg_len", int(cmsgLen)),
    named("cmsg_level", socketLevels.printEnum(level)),
    named("cmsg_type", isSocket ? scmTypes.printEnum(type) : hex(type)),
  ];
  const data = bytes.subarray(CMSG_HEADER, Math.min(cmsgLen, bytes.length));
  if (data.length > 0) fields.push(named("cmsg_data", decodeData(isSocket ? Number(type) : 0, data, dec)));
  return struct(fields);
}

function decodeData(type: number, data: Uint8Array, dec: Decoder): Expr {
  if (type === SCM_CREDENTIALS && data.length >= 12) return ucred.decode(data, dec);
  if (type !== SCM_RIGHTS) return str(data.slice());
  const fds: Expr[] = [];
  for (let offset = 0; offset + 4 <= data.length; offset += 4) fds.push(int(readWord(data, offset, 4, true)));
  return arrayExpr(fds);
}
