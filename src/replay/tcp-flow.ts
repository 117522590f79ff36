/**
 * How a TCP connection inside the recording flows once much is on its way.
 *
 * Linux sizes both buffers as a connection is used (`tcp_rcv_space_adjust`, `tcp_sndbuf_expand`), and what a window update calls
 * for crosses while the reader goes on. So a recorded result may show that more has crossed, or that there was more room, than the
 * model's buffers give: they are made larger then.
 */
import type { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { File } from "../kernel/fs/file.ts";
import { tcpSendAck } from "../kernel/net/inet/tcp-output.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { tcpWidenRcvbuf } from "../kernel/net/inet/tcp-window.ts";
import { SOCK_RCVBUF_LOCK, SOCK_SNDBUF_LOCK } from "../kernel/net/sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { Task } from "../kernel/sched/task.ts";
import { Epoll } from "../kernel/uapi/epoll.ts";
import { CallRecord } from "../trace/pairs.ts";
import { peerOf } from "./relations.ts";

/** Bytes on their way from which on a connection may take less, or more, than the model's buffers say. */
const FILLING = 100_000;
/** `tcp_rmem[2]`. */
const RMEM_MAX = 6 * 1024 * 1024;
const SNDBUF_MAX = 64 * 1024 * 1024;
/** Calls whose window updates call for more. */
const READS: ReadonlySet<string> = new Set("read readv recvfrom recvmsg".split(" "));

/** The TCP socket behind a description; null for any other. */
export function tcpOf(file: File | null): TcpSock | null {
  return file instanceof SocketFile && file.sk instanceof TcpSock ? file.sk : null;
}

/** What poll would say of a file. A look of ours leaves no trace: a program's asks a full TCP socket for a wake-up (SOCK_NOSPACE). */
export function maskOf(file: File, task: Task): number {
  const sk = tcpOf(file);
  if (sk === null) return file.poll(task, null);
  const { nospace } = sk;
  const mask = file.poll(task, null);
  sk.nospace = nospace;
  return mask;
}

/** So much is on its way already, or would be with `more`, that a buffer may be full. */
export function isFilling(sk: TcpSock, file: File, more: number): boolean {
  const unread = tcpOf(peerOf(file))?.unread ?? 0;
  const pinned = (sk.opts.userlocks & SOCK_SNDBUF_LOCK) !== 0;
  return sk.writeSeq - sk.sndUna + unread + more >= (pinned ? sk.sndbuf >> 2 : FILLING);
}

/** Gives a socket room to send `bytes` more. */
export function expandSndbuf(sk: TcpSock, bytes: number): void {
  const needed = sk.wmemQueued + bytes * 4;
  if (sk.sndbuf < needed) sk.sndbuf = Math.min(needed, SNDBUF_MAX);
}

/** A receive buffer of that size, if it was smaller, and a window that makes use of it. */
function openWindow(sk: TcpSock, rcvbuf: number): void {
  tcpWidenRcvbuf(sk, rcvbuf);
  sk.rcvSsthresh = sk.windowClamp;
}

/** The kernel makes a receive buffer larger as the program reads: what was read at once fitted. */
export function widen(sk: TcpSock, bytes: number): void {
  if (sk.receiveWindow >= bytes || (sk.opts.userlocks & SOCK_RCVBUF_LOCK) !== 0) return;
  openWindow(sk, Math.min(bytes * 4, RMEM_MAX));
  tcpSendAck(sk);
}

/** A small segment waits for an acknowledgment (Nagle), or for more; the window has room for it. */
function isHeldBack({ sendHead, sndUna, sndWnd }: TcpSock): boolean {
  return sendHead !== null && sendHead.next === null && sendHead.seq + sendHead.len <= sndUna + sndWnd;
}

/**
 * Lets cross what the peer has written and could not send.
 *
 * @param bytes - that many must be there to be read.
 * @returns whether something has arrived.
 */
export function bringIn(file: File, bytes: number): boolean {
  const sk = tcpOf(file);
  const peer = tcpOf(peerOf(file));
  if (sk === null || peer === null || peer.writeSeq <= peer.sndNxt || sk.unread >= bytes) return false;
  if (isHeldBack(peer)) return false;
  const { unread, rcvbuf, windowClamp, rcvSsthresh } = sk;
  // a reader in the middle of its read has made room, whatever the buffer's size
  for (let before = -1; sk.unread < bytes && sk.unread > before; ) {
    before = sk.unread;
    openWindow(sk, sk.rmemAlloc + Math.max((bytes - before) * 4, 2 * sk.rcvMss, sk.rmemAlloc >> 3));
    tcpSendAck(sk);
  }
  if ((sk.opts.userlocks & SOCK_RCVBUF_LOCK) !== 0) Object.assign(sk, { rcvbuf, windowClamp, rcvSsthresh });
  return sk.unread > unread;
}

/** Makes a socket writable whose buffer is in use. @returns whether it is now, and was not. */
export function makeRoom(file: File): boolean {
  const sk = tcpOf(file);
  if (sk === null || sk.writeable() || !isFilling(sk, file, 0)) return false;
  sk.sndbuf = Math.min(Math.max(sk.sndbuf, sk.wmemQueued * 2), SNDBUF_MAX);
  sk.nospace = true;
  sk.checkSpace();
  return sk.writeable();
}

/**
 * Whether edges of a watched connection may come sooner or later than the model has them: so much is on its way that it crosses in
 * several bursts, or the latest came because a read had made room.
 */
export function isFlowing({ file, arrivedBy }: Epitem): boolean {
  const sk = tcpOf(file);
  const peerFile = peerOf(file);
  const peer = tcpOf(peerFile);
  if (sk === null || peer === null || peerFile === null) return false;
  if (arrivedBy instanceof CallRecord && READS.has(arrivedBy.name)) return true;
  return isFilling(peer, peerFile, 0) || isFilling(sk, file, 0);
}

/** One more edge of a connection that is ready anyway. @returns whether the item is to be reported now, and was not. */
export function edge(item: Epitem, events: number): boolean {
  const sk = tcpOf(item.file);
  if (sk === null || item.rdllink.list !== null) return false;
  if ((events & Epoll.IN) !== 0 && sk.unread > 0) sk.dataReady();
  else if ((events & Epoll.OUT) !== 0) sk.writeSpace();
  return item.rdllink.list !== null;
}
