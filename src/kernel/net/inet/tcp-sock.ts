/**
 * TCP sockets: their state, and what a call on one sees of it.
 *
 * Counterpart: `include/linux/tcp.h` (`struct tcp_sock`), `net/ipv4/tcp.c`.
 * Locking matters even here, because it orders effects: while a call owns a socket, segments for it wait in its backlog
 * and are processed when the call lets go. That is why connect says EINPROGRESS although the handshake is over when it
 * returns (C-04).
 * How much is on its way, and in what pieces, follows Linux to the byte as long as no timer and no measured time takes part (C-39).
 * Invariants: `sndUna <= sndNxt <= writeSeq`; `copiedSeq <= rcvNxt`; `receiveQueue` holds exactly the unread bytes.
 */
import { assert } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Ioctl, SOL_TCP, Sock as SockType } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import type { Net } from "../net.ts";
import { EMPTY_TRUESIZE, type SkBuff, SkBuffHead } from "../skbuff.ts";
import { type AcceptArg, RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SkState, SOCK_RCVBUF_LOCK } from "../sock.ts";
import { InetSock } from "./inet-sock.ts";
import { ipGetsockopt, ipSetsockopt } from "./ip-options.ts";
import { inetAccept } from "./tcp-accept.ts";
import { AckState } from "./tcp-ack.ts";
import { tcpClose, tcpShutdown } from "./tcp-close.ts";
import type { TcpCongestion } from "./tcp-congestion.ts";
import { inetStreamConnect } from "./tcp-connect.ts";
import { tcpDoRcv } from "./tcp-input.ts";
import { TcpKeepalive } from "./tcp-keepalive.ts";
import { inetListen, type ListenState } from "./tcp-listen.ts";
import { DEFAULT_TCP_OPTIONS, type TcpOptions, tcpGetsockopt, tcpSetsockopt } from "./tcp-options.ts";
import { tcpSendAck } from "./tcp-output.ts";
import { tcpRecvmsg } from "./tcp-recvmsg.ts";
import { TcpRetransmit } from "./tcp-retransmit.ts";
import { joined, mayJoin, type TcpSegment, tcpMss } from "./tcp-segment.ts";
import { tcpSendmsg } from "./tcp-sendmsg.ts";
import { SocketState, Urg } from "./tcp-states.ts";
import { TcpTimer } from "./tcp-timer.ts";
import { type ReceiveSpace, RMEM_MAX, tcpSpaceFromWin } from "./tcp-window.ts";
import type { ZeroCopy } from "./tcp-zerocopy.ts";

const IPPROTO_TCP = 6;
/** `tcp_wmem[1]`, `tcp_rmem[1]`: the sizes of a fresh socket. */
const WMEM_DEFAULT = 16_384;
const RMEM_DEFAULT = 131_072;
/** `TCP_DEFAULT_SCALING_RATIO`. */
const DEFAULT_SCALING_RATIO = 128;
/** What the receiver takes the sender's segments to be, until it knows better. */
const MSS_DEFAULT = 536;

const LOOPBACK_MSS = 65_483;

const { SYN_SENT, SYN_RECV, CLOSE, LISTEN } = SkState;
const IN2 = Poll.IN | Poll.RDNORM;
const OUT2 = Poll.OUT | Poll.WRNORM;

