/**
 * Requests on route sockets, as far as a header and an address family go.
 *
 * Counterpart: `include/uapi/linux/netlink.h`, `rtnetlink.h`; layout of the text: strace `netlink.c`.
 */
import type { Expr } from "../ast.ts";
import { evalInt, field } from "./evaluate.ts";
import type { Image } from "./image.ts";
import { SymbolTable } from "./symbol-table.ts";

/** Names that strace prints in requests; they are known wherever a number may stand. */
const netlinkRequests: SymbolTable = new SymbolTable({
  RTM_GETLINK: 18,
  RTM_GETADDR: 22,
  RTM_GETROUTE: 26,
  RTM_GETNEIGH: 30,
});
const netlinkFlags: SymbolTable = new SymbolTable({
  NLM_F_DUMP: 0x300,
  NLM_F_REQUEST: 1,
  NLM_F_MULTI: 2,
  NLM_F_ACK: 4,
  NLM_F_ECHO: 8,
});

const HEADER: readonly (readonly [string, number, 2 | 4])[] = [
  ["nlmsg_len", 0, 4],
  ["nlmsg_type", 4, 2],
  ["nlmsg_flags", 6, 2],
  ["nlmsg_seq", 8, 4],
  ["nlmsg_pid", 12, 4],
];
const KNOWN_FLAGS = netlinkFlags.names().reduce((bits, name) => bits | Number(netlinkFlags.value(name)), 0);
const HEADER_BYTES = 16;
const FAMILIES: readonly string[] = ["ifi_family", "ifa_family", "rtm_family", "ndm_family", "rtgen_family"];

/** Puts `[{nlmsg_len=20, ...}, {ifa_family=AF_UNSPEC, ...}]`. @returns false for anything else. */
export function putNetlinkRequest(expr: Expr, image: Image, offset: number): boolean {
  if (expr.kind !== "array") return false;
  const [header, body] = expr.items;
  if (header?.kind !== "struct" || body?.kind !== "struct") return false;
  const family = FAMILIES.map((name) => field(body, name, 0)).find((found) => found !== null);
  const words = HEADER.map(([name], index) => evalInt(field(header, name, index) ?? header));
  const number = family === undefined || family === null ? null : evalInt(family);
  if (number === null || words.some((word) => word === null)) return false;
  const [, type, flags] = words;
  if (netlinkRequests.nameOf(BigInt(type ?? 0)) === null || ((flags ?? 0) & ~KNOWN_FLAGS) !== 0) return false;
  for (const [index, [, at, size]] of HEADER.entries()) image.put(offset + at, size, BigInt(words[index] ?? 0));
  image.put(offset + HEADER_BYTES, 1, BigInt(number));
  return true;
}
