import { expect, it } from "vitest";
import { BLOCKED } from "../../src/kernel/sched/task.ts";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Af, Msg, Shut, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import {
  sysAccept,
  sysAccept4,
  sysConnect,
  sysGetpeername,
  sysGetsockname,
  sysListen,
  sysShutdown,
  sysSocket,
} from "../../src/syscalls/socket.ts";
import { ARG, BAD, sunAddr, World } from "../helpers/net-world.ts";

const IN2 = Poll.IN | Poll.RDNORM;
const OUT3 = Poll.OUT | Poll.WRNORM | Poll.WRBAND;
const RX4 = Poll.IN | Poll.PRI | Poll.RDNORM | Poll.RDBAND;
const { ERR, HUP, RDHUP } = Poll;
const NAME = sunAddr("@srv");

function stream(world: World, flags: number = Sock.NONBLOCK, type: number = Sock.STREAM): number {
  return sysSocket(world.task, Af.UNIX, type | flags, 0);
}

function accept(world: World, fd: number): number {
  return sysAccept(world.task, fd, 0, 0);
}

it("U-25, U-27, U-28, U-29 connect queues, accept takes", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  expect(world.mask(server)).toBe(0);
  const recorder = world.record(server);
  const a = stream(world);
  const b = stream(world);
  const c = stream(world);
  expect(world.connect(a, NAME)).toBe(0);
  expect(world.mask(a)).toBe(OUT3);
  expect(world.connect(b, NAME)).toBe(0);
  expect(recorder.take()).toEqual([RX4, RX4]);
  expect(world.connect(c, NAME)).toBe(-Errno.EAGAIN);
  expect(world.mask(c)).toBe(OUT3 | HUP);
  expect(world.mask(server)).toBe(IN2);
  expect(world.write(a, "early")).toBe(5);
  expect(recorder.take()).toEqual([]);
  const conn = accept(world, server);
  expect(world.mask(conn)).toBe(IN2 | OUT3);
  expect(world.read(conn)).toBe("early");
  expect(recorder.take()).toEqual([]);
  expect(world.connect(c, NAME)).toBe(0);
  accept(world, server);
  accept(world, server);
  expect(accept(world, server)).toBe(-Errno.EAGAIN);
});

it("U-27 backlog N holds N+1, and -1 is the largest", () => {
  const world = new World();
  world.listener(Af.UNIX, Sock.STREAM, NAME, -1);
  let held = 0;
  for (; held < 200; held += 1) expect(world.connect(stream(world), NAME)).toBe(0);
  world.listener(Af.UNIX, Sock.STREAM, sunAddr("@zero"), 0);
  expect(world.connect(stream(world), sunAddr("@zero"))).toBe(0);
  expect(world.connect(stream(world), sunAddr("@zero"))).toBe(-Errno.EAGAIN);
});

it("U-29 accept wakes a blocked connect", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 0);
  world.connect(stream(world), NAME);
  const client = stream(world, 0);
  const thread = world.thread();
  expect(world.connect(client, NAME, thread)).toBe(BLOCKED);
  accept(world, server);
  world.kernel.settle();
  expect(world.results.of.get(thread)).toBe(0);
  expect(world.mask(client)).toBe(OUT3);
});

it("a blocked accept takes the next connection and holds its number meanwhile", () => {
  const world = new World();
  const server = sysSocket(world.task, Af.UNIX, Sock.STREAM, 0);
  world.bind(server, NAME);
  sysListen(world.task, server, 5);
  const thread = world.thread();
  expect(sysAccept(thread, server, 0, 0)).toBe(BLOCKED);
  const client = stream(world);
  expect(client).toBe(server + 2);
  world.connect(client, NAME);
  world.kernel.settle();
  expect(world.results.of.get(thread)).toBe(server + 1);
});

it("U-26 listen and accept on the wrong socket", () => {
  const world = new World();
  const [a] = world.pair();
  const fresh = stream(world);
  const dgram = stream(world, 0, Sock.DGRAM);
  expect(sysListen(world.task, fresh, 1)).toBe(-Errno.EINVAL);
  expect(sysListen(world.task, a, 1)).toBe(-Errno.EINVAL);
  expect(sysListen(world.task, dgram, 1)).toBe(-Errno.EOPNOTSUPP);
  expect(accept(world, dgram)).toBe(-Errno.EOPNOTSUPP);
  expect(accept(world, fresh)).toBe(-Errno.EINVAL);
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const seq = world.listener(Af.UNIX, Sock.SEQPACKET, sunAddr("@seq"), 1);
  expect([world.read(server), world.write(server, "x")]).toEqual([-Errno.EINVAL, -Errno.ENOTCONN]);
  expect([world.read(seq), world.write(seq, "x")]).toEqual([-Errno.ENOTCONN, -Errno.ENOTCONN]);
});

