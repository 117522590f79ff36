/**
 * A datagram that is put together from several sends: MSG_MORE and UDP_CORK.
 *
 * Counterpart: `net/ipv4/udp.c` (`udp_push_pending_frames`, `udp_flush_pending_frames`), `ip_append_data` of
 * `net/ipv4/ip_output.c`.
 * While it is open, where a send would go to does not matter; what fails throws all of it away.
 */
import type { IovIter } from "../../mm/iov-iter.ts";
import type { Task } from "../../sched/task.ts";
import { Errno } from "../../uapi/errno.ts";
import type { SkBuff } from "../skbuff.ts";
import type { Endpoint } from "./addr.ts";
import { udpSendSkb } from "./udp-datagram.ts";
import type { UdpSock } from "./udp-sock.ts";

/** `inet->cork` with the write queue. */
export class UdpCork {
  readonly to: Endpoint;
  readonly #parts: Uint8Array[] = [];
  length = 0;
  /** What the sender is charged for it. */
  truesize: number;

  /** @param first - already charged to the sender; its content is taken over. */
  constructor(to: Endpoint, first: SkBuff) {
    this.to = to;
    this.truesize = first.truesize;
    this.#add(first.slab.bytes.slice(first.offset, first.offset + first.len));
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.length;
  }

  /**
   * `ip_append_data` to what is open.
   *
   * @param most - longest payload of a datagram.
   * @errno EMSGSIZE - it would be longer. EFAULT - the buffer. In both cases the caller has to throw it away.
   */
  append(sk: UdpSock, task: Task, from: IovIter, most: number): number {
    const { count } = from;
    if (this.length + count > most) return -Errno.EMSGSIZE;
    const part = new Uint8Array(count);
    if (from.copyFrom(part, 0, count) < count) return task.process.mm.fault();
    this.truesize += count;
    sk.wmemAlloc += count;
    this.#add(part);
    return count;
  }

  /** Puts the whole of it into one buffer. */
  fill(skb: SkBuff): void {
    let at = skb.offset;
    for (const part of this.#parts) {
      skb.slab.bytes.set(part, at);
      at += part.length;
    }
  }
}

/** `udp_push_pending_frames`: what has been put together is sent. */
export function udpPushPendingFrames(sk: UdpSock): void {
  const { cork } = sk;
  if (cork === null) return;
  sk.cork = null;
  const skb = sk.net.skbs.alloc(cork.length);
  skb.truesize = cork.truesize;
  cork.fill(skb);
  udpSendSkb(sk, skb, cork.to);
}

/** `udp_flush_pending_frames`: it is thrown away. */
export function udpFlushPendingFrames(sk: UdpSock): void {
  const { cork } = sk;
  if (cork === null) return;
  sk.cork = null;
  sk.wmemAlloc -= cork.truesize;
  sk.writeSpace();
}
