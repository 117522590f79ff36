/**
 * Route sockets, to the extent of asking for all devices, addresses, routes or neighbours and finding an answer there.
 *
 * Counterpart: `net/netlink/af_netlink.c` (`struct netlink_sock`), `net/core/rtnetlink.c` (`rtnetlink_rcv_msg`).
 * The answer is queued inside the send. What it says is the machine's own affair, so reading it is `Unmodelled`, as are all
 * other messages.
 */
import { Elsewhere, Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Af, Msg } from "../../uapi/socket.ts";
import { sockaddrFamily } from "../inet/addr.ts";
import type { MsgHdr } from "../msghdr.ts";
import type { Net } from "../net.ts";
import { OUT3, Sock } from "../sock.ts";

const SOCKADDR_NL_BYTES = 12;
/** `struct nlmsghdr` and the address family behind it. */
const NLMSG_HDRLEN = 16;
/** RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH: questions that anybody may ask. */
const RTM_GETS: ReadonlySet<number> = new Set([18, 22, 26, 30]);
/** `NLM_F_REQUEST | NLM_F_DUMP`. */
const REQUEST_DUMP = 0x301;
const NLM_F_ACK = 4;
const FAMILIES: ReadonlySet<number> = new Set<number>([Af.UNSPEC, Af.INET, Af.INET6]);
/** `sizeof(struct rtgenmsg)` up to a whole `struct ifinfomsg`: the forms of the request that are known here. */
const MAX_REQUEST = NLMSG_HDRLEN + 16;
const SOCKET_IOCTL_TYPE = 0x89;

const request = new Uint8Array(MAX_REQUEST);
const view = new DataView(request.buffer);

/** A `NETLINK_ROUTE` socket. */
export class NetlinkSock extends Sock {
  readonly #type: number;
  /** `portid`: 0 until the socket is bound, or sends its first message. */
  #portid = 0;
  #groups = 0;
  /** An answer waits. */
  #answered = false;
  /** It is being read. How long it is, only the machine knows; for a poll it counts as read, since programs read to its end. */
  #begun = false;

  /** @param type - SOCK_RAW or SOCK_DGRAM, which are the same. */
  constructor(net: Net, type: number) {
    super(net);
    this.#type = type;
  }

  override get family(): number {
    return Af.NETLINK;
  }

  override get type(): number {
    return this.#type;
  }

  /** `NETLINK_ROUTE`. */
  override get protocol(): number {
    return 0;
  }

  /** `datagram_poll`: what was sent is consumed at once, so there is always room. @behaviour O-08 */
  override poll(_task: Task): number {
    return this.#answered && !this.#begun ? OUT3 | Poll.IN | Poll.RDNORM : OUT3;
  }

