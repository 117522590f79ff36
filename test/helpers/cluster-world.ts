/**
 * Two machines joined by a link, each with a process, for tests of what lies between machines.
 */
import seedrandom from "seedrandom";
import { firstChoice, seededChoice } from "../../src/kernel/choice.ts";
import { Cluster, type Host } from "../../src/kernel/cluster.ts";
import type { LinkOptions } from "../../src/kernel/net/link.ts";
import { kernelProfile } from "../../src/kernel/profile.ts";
import { Af, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysAccept, sysSocket } from "../../src/syscalls/socket.ts";
import { inAddr, World } from "./net-world.ts";

export const MS = 1_000_000;
export const SEC = 1_000_000_000;

export class ClusterWorld {
  readonly cluster: Cluster;
  readonly hosts: readonly [Host, Host];
  readonly a: World;
  readonly b: World;

  /** @param seed - null for the first choice in everything. */
  constructor(link: Partial<LinkOptions> = {}, seed: string | null = null) {
    const chooser = seed === null ? firstChoice : seededChoice(seedrandom(seed));
    this.cluster = new Cluster({ profile: kernelProfile("6.18"), chooser, bootNs: 0, bootEpochNs: 0n });
    const host = (name: string, last: number): Host =>
      this.cluster.addHost(name, [{ bytes: Uint8Array.of(10, 9, 0, last), prefix: null }]);
    this.hosts = [host("a", 1), host("b", 2)];
    this.a = new World(1024, 0, this.hosts[0].kernel);
    this.b = new World(1024, 0, this.hosts[1].kernel);
    this.cluster.link(...this.hosts, link);
  }

  get nowNs(): number {
    return this.cluster.clock.nowNs;
  }

  /** Runs until nobody can, then lets so much time pass. */
  pass(ns: number): void {
    const end = this.nowNs + ns;
    const { clock } = this.cluster;
    for (;;) {
      this.a.kernel.settle();
      const next = clock.nextExpiryNs();
      if (next < 0 || next > end) break;
      clock.advanceTo(next);
    }
    clock.advanceTo(end);
    this.a.kernel.settle();
  }

  /** Lets time pass until something holds; at most so much. @returns how much passed. */
  until(holds: () => boolean, ns: number): number {
    const start = this.nowNs;
    const { clock } = this.cluster;
    this.a.kernel.settle();
    while (!holds()) {
      const next = clock.nextExpiryNs();
      if (next < 0 || next > start + ns) throw new Error(`nothing happened within ${ns} ns`);
      clock.advanceTo(next);
      this.a.kernel.settle();
    }
    return this.nowNs - start;
  }

  /** A non-blocking TCP socket. */
  socket(world: World): number {
    return sysSocket(world.task, Af.INET, Sock.STREAM | Sock.NONBLOCK, 0);
  }

  /** A connection from `a` to a listener of `b`. */
  connection(port = 4000): { c: number; s: number; l: number } {
    const addr = inAddr("10.9.0.2", port);
    const l = this.b.listener(Af.INET, Sock.STREAM, addr, 10);
    const c = this.socket(this.a);
    this.a.connect(c, addr);
    this.until(() => this.b.mask(l) !== 0, 10 * SEC);
    const s = sysAccept(this.b.task, l, 0, 0);
    this.b.file(s).flags |= Sock.NONBLOCK;
    return { c, s, l };
  }

  cut(): void {
    this.cluster.partition(...this.hosts);
  }

  heal(): void {
    this.cluster.heal(...this.hosts);
  }
}
