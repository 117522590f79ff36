/**
 * How packets leave a socket: the one door.
 *
 * Counterpart: `include/linux/netdevice.h` (`ndo_start_xmit`), `drivers/net/loopback.c`, `net/core/dev.c`
 * (`process_backlog`).
 * A packet given to the loopback device is received before the call that sent it goes on, in the order of sending; what
 * that reception sends itself comes behind it in the queue. A device with delay or loss would stand behind the same door.
 */
import type { Net } from "../net.ts";
import type { InetAddr } from "./addr.ts";

/** What a device carries: an IP packet, less the bytes on the wire. */
export abstract class Packet {
  abstract readonly src: InetAddr;
  abstract readonly dst: InetAddr;

  /** The protocol's receive function (`tcp_v4_rcv`, `udp_rcv`). Runs in nobody's name. */
  abstract receive(net: Net): void;
}

export interface NetDevice {
  xmit(packet: Packet): void;
}

/** `lo`. */
export class Loopback implements NetDevice {
  readonly #net: Net;
  #backlog: Packet[] = [];
  #receiving = false;

  constructor(net: Net) {
    this.#net = net;
  }

  /** `loopback_xmit`; outermost also the soft interrupt that receives. */
  xmit(packet: Packet): void {
    if (this.#receiving) {
      this.#backlog.push(packet);
      return;
    }
    this.#receiving = true;
    packet.receive(this.#net);
    for (let i = 0; i < this.#backlog.length; i += 1) (this.#backlog[i] as Packet).receive(this.#net);
    if (this.#backlog.length > 0) this.#backlog = [];
    this.#receiving = false;
  }
}
