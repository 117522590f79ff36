import fc from "fast-check";
import { expect, it } from "vitest";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Shut } from "../../src/kernel/uapi/socket.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { sysShutdown } from "../../src/syscalls/socket.ts";
import { ClusterWorld, MS, SEC } from "../helpers/cluster-world.ts";
import { BUF, type World } from "../helpers/net-world.ts";

/** What an adversary does to the connection and its wire. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant("write" as const), size: fc.integer({ min: 1, max: 60_000 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant("read" as const), size: fc.integer({ min: 1, max: 70_000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("pass" as const), size: fc.integer({ min: 0, max: 400 }) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("cut" as const), size: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("heal" as const), size: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("drop" as const), size: fc.integer({ min: 1, max: 5 }) }) },
);
const link = fc.record({
  delayNs: fc.constantFrom(0, MS, 30 * MS),
  jitterNs: fc.constantFrom(0, 5 * MS),
  bandwidthBps: fc.constantFrom(0, 1_000_000, 100_000_000),
  loss: fc.constantFrom(0, 0.01, 0.2),
  mtu: fc.constantFrom(576, 1500, 9000),
});

/** Byte `i` of the stream. */
const byteAt = (i: number): number => (i * 7 + (i >> 8) * 13) & 0xff;

/** One end of a stream: how far it has come. */
class End {
  readonly world: World;
  readonly fd: number;
  written = 0;
  got = 0;
  ended = false;

  constructor(world: World, fd: number) {
    this.world = world;
    this.fd = fd;
  }

  write(size: number): void {
    this.world.poke(
      BUF,
      Uint8Array.from({ length: size }, (_, i) => byteAt(this.written + i)),
    );
    const result = sysWrite(this.world.task, this.fd, BUF, size);
    if (result > 0) this.written += result;
    else expect(result).toBe(-Errno.EAGAIN);
  }

  read(size: number): void {
    const result = sysRead(this.world.task, this.fd, BUF, size);
    if (result === -Errno.EAGAIN) return;
    expect(result).toBeGreaterThanOrEqual(0);
    if (result === 0) this.ended = true;
    const bytes = this.world.peek(BUF, result);
    expect(bytes.every((byte, i) => byte === byteAt(this.got + i))).toBe(true);
    this.got += result;
  }
}

function play(
  options: Parameters<typeof start>[0],
  steps: readonly { what: string; size: number }[],
  seed: string,
): string {
  const { world, c, s } = start(options, seed);
  const [from, to] = [new End(world.a, c), new End(world.b, s)];
  const log: string[] = [];
  for (const { what, size } of steps) {
    if (what === "write") from.write(size);
    else if (what === "read") to.read(size);
    else if (what === "pass") world.pass(size * MS);
    else if (what === "heal") world.heal();
    else if (what === "drop") world.cluster.direction(...world.hosts).dropNext(size);
    else if (size === 2) world.cut();
    else world.cluster.direction(world.hosts[size as 0 | 1], world.hosts[(1 - size) as 0 | 1]).cut = true;
    log.push(`${from.written} ${to.got} ${world.a.mask(c)} ${world.b.mask(s)}`);
  }
  world.heal();
  sysShutdown(world.a.task, c, Shut.WR);
  for (let rounds = 0; rounds < 4000 && !to.ended; rounds += 1) {
    world.pass(100 * MS);
    while ((world.b.mask(s) & Poll.IN) !== 0 && !to.ended) to.read(100_000);
  }
  expect(to.ended).toBe(true);
  expect(to.got).toBe(from.written);
  log.push(String(world.nowNs));
  return log.join("\n");
}

function start(
  options: { delayNs: number; jitterNs: number; bandwidthBps: number; loss: number; mtu: number },
  seed: string,
): { world: ClusterWorld; c: number; s: number } {
  const world = new ClusterWorld({}, seed);
  const { c, s } = world.connection();
  world.cluster.link(...world.hosts, options);
  return { world, c, s };
}

it("bytes arrive in order and complete whatever the wire does; the same seed gives the same run", () => {
  fc.assert(
    fc.property(link, fc.array(step, { maxLength: 40 }), fc.string(), (options, steps, seed) => {
      expect(play(options, steps, seed)).toBe(play(options, steps, seed));
    }),
    { numRuns: 60, seed: 7 },
  );
});

it("a connection that nobody reads does not outlast its window", () => {
  const world = new ClusterWorld({ loss: 0.3, delayNs: 5 * MS }, "window");
  const { c, s } = world.connection();
  const [from, to] = [new End(world.a, c), new End(world.b, s)];
  for (let i = 0; i < 100; i += 1) {
    from.write(10_000);
    world.pass(SEC);
  }
  const before = from.written;
  world.pass(100 * SEC);
  from.write(10_000);
  expect(from.written).toBe(before);
  while (to.got < before) {
    to.read(10_000);
    world.pass(SEC);
  }
  expect(world.b.mask(s) & Poll.IN).toBe(0);
});
