/**
 * Sending from a UDP socket.
 *
 * Counterpart: `net/ipv4/udp.c` (`udp_sendmsg`), `__ip_append_data` of `net/ipv4/ip_output.c`.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af, Msg } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import type { Net } from "../net.ts";
import { plainHeadTruesize } from "../skbuff.ts";
import { interruptedErrno, MsgCall, SEND_SHUTDOWN, SkState } from "../sock.ts";
import { type Endpoint, sockaddrFamily } from "./addr.ts";
import { UdpCork, udpFlushPendingFrames, udpPushPendingFrames } from "./udp-cork.ts";
import { udpSendSkb } from "./udp-datagram.ts";
import { UdpOpt } from "./udp-options.ts";
import type { UdpSock } from "./udp-sock.ts";

/** Longest payload of an IPv4 packet; an IPv6 one may be 20 bytes longer. */
const MAX_PAYLOAD4 = 65_507;
const MAX_PAYLOAD6 = 65_527;
/** Headers of UDP and IP; what the device asks for in front of them, with its alignment. */
const HEADERS4 = 28;
const HEADERS6 = 48;
const DEVICE_HEADROOM = 31;
/** `SIN6_LEN_RFC2133`: an IPv6 address without a scope. */
const SIN6_LEN_RFC2133 = 24;
/** Pages of the largest head: beyond, the data goes into fragments. */
const HEAD_PAGES = 4;

/**
 * `udp_sendmsg`, `udpv6_sendmsg`: the second looks at the destination first, and leaves what goes to an IPv4 address to the first.
 *
 * @errno EMSGSIZE - longer than a packet can be. EOPNOTSUPP - MSG_OOB, to an IPv4 address. EDESTADDRREQ - no destination. EINVAL -
 * destination too short, or port 0. EAFNOSUPPORT - another family. EACCES - broadcast without SO_BROADCAST. EPIPE - shut,
 * without SIGPIPE. ECONNREFUSED - an earlier datagram of this connection found nobody. EFAULT - the buffer.
 * @behaviour G-01, G-03, G-05, G-08, G-09, G-11
 */
export function udpSendmsg(sk: UdpSock, task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
  const name = msg?.named ? msg.name : null;
  if (sk.family === Af.INET6) {
    const err = checkName6(sk, name);
    if (err < 0) return err;
  }
  if (sk.family === Af.INET || goesTo4(sk, name)) {
    if (from.count > 0xffff) return -Errno.EMSGSIZE;
    if ((flags & Msg.OOB) !== 0) return -Errno.EOPNOTSUPP;
  }
  const corked = (flags & Msg.MORE) !== 0 || sk.udpOptions?.get(UdpOpt.CORK) === 1;
  if (sk.cork !== null) return append(sk, task, from, sk.cork, corked);
  const to = destination(sk, name);
  if (typeof to === "number") return to;
  if (msg !== null && msg.control.length > 0) throw new Unmodelled("control data on a UDP socket");
  if (from.count > maxPayload(to)) return -Errno.EMSGSIZE;
  return transmit(sk, task, from, to, corked ? flags | Msg.MORE : flags, msg, null);
}

/** What `udpv6_sendmsg` looks at before all else. */
function checkName6(sk: UdpSock, name: Uint8Array | null): number {
  if (name === null) return sk.cork === null && sk.state !== SkState.ESTABLISHED ? -Errno.EDESTADDRREQ : 0;
  switch (sockaddrFamily(name)) {
    case Af.INET6:
      return name.length < SIN6_LEN_RFC2133 ? -Errno.EINVAL : 0;
    case Af.INET:
      return sk.v6only ? -Errno.ENETUNREACH : 0;
    case Af.UNSPEC:
      return 0;
    default:
      return -Errno.EINVAL;
  }
}

/** Whether a send of an IPv6 socket, whose name is in order, goes on as one of IPv4. */
function goesTo4(sk: UdpSock, name: Uint8Array | null): boolean {
  const family = name === null ? Af.UNSPEC : sockaddrFamily(name);
  if (family === Af.INET) return true;
  if (name === null || family === Af.UNSPEC) return (sk.cork === null ? sk.daddr : sk.cork.to.addr).isV4;
  const endpoint = sk.net.addrs.endpoint(Af.INET6, name);
  return typeof endpoint !== "number" && endpoint.addr.isV4;
}

function maxPayload(to: Endpoint): number {
  return to.addr.isV4 ? MAX_PAYLOAD4 : MAX_PAYLOAD6;
}

