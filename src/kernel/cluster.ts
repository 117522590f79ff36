/**
 * Several simulated machines, joined by links.
 *
 * Counterpart: none; what lies between machines. The machines share the virtual clock, the run queue and the generator, so whoever
 * steps or advances one of them does it for all: each has its own processes, files and sockets, and nobody sees another's
 * but through the network. A machine has no route to one that no link joins it with.
 */
import { Kernel, type KernelOptions } from "./kernel.ts";
import { List } from "./lib/list.ts";
import { type InetAddr, InetAddrs } from "./net/inet/addr.ts";
import { DEFAULT_LINK, LinkDirection, type LinkOptions, linkOptions } from "./net/link.ts";
import { SkbPool } from "./net/skbuff.ts";
import type { Task } from "./sched/task.ts";
import { Clock } from "./time/hrtimer.ts";

/** An address that a machine is given: 4 or 16 bytes, and bits of its network's prefix (null: 24, or 64). */
export interface HostAddress {
  readonly bytes: Uint8Array;
  readonly prefix: number | null;
}

/** A machine of a cluster. */
export interface Host {
  readonly name: string;
  readonly kernel: Kernel;
  readonly addresses: readonly InetAddr[];
}

export class Cluster {
  readonly clock: Clock;
  readonly hosts: Map<string, Host> = new Map();
  /** The direction from one machine to another. */
  readonly #directions = new Map<Host, Map<Host, LinkDirection>>();
  readonly #owners = new Map<InetAddr, Host>();
  readonly #options: Omit<KernelOptions, "common">;
  readonly #addrs: InetAddrs = new InetAddrs();
  readonly #skbs: SkbPool = new SkbPool();
  readonly #runqueue: List<Task> = new List<Task>();

  constructor(options: Omit<KernelOptions, "common">) {
    this.#options = options;
    this.clock = new Clock(options.bootNs, options.bootEpochNs);
  }

  /**
   * Adds a machine, without processes.
   *
   * @throws RangeError for a name or an address that is taken.
   */
  addHost(name: string, addresses: readonly HostAddress[]): Host {
    if (this.hosts.has(name)) throw new RangeError(`host ${name}: there is one of that name`);
    const common = { clock: this.clock, runqueue: this.#runqueue, addrs: this.#addrs, skbs: this.#skbs };
    const kernel = new Kernel({ ...this.#options, common });
    const own: InetAddr[] = [];
    const host: Host = { name, kernel, addresses: own };
    for (const { bytes, prefix } of addresses) {
      const addr = this.#addrs.intern(bytes);
      const owner = this.#owners.get(addr);
      if (owner !== undefined) throw new RangeError(`host ${name}: ${owner.name} has the address ${addr.text}`);
      this.#owners.set(addr, host);
      kernel.net.routes.addAddress(addr, prefix);
      own.push(addr);
    }
    this.hosts.set(name, host);
    this.#directions.set(host, new Map());
    return host;
  }

  /** @throws RangeError for a name that nobody has. */
  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new RangeError(`host ${name}: known are ${[...this.hosts.keys()].join(", ")}`);
    return host;
  }

  /**
   * Joins two machines, or changes what joins them. Packets under way keep the delay that they left with.
   *
   * @throws RangeError for a value that no link can have, or a link of a machine to itself.
   */
  link(a: Host, b: Host, changes: Partial<LinkOptions> = {}): void {
    if (a === b) throw new RangeError(`link: ${a.name} to itself`);
    this.#join(a, b, changes);
    this.#join(b, a, changes);
  }

  #join(from: Host, to: Host, changes: Partial<LinkOptions>): void {
    const directions = this.#directions.get(from);
    const known = directions?.get(to);
    if (known !== undefined) {
      known.options = linkOptions(known.options, changes);
      return;
    }
    const { chooser } = this.#options;
    const options = linkOptions(DEFAULT_LINK, changes);
    const direction = new LinkDirection({ clock: this.clock, chooser }, to.kernel.net, options);
    directions?.set(to, direction);
    for (const addr of to.addresses) from.kernel.net.routes.addRoute(addr, direction);
  }

  /** The direction from one machine to another. @throws RangeError where no link joins them. */
  direction(from: Host, to: Host): LinkDirection {
    const direction = this.#directions.get(from)?.get(to);
    if (direction === undefined) throw new RangeError(`link: none joins ${from.name} and ${to.name}`);
    return direction;
  }

  /** From now on, or until `heal`, nothing gets from either to the other. @throws RangeError where no link joins them. */
  partition(a: Host, b: Host): void {
    this.direction(a, b).cut = true;
    this.direction(b, a).cut = true;
  }

  /** Ends a partition of both directions, or of one. @throws RangeError where no link joins them. */
  heal(a: Host, b: Host): void {
    this.direction(a, b).cut = false;
    this.direction(b, a).cut = false;
  }
}
