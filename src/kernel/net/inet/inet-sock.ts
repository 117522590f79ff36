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

/** `inet_rcv_saddr_equal` with wildcards: whether the two would receive the same packets. */
export function addressesOverlap(a: PortOwner, b: PortOwner): boolean {
  const { rcvSaddr: addrA } = a;
  const { rcvSaddr: addrB } = b;
  if (addrA === addrB) return true;
  if (addrA.isV4 && addrB.isV4) return addrA.isAny || addrB.isAny;
  if (addrB.isAny && !addrB.isV4) return !(addrA.isV4 && b.v6only);
  if (addrA.isAny && !addrA.isV4) return !(addrB.isV4 && a.v6only);
  return false;
}

export abstract class InetSock extends Sock implements PortOwner {
  /** AF_INET or AF_INET6. */
  readonly #family: number;
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
    if (!addr.isAny && !addr.isLoopback && !addr.isMulticast && !addr.isBroadcast) return -Errno.EADDRNOTAVAIL;
    if (port !== 0 && port < FIRST_FREE_PORT && !task.process.privileged) return -Errno.EACCES;
    if (this.state !== SkState.CLOSE || this.num !== 0) return -Errno.EINVAL;
    const former = this.rcvSaddr;
    this.rcvSaddr = addr.isAny ? former : addr;
    if (!this.getPort(port)) {
      this.rcvSaddr = former;
      return -Errno.EADDRINUSE;
    }
    if (!addr.isAny) this.addrLocked = true;
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
   * Reads the destination of a connect or send, and finds the way there.
   *
   * @errno EINVAL - too short. EAFNOSUPPORT - another family. ENETUNREACH - nothing to connect to.
   * @throws Unmodelled - off this machine.
   */
  protected route(bytes: Uint8Array): Endpoint | number {
    const { addrs } = this.net;
    const endpoint = addrs.endpoint(this.#family, bytes);
    if (typeof endpoint === "number") return endpoint;
    if (sockaddrFamily(bytes) !== this.#family) return -Errno.EAFNOSUPPORT;
    let { addr } = endpoint;
    if (addr.isAny) addr = addr.isV4 || this.rcvSaddr.isV4 ? addrs.loopback4 : addrs.loopback6;
    if (addr.isV4 && this.v6only) return -Errno.ENETUNREACH;
    if (addr.isMulticast || addr.isBroadcast) return this.nonUnicast(addr);
    if (!addr.isLoopback) throw new Unmodelled(`a route to ${addr.text}`);
    return { addr, port: endpoint.port };
  }

  /** What a destination of many means: a connection cannot have one. */
  protected nonUnicast(_addr: InetAddr): number {
    return -Errno.ENETUNREACH;
  }

  /** Address to send from, for a socket that is bound to none: `fib_prefsrc` of the loopback routes. */
  protected sourceFor(destination: InetAddr): InetAddr {
    const { addrs } = this.net;
    if (!this.rcvSaddr.isAny) return this.rcvSaddr;
    return destination.isV4 ? addrs.loopback4 : addrs.loopback6;
  }

  /** `inet_getname`, `inet6_getname`. @errno ENOTCONN - no peer, or none any more. */
  override getname(peer: 0 | 1 | 2): Uint8Array | number {
    if (peer === 0) return sockaddrOf(this.#family, this.rcvSaddr, this.sport);
    const gone = this.state === SkState.CLOSE || this.state === SkState.SYN_SENT;
    if (this.dport === 0 || (gone && peer === 1)) return -Errno.ENOTCONN;
    return sockaddrOf(this.#family, this.daddr, this.dport);
  }
}
