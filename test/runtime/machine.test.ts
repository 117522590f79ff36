/** Programs on the model: generators, objects with a step, time, ends, and what is said of a program that went wrong. */
import seedrandom from "seedrandom";
import { describe, expect, it } from "vitest";
import {
  Af,
  BLOCKED,
  Epoll,
  EpollCtl,
  Errno,
  Machine,
  type Program,
  ProgramError,
  Sig,
  Sock,
  type StepProgram,
  type Syscalls,
} from "../../src/runtime/index.ts";

function machine(random?: () => number): Machine {
  return new Machine(random === undefined ? {} : { random });
}

describe("a program as a generator", () => {
  it("sleeps in a call until another thread wakes it, with the result of the call", () => {
    const m = machine();
    const seen: (number | string)[] = [];
    m.spawn("main", function* (sys): Program {
      const efd = sys.eventfd2(0, 0);
      const ep = sys.epollCreate1(0);
      sys.epollCtl(ep, EpollCtl.ADD, efd, Epoll.IN, 2 ** 40 + 7);
      sys.clone("writer", function* (own): Program {
        yield own.nanosleep(5_000);
        const one = own.memory.alloc(8);
        one.bytes[0] = 3;
        seen.push(yield own.write(efd, one, 8));
      });
      const events = sys.memory.allocEvents(8);
      const n = yield sys.epollWait(ep, events, 8, -1);
      seen.push(n, events.events(0), events.data(0), m.nowNs);
      const value = sys.memory.alloc(8);
      seen.push(yield sys.read(efd, value, 8), value.bytes[0] as number);
    });
    expect(m.run()).toBe(false);
    expect(seen).toEqual([8, 1, Epoll.IN, 2 ** 40 + 7, 1_000_005_000, 8, 3]);
    expect(m.sleepers()).toEqual([]);
    const { calls, wakeUps, blockedNs } = m.counters();
    expect(calls.get("epoll_wait")).toBe(1);
    expect(wakeUps).toBe(2);
    expect(blockedNs).toBe(10_000);
  });

  it("gets an error when it forgets the yield of a call that slept", () => {
    const m = machine();
    m.spawn("hasty", function* (sys): Program {
      const fds: number[] = [];
      yield sys.pipe2(fds, 0);
      sys.read(fds[0] as number, sys.memory.alloc(8), 8);
      sys.close(fds[0] as number);
    });
    expect(() => m.run()).toThrow(
      /thread 1000 \(hasty\): read\(\) still sleeps, and close\(\) is called: write 'yield' in front/,
    );
  });

  it("gets that error too when it returns or yields something else instead", () => {
    for (const body of [
      function* (sys: Syscalls): Program {
        yield sys.getpid();
        sys.nanosleep(1);
      },
      function* (sys: Syscalls): Program {
        sys.nanosleep(1);
        yield 0;
      },
    ]) {
      const m = machine();
      m.spawn("hasty", body);
      expect(() => m.run()).toThrow(/nanosleep\(\) still sleeps/);
    }
  });

  it("names its thread when it throws", () => {
    const m = machine();
    m.spawn("thrower", function* (sys): Program {
      yield sys.nanosleep(1);
      throw new TypeError("no such thing");
    });
    expect(() => m.run()).toThrow(ProgramError);
  });
});

describe("a program as an object with a step", () => {
  it("makes calls until one sleeps", () => {
    class Counter implements StepProgram {
      ticks = 0;
      step(sys: Syscalls, result: number): number {
        expect(result).toBe(0);
        while (this.ticks < 5) {
          this.ticks += 1;
          if (sys.nanosleep(1_000) === BLOCKED) return BLOCKED;
        }
        return 9;
      }
    }
    const m = machine();
    const counter = new Counter();
    const status: number[] = [];
    m.spawn("main", function* (sys): Program {
      const pid = sys.fork("counter", counter);
      status.push((yield sys.wait4(pid)) - pid, sys.waitStatus);
    });
    m.run();
    expect(counter.ticks).toBe(5);
    expect(status).toEqual([0, 9 << 8]);
    expect(m.elapsedNs).toBe(5_000);
  });
});

