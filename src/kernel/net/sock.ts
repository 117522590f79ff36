/**
 * The protocol's side of a socket: state, error, buffers, options, wait queue.
 *
 * Counterpart: `include/net/sock.h` (`struct sock`), `net/core/sock.c`.
 * A `Sock` may live without a `SocketFile`: a connection that nobody has accepted yet, a TCP connection whose last
 * descriptor is closed. Nobody can wait on such a one, so the wait queue may stand here, though Linux has it in
 * `struct socket`.
 * Wake keys are part of the interface: 0 for a change of state, ERR for an error, RX4 for data, OUT3 for space.
 */
import { Band, killFasync } from "../fs/fasync.ts";
import { assert } from "../lib/assert.ts";
import type { IovIter } from "../mm/iov-iter.ts";
import { BLOCKED, SleepingCall, type Task, TaskWaitEntry } from "../sched/task.ts";
import { WaitQueueHead } from "../sched/wait.ts";
import { Errno } from "../uapi/errno.ts";
import { Poll } from "../uapi/poll.ts";
import type { MsgHdr } from "./msghdr.ts";
import type { Net } from "./net.ts";
import { type SkBuff, SkBuffHead } from "./skbuff.ts";
import type { SocketFile } from "./socket.ts";

/** `include/net/tcp_states.h`; AF_UNIX uses CLOSE, ESTABLISHED and LISTEN of them. */
export const SkState = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
} as const;

export const RCV_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;
export const SHUTDOWN_MASK = 3;

/** Jiffies per second, and one in nanoseconds: socket timeouts are kept in jiffies. */
export const HZ = 250;
export const JIFFY_NS = 4_000_000;
/** `MAX_SCHEDULE_TIMEOUT`: no timeout. */
export const NO_TIMEOUT = -1;

/** Keys of the four default callbacks. */
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
export const OUT3: number = Poll.OUT | Poll.WRNORM | Poll.WRBAND;

/** Set by `SO_SNDBUF` and `SO_RCVBUF`: the kernel no longer tunes that buffer. */
export const SOCK_SNDBUF_LOCK = 1;
export const SOCK_RCVBUF_LOCK = 2;

/** What setsockopt can change and most sockets never do: shared until the first change. */
export class SockOptions {
  /** Several sockets have these: whoever changes one takes a copy first. */
  shared = false;
  /** Jiffies, `NO_TIMEOUT` for none. */
  rcvtimeo: number = NO_TIMEOUT;
  sndtimeo: number = NO_TIMEOUT;
  rcvlowat = 1;
  linger = false;
  /** Jiffies; `NO_TIMEOUT` waits for ever. */
  lingertime = 0;
  /** `sk_peek_off`; -1 while off. */
  peekOff = -1;
  reuse = false;
  reuseport = false;
  keepalive = false;
  broadcast = false;
  urginline = false;
  dontroute = false;
  noCheck = false;
  selectErrQueue = false;
  zerocopy = false;
  debug = false;
  priority = 0;
  mark = 0;
  /** `sk_scm_credentials`, `sk_scm_rights`. */
  passcred = false;
  passrights = true;
  /** `sk_userlocks`. */
  userlocks = 0;

  clone(): SockOptions {
    return Object.assign(new SockOptions(), this, { shared: false });
  }
}

const DEFAULT_OPTIONS: SockOptions = Object.freeze(Object.assign(new SockOptions(), { shared: true }));

/** `struct ucred`. */
export interface PeerCred {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * `struct sock`.
 *
 * A socket is its own receive queue: Linux embeds `sk_receive_queue`, and inheritance is how an object embeds another
 * here. With a hundred thousand connections each object that a message need not visit saves a trip to memory; for the same
 * reason what every message looks at comes first.
 */
export abstract class Sock extends SkBuffHead {
  /** `sk_sleep(sk)`. */
  readonly wq: WaitQueueHead;
  state: number;
  /** `sk_shutdown`. */
  shutdown: number;
  /** `sk_err`: a positive errno waiting to be reported, or 0. */
  err: number;
  /** Bytes. */
  sndbuf: number;
  /** `sk_wmem_alloc`: charge of what we have sent and nobody has consumed, plus 1 for the socket itself. */
  wmemAlloc: number;
  /** Read freely; change through `ownOptions`. */
  opts: SockOptions;
  readonly net: Net;
  /** `sk_socket`: null for an embryo, and again once the last descriptor is gone. */
  file: SocketFile | null;
  /** `SOCK_FASYNC`: the file's owner gets signals. */
  fasync: boolean;
  /** `SOCK_DEAD`. */
  dead: boolean;
  rcvbuf: number;
  maxAckBacklog: number;