  /**
   * `netlink_sendmsg`, `rtnetlink_rcv`.
   *
   * @errno EOPNOTSUPP - MSG_OOB. EINVAL - the address. EFAULT - the buffer.
   * @throws Unmodelled for every message but the request for all of something.
   * @behaviour O-08
   */
  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    if ((flags & Msg.OOB) !== 0) return -Errno.EOPNOTSUPP;
    if (msg !== null) {
      if (msg.control.length > 0) throw new Unmodelled("control data on a netlink socket");
      const err = msg.name.length > 0 ? toKernel(msg.name) : 0;
      if (err < 0) return err;
    }
    const length = from.count;
    if (length <= NLMSG_HDRLEN || length > MAX_REQUEST) throw new Unmodelled("this netlink message");
    if (from.copyFrom(request, 0, length) < length) return from.fault();
    const asks = RTM_GETS.has(view.getUint16(4, true)) && (view.getUint16(6, true) & ~NLM_F_ACK) === REQUEST_DUMP;
    const whole = view.getUint32(0, true) === length && FAMILIES.has(request[NLMSG_HDRLEN] as number);
    if (!asks || !whole) throw new Unmodelled("this netlink message");
    if (this.#answered && !this.#begun) throw new Unmodelled("a netlink request before the answer to another is read");
    if (this.#portid === 0) this.#autobind(task);
    this.#answered = true;
    this.#begun = false;
    this.dataReady();
    return length;
  }

  /** `netlink_recvmsg`. @errno EOPNOTSUPP - MSG_OOB. EAGAIN - no answer. @throws Elsewhere for an answer; Unmodelled to wait. */
  override recvmsg(_task: Task, _to: IovIter, flags: number, _msg: MsgHdr | null): number {
    if ((flags & Msg.OOB) !== 0) return -Errno.EOPNOTSUPP;
    if ((flags & Msg.ERRQUEUE) !== 0) throw new Unmodelled("the error queue of a netlink socket");
    if (this.#answered) {
      this.#begun ||= (flags & Msg.PEEK) === 0;
      throw new Elsewhere("the content of a netlink answer");
    }
    if ((flags & Msg.DONTWAIT) === 0) throw new Unmodelled("waiting for a netlink message");
    return -Errno.EAGAIN;
  }

  /**
   * `netlink_bind`: with id 0 the process's own.
   *
   * @errno EINVAL - the address, or another id than the socket has. EADDRINUSE - somebody else has the id.
   */
  override bind(task: Task, addr: Uint8Array): number {
    if (addr.length < SOCKADDR_NL_BYTES || sockaddrFamily(addr) !== Af.NETLINK) return -Errno.EINVAL;
    const fields = new DataView(addr.buffer, addr.byteOffset);
    const wanted = fields.getUint32(4, true);
    if (this.#portid !== 0 && wanted !== this.#portid) return -Errno.EINVAL;
    if (this.#portid === 0) {
      if (wanted === 0) this.#autobind(task);
      else if (this.net.netlinkPorts.has(wanted)) return -Errno.EADDRINUSE;
      else this.#insert(wanted);
    }
    this.#groups = fields.getUint32(8, true);
    return 0;
  }

  /** `netlink_autobind`. @throws Unmodelled for the second of a process: its id would be random. */
  #autobind(task: Task): void {
    const { tgid } = task.process;
    if (this.net.netlinkPorts.has(tgid)) throw new Unmodelled("a second netlink socket of a process");
    this.#insert(tgid);
  }

  /** `netlink_insert`. */
  #insert(portid: number): void {
    this.#portid = portid;
    this.net.netlinkPorts.add(portid);
  }

  override connect(): number {
    throw new Unmodelled("connect of a netlink socket");
  }

  /** `sock_no_shutdown`. */
  override shutdownBy(_how: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `netlink_getname`. */
  override getname(peer: 0 | 1 | 2): Uint8Array {
    const name = new Uint8Array(SOCKADDR_NL_BYTES);
    const fields = new DataView(name.buffer);
    fields.setUint16(0, Af.NETLINK, true);
    if (peer !== 0) return name;
    fields.setUint32(4, this.#portid, true);
    fields.setUint32(8, this.#groups, true);
    return name;
  }

  override ioctl(_task: Task, number: number, _arg: number): number {
    if (((number >> 8) & 0xff) === SOCKET_IOCTL_TYPE) throw new Unmodelled("ioctl of a netlink socket");
    return -Errno.ENOTTY;
  }

  override setsockopt(): number {
    throw new Unmodelled("setsockopt of a netlink socket");
  }

  override getsockopt(): number {
    throw new Unmodelled("getsockopt of a netlink socket");
  }

  /** Never called: nothing is charged. */
  override writeSpace(): void {
    this.wakeWriters();
  }

  override release(): void {
    this.dead = true;
    if (this.#portid !== 0) this.net.netlinkPorts.delete(this.#portid);
  }
}

/** Whether an address is the kernel's. @errno EINVAL - of another family. */
function toKernel(name: Uint8Array): number {
  if (name.length < SOCKADDR_NL_BYTES || sockaddrFamily(name) !== Af.NETLINK) return -Errno.EINVAL;
  const fields = new DataView(name.buffer, name.byteOffset);
  if (fields.getUint32(4, true) !== 0 || fields.getUint32(8, true) !== 0) {
    throw new Unmodelled("a netlink message to somebody else than the kernel");
  }
  return 0;
}