export class TcpSock extends InetSock {
  /** `sock->state`. */
  socketState: number;
  /** First byte not yet acknowledged, next byte to send, next byte to be written. */
  sndUna: number;
  sndNxt: number;
  writeSeq: number;
  /** Send window in bytes from `sndUna`, and the largest ever. */
  sndWnd: number;
  maxWindow: number;
  /** Next byte expected; `rcvNxt` when the window was last announced, and that window. */
  rcvNxt: number;
  rcvWup: number;
  rcvWnd: number;
  /** Next byte to be read. */
  copiedSeq: number;
  /** `icsk_ack.rcv_mss`: size of the peer's segments, as far as we know. */
  rcvMss: number;
  urgData: number;
  urgSeq: number;
  /** Sequence number of the urgent byte that we sent; meaningful while not below `sndUna`. -1 for none. */
  sndUrg: number;
  /** Bytes written and not yet acknowledged, in buffers; a FIN is only a sequence number behind them. */
  readonly writeQueue: SkBuffHead;
  wmemQueuedBytes: number;
  rmemAlloc: number;
  /** The first buffer of the write queue that has not been sent; null when all have. */
  sendHead: SkBuff | null;
  /** `pushed_seq`: everything before has been pushed. */
  pushedSeq: number;
  /** Where what the peer threw away for want of memory begins; -1 for nothing. */
  lostSeq: number;
  /** How far had been sent when some of it was taken back (`tcpUnsend`): Linux's `snd_nxt` then. */
  sentSeq: number;
  /** `sndNxt` when a call, or a segment, got hold of the socket. */
  burstSeq: number;
  /** Congestion window; null for the initial one. */
  congestion: TcpCongestion | null;
  /** Upper limits of the receive window: `window_clamp`, and what the sender's segments so far allow (`rcv_ssthresh`). */
  windowClamp: number;
  rcvSsthresh: number;
  /** `rcv_wscale`: windows are announced in units of 2 to this power. */
  rcvWscale: number;
  /** How much of the receive buffer's memory is data, in 256ths. */
  scalingRatio: number;
  /** How fast the program reads; null for a connection that carries little. */
  space: ReceiveSpace | null;
  /** `sk_backlog.len`. */
  backlogBytes: number;
  /** `snd_sml`: end of the last small segment. */
  sndSml: number;
  /** A FIN has been queued. */
  finQueued: boolean;
  /** `SOCK_NOSPACE`. */
  nospace: boolean;
  /** `SOCK_DONE`: a FIN has been received. */
  done: boolean;
  readonly ack: AckState;
  owned: boolean;
  backlog: TcpSegment[] | null;
  /** `sk_disconnects`. */
  disconnects: number;
  /** Accept queue and half-open connections; only while listening. */
  listenState: ListenState | null;
  /** `kernel.actor` when the connection joined its accept queue. */
  queuedBy: object | null;
  timer: TcpTimer | null;
  /** `mss_cache`: most bytes of one segment on its way. */
  mss: number;
  /** For a connection over a wire that may lose segments; null on loopback. */
  retransmit: TcpRetransmit | null;
  keepalive: TcpKeepalive | null;
  /** `out_of_order_queue`, sorted; null while nothing is missing. */
  outOfOrder: TcpSegment[] | null;
  /** Sends with MSG_ZEROCOPY, and the error queue that they fill; null while there was none. */
  zeroCopy: ZeroCopy | null;
  tcpOpts: TcpOptions;
  /** Next one with the same two ports in the table of connections. */
  hashNext: unknown;

  constructor(net: Net, family: number, uid: number) {
    super(net, family, uid);
    this.sndbuf = WMEM_DEFAULT;
    this.rcvbuf = RMEM_DEFAULT;
    this.socketState = SocketState.UNCONNECTED;
    this.sndUna = 0;
    this.sndNxt = 0;
    this.writeSeq = 0;
    this.sndWnd = 0;
    this.maxWindow = 0;
    this.rcvNxt = 0;
    this.rcvWup = 0;
    this.rcvWnd = 0;
    this.copiedSeq = 0;
    this.rcvMss = MSS_DEFAULT;
    this.urgData = 0;
    this.urgSeq = 0;
    this.sndUrg = -1;
    this.writeQueue = new SkBuffHead();
    this.wmemQueuedBytes = 0;
    this.rmemAlloc = 0;
    this.sendHead = null;
    this.pushedSeq = 0;
    this.lostSeq = -1;
    this.sentSeq = 0;
    this.burstSeq = 0;
    this.congestion = null;
    this.windowClamp = 0;
    this.rcvSsthresh = 0;
    this.rcvWscale = 0;
    this.scalingRatio = DEFAULT_SCALING_RATIO;
    this.space = null;
    this.backlogBytes = 0;
    this.sndSml = 0;
    this.finQueued = false;
    this.nospace = false;
    this.done = false;
    this.ack = new AckState();
    this.owned = false;
    this.backlog = null;
    this.disconnects = 0;
    this.listenState = null;
    this.queuedBy = null;
    this.timer = null;
    this.mss = LOOPBACK_MSS;
    this.retransmit = null;
    this.keepalive = null;
    this.outOfOrder = null;
    this.zeroCopy = null;
    this.tcpOpts = DEFAULT_TCP_OPTIONS;
    this.hashNext = null;
  }

