// The echo workload of echo.c on the model, through the system call table, bytes included.
import { firstChoice } from "../dist/kernel/choice.js";
import { Kernel } from "../dist/kernel/kernel.js";
import { kernelProfile, NEWEST } from "../dist/kernel/profile.js";
import { syscallTable } from "../dist/syscalls/index.js";

const CLIENTS = 64;
const MESSAGE = 64;
const BUFFER = 4096;
const BASE = 0x100000;
const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK = 1 | 0o4000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN_ET = 1 | (1 << 31);
const EAGAIN = 11;
const EVENT_SIZE = 12;

const { epoll_create1, epoll_ctl, epoll_wait, read, socketpair, write } = syscallTable;

/**
 * @param {number} pairs
 * @param {number} rounds
 * @returns {{ roundTrips: number, ns: number }}
 */
export function echo(pairs, rounds) {
  const kernel = new Kernel({ profile: kernelProfile(NEWEST), chooser: firstChoice, bootNs: 1, bootEpochNs: 0n });
  const task = kernel.createProcess("echo", 0, 2 * pairs + 64);
  const { view } = task.process.mm.map(BASE, 4 * BUFFER, 3);
  const buffer = BASE;
  const events = BASE + BUFFER;
  const scratch = BASE + 2 * BUFFER;
  const ep = epoll_create1(task, 0, 0, 0, 0, 0, 0);
  const clients = new Int32Array(pairs);
  const chosen = new Int32Array(CLIENTS);
  for (let i = 0; i < pairs; i += 1) {
    expect(socketpair(task, AF_UNIX, SOCK_STREAM_NONBLOCK, 0, scratch, 0, 0), 0, "socketpair");
    clients[i] = view.getInt32(scratch - BASE, true);
    const server = view.getInt32(scratch - BASE + 4, true);
    view.setInt32(scratch - BASE, EPOLLIN_ET, true);
    view.setInt32(scratch - BASE + 4, server, true);
    view.setInt32(scratch - BASE + 8, 0, true);
    expect(epoll_ctl(task, ep, EPOLL_CTL_ADD, server, scratch, 0, 0), 0, "epoll_ctl");
  }
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed >>> 8;
  };
  const serve = (wanted) => {
    for (let left = wanted; left > 0; ) {
      const count = epoll_wait(task, ep, events, CLIENTS, -1, 0, 0);
      if (count < 0) throw new Error(`epoll_wait: ${count}`);
      for (let i = 0; i < count; i += 1) {
        const fd = view.getInt32(events - BASE + i * EVENT_SIZE + 4, true);
        // A short read has drained the socket, so the edge is spent.
        const got = read(task, fd, buffer, BUFFER, 0, 0, 0);
        expect(write(task, fd, buffer, got, 0, 0, 0), got, "echo");
        left -= got / MESSAGE;
      }
    }
  };
  const started = process.hrtime.bigint();
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < CLIENTS; i += 1) {
      chosen[i] = clients[random() % pairs];
      expect(write(task, chosen[i], buffer, MESSAGE, 0, 0, 0), MESSAGE, "write");
    }
    serve(CLIENTS);
    for (let i = 0; i < CLIENTS; i += 1) {
      // A client chosen twice finds both answers in its first read.
      const got = read(task, chosen[i], buffer, BUFFER, 0, 0, 0);
      if (got < 0 && got !== -EAGAIN) throw new Error(`read: ${got}`);
    }
  }
  return { roundTrips: rounds * CLIENTS, ns: Number(process.hrtime.bigint() - started) };
}

/** @param {number} got @param {number} wanted @param {string} what */
function expect(got, wanted, what) {
  if (got !== wanted) throw new Error(`${what}: ${got}, expected ${wanted}`);
}
