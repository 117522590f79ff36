/**
 * Which addresses a machine has, and by which device others are reached.
 *
 * Counterpart: `net/ipv4/fib_frontend.c` (`inet_addr_type`), `net/ipv4/fib_trie.c`, `net/ipv4/devinet.c`,
 * `net/ipv6/addrconf.c`.
 * An address of its own goes by loopback, as does 127.0.0.0/8. A machine that was given addresses also has the networks around
 * them: there it looks for neighbours, elsewhere it has no route. One that was given none has loopback alone.
 */
import type { Net } from "../net.ts";
import type { InetAddr } from "./addr.ts";
import type { NetDevice } from "./device.ts";
import { NoNeighbour } from "./neighbour.ts";

/** Networks are this large unless told: bits of the prefix. */
const PREFIX4 = 24;
const PREFIX6 = 64;

interface OwnAddress {
  readonly addr: InetAddr;
  readonly prefix: number;
}

export class Routes {
  readonly #net: Net;
  readonly #own: OwnAddress[] = [];
  readonly #devices = new Map<InetAddr, NetDevice>();
  #noNeighbour: NoNeighbour | null = null;

  constructor(net: Net) {
    this.#net = net;
  }

  /** Whether the machine is part of a network: others are asked for at all. */
  get networked(): boolean {
    return this.#own.length > 0;
  }

  /** `ip addr add`. @param prefix - bits of its network; null for 24 of IPv4, 64 of IPv6. */
  addAddress(addr: InetAddr, prefix: number | null): void {
    this.#own.push({ addr, prefix: prefix ?? (addr.isV4 ? PREFIX4 : PREFIX6) });
  }

  /** `ip route add`: packets for that address go by this device. */
  addRoute(addr: InetAddr, device: NetDevice): void {
    this.#devices.set(addr, device);
  }

  /** `RTN_LOCAL`. */
  isLocal(addr: InetAddr): boolean {
    return addr.isLoopback || this.#own.some((own) => own.addr === addr);
  }

  /** `fib_lookup`, for an address that is not of the loopback network. @returns null where no route leads. */
  lookup(addr: InetAddr): NetDevice | null {
    const device = this.#devices.get(addr);
    if (device !== undefined) return device;
    if (this.isLocal(addr)) return this.#net.loopback;
    if (!this.#own.some((own) => isNear(own, addr))) return null;
    this.#noNeighbour ??= new NoNeighbour(this.#net);
    return this.#noNeighbour;
  }

  /** `fib_prefsrc`: the address to send from. */
  sourceFor(destination: InetAddr): InetAddr {
    const { addrs } = this.#net;
    if (destination.isLoopback) return destination.isV4 ? addrs.loopback4 : addrs.loopback6;
    if (this.isLocal(destination)) return destination;
    const same = this.#own.filter(({ addr }) => addr.isV4 === destination.isV4);
    const near = same.find((own) => isNear(own, destination)) ?? same[0];
    return near === undefined ? addrs.any(destination.isV4 ? 2 : 10) : near.addr;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#net, this.#own, this.#devices, this.#noNeighbour];
  }
}

/** In the same network. */
function isNear({ addr, prefix }: OwnAddress, other: InetAddr): boolean {
  if (addr.isV4 !== other.isV4) return false;
  for (let bit = 0; bit < prefix; bit += 8) {
    const differ = (addr.bytes[bit >> 3] as number) ^ (other.bytes[bit >> 3] as number);
    const rest = prefix - bit;
    if (differ >> (rest >= 8 ? 0 : 8 - rest) !== 0) return false;
  }
  return true;
}
