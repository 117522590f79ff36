/**
 * UDP datagrams on the wire.
 *
 * Counterpart: `net/ipv4/udp.c` (`udp_send_skb`, `udp_rcv`, `__udp4_lib_err`), `net/ipv4/icmp.c`.
 */
import type { Net } from "../net.ts";
import type { SkBuff } from "../skbuff.ts";
import type { Endpoint, InetAddr } from "./addr.ts";
import { Packet } from "./device.ts";
import { QUOTED4, QUOTED6 } from "./udp-errors.ts";
import type { UdpSock } from "./udp-sock.ts";
import type { UdpTable } from "./udp-table.ts";

/** Headers on an Ethernet: the frame's own, IP and UDP; IPv6 is 20 bytes longer. */
const WIRE_HEADERS4 = 42;
const WIRE_HEADERS6 = 62;
/** ICMP quotes the head of what it answers. */
const ICMP_BYTES = 70;

export class UdpDatagram extends Packet {
  readonly src: InetAddr;
  readonly dst: InetAddr;
  readonly sport: number;
  readonly dport: number;
  readonly skb: SkBuff;
  readonly #lite: boolean;
  /** Who is charged for it until it is sent, and how much. */
  #owner: UdpSock | null = null;
  readonly #truesize: number;

  /**
   * @param table - of the sender, whose kind of socket it is for.
   * @param owner - charged with `skb.truesize` until it is sent; null once that is over.
   */
  constructor(table: UdpTable, src: InetAddr, sport: number, to: Endpoint, skb: SkBuff, owner: UdpSock | null) {
    super();
    this.#lite = table.lite;
    this.src = src;
    this.dst = to.addr;
    this.sport = sport;
    this.dport = to.port;
    this.skb = skb;
    this.#owner = owner;
    this.#truesize = skb.truesize;
  }

  override get wireBytes(): number {
    return this.skb.len + (this.dst.isV4 ? WIRE_HEADERS4 : WIRE_HEADERS6);
  }

  override get charged(): boolean {
    return this.#owner !== null;
  }

  override sent(): void {
    this.#owner?.wfree(this.#truesize);
    this.#owner = null;
  }

  override drop(net: Net): void {
    net.skbs.free(this.skb);
  }

  /** `__udp4_lib_rcv`: to the socket that fits best; if there is none, word goes back to the sender. */
  override receive(net: Net): void {
    const { src, sport, dst, dport, skb } = this;
    const table = this.#lite ? net.udplite : net.udp;
    const sk = table.lookup(dst, dport, src, sport);
    if (sk === null) {
      const quoted = Math.min(skb.len, dst.isV4 ? QUOTED4 : QUOTED6);
      const payload = skb.slab.bytes.slice(skb.offset, skb.offset + quoted);
      net.skbs.free(skb);
      net.deviceFor(src).xmit(new PortUnreachable(this.#lite, dst, dport, src, sport, payload));
      return;
    }
    skb.source = this;
    if (!sk.enqueue(skb)) net.skbs.free(skb);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#owner, this.#truesize];
  }
}

/** `ICMP_PORT_UNREACH`, with the two ends of the datagram that it answers, and its first bytes. */
class PortUnreachable extends Packet {
  readonly src: InetAddr;
  readonly dst: InetAddr;
  readonly #lite: boolean;
  readonly #deadPort: number;
  readonly #port: number;
  readonly #payload: Uint8Array;

  constructor(lite: boolean, src: InetAddr, deadPort: number, dst: InetAddr, port: number, payload: Uint8Array) {
    super();
    this.#lite = lite;
    this.src = src;
    this.dst = dst;
    this.#deadPort = deadPort;
    this.#port = port;
    this.#payload = payload;
  }

  override get wireBytes(): number {
    return ICMP_BYTES;
  }

  override receive(net: Net): void {
    const to = { addr: this.src, port: this.#deadPort };
    const table = this.#lite ? net.udplite : net.udp;
    table.lookup(this.dst, this.#port, this.src, this.#deadPort)?.portUnreachable({ to, payload: this.#payload });
  }

  override drop(): void {}

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#deadPort, this.#port, this.#payload];
  }
}

/** `udp_send_skb`. A device that takes its time gives the charge back when the datagram has been sent. */
export function udpSendSkb(sk: UdpSock, skb: SkBuff, to: Endpoint): void {
  const device = sk.net.deviceFor(to.addr);
  if (!device.lossy) {
    sk.wmemAlloc -= skb.truesize;
    sk.writeSpace();
  }
  const source = sk.sourceFor(to.addr);
  device.xmit(new UdpDatagram(sk.table, source, sk.num, to, skb, device.lossy ? sk : null));
}