  override get type(): number {
    return SockType.STREAM;
  }

  override get protocol(): number {
    return IPPROTO_TCP;
  }

  override get urgent(): boolean {
    return this.urgData !== 0;
  }

  override get rmem(): number {
    return this.rmemAlloc;
  }

  override get wmemQueued(): number {
    return this.wmemQueuedBytes;
  }

  ownTcpOptions(): TcpOptions {
    if (this.tcpOpts === DEFAULT_TCP_OPTIONS) this.tcpOpts = DEFAULT_TCP_OPTIONS.clone();
    return this.tcpOpts;
  }

  /** A socket for a connection of this listening one: `inet_csk_clone_lock`. */
  child(): TcpSock {
    const child = new TcpSock(this.net, this.family, this.uid);
    child.sndbuf = this.sndbuf;
    child.rcvbuf = this.rcvbuf;
    child.inheritOptions(this);
    child.tcpOpts = this.tcpOpts === DEFAULT_TCP_OPTIONS ? this.tcpOpts : this.tcpOpts.clone();
    child.windowClamp = this.windowClamp;
    child.v6only = this.v6only;
    child.addrLocked = this.addrLocked;
    child.shutdown = this.shutdown; // a listening socket may have been shut before
    child.ipOptions = this.ipOptions === null ? null : new Map(this.ipOptions);
    return child;
  }

  /** `lock_sock`. */
  lock(): void {
    assert(!this.owned, "tcp: the socket is owned already");
    this.owned = true;
    this.burstSeq = this.sndNxt;
  }

  /** `release_sock`: what came in meanwhile is processed first. */
  unlock(): void {
    assert(this.owned, "tcp: nobody owns the socket");
    this.flushBacklog();
    this.owned = false;
  }

  /** `__sk_flush_backlog`, while the lock is kept: acknowledgments of it all go at the end (`tcp_release_cb`). */
  flushBacklog(): void {
    for (let batch = this.backlog; batch !== null; batch = this.backlog) {
      this.backlog = null;
      for (const segment of batch) tcpDoRcv(this, segment);
    }
    this.backlogBytes = 0;
    if (!this.ack.deferred) return;
    this.ack.deferred = false;
    if (this.ack.pending) tcpSendAck(this);
  }

  /** `sk_add_backlog`, `tcp_add_backlog`: a segment that goes on where the last one ended, or says no more than it, joins it. */
  addBacklog(segment: TcpSegment): void {
    if (segment.skb !== null) this.backlogBytes += segment.skb.len + EMPTY_TRUESIZE;
    const { backlog } = this;
    const last = backlog?.at(-1);
    if (backlog === null || last === undefined) this.backlog = [segment];
    else if (segment.replaces(last)) backlog[backlog.length - 1] = segment;
    else if (mayJoin(last, segment)) {
      backlog[backlog.length - 1] = joined(this.net.skbs, last, segment);
      this.backlogBytes -= EMPTY_TRUESIZE;
    } else backlog.push(segment);
  }

  /** `tcp_eat_recv_skb`: a buffer has been read. One that others are merged into keeps its charge until they are read too. */
  eat(skb: SkBuff): void {
    const { next } = skb;
    this.receiveQueue.unlink(skb);
    if (next?.joined) next.truesize += skb.truesize;
    else this.rmemAlloc -= skb.truesize;
    this.net.skbs.free(skb);
  }

  /**
   * `tcp_check_probe_timer`, on the machine itself: nothing is under way, and what is written could not go. An update of the
   * window is never lost there, so only a window that is too small for the next buffer needs probing, and a socket that nobody
   * has, whose end comes.
   */
  checkProbe(): void {
    if (this.sndUna < this.sndNxt || this.sndNxt === this.writeSeq || (!this.dead && this.sndWnd === 0)) return;
    this.timer ??= new TcpTimer(this);
    this.timer.startProbe();
  }

  /** Runs a short piece of a call under the lock. */
  locked<T>(body: () => T): T {
    this.lock();
    const result = body();
    this.unlock();
    return result;
  }

