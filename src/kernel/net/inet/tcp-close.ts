/**
 * close and shutdown.
 *
 * Counterpart: `net/ipv4/af_inet.c` (`inet_release`, `inet_shutdown`), `net/ipv4/tcp.c` (`__tcp_close`,
 * `tcp_shutdown`), `net/core/stream.c` (`sk_stream_wait_close`).
 */
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, SHUTDOWN_MASK, SkState, SockCall } from "../sock.ts";
import {
  purgeReceiveQueue,
  tcpCloseState,
  tcpDestroySock,
  tcpDisconnect,
  tcpListenStop,
  tcpSetState,
  tcpTimeWait,
} from "./tcp-done.ts";
import { tcpSendActiveReset } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { SocketState } from "./tcp-states.ts";

const { ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING } = SkState;
/** `tcp_fin_timeout` in seconds. */
const FIN_TIMEOUT_SEC = 60;

/**
 * `__tcp_close`. With SO_LINGER the rest waits until everything has been acknowledged, or the time is over.
 *
 * @behaviour C-14, C-22, C-23, C-24, C-25
 */
export function tcpClose(sk: TcpSock): void {
  sk.lock();
  sk.shutdown = SHUTDOWN_MASK;
  if (sk.state === LISTEN) {
    tcpSetState(sk, CLOSE);
    tcpListenStop(sk);
  } else {
    const unread = hasUnread(sk);
    purgeReceiveQueue(sk);
    if (sk.state !== CLOSE) leave(sk, unread);
  }
  const { linger, lingertime } = sk.opts;
  if (linger && lingertime !== 0 && closing(sk)) {
    sk.flushBacklog();
    if (closing(sk)) {
      sk.net.kernel.taskWorks.push(new LingeringClose(sk));
      sk.unlock();
      return;
    }
  }
  adjudgeToDeath(sk);
}

/** Data that nobody has read; a FIN is none. */
function hasUnread(sk: TcpSock): boolean {
  const { last } = sk.receiveQueue;
  return last !== null && last.seq + last.len > sk.copiedSeq;
}

/** How the peer is told: a reset if data is lost, else a FIN. */
function leave(sk: TcpSock, unread: boolean): void {
  if (unread) {
    tcpSetState(sk, CLOSE);
    tcpSendActiveReset(sk);
  } else if (sk.opts.linger && sk.opts.lingertime === 0) {
    tcpDisconnect(sk);
  } else {
    tcpCloseState(sk);
  }
}

/** `sk_stream_closing`. */
function closing(sk: TcpSock): boolean {
  return sk.state === FIN_WAIT1 || sk.state === CLOSING || sk.state === LAST_ACK;
}

/** The end of `__tcp_close`: nobody has the socket any more, the protocol may still need it. */
function adjudgeToDeath(sk: TcpSock): void {
  const { state } = sk;
  sk.dead = true;
  sk.file = null;
  sk.unlock();
  if (state !== CLOSE && sk.state === CLOSE) return; // the backlog has ended it, and destroyed it
  if (sk.state === FIN_WAIT2) {
    const { linger2 } = sk.tcpOpts;
    if (linger2 < 0) {
      tcpSetState(sk, CLOSE);
      tcpSendActiveReset(sk);
    } else {
      tcpTimeWait(sk, FIN_WAIT2, (linger2 || FIN_TIMEOUT_SEC) * 1e9);
      return;
    }
  }
  if (sk.state === CLOSE) tcpDestroySock(sk);
  else if (sk.retransmit === null) sk.checkProbe();
}

/** `sk_stream_wait_close`: the call that dropped the last descriptor waits, non-blocking or not (C-25). */
class LingeringClose extends SockCall {
  readonly #sk: TcpSock;
  #slept = false;

  constructor(sk: TcpSock) {
    super();
    this.#sk = sk;
    this.deadlineNs = sk.deadline(sk.opts.lingertime);
  }

  protected override section(task: Task): number {
    const sk = this.#sk;
    task.finishWait();
    const over = this.#slept && (task.timedOut || task.signalPending);
    if (closing(sk) && !over) {
      this.#slept = true;
      task.wait.mask = 0;
      sk.wq.add(task.wait);
      return task.sleep(this, TaskState.INTERRUPTIBLE, this.deadlineNs);
    }
    sk.lock();
    adjudgeToDeath(sk);
    return 0;
  }

  protected override finish(_task: Task, result: number): number {
    return result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#slept];
  }
}

/**
 * `inet_shutdown`.
 *
 * @errno EINVAL - `how` is none of SHUT_*. ENOTCONN - not connected; it takes effect all the same.
 * @behaviour C-08, C-15, C-16, C-20, C-21, C-43
 */
export function tcpShutdown(sk: TcpSock, how: number): number {
  const mode = how + 1;
  if ((mode & ~SHUTDOWN_MASK) !== 0 || mode === 0) return -Errno.EINVAL;
  sk.lock();
  if (sk.socketState === SocketState.CONNECTING) {
    const under = sk.state === SYN_SENT || sk.state === SYN_RECV || sk.state === CLOSE;
    sk.socketState = under ? SocketState.DISCONNECTING : SocketState.CONNECTED;
  }
  let err = 0;
  if (sk.state === SYN_SENT || (sk.state === LISTEN && (mode & RCV_SHUTDOWN) !== 0)) {
    tcpDisconnect(sk);
    sk.socketState = SocketState.UNCONNECTED;
  } else if (sk.state !== LISTEN) {
    if (sk.state === CLOSE) err = -Errno.ENOTCONN;
    sk.shutdown |= mode;
    const open = sk.state === ESTABLISHED || sk.state === CLOSE_WAIT;
    if ((mode & SEND_SHUTDOWN) !== 0 && open) tcpCloseState(sk);
  }
  sk.stateChange();
  sk.unlock();
  return err;
}
