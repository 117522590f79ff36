import { describe, expect, it } from "vitest";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, SOL_SOCKET, SOL_TCP, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysClose } from "../../src/syscalls/fd.ts";
import { sysAccept, sysConnect, sysSocket } from "../../src/syscalls/socket.ts";
import { ClusterWorld, MS, SEC } from "../helpers/cluster-world.ts";
import { ARG, inAddr } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT2 = Poll.OUT | Poll.WRNORM;
const OUT3 = OUT2 | Poll.WRBAND;
const ENDED = IN2 | OUT2 | Poll.RDHUP | Poll.HUP;
const FAILED = ENDED | Poll.ERR;
const SERVER = inAddr("10.9.0.2", 4000);
const { KEEPIDLE, KEEPINTVL, KEEPCNT, USER_TIMEOUT } = { KEEPIDLE: 4, KEEPINTVL: 5, KEEPCNT: 6, USER_TIMEOUT: 18 };

describe("a handshake", () => {
  it("takes one round trip for the client, one and a half for the server", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    const { a, b } = world;
    const l = b.listener(Af.INET, Sock.STREAM, SERVER, 10);
    const c = world.socket(a);
    expect(a.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
    expect(a.mask(c)).toBe(0);
    expect(world.until(() => a.mask(c) === OUT2, SEC)).toBe(20 * MS);
    expect(b.mask(l)).toBe(0);
    expect(world.until(() => b.mask(l) === IN2, SEC)).toBe(10 * MS);
  });

  it("a blocking connect sleeps as long", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    world.b.listener(Af.INET, Sock.STREAM, SERVER, 10);
    const { task, results } = world.a;
    const c = sysSocket(task, Af.INET, Sock.STREAM, 0);
    world.a.connect(c, SERVER);
    expect(world.until(() => results.of.has(task), SEC)).toBe(20 * MS);
    expect(results.of.get(task)).toBe(0);
  });

  it("is refused by a reset where nobody listens", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    const c = world.socket(world.a);
    world.a.connect(c, SERVER);
    expect(world.until(() => world.a.mask(c) !== 0, SEC)).toBe(20 * MS);
    expect([world.a.mask(c), world.a.getsockopt(c, SOL_SOCKET, So.ERROR)]).toEqual([FAILED, Errno.ECONNREFUSED]);
  });

  it("behind a partition sends SYNs for 131 s: ETIMEDOUT", () => {
    const world = new ClusterWorld();
    world.cut();
    const c = world.socket(world.a);
    world.a.connect(c, SERVER);
    expect(world.until(() => world.a.mask(c) !== 0, 200 * SEC)).toBe(131 * SEC);
    expect([world.a.mask(c), world.a.getsockopt(c, SOL_SOCKET, So.ERROR)]).toEqual([FAILED, Errno.ETIMEDOUT]);
    expect(world.cluster.direction(...world.hosts).lost).toBe(11);
  });

  it("loses its SYN, and comes about a second later", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    world.b.listener(Af.INET, Sock.STREAM, SERVER, 10);
    world.cluster.direction(...world.hosts).dropNext(1);
    const c = world.socket(world.a);
    world.a.connect(c, SERVER);
    expect(world.until(() => world.a.mask(c) === OUT2, 5 * SEC)).toBe(SEC + 20 * MS);
  });

  it("loses its SYN-ACK, or its last ACK", () => {
    for (const lost of [0, 1]) {
      const world = new ClusterWorld({ delayNs: 10 * MS });
      const l = world.b.listener(Af.INET, Sock.STREAM, SERVER, 10);
      const c = world.socket(world.a);
      world.a.connect(c, SERVER);
      if (lost === 0) world.cluster.direction(world.hosts[1], world.hosts[0]).dropNext(1);
      else {
        world.pass(15 * MS);
        world.cluster.direction(...world.hosts).dropNext(1);
      }
      world.until(() => world.b.mask(l) === IN2, 5 * SEC);
      const s = sysAccept(world.b.task, l, 0, 0);
      expect(world.a.write(c, "x")).toBe(1);
      world.pass(SEC);
      expect(world.b.read(s)).toBe("x");
    }
  });
});

