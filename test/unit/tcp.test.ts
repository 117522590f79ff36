import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, Ioctl, Msg, Shut, SOL_SOCKET, SOL_TCP, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysClose } from "../../src/syscalls/fd.ts";
import { sysRecvfrom } from "../../src/syscalls/msg.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import {
  sysAccept,
  sysConnect,
  sysGetpeername,
  sysGetsockname,
  sysListen,
  sysShutdown,
  sysSocket,
} from "../../src/syscalls/socket.ts";
import { sysSetsockopt } from "../../src/syscalls/sockopt.ts";
import { ARG, BAD, BUF, in6Addr, inAddr, World } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT2 = Poll.OUT | Poll.WRNORM;
const OUT3 = OUT2 | Poll.WRBAND;
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
const { ERR, HUP, RDHUP, PRI } = Poll;
const SERVER = inAddr("127.0.0.1", 4000);
const CLOSED = IN2 | OUT2 | RDHUP | HUP;

function socket(world: World, flags: number = Sock.NONBLOCK): number {
  return sysSocket(world.task, Af.INET, Sock.STREAM | flags, 0);
}

/** A connection: client, accepted socket, listener. */
function connection(world: World): { c: number; s: number; l: number } {
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  const c = socket(world);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  const s = sysAccept(world.task, l, 0, 0);
  world.file(s).flags |= Sock.NONBLOCK;
  return { c, s, l };
}

function linger(world: World, fd: number, seconds: number): void {
  world.poke(ARG, [1, 0, 0, 0, seconds, 0, 0, 0]);
  expect(sysSetsockopt(world.task, fd, SOL_SOCKET, So.LINGER, ARG, 8)).toBe(0);
}

it("C-01 fresh, listening and connected sockets", () => {
  const world = new World();
  const fresh = socket(world);
  expect(world.mask(fresh)).toBe(OUT2 | HUP);
  expect([world.read(fresh), world.write(fresh, "x")]).toEqual([-Errno.ENOTCONN, -Errno.EPIPE]);
  const { c, s, l } = connection(world);
  expect([world.mask(l), world.mask(c), world.mask(s)]).toEqual([0, OUT2, OUT2]);
  expect([world.read(l), world.write(l, "x")]).toEqual([-Errno.ENOTCONN, -Errno.EPIPE]);
});

it("C-04, C-05 a connect on loopback is over when it returns EINPROGRESS", () => {
  const world = new World();
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  const c = socket(world);
  const rc = world.record(c);
  const rl = world.record(l);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  expect([world.mask(c), world.mask(l)]).toEqual([OUT2, IN2]);
  expect([rc.take(), rl.take()]).toEqual([[0], [RX4]]);
  expect(world.getsockopt(c, SOL_SOCKET, So.ERROR)).toBe(0);
  expect(world.connect(c, SERVER)).toBe(0);
  expect(world.connect(c, SERVER)).toBe(-Errno.EISCONN);
  const other = socket(world, 0);
  expect(world.connect(other, SERVER)).toBe(0);
  expect(rl.take()).toEqual([RX4]);
});

it("C-06, C-07 a refused connect", () => {
  const world = new World();
  const c = socket(world);
  const recorder = world.record(c);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  expect(recorder.take()).toEqual([0, ERR]);
  expect(world.mask(c)).toBe(CLOSED | ERR);
  expect(world.read(c)).toBe(-Errno.ECONNREFUSED);
  expect(world.read(c)).toBe("");
  expect(world.connect(c, SERVER)).toBe(-Errno.ECONNABORTED);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  expect(world.connect(c, SERVER)).toBe(-Errno.ECONNREFUSED);
  const blocking = socket(world, 0);
  expect(world.connect(blocking, SERVER)).toBe(-Errno.ECONNREFUSED);
  expect(world.mask(blocking)).toBe(OUT2 | HUP);
});

it("C-09, C-10 a full accept queue leaves clients in SYN_SENT; they try again after a second", () => {
  const world = new World();
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 1);
  const clients = [socket(world), socket(world), socket(world)];
  for (const fd of clients) expect(world.connect(fd, SERVER)).toBe(-Errno.EINPROGRESS);
  expect(clients.map((fd) => world.mask(fd))).toEqual([OUT2, OUT2, 0]);
  const last = clients[2] as number;
  expect([world.read(last), world.write(last, "x")]).toEqual([-Errno.EAGAIN, -Errno.EAGAIN]);
  expect(world.connect(last, SERVER)).toBe(-Errno.EALREADY);
  const recorder = world.record(last);
  sysAccept(world.task, l, 0, 0);
  world.kernel.advance();
  expect(world.kernel.clock.nowNs).toBe(1e9);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(last)).toBe(OUT2);
});

