/**
 * How packets leave a socket: the one door.
 *
 * Counterpart: `include/linux/netdevice.h` (`ndo_start_xmit`), `drivers/net/loopback.c`, `net/core/dev.c`
 * (`process_backlog`).
 * A packet given to the loopback device is received before the call that sent it goes on, in the order of sending; what
 * that reception sends itself comes behind it in the queue. The other devices, which take their time and may lose what they
 * are given, are in `link.ts` and `neighbour.ts`.
 */
import type { Net } from "../net.ts";
import type { InetAddr } from "./addr.ts";

/** What a device carries: an IP packet, less the bytes on the wire. */
export abstract class Packet {
  abstract readonly src: InetAddr;
  abstract readonly dst: InetAddr;

  /** Bytes that it takes on an Ethernet, headers included. */
  abstract get wireBytes(): number;

  /** The protocol's receive function (`tcp_v4_rcv`, `udp_rcv`). Runs in nobody's name. */
  abstract receive(net: Net): void;

  /** It is lost: what it holds is free again (`kfree_skb`). */
  abstract drop(net: Net): void;

  /** The device has sent it: whoever was charged for it gets the charge back (`skb_orphan`). */
  sent(): void {}

  /** Somebody is charged for it until it has been sent. */
  get charged(): boolean {
    return false;
  }

  /** Its first hop does not answer (`arp_error_report`): its sender is told, as far as senders care. */
  unreachable(_net: Net): void {}
}

export interface NetDevice {
  /** Most bytes of an IP packet. */
  readonly mtu: number;
  /** The wire may take its time and lose packets: connections need timers. */
  readonly lossy: boolean;
  xmit(packet: Packet): void;
}

/** `lo`. */
export class Loopback implements NetDevice {
  readonly mtu: number = 65_535;
  readonly lossy: boolean = false;
  readonly #net: Net;
  /** `input_pkt_queue`: the first `#waiting` of them wait; the array is kept, as there is one for each packet. */
  readonly #backlog: (Packet | null)[] = [];
  #waiting = 0;
  #receiving = false;

  constructor(net: Net) {
    this.#net = net;
  }

  /** `validate_xmit_skb_list`: several packets, and nobody answers before the last has been sent. */
  xmitList(packets: readonly Packet[]): void {
    const outermost = !this.#receiving;
    this.#receiving = true;
    for (const packet of packets) this.xmit(packet);
    if (outermost) this.#processBacklog();
  }

  /** `loopback_xmit`; outermost also the soft interrupt that receives. */
  xmit(packet: Packet): void {
    if (this.#receiving) {
      if (this.#waiting === this.#backlog.length) this.#backlog.push(packet);
      else this.#backlog[this.#waiting] = packet;
      this.#waiting += 1;
      return;
    }
    this.#receiving = true;
    packet.receive(this.#net);
    this.#processBacklog();
  }

  #processBacklog(): void {
    for (let i = 0; i < this.#waiting; i += 1) {
      const next = this.#backlog[i] as Packet;
      this.#backlog[i] = null;
      next.receive(this.#net);
    }
    this.#waiting = 0;
    this.#receiving = false;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#net, this.#backlog, this.#waiting, this.#receiving];
  }
}
