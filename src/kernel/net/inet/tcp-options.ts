/**
 * Options of level IPPROTO_TCP.
 *
 * Counterpart: `net/ipv4/tcp.c` (`do_tcp_setsockopt`, `do_tcp_getsockopt`).
 * NODELAY, CORK, DEFER_ACCEPT, LINGER2, NOTSENT_LOWAT and SYNCNT take effect; the times of keepalive and the user timeout do
 * between machines, where alone somebody could notice. The others are kept and read back.
 */
import { Unmodelled } from "../../lib/assert.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import { SkState } from "../sock.ts";
import { fetchOption, storeOption } from "../sockopt.ts";
import { tcpCleanupRbuf } from "./tcp-output.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { tcpSetWindowClamp } from "./tcp-window.ts";
import { Nagle, tcpCurrentMss, tcpPushPendingFrames } from "./tcp-write-xmit.ts";

/** `include/uapi/linux/tcp.h`. */
export const TcpOpt = {
  NODELAY: 1,
  MAXSEG: 2,
  CORK: 3,
  KEEPIDLE: 4,
  KEEPINTVL: 5,
  KEEPCNT: 6,
  SYNCNT: 7,
  LINGER2: 8,
  DEFER_ACCEPT: 9,
  WINDOW_CLAMP: 10,
  INFO: 11,
  QUICKACK: 12,
  CONGESTION: 13,
  THIN_LINEAR_TIMEOUTS: 16,
  THIN_DUPACK: 17,
  USER_TIMEOUT: 18,
  FASTOPEN: 23,
  NOTSENT_LOWAT: 25,
  FASTOPEN_CONNECT: 30,
  FASTOPEN_NO_COOKIE: 34,
  INQ: 36,
  TX_DELAY: 37,
} as const;

const LAST_OPTION = 46;
const MAX_KEEPIDLE = 32_767;
const MAX_KEEPCNT = 127;
const MAX_SYNCNT = 127;
const MIN_MSS = 88;
const MSS_DEFAULT = 536;
const MAX_WINDOW = 32_767;
const CA_NAME_MAX = 16;
/** How much of TCP_INFO of a listening socket the model knows. */
const INFO_LISTEN_BYTES = 32;
/** `tcp_available_congestion_control` of the reference machine. */
const CONGESTION_CONTROLS: readonly string[] = ["cubic", "bbr", "reno"];

/** What setsockopt can change: shared by all sockets until the first change. */
export class TcpOptions {
  nodelay = false;
  cork = false;
  maxseg = 0;
  keepidle = 7200;
  keepintvl = 75;
  keepcnt = 9;
  syncnt = 0;
  /** Seconds; 0 for the default, -1 for none. */
  linger2 = 0;
  /** Retransmissions of the SYN-ACK for which a connection without data is held back; 0 for none. */
  deferAccept = 0;
  congestion = "cubic";
  userTimeout = 0;
  /** `fastopenq.max_qlen`: the limit of a listener's fast openings, none of which is ever made here. */
  fastopen = 0;
  thinLinear = false;
  fastopenNoCookie = false;
  /** Each receive tells how much is left. */
  inq = false;
  txDelay = 0;
  /** Bytes; all bits set for no limit. */
  notsentLowat = 0xffff_ffff;

  clone(): TcpOptions {
    return Object.assign(new TcpOptions(), this);
  }
}

export const DEFAULT_TCP_OPTIONS: TcpOptions = Object.freeze(new TcpOptions());

/** `secs_to_retrans`: how many retransmissions, 1 s apart at first and doubling, a time covers. */
function secondsToRetransmissions(seconds: number): number {
  let count = 0;
  let timeout = 1;
  for (let period = 0; seconds > period && count < 255; count += 1) {
    period += timeout;
    timeout = Math.min(timeout * 2, 120);
  }
  return count;
}

/** `retrans_to_secs`. */
function retransmissionsToSeconds(count: number): number {
  let period = 0;
  for (let i = 0, timeout = 1; i < count; i += 1, timeout = Math.min(timeout * 2, 120)) period += timeout;
  return period;
}

/**
 * `do_tcp_setsockopt`.
 *
 * @errno EINVAL - too short, or out of range. EFAULT - the pointer. ENOPROTOOPT - unknown. ENOENT - no such congestion
 * control.
 * @behaviour C-35, C-36, C-41
 */
