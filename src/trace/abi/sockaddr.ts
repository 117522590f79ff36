/**
 * Socket addresses: AF_UNIX (path, abstract, unnamed), AF_INET, AF_INET6, AF_NETLINK, and raw bytes for the rest.
 *
 * Counterpart: `include/uapi/linux/{un,in,in6,netlink}.h`; layout of the text: strace `sockaddr.c`.
 */
import { Af } from "../../kernel/uapi/socket.ts";
import type { CallExpr, Expr, StructExpr } from "../ast.ts";
import { call, hex, int, named, str, struct, sym } from "../build.ts";
import type { BlockType, Decoder, Encoder } from "./context.ts";
import { entryOf, evalInt, field, swap } from "./evaluate.ts";
import { type Image, readWord } from "./image.ts";
import { parseInet4, parseInet6, printInet4, printInet6 } from "./inet.ts";
import { addressFamilies } from "./symbols.ts";

const FAMILY_BYTES = 2;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_MIN_BYTES = 24;
const SOCKADDR_IN6_BYTES = 28;
const SOCKADDR_NL_BYTES = 12;
/** `sizeof(struct sockaddr_storage)`. */
const STORAGE_BYTES = 128;

/**
 * A socket address.
 *
 * @param room - bytes that the call is told there are; null when nobody knows
 * @param length - bytes of the address behind the call
 */
export function sockaddr(room: (enc: Encoder) => number | null, length: (dec: Decoder) => number): BlockType {
  return {
    kind: "block",
    room: (expr, enc) => Math.max(room(enc) ?? 0, expr === null ? 0 : sockaddrBytes(expr)),
    encode: encodeSockaddr,
    extent: (dec) => (length(dec) < FAMILY_BYTES ? -1 : Math.min(length(dec), STORAGE_BYTES)),
    decode: decodeSockaddr,
  };
}

/** Bytes that an address expression needs. */
export function sockaddrBytes(expr: Expr): number {
  const inner = entryOf(expr);
  if (inner.kind !== "struct") return 0;
  const path = unixPath(inner);
  if (path !== null) return FAMILY_BYTES + path.bytes.length + 1;
  const data = field(inner, "sa_data", 1);
  return data?.kind === "str" ? FAMILY_BYTES + data.bytes.length : SOCKADDR_IN6_BYTES;
}

/** `sun_path` with its leading NUL if it is abstract; null when there is none. */
function unixPath(expr: StructExpr): { readonly bytes: Uint8Array } | null {
  const path = field(expr, "sun_path", 1);
  if (path?.kind === "str") return { bytes: path.bytes };
  if (path?.kind !== "at" || path.place !== "" || path.content?.kind !== "str") return null;
  return { bytes: Uint8Array.from([0, ...path.content.bytes]) };
}

function encodeSockaddr(expr: Expr, image: Image, offset: number, enc: Encoder): void {
  const inner = entryOf(expr);
  if (inner.kind !== "struct") enc.fail(inner, "not a socket address", "{sa_family=AF_UNIX, sun_path=...}");
  const familyExpr = field(inner, "sa_family", 0) ?? enc.fail(inner, "no sa_family", "sa_family=AF_...");
  image.put(offset, 2, enc.word(familyExpr));
  switch (evalInt(familyExpr)) {
    case Af.UNIX: {
      const path = unixPath(inner);
      if (path !== null) image.putBytes(offset + FAMILY_BYTES, path.bytes);
      return;
    }
    case Af.INET:
      encodeInet(inner, image, offset, enc);
      return;
    case Af.INET6:
      encodeInet6(inner, image, offset, enc);
      return;
    case Af.NETLINK:
      image.put(offset + 4, 4, enc.word(field(inner, "nl_pid", 1) ?? int(0)));
      image.put(offset + 8, 4, enc.word(field(inner, "nl_groups", 2) ?? int(0)));
      return;
    default: {
      const data = field(inner, "sa_data", 1);
      if (data?.kind === "str") image.putBytes(offset + FAMILY_BYTES, data.bytes);
    }
  }
}

/** A field of an address; one that lies behind the image's end is left out. */
function putBytes(image: Image, offset: number, bytes: Uint8Array): void {
  if (offset < image.bytes.length) image.putBytes(offset, bytes.subarray(0, image.bytes.length - offset));
}

