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

/** `struct inet_bind_bucket`: a port that is held, and by whom, in the order in which they came. */
class PortBucket {
  readonly owners: Set<PortOwner> = new Set();
  /** Some bind or listen has taken it (`fastreuse` is not -1): connect leaves it alone. */
  bound = false;
}

const NOBODY: ReadonlySet<PortOwner> = new Set();

export class PortTable {
  readonly #buckets = new Map<number, PortBucket>();
  #nextOdd = LOW + 1;
  #nextEven = LOW;

  owners(port: number): ReadonlySet<PortOwner> {
    return this.#buckets.get(port)?.owners ?? NOBODY;
  }

  /** `inet_bind_hash`. @param bound - by bind or listen, not by a connection. */
  add(port: number, owner: PortOwner, bound: boolean): void {
    let bucket = this.#buckets.get(port);
    if (bucket === undefined) {
      bucket = new PortBucket();
      this.#buckets.set(port, bucket);
    }
    bucket.owners.add(owner);
    if (bound) bucket.bound = true;
  }

  /** `inet_put_port`. */
  remove(port: number, owner: PortOwner): void {
    const bucket = this.#buckets.get(port);
    if (bucket === undefined) return;
    bucket.owners.delete(owner);
    if (bucket.owners.size === 0) this.#buckets.delete(port);
  }

  /** `inet_csk_bind_conflict` for a port that was asked for. */
  tcpConflict(port: number, sk: PortOwner): boolean {
    return this.#some(port, (other) => tcpBindConflict(sk, other) && addressesOverlap(sk, other));
  }

  /** `inet_csk_bind_conflict` for a port that nobody asked for: no sharing, whatever the options say. */
  tcpOccupied(port: number, sk: PortOwner): boolean {
    return this.#some(port, (other) => other !== sk && addressesOverlap(sk, other));
  }

  /** `udp_lib_lport_inuse`. */
  udpConflict(port: number, sk: PortOwner): boolean {
    return this.#some(port, (other) => udpBindConflict(sk, other) && addressesOverlap(sk, other));
  }

  #some(port: number, test: (other: PortOwner) => boolean): boolean {
    for (const owner of this.owners(port)) if (test(owner)) return true;
    return false;
  }

  /**
   * `inet_csk_find_open_port`.
   *
   * @param occupied - whether somebody holds the port where the socket would stand: ports are shared by addresses.
   * @returns an odd port, an even one when there is none, or 0.
   */
  findOpen(occupied: (port: number) => boolean): number {
    const isFree = (port: number): boolean => !this.#buckets.has(port) || !occupied(port);
    for (let tries = (HIGH - LOW) >> 1; tries >= 0; tries -= 1) {
      const port = this.#nextOdd;
      this.#nextOdd = port + 2 > HIGH ? LOW + 1 : port + 2;
      if (isFree(port)) return port;
    }
    for (let port = LOW; port <= HIGH; port += 2) if (isFree(port)) return port;
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
      const bucket = this.#buckets.get(port);
      return bucket === undefined || (!bucket.bound && usable(port));
    };
    for (let tries = (HIGH - LOW) >> 1; tries >= 0; tries -= 1) {
      const port = this.#nextEven;
      this.#nextEven = port + 2 > HIGH ? LOW : port + 2;
      if (take(port)) return port;
    }
    for (let port = LOW + 1; port <= HIGH; port += 2) if (take(port)) return port;
    return 0;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#buckets, this.#nextOdd, this.#nextEven];
  }
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
