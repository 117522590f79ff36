import { describe, expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, Ioctl, Msg, Shut, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysRecvfrom, sysSendto } from "../../src/syscalls/msg.ts";
import { sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { sysShutdown, sysSocket } from "../../src/syscalls/socket.ts";
import { sysSetsockopt } from "../../src/syscalls/sockopt.ts";
import { ARG, BAD, BUF, World } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT3 = Poll.OUT | Poll.WRNORM | Poll.WRBAND;
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
const { ERR, HUP, RDHUP, PRI } = Poll;

/** Writes until EAGAIN. @returns writes, bytes, and the write after which POLLOUT is gone. */
function fill(size: number, sndbuf: number | null): [number, number, number] {
  const world = new World();
  const [a] = world.pair();
  if (sndbuf !== null) world.setsockopt(a, SOL_SOCKET, So.SNDBUF, sndbuf);
  let writes = 0;
  let bytes = 0;
  let lost = 0;
  for (;;) {
    const result = world.write(a, size);
    if (result === -Errno.EAGAIN) return [writes, bytes, lost];
    writes += 1;
    bytes += result;
    if (lost === 0 && (world.mask(a) & Poll.OUT) === 0) lost = writes;
  }
}

describe("U-03, U-04, U-05: what fits before EAGAIN", () => {
  const table: [number | null, number, [number, number, number]][] = [
    [1, 1, [6, 6, 2]],
    [1, 100, [6, 600, 2]],
    [1, 4096, [1, 4096, 1]],
    [1, 65536, [1, 4480, 1]],
    [4096, 1, [11, 11, 3]],
    [4096, 100, [11, 1100, 3]],
    [4096, 4096, [2, 8128, 1]],
    [4096, 65536, [1, 8064, 1]],
    [16384, 1, [43, 43, 11]],
    [16384, 100, [43, 4300, 11]],
    [16384, 4096, [7, 28672, 2]],
    [16384, 65536, [1, 32640, 1]],
    [65536, 1, [171, 171, 43]],
    [65536, 100, [171, 17100, 43]],
    [65536, 4096, [27, 110592, 7]],
    [65536, 65536, [2, 131072, 1]],
    [null, 1, [278, 278, 70]],
    [null, 100, [278, 27800, 70]],
    [null, 4096, [44, 180224, 11]],
    [null, 65536, [4, 233152, 1]],
    [262144, 1, [683, 683, 171]],
    [262144, 100, [683, 68300, 171]],
    [262144, 4096, [108, 442368, 27]],
    [262144, 65536, [8, 524288, 2]],
    [1000000, 1, [2605, 2605, 652]],
    [1000000, 100, [2605, 260500, 652]],
    [1000000, 4096, [412, 1687552, 103]],
    [1000000, 65536, [30, 1966080, 8]],
    [null, 500, [167, 83500, 0]],
    [null, 1000, [93, 93000, 0]],
    [null, 2000, [49, 98000, 0]],
    [null, 1000000, [1, 219264, 0]],
  ];
  for (const [sndbuf, size, expected] of table) {
    it(`SO_SNDBUF ${sndbuf ?? "default"}, writes of ${size}`, () => {
      const [writes, bytes, lost] = fill(size, sndbuf);
      expect([writes, bytes]).toEqual(expected.slice(0, 2));
      if (expected[2] > 0) expect(lost).toBe(expected[2]);
    });
  }
});

it("U-01 SO_SNDBUF and SO_RCVBUF are doubled, limited and have a floor", () => {
  const world = new World();
  const [a] = world.pair();
  const set = (option: number, value: number, read: number): number => {
    expect(world.setsockopt(a, SOL_SOCKET, option, value)).toBe(0);
    return world.getsockopt(a, SOL_SOCKET, read);
  };
  expect(set(So.SNDBUF, 0, So.SNDBUF)).toBe(4608);
  expect(set(So.SNDBUF, -1, So.SNDBUF)).toBe(2 * 4194304);
  expect(set(So.SNDBUF, 10000, So.SNDBUF)).toBe(20000);
  expect(set(So.RCVBUF, 1, So.RCVBUF)).toBe(2304);
  expect(set(So.RCVBUF, -1, So.RCVBUF)).toBe(2 * 4194304);
  expect(set(So.SNDBUFFORCE, 100_000_000, So.SNDBUF)).toBe(200_000_000);
});

it("U-06, U-07 a piece is charged until its last byte is read; FIONREAD counts bytes, SIOCOUTQ charge", () => {
  const world = new World();
  const [a, b] = world.pair();
  world.write(a, 1000);
  expect(world.ioctl(a, Ioctl.SIOCOUTQ)).toBe(2304);
  expect(world.ioctl(b, Ioctl.FIONREAD)).toBe(1000);
  world.read(b, 999);
  expect(world.ioctl(a, Ioctl.SIOCOUTQ)).toBe(2304);
  expect(world.ioctl(b, Ioctl.FIONREAD)).toBe(1);
  world.read(b, 1);
  expect(world.ioctl(a, Ioctl.SIOCOUTQ)).toBe(0);
});

it("U-08 each piece wakes the reader with RX4, data pending or not", () => {
  const world = new World();
  const [a, b] = world.pair();
  const rb = world.record(b);
  const ra = world.record(a);
  world.write(a, "x");
  world.write(a, "y");
  expect(rb.take()).toEqual([RX4, RX4]);
  world.write(a, 65536);
  expect(rb.take()).toEqual([RX4, RX4]);
  expect(world.mask(b)).toBe(IN2 | OUT3);
  expect(ra.take()).toEqual([]);
});

it("U-10 every charge returned below the threshold wakes the writer with OUT3", () => {
  const world = new World();
  const [a, b] = world.pair();
  while (world.write(a, 4096) > 0);
  const recorder = world.record(a);
  const fired: number[] = [];
  for (let read = 1; read <= 44; read += 1) {
    world.read(b, 4096);
    if (recorder.take().length > 0) fired.push(read);
  }
  expect(fired).toEqual([34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44]);
});

it("U-11, F-18 nothing is sent or read by a call of length 0", () => {
  const world = new World();
  const [a, b] = world.pair();
  const recorder = world.record(b);
  expect(world.write(a, 0)).toBe(0);
  expect(recorder.take()).toEqual([]);
  expect(sysRead(world.task, b, BUF, 0)).toBe(0);
});

it("U-43 recv of length 0 says whether there is data", () => {
  const world = new World();
  const [a, b] = world.pair();
  expect(sysRecvfrom(world.task, b, BUF, 0, 0, 0, 0)).toBe(-Errno.EAGAIN);
  world.write(a, "x");
  expect(sysRecvfrom(world.task, b, BUF, 0, 0, 0, 0)).toBe(0);
  expect(world.read(b)).toBe("x");
});

it("U-12 EFAULT leaves the queue as it was", () => {
  const world = new World();
  const [a, b] = world.pair();
  expect(sysWrite(world.task, a, BAD, 10)).toBe(-Errno.EFAULT);
  expect(world.mask(b)).toBe(OUT3);
  expect(world.ioctl(a, Ioctl.SIOCOUTQ)).toBe(0);
  world.write(a, "abc");
  expect(sysRead(world.task, b, BAD, 10)).toBe(-Errno.EFAULT);
  expect(world.read(b)).toBe("abc");
});

it("U-13 SO_SNDBUF is an OUT wake; SO_RCVBUF and SO_RCVLOWAT are none", () => {
  const world = new World();
  const [a] = world.pair();
  const recorder = world.record(a);
  world.setsockopt(a, SOL_SOCKET, So.SNDBUF, 100000);
  expect(recorder.take()).toEqual([OUT3]);
  world.setsockopt(a, SOL_SOCKET, So.RCVBUF, 100000);
  world.setsockopt(a, SOL_SOCKET, So.RCVLOWAT, 10);
  expect(recorder.take()).toEqual([]);
});

it("U-14, U-15 a fresh stream socket", () => {
  const world = new World();
  const fd = sysSocket(world.task, Af.UNIX, Sock.STREAM | Sock.NONBLOCK, 0);
  expect(world.mask(fd)).toBe(OUT3 | HUP);
  expect(world.read(fd)).toBe(-Errno.EINVAL);
  expect(world.write(fd, "x")).toBe(-Errno.ENOTCONN);
  expect(sysShutdown(world.task, fd, Shut.RDWR)).toBe(0);
});

it("U-16 the peer closed and had read everything", () => {
  const world = new World();
  const [a, b] = world.pair();
  world.write(b, "bye");
  const recorder = world.record(a);
  world.close(b);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(a)).toBe(IN2 | OUT3 | RDHUP | HUP);
  expect(world.read(a)).toBe("bye");
  expect(world.read(a)).toBe("");
  expect(world.write(a, "x")).toBe(-Errno.EPIPE);
});

