import { describe, expect, test } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, Msg, Shut, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysSendto } from "../../src/syscalls/msg.ts";
import { sysAccept, sysShutdown, sysSocket } from "../../src/syscalls/socket.ts";
import { BUF, inAddr, World } from "../helpers/net-world.ts";

const SERVER = inAddr("127.0.0.1", 4000);
const OUT2 = Poll.OUT | Poll.WRNORM;
const { ERR, HUP } = Poll;

/** Two ends, of which the first has SO_ZEROCOPY, in a world with time. */
class ZeroCopyWorld extends World {
  readonly client: number;
  readonly server: number;

  /** @param rcvbuf - asked for the other end's receive buffer */
  constructor(rcvbuf: number = 32_768) {
    super();
    const l = this.listener(Af.INET, Sock.STREAM, SERVER, 10);
    this.setsockopt(l, SOL_SOCKET, So.RCVBUF, rcvbuf);
    this.client = sysSocket(this.task, Af.INET, Sock.STREAM | Sock.NONBLOCK, 0);
    this.connect(this.client, SERVER);
    this.server = sysAccept(this.task, l, 0, 0);
    this.file(this.server).flags |= Sock.NONBLOCK;
    this.setsockopt(this.client, SOL_SOCKET, So.ZEROCOPY, 1);
  }

  send(bytes: number, flags: number = Msg.ZEROCOPY): number {
    return sysSendto(this.task, this.client, BUF, bytes, flags | Msg.NOSIGNAL, 0, 0);
  }

  /** More than any delayed acknowledgment needs. */
  pause(): void {
    this.kernel.clock.advanceTo(this.kernel.clock.nowNs + 100_000_000);
  }

  drain(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const got = this.read(this.server, left);
      if (typeof got === "number") break;
      left -= got.length;
    }
    this.pause();
  }

  /** The notices that wait: first and last send, and whether the bytes were copied. */
  notices(): [number, number, number][] {
    const all: [number, number, number][] = [];
    for (;;) {
      const { result, fds } = this.recvFds(this.client, 0, 64, Msg.ERRQUEUE);
      if (result !== 0) {
        expect(result).toBe(-Errno.EAGAIN);
        return all;
      }
      const [errno, kind, first, last] = fds as [number, number, number, number];
      expect([errno, kind & 0xffff]).toEqual([0, 5]);
      all.push([first, last, kind >> 16]);
    }
  }
}

describe("C-42 completion notices of MSG_ZEROCOPY", () => {
  test("consecutive ones are joined; a send of nothing is not counted; a failed one neither", () => {
    const world = new ZeroCopyWorld();
    for (let i = 0; i < 3; i += 1) expect(world.send(100)).toBe(100);
    world.pause();
    expect(world.mask(world.client)).toBe(OUT2 | ERR);
    expect(world.notices()).toEqual([[0, 2, 1]]);
    expect(world.mask(world.client)).toBe(OUT2);
    expect([world.send(0), world.send(1)]).toEqual([0, 1]);
    world.pause();
    expect(world.notices()).toEqual([[3, 3, 1]]);
    sysShutdown(world.task, world.client, Shut.WR);
    expect(world.send(1)).toBe(-Errno.EPIPE);
    world.pause();
    expect(world.notices()).toEqual([]);
  });

  test("without SO_ZEROCOPY the flag means nothing", () => {
    const world = new ZeroCopyWorld();
    world.setsockopt(world.client, SOL_SOCKET, So.ZEROCOPY, 0);
    expect(world.send(10)).toBe(10);
    world.pause();
    expect(world.notices()).toEqual([]);
  });

  test("MSG_PEEK takes a notice like any other read of the error queue, and says where control data had no room", () => {
    const world = new ZeroCopyWorld();
    world.send(10);
    world.pause();
    const { result, flags } = world.recvFds(world.client, 0, 0, Msg.ERRQUEUE | Msg.PEEK);
    expect([result, flags]).toEqual([0, Msg.ERRQUEUE | Msg.CTRUNC]);
    expect(world.notices()).toEqual([]);
  });

  test("sends that join an unsent zero-copy buffer are told of together", () => {
    const world = new ZeroCopyWorld(50_000);
    for (let i = 0; i < 4; i += 1) expect(world.send(60_000)).toBe(60_000);
    world.pause();
    expect(world.notices()).toEqual([[0, 0, 1]]);
    world.drain(60_000);
    world.drain(60_000);
    expect(world.notices()).toEqual([]);
    world.drain(120_000);
    expect(world.notices()).toEqual([[1, 3, 1]]);
  });

  test("a plain send between them keeps them apart", () => {
    const world = new ZeroCopyWorld();
    for (let i = 0; i < 6; i += 1) expect(world.send(60_000, i % 2 === 1 ? Msg.ZEROCOPY : 0)).toBe(60_000);
    const all: [number, number, number][][] = [];
    for (let i = 0; i < 6; i += 1) {
      world.drain(60_000);
      all.push(world.notices());
    }
    expect(all.flat()).toEqual([
      [0, 0, 1],
      [1, 1, 1],
      [2, 2, 1],
    ]);
  });

  test("at most 512 KiB are joined", () => {
    const world = new ZeroCopyWorld();
    for (let i = 0; i < 12; i += 1) expect(world.send(100_000)).toBe(100_000);
    const all: [number, number, number][] = [];
    for (let i = 0; i < 14; i += 1) {
      world.drain(100_000);
      all.push(...world.notices());
    }
    expect(all).toEqual([
      [0, 4, 1],
      [5, 9, 1],
      [10, 11, 1],
    ]);
  });

  test("a send that sleeps is told of when it has returned and its last byte has arrived", () => {
    const world = new ZeroCopyWorld();
    world.file(world.client).flags &= ~Sock.NONBLOCK;
    const sender = world.thread();
    const bytes = 4_000_000;
    expect(sysSendto(sender, world.client, BUF, bytes, Msg.ZEROCOPY, 0, 0)).toBe(BLOCKED);
    for (let left = bytes; left > 0; world.kernel.settle()) {
      expect(world.notices()).toEqual([]);
      const got = world.read(world.server, 100_000);
      left -= typeof got === "string" ? got.length : 0;
    }
    world.pause();
    expect(world.results.of.get(sender)).toBe(bytes);
    expect(world.notices()).toEqual([[0, 0, 1]]);
  });

  test.each([
    ["a reset", (world: ZeroCopyWorld): unknown => world.close(world.server)],
    ["a disconnect", (world: ZeroCopyWorld): unknown => world.connect(world.client, new Uint8Array(16))],
  ])("%s ends all, what was never sent first", (_, act) => {
    const world = new ZeroCopyWorld(50_000);
    for (let i = 0; i < 15; i += 1) expect(world.send(50_000)).toBe(50_000);
    act(world);
    expect(world.mask(world.client) & (ERR | HUP)).toBe(ERR | HUP);
    expect(world.notices()).toEqual([
      [11, 14, 0],
      [0, 10, 1],
    ]);
  });
});