  /** `tcp_receive_window`: how much of the announced window is left. */
  get receiveWindow(): number {
    return Math.max(0, this.rcvWup + this.rcvWnd - this.rcvNxt);
  }

  /** Bytes that wait to be read, urgent ones and a FIN included. */
  get unread(): number {
    return this.rcvNxt - this.copiedSeq;
  }

  /** `tcp_epollin_ready`: also when so much is queued that the peer has to stop. */
  readable(target: number): boolean {
    const { unread } = this;
    if (unread <= 0) return false;
    return unread >= target || this.rmemAlloc > this.rcvbuf - (this.rcvbuf >> 3) || this.receiveWindow <= this.rcvMss;
  }

  /** `__sk_stream_memory_free`. @param wake - 1 to decide about OUT, which asks for less unsent data. */
  memoryFree(wake: 0 | 1): boolean {
    if (this.wmemQueuedBytes >= this.sndbuf) return false;
    return (this.writeSeq - this.sndNxt) * 2 ** wake < this.tcpOpts.notsentLowat;
  }

  /** `sk_stream_is_writeable`: at least a third of sndbuf is free. */
  writeable(): boolean {
    return this.sndbuf - this.wmemQueuedBytes >= this.wmemQueuedBytes >> 1 && this.memoryFree(1);
  }

  /** `sk_stream_write_space`. */
  override writeSpace(): void {
    if (this.file === null || !this.writeable()) return;
    this.nospace = false;
    this.wakeWriters();
  }

  /** `tcp_check_space`. */
  checkSpace(): void {
    if (this.nospace) this.writeSpace();
  }

  /** `tcp_data_ready`. */
  tcpDataReady(): void {
    if (this.readable(this.opts.rcvlowat) || this.done) this.dataReady();
  }

