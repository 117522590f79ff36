/**
 * Who a datagram is for.
 *
 * Counterpart: `net/ipv4/udp.c` (`__udp4_lib_lookup`, `compute_score`, `udp_lib_lport_inuse`).
 */
import type { Net } from "../net.ts";
import type { InetAddr } from "./addr.ts";
import { PortTable } from "./ports.ts";
import { UdpSock } from "./udp-sock.ts";

export class UdpTable {
  readonly ports: PortTable = new PortTable();
  /** `udplite_table`. */
  readonly lite: boolean;
  readonly #net: Net;

  constructor(net: Net, lite: boolean) {
    this.#net = net;
    this.lite = lite;
  }

  /**
   * The socket that fits best: connected to the sender before not connected, bound to the address before a wildcard; of
   * equals the youngest, or with SO_REUSEPORT any.
   */
  lookup(addr: InetAddr, port: number, from: InetAddr, fromPort: number): UdpSock | null {
    let best: UdpSock[] = [];
    let bestScore = 0;
    for (const owner of this.ports.owners(port)) {
      if (!(owner instanceof UdpSock)) continue;
      const score = computeScore(owner, addr, from, fromPort);
      if (score === 0 || score < bestScore) continue;
      const group = score === bestScore && owner.reuseport && best[0]?.reuseport === true;
      best = group ? [...best, owner] : [owner];
      bestScore = score;
    }
    if (best.length <= 1) return best[0] ?? null;
    return best[this.#net.kernel.chooser.choose("udp.reuseport", best.length, best)] ?? null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#net];
  }
}

/** @returns 0 for one that does not receive it. */
function computeScore(sk: UdpSock, addr: InetAddr, from: InetAddr, fromPort: number): number {
  const { rcvSaddr } = sk;
  let score = rcvSaddr.isV4 ? 2 : 1;
  if (rcvSaddr === addr) score += 16;
  else if (!rcvSaddr.isAny || (rcvSaddr.isV4 && !addr.isV4) || (addr.isV4 && sk.v6only)) return 0;
  if (sk.dport !== 0 || !sk.daddr.isAny) {
    if (sk.daddr !== from || sk.dport !== fromPort) return 0;
    score += 8;
  }
  return score;
}
