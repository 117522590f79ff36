/**
 * The receive window: how much of the buffer is promised to the peer, and how the buffer grows.
 *
 * Counterpart: `net/ipv4/tcp_input.c` (`tcp_grow_window`, `tcp_measure_rcv_mss`, `tcp_clamp_window`, `tcp_try_rmem_schedule`,
 * `tcp_rcv_space_adjust`), `net/ipv4/tcp_output.c` (`tcp_select_initial_window`, `__tcp_select_window`).
 * The buffer is counted in memory, the window in bytes. What part of the memory is data (`scaling_ratio`, in 256ths) is half at
 * first, and from the first large segment on what that one had.
 * Linux makes the buffer larger when a round trip brought more than the one before, and measures round trips in microseconds. In
 * the model the time between two calls may be zero: one that filled a window within a call counts as over by the next call.
 */
import { SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK } from "../sock.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** `tcp_rmem[2]`, `tcp_wmem[2]` of the reference machine. */
export const RMEM_MAX = 33_554_432;
const WMEM_MAX = 4_194_304;
const MAX_WSCALE = 14;
const WINDOW16_MAX = 65_535;
/** `SOCK_MIN_RCVBUF` / 2. */
const CLAMP_MIN = 1152;
/** The timestamp option. */
const TIMESTAMP_BYTES = 12;
/** What a segment of this size or more says about the sender's other segments. */
const TELLING_BYTES = 128;
/** Buffers that a connection asks for at once (`TCP_INIT_CWND`), and what one costs. */
const INIT_CWND = 10;
const PER_BUFFER_BYTES = 256;
/** Around the data of one: the timestamp option, `MAX_TCP_HEADER`, `skb_shared_info`. */
const OVERHEAD_BYTES = 12 + 320 + 320;
/** Whoever sends no segment of the first size, and leaves less than the second unread, is not measured. */
const LARGE_BYTES = 536;
const MUCH_BYTES = 16_384;
/** Memory is reserved in pages. */
const PAGE_BYTES = 4096;
/** Timestamps count milliseconds. */
const TIMESTAMP_NS = 1e6;

/** `tcp_win_from_space`. */
function winFromSpace(sk: TcpSock, space: number): number {
  return Math.floor((space * sk.scalingRatio) / 256);
}

/** `tcp_space_from_win`. */
export function tcpSpaceFromWin(sk: TcpSock, window: number): number {
  return Math.floor((window * 256) / sk.scalingRatio);
}

/** `tcp_full_space`. */
function fullSpace(sk: TcpSock): number {
  return winFromSpace(sk, sk.rcvbuf);
}

/** `tcp_space`. */
function freeSpace(sk: TcpSock): number {
  return winFromSpace(sk, sk.rcvbuf - sk.backlogBytes - sk.rmemAlloc);
}

function rcvbufIsSet(sk: TcpSock): boolean {
  return (sk.opts.userlocks & SOCK_RCVBUF_LOCK) !== 0;
}

/** What the window field of a SYN can hold, which counts in bytes. */
export function tcpSynWindow(window: number): number {
  return Math.min(window, WINDOW16_MAX);
}

/**
 * `tcp_select_initial_window`: the first window. Also decides in which units later ones are announced.
 *
 * @param owner - whose buffer and clamp it is; the listener for a connection that begins.
 */
export function tcpSelectInitialWindow(owner: TcpSock, mss: number): { window: number; clamp: number; wscale: number } {
  const full = fullSpace(owner);
  let clamp = owner.windowClamp;
  if (rcvbufIsSet(owner) && (clamp > full || clamp === 0)) clamp = full;
  if (clamp === 0) clamp = WINDOW16_MAX << MAX_WSCALE;
  let space = Math.min(clamp, full);
  if (space > mss) space -= space % mss;
  const largest = Math.min(Math.max(space, RMEM_MAX), clamp);
  const wscale = Math.min(Math.max(31 - Math.clz32(largest) - 15, 0), MAX_WSCALE);
  return { window: space, clamp: Math.min(WINDOW16_MAX << wscale, clamp), wscale };
}

/** The same for a socket of one's own. @param timestamps - the peer's SYN has come and had them. */
export function tcpStartWindow(sk: TcpSock, owner: TcpSock, timestamps: boolean): void {
  const { window, clamp, wscale } = tcpSelectInitialWindow(owner, sk.mss + (timestamps ? 0 : TIMESTAMP_BYTES));
  sk.rcvWnd = window;
  sk.rcvSsthresh = window;
  sk.windowClamp = clamp;
  sk.rcvWscale = wscale;
}

