/**
 * Wires between machines: what a packet goes through that leaves its host.
 *
 * Counterpart: `net/sched/sch_netem.c` (delay, jitter, loss, rate), `drivers/net/veth.c`; for a partition a router on the way
 * that went away without a word: nobody is told, packets are gone.
 * A link has two directions that know nothing of each other. In each, packets leave one after the other, as fast as the bandwidth
 * allows, and arrive in that order: unlike netem's, jitter does not reorder. What is lost is lost in flight, so a partition
 * also takes what is under way. Chance (loss, jitter) comes through the chooser; its first choice loses nothing and adds no jitter.
 */
import type { Chooser } from "../choice.ts";
import type { Clock } from "../time/hrtimer.ts";
import { Hrtimer } from "../time/hrtimer.ts";
import type { NetDevice, Packet } from "./inet/device.ts";
import type { Net } from "./net.ts";

/** What a link is like; both of its directions, or one. */
export interface LinkOptions {
  /** Time on the wire, ns. */
  readonly delayNs: number;
  /** At most so much more, ns: a packet's share is drawn. */
  readonly jitterNs: number;
  /** Bits a second; 0 for no limit. */
  readonly bandwidthBps: number;
  /** Share of packets that get lost, 0 to 1. */
  readonly loss: number;
  /** Most bytes of an IP packet: 576 to 65535. */
  readonly mtu: number;
}

/** Two machines on one switch. */
export const DEFAULT_LINK: LinkOptions = { delayNs: 100_000, jitterNs: 0, bandwidthBps: 0, loss: 0, mtu: 1500 };

/** Grain of what is drawn: a millionth of loss, a thousandth of jitter. */
const LOSS_GRAIN = 1_000_000;
const JITTER_GRAIN = 1000;
const MTU_MIN = 576;
const MTU_MAX = 65_535;

/**
 * Options with some of them changed.
 *
 * @throws RangeError for a value that no link can have.
 */
export function linkOptions(base: LinkOptions, changes: Partial<LinkOptions>): LinkOptions {
  const options = { ...base, ...changes };
  const check = (name: keyof LinkOptions, least: number, most: number): void => {
    const value = options[name];
    if (!(value >= least && value <= most)) throw new RangeError(`link: ${name} ${value}: from ${least} to ${most}`);
  };
  check("delayNs", 0, Number.MAX_SAFE_INTEGER);
  check("jitterNs", 0, Number.MAX_SAFE_INTEGER);
  check("bandwidthBps", 0, Number.MAX_SAFE_INTEGER);
  check("loss", 0, 1);
  check("mtu", MTU_MIN, MTU_MAX);
  return options;
}

/** What both directions of every link share. */
export interface Medium {
  readonly clock: Clock;
  readonly chooser: Chooser;
}

interface InFlight {
  readonly packet: Packet;
  readonly arrivesNs: number;
}

/** One direction: the device of the machine that sends. */
export class LinkDirection extends Hrtimer implements NetDevice {
  options: LinkOptions;
  /** Nothing arrives. */
  cut = false;
  readonly lossy: boolean = true;
  readonly #medium: Medium;
  readonly #to: Net;
  /** Packets on the wire, the first to arrive first; those before `#next` have arrived. */
  #flight: InFlight[] = [];
  #next = 0;
  /** Until then the sender's end is busy with earlier packets. */
  #busyNs = 0;
  /** Packets that get lost whatever chance says. */
  #dropNext = 0;
  /** Packets that arrived, and that got lost. */
  delivered = 0;
  lost = 0;

  constructor(medium: Medium, to: Net, options: LinkOptions) {
    super();
    this.#medium = medium;
    this.#to = to;
    this.options = options;
  }

  get mtu(): number {
    return this.options.mtu;
  }

  /** Loses the next so many packets. */
  dropNext(count: number): void {
    this.#dropNext += count;
  }

  /** `netem_enqueue`. */
  xmit(packet: Packet): void {
    const { clock, chooser } = this.#medium;
    const { bandwidthBps, delayNs, jitterNs } = this.options;
    const { nowNs } = clock;
    const serialNs = bandwidthBps === 0 ? 0 : Math.ceil((packet.wireBytes * 8e9) / bandwidthBps);
    const leavesNs = Math.max(this.#busyNs, nowNs) + serialNs;
    this.#busyNs = leavesNs;
    if (packet.charged && leavesNs > nowNs) clock.start(new SentTimer(packet), leavesNs);
    else packet.sent();
    if (this.#isLost()) {
      this.#lose(packet);
      return;
    }
    const extra =
      jitterNs === 0 ? 0 : Math.round((jitterNs * chooser.choose("link.jitter", JITTER_GRAIN + 1)) / JITTER_GRAIN);
    const before = this.#flight.at(-1)?.arrivesNs ?? 0;
    const arrivesNs = Math.max(leavesNs + delayNs + extra, before);
    this.#flight.push({ packet, arrivesNs });
    if (!this.armed) clock.start(this, arrivesNs);
  }

  #isLost(): boolean {
    if (this.cut) return true;
    if (this.#dropNext > 0) {
      this.#dropNext -= 1;
      return true;
    }
    const grains = Math.round(this.options.loss * LOSS_GRAIN);
    return grains > 0 && this.#medium.chooser.choose("link.loss", LOSS_GRAIN) >= LOSS_GRAIN - grains;
  }

  #lose(packet: Packet): void {
    this.lost += 1;
    packet.drop(this.#to);
  }

  /** Packets arrive: all that are due, each received before the next. */
  override fire(): void {
    const { clock } = this.#medium;
    while (this.#next < this.#flight.length) {
      const { packet, arrivesNs } = this.#flight[this.#next] as InFlight;
      if (arrivesNs > clock.nowNs) break;
      this.#next += 1;
      if (this.cut) this.#lose(packet);
      else {
        this.delivered += 1;
        packet.receive(this.#to);
      }
    }
    if (this.#next === this.#flight.length) {
      this.#flight = [];
      this.#next = 0;
    } else {
      if (this.#next > 1024 && this.#next > this.#flight.length >> 1) {
        this.#flight = this.#flight.slice(this.#next);
        this.#next = 0;
      }
      clock.start(this, (this.#flight[this.#next] as InFlight).arrivesNs);
    }
  }
}

/** The end of a transmission that somebody is charged for. */
class SentTimer extends Hrtimer {
  readonly #packet: Packet;

  constructor(packet: Packet) {
    super();
    this.#packet = packet;
  }

  override fire(): void {
    this.#packet.sent();
  }
}