it("C-08 shutdown while connecting", () => {
  const world = new World();
  world.listener(Af.INET, Sock.STREAM, SERVER, 0);
  world.connect(socket(world), SERVER);
  const c = socket(world);
  world.connect(c, SERVER);
  expect(sysShutdown(world.task, c, Shut.WR)).toBe(0);
  expect(world.mask(c)).toBe(OUT2 | HUP | ERR);
  expect(world.getsockopt(c, SOL_SOCKET, So.ERROR)).toBe(Errno.ECONNRESET);
});

it("C-11, C-12 accept", () => {
  const world = new World(6);
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  world.setsockopt(l, SOL_SOCKET, So.RCVLOWAT, 7);
  world.setsockopt(l, SOL_TCP, 1, 1);
  const c = socket(world);
  world.connect(c, SERVER);
  const recorder = world.record(l);
  const s = sysAccept(world.task, l, 0, 0);
  expect(recorder.take()).toEqual([]);
  expect(world.file(s).nonblock).toBe(false);
  expect(world.getsockopt(s, SOL_SOCKET, So.RCVLOWAT)).toBe(7);
  expect(world.getsockopt(s, SOL_TCP, 1)).toBe(1);
  const d = socket(world);
  world.connect(d, SERVER);
  expect(sysAccept(world.task, l, ARG, BAD)).toBe(-Errno.EFAULT);
  expect(world.mask(d)).toBe(IN2 | OUT2 | RDHUP);
  world.close(d);
  const e = socket(world);
  world.connect(e, SERVER);
  socket(world);
  socket(world);
  expect(sysAccept(world.task, l, 0, 0)).toBe(-Errno.EMFILE);
  expect(world.mask(l)).toBe(IN2);
});

it("C-13, C-14 connections that end before accept", () => {
  const world = new World();
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  const a = socket(world);
  world.connect(a, SERVER);
  linger(world, a, 0);
  const recorder = world.record(l);
  world.close(a);
  expect(recorder.take()).toEqual([]);
  const s = sysAccept(world.task, l, 0, 0);
  expect(world.mask(s)).toBe(CLOSED | ERR);
  expect([world.read(s), world.read(s)]).toEqual([-Errno.ECONNRESET, ""]);
  const b = socket(world);
  world.connect(b, SERVER);
  world.write(b, "bye");
  world.close(b);
  const t = sysAccept(world.task, l, 0, 0);
  expect([world.read(t), world.read(t)]).toEqual(["bye", ""]);
  const c = socket(world);
  world.connect(c, SERVER);
  world.close(l);
  expect(world.mask(c)).toBe(CLOSED | ERR);
  expect(world.read(c)).toBe(-Errno.ECONNRESET);
});

it("C-15, C-16 shutdown of a listener and of an unconnected socket", () => {
  const world = new World();
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  expect(sysShutdown(world.task, l, Shut.WR)).toBe(0);
  expect(world.mask(l)).toBe(0);
  expect(sysShutdown(world.task, l, Shut.RD)).toBe(0);
  expect(world.mask(l)).toBe(OUT2 | HUP);
  expect(sysAccept(world.task, l, 0, 0)).toBe(-Errno.EINVAL);
  expect(sysListen(world.task, l, 5)).toBe(0);
  const c = socket(world);
  const recorder = world.record(c);
  expect(sysShutdown(world.task, c, Shut.WR)).toBe(-Errno.ENOTCONN);
  expect(recorder.take()).toEqual([0]);
  expect(sysShutdown(world.task, c, Shut.RD)).toBe(-Errno.ENOTCONN);
  expect(world.mask(c)).toBe(CLOSED);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  expect(world.write(c, "x")).toBe(-Errno.EPIPE);
});

