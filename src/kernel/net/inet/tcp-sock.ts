/**
 * TCP sockets.
 *
 * Counterpart: `net/ipv4/tcp.c`.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Poll } from "../../uapi/poll.ts";
import { Msg, Sock as SockType } from "../../uapi/socket.ts";
import type { MsgHdr } from "../msghdr.ts";
import type { Net } from "../net.ts";
import { RCV_SHUTDOWN, SHUTDOWN_MASK, SkState, Sock } from "../sock.ts";

export class TcpSock extends Sock {
  readonly #family: number;

  constructor(net: Net, family: number) {
    super(net);
    this.#family = family;
  }

  override get family(): number {
    return this.#family;
  }

  override get type(): number {
    return SockType.STREAM;
  }

  override get protocol(): number {
    return 6;
  }

  /** `tcp_poll`. @behaviour C-01, E-095 */
  override poll(): number {
    const { shutdown } = this;
    let mask = Poll.OUT | Poll.WRNORM;
    if (shutdown === SHUTDOWN_MASK || this.state === SkState.CLOSE) mask |= Poll.HUP;
    if ((shutdown & RCV_SHUTDOWN) !== 0) mask |= Poll.IN | Poll.RDNORM | Poll.RDHUP;
    if (this.err !== 0) mask |= Poll.ERR;
    return mask;
  }

  override sendmsg(task: Task, _from: IovIter, flags: number, _msg: MsgHdr | null): number {
    if ((flags & Msg.NOSIGNAL) === 0) task.kernel.sigpipe(task);
    return -Errno.EPIPE;
  }

  override recvmsg(_task: Task, _to: IovIter, _flags: number, _msg: MsgHdr | null): number {
    return -Errno.ENOTCONN;
  }

  override release(): void {
    this.dead = true;
    this.file = null;
  }

  override shutdownBy(_how: number): number {
    throw new Unmodelled("shutdown of a TCP socket");
  }

  override getname(_peer: 0 | 1 | 2): Uint8Array | number {
    throw new Unmodelled("the name of a TCP socket");
  }

  override ioctl(_task: Task, _request: number, _arg: number): number {
    throw new Unmodelled("ioctl of a TCP socket");
  }

  override writeSpace(): void {}
}
