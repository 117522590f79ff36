/** The reactor: triggers, time-outs, wake-ups from other threads, numbers that are used again, output that waits. */
import { describe, expect, it, test } from "vitest";
import {
  Af,
  Connection,
  Epoll,
  Machine,
  type Program,
  Reactor,
  type ReactorOptions,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  Timer,
  Timers,
  type Trigger,
  type UserBuffer,
  Watcher,
} from "../../src/runtime/index.ts";

const TRIGGERS: readonly Trigger[] = ["edge", "level", "oneshot"];

function run(body: (sys: Syscalls) => Program): Machine {
  const machine = new Machine();
  machine.spawn("main", body);
  machine.run();
  expect(machine.sleepers()).toEqual([]);
  return machine;
}

class Alarm extends Timer {
  readonly #rings: (name: string) => void;
  readonly name: string;

  constructor(name: string, rings: (name: string) => void) {
    super();
    this.name = name;
    this.#rings = rings;
  }

  override expired(): void {
    this.#rings(this.name);
  }
}

class Collector extends Connection {
  protected override readonly readBuffer: UserBuffer;
  text = "";
  why: number | null = null;

  constructor(reactor: Reactor, sys: Syscalls, bufferBytes = 16) {
    super(reactor);
    this.readBuffer = sys.memory.alloc(bufferBytes);
  }

  protected override received(_sys: Syscalls, buf: UserBuffer, count: number): void {
    this.text += buf.text(0, count);
  }

  protected override closed(_sys: Syscalls, errno: number): void {
    this.why = errno;
  }
}

function pair(sys: Syscalls): [number, number] {
  const fds: number[] = [];
  expect(sys.socketpair(Af.UNIX, Sock.STREAM | Sock.NONBLOCK, 0, fds)).toBe(0);
  return [fds[0] as number, fds[1] as number];
}

describe("timers", () => {
  test("expire in the order of their deadlines, whatever was moved and cancelled in between", () => {
    const timers = new Timers();
    const rung: string[] = [];
    const alarms = Array.from({ length: 50 }, (_, i) => new Alarm(`${i}`, (name) => rung.push(name)));
    for (const [i, alarm] of alarms.entries()) timers.start(alarm, (i * 37) % 101);
    for (const alarm of alarms.filter((_, i) => i % 5 === 0)) timers.cancel(alarm);
    for (const [i, alarm] of alarms.entries()) if (i % 7 === 0) timers.start(alarm, 200 - i);
    timers.expire(300);
    const left = alarms.filter((_, i) => i % 5 !== 0 || i % 7 === 0);
    const expected = [...left].sort((a, b) => a.deadlineMs - b.deadlineMs).map(({ name }) => name);
    expect(rung).toEqual(expected);
    expect(timers.size).toBe(0);
  });

  test("wake the loop on the millisecond, not before", () => {
    const rung: number[] = [];
    run(function* (sys): Program {
      const reactor = new Reactor(sys);
      yield sys.nanosleep(300_001);
      for (const ms of [5, 3]) {
        const alarm = new Alarm("", () => {
          rung.push(sys.nowNs - 1e9);
          if (ms === 5) reactor.stop(sys);
        });
        reactor.timers.start(alarm, reactor.nowMs(sys) + ms);
      }
      return yield* reactor.loop(sys);
    });
    expect(rung).toHaveLength(2);
    for (const [index, at] of [3e6, 5e6].entries()) {
      expect(rung[index]).toBeGreaterThanOrEqual(at);
      expect(rung[index]).toBeLessThan(at + 2e6);
    }
  });
});

