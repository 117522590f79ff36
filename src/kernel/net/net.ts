/**
 * The network namespace: what the sockets of one machine share.
 *
 * Counterpart: `include/net/net_namespace.h` (`struct net`).
 */
import type { File } from "../fs/file.ts";
import type { Kernel } from "../kernel.ts";
import { assert } from "../lib/assert.ts";
import type { Mutex } from "../sched/mutex.ts";
import type { Process } from "../sched/process.ts";
import type { InetAddr, InetAddrs } from "./inet/addr.ts";
import { Loopback, type NetDevice } from "./inet/device.ts";
import { Routes } from "./inet/routes.ts";
import { TcpHash } from "./inet/tcp-hash.ts";
import { UdpTable } from "./inet/udp-table.ts";
import { SKB_CONFIG_X86_64, type SkbConfig, type SkbPool } from "./skbuff.ts";
import type { PeerCred } from "./sock.ts";
import { Inflight } from "./unix/garbage.ts";
import { UnixNames } from "./unix/names.ts";

export class Net {
  readonly kernel: Kernel;
  readonly skbConfig: SkbConfig = SKB_CONFIG_X86_64;
  readonly skbs: SkbPool;
  /** Descriptions whose last reference a call let go of while it still had work to do. */
  readonly #delayed: File[] = [];
  /** What the worker has still to put down. */
  readonly #left: File[] = [];
  /** What the first of those waits for: the end of a scan. */
  #heldUp: Mutex | null = null;
  #running = false;
  readonly #creds = new WeakMap<Process, PeerCred>();
  /** Bound names of AF_UNIX. */
  readonly unix: UnixNames = new UnixNames();
  /** `nl_table`: ids that route sockets have. */
  readonly netlinkPorts: Set<number> = new Set();
  readonly addrs: InetAddrs;
  readonly tcp: TcpHash;
  readonly udp: UdpTable;
  readonly udplite: UdpTable;
  readonly loopback: Loopback;
  readonly routes: Routes;
  /** AF_UNIX messages that carry descriptors. */
  readonly inflight: Inflight = new Inflight();

  constructor(kernel: Kernel, addrs: InetAddrs, skbs: SkbPool) {
    this.kernel = kernel;
    this.addrs = addrs;
    this.skbs = skbs;
    this.tcp = new TcpHash(this);
    this.udp = new UdpTable(this, false);
    this.udplite = new UdpTable(this, true);
    this.loopback = new Loopback(this);
    this.routes = new Routes(this);
  }

  /** `struct ucred` of a process; one object for all its sockets. */
  credOf(process: Process): PeerCred {
    let cred = this.#creds.get(process);
    if (cred === undefined) {
      const { uid } = process.user;
      cred = { pid: process.tgid, uid, gid: uid };
      this.#creds.set(process, cred);
    }
    return cred;
  }

  /** The device behind which an address lies that a route leads to. */
  deviceFor(addr: InetAddr): NetDevice {
    if (addr.isLoopback) return this.loopback;
    const device = this.routes.lookup(addr);
    assert(device !== null, "net: a packet for an address that no route leads to");
    return device;
  }

  /** `fput` inside a socket call: takes effect in `runDelayed`. */
  delayedFput(file: File): void {
    this.#delayed.push(file);
  }

  /**
   * `task_work_run`: the newest of a batch goes first, and what that releases makes the next batch. Then the worker that
   * looks for unreachable sockets has its turn, unless somebody explores when that may be (ND-21).
   */
  runDelayed(): void {
    if (this.#running) return;
    this.#running = true;
    this.#putDelayed();
    while (this.inflight.wanted && this.kernel.exploring === null) this.#collect();
    this.#running = false;
  }

  /** The worker has something to do, and nothing holds it up; see `runWorker`. */
  get workPending(): boolean {
    if (this.#heldUp !== null) return this.#heldUp.owner === null;
    return this.inflight.wanted || this.#left.length > 0;
  }

  /** A turn of the kernel's worker. It stops in front of a scan that holds up one of its closes, and goes on in its next turn. */
  runWorker(): void {
    this.#running = true;
    if (this.inflight.wanted) this.inflight.collect();
    this.#left.push(...this.#delayed.splice(0).reverse());
    while (this.#left[0] !== undefined && this.#putLeft(this.#left[0])) this.#left.shift();
    this.#running = false;
  }

  #putLeft(file: File): boolean {
    this.#heldUp = this.#heldUp === null ? file.tryPut() : file.finishPut();
    return this.#heldUp === null;
  }

  #collect(): void {
    this.inflight.collect();
    this.#putDelayed();
  }

  #putDelayed(): void {
    while (this.#delayed.length > 0) {
      const batch = this.#delayed.splice(0).reverse();
      for (const file of batch) file.put();
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#delayed, this.#left, this.#heldUp, this.#running];
  }
}