/** `tcp_init_buffer_space`, when a connection is established. */
export function tcpInitBufferSpace(sk: TcpSock): void {
  tcpSndbufExpand(sk);
  const most = fullSpace(sk);
  const { mss } = sk;
  if (sk.windowClamp >= most) sk.windowClamp = most;
  if (sk.windowClamp > 2 * mss && sk.windowClamp + mss > most) sk.windowClamp = Math.max(2 * mss, most - mss);
  sk.rcvSsthresh = Math.min(sk.rcvSsthresh, sk.windowClamp);
}

/** `tcp_sndbuf_expand`: room for the segments that may be under way, unless the program has set a size. */
export function tcpSndbufExpand(sk: TcpSock): void {
  if ((sk.opts.userlocks & SOCK_SNDBUF_LOCK) !== 0) return;
  const factor = sk.tcpOpts.congestion === "bbr" ? 3 : 2;
  const perMss = 2 ** Math.ceil(Math.log2(sk.mss + OVERHEAD_BYTES)) + PER_BUFFER_BYTES;
  const segments = Math.max(INIT_CWND, sk.congestion === null ? 0 : sk.congestion.cwnd);
  sk.sndbuf = Math.max(sk.sndbuf, Math.min(factor * segments * perMss, WMEM_MAX));
}

/** `tcp_set_window_clamp`; a clamp that grows lets `rcv_ssthresh` follow up to what has been announced. */
export function tcpSetWindowClamp(sk: TcpSock, value: number): void {
  const before = sk.windowClamp;
  const clamp = Math.max(CLAMP_MIN, value);
  sk.windowClamp = clamp;
  if (clamp < before) sk.rcvSsthresh = Math.min(sk.rcvSsthresh, clamp);
  else if (clamp > before) sk.rcvSsthresh = Math.max(sk.rcvSsthresh, Math.min(sk.rcvWnd, clamp));
}

/** The part of `tcp_measure_rcv_mss` that is about memory: a larger segment than before tells how much of it is data. */
export function tcpMeasureRatio(sk: TcpSock, bytes: number, truesize: number): void {
  const ratio = Math.max(Math.floor((bytes * 256) / truesize), 1);
  if (ratio === sk.scalingRatio) return;
  sk.scalingRatio = ratio;
  tcpSetWindowClamp(sk, fullSpace(sk));
  const { space } = sk;
  if (space !== null) space.bytes = Math.min(space.bytes, sk.windowClamp);
}

/** `tcp_grow_window`: a segment of `bytes` came in good order. */
export function tcpGrowWindow(sk: TcpSock, bytes: number): void {
  if (bytes < TELLING_BYTES) return;
  const room = Math.min(sk.windowClamp, freeSpace(sk)) - sk.rcvSsthresh;
  if (room <= 0) return;
  sk.rcvSsthresh += Math.min(room, Math.max(2 * sk.mss, 2 * bytes));
  sk.ack.quick |= 1;
}

/**
 * `__tcp_select_window`: what could be announced now; nothing when that is too little to be worth it. With little room left there
 * are no quick acknowledgments any more.
 */
export function tcpSelectWindow(sk: TcpSock): number {
  const allowed = fullSpace(sk);
  const full = Math.min(sk.windowClamp, allowed);
  const mss = Math.min(sk.rcvMss, full);
  if (mss <= 0) return 0;
  const unit = 1 << sk.rcvWscale;
  let free = freeSpace(sk);
  if (free < full >> 1) {
    sk.ack.quick = 0;
    free = Math.floor(free / unit) * unit;
    if (free < allowed >> 4 || free < mss) return 0;
  }
  free = Math.min(free, sk.rcvSsthresh);
  if (sk.rcvWscale > 0) return Math.ceil(free / unit) * unit;
  if (sk.rcvWnd <= free - mss || sk.rcvWnd > free) return free - (free % mss);
  return mss === full && free > sk.rcvWnd + (full >> 1) ? free : sk.rcvWnd;
}

/** `tcp_select_window`: what the next segment announces. A window once announced is taken back only for want of memory. */
export function tcpAnnounceWindow(sk: TcpSock): number {
  const current = sk.receiveWindow;
  if (sk.ack.nomem) sk.rcvWnd = 0;
  else {
    const unit = 1 << sk.rcvWscale;
    const window = tcpSelectWindow(sk);
    sk.rcvWnd = window < current ? Math.ceil(current / unit) * unit : window;
  }
  sk.rcvWup = sk.rcvNxt;
  const most = WINDOW16_MAX << sk.rcvWscale;
  return Math.min(sk.rcvWnd, most) & -(1 << sk.rcvWscale);
}