describe.each(TRIGGERS)("a connection, %s", (trigger) => {
  const options: ReactorOptions = { trigger };

  it("reads all that comes, to the end of the stream", () => {
    let collector: Collector | null = null;
    run(function* (sys): Program {
      const reactor = new Reactor(sys, options);
      const [near, far] = pair(sys);
      collector = new Collector(reactor, sys);
      collector.open(sys, near);
      sys.clone("peer", function* (own): Program {
        for (const text of ["more than sixteen bytes at once", " and then some"]) {
          yield own.write(far, own.memory.allocText(text), text.length);
          yield own.nanosleep(1000);
        }
        own.close(far);
        yield own.nanosleep(1000);
        reactor.stop(own);
      });
      return yield* reactor.loop(sys);
    });
    expect((collector as unknown as Collector).text).toBe("more than sixteen bytes at once and then some");
    expect((collector as unknown as Collector).why).toBe(0);
  });

  it("sends what did not fit when there is room, in order", () => {
    const text = Array.from({ length: 5000 }, (_, i) => String(i).padStart(8)).join("");
    let got = "";
    run(function* (sys): Program {
      const reactor = new Reactor(sys, options);
      const [near, far] = pair(sys);
      sys.setsockopt(near, SOL_SOCKET, So.SNDBUF, 4096);
      sys.fcntl(far, 4, 2);
      const sender = new Collector(reactor, sys);
      sender.open(sys, near);
      sender.send(sys, sys.memory.allocText(text.slice(0, 30_000)), 30_000);
      sender.send(sys, sys.memory.allocText(text.slice(30_000)), 10_000);
      expect(sender.pendingBytes).toBeGreaterThan(20_000);
      sys.clone("reader", function* (own): Program {
        const buf = own.memory.alloc(1000);
        while (got.length < text.length) {
          const n = yield own.read(far, buf, 1000);
          got += buf.text(0, n);
        }
        reactor.stop(own);
      });
      return yield* reactor.loop(sys);
    });
    expect(got).toBe(text);
  });
});

test("post: a task of another thread runs on the loop's", () => {
  const ran: string[] = [];
  run(function* (sys): Program {
    const reactor = new Reactor(sys);
    sys.clone("other", function* (own): Program {
      yield own.nanosleep(1000);
      for (const name of ["a", "b"]) {
        reactor.post(own, (loop) => {
          ran.push(`${name} ${loop === sys}`);
          if (name === "b") reactor.stop(loop);
        });
      }
    });
    return yield* reactor.loop(sys);
  });
  expect(ran).toEqual(["a true", "b true"]);
});

test("an event of a descriptor that was closed in the same batch does not reach whoever has its number now", () => {
  const events: string[] = [];
  class Named extends Watcher {
    readonly #name: string;
    readonly #then: () => void;

    constructor(name: string, then: () => void) {
      super();
      this.#name = name;
      this.#then = then;
    }

    override ready(): void {
      events.push(this.#name);
      this.#then();
    }
  }
  run(function* (sys): Program {
    const reactor = new Reactor(sys, { trigger: "level" });
    const [one] = pair(sys);
    const [two, twoFar] = pair(sys);
    const [, oneFar] = [one, one + 1];
    const second = new Named("second", () => reactor.stop(sys));
    const first = new Named("first", () => {
      const number = second.fd;
      reactor.close(sys, second);
      expect(sys.dup(oneFar)).toBe(number);
      reactor.add(sys, number, new Named("third", () => {}), Epoll.PRI);
      reactor.close(sys, first);
      reactor.stop(sys);
    });
    reactor.add(sys, one, first);
    reactor.add(sys, two, second);
    for (const fd of [oneFar, twoFar]) sys.write(fd, sys.memory.allocText("x"), 1);
    return yield* reactor.loop(sys);
  });
  expect(events).toEqual(["first"]);
});

test("oneshot: two threads run one loop, and no connection is in both at once", () => {
  let inside = 0;
  let most = 0;
  const handled = new Map<number, number>();
  class Slow extends Watcher {
    override ready(sys: Syscalls): void {
      inside += 1;
      most = Math.max(most, inside);
      handled.set(sys.thread.task.tid, (handled.get(sys.thread.task.tid) ?? 0) + 1);
      sys.read(this.fd, buffer as UserBuffer, 8);
      inside -= 1;
    }
  }
  let buffer: UserBuffer | null = null;
  run(function* (sys): Program {
    buffer = sys.memory.alloc(8);
    const reactor = new Reactor(sys, { trigger: "oneshot", maxEvents: 1 });
    const pairs = Array.from({ length: 4 }, () => pair(sys));
    for (const [near] of pairs) reactor.add(sys, near, new Slow());
    sys.clone("second loop", (own) => reactor.loop(own));
    sys.clone("peers", function* (own): Program {
      const x = own.memory.allocText("x");
      for (let round = 0; round < 10; round += 1) {
        for (const [, far] of pairs) yield own.write(far, x, 1);
        yield own.nanosleep(1000);
      }
      reactor.stop(own);
    });
    return yield* reactor.loop(sys);
  });
  expect(most).toBe(1);
  expect([...handled.values()].reduce((a, b) => a + b)).toBe(40);
  expect(handled.size).toBe(2);
});
