import { expect, it } from "vitest";
import { Errno } from "../../src/kernel/uapi/errno.ts";
import { Poll } from "../../src/kernel/uapi/poll.ts";
import { Msg, SOL_SOCKET, So, Sock } from "../../src/kernel/uapi/socket.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { ARG, World } from "../helpers/net-world.ts";

const { HUP } = Poll;

function pipe(world: World): [number, number] {
  sysPipe2(world.task, ARG, Sock.NONBLOCK);
  return [world.peek32(ARG), world.peek32(ARG + 4)];
}

it("U-48, U-49 descriptors travel and take the lowest numbers", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [, w] = pipe(world);
  expect(world.sendFds(a, "x", [w, w])).toBe(1);
  const got = world.recvFds(b, 10, 64);
  expect(got).toEqual({ result: 1, text: "x", fds: [w + 1, w + 2], flags: 0 });
  expect(world.file(w + 1)).toBe(world.file(w));
  expect(world.task.process.files.cloexec(w + 1)).toBe(false);
  world.sendFds(a, "x", [w]);
  const closing = world.recvFds(b, 10, 64, Msg.CMSG_CLOEXEC);
  expect(world.task.process.files.cloexec(closing.fds[0] as number)).toBe(true);
  expect(world.sendFds(a, "x", new Array(253).fill(w))).toBe(1);
  expect(world.sendFds(a, "x", new Array(254).fill(w))).toBe(-Errno.EINVAL);
  expect(world.sendFds(a, "x", [99])).toBe(-Errno.EBADF);
  const before = world.file(w).refs;
  expect(world.sendFds(a, "", [w])).toBe(0);
  expect(world.file(w).refs).toBe(before);
});

it("U-49 without room the descriptors are closed and CTRUNC is set", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [r, w] = pipe(world);
  world.sendFds(a, "x", [w]);
  world.close(w);
  expect(world.mask(r)).toBe(0);
  expect(world.recvFds(b, 10, 0)).toMatchObject({ result: 1, fds: [], flags: Msg.CTRUNC });
  expect(world.mask(r)).toBe(HUP);
  const [r2, w2] = pipe(world);
  world.sendFds(a, "x", [w2]);
  world.close(w2);
  world.read(b);
  expect(world.mask(r2)).toBe(HUP);
});

it("U-50 a receive never goes past a piece with descriptors", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [, w] = pipe(world);
  world.write(a, "AA");
  world.sendFds(a, "BB", [w]);
  world.write(a, "CC");
  const first = world.recvFds(b, 100, 64);
  expect([first.text, first.fds.length]).toEqual(["AABB", 1]);
  expect(world.read(b)).toBe("CC");
});

it("U-51 a message in flight keeps its files open until its queue goes", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [r, w] = pipe(world);
  world.sendFds(a, "x", [w]);
  world.close(w);
  const recorder = world.record(r);
  expect(world.mask(r)).toBe(0);
  world.close(a);
  expect(world.mask(r)).toBe(0);
  world.close(b);
  expect(recorder.take()).toEqual([0]);
  expect(world.mask(r)).toBe(HUP);
});

it("U-52 with SO_PASSCRED data of different senders is not joined", () => {
  const world = new World();
  const [a, b] = world.pair();
  const child = world.kernel.fork(world.task, "child");
  world.write(a, "mine");
  world.write(a, "his", child);
  expect(world.read(b)).toBe("minehis");
  world.setsockopt(b, SOL_SOCKET, So.PASSCRED, 1);
  world.write(a, "mine");
  world.write(a, "his", child);
  expect(world.read(b)).toBe("mine");
  expect(world.read(b)).toBe("his");
});

it("a socket that only its own queue holds is collected", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [r, w] = pipe(world);
  world.sendFds(a, "x", [w]);
  world.sendFds(a, "x", [b]); // b waits in its own queue
  world.close(w);
  world.close(b);
  expect(world.mask(r)).toBe(0);
  world.close(a);
  expect(world.mask(r)).toBe(HUP);
  expect(world.task.process.user.unixInflight).toBe(0);
});

it("a circle of two is collected, one that a descriptor reaches is not", () => {
  const world = new World();
  const [a, b] = world.pair();
  const [c, d] = world.pair();
  const [r, w] = pipe(world);
  world.sendFds(a, "x", [w]);
  world.sendFds(a, "x", [d]); // d waits at b
  world.sendFds(c, "x", [b]); // b waits at d
  world.close(w);
  world.close(b);
  world.close(d);
  const spare = world.pair();
  world.close(spare[0]);
  expect(world.mask(r)).toBe(HUP);
  expect(world.mask(a) & HUP).toBe(HUP);
  const [e, f] = world.pair();
  const [r2, w2] = pipe(world);
  world.sendFds(e, "x", [w2]);
  world.sendFds(e, "x", [f]);
  world.close(w2);
  world.close(spare[1]);
  expect(world.mask(r2)).toBe(0);
  expect(world.recvFds(f, 1, 64).fds.length).toBe(1);
});