it("C-17, C-18, C-19 SO_RCVLOWAT gates data, not the end", () => {
  const world = new World();
  const { c, s } = connection(world);
  world.setsockopt(s, SOL_SOCKET, So.RCVLOWAT, 10);
  const recorder = world.record(s);
  world.write(c, "12345");
  expect(recorder.take()).toEqual([]);
  expect(world.mask(s)).toBe(OUT2);
  expect(world.ioctl(s, Ioctl.FIONREAD)).toBe(5);
  world.write(c, "67890");
  expect(recorder.take()).toEqual([RX4]);
  world.write(c, "x");
  expect(recorder.take()).toEqual([RX4]);
  expect(world.read(s)).toBe("1234567890x");
  expect(recorder.take()).toEqual([]);
  world.write(c, "abc");
  world.setsockopt(s, SOL_SOCKET, So.RCVLOWAT, 2);
  expect(recorder.take()).toEqual([RX4]);
  world.setsockopt(s, SOL_SOCKET, So.RCVLOWAT, 10);
  sysShutdown(world.task, c, Shut.WR);
  expect(recorder.take()).toEqual([0, RX4]);
  expect(world.mask(s)).toBe(IN2 | OUT2 | RDHUP);
  expect(world.setsockopt(s, SOL_SOCKET, So.SNDLOWAT, 1)).toBe(-Errno.ENOPROTOOPT);
});

describe("C-20, C-21 shutdown of a connection", () => {
  it("SHUT_RD is nobody else's business", () => {
    const world = new World();
    const { c, s } = connection(world);
    const recorder = world.record(c);
    sysShutdown(world.task, s, Shut.RD);
    expect(recorder.take()).toEqual([]);
    expect(world.mask(s)).toBe(IN2 | OUT2 | RDHUP);
    expect(world.write(c, "later")).toBe(5);
    expect([world.read(s), world.read(s)]).toEqual(["later", ""]);
  });
  it("SHUT_WR leaves the other direction open", () => {
    const world = new World();
    const { c, s } = connection(world);
    const recorder = world.record(c);
    sysShutdown(world.task, c, Shut.WR);
    expect(recorder.take()).toEqual([0]);
    expect([world.mask(c), world.mask(s)]).toEqual([OUT2, IN2 | OUT2 | RDHUP]);
    expect([world.write(c, "x"), world.read(c)]).toEqual([-Errno.EPIPE, -Errno.EAGAIN]);
    world.kernel.advance();
    expect(world.kernel.clock.nowNs).toBe(40e6);
    expect(recorder.take()).toEqual([0]); // C-44: the delayed ACK of its FIN
    world.write(s, "still");
    expect(world.read(c)).toBe("still");
    sysShutdown(world.task, c, Shut.RD);
    expect(world.mask(c)).toBe(IN2 | OUT2 | RDHUP | HUP);
  });
  it("a FIN both ways ends in CLOSE on both sides", () => {
    const world = new World();
    const { c, s } = connection(world);
    sysShutdown(world.task, c, Shut.WR);
    sysShutdown(world.task, s, Shut.WR);
    expect([world.mask(c), world.mask(s)]).toEqual([CLOSED, CLOSED]);
    expect([world.read(c), world.write(c, "x")]).toEqual(["", -Errno.EPIPE]);
  });
});

it("C-22 a write after the peer closed", () => {
  const world = new World();
  const { c, s } = connection(world);
  world.close(s);
  expect(world.mask(c)).toBe(IN2 | OUT2 | RDHUP);
  expect(world.write(c, "x")).toBe(1);
  expect(world.mask(c)).toBe(CLOSED | ERR);
  expect(world.read(c)).toBe("");
  expect(world.write(c, "x")).toBe(-Errno.EPIPE);
  expect(world.mask(c)).toBe(CLOSED);
});

it("C-23 close with unread data resets", () => {
  const world = new World();
  const { c, s } = connection(world);
  world.write(c, "lost");
  world.write(s, "kept");
  const recorder = world.record(c);
  world.close(s);
  expect(recorder.take()).toEqual([0, ERR]);
  expect(world.mask(c)).toBe(CLOSED | ERR);
  expect([world.read(c), world.read(c), world.read(c)]).toEqual(["kept", -Errno.ECONNRESET, ""]);
  expect(world.write(c, "x")).toBe(-Errno.EPIPE);
});

