/**
 * Addresses of sockets, as text and as the kernel takes them.
 *
 * Counterpart: `net/ipsock.go`, `net/unixsock.go`, `syscall` (`anyToSockaddr`).
 */
import { Af } from "../../../kernel/uapi/socket.ts";

/** A network that can be listened on and dialed. */
export type Network = "tcp" | "tcp4" | "unix";

export interface SockAddr {
  readonly family: number;
  readonly bytes: Uint8Array;
}

const SOCKADDR_IN_BYTES = 16;

/** @throws RangeError for what is no address of this network. */
export function resolve(network: Network, address: string): SockAddr {
  return network === "unix" ? unixAddr(address) : inetAddr(address);
}

/** `host:port`, the host dotted, empty for all or `localhost`. */
function inetAddr(address: string): SockAddr {
  const colon = address.lastIndexOf(":");
  const port = Number(address.slice(colon + 1));
  const host = address.slice(0, colon);
  const dotted = host === "" ? "0.0.0.0" : host === "localhost" ? "127.0.0.1" : host;
  const parts = dotted.split(".").map(Number);
  if (colon < 0 || !isPort(port) || parts.length !== 4 || !parts.every(isByte)) {
    throw new RangeError(`address '${address}': expected host:port, such as 127.0.0.1:8080`);
  }
  const bytes = new Uint8Array(SOCKADDR_IN_BYTES);
  bytes[0] = Af.INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(parts, 4);
  return { family: Af.INET, bytes };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 0xffff;
}

function isByte(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xff;
}

/** A path; with a leading `@` a name of the abstract namespace. */
function unixAddr(address: string): SockAddr {
  const abstract = address.startsWith("@");
  const bytes = new Uint8Array(2 + address.length + (abstract ? 0 : 1));
  bytes[0] = Af.UNIX;
  for (let i = abstract ? 1 : 0; i < address.length; i += 1) bytes[2 + i] = address.charCodeAt(i);
  return { family: Af.UNIX, bytes };
}

/** The text of an address that the kernel gave. */
export function addrText(bytes: Uint8Array): string {
  if (bytes[0] === Af.INET) {
    const port = ((bytes[2] as number) << 8) | (bytes[3] as number);
    return `${bytes.slice(4, 8).join(".")}:${port}`;
  }
  let text = "";
  for (let i = 2; i < bytes.length; i += 1) {
    const byte = bytes[i] as number;
    if (byte === 0 && i > 2) break;
    text += byte === 0 ? "@" : String.fromCharCode(byte);
  }
  return text;
}
