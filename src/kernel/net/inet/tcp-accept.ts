/**
 * accept.
 *
 * Counterpart: `net/ipv4/inet_connection_sock.c` (`inet_csk_accept`), `net/ipv4/af_inet.c` (`inet_accept`).
 * One sleeper is woken per connection, the oldest first (`prepare_to_wait_exclusive`).
 */
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { type AcceptArg, interruptedErrno, SkState, SockCall } from "../sock.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { SocketState } from "./tcp-states.ts";

/**
 * `inet_csk_accept`.
 *
 * @errno EINVAL - not listening, or no longer. EAGAIN - no connection.
 * @behaviour C-11, C-13
 */
export function inetAccept(sk: TcpSock, task: Task, nonblock: boolean, arg: AcceptArg): number {
  return acceptOnce(sk, task, nonblock || sk.opts.rcvtimeo === 0, arg, null);
}

function acceptOnce(sk: TcpSock, task: Task, nonblock: boolean, arg: AcceptArg, waiting: TcpAccept | null): number {
  const { listenState } = sk;
  if (sk.state !== SkState.LISTEN || listenState === null) return -Errno.EINVAL;
  const child = listenState.accepted.shift();
  if (child !== undefined) {
    sk.noteDequeued(1);
    child.socketState = SocketState.CONNECTED;
    arg.accepted(child);
    return 0;
  }
  const call = waiting ?? new TcpAccept(sk, arg);
  if (waiting !== null && task.signalPending) return interruptedErrno(call.deadlineNs);
  if (nonblock) return -Errno.EAGAIN;
  if (task.signalPending) return interruptedErrno(sk.opts.rcvtimeo);
  task.wait.mask = 0;
  sk.wq.addExclusive(task.wait);
  return task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
}

class TcpAccept extends SockCall {
  readonly #sk: TcpSock;
  readonly #arg: AcceptArg;

  constructor(sk: TcpSock, arg: AcceptArg) {
    super();
    this.#sk = sk;
    this.#arg = arg;
    this.deadlineNs = sk.deadline(sk.opts.rcvtimeo);
  }

  protected override section(task: Task): number {
    task.finishWait();
    return acceptOnce(this.#sk, task, task.timedOut, this.#arg, this);
  }

  protected override finish(task: Task, result: number): number {
    return this.#arg.finish(task, result);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#arg];
  }
}
