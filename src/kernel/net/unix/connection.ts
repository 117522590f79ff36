/**
 * AF_UNIX connections: listen, connect, accept.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_listen`, `unix_stream_connect`, `unix_accept`).
 * A connect is finished by the connector alone: it makes the accepting side's sock (the embryo) and queues it. The queue
 * is full when it holds more than the backlog, so a backlog of N admits N+1 (U-27).
 */
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { type AcceptArg, interruptedErrno, RCV_SHUTDOWN, SkState, SockCall } from "../sock.ts";
import { PeerWait, type UnixSock, validateAddr } from "./unix-sock.ts";

const { ESTABLISHED, CLOSE, LISTEN } = SkState;

/**
 * `unix_listen`.
 *
 * @errno EINVAL - not bound, or connected.
 * @behaviour U-26, U-27
 */
export function unixListen(sk: UnixSock, task: Task, backlog: number): number {
  if (sk.name === null) return -Errno.EINVAL;
  if (sk.state !== CLOSE && sk.state !== LISTEN) return -Errno.EINVAL;
  if (backlog > sk.maxAckBacklog) sk.peerWait?.wakeUp(0, 0);
  sk.maxAckBacklog = backlog;
  sk.state = LISTEN;
  sk.cred = sk.net.credOf(task.process);
  return 0;
}

/**
 * `unix_wait_for_peer`: sleeps until `other` has taken something from its queue. The caller has found it full.
 *
 * @returns `BLOCKED`, or an errno: EAGAIN when the timeout is over, ERESTARTSYS or EINTR on a signal.
 */
export function waitForPeer(task: Task, other: UnixSock, call: SockCall): number {
  if (task.signalPending) return interruptedErrno(call.deadlineNs);
  other.peerWait ??= new PeerWait();
  task.wait.mask = 0;
  other.peerWait.sleepers.addExclusive(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

/** A connect that waits for room in the accept queue. */
class UnixConnect extends SockCall {
  readonly sk: UnixSock;
  readonly addr: Uint8Array;

  constructor(sk: UnixSock, addr: Uint8Array) {
    super();
    this.sk = sk;
    this.addr = addr;
  }

  protected override section(task: Task): number {
    task.finishWait();
    if (task.signalPending) return interruptedErrno(this.deadlineNs);
    return connectOnce(this.sk, task, this.addr, task.timedOut, this);
  }

  protected override finish(_task: Task, result: number): number {
    return result;
  }
}

/**
 * `unix_stream_connect`.
 *
 * @errno EINVAL - the address, or the socket listens. ECONNREFUSED - nobody listens there. EAGAIN - the queue is full.
 * EISCONN - connected already.
 * @behaviour U-27, U-28, U-30
 */
export function unixConnect(sk: UnixSock, task: Task, addr: Uint8Array, nonblock: boolean): number {
  const err = validateAddr(addr);
  if (err < 0) return err;
  if (sk.opts.passcred && sk.name === null) sk.autobind();
  return connectOnce(sk, task, addr, nonblock || sk.opts.sndtimeo === 0, null);
}

function connectOnce(
  sk: UnixSock,
  task: Task,
  addr: Uint8Array,
  nonblock: boolean,
  waiting: UnixConnect | null,
): number {
  const other = sk.findOther(task, addr);
  if (typeof other === "number") return refused(sk, other);
  if (other.state !== LISTEN || (other.shutdown & RCV_SHUTDOWN) !== 0) return refused(sk, -Errno.ECONNREFUSED);
  if (other.recvqFull()) {
    if (nonblock) return refused(sk, -Errno.EAGAIN);
    const call = waiting ?? new UnixConnect(sk, addr);
    if (waiting === null) call.deadlineNs = sk.deadline(sk.opts.sndtimeo);
    return waitForPeer(task, other, call);
  }
  if (sk.state !== CLOSE) return refused(sk, sk.state === ESTABLISHED ? -Errno.EISCONN : -Errno.EINVAL);
  establish(sk, task, other);
  return 0;
}

/** The other end, which Linux makes before it looks whether it is wanted, is closed again: as after each close, a collection is due. */
function refused(sk: UnixSock, err: number): number {
  sk.net.inflight.request();
  sk.net.runDelayed();
  return err;
}

function establish(sk: UnixSock, task: Task, other: UnixSock): void {
  const embryo = sk.embryo();
  embryo.peer = sk;
  embryo.state = ESTABLISHED;
  embryo.listener = other;
  embryo.name = other.name;
  embryo.cred = sk.net.credOf(task.process);
  if (other.opts.passcred) embryo.ownOptions().passcred = true;
  sk.cred = other.cred;
  sk.state = ESTABLISHED;
  sk.peer = embryo;
  other.receiveQueue.queueTail(other.connectionSkb(embryo));
  other.noteEnqueued(1);
  other.dataReady();
}

/** An accept that waits for a connection. */
class UnixAccept extends SockCall {
  readonly sk: UnixSock;
  readonly arg: AcceptArg;

  constructor(sk: UnixSock, arg: AcceptArg) {
    super();
    this.sk = sk;
    this.arg = arg;
  }

  protected override section(task: Task): number {
    task.finishWait();
    return acceptOnce(this.sk, task, task.timedOut, this.arg, this);
  }

  protected override finish(task: Task, result: number): number {
    return this.arg.finish(task, result);
  }
}

/**
 * `unix_accept`.
 *
 * @errno EINVAL - not listening. EAGAIN - no connection.
 * @behaviour U-26, U-29, U-33, U-34
 */
export function unixAccept(sk: UnixSock, task: Task, nonblock: boolean, arg: AcceptArg): number {
  if (sk.state !== LISTEN) return -Errno.EINVAL;
  return acceptOnce(sk, task, nonblock || sk.opts.rcvtimeo === 0, arg, null);
}

/** `skb_recv_datagram` on the accept queue, and what accept does with the embryo. */
function acceptOnce(sk: UnixSock, task: Task, nonblock: boolean, arg: AcceptArg, waiting: UnixAccept | null): number {
  const err = sk.takeError();
  if (err < 0) return err;
  const skb = sk.receiveQueue.dequeue();
  if (skb === null) {
    if (nonblock) return -Errno.EAGAIN;
    if ((sk.shutdown & RCV_SHUTDOWN) !== 0) return -Errno.EINVAL;
    const call = waiting ?? new UnixAccept(sk, arg);
    if (waiting === null) call.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
    if (task.signalPending) return interruptedErrno(call.deadlineNs);
    task.wait.mask = Poll.IN | Poll.ERR;
    sk.wq.addExclusive(task.wait);
    return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
  }
  const embryo = skb.sk as UnixSock;
  sk.freeSkb(skb);
  sk.noteDequeued(1);
  sk.peerWait?.wakeUp(1, 0);
  embryo.listener = null;
  arg.accepted(embryo);
  return 0;
}
