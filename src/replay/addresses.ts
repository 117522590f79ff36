/**
 * Internet addresses as the calls of a recording name them.
 */
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import type { SocketFile } from "../kernel/net/socket.ts";
import { Af } from "../kernel/uapi/socket.ts";
import { evalInt, field } from "../trace/abi/evaluate.ts";
import { parseInet4, parseInet6 } from "../trace/abi/inet.ts";
import type { Expr, StructExpr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { type PortMap, portIn } from "./ports.ts";

const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/** `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}` as bytes; null for other families. */
export function sockaddrIn(expr: Expr | undefined): Uint8Array | null {
  if (expr?.kind !== "struct") return null;
  const family = evalInt(field(expr, "sa_family", 0) ?? expr);
  const port = portIn(expr);
  const addr = family === Af.INET ? inet4Of(expr) : family === Af.INET6 ? inet6Of(expr) : null;
  if (family === null || port === null || addr === null) return null;
  const out = new Uint8Array(family === Af.INET ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  out.set([family, 0, port >> 8, port & 0xff]);
  out.set(addr, family === Af.INET ? 4 : 8);
  return out;
}

function inet4Of(expr: StructExpr): Uint8Array | null {
  const addr = field(expr, "sin_addr", -1);
  return addr?.kind === "call" ? parsed(addr.args[0], parseInet4) : null;
}

function inet6Of(expr: StructExpr): Uint8Array | null {
  const bare = expr.fields.find((item) => item.kind === "call" && item.name === "inet_pton");
  const addr = field(expr, "sin6_addr", -1) ?? bare;
  return addr?.kind === "call" ? parsed(addr.args[1], parseInet6) : null;
}

function parsed(text: Expr | undefined, parse: (text: string) => Uint8Array | null): Uint8Array | null {
  return text?.kind === "str" ? parse(String.fromCharCode(...text.bytes)) : null;
}

/** The TCP socket of the model that a connect reaches. */
export function tcpListenerOf({ args }: CallRecord, { sk }: SocketFile, ports: PortMap): TcpSock | null {
  const address = sk instanceof TcpSock && args[1] !== undefined ? sockaddrIn(ports.toModel(args[1])) : null;
  if (!(sk instanceof TcpSock) || address === null) return null;
  const endpoint = sk.net.addrs.endpoint(address[0] as number, address);
  return typeof endpoint === "number" ? null : sk.net.tcp.lookupListener(endpoint.addr, endpoint.port);
}