describe("where no way leads", () => {
  it("no route: ENETUNREACH; a neighbour that nobody is: EHOSTUNREACH after three requests", () => {
    const world = new ClusterWorld();
    const { a } = world;
    expect(a.connect(world.socket(a), inAddr("192.0.2.1", 80))).toBe(-Errno.ENETUNREACH);
    const c = world.socket(a);
    expect(a.connect(c, inAddr("10.9.0.77", 80))).toBe(-Errno.EINPROGRESS);
    expect(world.until(() => a.mask(c) !== 0, 5 * SEC)).toBe(3 * SEC);
    expect([a.mask(c), a.getsockopt(c, SOL_SOCKET, So.ERROR)]).toEqual([FAILED, Errno.EHOSTUNREACH]);
  });

  it("a datagram to nobody holds its sender's buffer for as long", () => {
    const world = new ClusterWorld();
    const { a } = world;
    const u = sysSocket(a.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
    a.connect(u, inAddr("10.9.0.77", 80));
    const recorder = a.record(u);
    expect(a.write(u, "x")).toBe(1);
    expect(recorder.take()).toEqual([]);
    world.pass(4 * SEC);
    expect(recorder.take()).toEqual([OUT3]);
    expect(a.write(u, "x")).toBe(1);
  });

  it("addresses of others cannot be bound, one's own go by loopback", () => {
    const world = new ClusterWorld({ delayNs: SEC });
    const { a } = world;
    expect(a.bind(world.socket(a), SERVER)).toBe(-Errno.EADDRNOTAVAIL);
    const l = a.listener(Af.INET, Sock.STREAM, inAddr("10.9.0.1", 4000), 10);
    const c = world.socket(a);
    a.connect(c, inAddr("10.9.0.1", 4000));
    expect([a.mask(c), a.mask(l)]).toEqual([OUT2, IN2]);
    const bound = world.socket(a);
    a.bind(bound, inAddr("127.0.0.1", 0));
    expect(a.connect(bound, SERVER)).toBe(-Errno.EINVAL);
  });
});

describe("a connection over a wire", () => {
  it("carries bytes after one delay, and its end", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    const { c, s } = world.connection();
    world.a.write(c, "hello");
    expect(world.until(() => world.b.mask(s) === (IN2 | OUT2), SEC)).toBe(10 * MS);
    expect(world.b.read(s)).toBe("hello");
    sysClose(world.a.task, c);
    expect(world.until(() => (world.b.mask(s) & Poll.RDHUP) !== 0, SEC)).toBe(10 * MS);
    expect(world.b.read(s)).toBe("");
  });

  it("as fast as the bandwidth", () => {
    const world = new ClusterWorld({ delayNs: 0, bandwidthBps: 8_000_000 });
    const { c, s } = world.connection();
    world.a.setsockopt(c, SOL_TCP, 1, 1);
    world.a.write(c, 10_000);
    const took = world.until(() => world.b.ioctl(s, 0x541b) === 10_000, SEC);
    expect(took).toBe((10_000 + 7 * 66) * 1000);
  });

  it("sends a lost segment again: by probe, by duplicate acknowledgments, by time-out", () => {
    const world = new ClusterWorld({ delayNs: 10 * MS });
    const { c, s } = world.connection();
    const there = world.cluster.direction(...world.hosts);
    there.dropNext(1);
    world.a.write(c, "x");
    const single = world.until(() => world.b.ioctl(s, 0x541b) === 1, SEC);
    expect(single).toBe(220 * MS + 10 * MS);
    there.dropNext(1);
    world.a.write(c, 14_480);
    const fast = world.until(() => world.b.ioctl(s, 0x541b) === 14_481, SEC);
    expect(fast).toBe(30 * MS);
  });

  it("and after a partition, at the next doubling of the time-out", () => {
    const world = new ClusterWorld();
    const { c, s } = world.connection();
    world.cut();
    world.a.write(c, 20_000);
    world.pass(2 * SEC);
    world.heal();
    const waited = world.until(() => world.b.ioctl(s, 0x541b) === 20_000, 5 * SEC);
    expect(waited).toBeGreaterThan(0.9 * SEC);
    expect(waited).toBeLessThan(1.7 * SEC);
    expect(world.a.ioctl(c, 0x5411)).toBeGreaterThan(0);
    world.pass(SEC);
    expect(world.a.ioctl(c, 0x5411)).toBe(0);
  });

  it("is given up when the partition outlasts the retries", () => {
    const world = new ClusterWorld();
    const { c } = world.connection();
    world.a.kernel.sysctl.set("net.ipv4.tcp_retries2", 5);
    const recorder = world.a.record(c);
    world.cut();
    world.a.write(c, "x");
    const took = world.until(() => world.a.mask(c) !== OUT2, 30 * SEC);
    expect(took).toBeGreaterThan(13 * SEC);
    expect(took).toBeLessThan(13.5 * SEC);
    expect(recorder.take()).toEqual([0, Poll.ERR]);
    expect([world.a.mask(c), world.a.write(c, "x")]).toEqual([FAILED, -Errno.ETIMEDOUT]);
  });

  it("or the user's time-out", () => {
    const world = new ClusterWorld();
    const { c } = world.connection();
    world.a.setsockopt(c, SOL_TCP, USER_TIMEOUT, 3000);
    world.cut();
    world.a.write(c, "x");
    const took = world.until(() => world.a.mask(c) !== OUT2, 30 * SEC);
    expect(took).toBeGreaterThan(3 * SEC);
    expect(took).toBeLessThan(3.6 * SEC);
  });

  it("idle, notices with keepalive alone", () => {
    const world = new ClusterWorld();
    const { c, s } = world.connection();
    world.a.setsockopt(c, SOL_SOCKET, So.KEEPALIVE, 1);
    world.a.setsockopt(c, SOL_TCP, KEEPIDLE, 2);
    world.a.setsockopt(c, SOL_TCP, KEEPINTVL, 1);
    world.a.setsockopt(c, SOL_TCP, KEEPCNT, 3);
    world.pass(100 * SEC);
    expect(world.a.mask(c)).toBe(OUT2);
    world.cut();
    const took = world.until(() => world.a.mask(c) !== OUT2, 10 * SEC);
    expect(took).toBeGreaterThan(3 * SEC);
    expect(took).toBeLessThanOrEqual(5 * SEC);
    expect(world.a.getsockopt(c, SOL_SOCKET, So.ERROR)).toBe(Errno.ETIMEDOUT);
    expect(world.b.mask(s)).toBe(OUT2);
  });

  it("is reset by a peer that has forgotten it", () => {
    const world = new ClusterWorld();
    const { c, s } = world.connection();
    world.cut();
    world.b.poke(ARG, [1, 0, 0, 0, 0, 0, 0, 0]);
    world.b.setsockopt(s, SOL_SOCKET, So.KEEPALIVE, 0);
    const linger = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
    world.b.poke(ARG, linger);
    world.b.close(s);
    world.pass(SEC);
    world.heal();
    world.a.write(c, "x");
    world.pass(SEC);
    expect(world.a.mask(c) & (Poll.IN | Poll.RDHUP)).not.toBe(0);
  });

  it("probes a window that is closed", () => {
    const world = new ClusterWorld();
    const { c, s } = world.connection();
    let written = 0;
    for (let n = world.a.write(c, 65_536); n > 0; n = world.a.write(c, 65_536)) {
      written += n;
      world.pass(10 * MS);
    }
    world.cluster.direction(world.hosts[1], world.hosts[0]).dropNext(1);
    let got = 0;
    for (let rounds = 0; got < written && rounds < 1000; rounds += 1) {
      const text = world.b.read(s, 65_536);
      if (typeof text === "string") got += text.length;
      world.pass(50 * MS);
    }
    expect(got).toBe(written);
  });
});

