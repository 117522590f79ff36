import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, Ioctl, Msg, Shut, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysRecvfrom, sysSendto } from "../../src/syscalls/msg.ts";
import { sysRead } from "../../src/syscalls/rw.ts";
import { sysListen, sysShutdown, sysSocket } from "../../src/syscalls/socket.ts";
import { ARG, BAD, BUF, inAddr, World } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT3 = Poll.OUT | Poll.WRNORM | Poll.WRBAND;
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
const { ERR, HUP, RDHUP } = Poll;
const HERE = inAddr("127.0.0.1", 6000);
const NOBODY = inAddr("127.0.0.1", 9);

function udp(world: World, addr: Uint8Array | null = null): number {
  const fd = sysSocket(world.task, Af.INET, Sock.DGRAM | Sock.NONBLOCK, 0);
  if (addr !== null) expect(world.bind(fd, addr)).toBe(0);
  return fd;
}

it("G-01 a fresh socket", () => {
  const world = new World();
  const fd = udp(world);
  const recorder = world.record(fd);
  expect(world.mask(fd)).toBe(OUT3);
  expect([world.write(fd, "x"), world.read(fd)]).toEqual([-Errno.EDESTADDRREQ, -Errno.EAGAIN]);
  expect(sysListen(world.task, fd, 1)).toBe(-Errno.EOPNOTSUPP);
  expect(world.connect(fd, NOBODY)).toBe(0);
  expect(recorder.take()).toEqual([]);
});

it("G-02, G-03 one send: OUT for the sender, data for the receiver", () => {
  const world = new World();
  const r = udp(world, HERE);
  const s = udp(world);
  const rr = world.record(r);
  const rs = world.record(s);
  expect(world.sendto(s, "hello", 0, HERE)).toBe(5);
  expect([rs.take(), rr.take()]).toEqual([[OUT3], [RX4]]);
  expect([world.mask(r), world.mask(s)]).toEqual([IN2 | OUT3, OUT3]);
  expect(world.read(r)).toBe("hello");
});

describe("G-05, G-06: how many datagrams a receiver holds", () => {
  const table: [number, number][] = [
    [1, 256],
    [100, 256],
    [512, 166],
    [1000, 92],
    [1400, 92],
    [4096, 25],
    [9000, 12],
    [30000, 6],
    [65000, 3],
  ];
  for (const [size, count] of table) {
    it(`${size} bytes`, () => {
      const world = new World();
      const r = udp(world, HERE);
      const s = udp(world);
      world.connect(s, HERE);
      for (let i = 0; i < count + 5; i += 1) expect(world.write(s, size)).toBe(size);
      expect(world.mask(s)).toBe(OUT3);
      let got = 0;
      while (sysRead(world.task, r, BUF, 65536) === size) got += 1;
      expect(got).toBe(count);
    });
  }
  it("the smallest rcvbuf holds two; an empty queue takes anything", () => {
    const world = new World();
    const r = udp(world, HERE);
    const s = udp(world);
    world.connect(s, HERE);
    world.setsockopt(r, SOL_SOCKET, So.RCVBUF, 1);
    for (let i = 0; i < 5; i += 1) world.write(s, 1);
    expect([world.read(r).toString().length, world.read(r).toString().length, world.read(r)]).toEqual([
      1,
      1,
      -Errno.EAGAIN,
    ]);
    world.write(s, 9000);
    expect(sysRead(world.task, r, BUF, 65536)).toBe(9000);
  });
});

it("room comes back in lots of a quarter of rcvbuf", () => {
  const world = new World();
  const r = udp(world, HERE);
  const s = udp(world);
  world.connect(s, HERE);
  for (let i = 0; i < 256; i += 1) world.write(s, 1);
  for (let i = 0; i < 63; i += 1) world.read(r);
  world.write(s, 1);
  world.read(r);
  for (let i = 0; i < 100; i += 1) world.write(s, 1);
  let got = 0;
  while (sysRead(world.task, r, BUF, 10) > 0) got += 1;
  expect(got).toBe(192 + 64);
});

