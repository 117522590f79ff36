/** Pools: buffers by size, and connections with limits, leaks and recycling. */
import { describe, expect, it, test } from "vitest";
import {
  acceptThreads,
  BufferPool,
  type ConnectionLimits,
  ConnectionPool,
  connectTcp,
  Errno,
  type Leak,
  listenTcp,
  Machine,
  PooledConnection,
  type Program,
  type Syscalls,
} from "../../src/runtime/index.ts";

const MS = 1_000_000;
const SECOND = 1000 * MS;

const LIMITS: ConnectionLimits = {
  maxOpen: 2,
  idleNs: 10 * SECOND,
  lifetimeNs: 60 * SECOND,
  readNs: SECOND,
  writeNs: SECOND,
  leakNs: 20 * SECOND,
  recycleNs: SECOND,
};

/** Runs a client with a pool against a server that echoes; a request that begins with 's' is answered late, 'x' ends it. */
function withPool(body: (sys: Syscalls, pool: ConnectionPool, leaks: Leak[]) => Program): void {
  const machine = new Machine();
  machine.spawn(
    "server",
    function* (sys): Program {
      return yield* acceptThreads(sys, listenTcp(sys, "127.0.0.1", 80), function* (own, fd) {
        const buf = own.memory.alloc(4);
        while ((yield own.read(fd, buf, 4)) === 4) {
          if (buf.text(0, 1) === "x") return;
          if (buf.text(0, 1) === "s") yield own.nanosleep(5 * SECOND);
          yield own.write(fd, buf, 4);
        }
      });
    },
    { daemon: true },
  );
  machine.spawn("client", function* (sys): Program {
    yield sys.nanosleep(MS);
    const leaks: Leak[] = [];
    const pool = new ConnectionPool(sys, LIMITS, {
      connect: (own) => connectTcp(own, "127.0.0.1", 80),
      leaked: (leak) => void leaks.push(leak),
    });
    sys.clone("recycler", (own) => pool.recycle(own));
    yield* body(sys, pool, leaks);
  });
  machine.run();
  expect(machine.sleepers()).toEqual([]);
}

function* taken(sys: Syscalls, pool: ConnectionPool, place = "test"): Generator<number, PooledConnection, number> {
  const conn = yield* pool.take(sys, place);
  if (!(conn instanceof PooledConnection)) throw new Error(`take: ${conn}`);
  return conn;
}

