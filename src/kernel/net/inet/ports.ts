/**
 * Local ports and who holds them.
 *
 * Counterpart: `net/ipv4/inet_connection_sock.c` (`inet_csk_get_port`, `inet_bind_conflict`),
 * `net/ipv4/inet_hashtables.c` (`inet_hash_connect`).
 * Linux picks ephemeral ports at random, odd ones for bind and even ones for connect; the model counts through the same
 * two rows. A program cannot know the number beforehand in either world.
 */
import { SkState } from "../sock.ts";
import { addressesOverlap, type PortOwner } from "./inet-sock.ts";

/** `ip_local_port_range`. */
const LOW = 32_768;
const HIGH = 60_999;

export class PortTable {
  readonly #owners = new Map<number, PortOwner[]>();
  #nextOdd = LOW + 1;
  #nextEven = LOW;

  owners(port: number): readonly PortOwner[] {
    return this.#owners.get(port) ?? [];
  }

  /** `inet_bind_hash`. */
  add(port: number, owner: PortOwner): void {
    const owners = this.#owners.get(port);
    if (owners === undefined) this.#owners.set(port, [owner]);
    else owners.push(owner);
  }

  /** `inet_put_port`. */
  remove(port: number, owner: PortOwner): void {
    const owners = this.#owners.get(port);
    if (owners === undefined) return;
    const index = owners.indexOf(owner);
    if (index >= 0) owners.splice(index, 1);
    if (owners.length === 0) this.#owners.delete(port);
  }

  /** `inet_csk_bind_conflict` for a port that was asked for. */
  tcpConflict(port: number, sk: PortOwner): boolean {
    return this.owners(port).some((other) => tcpBindConflict(sk, other) && addressesOverlap(sk, other));
  }

  /** `udp_lib_lport_inuse`. */
  udpConflict(port: number, sk: PortOwner): boolean {
    return this.owners(port).some((other) => udpBindConflict(sk, other) && addressesOverlap(sk, other));
  }

  /** `inet_csk_find_open_port`. @returns an odd port that nobody holds, an even one when there is none, or 0. */
  findOpen(): number {
    for (let tries = (HIGH - LOW) >> 1; tries >= 0; tries -= 1) {
      const port = this.#nextOdd;
      this.#nextOdd = port + 2 > HIGH ? LOW + 1 : port + 2;
      if (!this.#owners.has(port)) return port;
    }
    for (let port = LOW; port <= HIGH; port += 2) if (!this.#owners.has(port)) return port;
    return 0;
  }

  /**
   * `__inet_hash_connect`: a port for an outgoing connection.
   *
   * @param usable - whether the connection would be the only one between its two ends.
   * @returns 0 when every port is taken.
   */
  findForConnect(usable: (port: number) => boolean): number {
    const take = (port: number): boolean => {
      const owners = this.#owners.get(port);
      if (owners === undefined) return true;
      return owners.every((owner) => !isBound(owner)) && usable(port);
    };
    for (let tries = (HIGH - LOW) >> 1; tries >= 0; tries -= 1) {
      const port = this.#nextEven;
      this.#nextEven = port + 2 > HIGH ? LOW : port + 2;
      if (take(port)) return port;
    }
    for (let port = LOW + 1; port <= HIGH; port += 2) if (take(port)) return port;
    return 0;
  }
}

/** Held by bind or listen rather than by a connection: connect leaves such ports alone. */
function isBound(owner: PortOwner): boolean {
  return owner.state === SkState.CLOSE || owner.state === SkState.LISTEN;
}

/** `inet_bind_conflict`, both sockets on one address. */
function tcpBindConflict(sk: PortOwner, other: PortOwner): boolean {
  if (sk === other) return false;
  if (sk.reuse && other.reuse && other.state !== SkState.LISTEN) return false;
  if (!sk.reuseport || !other.reuseport) return true;
  return other.state !== SkState.TIME_WAIT && sk.uid !== other.uid;
}

/** `udp_lib_lport_inuse`, both sockets on one address. */
function udpBindConflict(sk: PortOwner, other: PortOwner): boolean {
  if (sk === other || (sk.reuse && other.reuse)) return false;
  return !(sk.reuseport && other.reuseport && sk.uid === other.uid);
}
