/**
 * TCP segments.
 *
 * Counterpart: `include/uapi/linux/tcp.h` (`struct tcphdr`), `include/net/tcp.h` (`struct tcp_skb_cb`).
 * Sequence numbers count from 0 in each direction and do not wrap: a number holds 2^53 of them. A segment owns the bytes
 * that it carries; whoever takes them sets `skb` to null.
 */
import type { Net } from "../net.ts";
import type { SkBuff } from "../skbuff.ts";
import type { InetAddr } from "./addr.ts";
import { Packet } from "./device.ts";

export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 } as const;

export class TcpSegment extends Packet {
  readonly src: InetAddr;
  readonly dst: InetAddr;
  readonly sport: number;
  readonly dport: number;
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  /** Bytes that the sender can take from `ack` on. */
  readonly window: number;
  /** Sequence number of the urgent byte; meaningful with URG. */
  readonly urg: number;
  skb: SkBuff | null;

  constructor(
    src: InetAddr,
    sport: number,
    dst: InetAddr,
    dport: number,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    urg: number,
    skb: SkBuff | null,
  ) {
    super();
    this.src = src;
    this.dst = dst;
    this.sport = sport;
    this.dport = dport;
    this.flags = flags;
    this.seq = seq;
    this.ack = ack;
    this.window = window;
    this.urg = urg;
    this.skb = skb;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Bytes of data. */
  get length(): number {
    return this.skb === null ? 0 : this.skb.len;
  }

  /** `end_seq`: SYN and FIN count. */
  get endSeq(): number {
    return this.seq + this.length + (this.flags & TcpFlag.SYN ? 1 : 0) + (this.flags & TcpFlag.FIN ? 1 : 0);
  }

  override receive(net: Net): void {
    net.tcp.receive(this);
  }

  /** `kfree_skb`: nobody wants it. */
  drop(net: Net): void {
    const { skb } = this;
    this.skb = null;
    if (skb !== null) net.skbs.free(skb);
  }
}
