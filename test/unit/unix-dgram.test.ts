import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { SIG_DFL, Sig } from "../../src/kernel/uapi/signal.ts";
import { Af, Ioctl, Msg, Shut, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysSendto } from "../../src/syscalls/msg.ts";
import { sysRead } from "../../src/syscalls/rw.ts";
import { sysShutdown, sysSocket } from "../../src/syscalls/socket.ts";
import { BUF, sunAddr, World } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT3 = Poll.OUT | Poll.WRNORM | Poll.WRBAND;
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
const { ERR, HUP, RDHUP } = Poll;
const NAME = sunAddr("@dgram");

function dgram(world: World, name: Uint8Array | null = null, flags: number = Sock.NONBLOCK): number {
  const fd = sysSocket(world.task, Af.UNIX, Sock.DGRAM | flags, 0);
  if (name !== null) world.bind(fd, name);
  return fd;
}

describe("U-03: messages that fit", () => {
  const table: [number, number][] = [
    [1, 278],
    [100, 278],
    [1000, 93],
    [4096, 26],
    [30000, 7],
    [65536, 4],
    [200000, 2],
    [212960, 1],
  ];
  for (const type of [Sock.DGRAM, Sock.SEQPACKET]) {
    for (const [size, count] of table) {
      it(`type ${type}, ${size} bytes`, () => {
        const world = new World();
        const [a] = world.pair(type);
        for (let i = 0; i < count; i += 1) expect(world.write(a, size)).toBe(size);
        expect(world.write(a, size)).toBe(-Errno.EAGAIN);
        expect(world.write(a, 212961)).toBe(-Errno.EMSGSIZE);
      });
    }
  }
});

it("U-10 the sender's rule is a stream's: first OUT at the 209th read", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  while (world.write(a, 1) > 0);
  const recorder = world.record(a);
  let reads = 0;
  while (recorder.take().length === 0) {
    world.read(b);
    reads += 1;
  }
  expect(reads).toBe(209);
});

it("U-11 an empty message is a message", () => {
  for (const type of [Sock.DGRAM, Sock.SEQPACKET]) {
    const world = new World();
    const [a, b] = world.pair(type);
    const recorder = world.record(b);
    expect(world.write(a, 0)).toBe(0);
    expect(recorder.take()).toEqual([RX4]);
    expect(world.mask(b)).toBe(IN2 | OUT3);
    expect(world.ioctl(b, Ioctl.FIONREAD)).toBe(0);
    expect(world.read(b)).toBe("");
    expect(world.read(b)).toBe(-Errno.EAGAIN);
  }
});

it("U-14, U-15 fresh sockets", () => {
  const world = new World();
  const fd = dgram(world);
  expect([world.mask(fd), world.read(fd), world.write(fd, "x")]).toEqual([OUT3, -Errno.EAGAIN, -Errno.ENOTCONN]);
  const seq = sysSocket(world.task, Af.UNIX, Sock.SEQPACKET | Sock.NONBLOCK, 0);
  expect([world.mask(seq), world.read(seq), world.write(seq, "x")]).toEqual([
    OUT3 | HUP,
    -Errno.ENOTCONN,
    -Errno.ENOTCONN,
  ]);
});

it("U-17, U-18, U-19 seqpacket reports the reset before the data, and to a writer too", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.SEQPACKET);
  world.write(a, "lost");
  world.write(b, "kept");
  world.close(b);
  expect(world.mask(a)).toBe(IN2 | OUT3 | RDHUP | HUP | ERR);
  expect(world.read(a)).toBe(-Errno.ECONNRESET);
  expect(world.read(a)).toBe("kept");
  expect(world.read(a)).toBe("");
  const [c, d] = world.pair(Sock.SEQPACKET);
  world.write(c, "lost");
  world.close(d);
  expect(world.write(c, "x")).toBe(-Errno.ECONNRESET);
  expect(world.write(c, "x")).toBe(-Errno.EPIPE);
});

it("U-36, U-37 an unconnected sender meets a full queue and is not told", () => {
  const world = new World();
  const server = dgram(world, NAME);
  const client = dgram(world);
  let sent = 0;
  while (world.sendto(client, "x", 0, NAME) === 1) sent += 1;
  expect(sent).toBe(11);
  expect(world.sendto(client, "x", 0, NAME)).toBe(-Errno.EAGAIN);
  expect(world.mask(client)).toBe(OUT3);
  const recorder = world.record(client);
  for (let i = 0; i < 11; i += 1) world.read(server);
  expect(recorder.take().length).toBe(11); // its own charge comes back, message by message
});