it("C-24, C-27 SO_LINGER {1,0} resets; SO_ERROR takes the error", () => {
  const world = new World();
  const { c, s } = connection(world);
  world.write(s, "kept");
  linger(world, s, 0);
  world.close(s);
  expect(world.getsockopt(c, SOL_SOCKET, So.ERROR)).toBe(Errno.ECONNRESET);
  expect(world.mask(c)).toBe(CLOSED);
  expect(world.read(c)).toBe("kept");
});

it("C-25 SO_LINGER {1,t} makes close wait for the peer", () => {
  const world = new World();
  const { c, s } = connection(world);
  while (world.write(c, 65536) > 0);
  linger(world, c, 1);
  expect(sysClose(world.task, c)).toBe(BLOCKED);
  world.kernel.settle();
  expect(world.results.of.has(world.task)).toBe(false);
  while (!world.results.of.has(world.task)) {
    expect(world.kernel.advance()).toBe(true);
    world.kernel.settle();
  }
  expect(world.results.of.get(world.task)).toBe(0);
  expect(world.kernel.clock.nowNs).toBe(1e9);
  let got = 0;
  for (let text = world.read(s); typeof text === "string" && text !== ""; text = world.read(s)) got += text.length;
  expect(got).toBeGreaterThan(131072);
});

it("C-02, C-03, C-28 OUT goes at two thirds; room wakes once, and only who asked", () => {
  const world = new World();
  const { c, s } = connection(world);
  const recorder = world.record(c);
  world.write(c, "small");
  world.read(s);
  expect(recorder.take()).toEqual([]);
  let total = 0;
  for (let n = world.write(c, 4096); n > 0; n = world.write(c, 4096)) total += n;
  expect(total).toBeGreaterThan(1_000_000);
  expect(world.mask(c)).toBe(0);
  expect(world.ioctl(c, Ioctl.SIOCOUTQ)).toBeGreaterThan(world.ioctl(s, Ioctl.FIONREAD));
  recorder.take();
  let got = 0;
  do {
    for (let text = world.read(s); typeof text === "string"; text = world.read(s)) got += text.length;
  } while (got < total && world.kernel.advance()); // Nagle keeps the end, less than a segment, for a delayed acknowledgment
  expect(got).toBe(total);
  expect(recorder.take()).toEqual([OUT3]);
  expect(world.mask(c)).toBe(OUT2);
});

it("C-29 SO_SNDBUF on a writable socket wakes", () => {
  const world = new World();
  const { c } = connection(world);
  const recorder = world.record(c);
  world.setsockopt(c, SOL_SOCKET, So.SNDBUF, 50000);
  expect(recorder.take()).toEqual([OUT3]);
  expect(world.getsockopt(c, SOL_SOCKET, So.SNDBUF)).toBe(100000);
});

it("C-37 buffer sizes", () => {
  const world = new World();
  const fresh = socket(world);
  expect(world.getsockopt(fresh, SOL_SOCKET, So.SNDBUF)).toBe(16384);
  expect(world.getsockopt(fresh, SOL_SOCKET, So.RCVBUF)).toBe(131072);
  const { c } = connection(world);
  expect(world.getsockopt(c, SOL_SOCKET, So.SNDBUF)).toBe(2626560);
});

it("C-30 the urgent byte", () => {
  const world = new World();
  const { c, s } = connection(world);
  const recorder = world.record(s);
  expect(world.sendto(c, "abc", Msg.OOB, null)).toBe(3);
  expect(recorder.take()).toEqual([RX4, RX4]);
  expect(world.mask(s)).toBe(IN2 | OUT2 | PRI);
  expect(world.ioctl(s, Ioctl.FIONREAD)).toBe(2);
  expect(world.read(s)).toBe("ab");
  expect(world.mask(s)).toBe(OUT2 | PRI);
  expect(world.ioctl(s, Ioctl.SIOCATMARK)).toBe(1);
  expect(world.recv(s, 1, Msg.OOB)).toBe("c");
  expect(world.recv(s, 1, Msg.OOB)).toBe(-Errno.EINVAL);
  world.write(c, "def");
  expect(world.read(s)).toBe("def");
  world.setsockopt(s, SOL_SOCKET, So.OOBINLINE, 1);
  world.sendto(c, "xy", Msg.OOB, null);
  expect(world.recv(s, 1, Msg.OOB)).toBe(-Errno.EINVAL);
  expect(world.mask(s) & PRI).toBe(PRI);
  expect([world.read(s), world.read(s)]).toEqual(["x", "y"]);
  expect(world.mask(s)).toBe(OUT2);
});