/** `tcp_can_ingest`: what comes may exceed the buffer, what is there may not. */
function canIngest(sk: TcpSock): boolean {
  return sk.rmemAlloc <= sk.rcvbuf;
}

/**
 * `tcp_try_rmem_schedule`, `tcp_clamp_window`: makes the buffer as large as what is in it already, unless its size is set.
 *
 * @param truesize - of the segment. One that fits into the last page that was reserved is not asked about (header prediction).
 * @returns whether it may join the queue.
 */
export function tcpTryRmemSchedule(sk: TcpSock, truesize: number): boolean {
  if (canIngest(sk) || truesize <= (PAGE_BYTES - (sk.rmemAlloc % PAGE_BYTES)) % PAGE_BYTES) return true;
  sk.ack.quick = 0;
  if (!rcvbufIsSet(sk) && sk.rcvbuf < RMEM_MAX) sk.rcvbuf = Math.min(sk.rmemAlloc, RMEM_MAX);
  if (sk.rmemAlloc > sk.rcvbuf) sk.rcvSsthresh = Math.min(sk.windowClamp, 2 * sk.mss);
  return canIngest(sk);
}

/** `rcvq_space`, `rcv_rtt_est`: how much a reader takes in a round trip. Connections that never see a large segment have none. */
export class ReceiveSpace {
  /** What one round trip brought so far at most. */
  bytes: number;
  /** Where the present measurement began, and when. */
  seq: number;
  fromNs: number;
  /** Smallest round trip, ns; 0 before the first sample, 1 for one that took no time. */
  rttNs = 0;
  /** A window is full when the peer has come to this sequence number. */
  rttSeq = -1;
  rttFromNs = 0;

  constructor(sk: TcpSock) {
    this.bytes = Math.min(sk.rcvSsthresh, sk.rcvWnd, INIT_CWND * sk.mss);
    this.seq = sk.copiedSeq;
    this.fromNs = 0;
  }
}

/** `tcp_rcv_rtt_measure_ts`, `tcp_rcv_rtt_measure`: a segment of `bytes` has come, and `rcvNxt` is behind it. */
export function tcpRcvRttMeasure(sk: TcpSock, bytes: number): void {
  if (sk.space === null) {
    if (bytes < LARGE_BYTES && sk.unread < MUCH_BYTES) return;
    sk.space = new ReceiveSpace(sk);
  }
  const { space } = sk;
  const { nowNs } = sk.net.kernel.clock;
  if (space.rttSeq < 0) space.rttNs = TIMESTAMP_NS;
  else if (sk.rcvNxt < space.rttSeq) return;
  else space.rttNs = Math.min(space.rttNs, Math.max(nowNs - space.rttFromNs, 1));
  space.rttSeq = sk.rcvNxt + sk.rcvWnd;
  space.rttFromNs = nowNs;
}

/**
 * `tcp_rcv_space_adjust`: bytes have been copied to the program.
 *
 * @param first - no others before them in this call.
 */
export function tcpRcvSpaceAdjust(sk: TcpSock, first: boolean): void {
  const { space } = sk;
  if (space === null || space.rttNs === 0) return;
  const { nowNs } = sk.net.kernel.clock;
  const elapsed = nowNs - space.fromNs;
  if (elapsed < space.rttNs && !(first && space.rttNs === 1)) return;
  const copied = sk.copiedSeq - space.seq - sk.unread;
  if (copied > space.bytes) rcvbufGrow(sk, space, copied);
  space.seq = sk.copiedSeq;
  space.fromNs = nowNs;
}

/** `tcp_rcvbuf_grow`. */
function rcvbufGrow(sk: TcpSock, space: ReceiveSpace, copied: number): void {
  const before = space.bytes;
  space.bytes = copied;
  if (rcvbufIsSet(sk)) return;
  let window = copied * 2;
  window += Math.floor((window * (copied - before)) / before) * 2;
  const early = sk.outOfOrder?.at(-1);
  if (early !== undefined) window += early.endSeq - sk.rcvNxt;
  tcpWidenRcvbuf(sk, Math.min(tcpSpaceFromWin(sk, window), RMEM_MAX));
}

/** A larger receive buffer, and the window's limit with it. */
export function tcpWidenRcvbuf(sk: TcpSock, bytes: number): void {
  if (bytes <= sk.rcvbuf) return;
  sk.rcvbuf = bytes;
  sk.windowClamp = fullSpace(sk);
}