it("U-30, U-31 names", () => {
  const world = new World();
  const path = sunAddr("s");
  const missing = stream(world);
  expect(world.connect(missing, path)).toBe(-Errno.ENOENT);
  expect(world.connect(missing, NAME)).toBe(-Errno.ECONNREFUSED);
  const bound = stream(world);
  expect(world.bind(bound, path)).toBe(0);
  expect(world.connect(missing, path)).toBe(-Errno.ECONNREFUSED);
  expect(world.bind(bound, path)).toBe(-Errno.EADDRINUSE);
  expect(world.bind(bound, sunAddr("other"))).toBe(-Errno.EINVAL);
  expect(world.connect(stream(world, 0, Sock.DGRAM), path)).toBe(-Errno.EPROTOTYPE);
  world.close(bound);
  expect(world.connect(missing, path)).toBe(-Errno.ECONNREFUSED);
  expect(world.bind(stream(world), path)).toBe(-Errno.EADDRINUSE);
  expect(world.bind(stream(world), NAME)).toBe(0);
  expect(world.bind(stream(world), NAME)).toBe(-Errno.EADDRINUSE);
});

it("getsockname and getpeername", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, sunAddr("s"), 1);
  const client = stream(world);
  world.connect(client, sunAddr("s"));
  const conn = accept(world, server);
  const name = (fd: number, call: typeof sysGetsockname): Uint8Array | number => {
    world.poke32(ARG, 128);
    const err = call(world.task, fd, ARG + 64, ARG);
    return err < 0 ? err : world.peek(ARG + 64, world.peek32(ARG));
  };
  expect(name(conn, sysGetsockname)).toEqual(sunAddr("s"));
  expect(name(client, sysGetpeername)).toEqual(sunAddr("s"));
  expect(name(conn, sysGetpeername)).toEqual(Uint8Array.of(1, 0));
  expect(name(server, sysGetpeername)).toBe(-Errno.ENOTCONN);
});

it("U-32 the listener closes over unaccepted connections", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const client = stream(world);
  world.connect(client, NAME);
  const recorder = world.record(client);
  world.close(server);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(client)).toBe(ERR | HUP | IN2 | OUT3 | RDHUP);
  expect(world.read(client)).toBe(-Errno.ECONNRESET);
  expect(world.read(client)).toBe("");
  expect(world.write(client, "x")).toBe(-Errno.EPIPE);
});

it("U-33 a client that closed before accept", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const client = stream(world);
  world.connect(client, NAME);
  world.write(client, "bye");
  const recorder = world.record(server);
  world.close(client);
  expect(recorder.take()).toEqual([]);
  const conn = accept(world, server);
  expect(world.read(conn)).toBe("bye");
  expect(world.read(conn)).toBe("");
});

it("U-34 shutdown of a listener", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const recorder = world.record(server);
  sysShutdown(world.task, server, Shut.RDWR);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(server)).toBe(IN2 | RDHUP | HUP);
  expect(accept(world, server)).toBe(-Errno.EAGAIN);
  expect(world.connect(stream(world), NAME)).toBe(-Errno.ECONNREFUSED);
});

it("U-35 sendto with an address", () => {
  const world = new World();
  const [a] = world.pair();
  expect(world.sendto(a, "x", 0, NAME)).toBe(-Errno.EISCONN);
  expect(world.sendto(stream(world), "x", 0, NAME)).toBe(-Errno.EOPNOTSUPP);
  expect(world.setsockopt(a, 6, 1, 1)).toBe(-Errno.EOPNOTSUPP);
});

it("U-53 an accepted socket does not inherit O_NONBLOCK; SO_PEERCRED names the connector", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  world.connect(stream(world), NAME);
  const conn = accept(world, server);
  expect(world.file(conn).nonblock).toBe(false);
  expect(world.getsockopt(conn, SOL_SOCKET, So.PEERCRED)).toBe(world.task.process.tgid);
  expect(world.getsockopt(conn, SOL_SOCKET, So.RCVLOWAT)).toBe(1);
});

it("F-06, F-21, F-22 errors of the calls themselves", () => {
  const world = new World(4);
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const client = stream(world);
  expect(sysConnect(world.task, client, ARG, 200)).toBe(-Errno.EINVAL);
  expect(sysConnect(world.task, client, BAD, 10)).toBe(-Errno.EFAULT);
  expect(sysShutdown(world.task, client, 3)).toBe(-Errno.EINVAL);
  expect(sysAccept4(world.task, server, 0, 0, 1)).toBe(-Errno.EINVAL);
  expect(sysAccept4(world.task, 99, 0, 0, 1)).toBe(-Errno.EBADF);
  world.connect(client, NAME);
  stream(world);
  stream(world);
  expect(accept(world, server)).toBe(-Errno.EMFILE);
  expect(world.mask(server)).toBe(IN2);
  expect(stream(world)).toBe(-Errno.EMFILE);
});

it("accept with a bad address loses the connection", () => {
  const world = new World();
  const server = world.listener(Af.UNIX, Sock.STREAM, NAME, 1);
  const client = stream(world);
  world.connect(client, NAME);
  expect(sysAccept(world.task, server, ARG, BAD)).toBe(-Errno.EFAULT);
  expect(world.mask(client)).toBe(IN2 | OUT3 | RDHUP | HUP);
  expect(world.recv(client, 10, Msg.DONTWAIT)).toBe("");
});