describe("the end of a run", () => {
  it("comes when all but daemons have ended", () => {
    const m = machine();
    m.spawn(
      "daemon",
      function* (sys): Program {
        for (;;) yield sys.nanosleep(1_000_000_000);
      },
      { daemon: true },
    );
    m.spawn("main", function* (sys): Program {
      yield sys.nanosleep(3_500_000_000);
    });
    expect(m.run()).toBe(false);
    expect(m.elapsedNs).toBe(3_500_000_000);
    expect(m.sleepers()).toEqual([]);
  });

  it("names who sleeps in which call when nothing will ever happen", () => {
    const m = machine();
    m.spawn("stuck", function* (sys): Program {
      const ep = sys.epollCreate1(0);
      yield sys.nanosleep(7);
      yield sys.epollWait(ep, sys.memory.allocEvents(1), 1, -1);
    });
    expect(m.run()).toBe(false);
    expect(m.sleepers()).toEqual([{ tid: 1000, name: "stuck", call: "epoll_wait", sinceNs: 1_000_000_007 }]);
  });

  it("takes the other threads of a process along", () => {
    const m = machine();
    m.spawn("main", function* (sys): Program {
      sys.clone("sleeper", function* (own): Program {
        yield own.nanosleep(1e15);
      });
      yield sys.nanosleep(1);
      yield sys.exitGroup(3);
    });
    m.run();
    expect(m.threads.size).toBe(0);
    expect(m.elapsedNs).toBe(1);
  });

  it("comes by a signal, too", () => {
    const m = machine();
    m.spawn("main", function* (sys): Program {
      const child = sys.fork("victim", function* (own): Program {
        yield own.nanosleep(1e15);
      });
      yield sys.nanosleep(10);
      sys.kill(child, Sig.TERM);
      expect(yield sys.wait4(child)).toBe(child);
      expect(sys.waitStatus).toBe(Sig.TERM);
    });
    m.run();
    expect(m.sleepers()).toEqual([]);
    expect(m.elapsedNs).toBe(10);
  });
});

describe("time slices", () => {
  it("let a loop that polls reach the time that it waits for", () => {
    const m = machine();
    m.spawn("poller", function* (sys): Program {
      const ep = sys.epollCreate1(0);
      const tfd = sys.timerfdCreate(0);
      sys.epollCtl(ep, EpollCtl.ADD, tfd, Epoll.IN);
      sys.timerfdSettime(tfd, 0, 2_500_000);
      const events = sys.memory.allocEvents(4);
      while ((yield sys.epollWait(ep, events, 4, 0)) === 0);
      expect(events.data(0)).toBe(tfd);
    });
    m.run();
    expect(m.counters().callsTotal).toBeGreaterThan(2000);
    expect(m.counters().callsTotal).toBeLessThan(5000);
  });

  it("let threads that never sleep take turns", () => {
    const m = new Machine({ sliceCalls: 10 });
    const order: string[] = [];
    for (const name of ["a", "b"]) {
      m.spawn(name, function* (sys): Program {
        for (let i = 0; i < 25; i += 1) {
          yield sys.getpid();
          if (i % 10 === 0) order.push(name);
        }
      });
    }
    m.run();
    expect(order).toEqual(["a", "b", "a", "b", "a", "b"]);
  });

  it("compute() takes virtual time and is no call", () => {
    const m = machine();
    m.spawn("main", function* (sys): Program {
      yield sys.compute(1_000_000);
    });
    m.run();
    expect(m.elapsedNs).toBe(1_000_000);
    expect(m.counters().callsTotal).toBe(1); // exit_group
  });
});

it("TCP: a client and a server, each a process, blocking", () => {
  const m = machine();
  const got: string[] = [];
  m.spawn(
    "server",
    function* (sys): Program {
      const lfd = sys.socket(Af.INET, Sock.STREAM);
      expect(sys.bind(lfd, sys.memory.sockaddrIn("127.0.0.1", 8080))).toBe(0);
      sys.listen(lfd, 128);
      const peer = sys.memory.sockaddrIn(0, 0);
      const buf = sys.memory.alloc(64);
      for (;;) {
        const fd = yield sys.accept4(lfd, peer, 0);
        expect(peer.address).toBe(0x7f000001);
        const n = yield sys.read(fd, buf, 64);
        yield sys.write(fd, buf, n);
        sys.close(fd);
      }
    },
    { daemon: true },
  );
  m.spawn("client", function* (sys): Program {
    const fd = sys.socket(Af.INET, Sock.STREAM);
    expect(yield sys.connect(fd, sys.memory.sockaddrIn("127.0.0.1", 8080))).toBe(0);
    const hello = sys.memory.allocText("hello");
    yield sys.write(fd, hello, 5);
    const buf = sys.memory.alloc(64);
    const n = yield sys.read(fd, buf, 64);
    got.push(buf.text(0, n));
    expect(yield sys.read(fd, buf, 64)).toBe(0);
    expect(sys.getsockopt(fd, 1, 4)).toBe(0);
    expect(sys.connect(fd, sys.memory.sockaddrIn("127.0.0.1", 1))).toBe(-Errno.EISCONN);
  });
  m.run();
  expect(got).toEqual(["hello"]);
});

it("the same seed gives the same order, another seed another", () => {
  const orderOf = (seed: string): string => {
    const m = machine(seedrandom(seed));
    let order = "";
    m.spawn("main", function* (sys): Program {
      const word = sys.memory.alloc(4);
      for (let i = 0; i < 8; i += 1) {
        sys.clone(`t${i}`, function* (own): Program {
          yield own.futexWait(word, 0);
          order += i;
        });
      }
      yield sys.nanosleep(1_000);
      sys.futexWake(word, 8);
      yield sys.nanosleep(1_000);
    });
    m.run();
    return order;
  };
  expect(orderOf("1")).toBe(orderOf("1"));
  expect(new Set(["1", "2", "3"].map(orderOf)).size).toBeGreaterThan(1);
});