function encodeInet(expr: StructExpr, image: Image, offset: number, enc: Encoder): void {
  image.put(offset + 2, 2, enc.word(field(expr, "sin_port", 1) ?? call("htons", [int(0)])));
  const text = addressText(expr, "sin_addr", "inet_addr", 0);
  if (text === null) return;
  putBytes(
    image,
    offset + 4,
    parseInet4(text.value) ?? enc.fail(text.expr, `'${text.value}'`, "an address such as 127.0.0.1"),
  );
}

function encodeInet6(expr: StructExpr, image: Image, offset: number, enc: Encoder): void {
  image.put(offset + 2, 2, enc.word(field(expr, "sin6_port", 1) ?? call("htons", [int(0)])));
  image.put(offset + 4, 4, enc.word(field(expr, "sin6_flowinfo", 2) ?? int(0)));
  const text = addressText(expr, "sin6_addr", "inet_pton", 1);
  if (text !== null) {
    putBytes(
      image,
      offset + 8,
      parseInet6(text.value) ?? enc.fail(text.expr, `'${text.value}'`, "an address such as ::1"),
    );
  }
  image.put(offset + 24, 4, enc.word(field(expr, "sin6_scope_id", 4) ?? int(0)));
}

/** The text in `sin_addr=inet_addr("...")`, or in a bare `inet_pton(AF_INET6, "...", &sin6_addr)`. */
function addressText(expr: StructExpr, name: string, fn: string, at: number): { value: string; expr: Expr } | null {
  const bare = expr.fields.find((item): item is CallExpr => item.kind === "call" && item.name === fn);
  const found = field(expr, name, -1) ?? bare ?? null;
  const argument = found?.kind === "call" ? found.args[at] : found;
  if (argument?.kind !== "str") return null;
  return { value: Array.from(argument.bytes, (byte) => String.fromCharCode(byte)).join(""), expr: argument };
}

function decodeSockaddr(bytes: Uint8Array): Expr {
  const family = readWord(bytes, 0, 2, false);
  const fields: Expr[] = [named("sa_family", addressFamilies.printEnum(family))];
  if (bytes.length > FAMILY_BYTES) fields.push(...decodeAddress(Number(family), bytes));
  return struct(fields);
}

function decodeAddress(family: number, bytes: Uint8Array): Expr[] {
  if (family === Af.UNIX) return [named("sun_path", printPath(bytes.subarray(FAMILY_BYTES)))];
  if (family === Af.INET && bytes.length >= SOCKADDR_IN_BYTES) {
    const address = call("inet_addr", [text(printInet4(bytes.subarray(4)))]);
    return [named("sin_port", netPort(bytes)), named("sin_addr", address)];
  }
  if (family === Af.INET6 && bytes.length >= SOCKADDR_IN6_MIN_BYTES) return decodeInet6(bytes);
  if (family === Af.NETLINK && bytes.length >= SOCKADDR_NL_BYTES) {
    const groups = hex(readWord(bytes, 8, 4, false));
    return [named("nl_pid", int(readWord(bytes, 4, 4, false))), named("nl_groups", groups)];
  }
  return [named("sa_data", str(bytes.slice(FAMILY_BYTES)))];
}

function decodeInet6(bytes: Uint8Array): Expr[] {
  const fields: Expr[] = [
    named("sin6_port", netPort(bytes)),
    named("sin6_flowinfo", call("htonl", [int(swap(readWord(bytes, 4, 4, false), 4))])),
    call("inet_pton", [sym("AF_INET6"), text(printInet6(bytes.subarray(8, 24))), sym("&sin6_addr")]),
  ];
  if (bytes.length > SOCKADDR_IN6_MIN_BYTES) fields.push(named("sin6_scope_id", int(readWord(bytes, 24, 4, false))));
  return fields;
}

function netPort(bytes: Uint8Array): Expr {
  return call("htons", [int(swap(readWord(bytes, 2, 2, false), 2))]);
}

/** A path up to its NUL; an abstract name with all its bytes. */
function printPath(path: Uint8Array): Expr {
  if (path[0] === 0) return { kind: "at", place: "", offset: 0, content: str(path.slice(1)) };
  const end = path.indexOf(0);
  return str(path.slice(0, end < 0 ? path.length : end));
}

function text(value: string): Expr {
  return str(Uint8Array.from(value, (character) => character.charCodeAt(0)));
}