  constructor(net: Net) {
    super();
    this.wq = new WaitQueueHead();
    this.state = SkState.CLOSE;
    this.shutdown = 0;
    this.err = 0;
    this.sndbuf = net.kernel.sysctl.get("net.core.wmem_default");
    this.wmemAlloc = 1;
    this.opts = DEFAULT_OPTIONS;
    this.net = net;
    this.file = null;
    this.fasync = false;
    this.dead = false;
    this.rcvbuf = net.kernel.sysctl.get("net.core.rmem_default");
    this.maxAckBacklog = 0;
  }

  /** `sk_receive_queue`. */
  get receiveQueue(): SkBuffHead {
    return this;
  }

  abstract get family(): number;
  abstract get type(): number;
  abstract get protocol(): number;

  /** `->poll` without the wait queue. */
  abstract poll(task: Task): number;

  /**
   * `->sendmsg`.
   *
   * @param flags - MSG_*, with DONTWAIT for a non-blocking description.
   * @param msg - destination and control data; null for plain bytes.
   * @returns bytes taken, a negative errno, or `BLOCKED`.
   */
  abstract sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number;

  /** `->recvmsg`. @param msg - receives source address, control data and flags; null when nobody asks. */
  abstract recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number;

  /** `->release`: the last descriptor is gone. */
  abstract release(): void;

  /** `->shutdown`. @param how - SHUT_*, not yet checked. */
  abstract shutdownBy(how: number): number;

