/**
 * Options of levels IPPROTO_IP and IPPROTO_IPV6.
 *
 * Counterpart: `net/ipv4/ip_sockglue.c`, `net/ipv6/ipv6_sockglue.c`.
 * Most of them change nothing that a program could see on the wires of the model: their values are checked, kept and read back.
 * Those that add control messages to datagrams are kept on TCP sockets, which have none, and refused on UDP sockets. RECVERR
 * takes effect (`udp-sock.ts`), and so does ADDRFORM.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af, SOL_IP, SOL_IPV6, Sock as SockType } from "../../uapi/socket.ts";
import { SkState } from "../sock.ts";
import { fetchOption, storeOption } from "../sockopt.ts";
import type { InetSock } from "./inet-sock.ts";

const IP_TOS = 1;
const IP_RECVERR = 11;
const IP_MTU = 14;
const IPV6_ADDRFORM = 1;
const IPV6_MTU = 24;
const IPV6_RECVERR = 25;
const IPV6_V6ONLY = 26;
/** A TCP socket keeps its congestion bits. */
const ECN_MASK = 3;

/** Options of level IPPROTO_IP that take no value for 0. */
const NO_VALUE: ReadonlySet<number> = new Set([IP_TOS, 6, 7, 8, 10, IP_RECVERR, 12, 13, 20, 24]);

/** What an option keeps of a value; `EINVAL` for one that it refuses. */
type Rule = (value: number) => number;

const INVALID = -Errno.EINVAL;
const flag: Rule = (value) => Number(value !== 0);
const lowByte: Rule = (value) => value & 0xff;
const within =
  (least: number, most: number): Rule =>
  (value) =>
    value >= least && value <= most ? value : INVALID;
const orDefault =
  (fallback: number, rule: Rule): Rule =>
  (value) =>
    value === -1 ? fallback : rule(value);

interface Option {
  /** Value of a fresh socket. */
  readonly initial: number;
  readonly rule: Rule;
  /** Adds a control message to each datagram. */
  readonly cmsg: boolean;
}

const kept = (initial: number, rule: Rule): Option => ({ initial, rule, cmsg: false });
const announced: Option = { initial: 0, rule: flag, cmsg: true };

/**
 * TOS, TTL, RECVOPTS, RETOPTS, PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS, FREEBIND, TRANSPARENT, RECVORIGDSTADDR, MINTTL,
 * BIND_ADDRESS_NO_PORT, MULTICAST_TTL, MULTICAST_LOOP, MULTICAST_ALL.
 */
const IP_OPTIONS: ReadonlyMap<number, Option> = new Map([
  [IP_TOS, kept(0, lowByte)],
  [2, kept(64, orDefault(64, within(1, 255)))],
  [6, announced],
  [7, announced],
  [8, announced],
  [10, kept(1, within(0, 5))],
  [IP_RECVERR, kept(0, flag)],
  [12, announced],
  [13, announced],
  [15, kept(0, flag)],
  [19, kept(0, flag)],
  [20, announced],
  [21, kept(0, within(0, 255))],
  [24, kept(0, flag)],
  [33, kept(1, orDefault(1, within(0, 255)))],
  [34, kept(1, flag)],
  [49, kept(1, within(0, 1))],
]);

/**
 * UNICAST_HOPS, MULTICAST_HOPS, MULTICAST_LOOP, MTU_DISCOVER, RECVERR, MULTICAST_ALL, RECVPKTINFO, RECVHOPLIMIT, DONTFRAG,
 * RECVTCLASS, TCLASS, AUTOFLOWLABEL, TRANSPARENT, FREEBIND.
 */
const IPV6_OPTIONS: ReadonlyMap<number, Option> = new Map([
  [16, kept(64, orDefault(64, within(0, 255)))],
  [18, kept(1, orDefault(1, within(0, 255)))],
  [19, kept(1, within(0, 1))],
  [23, kept(1, within(0, 5))],
  [IPV6_RECVERR, kept(0, flag)],
  [29, kept(1, flag)],
  [49, announced],
  [51, announced],
  [62, kept(0, flag)],
  [66, announced],
  [67, kept(0, orDefault(0, within(0, 255)))],
  [70, kept(1, flag)],
  [75, kept(0, flag)],
  [78, kept(0, flag)],
]);

/** Numbers of the other options that Linux has: `[first, last]`. */
const IP_OTHERS: readonly (readonly [number, number])[] = [
  [1, 26],
  [32, 52],
  [64, 110],
  [200, 215],
];
const IPV6_OTHERS: readonly (readonly [number, number])[] = [
  [1, 37],
  [42, 80],
  [200, 215],
];

/** @throws Unmodelled for an option that Linux has. */
function refuseOther(call: string, level: number, option: number): void {
  const others = level === SOL_IP ? IP_OTHERS : IPV6_OTHERS;
  if (others.some(([first, last]) => option >= first && option <= last)) {
    throw new Unmodelled(`${call}(level ${level}, ${option})`);
  }
}

function optionOf(level: number, option: number): Option | undefined {
  return (level === SOL_IP ? IP_OPTIONS : IPV6_OPTIONS).get(option);
}

/** Whether errors of datagrams are to be queued: IP_RECVERR, or IPV6_RECVERR for what came by IPv6. */
export function wantsErrors({ ipOptions }: InetSock, v4: boolean): boolean {
  const key = v4 ? SOL_IP * 256 + IP_RECVERR : SOL_IPV6 * 256 + IPV6_RECVERR;
  return ipOptions !== null && (ipOptions.get(key) ?? 0) !== 0;
}