it("U-38 a connected sender loses OUT and is told by the next read", () => {
  const world = new World();
  const server = dgram(world, NAME);
  const client = dgram(world);
  world.connect(client, NAME);
  while (world.write(client, "x") === 1);
  expect(world.mask(client)).toBe(0);
  const recorder = world.record(client);
  world.read(server);
  expect(recorder.take()).toEqual([OUT3, OUT3]);
  expect(world.mask(client)).toBe(OUT3);
});

it("U-39 the peer closes: no mask, the first send says so", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  world.write(b, "kept");
  const recorder = world.record(a);
  world.close(b);
  expect(recorder.take()).toEqual([]);
  expect(world.mask(a)).toBe(IN2 | OUT3);
  expect(world.write(a, "x")).toBe(-Errno.ECONNREFUSED);
  expect(world.write(a, "x")).toBe(-Errno.ENOTCONN);
  const [c, d] = world.pair(Sock.DGRAM);
  world.write(c, "lost");
  const other = world.record(c);
  world.close(d);
  expect(other.take()).toEqual([OUT3]);
  expect(world.mask(c)).toBe(OUT3);
});

it("U-40 disconnecting drops what is queued and resets the peer", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  world.write(b, "dropped");
  const recorder = world.record(b);
  expect(world.connect(a, Uint8Array.of(0, 0))).toBe(0);
  expect(recorder.take()).toEqual([OUT3, ERR]);
  expect(world.mask(b)).toBe(OUT3 | ERR);
  expect(world.getsockopt(b, SOL_SOCKET, So.ERROR)).toBe(Errno.ECONNRESET);
  expect(world.read(a)).toBe(-Errno.EAGAIN);
});

it("U-41 shutdown of a datagram socket", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  sysShutdown(world.task, a, Shut.WR);
  expect([world.write(a, "x"), world.mask(b)]).toEqual([-Errno.EPIPE, OUT3]);
  sysShutdown(world.task, a, Shut.RD);
  expect(world.mask(a)).toBe(OUT3 | IN2 | RDHUP | HUP);
  expect([world.read(a), world.write(b, "x")]).toEqual([-Errno.EAGAIN, -Errno.EPIPE]);
});

it("U-42 a short read cuts the message", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  world.write(a, "abcdef");
  world.write(a, "next");
  expect(world.recvFds(b, 2, 0)).toMatchObject({ result: 2, text: "ab", flags: Msg.TRUNC });
  expect(world.read(b)).toBe("next");
  world.write(a, "abcdef");
  expect(world.recvFds(b, 2, 0, Msg.TRUNC).result).toBe(6);
});

it("U-44 SO_PEEK_OFF walks over messages", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM);
  world.write(a, "ab");
  world.write(a, "cd");
  world.setsockopt(b, SOL_SOCKET, So.PEEK_OFF, 0);
  expect(world.recv(b, 10, Msg.PEEK)).toBe("ab");
  expect(world.recv(b, 10, Msg.PEEK)).toBe("cd");
  expect(world.recv(b, 10, Msg.PEEK)).toBe(-Errno.EAGAIN);
});

it("a blocked sender goes on when its receiver has read, whichever limit held it", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.DGRAM, 0);
  const writer = world.thread();
  while (world.sendto(a, "x", Msg.DONTWAIT, null) === 1);
  expect(sysSendto(writer, a, BUF, 1, 0, 0, 0)).toBe(BLOCKED);
  while (!world.results.of.has(writer)) {
    sysRead(world.task, b, BUF, 10);
    world.kernel.settle();
  }
  expect(world.results.of.get(writer)).toBe(1);
  const server = dgram(world, NAME, 0);
  const client = dgram(world, null, 0);
  while (world.sendto(client, "x", Msg.DONTWAIT, NAME) === 1);
  const other = world.thread();
  expect(sysSendto(other, client, BUF, 1, 0, BUF + 4096 * 1000, 0)).toBe(-Errno.ENOTCONN);
  world.connect(client, NAME);
  expect(sysSendto(other, client, BUF, 1, 0, 0, 0)).toBe(BLOCKED);
  world.read(server);
  world.kernel.settle();
  expect(world.results.of.get(other)).toBe(1);
});

it("U-54 EPIPE on a datagram or sequenced packet comes without the signal", () => {
  const world = new World();
  world.task.process.sighand.action(Sig.PIPE).handler = SIG_DFL;
  for (const type of [Sock.DGRAM, Sock.SEQPACKET]) {
    const [a] = world.pair(type);
    sysShutdown(world.task, a, Shut.WR);
    expect(world.write(a, "x")).toBe(-Errno.EPIPE);
  }
  const [s] = world.pair();
  sysShutdown(world.task, s, Shut.WR);
  expect(world.sendto(s, "x", Msg.NOSIGNAL, null)).toBe(-Errno.EPIPE);
  expect(world.task.signalPending).toBe(false);
  expect(world.write(s, "x")).toBe(-Errno.EPIPE);
  expect(world.task.signalPending).toBe(true);
});