  /** `tcp_poll`. @behaviour C-01, C-02, C-18, C-28, C-30, E-095 */
  override poll(): number {
    const { state, shutdown } = this;
    if (state === LISTEN) return this.listenState !== null && this.listenState.accepted.length > 0 ? IN2 : 0;
    let mask = 0;
    if (shutdown === SHUTDOWN_MASK || state === CLOSE) mask |= Poll.HUP;
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= IN2 | Poll.RDHUP;
    if (state !== SYN_SENT && state !== SYN_RECV) {
      let target = this.opts.rcvlowat;
      if (this.urgData !== 0 && this.urgSeq === this.copiedSeq && !this.opts.urginline) target += 1;
      if (this.readable(target)) mask |= IN2;
      if ((shutdown & SEND_SHUTDOWN) !== 0 || this.writeable()) mask |= OUT2;
      else this.nospace = true;
      if ((this.urgData & Urg.VALID) !== 0) mask |= Poll.PRI;
    }
    if (this.err !== 0 || (this.zeroCopy !== null && this.zeroCopy.errors.length > 0)) mask |= Poll.ERR;
    return mask;
  }

  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    return tcpSendmsg(this, task, from, flags, msg);
  }

  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    return tcpRecvmsg(this, task, to, flags, msg);
  }

  override connect(task: Task, addr: Uint8Array, nonblock: boolean): number {
    return inetStreamConnect(this, task, addr, nonblock);
  }

  override listen(_task: Task, backlog: number): number {
    return this.locked(() => inetListen(this, backlog));
  }

  override accept(task: Task, nonblock: boolean, arg: AcceptArg): number {
    return inetAccept(this, task, nonblock, arg);
  }

  override shutdownBy(how: number): number {
    return tcpShutdown(this, how);
  }

  override release(): void {
    tcpClose(this);
  }

  /** The way to the destination of a connect: see `route`. */
  connectRoute(bytes: Uint8Array): ReturnType<InetSock["route"]> {
    return this.route(bytes);
  }

  /** The address that a connection to there is sent from. */
  connectSource(destination: TcpSock["daddr"]): TcpSock["daddr"] {
    return this.sourceFor(destination);
  }

  /** `tcp_mtup_init`, `tcp_sync_mss`: what the way to the peer means for the connection. */
  takeRoute(): void {
    const device = this.net.deviceFor(this.daddr);
    this.mss = tcpMss(device, this.daddr);
    this.retransmit = device.lossy ? new TcpRetransmit(this) : null;
    this.rcvMss = MSS_DEFAULT;
  }

  /** `tcp_set_keepalive`, and the start of a connection that has it: the idle time begins, or is over. */
  override keepaliveChanged(): void {
    const connected = this.state !== CLOSE && this.state !== LISTEN && this.state !== SYN_SENT;
    if (this.retransmit === null || !connected) return;
    const { clock } = this.net.kernel;
    if (!this.opts.keepalive) {
      if (this.keepalive !== null) clock.cancel(this.keepalive);
      return;
    }
    this.keepalive ??= new TcpKeepalive(this);
    this.keepalive.start();
  }

  /** `inet_csk_get_port`. */
  override getPort(port: number): boolean {
    const { ports } = this.net.tcp;
    const found = port === 0 ? ports.findOpen((candidate) => ports.tcpOccupied(candidate, this)) : port;
    if (found === 0 || (port !== 0 && ports.tcpConflict(port, this))) return false;
    if (this.num !== found) {
      this.num = found;
      this.sport = found;
      ports.add(found, this, true);
    }
    return true;
  }

  /** `inet_put_port`. */
  putPort(): void {
    if (this.num !== 0) this.net.tcp.ports.remove(this.num, this);
    this.num = 0;
  }

  /** `tcp_set_rcvlowat`. @behaviour C-18 */
  override setRcvlowat(bytes: number): void {
    const pinned = (this.opts.userlocks & SOCK_RCVBUF_LOCK) !== 0;
    const lowat = Math.min(bytes, pinned ? this.rcvbuf >> 1 : RMEM_MAX >> 1) || 1;
    this.ownOptions().rcvlowat = lowat;
    this.tcpDataReady();
    const space = tcpSpaceFromWin(this, lowat);
    if (pinned || space <= this.rcvbuf) return;
    this.rcvbuf = space;
    if (this.windowClamp > 0 && this.windowClamp < lowat) this.windowClamp = lowat;
  }

  /** `tcp_inq`. */
  #inq(): number {
    const { state, urgData, urgSeq, copiedSeq, rcvNxt } = this;
    if (state === SYN_SENT || state === SYN_RECV) return 0;
    if (this.opts.urginline || urgData === 0 || urgSeq < copiedSeq || urgSeq >= rcvNxt) {
      const amount = rcvNxt - copiedSeq;
      return amount > 0 && this.done ? amount - 1 : amount;
    }
    return urgSeq - copiedSeq;
  }

  /**
   * `tcp_ioctl`.
   *
   * @errno EINVAL - a listening socket. EFAULT - the pointer. ENOTTY - unknown.
   * @behaviour C-30, C-34
   */
  override ioctl(task: Task, request: number, arg: number): number {
    const connecting = this.state === SYN_SENT || this.state === SYN_RECV;
    let amount: number;
    switch (request) {
      case Ioctl.FIONREAD:
        amount = this.#inq();
        break;
      case Ioctl.SIOCATMARK:
        amount = this.urgData !== 0 && this.urgSeq === this.copiedSeq ? 1 : 0;
        break;
      case Ioctl.SIOCOUTQ:
        amount = connecting ? 0 : this.writeSeq - this.sndUna;
        break;
      case Ioctl.SIOCOUTQNSD:
        amount = connecting ? 0 : this.writeSeq - this.sndNxt;
        break;
      default:
        return -Errno.ENOTTY;
    }
    if (this.state === LISTEN && request !== Ioctl.SIOCATMARK) return -Errno.EINVAL;
    return task.process.mm.putUser32(arg, amount) ? 0 : -Errno.EFAULT;
  }

  override setsockopt(task: Task, level: number, option: number, addr: number, length: number): number {
    if (level === SOL_TCP) return tcpSetsockopt(task, this, option, addr, length);
    return ipSetsockopt(task, this, level, option, addr, length);
  }

  override getsockopt(task: Task, level: number, option: number, addr: number, lengthAddr: number): number {
    if (level === SOL_TCP) return tcpGetsockopt(task, this, option, addr, lengthAddr);
    return ipGetsockopt(task, this, level, option, addr, lengthAddr);
  }
}