describe("datagrams", () => {
  it("arrive after the delay, or not at all", () => {
    const world = new ClusterWorld({ delayNs: 5 * MS, loss: 0.3 }, "datagrams");
    const { a, b } = world;
    const r = sysSocket(b.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
    b.bind(r, SERVER);
    const u = sysSocket(a.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
    a.connect(u, SERVER);
    for (let i = 0; i < 100; i += 1) a.write(u, String(i));
    expect(b.read(r)).toBe(-Errno.EAGAIN);
    world.pass(5 * MS);
    const got: number[] = [];
    for (let text = b.read(r); typeof text === "string"; text = b.read(r)) got.push(Number(text));
    expect(got.length).toBeGreaterThan(50);
    expect(got.length).toBeLessThan(90);
    expect(got).toEqual([...got].sort((x, y) => x - y));
  });

  it("a closed port refuses, a round trip later", () => {
    const world = new ClusterWorld({ delayNs: 5 * MS });
    const u = sysSocket(world.a.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
    world.a.connect(u, SERVER);
    world.a.write(u, "x");
    expect(world.until(() => (world.a.mask(u) & Poll.ERR) !== 0, SEC)).toBe(10 * MS);
    expect(world.a.write(u, "x")).toBe(-Errno.ECONNREFUSED);
  });

  it("fill the sender's buffer while the wire is busy", () => {
    const world = new ClusterWorld({ bandwidthBps: 1_000_000 });
    const { a } = world;
    const u = sysSocket(a.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
    a.connect(u, SERVER);
    let sent = 0;
    while (a.write(u, 1000) > 0) sent += 1;
    expect(sent).toBeGreaterThan(50);
    expect(a.mask(u)).toBe(0);
    expect(sysConnect(a.task, u, ARG + 64, 16)).toBe(0);
    world.pass(SEC);
    expect(a.mask(u) & OUT2).toBe(OUT2);
  });
});