it("C-31 MSG_PEEK, MSG_WAITALL, MSG_TRUNC", () => {
  const world = new World();
  const { c, s } = connection(world);
  world.write(c, "abc");
  world.write(c, "def");
  expect([world.recv(s, 10, Msg.PEEK), world.recv(s, 4, Msg.PEEK)]).toEqual(["abcdef", "abcd"]);
  expect(world.recv(s, 10, Msg.WAITALL | Msg.DONTWAIT)).toBe("abcdef");
  world.write(c, "abcdef");
  world.poke(BUF, [0, 0, 0]);
  expect(sysRecvfrom(world.task, s, BUF, 3, Msg.TRUNC, 0, 0)).toBe(3);
  expect(world.text(BUF, 3)).toBe("\0\0\0");
  expect(world.read(s)).toBe("def");
});

it("C-32, C-33, C-34 odds and ends", () => {
  const world = new World();
  const { c, s, l } = connection(world);
  const fresh = socket(world);
  expect(sysRead(world.task, fresh, BUF, 0)).toBe(0);
  expect(world.recv(fresh, 0, 0)).toBe(-Errno.ENOTCONN);
  expect(world.sendto(fresh, "", Msg.NOSIGNAL, null)).toBe(-Errno.EPIPE);
  expect(world.write(c, "")).toBe(0);
  expect(world.sendto(c, "x", 0, inAddr("127.0.0.1", 9))).toBe(1);
  expect(world.read(s)).toBe("x");
  expect(world.bind(c, inAddr("127.0.0.1", 0))).toBe(-Errno.EINVAL);
  expect(sysListen(world.task, c, 1)).toBe(-Errno.EINVAL);
  expect(world.ioctl(l, Ioctl.FIONREAD)).toBe(-Errno.EINVAL);
  expect(world.ioctl(l, Ioctl.SIOCOUTQ)).toBe(-Errno.EINVAL);
  const second = socket(world);
  world.setsockopt(second, SOL_SOCKET, So.REUSEADDR, 1);
  expect(world.bind(second, SERVER)).toBe(-Errno.EADDRINUSE);
  expect(world.bind(second, inAddr("127.0.0.2", 4000))).toBe(0);
  expect(world.bind(second, inAddr("127.0.0.2", 4001))).toBe(-Errno.EINVAL);
  expect(world.bind(fresh, inAddr("192.0.2.1", 0))).toBe(-Errno.EADDRNOTAVAIL);
});

it("C-40 SO_REUSEPORT lets several listen", () => {
  const world = new World();
  const listeners = [0, 1].map(() => {
    const fd = socket(world);
    world.setsockopt(fd, SOL_SOCKET, So.REUSEPORT, 1);
    expect(world.bind(fd, SERVER)).toBe(0);
    expect(sysListen(world.task, fd, 5)).toBe(0);
    return fd;
  });
  world.connect(socket(world), SERVER);
  expect(listeners.map((fd) => world.mask(fd)).sort()).toEqual([0, IN2]);
});

it("C-41 TCP_DEFER_ACCEPT", () => {
  const world = new World();
  const l = world.listener(Af.INET, Sock.STREAM, SERVER, 10);
  world.setsockopt(l, SOL_TCP, 9, 10);
  const c = socket(world);
  world.connect(c, SERVER);
  expect([world.mask(c), world.mask(l)]).toEqual([OUT2, 0]);
  world.write(c, "data");
  expect(world.mask(l)).toBe(IN2);
  const s = sysAccept(world.task, l, 0, 0);
  expect(world.read(s)).toBe("data");
});

it("C-43 one of two descriptors", () => {
  const world = new World();
  const { c, s } = connection(world);
  const recorder = world.record(s);
  const again = world.task.process.files.install(world.file(c).get(), false);
  world.close(c);
  expect(recorder.take()).toEqual([]);
  sysShutdown(world.task, again, Shut.WR);
  expect(world.mask(s)).toBe(IN2 | OUT2 | RDHUP);
});

