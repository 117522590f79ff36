/**
 * AF_UNIX stream sockets.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_stream_ops`, `unix_poll`). The two directions are in `stream-sendmsg.ts` and
 * `stream-recvmsg.ts`. The path of a plain read or write allocates nothing once the pool of buffers is warm.
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Poll } from "../../uapi/poll.ts";
import { Sock as SockType } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { type AcceptArg, OUT3, RCV_SHUTDOWN, SHUTDOWN_MASK, SkState } from "../sock.ts";
import { unixAccept, unixConnect, unixListen } from "./connection.ts";
import { unixStreamRecvmsg } from "./stream-recvmsg.ts";
import { unixStreamSendmsg } from "./stream-sendmsg.ts";
import { UnixSock } from "./unix-sock.ts";

const { CLOSE, LISTEN } = SkState;
const IN2 = Poll.IN | Poll.RDNORM;
const { ERR: EPOLLERR, HUP: EPOLLHUP, RDHUP: EPOLLRDHUP, PRI: EPOLLPRI } = Poll;

export class UnixStreamSock extends UnixSock {
  override get type(): number {
    return SockType.STREAM;
  }

  override embryo(): UnixStreamSock {
    return new UnixStreamSock(this.net);
  }

  override listen(task: Task, backlog: number): number {
    return unixListen(this, task, backlog);
  }

  override connect(task: Task, addr: Uint8Array, nonblock: boolean): number {
    return unixConnect(this, task, addr, nonblock);
  }

  override accept(task: Task, nonblock: boolean, arg: AcceptArg): number {
    return unixAccept(this, task, nonblock, arg);
  }

  /** `unix_poll`. @behaviour U-08, U-14, U-16, U-20, U-21, U-22, U-25 */
  override poll(): number {
    const { shutdown, state } = this;
    let mask = 0;
    if (this.err !== 0) mask |= EPOLLERR;
    if (shutdown !== 0) {
      if (shutdown === SHUTDOWN_MASK) mask |= EPOLLHUP;
      if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= EPOLLRDHUP | IN2;
    }
    if (this.receiveQueue.first !== null) mask |= IN2;
    if (this.oobSkb !== null) mask |= EPOLLPRI;
    if (state === CLOSE) mask |= EPOLLHUP;
    if (this.writable()) mask |= OUT3;
    return mask;
  }

  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    return unixStreamSendmsg(this, task, from, flags, msg);
  }

  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    return unixStreamRecvmsg(this, task, to, flags, msg);
  }

  /** A read that steps over the urgent byte leaves it in the count (6.17 on). */
  protected override inqLen(): number {
    const counted = this.net.kernel.profile.unixInqCounter && this.state !== LISTEN;
    return counted ? this.inq : super.inqLen();
  }

  protected override atMark(): number {
    const { first } = this.receiveQueue;
    if (first === null) return 0;
    if (first === this.oobSkb) return 1;
    return first.consumed === first.len && (this.oobSkb === null || first.next === this.oobSkb) ? 1 : 0;
  }
}