it("G-07, G-08 sizes", () => {
  const world = new World();
  const r = udp(world, HERE);
  const s = udp(world);
  expect(world.sendto(s, "", 0, HERE)).toBe(0);
  expect(world.mask(r)).toBe(IN2 | OUT3);
  expect(world.ioctl(r, Ioctl.FIONREAD)).toBe(0);
  expect(world.read(r)).toBe("");
  world.sendto(s, "abcdef", 0, HERE);
  world.sendto(s, "xyz", 0, HERE);
  expect(world.ioctl(r, Ioctl.FIONREAD)).toBe(6);
  expect(world.recvFds(r, 2, 0)).toMatchObject({ result: 2, text: "ab", flags: Msg.TRUNC });
  expect(sysRecvfrom(world.task, r, BUF, 1, Msg.TRUNC, 0, 0)).toBe(3);
  world.connect(s, HERE);
  expect(world.write(s, 65507)).toBe(65507);
  expect(world.write(s, 65508)).toBe(-Errno.EMSGSIZE);
});

it("G-09 a port that nobody has", () => {
  const world = new World();
  const s = udp(world);
  expect(world.sendto(s, "x", 0, NOBODY)).toBe(1);
  expect(world.mask(s)).toBe(OUT3);
  world.connect(s, NOBODY);
  const recorder = world.record(s);
  expect(world.write(s, "x")).toBe(1);
  expect(recorder.take()).toEqual([OUT3, ERR]);
  expect(world.mask(s)).toBe(OUT3 | ERR);
  expect(world.write(s, "x")).toBe(-Errno.ECONNREFUSED);
  expect(world.write(s, "x")).toBe(1);
  expect(world.read(s)).toBe(-Errno.ECONNREFUSED);
  expect(world.read(s)).toBe(-Errno.EAGAIN);
});

it("G-10, G-11 shutdown", () => {
  const world = new World();
  const r = udp(world, HERE);
  const s = udp(world);
  const recorder = world.record(r);
  expect(sysShutdown(world.task, r, Shut.RD)).toBe(-Errno.ENOTCONN);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(r)).toBe(IN2 | RDHUP | OUT3);
  expect(world.read(r)).toBe(-Errno.EAGAIN);
  world.sendto(s, "still", 0, HERE);
  expect(world.read(r)).toBe("still");
  world.connect(s, HERE);
  expect(sysShutdown(world.task, s, Shut.RD)).toBe(0);
  expect(sysShutdown(world.task, s, Shut.WR)).toBe(0);
  expect(world.mask(s)).toBe(IN2 | RDHUP | OUT3 | HUP);
  expect([world.read(s), world.write(s, "x")]).toEqual([-Errno.EAGAIN, -Errno.EPIPE]);
  expect(world.task.signalPending).toBe(false);
});

it("sources, connected receivers, errors of the calls", () => {
  const world = new World();
  const r = udp(world, HERE);
  const s = udp(world, inAddr("127.0.0.1", 6001));
  const other = udp(world);
  world.sendto(s, "x", 0, HERE);
  world.poke32(ARG, 16);
  expect(sysRecvfrom(world.task, r, BUF, 10, 0, ARG + 64, ARG)).toBe(1);
  expect([...world.peek(ARG + 64, 16)]).toEqual([...inAddr("127.0.0.1", 6001)]);
  world.connect(r, inAddr("127.0.0.1", 6001));
  world.sendto(other, "not from there", 0, HERE);
  expect(world.read(r)).toBe(-Errno.EAGAIN);
  expect(world.sendto(s, "x", 0, inAddr("127.0.0.1", 0))).toBe(-Errno.EINVAL);
  expect(world.sendto(s, "x", 0, inAddr("255.255.255.255", 5))).toBe(-Errno.EACCES);
  expect(world.sendto(s, "x", Msg.OOB, HERE)).toBe(-Errno.EOPNOTSUPP);
  expect(sysSendto(world.task, s, BAD, 3, 0, ARG + 64, 16)).toBe(-Errno.EFAULT);
  expect(world.bind(other, HERE)).toBe(-Errno.EINVAL);
  expect(world.bind(udp(world), HERE)).toBe(-Errno.EADDRINUSE);
});

it("a blocked receive", () => {
  const world = new World();
  const r = sysSocket(world.task, Af.INET, Sock.DGRAM, 0);
  world.bind(r, HERE);
  const thread = world.thread();
  expect(sysRead(thread, r, BUF + 4096, 10)).toBe(BLOCKED);
  world.sendto(udp(world), "hi", 0, HERE);
  world.kernel.settle();
  expect(world.results.of.get(thread)).toBe(2);
});