it("C-45 disconnecting, and a connection to itself", () => {
  const world = new World();
  const { c, s } = connection(world);
  expect(world.connect(c, new Uint8Array(16))).toBe(0);
  expect(world.mask(c)).toBe(OUT2 | HUP | ERR);
  expect(world.mask(s)).toBe(CLOSED | ERR);
  expect(world.getsockopt(c, SOL_SOCKET, So.ERROR)).toBe(Errno.ECONNRESET);
  expect(world.connect(c, SERVER)).toBe(-Errno.EINPROGRESS);
  expect(world.mask(c)).toBe(OUT2);
  const self = socket(world);
  world.bind(self, inAddr("127.0.0.1", 5000));
  expect(world.connect(self, inAddr("127.0.0.1", 5000))).toBe(-Errno.EINPROGRESS);
  expect(world.mask(self)).toBe(OUT2);
  world.write(self, "echo");
  expect(world.read(self)).toBe("echo");
});

it("TIME_WAIT keeps the port from who does not ask for reuse", () => {
  const world = new World();
  const { c, s, l } = connection(world);
  world.close(s);
  world.close(c);
  world.close(l);
  const next = socket(world);
  expect(world.bind(next, SERVER)).toBe(-Errno.EADDRINUSE);
  world.setsockopt(next, SOL_SOCKET, So.REUSEADDR, 1);
  expect(world.bind(next, SERVER)).toBe(-Errno.EADDRINUSE); // the one before did not allow it
  while (world.kernel.advance());
  expect(world.kernel.clock.nowNs).toBe(60e9);
  expect(world.bind(next, SERVER)).toBe(0);
});

it("blocking accept, read, write and connect", () => {
  const world = new World();
  const l = sysSocket(world.task, Af.INET, Sock.STREAM, 0);
  world.bind(l, SERVER);
  sysListen(world.task, l, 1);
  const server = world.thread();
  expect(sysAccept(server, l, 0, 0)).toBe(BLOCKED);
  const c = socket(world, 0);
  expect(world.connect(c, SERVER)).toBe(0);
  world.kernel.settle();
  const s = world.results.of.get(server) as number;
  expect(sysRead(server, s, BUF + 4096, 10)).toBe(BLOCKED);
  world.write(c, "hi");
  world.kernel.settle();
  expect(world.results.of.get(server)).toBe(2);
  expect(sysWrite(server, c, BUF, 4_000_000)).toBe(BLOCKED);
  let got = 0;
  while (got < 4_000_000) {
    got += sysRead(world.task, s, BUF, 100_000);
    world.kernel.settle();
  }
  expect(world.results.of.get(server)).toBe(4_000_000);
});

it("names of both ends", () => {
  const world = new World();
  const { c, s } = connection(world);
  const name = (fd: number, call: typeof sysGetsockname): number[] | number => {
    world.poke32(ARG, 128);
    const err = call(world.task, fd, ARG + 64, ARG);
    return err < 0 ? err : [...world.peek(ARG + 64, world.peek32(ARG))];
  };
  expect(name(s, sysGetsockname)).toEqual([...SERVER]);
  expect(name(c, sysGetpeername)).toEqual([...SERVER]);
  expect(name(s, sysGetpeername)).toEqual(name(c, sysGetsockname));
  world.close(c);
  world.write(s, "x");
  world.write(s, "x");
  expect(name(s, sysGetpeername)).toBe(-Errno.ENOTCONN);
});

it("IPv6 loopback, and an IPv6 listener for both families", () => {
  const world = new World();
  const any = in6Addr("any", 4000);
  const l = sysSocket(world.task, Af.INET6, Sock.STREAM | Sock.NONBLOCK, 0);
  expect(world.bind(l, any)).toBe(0);
  sysListen(world.task, l, 5);
  const six = sysSocket(world.task, Af.INET6, Sock.STREAM | Sock.NONBLOCK, 0);
  expect(world.connect(six, in6Addr("loopback", 4000))).toBe(-Errno.EINPROGRESS);
  expect(world.mask(six)).toBe(OUT2);
  const four = socket(world);
  world.connect(four, SERVER);
  expect(world.mask(four)).toBe(OUT2);
  sysAccept(world.task, l, 0, 0);
  world.poke32(ARG, 128);
  expect(sysAccept(world.task, l, ARG + 64, ARG)).toBeGreaterThan(0);
  expect([...world.peek(ARG + 64 + 8, 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);
  expect(sysConnect(world.task, four, ARG, 1)).toBe(-Errno.EINVAL);
});
