/**
 * Waiting for a datagram, the same for every protocol that has them.
 *
 * Counterpart: `net/core/datagram.c`.
 */
import type { IovIter } from "../mm/iov-iter.ts";
import { type Task, TaskState } from "../sched/task.ts";
import { Poll } from "../uapi/poll.ts";
import type { MsgHdr } from "./msghdr.ts";
import { interruptedErrno, MsgCall, type Sock } from "./sock.ts";

/** A socket whose receive can be entered again after a sleep. */
export interface DatagramSock extends Sock {
  /**
   * One section of a receive.
   *
   * @param waiting - the call, if it has slept.
   * @returns as `recvmsg`.
   */
  recvOn(task: Task, to: IovIter, flags: number, msg: MsgHdr | null, waiting: DatagramRecv | null): number;
}

/** A receive that waits for a message. */
export class DatagramRecv extends MsgCall {
  readonly sk: DatagramSock;
  readonly to: IovIter;
  readonly flags: number;

  constructor(sk: DatagramSock, to: IovIter, flags: number, msg: MsgHdr | null) {
    super(msg);
    this.sk = sk;
    this.to = to;
    this.flags = flags;
    this.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
  }

  /**
   * `__skb_wait_for_more_packets`: exclusive, and asleep through wakes for space.
   *
   * @returns `BLOCKED`, or an errno on a signal: EINTR with a timeout, else ERESTARTSYS.
   */
  wait(task: Task): number {
    if (task.signalPending) return interruptedErrno(this.deadlineNs);
    task.wait.mask = Poll.IN | Poll.ERR;
    this.sk.wq.addExclusive(task.wait);
    return task.sleep(this, TaskState.INTERRUPTIBLE, this.deadlineNs);
  }

  protected override section(task: Task): number {
    return this.sk.recvOn(task, this.to, this.flags, this.msg, this);
  }
}