it("U-17, U-18, U-19 the peer closed with our data unread", () => {
  const world = new World();
  const [a, b] = world.pair();
  world.write(a, "lost");
  world.write(b, "kept");
  const recorder = world.record(a);
  world.close(b);
  expect(recorder.take()).toEqual([0, OUT3]);
  expect(world.mask(a)).toBe(IN2 | OUT3 | RDHUP | HUP | ERR);
  expect(world.write(a, "x")).toBe(-Errno.EPIPE);
  expect(world.read(a)).toBe("kept");
  expect(world.read(a)).toBe(-Errno.ECONNRESET);
  expect(world.mask(a)).toBe(IN2 | OUT3 | RDHUP | HUP);
  expect(world.read(a)).toBe("");
});

describe("U-20, U-21, U-22 shutdown", () => {
  const end = IN2 | OUT3 | RDHUP;
  const matrix: [string, number, number, number][] = [
    ["SHUT_RD", Shut.RD, end, OUT3],
    ["SHUT_WR", Shut.WR, OUT3, end],
    ["SHUT_RDWR", Shut.RDWR, end | HUP, end | HUP],
  ];
  for (const [name, how, self, peer] of matrix) {
    it(name, () => {
      const world = new World();
      const [a, b] = world.pair();
      const ra = world.record(a);
      const rb = world.record(b);
      expect(sysShutdown(world.task, a, how)).toBe(0);
      expect([world.mask(a), world.mask(b)]).toEqual([self, peer]);
      expect([ra.take(), rb.take()]).toEqual([[0], [0]]);
    });
  }
  it("drains before the end, and cuts the other direction off", () => {
    const world = new World();
    const [a, b] = world.pair();
    world.write(b, "data");
    sysShutdown(world.task, a, Shut.RD);
    expect(world.read(a)).toBe("data");
    expect(world.read(a)).toBe("");
    expect(world.write(a, "x")).toBe(1);
    expect(world.write(b, "x")).toBe(-Errno.EPIPE);
  });
  it("SHUT_WR on both sides is the end of both", () => {
    const world = new World();
    const [a, b] = world.pair();
    sysShutdown(world.task, a, Shut.WR);
    sysShutdown(world.task, b, Shut.WR);
    expect(world.mask(a)).toBe(end | HUP);
  });
});

