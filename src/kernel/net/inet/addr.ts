/**
 * Internet addresses.
 *
 * Counterpart: `include/uapi/linux/in.h`, `in6.h`, `net/ipv4/fib_frontend.c` (`inet_addr_type`).
 * An address is interned: two of the same value are the same object. An IPv6 socket that talks to `::ffff:a.b.c.d` talks
 * IPv4, and holds the IPv4 address; only its sockaddrs show the long form.
 */
import { Errno } from "../../uapi/errno.ts";
import { Af } from "../../uapi/socket.ts";

/** `sizeof(struct sockaddr_in)`, `sizeof(struct sockaddr_in6)`, and what of the latter must be given. */
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
const SIN6_LEN_RFC2133 = 24;
/** Offsets of address bytes. */
const IN_ADDR = 4;
const IN6_ADDR = 8;
const MAPPED_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

export class InetAddr {
  /** 4 bytes or 16. */
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Of the tables of `InetAddrs`. */
  readonly key: string;
  /** For tables of connections. */
  readonly hash: number;
  /** INADDR_ANY, or in6addr_any. */
  readonly isAny: boolean;
  /** Delivered by the loopback device. */
  readonly isLoopback: boolean;
  /** Class D or ff00::/8, or the limited broadcast. */
  readonly isMulticast: boolean;
  readonly isBroadcast: boolean;

  constructor(bytes: Uint8Array) {
    const v4 = bytes.length === 4;
    const first = bytes[0] as number;
    this.bytes = bytes;
    this.key = keyOf(bytes);
    this.text = v4 ? bytes.join(".") : textOf6(bytes);
    this.hash = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x0100_0193), 0x811c_9dc5 | 0);
    this.isAny = bytes.every((byte) => byte === 0);
    this.isLoopback = v4 ? first === 127 : bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
    this.isMulticast = v4 ? first >= 224 && first < 240 : first === 0xff;
    this.isBroadcast = v4 && bytes.every((byte) => byte === 255);
  }

  get isV4(): boolean {
    return this.bytes.length === 4;
  }
}

function keyOf(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** RFC 5952 text, without the special cases for embedded IPv4. */
function textOf6(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return groups.join(":").replace(/(?:^|:)0(?::0)+(?::|$)/, "::");
}

/** An address with a port: what a sockaddr says. */
export interface Endpoint {
  readonly addr: InetAddr;
  readonly port: number;
}

const TAIL_OF_ZEROS = new Array<number>(15).fill(0);

/** Those that every machine knows, made once: addresses never change. */
const WELL_KNOWN: readonly [InetAddr, InetAddr, InetAddr, InetAddr] = [
  new InetAddr(Uint8Array.of(0, 0, 0, 0)),
  new InetAddr(Uint8Array.of(0, ...TAIL_OF_ZEROS)),
  new InetAddr(Uint8Array.of(127, 0, 0, 1)),
  new InetAddr(Uint8Array.of(...TAIL_OF_ZEROS, 1)),
];

/** All addresses that a machine has heard of. */
export class InetAddrs {
  readonly #byKey = new Map<string, InetAddr>();
  readonly any4: InetAddr;
  readonly any6: InetAddr;
  readonly loopback4: InetAddr;
  readonly loopback6: InetAddr;

  constructor() {
    const [any4, any6, loopback4, loopback6] = WELL_KNOWN;
    for (const addr of WELL_KNOWN) this.#byKey.set(addr.key, addr);
    this.any4 = any4;
    this.any6 = any6;
    this.loopback4 = loopback4;
    this.loopback6 = loopback6;
  }

  /** @param bytes - 4 or 16 bytes in network order. A mapped IPv4 address gives the IPv4 address. */
  intern(bytes: Uint8Array): InetAddr {
    if (bytes.length === 16 && MAPPED_PREFIX.every((byte, index) => bytes[index] === byte)) {
      return this.intern(bytes.subarray(12));
    }
    const key = keyOf(bytes);
    let addr = this.#byKey.get(key);
    if (addr === undefined) {
      addr = new InetAddr(bytes.slice());
      this.#byKey.set(key, addr);
    }
    return addr;
  }

  /** The address of nobody in particular. */
  any(family: number): InetAddr {
    return family === Af.INET ? this.any4 : this.any6;
  }

  /**
   * Reads a sockaddr of the socket's own family; the family word has been checked by the caller.
   *
   * @errno EINVAL - too short.
   */
  endpoint(family: number, bytes: Uint8Array): Endpoint | number {
    const v4 = family === Af.INET;
    if (bytes.length < (v4 ? SOCKADDR_IN_BYTES : SIN6_LEN_RFC2133)) return -Errno.EINVAL;
    const at = v4 ? IN_ADDR : IN6_ADDR;
    const addr = this.intern(bytes.subarray(at, at + (v4 ? 4 : 16)));
    return { addr, port: ((bytes[2] as number) << 8) | (bytes[3] as number) };
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#byKey];
  }
}

/** The family word of a sockaddr; -1 when it is too short to have one. */
export function sockaddrFamily(bytes: Uint8Array): number {
  return bytes.length < 2 ? -1 : (bytes[0] as number) | ((bytes[1] as number) << 8);
}

/** A sockaddr as getsockname shows it to a socket of `family`. */
export function sockaddrOf(family: number, addr: InetAddr, port: number): Uint8Array {
  const v4 = family === Af.INET;
  const bytes = new Uint8Array(v4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES);
  bytes[0] = family;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (v4) bytes.set(addr.bytes, IN_ADDR);
  else if (addr.isV4 && !addr.isAny) bytes.set([...MAPPED_PREFIX, ...addr.bytes], IN6_ADDR);
  else if (!addr.isV4) bytes.set(addr.bytes, IN6_ADDR);
  return bytes;
}
