/**
 * What TCP and UDP sockets share: addresses, ports, binding.
 *
 * Counterpart: `include/net/inet_sock.h` (`struct inet_sock`), `net/ipv4/af_inet.c`, `net/ipv6/af_inet6.c`.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af } from "../../uapi/socket.ts";
import type { Net } from "../net.ts";
import { SkState, Sock } from "../sock.ts";
import { type Endpoint, type InetAddr, sockaddrFamily, sockaddrOf } from "./addr.ts";

/** `ip_unprivileged_port_start`. */
const FIRST_FREE_PORT = 1024;

/** What may hold a port: a socket, or what is left of one in TIME_WAIT. */
export interface PortOwner {
  readonly family: number;
  readonly uid: number;
  readonly state: number;
  readonly rcvSaddr: InetAddr;
  readonly v6only: boolean;
  readonly reuse: boolean;
  readonly reuseport: boolean;
}

/**
 * `inet_rcv_saddr_equal` with wildcards: whether `sk` may not stand beside `other`. An IPv4 wildcard also meets an IPv6
 * address that its socket got by connecting rather than by bind, which would have made it IPv6 only.
 */
export function addressesOverlap(sk: PortOwner, other: PortOwner): boolean {
  const { rcvSaddr: a } = sk;
  const { rcvSaddr: b } = other;
  if (sk.family === Af.INET) return !other.v6only && (a === b || a.isAny || b.isAny);
  if (a === b) return true;
  if (a.isV4 && b.isV4) return !other.v6only && (a.isAny || b.isAny);
  if (b.isAny && !b.isV4) return !(other.v6only && a.isV4);
  return a.isAny && !a.isV4 && !(sk.v6only && b.isV4);
}

export abstract class InetSock extends Sock implements PortOwner {
  /** AF_INET or AF_INET6. */
  #family: number;
  /** User that made the socket. */
  readonly uid: number;
  /** `inet_rcv_saddr`: what it receives for; and `inet_saddr`, what it sends from, is the same here. */
  rcvSaddr: InetAddr;
  /** `inet_num`: the local port, 0 while there is none. */
  num: number;
  /** `inet_sport`: the port that the socket shows, also when it has just given it back. */
  sport: number;
  daddr: InetAddr;
  dport: number;
  v6only: boolean;
  /** `SOCK_BINDADDR_LOCK`, `SOCK_BINDPORT_LOCK`: set by bind, kept when a connection ends. */
  addrLocked: boolean;
  portLocked: boolean;
  /** Options of the IP levels that are stored and read back. */
  ipOptions: Map<number, number> | null;

  constructor(net: Net, family: number, uid: number) {
    super(net);
    this.#family = family;
    this.uid = uid;
    this.rcvSaddr = net.addrs.any(family);
    this.num = 0;
    this.sport = 0;
    this.daddr = this.rcvSaddr;
    this.dport = 0;
    this.v6only = false;
    this.addrLocked = false;
    this.portLocked = false;
    this.ipOptions = null;
  }

  override get family(): number {
    return this.#family;
  }

  /** `skb_errqueue_purge`: nobody wants errors queued any more. */
  purgeErrors(): void {}

  /** `ipv6_restore`: what is left of IPV6_ADDRFORM. */
  becomeIpv4(): void {
    this.#family = Af.INET;
  }

  get reuse(): boolean {
    return this.opts.reuse;
  }

  get reuseport(): boolean {
    return this.opts.reuseport;
  }

  /**
   * `->get_port`: takes a local port.
   *
   * @param port - 0 for any.
   * @returns whether it could be had.
   */
  protected abstract getPort(port: number): boolean;