function hasLevel(sk: InetSock, level: number): boolean {
  return level === SOL_IP || (level === SOL_IPV6 && sk.family === Af.INET6);
}

/**
 * `ip_setsockopt`, `ipv6_setsockopt`. Level IPPROTO_IP also takes a single byte.
 *
 * @errno ENOPROTOOPT - the level; MTU. EINVAL - too short; a value; V6ONLY of a bound socket. EFAULT - the pointer. The rest:
 *   `addrform`.
 */
export function ipSetsockopt(
  task: Task,
  sk: InetSock,
  level: number,
  option: number,
  addr: number,
  length: number,
): number {
  if (!hasLevel(sk, level)) return -Errno.ENOPROTOOPT;
  const v6 = level === SOL_IPV6;
  const known = optionOf(level, option);
  const special = v6 && (option === IPV6_V6ONLY || option === IPV6_ADDRFORM);
  if (!v6 && option === IP_MTU) return -Errno.ENOPROTOOPT;
  if (known === undefined && !special) {
    refuseOther("setsockopt", level, option);
    const unread = v6 && addr !== 0 && length >= 4 && fetchOption(task, addr, 4) === null;
    return unread ? -Errno.EFAULT : -Errno.ENOPROTOOPT;
  }
  const size = length >= 4 ? 4 : v6 ? 0 : Math.min(length, 1);
  if (size === 0 && (v6 || !NO_VALUE.has(option))) return INVALID;
  const view = fetchOption(task, addr, size);
  if (view === null) return -Errno.EFAULT;
  const value = size === 4 ? view.getInt32(0, true) : size === 1 ? view.getUint8(0) : 0;
  if (known !== undefined) return keep(sk, level, option, known, value);
  if (option === IPV6_ADDRFORM) return addrform(sk, value);
  if (sk.num !== 0) return INVALID;
  sk.v6only = value !== 0;
  return 0;
}

function keep(sk: InetSock, level: number, option: number, { rule, cmsg }: Option, value: number): number {
  const stored = rule(value);
  if (stored < 0) return stored;
  const stream = sk.type === SockType.STREAM;
  if (cmsg && stored !== 0 && !stream) throw new Unmodelled(`setsockopt(level ${level}, ${option}) of a UDP socket`);
  sk.ipOptions ??= new Map();
  if (stored === 0 && option === (level === SOL_IP ? IP_RECVERR : IPV6_RECVERR)) sk.purgeErrors();
  const before = sk.ipOptions.get(level * 256 + option) ?? 0;
  const tos = level === SOL_IP && option === IP_TOS && stream;
  sk.ipOptions.set(level * 256 + option, tos ? (stored & ~ECN_MASK) | (before & ECN_MASK) : stored);
  return 0;
}

/**
 * `IPV6_ADDRFORM`: a socket that speaks IPv4 becomes an IPv4 socket.
 *
 * @errno EINVAL - another family than AF_INET. ENOTCONN - not connected. EADDRNOTAVAIL - it speaks IPv6, or has to.
 */
function addrform(sk: InetSock, family: number): number {
  if (family !== Af.INET) return INVALID;
  if (sk.state !== SkState.ESTABLISHED) return -Errno.ENOTCONN;
  if (sk.v6only || !sk.daddr.isV4) return -Errno.EADDRNOTAVAIL;
  sk.becomeIpv4();
  return 0;
}

/**
 * `ip_getsockopt`, `ipv6_getsockopt`. Level IPPROTO_IP answers with a byte where there is no room for a word.
 *
 * @errno ENOPROTOOPT, EOPNOTSUPP - the level. EFAULT - a pointer. EINVAL - a negative length, of IPv4. ENOTCONN - MTU and ADDRFORM of
 *   a socket that is not connected.
 */
export function ipGetsockopt(
  task: Task,
  sk: InetSock,
  level: number,
  option: number,
  addr: number,
  lengthAddr: number,
): number {
  if (!hasLevel(sk, level)) return sk.family === Af.INET ? -Errno.EOPNOTSUPP : -Errno.ENOPROTOOPT;
  const view = fetchOption(task, lengthAddr, 4);
  if (view === null) return -Errno.EFAULT;
  const v6 = level === SOL_IPV6;
  const room = v6 ? Math.min(view.getUint32(0, true), 4) : view.getInt32(0, true);
  if (room < 0) return INVALID;
  const value = currentValue(sk, level, option);
  if (value < 0) return value;
  const byte = !v6 && room > 0 && room < 4 && value <= 0xff;
  const word = new DataView(new ArrayBuffer(4));
  word.setInt32(0, value, true);
  return storeOption(task, addr, lengthAddr, new Uint8Array(word.buffer).subarray(0, byte ? 1 : Math.min(room, 4)));
}

function currentValue(sk: InetSock, level: number, option: number): number {
  const known = optionOf(level, option);
  if (known !== undefined) return sk.ipOptions?.get(level * 256 + option) ?? known.initial;
  const v6 = level === SOL_IPV6;
  if (v6 && option === IPV6_V6ONLY) return Number(sk.v6only);
  const connected = sk.state === SkState.ESTABLISHED;
  if (v6 && option === IPV6_ADDRFORM) return connected ? sk.family : -Errno.ENOTCONN;
  if (option === (v6 ? IPV6_MTU : IP_MTU) && !connected) return -Errno.ENOTCONN;
  refuseOther("getsockopt", level, option);
  return -Errno.ENOPROTOOPT;
}
