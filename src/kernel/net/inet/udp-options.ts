/**
 * Options of level IPPROTO_UDP.
 *
 * Counterpart: `net/ipv4/udp.c` (`udp_lib_setsockopt`, `udp_lib_getsockopt`).
 * Values are checked, kept and read back. Those that would cut or join datagrams behind the program's back are refused when
 * they are switched on; CORK takes effect (`udp-cork.ts`).
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { fetchOption, storeOption } from "../sockopt.ts";
import { udpPushPendingFrames } from "./udp-cork.ts";
import type { UdpSock } from "./udp-sock.ts";

/** `include/uapi/linux/udp.h`. */
export const UdpOpt = { CORK: 1, ENCAP: 100, NO_CHECK6_TX: 101, NO_CHECK6_RX: 102, SEGMENT: 103, GRO: 104 } as const;
const KNOWN: ReadonlySet<number> = new Set<number>(Object.values(UdpOpt));
/** UDPLITE_SEND_CSCOV and UDPLITE_RECV_CSCOV, which can be read of any UDP socket. */
const COVERAGE: ReadonlySet<number> = new Set<number>([10, 11]);
const SEGMENT_MAX = 0xffff;

/** @errno EINVAL - too short, or a segment size that no packet has. EFAULT - the pointer. ENOPROTOOPT - unknown. */
export function udpSetsockopt(task: Task, sk: UdpSock, option: number, addr: number, length: number): number {
  if (length < 4) return -Errno.EINVAL;
  const view = fetchOption(task, addr, 4);
  if (view === null) return -Errno.EFAULT;
  const value = view.getInt32(0, true);
  if (!KNOWN.has(option)) return -Errno.ENOPROTOOPT;
  if (option === UdpOpt.SEGMENT && (value < 0 || value > SEGMENT_MAX)) return -Errno.EINVAL;
  const harmless = option === UdpOpt.NO_CHECK6_TX || option === UdpOpt.NO_CHECK6_RX || option === UdpOpt.CORK;
  if (value !== 0 && !harmless) throw new Unmodelled(`setsockopt(IPPROTO_UDP, ${option}) to ${value}`);
  sk.udpOptions ??= new Map();
  sk.udpOptions.set(option, Number(value !== 0));
  if (option === UdpOpt.CORK && value === 0) udpPushPendingFrames(sk);
  return 0;
}

/** @errno EFAULT - a pointer. EINVAL - a negative length. ENOPROTOOPT - unknown. */
export function udpGetsockopt(task: Task, sk: UdpSock, option: number, addr: number, lengthAddr: number): number {
  const view = fetchOption(task, lengthAddr, 4);
  if (view === null) return -Errno.EFAULT;
  const room = view.getInt32(0, true);
  if (room < 0) return -Errno.EINVAL;
  if (!KNOWN.has(option) && !COVERAGE.has(option)) return -Errno.ENOPROTOOPT;
  const word = new DataView(new ArrayBuffer(4));
  word.setInt32(0, sk.udpOptions?.get(option) ?? 0, true);
  return storeOption(task, addr, lengthAddr, new Uint8Array(word.buffer).subarray(0, Math.min(room, 4)));
}
