/**
 * What waits in the queues of a SO_REUSEPORT group, given to whom the recording shows to have taken it.
 *
 * Linux chooses the socket by a hash of both addresses when a datagram or a connection comes. Where the taker's line lies beyond the
 * look-ahead at that time, the model has chosen as it likes; so the queues are put right when a member takes, or is reported.
 */
import { Epitem } from "../kernel/fs/eventpoll/epitem.ts";
import type { File } from "../kernel/fs/file.ts";
import { rbNext } from "../kernel/lib/rbtree.ts";
import type { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { UdpSock } from "../kernel/net/inet/udp-sock.ts";
import type { SkBuff } from "../kernel/net/skbuff.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import type { CallRecord } from "../trace/pairs.ts";
import type { ActiveCall } from "./active-call.ts";
import { sourceOf } from "./arrivals.ts";
import { HORIZON, type Lookahead } from "./lookahead.ts";
import type { Machine } from "./machine.ts";
import { OUTSIDE } from "./outside-host.ts";
import { portIn } from "./ports.ts";
import { firstFile } from "./records.ts";

const RECEIVES: ReadonlySet<string> = new Set(["recvfrom", "recvmmsg", "recvmsg"]);

export class Regroup {
  readonly #machine: Machine;
  readonly #future: Lookahead;

  constructor(machine: Machine, future: Lookahead) {
    this.#machine = machine;
    this.#future = future;
  }

  /** A member is about to take. */
  beforeTaking(call: ActiveCall): void {
    const { record, owner } = call;
    if (call.errno !== null || (!RECEIVES.has(record.name) && !record.name.startsWith("accept"))) return;
    const group = groupOf(firstFile(owner, record));
    if (group.length > 1) this.#settle(group, record);
  }

  /** @returns whether the queues behind a wait, or behind a call that is to find nothing, have changed. */
  explain(call: ActiveCall): boolean {
    const file = firstFile(call.owner, call.record);
    let changed = this.#settle(groupOf(file), null);
    for (let node = file?.epoll?.rbr.leftmost ?? null; node !== null; node = rbNext(node)) {
      changed = this.#settle(groupOf(node.owner.file), null) || changed;
    }
    return changed;
  }

  #settle(group: readonly InetSock[], now: CallRecord | null): boolean {
    if (group.length < 2 || group.every(isEmpty)) return false;
    let changed = false;
    const taken = new Set<object>();
    for (const record of this.#takers(now)) {
      const owner = this.#machine.tasks.get(record.task);
      const file = owner === undefined ? null : firstFile(owner, record);
      const taker = group.find((sk) => sk.file === file && file !== null);
      const port = taker === undefined ? null : this.#portOf(record, file);
      if (taker === undefined || port === null) continue;
      changed = pass(group, taker, port, taken) || changed;
    }
    return changed;
  }

  *#takers(now: CallRecord | null): Generator<CallRecord, void, undefined> {
    if (now !== null) yield now;
    for (const { active } of this.#machine.tasks.values()) {
      if (active !== null && active.progress !== "returned" && active.record !== now) yield active.record;
    }
    for (const event of this.#future.ahead(HORIZON)) if (event.kind === "enter") yield event.call;
  }

  /** The model's port of whom a call was recorded to take from. */
  #portOf(record: CallRecord, file: File | null): number | null {
    if ((record.result?.errnos[0] ?? null) !== null) return null;
    if (record.name.startsWith("accept")) return this.#machine.ports.peerPort(record);
    return RECEIVES.has(record.name) ? portIn(this.#machine.ports.of(file).toModel(sourceOf(record))) : null;
  }
}

/** All sockets that the kernel could have chosen instead of this one; none where there is no choice. */
function groupOf(file: File | null): readonly InetSock[] {
  if (!(file instanceof SocketFile)) return [];
  const { sk } = file;
  if (!(sk instanceof UdpSock || (sk instanceof TcpSock && sk.listenState !== null)) || !sk.reuseport) return [];
  const { ports } = sk instanceof UdpSock ? sk.net.udp : sk.net.tcp;
  return [...ports.owners(sk.num)].filter(
    (other): other is UdpSock | TcpSock =>
      (sk instanceof UdpSock ? other instanceof UdpSock : other instanceof TcpSock && other.listenState !== null) &&
      other.reuseport &&
      other.rcvSaddr === sk.rcvSaddr,
  );
}

function isEmpty(sk: InetSock): boolean {
  if (sk instanceof TcpSock) return sk.listenState?.accepted.length === 0;
  return sk instanceof UdpSock && sk.receiveQueue.first === null && sk.readerQueue.first === null;
}

/** The oldest that has come from a port goes to its taker, behind what that one takes before. */
function pass(group: readonly InetSock[], taker: InetSock, port: number, taken: Set<object>): boolean {
  for (const sk of [taker, ...group.filter((other) => other !== taker)]) {
    const found = waiting(sk).find((item) => portOf(item) === port && !taken.has(item));
    if (found === undefined) continue;
    taken.add(found);
    if (sk === taker) return false;
    if (found instanceof TcpSock && sk instanceof TcpSock && taker instanceof TcpSock) handOver(found, sk, taker);
    else if (sk instanceof UdpSock && taker instanceof UdpSock) sk.passOn(found as SkBuff, taker);
    // when it came is past, so nobody knows where the taker's items stand
    for (const item of taker.file?.fEp ?? []) if (item instanceof Epitem) item.queuedBy = OUTSIDE;
    return true;
  }
  return false;
}

function handOver(child: TcpSock, from: TcpSock, to: TcpSock): void {
  const queue = from.listenState?.accepted;
  queue?.splice(queue.indexOf(child), 1);
  to.listenState?.accepted.push(child);
  to.dataReady();
}

function waiting(sk: InetSock): (SkBuff | TcpSock)[] {
  if (sk instanceof TcpSock) return [...(sk.listenState?.accepted ?? [])];
  const items: SkBuff[] = [];
  if (!(sk instanceof UdpSock)) return items;
  for (const queue of [sk.readerQueue, sk.receiveQueue]) {
    for (let skb = queue.first; skb !== null; skb = skb.next) items.push(skb);
  }
  return items;
}

function portOf(item: SkBuff | TcpSock): number | undefined {
  return item instanceof TcpSock ? item.dport : item.source?.sport;
}
