/**
 * Options of levels IPPROTO_IP and IPPROTO_IPV6.
 *
 * Counterpart: `net/ipv4/ip_sockglue.c`, `net/ipv6/ipv6_sockglue.c`.
 * On a loopback wire most of them change nothing that a program could see: their values are kept and read back. Those
 * that would change what is received are refused.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af, SOL_IP, SOL_IPV6 } from "../../uapi/socket.ts";
import { fetchOption, storeOption } from "../sockopt.ts";
import type { InetSock } from "./inet-sock.ts";

/** Kept without effect: TOS, TTL, MTU_DISCOVER, FREEBIND, BIND_ADDRESS_NO_PORT; UNICAST_HOPS, TCLASS. */
const IP_KEPT: ReadonlyMap<number, number> = new Map([
  [1, 0],
  [2, 64],
  [10, 1],
  [15, 0],
  [24, 0],
]);
const IPV6_KEPT: ReadonlyMap<number, number> = new Map([
  [16, 64],
  [67, 0],
]);
const IPV6_V6ONLY = 26;

function known(level: number, option: number): number | undefined {
  return (level === SOL_IP ? IP_KEPT : IPV6_KEPT).get(option);
}

/** @errno ENOPROTOOPT - a level that the socket does not have. */
function checkLevel(sk: InetSock, level: number): number {
  return level === SOL_IP || (level === SOL_IPV6 && sk.family === Af.INET6) ? 0 : -Errno.ENOPROTOOPT;
}

/**
 * `ip_setsockopt`, `ipv6_setsockopt`.
 *
 * @errno ENOPROTOOPT - the level. EINVAL - too short; V6ONLY of a bound socket. EFAULT - the pointer.
 */
export function ipSetsockopt(
  task: Task,
  sk: InetSock,
  level: number,
  option: number,
  addr: number,
  length: number,
): number {
  const err = checkLevel(sk, level);
  if (err < 0) return err;
  const v6only = level === SOL_IPV6 && option === IPV6_V6ONLY;
  if (!v6only && known(level, option) === undefined) throw new Unmodelled(`setsockopt(level ${level}, ${option})`);
  if (length < 4) return -Errno.EINVAL;
  const view = fetchOption(task, addr, 4);
  if (view === null) return -Errno.EFAULT;
  const value = view.getInt32(0, true);
  if (v6only) {
    if (sk.num !== 0) return -Errno.EINVAL;
    sk.v6only = value !== 0;
    return 0;
  }
  sk.ipOptions ??= new Map();
  sk.ipOptions.set(level * 256 + option, value);
  return 0;
}

/** `ip_getsockopt`, `ipv6_getsockopt`. @errno ENOPROTOOPT - the level. EFAULT - a pointer. EINVAL - a negative length. */
export function ipGetsockopt(
  task: Task,
  sk: InetSock,
  level: number,
  option: number,
  addr: number,
  lengthAddr: number,
): number {
  const err = checkLevel(sk, level);
  if (err < 0) return err;
  const value =
    level === SOL_IPV6 && option === IPV6_V6ONLY
      ? Number(sk.v6only)
      : (sk.ipOptions?.get(level * 256 + option) ?? known(level, option));
  if (value === undefined) throw new Unmodelled(`getsockopt(level ${level}, ${option})`);
  const view = fetchOption(task, lengthAddr, 4);
  if (view === null) return -Errno.EFAULT;
  const room = view.getInt32(0, true);
  if (room < 0) return -Errno.EINVAL;
  const word = new DataView(new ArrayBuffer(4));
  word.setInt32(0, value, true);
  return storeOption(task, addr, lengthAddr, new Uint8Array(word.buffer).subarray(0, Math.min(room, 4)));
}
