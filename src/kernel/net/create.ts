/**
 * Which protocol a family, a type and a protocol number stand for.
 *
 * Counterpart: `net/socket.c` (`__sock_create`), `net/unix/af_unix.c` (`unix_create`), `net/ipv4/af_inet.c`
 * (`inet_create`), `net/netlink/af_netlink.c` (`netlink_create`).
 */
import { Unmodelled } from "../lib/assert.ts";
import type { Task } from "../sched/task.ts";
import { Errno } from "../uapi/errno.ts";
import { Af, Sock as SockType } from "../uapi/socket.ts";
import { IPPROTO_MPTCP, MptcpSock } from "./inet/mptcp-sock.ts";
import { TcpSock } from "./inet/tcp-sock.ts";
import { UdpSock } from "./inet/udp-sock.ts";
import type { Net } from "./net.ts";
import { NetlinkSock } from "./netlink/netlink-sock.ts";
import type { Sock } from "./sock.ts";
import { UnixDgramSock } from "./unix/dgram.ts";
import { UnixSeqpacketSock } from "./unix/seqpacket.ts";
import { UnixStreamSock } from "./unix/stream.ts";

/** `NPROTO`, `SOCK_MAX`. */
const NPROTO = 46;
const SOCK_MAX = 11;
/** `IPPROTO_MAX`: with IPPROTO_MPTCP, from 5.6 on, and before. */
const IPPROTO_MAX = 263;
const IPPROTO_MAX_OLD = 256;
const IPPROTO_ICMP = 1;
/** Netlink protocols. */
const MAX_LINKS = 32;
const NETLINK_ROUTE = 0;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_UDPLITE = 136;

/**
 * `__sock_create`.
 *
 * @returns a socket without a file, or a negative errno.
 * @errno EAFNOSUPPORT - no such family. EINVAL - no such type. ESOCKTNOSUPPORT, EPROTONOSUPPORT - the family has none
 * like that. ENOPROTOOPT - MPTCP is switched off. EPERM - a raw socket without the right to it.
 * @throws Unmodelled - a family or protocol that Linux has and the model has not.
 * @behaviour F-23
 */
export function sockCreate(task: Task, family: number, type: number, protocol: number): Sock | number {
  const { net } = task.kernel;
  if (family < 0 || family >= NPROTO) return -Errno.EAFNOSUPPORT;
  if (type < 0 || type >= SOCK_MAX) return -Errno.EINVAL;
  switch (family) {
    case Af.UNSPEC:
      return -Errno.EAFNOSUPPORT;
    case Af.UNIX:
      return unixCreate(net, type, protocol);
    case Af.INET:
    case Af.INET6:
      return inetCreate(task, net, family, type, protocol);
    case Af.NETLINK:
      return netlinkCreate(net, type, protocol);
    default:
      throw new Unmodelled(`sockets of family ${family}`);
  }
}

/** `netlink_create`. */
function netlinkCreate(net: Net, type: number, protocol: number): Sock | number {
  if (type !== SockType.RAW && type !== SockType.DGRAM) return -Errno.ESOCKTNOSUPPORT;
  if (protocol < 0 || protocol >= MAX_LINKS) return -Errno.EPROTONOSUPPORT;
  if (protocol !== NETLINK_ROUTE) throw new Unmodelled(`netlink protocol ${protocol}`);
  return new NetlinkSock(net, type);
}

function unixCreate(net: Net, type: number, protocol: number): Sock | number {
  if (protocol !== 0 && protocol !== Af.UNIX) return -Errno.EPROTONOSUPPORT;
  switch (type) {
    case SockType.STREAM:
      return new UnixStreamSock(net);
    case SockType.DGRAM:
    case SockType.RAW:
      return new UnixDgramSock(net);
    case SockType.SEQPACKET:
      return new UnixSeqpacketSock(net);
    default:
      return -Errno.ESOCKTNOSUPPORT;
  }
}

/** `mptcp_init_sock`. */
function mptcpCreate(task: Task, net: Net, family: number): Sock | number {
  if (net.kernel.sysctl.get("net.mptcp.enabled") === 0) return -Errno.ENOPROTOOPT;
  return new MptcpSock(net, family, task.process.user.uid);
}

function inetCreate(task: Task, net: Net, family: number, type: number, protocol: number): Sock | number {
  const { mptcp } = net.kernel.profile;
  if (protocol < 0 || protocol >= (mptcp ? IPPROTO_MAX : IPPROTO_MAX_OLD)) return -Errno.EINVAL;
  switch (type) {
    case SockType.STREAM:
      if (protocol === 0 || protocol === IPPROTO_TCP) return new TcpSock(net, family, task.process.user.uid);
      if (protocol === IPPROTO_MPTCP) return mptcpCreate(task, net, family);
      return -Errno.EPROTONOSUPPORT;
    case SockType.DGRAM:
      if (protocol === 0 || protocol === IPPROTO_UDP || protocol === IPPROTO_UDPLITE) {
        return new UdpSock(net, family, task.process.user.uid, protocol || IPPROTO_UDP);
      }
      if (protocol === IPPROTO_ICMP) throw new Unmodelled("ping sockets");
      return -Errno.EPROTONOSUPPORT;
    case SockType.RAW:
      if (protocol === 0) return -Errno.EPROTONOSUPPORT;
      if (!task.process.privileged) return -Errno.EPERM;
      throw new Unmodelled("raw sockets");
    default:
      return -Errno.ESOCKTNOSUPPORT;
  }
}