it("U-44 MSG_PEEK reads across pieces and SO_PEEK_OFF remembers", () => {
  const world = new World();
  const [a, b] = world.pair();
  world.write(a, "abc");
  world.write(a, "def");
  const peek = (count: number): string | number => {
    const result = sysRecvfrom(world.task, b, BUF, count, Msg.PEEK, 0, 0);
    return result < 0 ? result : world.text(BUF, result);
  };
  expect([peek(5), peek(5)]).toEqual(["abcde", "abcde"]);
  world.setsockopt(b, SOL_SOCKET, So.PEEK_OFF, 0);
  expect([peek(2), peek(10), peek(10)]).toEqual(["ab", "cdef", -Errno.EAGAIN]);
  expect(world.getsockopt(b, SOL_SOCKET, So.PEEK_OFF)).toBe(6);
  expect(world.read(b, 4)).toBe("abcd");
  expect(world.getsockopt(b, SOL_SOCKET, So.PEEK_OFF)).toBe(2);
});

it("U-46, U-47 the urgent byte", () => {
  const world = new World();
  const [a, b] = world.pair();
  const recorder = world.record(b);
  world.poke(BUF, [97, 98, 99]);
  expect(sysSendto(world.task, a, BUF, 3, Msg.OOB, 0, 0)).toBe(3);
  expect(recorder.take()).toEqual([RX4, RX4]);
  expect(world.mask(b)).toBe(IN2 | OUT3 | PRI);
  expect(world.ioctl(b, Ioctl.FIONREAD)).toBe(3);
  expect(sysRecvfrom(world.task, b, BUF, 1, Msg.OOB, 0, 0)).toBe(1);
  expect(world.text(BUF, 1)).toBe("c");
  expect(world.mask(b) & PRI).toBe(0);
  expect(sysRecvfrom(world.task, b, BUF, 1, Msg.OOB, 0, 0)).toBe(-Errno.EINVAL);
  expect(world.read(b)).toBe("ab");
  world.poke(BUF, [100, 101]);
  sysSendto(world.task, a, BUF, 2, Msg.OOB, 0, 0);
  world.write(a, "f");
  expect(world.read(b)).toBe("d");
  expect(world.read(b)).toBe("f");
});