export function tcpSetsockopt(task: Task, sk: TcpSock, option: number, addr: number, length: number): number {
  if (option === TcpOpt.CONGESTION) return setCongestion(task, sk, addr, length);
  if (length < 4) return -Errno.EINVAL;
  const view = fetchOption(task, addr, 4);
  if (view === null) return -Errno.EFAULT;
  const value = view.getInt32(0, true);
  const opts = sk.ownTcpOptions();
  switch (option) {
    case TcpOpt.NODELAY:
      opts.nodelay = value !== 0;
      if (value !== 0) sk.locked(() => tcpPushPendingFrames(sk, Nagle.PUSH));
      return 0;
    case TcpOpt.CORK:
      opts.cork = value !== 0;
      if (value === 0) sk.locked(() => tcpPushPendingFrames(sk, opts.nodelay ? Nagle.PUSH : 0));
      return 0;
    case TcpOpt.MAXSEG:
      if (value !== 0 && (value < MIN_MSS || value > MAX_WINDOW)) return -Errno.EINVAL;
      opts.maxseg = value;
      return 0;
    case TcpOpt.KEEPIDLE:
      if (value < 1 || value > MAX_KEEPIDLE) return -Errno.EINVAL;
      opts.keepidle = value;
      if (sk.opts.keepalive) sk.keepaliveChanged();
      return 0;
    case TcpOpt.KEEPINTVL:
      if (value < 1 || value > MAX_KEEPIDLE) return -Errno.EINVAL;
      opts.keepintvl = value;
      return 0;
    case TcpOpt.KEEPCNT:
      if (value < 1 || value > MAX_KEEPCNT) return -Errno.EINVAL;
      opts.keepcnt = value;
      return 0;
    case TcpOpt.SYNCNT:
      if (value < 1 || value > MAX_SYNCNT) return -Errno.EINVAL;
      opts.syncnt = value;
      return 0;
    case TcpOpt.LINGER2:
      opts.linger2 = value < 0 ? -1 : value > 120 ? -1 : value;
      return 0;
    case TcpOpt.DEFER_ACCEPT:
      opts.deferAccept = secondsToRetransmissions(value);
      return 0;
    case TcpOpt.WINDOW_CLAMP:
      if (value === 0 && sk.state !== SkState.CLOSE) return -Errno.EINVAL;
      if (value === 0) sk.windowClamp = 0;
      else tcpSetWindowClamp(sk, value);
      return 0;
    case TcpOpt.QUICKACK:
      setQuickack(sk, value);
      return 0;
    case TcpOpt.USER_TIMEOUT:
      if (value < 0) return -Errno.EINVAL;
      opts.userTimeout = value;
      return 0;
    case TcpOpt.NOTSENT_LOWAT:
      opts.notsentLowat = value >>> 0;
      sk.writeSpace();
      return 0;
    case TcpOpt.FASTOPEN: {
      if (value < 0 || !closedOrListening(sk)) return -Errno.EINVAL;
      opts.fastopen = Math.min(value, sk.net.kernel.sysctl.get("net.core.somaxconn"));
      return 0;
    }
    case TcpOpt.TX_DELAY:
      if (value < 0) return -Errno.EINVAL;
      if (value > 0 && sk.state !== SkState.CLOSE) throw new Unmodelled("TCP_TX_DELAY of a connection");
      opts.txDelay = value;
      return 0;
    case TcpOpt.THIN_LINEAR_TIMEOUTS:
    case TcpOpt.THIN_DUPACK:
    case TcpOpt.FASTOPEN_CONNECT:
    case TcpOpt.FASTOPEN_NO_COOKIE:
    case TcpOpt.INQ:
      return setSwitch(sk, opts, option, value);
    default:
      if (option < 1 || option > LAST_OPTION) return -Errno.ENOPROTOOPT;
      throw new Unmodelled(`setsockopt(IPPROTO_TCP, ${option})`);
  }
}

function closedOrListening({ state }: TcpSock): boolean {
  return state === SkState.CLOSE || state === SkState.LISTEN;
}

/** Options that are on or off. THIN_DUPACK is accepted and forgotten. */
function setSwitch(sk: TcpSock, opts: TcpOptions, option: number, value: number): number {
  if (value < 0 || value > 1) return -Errno.EINVAL;
  const on = value === 1;
  switch (option) {
    case TcpOpt.THIN_LINEAR_TIMEOUTS:
      opts.thinLinear = on;
      return 0;
    case TcpOpt.FASTOPEN_CONNECT:
      if (sk.state !== SkState.CLOSE) return -Errno.EINVAL;
      if (on) throw new Unmodelled("TCP_FASTOPEN_CONNECT");
      return 0;
    case TcpOpt.FASTOPEN_NO_COOKIE:
      if (!closedOrListening(sk)) return -Errno.EINVAL;
      opts.fastopenNoCookie = on;
      return 0;
    case TcpOpt.INQ:
      opts.inq = on;
      return 0;
    default:
      return 0;
  }
}

/** `TCP_MAXSEG`: of a connection what it uses, before that what the program wants, or the least that everybody takes. */
function maxseg(sk: TcpSock): number {
  if (closedOrListening(sk)) return sk.tcpOpts.maxseg || MSS_DEFAULT;
  return tcpCurrentMss(sk);
}

