/**
 * A neighbour that nobody is: address resolution that fails.
 *
 * Counterpart: `net/core/neighbour.c` (`neigh_timer_handler`, `neigh_invalidate`), `net/ipv4/arp.c` (`arp_error_report`).
 * The first packet for an address begins three requests, a second apart. When the last has not been answered either, whatever
 * waits is given up, and its senders hear EHOSTUNREACH if they still connect. The next packet begins anew.
 */
import { Hrtimer } from "../../time/hrtimer.ts";
import type { Net } from "../net.ts";
import type { InetAddr } from "./addr.ts";
import type { NetDevice, Packet } from "./device.ts";

/** `mcast_solicit` times `retrans_time`. */
const RESOLUTION_NS = 3e9;
/** `unres_qlen_bytes` of an Ethernet: the oldest packets go when more wait. */
const QUEUE_BYTES = 212_992;

/** The device behind which nobody answers. */
export class NoNeighbour implements NetDevice {
  readonly mtu: number = 1500;
  readonly lossy: boolean = true;
  readonly #net: Net;
  readonly #entries = new Map<InetAddr, Incomplete>();

  constructor(net: Net) {
    this.#net = net;
  }

  /** `neigh_resolve_output`. */
  xmit(packet: Packet): void {
    let entry = this.#entries.get(packet.dst);
    if (entry === undefined) {
      entry = new Incomplete(this.#net, () => this.#entries.delete(packet.dst));
      this.#entries.set(packet.dst, entry);
    }
    entry.queue(packet);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#net, this.#entries];
  }
}

/** `NUD_INCOMPLETE`: an address being asked for, and what waits for it. */
class Incomplete extends Hrtimer {
  readonly #net: Net;
  readonly #over: () => void;
  #waiting: Packet[] = [];
  #bytes = 0;

  constructor(net: Net, over: () => void) {
    super();
    this.#net = net;
    this.#over = over;
    const { clock } = net.kernel;
    clock.start(this, clock.nowNs + RESOLUTION_NS);
  }

  queue(packet: Packet): void {
    this.#waiting.push(packet);
    this.#bytes += packet.wireBytes;
    while (this.#bytes > QUEUE_BYTES && this.#waiting.length > 1) this.#discard(this.#waiting.shift() as Packet);
  }

  override fire(): void {
    this.#over();
    for (const packet of this.#waiting.splice(0)) {
      packet.unreachable(this.#net);
      this.#discard(packet);
    }
  }

  #discard(packet: Packet): void {
    this.#bytes -= packet.wireBytes;
    packet.sent();
    packet.drop(this.#net);
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#net, this.#over, this.#waiting, this.#bytes];
  }
}
