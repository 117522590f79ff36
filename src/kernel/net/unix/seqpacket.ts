/**
 * AF_UNIX sequenced packets: connections like a stream's, messages like a datagram's.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_seqpacket_ops`).
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Sock as SockType } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import { type AcceptArg, SkState } from "../sock.ts";
import { unixAccept, unixConnect, unixListen } from "./connection.ts";
import { UnixDgramSock } from "./dgram.ts";
import type { UnixSock } from "./unix-sock.ts";

export class UnixSeqpacketSock extends UnixDgramSock {
  override get type(): number {
    return SockType.SEQPACKET;
  }

  override embryo(): UnixSock {
    return new UnixSeqpacketSock(this.net);
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

  /** `unix_seqpacket_sendmsg`: a pending error comes first, an address is ignored. @behaviour U-15, U-19, U-24 */
  override sendmsg(task: Task, from: IovIter, flags: number, msg: MsgHdr | null): number {
    const err = this.takeError();
    if (err < 0) return err;
    if (this.state !== SkState.ESTABLISHED) return -Errno.ENOTCONN;
    if (msg !== null) msg.name = new Uint8Array(0);
    return super.sendmsg(task, from, flags, msg);
  }

  /** `unix_seqpacket_recvmsg`. */
  override recvmsg(task: Task, to: IovIter, flags: number, msg: MsgHdr | null): number {
    if (this.state !== SkState.ESTABLISHED) return -Errno.ENOTCONN;
    return super.recvmsg(task, to, flags, msg);
  }
}