  /**
   * `__inet_bind`, `__inet6_bind`.
   *
   * @errno EINVAL - too short, or bound already. EAFNOSUPPORT - another family. EADDRNOTAVAIL - not an address of this
   * machine. EACCES - a port below 1024 without privilege. EADDRINUSE - the port is taken.
   * @behaviour C-33
   */
  override bind(task: Task, bytes: Uint8Array): number {
    const endpoint = this.#bindEndpoint(bytes);
    if (typeof endpoint === "number") return endpoint;
    const { addr, port } = endpoint;
    const local = addr.isAny || this.net.routes.isLocal(addr);
    if (!local && !addr.isMulticast && !addr.isBroadcast) return -Errno.EADDRNOTAVAIL;
    if (port !== 0 && port < FIRST_FREE_PORT && !task.process.privileged) return -Errno.EACCES;
    if (this.state !== SkState.CLOSE || this.num !== 0) return -Errno.EINVAL;
    this.rcvSaddr = addr;
    if (!this.getPort(port)) {
      this.rcvSaddr = this.net.addrs.any(this.#family);
      return -Errno.EADDRINUSE;
    }
    if (!addr.isAny) this.addrLocked = true;
    if (!addr.isAny && !addr.isV4) this.v6only = true;
    if (port !== 0) this.portLocked = true;
    this.dport = 0;
    return 0;
  }

  #bindEndpoint(bytes: Uint8Array): Endpoint | number {
    const endpoint = this.net.addrs.endpoint(this.#family, bytes);
    if (typeof endpoint === "number") return endpoint;
    const family = sockaddrFamily(bytes);
    const { addr } = endpoint;
    const unspecified = this.#family === Af.INET && family === Af.UNSPEC && addr.isAny;
    if (family !== this.#family && !unspecified) return -Errno.EAFNOSUPPORT;
    if (this.#family === Af.INET6 && addr.isV4 && this.v6only) return -Errno.EINVAL;
    return endpoint;
  }

  /**
   * Reads the destination of a connect, and finds the way there.
   *
   * @errno EINVAL - too short. EAFNOSUPPORT - another family. Others as `routeTo`.
   */
  protected route(bytes: Uint8Array): Endpoint | number {
    const endpoint = this.net.addrs.endpoint(this.#family, bytes);
    if (typeof endpoint === "number") return endpoint;
    return sockaddrFamily(bytes) === this.#family ? this.routeTo(endpoint) : -Errno.EAFNOSUPPORT;
  }

  /**
   * `ip_route_output`, `ip6_dst_lookup`: nobody in particular is this machine.
   *
   * @errno ENETUNREACH - IPv4 for a socket that wants IPv6 only; a connection to many; no route. EAFNOSUPPORT - IPv6 for a
   * socket that is bound to an IPv4 address. EINVAL - off this machine, from a loopback address.
   * @throws Unmodelled - off a machine that is part of no network.
   */
  routeTo(endpoint: Endpoint): Endpoint | number {
    const { addrs } = this.net;
    const boundTo4 = this.rcvSaddr.isV4 && !this.rcvSaddr.isAny;
    let { addr } = endpoint;
    if (addr.isAny && addr.isV4) addr = boundTo4 ? this.rcvSaddr : addrs.loopback4;
    else if (addr.isAny) addr = boundTo4 ? addrs.loopback4 : addrs.loopback6;
    if (addr.isV4 && this.v6only) return -Errno.ENETUNREACH;
    if (!addr.isV4 && boundTo4) return -Errno.EAFNOSUPPORT;
    if (addr.isMulticast || addr.isBroadcast) return this.nonUnicast(addr);
    const err = addr.isLoopback ? 0 : this.#checkRoute(addr);
    return err < 0 ? err : { addr, port: endpoint.port };
  }

  /** `fib_lookup`, `__mkroute_output` for an address that is not a loopback one. */
  #checkRoute(addr: InetAddr): number {
    const { routes } = this.net;
    if (!routes.networked) throw new Unmodelled(`a route to ${addr.text}`);
    if (routes.lookup(addr) === null) return -Errno.ENETUNREACH;
    return this.rcvSaddr.isLoopback && !routes.isLocal(addr) ? -Errno.EINVAL : 0;
  }

  /** What a destination of many means: a connection cannot have one. */
  protected nonUnicast(_addr: InetAddr): number {
    return -Errno.ENETUNREACH;
  }

  /** Address to send from: its own, or what the route prefers. */
  sourceFor(destination: InetAddr): InetAddr {
    if (!this.rcvSaddr.isAny && this.rcvSaddr.isV4 === destination.isV4) return this.rcvSaddr;
    return this.net.routes.sourceFor(destination);
  }

  /** `inet_getname`, `inet6_getname`. @errno ENOTCONN - no peer, or none any more. */
  override getname(peer: 0 | 1 | 2): Uint8Array | number {
    if (peer === 0) return sockaddrOf(this.#family, this.rcvSaddr, this.sport);
    const gone = this.state === SkState.CLOSE || this.state === SkState.SYN_SENT;
    if (this.dport === 0 || (gone && peer === 1)) return -Errno.ENOTCONN;
    return sockaddrOf(this.#family, this.daddr, this.dport);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#family];
  }
}
