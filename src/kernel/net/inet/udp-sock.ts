/**
 * UDP sockets.
 *
 * Counterpart: `net/ipv4/udp.c`, `net/core/datagram.c` (`datagram_poll`), `net/ipv4/datagram.c`. Sending is in
 * `udp-sendmsg.ts`.
 * On loopback a datagram is received inside the send: the sender's charge is back, and announced, before the receiver
 * hears of it (G-03), and a refusal has come back too (G-09). The receiver is charged. Readers take from a queue of their
 * own, and give charges back in lots of a quarter of rcvbuf, or when that queue is empty: a full receiver that reads one
 * datagram has not made room yet.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Af, Ioctl, Msg, Sock as SockType } from "../../uapi/socket.ts";
import { DatagramRecv, type DatagramSock } from "../datagram.ts";
import type { MsgHdr } from "../msghdr.ts";
import type { Net } from "../net.ts";
import { type SkBuff, SkBuffHead } from "../skbuff.ts";
import { OUT3, RCV_SHUTDOWN, SHUTDOWN_MASK, SkState } from "../sock.ts";
import { type Endpoint, type InetAddr, sockaddrFamily, sockaddrOf } from "./addr.ts";
import { InetSock } from "./inet-sock.ts";
import { ipGetsockopt, ipSetsockopt, wantsErrors } from "./ip-options.ts";
import { type UdpCork, udpFlushPendingFrames } from "./udp-cork.ts";
import { type UdpError, udpRecvError } from "./udp-errors.ts";
import { udpGetsockopt, udpSetsockopt } from "./udp-options.ts";
import { udpSendmsg } from "./udp-sendmsg.ts";
import type { UdpTable } from "./udp-table.ts";

const { ESTABLISHED, CLOSE } = SkState;
const IN2 = Poll.IN | Poll.RDNORM;
const IPPROTO_UDP = 17;
const IPPROTO_UDPLITE = 136;

export class UdpSock extends InetSock implements DatagramSock {
  /** Where readers take from; `receiveQueue` is spliced to it when it is empty. */
  readonly readerQueue: SkBuffHead = new SkBuffHead();
  #rmemAlloc = 0;
  /** Charge of read datagrams that has not been given back yet. */
  #forwardDeficit = 0;
  #drops = 0;
  /** `sk_error_queue`. */
  readonly errors: UdpError[] = [];
  /** Options of level IPPROTO_UDP that are kept; null while all are as they were. */
  udpOptions: Map<number, number> | null = null;
  /** `pending`: a datagram that is not complete yet. */
  cork: UdpCork | null = null;
  /** IPPROTO_UDP or IPPROTO_UDPLITE, which differ in nothing but their ports. */
  readonly #protocol: number;

  constructor(net: Net, family: number, uid: number, protocol: number) {
    super(net, family, uid);
    this.maxAckBacklog = 0;
    this.#protocol = protocol;
  }

  override get type(): number {
    return SockType.DGRAM;
  }

  override get protocol(): number {
    return this.#protocol;
  }

  /** `sk_prot->h.udp_table`. */
  get table(): UdpTable {
    return this.#protocol === IPPROTO_UDP ? this.net.udp : this.net.udplite;
  }

  override get rmem(): number {
    return this.#rmemAlloc;
  }

  override get drops(): number {
    return this.#drops;
  }

  /** `sock_def_write_space`, `sock_writeable`. */
  override writeSpace(): void {
    if (this.wmemAlloc < this.sndbuf >> 1) this.wakeWriters();
  }

  /** `udp_poll`. @behaviour G-01, G-04, G-09, G-10, G-11 */
  override poll(): number {
    const { shutdown } = this;
    let mask = 0;
    if (this.err !== 0 || this.errors.length > 0) mask |= Poll.ERR;
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= Poll.RDHUP | IN2;
    if (shutdown === SHUTDOWN_MASK) mask |= Poll.HUP;
    if (this.receiveQueue.first !== null || this.readerQueue.first !== null) mask |= IN2;
    if (this.wmemAlloc < this.sndbuf >> 1) mask |= OUT3;
    return mask;
  }

  /** @throws Unmodelled - multicast, and broadcast that SO_BROADCAST allows. */
  protected override nonUnicast(addr: InetAddr): number {
    if (addr.isBroadcast && !this.opts.broadcast) return -Errno.EACCES;
    throw new Unmodelled(`datagrams to ${addr.text}`);
  }

  /** `udp_lib_get_port`. */
  protected override getPort(port: number): boolean {
    const { ports } = this.table;
    const found = port === 0 ? ports.findOpen((candidate) => ports.udpConflict(candidate, this)) : port;
    if (found === 0 || (port !== 0 && ports.udpConflict(port, this))) return false;
    this.num = found;
    this.sport = found;
    ports.add(found, this, true);
    return true;
  }

  /** `inet_autobind`. */
  #autobind(): number {
    return this.num === 0 && !this.getPort(0) ? -Errno.EAGAIN : 0;
  }

  /**
   * `inet_dgram_connect`, `__ip4_datagram_connect`, `__udp_disconnect`.
   *
   * @errno EINVAL - too short. EAFNOSUPPORT, ENETUNREACH - as `route`. EACCES - broadcast without SO_BROADCAST.
   * @behaviour G-01, G-09
   */
  override connect(_task: Task, bytes: Uint8Array, _nonblock: boolean): number {
    const family = sockaddrFamily(bytes);
    if (family === -1) return -Errno.EINVAL;
    if (family === Af.UNSPEC) return this.#disconnect();
    const err = this.#autobind();
    if (err < 0) return err;
    const endpoint = this.#connectRoute(bytes, family);
    if (typeof endpoint === "number") return endpoint;
    if (this.rcvSaddr.isAny) this.rcvSaddr = this.sourceFor(endpoint.addr);
    this.daddr = endpoint.addr;
    this.dport = endpoint.port;
    this.state = ESTABLISHED;
    return 0;
  }

  /** An IPv6 socket also takes the short form of an IPv4 address. */
  #connectRoute(bytes: Uint8Array, family: number): Endpoint | number {
    if (this.family === Af.INET || family !== Af.INET) return this.route(bytes);
    if (this.v6only) return -Errno.EAFNOSUPPORT;
    const endpoint = this.net.addrs.endpoint(Af.INET, bytes);
    return typeof endpoint === "number" ? endpoint : this.routeTo(endpoint);
  }

  #disconnect(): number {
    this.state = CLOSE;
    this.dport = 0;
    this.daddr = this.net.addrs.any(this.family);
    if (!this.addrLocked) this.rcvSaddr = this.daddr;
    if (!this.portLocked) this.#putPort();
    return 0;
  }

  #putPort(): void {
    if (this.num !== 0) this.table.ports.remove(this.num, this);
    this.num = 0;
    this.sport = 0;
  }

  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    const autobound = this.#autobind();
    return autobound < 0 ? autobound : udpSendmsg(this, task, from, flags, msg);
  }

  /**
   * `__udp_enqueue_schedule_skb`: an empty queue takes anything, a fuller one what still fits into rcvbuf.
   *
   * @returns whether it was taken.
   * @behaviour G-02, G-05, G-06
   */
  enqueue(skb: SkBuff): boolean {
    const { truesize } = skb;
    if (this.#rmemAlloc + truesize > this.rcvbuf && this.#rmemAlloc > 0) {
      this.#drops += 1;
      return false;
    }
    this.#rmemAlloc += truesize;
    this.receiveQueue.queueTail(skb);
    this.noteEnqueued(skb.len);
    this.dataReady();
    return true;
  }

  /** A datagram that waits here goes to another socket of the same SO_REUSEPORT group, as if it had been chosen at once. */
  passOn(skb: SkBuff, other: UdpSock): void {
    skb.list?.unlink(skb);
    this.noteDequeued(skb.len);
    this.#release(skb.truesize);
    if (!other.enqueue(skb)) this.net.skbs.free(skb);
  }

  override purgeErrors(): void {
    this.errors.length = 0;
  }

  /**
   * `__udp4_lib_err` for a port that nobody has: told to whoever is connected to it, or wants errors queued.
   *
   * @behaviour G-09
   */
  portUnreachable(error: UdpError): void {
    if (wantsErrors(this, error.to.addr.isV4)) this.errors.push(error);
    else if (this.state !== ESTABLISHED) return;
    this.err = Errno.ECONNREFUSED;
    this.errorReport();
  }

  /**
   * `udp_recvmsg`.
   *
   * @errno EAGAIN - no datagram. ECONNREFUSED - as sendmsg, before any datagram. EFAULT - the buffer; the datagram is lost.
   * @behaviour G-01, G-07, G-08, G-09, G-10, G-11
   */
  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    if ((flags & Msg.ERRQUEUE) !== 0) return udpRecvError(this, task, to, msg);
    return this.recvOn(task, to, flags, msg, null);
  }

  /** See `DatagramSock`. */
  recvOn(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: DatagramRecv | null): number {
    task.finishWait();
    const err = this.takeError();
    if (err < 0) return err;
    const peeking = (flags & Msg.PEEK) !== 0;
    let skip = peeking ? Math.max(this.opts.peekOff, 0) : 0;
    if (this.readerQueue.first === null) this.#splice();
    let skb = this.readerQueue.first;
    while (peeking && this.opts.peekOff >= 0 && skb !== null && skip >= skb.len && (skip > 0 || skb.peeked)) {
      skip -= skb.len;
      skb = skb.next;
      if (skb === null && this.receiveQueue.first !== null) {
        skb = this.receiveQueue.first;
        this.#splice();
      }
    }
    if (skb === null) return this.#noDatagram(task, to, flags, msg, waiting);
    if (peeking) skb.peeked ||= skb.len === 0;
    else {
      this.readerQueue.unlink(skb);
      this.noteDequeued(skb.len);
      this.#release(skb.truesize);
    }
    return this.#copyOut(task, to, flags, msg, skb, skip);
  }

  #splice(): void {
    const { receiveQueue, readerQueue } = this;
    for (let skb = receiveQueue.dequeue(); skb !== null; skb = receiveQueue.dequeue()) readerQueue.queueTail(skb);
  }

  /** `udp_rmem_release`. */
  #release(truesize: number): void {
    this.#forwardDeficit += truesize;
    if (this.#forwardDeficit < this.rcvbuf >> 2 && this.readerQueue.first !== null) return;
    this.#rmemAlloc -= this.#forwardDeficit;
    this.#forwardDeficit = 0;
    this.#splice();
  }

  #noDatagram(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: DatagramRecv | null): number {
    const { rcvtimeo } = this.opts;
    const late = waiting !== null && task.timedOut;
    if ((flags & Msg.DONTWAIT) !== 0 || rcvtimeo === 0 || late) return -Errno.EAGAIN;
    if ((this.shutdown & RCV_SHUTDOWN) !== 0) return 0;
    return (waiting ?? new DatagramRecv(this, to, flags, msg)).wait(task);
  }

  #copyOut(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, skb: SkBuff, skip: number): number {
    const peeking = (flags & Msg.PEEK) !== 0;
    const left = skb.len - skip;
    const room = to.count;
    const size = Math.min(room, left);
    const copied = to.slabTo(skb.slab, skb.offset + skip, size);
    const fault = copied < size ? task.process.mm.fault() : 0;
    const { len, source } = skb;
    if (!peeking) this.net.skbs.free(skb);
    if (fault < 0) return fault;
    if (room <= left && room < len && msg !== null) msg.flags |= Msg.TRUNC;
    if (msg?.wantsName && source !== null) msg.name = sockaddrOf(this.family, source.src, source.sport);
    const result = (flags & Msg.TRUNC) !== 0 ? len : size;
    if (this.opts.peekOff >= 0) {
      this.ownOptions().peekOff = Math.max(this.opts.peekOff + (peeking ? result : -result), 0);
    }
    return result;
  }

  /**
   * `inet_shutdown`.
   *
   * @errno EINVAL - `how` is none of SHUT_*. ENOTCONN - not connected; it takes effect all the same.
   * @behaviour G-10, G-11
   */
  override shutdownBy(how: number): number {
    const mode = how + 1;
    if ((mode & ~SHUTDOWN_MASK) !== 0 || mode === 0) return -Errno.EINVAL;
    this.shutdown |= mode;
    this.stateChange();
    return this.state === CLOSE ? -Errno.ENOTCONN : 0;
  }

  /** `sk_common_release`. */
  override release(): void {
    this.dead = true;
    this.file = null;
    udpFlushPendingFrames(this);
    this.#putPort();
    this.#splice();
    for (let skb = this.readerQueue.dequeue(); skb !== null; skb = this.readerQueue.dequeue()) {
      this.net.skbs.free(skb);
    }
  }

  /** `udp_ioctl`. @errno EFAULT - the pointer. ENOTTY - unknown. @behaviour G-07 */
  override ioctl(task: Task, request: number, arg: number): number {
    let amount: number;
    if (request === Ioctl.SIOCOUTQ) amount = this.wmem;
    else if (request === Ioctl.FIONREAD) amount = (this.readerQueue.first ?? this.receiveQueue.first)?.len ?? 0;
    else return -Errno.ENOTTY;
    return task.process.mm.putUser32(arg, amount) ? 0 : -Errno.EFAULT;
  }

  override setsockopt(task: Task, level: number, option: number, addr: number, length: number): number {
    if (level === IPPROTO_UDPLITE && level === this.#protocol) throw new Unmodelled("options of UDP-Lite");
    if (level === IPPROTO_UDP) return udpSetsockopt(task, this, option, addr, length);
    return ipSetsockopt(task, this, level, option, addr, length);
  }

  override getsockopt(task: Task, level: number, option: number, addr: number, lengthAddr: number): number {
    if (level === IPPROTO_UDPLITE && level === this.#protocol) throw new Unmodelled("options of UDP-Lite");
    if (level === IPPROTO_UDP) return udpGetsockopt(task, this, option, addr, lengthAddr);
    return ipGetsockopt(task, this, level, option, addr, lengthAddr);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  override privateFields(): unknown[] {
    return [this.#rmemAlloc, this.#forwardDeficit, this.#drops];
  }
}
