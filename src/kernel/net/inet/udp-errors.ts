/**
 * The error queue of a UDP socket: what IP_RECVERR asks for.
 *
 * Counterpart: `net/ipv4/ip_sockglue.c` (`ip_icmp_error`, `ip_recv_error`), `net/ipv6/datagram.c` (`ipv6_icmp_error`,
 * `ipv6_recv_error`), `net/core/skbuff.c` (`sock_dequeue_err_skb`).
 * An entry has the datagram that came back, as far as ICMP quotes it, its destination, and who sent the error.
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af, Msg, SOL_IP, SOL_IPV6 } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { putCmsg } from "../scm.ts";
import { type Endpoint, sockaddrOf } from "./addr.ts";
import type { UdpSock } from "./udp-sock.ts";

const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const EXTENDED_ERR_BYTES = 16;
const ORIGIN_ICMP = 2;
const ORIGIN_ICMP6 = 3;
/** ICMP_DEST_UNREACH and ICMP_PORT_UNREACH; ICMPV6_DEST_UNREACH and ICMPV6_PORT_UNREACH. */
const PORT_UNREACH4 = { type: 3, code: 3 };
const PORT_UNREACH6 = { type: 1, code: 4 };
/** Payload of a datagram that the answer quotes. */
export const QUOTED4 = 520;
export const QUOTED6 = 1184;

/** A datagram that found nobody. */
export interface UdpError {
  readonly to: Endpoint;
  readonly payload: Uint8Array;
}

/**
 * recvmsg with MSG_ERRQUEUE: never waits. The pending error goes with the last entry.
 *
 * @returns bytes of the quoted payload.
 * @errno EAGAIN - no entry. EFAULT - the buffer; the entry is lost.
 */
export function udpRecvError(sk: UdpSock, task: Task, to: IovIter, msg: MsgHdr | null): number {
  const error = sk.errors.shift();
  if (error === undefined) return -Errno.EAGAIN;
  if (sk.errors.length === 0) sk.err = 0;
  else {
    sk.err = Errno.ECONNREFUSED;
    sk.errorReport();
  }
  const { payload } = error;
  const size = Math.min(payload.length, to.count);
  if (to.copyTo(payload, 0, size) < size) return task.process.mm.fault();
  if (msg === null) return size;
  msg.flags |= Msg.ERRQUEUE | (size < payload.length ? Msg.TRUNC : 0);
  if (msg.wantsName) msg.name = sockaddrOf(sk.family, error.to.addr, error.to.port);
  const [level, type] = sk.family === Af.INET ? [SOL_IP, IP_RECVERR] : [SOL_IPV6, IPV6_RECVERR];
  putCmsg(task, msg, level, type, extendedErr(sk.family, error));
  return size;
}

/** `struct sock_extended_err` with the address of who sent the error, which is whom the datagram was for. */
function extendedErr(family: number, { to }: UdpError): Uint8Array {
  const offender = sockaddrOf(family, to.addr, 0);
  const data = new Uint8Array(EXTENDED_ERR_BYTES + offender.length);
  const view = new DataView(data.buffer);
  const { type, code } = to.addr.isV4 ? PORT_UNREACH4 : PORT_UNREACH6;
  view.setUint32(0, Errno.ECONNREFUSED, true);
  view.setUint8(4, to.addr.isV4 ? ORIGIN_ICMP : ORIGIN_ICMP6);
  view.setUint8(5, type);
  view.setUint8(6, code);
  data.set(offender, EXTENDED_ERR_BYTES);
  return data;
}