/** `__tcp_sock_set_quickack`: for once, unless the value is even. */
function setQuickack(sk: TcpSock, value: number): void {
  const { ack, state } = sk;
  ack.pingpong = (value & 1) === 0;
  if (ack.pingpong || !ack.pending) return;
  if (state !== SkState.ESTABLISHED && state !== SkState.CLOSE_WAIT) return;
  ack.pushed = Math.max(ack.pushed, 1);
  sk.locked(() => tcpCleanupRbuf(sk, 1));
}

function setCongestion(task: Task, sk: TcpSock, addr: number, length: number): number {
  if (length < 1) return -Errno.EINVAL;
  const size = Math.min(length, CA_NAME_MAX - 1);
  const view = fetchOption(task, addr, size);
  if (view === null) return -Errno.EFAULT;
  let name = "";
  for (let i = 0; i < size && view.getUint8(i) !== 0; i += 1) name += String.fromCharCode(view.getUint8(i));
  if (!CONGESTION_CONTROLS.includes(name)) return -Errno.ENOENT;
  sk.ownTcpOptions().congestion = name;
  return 0;
}

/**
 * `do_tcp_getsockopt`.
 *
 * @errno EFAULT - a pointer. EINVAL - a negative length. ENOPROTOOPT - unknown.
 */
export function tcpGetsockopt(task: Task, sk: TcpSock, option: number, addr: number, lengthAddr: number): number {
  const view = fetchOption(task, lengthAddr, 4);
  if (view === null) return -Errno.EFAULT;
  const room = view.getInt32(0, true);
  if (room < 0) return -Errno.EINVAL;
  if (option === TcpOpt.CONGESTION) {
    const bytes = new Uint8Array(CA_NAME_MAX);
    for (const [index, char] of [...sk.tcpOpts.congestion].entries()) bytes[index] = char.charCodeAt(0);
    return storeOption(task, addr, lengthAddr, bytes.subarray(0, Math.min(room, CA_NAME_MAX)));
  }
  if (option === TcpOpt.INFO) return storeOption(task, addr, lengthAddr, tcpInfo(sk, room));
  const value = tcpOptionValue(sk, option);
  if (value === null) return -Errno.ENOPROTOOPT;
  const word = new DataView(new ArrayBuffer(4));
  word.setInt32(0, value, true);
  return storeOption(task, addr, lengthAddr, new Uint8Array(word.buffer).subarray(0, Math.min(room, 4)));
}

/** `tcp_get_info`: the state, and of a listening socket the length of its queue and the limit. */
function tcpInfo(sk: TcpSock, room: number): Uint8Array {
  const listening = sk.state === SkState.LISTEN;
  if (room > (listening ? INFO_LISTEN_BYTES : 1)) throw new Unmodelled("TCP_INFO beyond the state");
  const view = new DataView(new ArrayBuffer(INFO_LISTEN_BYTES));
  view.setUint8(0, sk.state);
  if (listening) {
    view.setUint32(24, sk.listenState?.accepted.length ?? 0, true);
    view.setUint32(28, sk.maxAckBacklog, true);
  }
  return new Uint8Array(view.buffer).subarray(0, room);
}

function tcpOptionValue(sk: TcpSock, option: number): number | null {
  const { tcpOpts: opts } = sk;
  switch (option) {
    case TcpOpt.NODELAY:
      return Number(opts.nodelay);
    case TcpOpt.CORK:
      return Number(opts.cork);
    case TcpOpt.KEEPIDLE:
      return opts.keepidle;
    case TcpOpt.KEEPINTVL:
      return opts.keepintvl;
    case TcpOpt.KEEPCNT:
      return opts.keepcnt;
    case TcpOpt.SYNCNT:
      return opts.syncnt === 0 ? 6 : opts.syncnt;
    case TcpOpt.LINGER2:
      return opts.linger2 === 0 ? 60 : opts.linger2;
    case TcpOpt.DEFER_ACCEPT:
      return retransmissionsToSeconds(opts.deferAccept);
    case TcpOpt.QUICKACK:
      return Number(!sk.ack.pingpong);
    case TcpOpt.USER_TIMEOUT:
      return opts.userTimeout;
    case TcpOpt.NOTSENT_LOWAT:
      return opts.notsentLowat | 0;
    case TcpOpt.MAXSEG:
      return maxseg(sk);
    case TcpOpt.WINDOW_CLAMP:
      return sk.windowClamp;
    case TcpOpt.FASTOPEN:
      return opts.fastopen;
    case TcpOpt.THIN_LINEAR_TIMEOUTS:
      return Number(opts.thinLinear);
    case TcpOpt.FASTOPEN_NO_COOKIE:
      return Number(opts.fastopenNoCookie);
    case TcpOpt.TX_DELAY:
      return opts.txDelay;
    case TcpOpt.THIN_DUPACK:
    case TcpOpt.FASTOPEN_CONNECT:
      return 0;
    case TcpOpt.INQ:
      return Number(opts.inq);
    default:
      if (option < 1 || option > LAST_OPTION) return null;
      throw new Unmodelled(`getsockopt(IPPROTO_TCP, ${option})`);
  }
}
