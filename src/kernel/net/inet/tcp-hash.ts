/**
 * Who a segment is for.
 *
 * Counterpart: `net/ipv4/inet_hashtables.c`, `net/ipv4/tcp_ipv4.c` (`tcp_v4_rcv`), `net/core/sock_reuseport.c`.
 */
import type { Net } from "../net.ts";
import { SkState } from "../sock.ts";
import type { InetAddr } from "./addr.ts";
import { PortTable } from "./ports.ts";
import { tcpDoneWithError } from "./tcp-done.ts";
import { tcpDoRcv, tcpSendReset } from "./tcp-input.ts";
import { TcpRequest } from "./tcp-listen.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import type { TcpSock } from "./tcp-sock.ts";
import { TimeWait } from "./tcp-timewait.ts";

/** Further than any window reaches. */
const ISN_STEP = 2 ** 31;

/** What stands in the table of connections. */
export type Connection = TcpSock | TcpRequest | TimeWait;

const EHASH_MIN = 64;

export class TcpHash {
  readonly net: Net;
  readonly ports: PortTable = new PortTable();
  /** `inet_ehash`: a power of two of chains, doubled when there are more entries than chains. */
  #ehash: (Connection | null)[] = new Array<Connection | null>(EHASH_MIN).fill(null);
  #entries = 0;
  readonly #listeners = new Map<number, TcpSock[]>();

  #isn = 0;

  constructor(net: Net) {
    this.net = net;
  }

  /**
   * `secure_tcp_seq`: where a connection that leaves the machine begins to count, so that no segment of an earlier one fits
   * it. On loopback everybody begins at 0.
   */
  nextIsn(): number {
    this.#isn += ISN_STEP;
    return this.#isn;
  }

  /** What became of a segment of ours: its destination cannot be reached. */
  unreachable(segment: TcpSegment, err: number): void {
    const entry = this.lookup(segment.src, segment.sport, segment.dst, segment.dport);
    if (entry === null || entry instanceof TimeWait || entry instanceof TcpRequest) return;
    if (entry.state === SkState.SYN_SENT || entry.state === SkState.SYN_RECV) tcpDoneWithError(entry, err);
  }

  /** `inet_ehash_insert`. Until `unhash` its addresses and ports stay what they are. */
  hash(entry: Connection): void {
    if (this.#entries >= this.#ehash.length) this.#grow();
    this.#entries += 1;
    this.#insert(entry);
  }

  #insert(entry: Connection): void {
    const slot = this.#slot(entry.rcvSaddr, entry.num, entry.daddr, entry.dport);
    entry.hashNext = this.#ehash[slot];
    this.#ehash[slot] = entry;
  }