describe("a pool of connections", () => {
  it("uses the youngest again and closes the others when they have idled", () => {
    withPool(function* (sys, pool) {
      const first = yield* taken(sys, pool);
      const second = yield* taken(sys, pool);
      pool.give(sys, first);
      pool.give(sys, second);
      for (let i = 0; i < 12; i += 1) {
        const conn = yield* taken(sys, pool);
        expect(conn.fd).toBe(second.fd);
        yield sys.nanosleep(SECOND);
        pool.give(sys, conn);
      }
      expect(pool.stats).toMatchObject({ opened: 2, reused: 12, idle: 1, lifetime: 0 });
      expect(pool.open).toBe(1);
    });
  });

  it("lets who finds all taken wait for the next that is given back", () => {
    withPool(function* (sys, pool) {
      const held = [yield* taken(sys, pool), yield* taken(sys, pool)];
      let at = 0;
      sys.clone("waiter", function* (own): Program {
        const conn = yield* taken(own, pool);
        at = own.nowNs;
        pool.give(own, conn);
      });
      yield sys.nanosleep(3 * SECOND);
      const before = sys.nowNs;
      for (const conn of held) pool.give(sys, conn);
      yield sys.nanosleep(SECOND);
      expect(at).toBe(before);
      expect(pool.stats).toMatchObject({ opened: 2, waited: 1, reused: 1 });
    });
  });

  it("closes what has lived for long enough, taken or idle", () => {
    withPool(function* (sys, pool) {
      for (let i = 0; i < 70; i += 1) {
        const conn = yield* taken(sys, pool);
        yield sys.nanosleep(SECOND);
        pool.give(sys, conn);
      }
      expect(pool.stats).toMatchObject({ opened: 2, lifetime: 1, idle: 0 });
    });
  });

  it("ends a read at its limit and does not use that connection again", () => {
    withPool(function* (sys, pool) {
      const conn = yield* taken(sys, pool);
      const slow = sys.memory.allocText("slow");
      const begun = sys.nowNs;
      expect(yield* conn.write(sys, slow, 4)).toBe(4);
      expect(yield* conn.read(sys, slow, 4)).toBe(-Errno.ETIMEDOUT);
      expect(sys.nowNs - begun).toBe(SECOND);
      pool.give(sys, conn);
      expect(pool.stats).toMatchObject({ readLimit: 1, opened: 1 });
      expect(pool.open).toBe(0);
    });
  });

  it("ends a write at its limit when the peer does not read", () => {
    withPool(function* (sys, pool) {
      const conn = yield* taken(sys, pool);
      const flood = sys.memory.alloc(8 << 20);
      flood.write("slow");
      const begun = sys.nowNs;
      expect(yield* conn.write(sys, flood, flood.length)).toBe(-Errno.ETIMEDOUT);
      expect(sys.nowNs - begun).toBeGreaterThanOrEqual(SECOND);
      expect(pool.stats.writeLimit).toBe(1);
      pool.give(sys, conn);
    });
  });

  it("notices that the peer has closed an idle connection, before anybody uses it", () => {
    withPool(function* (sys, pool) {
      const conn = yield* taken(sys, pool);
      yield* conn.write(sys, sys.memory.allocText("x..."), 4);
      yield sys.nanosleep(SECOND);
      pool.give(sys, conn);
      const next = yield* taken(sys, pool);
      expect(pool.stats).toMatchObject({ broken: 1, opened: 2, reused: 0 });
      pool.give(sys, next);
    });
  });

  it("reports a connection that was not given back, once and with its place, and takes it back at the end of its life", () => {
    withPool(function* (sys, pool, leaks) {
      const lost = yield* taken(sys, pool, "report(), early return");
      yield sys.nanosleep(70 * SECOND);
      expect(leaks).toEqual([{ place: "report(), early return", fd: lost.fd, heldNs: expect.any(Number) as number }]);
      expect(leaks[0]?.heldNs).toBeGreaterThanOrEqual(LIMITS.leakNs);
      expect(leaks[0]?.heldNs).toBeLessThan(LIMITS.leakNs + 2 * SECOND);
      expect(pool.open).toBe(0);
      pool.give(sys, lost); // too late: nothing happens
      expect(pool.open).toBe(0);
    });
  });
});

test("a pool of buffers: the smallest class that holds it, used again, and no more kept than asked", () => {
  const machine = new Machine();
  machine.spawn("main", function* (sys): Program {
    const tiers = [
      { name: "small", sizes: [64, 128], keep: 2 },
      { name: "large", sizes: [8192], keep: 1 },
    ];
    const pool = new BufferPool(sys.memory, tiers);
    const sizes = [1, 64, 65, 128, 129, 8192].map((length) => pool.take(length).length);
    expect(sizes).toEqual([64, 64, 128, 128, 8192, 8192]);
    expect(() => pool.take(8193)).toThrow(/largest class/);
    const held = [pool.take(100), pool.take(100), pool.take(100)];
    for (const buffer of held) pool.give(buffer);
    expect(() => pool.give(sys.memory.alloc(100))).toThrow(/not of this pool/);
    const again = pool.take(128);
    expect(again).toBe(held[1]);
    expect(pool.stats[0]).toEqual({
      name: "small",
      takes: 8,
      reused: 1,
      allocatedBytes: 64 * 2 + 128 * 5,
      released: 1,
    });
    yield sys.getpid();
  });
  machine.run();
});