  /** `->bind`. */
  bind(_task: Task, _addr: Uint8Array): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->connect`. @returns 0, a negative errno, or `BLOCKED`. */
  connect(_task: Task, _addr: Uint8Array, _nonblock: boolean): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->listen`. */
  listen(_task: Task, _backlog: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /**
   * `->accept`: hands the next connection to `call.accepted`.
   *
   * @returns 0, a negative errno, or `BLOCKED`.
   */
  accept(_task: Task, _nonblock: boolean, _call: AcceptArg): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->socketpair`. */
  socketpair(_other: Sock, _task: Task): number {
    return -Errno.EOPNOTSUPP;
  }

  /**
   * `->getname`.
   *
   * @param peer - 0 our own, 1 the peer's, 2 the peer's even when the connection is gone again.
   * @returns the address, or a negative errno.
   */
  abstract getname(peer: 0 | 1 | 2): Uint8Array | number;

  /** `->ioctl`. @errno ENOTTY - an unknown request. */
  abstract ioctl(task: Task, request: number, arg: number): number;

  /** Whether an option of SOL_SOCKET has the meaning that it has for other sockets. */
  sharesOption(_option: number): boolean {
    return true;
  }

  /** `->setsockopt` for the levels above SOL_SOCKET. */
  setsockopt(_task: Task, _level: number, _option: number, _addr: number, _length: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->getsockopt` for the levels above SOL_SOCKET. */
  getsockopt(_task: Task, _level: number, _option: number, _addr: number, _lengthAddr: number): number {
    return -Errno.EOPNOTSUPP;
  }

  /** `->set_rcvlowat`. @param bytes - at least 1. */
  setRcvlowat(bytes: number): void {
    this.ownOptions().rcvlowat = bytes;
  }

  /** `->keepalive`: SO_KEEPALIVE was set or cleared, or its times were. */
  keepaliveChanged(): void {}

  /** `sk_peer_pid`, `sk_peer_cred`; null without a peer that has any. */
  peerCred(): PeerCred | null {
    return null;
  }

  /** `->show_fdinfo`. */
  fdinfo(): string {
    return "";
  }

  /** The options, to change them. */
  ownOptions(): SockOptions {
    if (this.opts.shared) this.opts = this.opts.clone();
    return this.opts;
  }

  /** `sk_clone`, as far as options go. */
  protected inheritOptions(parent: Sock): void {
    if (!parent.opts.shared) parent.opts.shared = true;
    this.opts = parent.opts;
  }

  /** `sock_error`: reports the pending error once. @returns 0 or a negative errno. */
  takeError(): number {
    const { err } = this;
    if (err === 0) return 0;
    this.err = 0;
    return -err;
  }

  /** Whoever watches the model hears what readers of this socket can take: bytes, or connections. */
  noteEnqueued(amount: number): void {
    const { observer } = this.net.kernel;
    if (observer !== null) observer.enqueued(this, amount);
  }

  /** What a reader has taken. */
  noteDequeued(amount: number): void {
    const { observer } = this.net.kernel;
    if (observer !== null) observer.dequeued(this, amount);
  }

  private wake(nrExclusive: number, key: number): void {
    const { wq } = this;
    const { observer } = this.net.kernel;
    if (observer !== null && this.file !== null) observer.wakeUp(this.file, key);
    if (wq.first !== null) wq.wakeUp(nrExclusive, key);
  }

  /** `sk_state_change`: `sock_def_wakeup`. */
  stateChange(): void {
    this.wake(0, 0);
  }

  /** `sk_data_ready`: `sock_def_readable`. */
  dataReady(): void {
    if (!this.fasync) {
      this.wake(1, RX4);
      return;
    }
    const awaited = this.readerSleeps();
    this.wake(1, RX4);
    if (!awaited) this.wakeAsync(Band.IN);
  }

  /** `sk_wake_async(SOCK_WAKE_WAITD)`: not while somebody sleeps in a read (`SOCKWQ_ASYNC_WAITDATA`). */
  wakeAsyncReader(band: number): void {
    if (this.fasync && !this.readerSleeps()) this.wakeAsync(band);
  }

  /** `sk_wake_async(SOCK_WAKE_IO)`. */
  wakeAsyncAny(band: number): void {
    if (this.fasync) this.wakeAsync(band);
  }

  /** `sock_wake_async`. */
  private wakeAsync(band: number): void {
    if (this.file !== null) killFasync(this.file, band);
  }

  private readerSleeps(): boolean {
    for (let node = this.wq.first; node !== null; node = node.next) {
      const { owner } = node;
      if (owner instanceof TaskWaitEntry && owner.task.call instanceof SockCall && owner.task.call.waitsForData)
        return true;
    }
    return false;
  }

  /** `sk_error_report`: `sock_def_error_report`. */
  errorReport(): void {
    this.wake(1, Poll.ERR);
    this.wakeAsyncAny(Band.ERR);
  }

  /** The wake of `sk_write_space`, once a protocol has found that there is space. */
  protected wakeWriters(): void {
    this.wake(1, OUT3);
  }

  /** `wake_up_interruptible_poll(sk_sleep(sk), key)`. */
  protected wakeWaiters(key: number): void {
    this.wake(1, key);
  }

  /** `sk_write_space`: wakes writers if the protocol calls the socket writable. */
  abstract writeSpace(): void;

  /** `skb_set_owner_w`. */
  charge(skb: SkBuff, truesize: number): void {
    skb.sk = this;
    skb.truesize = truesize;
    this.wmemAlloc += truesize;
  }

  /** `sock_wfree`: gives the charge back. One byte is held over the callback, so writers see it still taken. */
  wfree(truesize: number): void {
    this.wmemAlloc -= truesize - 1;
    this.writeSpace();
    this.wmemAlloc -= 1;
    assert(this.wmemAlloc >= 1, "sock: more charge given back than taken");
  }

  /** `sk_wmem_alloc_get`. */
  get wmem(): number {
    return this.wmemAlloc - 1;
  }

  /** `sk_rmem_alloc`: charge of what waits to be read, for protocols that charge the receiver. */
  get rmem(): number {
    return 0;
  }

  /** `sk_wmem_queued`: charge of the write queue, for protocols that have one. */
  get wmemQueued(): number {
    return 0;
  }

  /** Whether an urgent byte is on its way to the reader, for protocols where that changes what a splice gives. */
  get urgent(): boolean {
    return false;
  }

  /** `sk_drops`: messages refused for want of room. */
  get drops(): number {
    return 0;
  }

  /** `sock_rcvtimeo`, as a deadline: absolute ns, -1 for none. 0 jiffies is the same as non-blocking. */
  deadline(timeo: number): number {
    return timeo === NO_TIMEOUT ? -1 : this.net.kernel.clock.nowNs + timeo * JIFFY_NS;
  }
}

/** What `accept` is to do with the connection. */
export interface AcceptArg {
  /** Takes the connection over. */
  accepted(sk: Sock): void;
  /** What is left of the call once `accept` itself has an answer. */
  finish(task: Task, result: number): number;
}

/**
 * The rest of a socket call that sleeps: one section of the protocol, until it has an answer; then what the system call
 * itself has left to do, such as to copy an address out.
 */
export abstract class SockCall extends SleepingCall {
  /** Absolute ns, -1 for none. */
  deadlineNs = -1;

  /** `SOCKWQ_ASYNC_WAITDATA`: it is a read from a stream. */
  get waitsForData(): boolean {
    return false;
  }

  /** One atomic section. */
  protected abstract section(task: Task): number;

  /** What the system call does with the answer. */
  protected abstract finish(task: Task, result: number): number;

  override step(task: Task): number {
    const result = this.section(task);
    if (result === BLOCKED) return BLOCKED;
    task.call = null; // what is left may be another call that sleeps
    return this.finish(task, result);
  }
}

/** A send or receive that sleeps: its message header has the last word. */
export abstract class MsgCall extends SockCall {
  /** Null for plain bytes. */
  readonly msg: MsgHdr | null;

  constructor(msg: MsgHdr | null) {
    super();
    this.msg = msg;
  }

  protected override finish(task: Task, result: number): number {
    return this.msg === null ? result : this.msg.finish(task, result);
  }
}

/**
 * `sock_intr_errno`: a call without a timeout is restarted after a signal, one with a timeout is not.
 *
 * @param timeout - its jiffies, or its end in ns; `NO_TIMEOUT` for none.
 */
export function interruptedErrno(timeout: number): number {
  return timeout === NO_TIMEOUT ? -Errno.ERESTARTSYS : -Errno.EINTR;
}