it("F-25, U-45 blocking reads and writes, and their timeouts", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.STREAM, 0);
  const reader = world.thread();
  expect(sysRead(reader, b, BUF + 4096, 100)).toBe(BLOCKED);
  world.write(a, "hello");
  world.kernel.settle();
  expect(world.results.of.get(reader)).toBe(5);
  expect(world.text(BUF + 4096, 5)).toBe("hello");
  world.poke(ARG, [...new Uint8Array(8), 0x50, 0xc3, 0, 0, 0, 0, 0, 0]);
  expect(sysSetsockopt(world.task, b, SOL_SOCKET, So.RCVTIMEO, ARG, 16)).toBe(0);
  expect(sysRead(reader, b, BUF + 4096, 100)).toBe(BLOCKED);
  world.kernel.advance();
  world.kernel.settle();
  expect(world.results.of.get(reader)).toBe(-Errno.EAGAIN);
  expect(world.kernel.clock.nowNs).toBe(52e6);
});

it("U-05 a blocking write sleeps between pieces and returns the whole count", () => {
  const world = new World();
  const [a, b] = world.pair(Sock.STREAM, 0);
  const writer = world.thread();
  expect(sysWrite(writer, a, BUF, 1_000_000)).toBe(BLOCKED);
  let got = 0;
  while (got < 1_000_000) {
    const result = sysRead(world.task, b, BUF, 50_000);
    expect(result).toBeGreaterThan(0);
    got += result;
    world.kernel.settle();
  }
  expect(world.results.of.get(writer)).toBe(1_000_000);
});

it("F-15 close does not interrupt a blocked read, shutdown does", () => {
  const world = new World();
  const [, b] = world.pair(Sock.STREAM, 0);
  const reader = world.thread();
  sysRead(reader, b, BUF, 10);
  sysShutdown(world.task, b, Shut.RD);
  world.kernel.settle();
  expect(world.results.of.get(reader)).toBe(0);
});

it("E-095 a fresh TCP socket is ready at once", () => {
  const world = new World();
  const fd = sysSocket(world.task, Af.INET, Sock.STREAM, 0);
  expect(world.mask(fd)).toBe(Poll.OUT | Poll.WRNORM | HUP);
});
