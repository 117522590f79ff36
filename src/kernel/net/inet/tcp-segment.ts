/**
 * TCP segments.
 *
 * Counterpart: `include/uapi/linux/tcp.h` (`struct tcphdr`), `include/net/tcp.h` (`struct tcp_skb_cb`).
 * Sequence numbers count from 0 in each direction and do not wrap: a number holds 2^53 of them. A segment owns the bytes
 * that it carries; whoever takes them sets `skb` to null.
 */

import { copySlab } from "../../mm/mm.ts";
import { Errno } from "../../uapi/errno.ts";
import type { Net } from "../net.ts";
import { MAX_FRAGS, type SkBuff, type SkbPool } from "../skbuff.ts";
import type { InetAddr } from "./addr.ts";
import { type NetDevice, Packet } from "./device.ts";
import { NO_CLONE } from "./tcp-fragment.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** Headers on an Ethernet: the frame's own, IP, and TCP with timestamps; IPv6 is 20 bytes longer. */
const WIRE_HEADERS4 = 66;
const WIRE_HEADERS6 = 86;

/** IP and TCP headers with timestamps; IPv6 is 20 bytes longer. */
const HEADERS4 = 52;
const HEADERS6 = 72;

/** `tcp_mtu_to_mss`: most bytes of one segment to that address. */
export function tcpMss(device: NetDevice, to: InetAddr): number {
  return device.mtu - (to.isV4 ? HEADERS4 : HEADERS6);
}

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
  /** Who holds the same bytes until they are acknowledged; null for a segment that has come over a wire, or has none. */
  sender: TcpSock | null;

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
    this.sender = null;
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

  override get wireBytes(): number {
    return this.length + (this.dst.isV4 ? WIRE_HEADERS4 : WIRE_HEADERS6);
  }

  override receive(net: Net): void {
    net.tcp.receive(this);
  }

  /** `tcp_add_backlog`: whether one segment says all that it and the one before it say. */
  replaces(before: TcpSegment | undefined): boolean {
    if (before === undefined || this.flags !== TcpFlag.ACK || before.flags !== TcpFlag.ACK) return false;
    return this.length === 0 && before.length === 0 && this.seq === before.seq && this.ack >= before.ack;
  }

  /** A segment of the same kind that takes the bytes over. */
  split(): TcpSegment {
    const { src, sport, dst, dport, flags, seq, ack, window, urg, skb } = this;
    this.skb = null;
    return new TcpSegment(src, sport, dst, dport, flags, seq, ack, window, urg, skb);
  }

  /** `kfree_skb`: nobody wants it. */
  override drop(net: Net): void {
    const { skb } = this;
    this.skb = null;
    if (skb !== null) net.skbs.free(skb);
  }

  /** `tcp_v4_err` for ICMP_HOST_UNREACH: a connection is given up while it begins, and goes on trying later. */
  override unreachable(net: Net): void {
    net.tcp.unreachable(this, Errno.EHOSTUNREACH);
  }
}

/** What may not be part of a segment that others are joined to. */
const ALONE = TcpFlag.SYN | TcpFlag.RST | TcpFlag.URG | TcpFlag.FIN;

/** `skb_try_coalesce`: the second goes on where the first ends, whose head nobody else has. */
export function mayJoin(first: TcpSegment, second: TcpSegment): boolean {
  const { skb, sender } = first;
  const { skb: other } = second;
  if (skb === null || other === null || first.endSeq !== second.seq) return false;
  if (first.has(ALONE) || second.has(TcpFlag.SYN | TcpFlag.RST | TcpFlag.URG)) return false;
  const cloned = skb.mark !== NO_CLONE && (sender === null || sender.sndUna < first.endSeq);
  return !cloned && skb.frags + other.frags <= MAX_FRAGS;
}

/** Both as one, with the later acknowledgment. */
export function joined(skbs: SkbPool, first: TcpSegment, second: TcpSegment): TcpSegment {
  const a = first.skb as SkBuff;
  const b = second.skb as SkBuff;
  const skb = skbs.alloc(a.len + b.len);
  copySlab(skb.slab, skb.offset, a.slab, a.offset, a.len);
  copySlab(skb.slab, skb.offset + a.len, b.slab, b.offset, b.len);
  skb.gsoSize = Math.max(a.gsoSize || a.len, b.gsoSize || b.len);
  skb.frags = a.frags + b.frags;
  skb.mark = NO_CLONE;
  const { src, sport, dst, dport, seq } = first;
  const flags = first.flags | second.flags;
  const segment = new TcpSegment(src, sport, dst, dport, flags, seq, second.ack, second.window, second.urg, skb);
  segment.sender = first.sender;
  first.skb = null;
  second.skb = null;
  skbs.free(a);
  skbs.free(b);
  return segment;
}