function append(sk: UdpSock, task: Task, from: IovIter, cork: UdpCork, corked: boolean): number {
  const result = cork.append(sk, task, from, maxPayload(cork.to));
  if (result < 0) udpFlushPendingFrames(sk);
  else if (!corked) udpPushPendingFrames(sk);
  return result;
}

function destination(sk: UdpSock, name: Uint8Array | null): Endpoint | number {
  const family = name === null ? -1 : sockaddrFamily(name);
  if (name === null || (sk.family === Af.INET6 && family === Af.UNSPEC)) {
    return sk.state === SkState.ESTABLISHED ? { addr: sk.daddr, port: sk.dport } : -Errno.EDESTADDRREQ;
  }
  const endpoint = sendEndpoint(sk, name, family);
  if (typeof endpoint === "number") return endpoint;
  return endpoint.port === 0 ? -Errno.EINVAL : sk.routeTo(endpoint);
}

/** The address forms that sendto takes, which are not those of connect. */
function sendEndpoint(sk: UdpSock, name: Uint8Array, family: number): Endpoint | number {
  const { addrs } = sk.net;
  if (sk.family === Af.INET) {
    const endpoint = addrs.endpoint(Af.INET, name);
    if (typeof endpoint === "number") return endpoint;
    return family === Af.INET || family === Af.UNSPEC ? endpoint : -Errno.EAFNOSUPPORT;
  }
  return addrs.endpoint(family, name);
}

/**
 * `__ip_append_data`, and `udp_send_skb` unless MSG_MORE says that the datagram is not complete.
 *
 * @param waiting - the call, if it has slept.
 */
function transmit(
  sk: UdpSock,
  task: Task,
  from: IovIter,
  to: Endpoint,
  flags: number,
  msg: MsgHdr | null,
  waiting: UdpSend | null,
): number {
  const { net } = sk;
  const err = sk.takeError();
  if (err < 0) return err;
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0) return -Errno.EPIPE;
  if (sk.wmemAlloc - 1 >= sk.sndbuf) return noRoom(sk, task, from, to, flags, msg, waiting);
  const length = from.count;
  const skb = net.skbs.alloc(length);
  const truesize = udpTruesize(net, length, to.addr.isV4);
  sk.charge(skb, truesize);
  const copied = from.slabFrom(skb.slab, skb.offset, length);
  skb.sk = null;
  if (copied < length) {
    sk.wmemAlloc -= truesize;
    sk.writeSpace();
    net.skbs.free(skb);
    return task.process.mm.fault();
  }
  if ((flags & Msg.MORE) !== 0) {
    sk.cork = new UdpCork(to, skb);
    net.skbs.free(skb);
  } else udpSendSkb(sk, skb, to);
  return length;
}

/** Charge of a datagram: one head, or a small head and fragments when it is longer than four pages. */
function udpTruesize(net: Net, length: number, v4: boolean): number {
  const { skbConfig } = net;
  const headers = v4 ? HEADERS4 : HEADERS6;
  const headMax = skbConfig.pageBytes * HEAD_PAGES - skbConfig.sharedInfoBytes;
  const whole = length + headers + DEVICE_HEADROOM;
  if (whole < headMax) return plainHeadTruesize(skbConfig, whole);
  return plainHeadTruesize(skbConfig, headers + DEVICE_HEADROOM) + length;
}

/** `sock_alloc_send_pskb`, `sock_wait_for_wmem`. */
function noRoom(
  sk: UdpSock,
  task: Task,
  from: IovIter,
  to: Endpoint,
  flags: number,
  msg: MsgHdr | null,
  waiting: UdpSend | null,
): number {
  const { sndtimeo } = sk.opts;
  const late = waiting !== null && task.timedOut;
  if ((flags & Msg.DONTWAIT) !== 0 || sndtimeo === 0 || late) return -Errno.EAGAIN;
  const call = waiting ?? new UdpSend(sk, from, to, flags, msg);
  if (task.signalPending) return interruptedErrno(call.deadlineNs);
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

/** A send that waits for room. */
class UdpSend extends MsgCall {
  readonly #sk: UdpSock;
  readonly #from: IovIter;
  readonly #to: Endpoint;
  readonly #flags: number;

  constructor(sk: UdpSock, from: IovIter, to: Endpoint, flags: number, msg: MsgHdr | null) {
    super(msg);
    this.#sk = sk;
    this.#from = from;
    this.#to = to;
    this.#flags = flags;
    this.deadlineNs = sk.deadline(sk.opts.sndtimeo);
  }

  protected override section(task: Task): number {
    task.finishWait();
    return transmit(this.#sk, task, this.#from, this.#to, this.#flags, this.msg, this);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#from, this.#to, this.#flags];
  }
}