  #grow(): void {
    const chains = this.#ehash;
    this.#ehash = new Array<Connection | null>(chains.length * 2).fill(null);
    for (const chain of chains) {
      for (let entry = chain; entry !== null; ) {
        const next = entry.hashNext as Connection | null;
        this.#insert(entry);
        entry = next;
      }
    }
  }

  /** `inet_ehashfn`. */
  #slot(addr: InetAddr, port: number, from: InetAddr, fromPort: number): number {
    const ports = Math.imul((port << 16) | fromPort, 0x9e3779b1);
    const hash = Math.imul(ports ^ (ports >>> 15) ^ addr.hash ^ Math.imul(from.hash, 0x85ebca6b), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) & (this.#ehash.length - 1);
  }

  hashListener(sk: TcpSock): void {
    const listeners = this.#listeners.get(sk.num);
    if (listeners === undefined) this.#listeners.set(sk.num, [sk]);
    else listeners.push(sk);
  }

  /** `inet_unhash`: takes it out of whichever table it is in. */
  unhash(entry: Connection): void {
    const slot = this.#slot(entry.rcvSaddr, entry.num, entry.daddr, entry.dport);
    let prev: Connection | null = null;
    for (let at = this.#ehash[slot] ?? null; at !== null; at = at.hashNext as Connection | null) {
      if (at === entry) {
        const next = at.hashNext as Connection | null;
        at.hashNext = null;
        if (prev !== null) prev.hashNext = next;
        else this.#ehash[slot] = next;
        this.#entries -= 1;
        return;
      }
      prev = at;
    }
    const listeners = this.#listeners.get(entry.num);
    const index = listeners?.indexOf(entry as TcpSock) ?? -1;
    if (listeners === undefined || index < 0) return;
    listeners.splice(index, 1);
    if (listeners.length === 0) this.#listeners.delete(entry.num);
  }

  /** `__inet_lookup_established`. */
  lookup(addr: InetAddr, port: number, from: InetAddr, fromPort: number): Connection | null {
    let entry = this.#ehash[this.#slot(addr, port, from, fromPort)] ?? null;
    while (
      entry !== null &&
      (entry.num !== port || entry.dport !== fromPort || entry.rcvSaddr !== addr || entry.daddr !== from)
    ) {
      entry = entry.hashNext as Connection | null;
    }
    return entry;
  }

  /**
   * `__inet_lookup_listener`: an exact address before a wildcard, IPv4 before IPv6; among equals with SO_REUSEPORT chance
   * decides.
   *
   * @behaviour C-40
   */
  lookupListener(addr: InetAddr, port: number): TcpSock | null {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined) return null;
    let best: TcpSock[] = [];
    let bestScore = 0;
    for (const sk of listeners) {
      const score = listenerScore(sk, addr);
      if (score > bestScore) {
        best = [sk];
        bestScore = score;
      } else if (score > 0 && score === bestScore && sk.reuseport) best.push(sk);
    }
    if (best.length <= 1) return best[0] ?? null;
    return best[this.net.kernel.chooser.choose("tcp.reuseport", best.length, best)] ?? null;
  }

  /** `tcp_v4_rcv`. */
  receive(segment: TcpSegment): void {
    const { src, sport, dst, dport } = segment;
    const entry = this.lookup(dst, dport, src, sport);
    if (entry === null) this.#toListener(segment);
    else if (entry instanceof TimeWait) this.#toTimeWait(entry, segment);
    else if (entry instanceof TcpRequest) this.#toRequest(entry, segment);
    else deliver(entry, segment);
  }

  #toListener(segment: TcpSegment): void {
    const sk = this.lookupListener(segment.dst, segment.dport);
    if (sk === null) {
      tcpSendReset(this.net, segment);
      segment.drop(this.net);
    } else deliver(sk, segment);
  }

  #toTimeWait(timeWait: TimeWait, segment: TcpSegment): void {
    const verdict = timeWait.process(segment);
    if (verdict === "syn") {
      this.#toListener(segment);
      return;
    }
    if (verdict === "reset") tcpSendReset(this.net, segment);
    segment.drop(this.net);
  }

  /** The child processes what ended its handshake, and only then the listener is told: `tcp_child_process`. */
  #toRequest(request: TcpRequest, segment: TcpSegment): void {
    const child = request.check(segment);
    if (child === "reset") tcpSendReset(this.net, segment);
    if (child === null || child === "reset") {
      segment.drop(this.net);
      return;
    }
    tcpDoRcv(child, segment);
    request.listener.dataReady();
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#ehash, this.#entries, this.#listeners, this.#isn];
  }
}

/** `compute_score`. @returns 0 for one that does not receive there. */
function listenerScore(sk: TcpSock, addr: InetAddr): number {
  const { rcvSaddr } = sk;
  if (rcvSaddr === addr) return rcvSaddr.isV4 ? 4 : 3;
  if (!rcvSaddr.isAny) return 0;
  if (addr.isV4) return rcvSaddr.isV4 ? 2 : sk.v6only ? 0 : 1;
  return rcvSaddr.isV4 ? 0 : 2;
}

/** To the backlog while a call owns the socket. */
function deliver(sk: TcpSock, segment: TcpSegment): void {
  if (sk.owned) {
    sk.addBacklog(segment);
    return;
  }
  sk.burstSeq = sk.sndNxt;
  tcpDoRcv(sk, segment);
}
