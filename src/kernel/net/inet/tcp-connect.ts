/**
 * connect.
 *
 * Counterpart: `net/ipv4/af_inet.c` (`inet_stream_connect`), `net/ipv4/tcp_ipv4.c` (`tcp_v4_connect`),
 * `net/ipv4/tcp_output.c` (`tcp_connect`).
 */
import { type Task, TaskState } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { Af } from "../../uapi/socket.ts";
import { interruptedErrno, SkState, SockCall } from "../sock.ts";
import { sockaddrFamily } from "./addr.ts";
import { tcpDisconnect } from "./tcp-done.ts";
import { tcpSendSyn } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { SocketState } from "./tcp-states.ts";
import { TcpTimer } from "./tcp-timer.ts";
import { TimeWait } from "./tcp-timewait.ts";

const { UNCONNECTED, CONNECTING, CONNECTED } = SocketState;
const { SYN_SENT, SYN_RECV, CLOSE } = SkState;

/**
 * `inet_stream_connect`.
 *
 * @errno EINVAL - the address. EISCONN - connected, or listening. EALREADY - a connect is under way. EINPROGRESS - one
 * has begun. ECONNREFUSED, ETIMEDOUT - its end. ECONNABORTED - its end, which somebody else has been told.
 * EAFNOSUPPORT, ENETUNREACH - as `route`. EADDRNOTAVAIL - no port is left.
 * @behaviour C-04, C-05, C-06, C-07, C-45
 */
export function inetStreamConnect(sk: TcpSock, task: Task, addr: Uint8Array, nonblock: boolean): number {
  sk.lock();
  let begun: number;
  try {
    begun = begin(sk, addr);
  } catch (refused) {
    sk.unlock(); // something is not modelled: the socket can still be closed
    throw refused;
  }
  if (begun !== -Errno.EINPROGRESS && begun !== -Errno.EALREADY) {
    sk.unlock();
    return begun;
  }
  if (!connecting(sk)) return end(sk);
  if (nonblock || sk.opts.sndtimeo === 0) {
    sk.unlock();
    return begun;
  }
  const call = new TcpConnect(sk, begun);
  call.deadlineNs = sk.deadline(sk.opts.sndtimeo);
  return waitForConnect(sk, task, call);
}

function connecting(sk: TcpSock): boolean {
  return sk.state === SYN_SENT || sk.state === SYN_RECV;
}

/** What the present state says, and the SYN. @returns EINPROGRESS or EALREADY to go on, else the answer. */
function begin(sk: TcpSock, addr: Uint8Array): number {
  const family = sockaddrFamily(addr);
  if (family === -1) return -Errno.EINVAL;
  if (family === Af.UNSPEC) {
    tcpDisconnect(sk);
    sk.socketState = UNCONNECTED;
    return 0;
  }
  switch (sk.socketState) {
    case CONNECTED:
      return -Errno.EISCONN;
    case CONNECTING:
      return -Errno.EALREADY;
    case UNCONNECTED:
      break;
    default:
      return -Errno.EINVAL;
  }
  if (sk.state !== CLOSE) return -Errno.EISCONN;
  const err = tcpConnect(sk, addr);
  if (err < 0) return err;
  sk.socketState = CONNECTING;
  return -Errno.EINPROGRESS;
}

/** `tcp_v4_connect`. */
function tcpConnect(sk: TcpSock, addr: Uint8Array): number {
  const endpoint = sk.connectRoute(addr);
  if (typeof endpoint === "number") return endpoint;
  const { net } = sk;
  const source = sk.connectSource(endpoint.addr);
  const usable = (port: number): boolean => {
    const other = net.tcp.lookup(source, port, endpoint.addr, endpoint.port);
    return other === null || other instanceof TimeWait;
  };
  const port = sk.num === 0 ? net.tcp.ports.findForConnect(usable) : usable(sk.num) ? sk.num : 0;
  if (port === 0) return -Errno.EADDRNOTAVAIL;
  sk.rcvSaddr = source;
  if (sk.num === 0) {
    sk.num = port;
    sk.sport = port;
    net.tcp.ports.add(port, sk, false);
  }
  sk.daddr = endpoint.addr;
  sk.dport = endpoint.port;
  const old = net.tcp.lookup(source, port, endpoint.addr, endpoint.port);
  if (old instanceof TimeWait) old.kill(); // `tcp_twsk_unique`: the new connection takes its place
  sk.state = SYN_SENT;
  sk.err = 0; // `tcp_connect_init`: what an AF_UNSPEC connect left is forgotten
  sk.takeRoute();
  if (sk.retransmit !== null) sk.writeSeq = net.tcp.nextIsn();
  sk.sndUna = sk.writeSeq;
  sk.sndNxt = sk.sndUna + 1;
  sk.writeSeq = sk.sndNxt;
  sk.pushedSeq = sk.writeSeq;
  sk.rcvNxt = 0;
  sk.rcvWup = 0;
  sk.copiedSeq = 0;
  net.tcp.hash(sk);
  sk.timer ??= new TcpTimer(sk);
  sk.timer.startSyn();
  tcpSendSyn(sk);
  return 0;
}

/** What connect says once the handshake is over, either way; lets go of the socket. */
function end(sk: TcpSock): number {
  let err = 0;
  if (sk.state === CLOSE) {
    err = sk.takeError() || -Errno.ECONNABORTED;
    sk.socketState = UNCONNECTED;
    tcpDisconnect(sk);
  } else sk.socketState = CONNECTED;
  sk.unlock();
  return err;
}

/** `inet_wait_for_connect`: on a loopback wire the answer is in the backlog already. */
function waitForConnect(sk: TcpSock, task: Task, call: TcpConnect): number {
  sk.flushBacklog();
  if (!connecting(sk)) return end(sk);
  if (task.signalPending || (task.call === call && task.timedOut)) {
    const err = task.signalPending ? interruptedErrno(call.deadlineNs) : call.begun;
    sk.unlock();
    return err;
  }
  task.wait.mask = 0;
  sk.wq.add(task.wait);
  const blocked = task.sleep(call, TaskState.INTERRUPTIBLE, call.deadlineNs);
  sk.unlock();
  return blocked;
}

class TcpConnect extends SockCall {
  readonly #sk: TcpSock;
  readonly #disconnects: number;
  /** EINPROGRESS or EALREADY: what it says when the time is over. */
  readonly begun: number;

  constructor(sk: TcpSock, begun: number) {
    super();
    this.#sk = sk;
    this.begun = begun;
    this.#disconnects = sk.disconnects;
  }

  protected override section(task: Task): number {
    const sk = this.#sk;
    task.finishWait();
    if (sk.disconnects !== this.#disconnects) return -Errno.EPIPE;
    sk.lock();
    return waitForConnect(sk, task, this);
  }

  protected override finish(_task: Task, result: number): number {
    return result;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#sk, this.#disconnects];
  }
}
