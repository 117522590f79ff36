/**
 * Sockets that only messages in flight still hold.
 *
 * Counterpart: `net/unix/garbage.c`.
 * A socket sent through a socket is held by the message. When such messages form a circle that no descriptor reaches,
 * nobody can ever receive them: their queues are emptied. Linux finds the circles as strongly connected components of
 * "is held by a message in the queue of"; what it frees in the end is what a search from the reachable sockets leaves
 * out, which is what the model does. Linux collects from a worker, the model at the end of the call that closed a socket
 * (ND-21).
 */
import type { Scm } from "../scm.ts";
import type { SkBuffHead } from "../skbuff.ts";
import { SkState } from "../sock.ts";
import { SocketFile } from "../socket.ts";
import { UnixSock } from "./unix-sock.ts";

/** Messages in flight that carry AF_UNIX sockets: `unix_edge`, all of one message together. */
export class Inflight {
  readonly #receivers = new Map<Scm, UnixSock>();
  /** A socket was closed since the last collection: there may be a new circle. */
  wanted = false;

  /** `unix_add_edges`: a message with descriptors joins a queue. */
  add(scm: Scm, receiver: UnixSock): void {
    const { fp, user } = scm;
    if (fp === null) return;
    if (user !== null) user.unixInflight += fp.length;
    if (fp.some((file) => file instanceof SocketFile && file.sk instanceof UnixSock)) {
      this.#receivers.set(scm, receiver);
    }
    scm.inflight = true;
  }

  /** `unix_del_edges`: it is taken from its queue, or thrown away. */
  remove(scm: Scm): void {
    if (!scm.inflight) return;
    scm.inflight = false;
    if (scm.user !== null) scm.user.unixInflight -= scm.fp?.length ?? 0;
    this.#receivers.delete(scm);
  }

  /** Called by each release. */
  request(): void {
    if (this.#receivers.size > 0) this.wanted = true;
  }

  /** `__unix_gc`. The references that this drops are put down later, like those of any message. */
  collect(): void {
    this.wanted = false;
    const counts = this.#countReferences();
    const live = new Set<UnixSock>();
    for (const [sk, count] of counts) if ((sk.file?.refs ?? 0) > count) live.add(sk);
    for (let size = -1; size !== live.size; ) {
      size = live.size;
      for (const [scm, receiver] of this.#receivers) {
        const holder = receiver.listener ?? receiver;
        if (live.has(holder) || !counts.has(holder)) for (const sk of carried(scm)) live.add(sk);
      }
    }
    for (const sk of counts.keys()) if (!live.has(sk)) discard(sk);
  }

  /** `out_degree`: how many references of a socket's description are in flight. */
  #countReferences(): Map<UnixSock, number> {
    const counts = new Map<UnixSock, number>();
    for (const scm of this.#receivers.keys()) {
      for (const sk of carried(scm)) counts.set(sk, (counts.get(sk) ?? 0) + 1);
    }
    return counts;
  }
}

function carried(scm: Scm): UnixSock[] {
  const socks: UnixSock[] = [];
  for (const file of scm.fp ?? []) {
    if (file instanceof SocketFile && file.sk instanceof UnixSock) socks.push(file.sk);
  }
  return socks;
}

/** `unix_collect_skb` and the purge of what it found. */
function discard(sk: UnixSock): void {
  if (sk.state === SkState.LISTEN) {
    for (let skb = sk.receiveQueue.first; skb !== null; skb = skb.next) {
      const embryo = skb.sk as UnixSock;
      purge(embryo, embryo.receiveQueue);
    }
  } else purge(sk, sk.receiveQueue);
}

function purge(sk: UnixSock, queue: SkBuffHead): void {
  for (let skb = queue.dequeue(); skb !== null; skb = queue.dequeue()) sk.freeSkb(skb);
}
