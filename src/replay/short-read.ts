/**
 * A read of a stream that found less than the model has.
 *
 * What is sent crosses to the reader piece by piece, on another CPU. A read that overlaps with the sending finds what has
 * arrived so far; and what a window update of the reader calls forth comes after the read that has made room.
 */
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { Sock } from "../kernel/uapi/socket.ts";
import { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { CONSUMERS } from "./knowledge.ts";
import { firstFile } from "./records.ts";
import { peerOf } from "./relations.ts";
import { isFilling, tcpOf } from "./tcp-flow.ts";

/** Whether the part that the call did not find may have come later. */
export function fallsShort(call: ActiveCall): boolean {
  const { record, owner, value } = call;
  if (value === null || value <= 0 || (record.name !== "read" && record.name !== "recvfrom")) return false;
  const file = firstFile(owner, record);
  if (!(file instanceof SocketFile) || file.sk.type !== Sock.STREAM) return false;
  const peer = peerOf(file);
  const sender = tcpOf(peer);
  if (file.sk instanceof TcpSock && peer !== null && sender !== null && isFilling(sender, peer, 0)) {
    return file.sk.unread > value; // a long burst crosses in pieces
  }
  let bytes = 0;
  for (let skb = file.sk.receiveQueue.first; skb !== null; skb = skb.next) {
    bytes += skb.len - skb.consumed;
    // a piece that was there for certain has been read whole
    if (bytes > value && !isOnTheWay(record, skb.queuedBy)) return false;
  }
  return bytes > value;
}

/** Queued by a call that the read overlaps with, or by an earlier read of the same task, whose window update called for it. */
function isOnTheWay(read: CallRecord, queuedBy: object | null): boolean {
  if (!(queuedBy instanceof CallRecord)) return false;
  if (queuedBy.task === read.task) return CONSUMERS.has(queuedBy.name);
  return (queuedBy.exitLine ?? Number.POSITIVE_INFINITY) >= (read.entryLine ?? 0);
}
