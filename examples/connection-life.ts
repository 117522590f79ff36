/**
 * The life of pooled connections over a simulated day: workers call a backend through a pool with limits for idling, reading,
 * writing and living, load comes and goes with the hours, the backend stalls now and then, and one piece of code forgets to give
 * its connection back. A day of virtual time takes seconds.
 */
import {
  acceptThreads,
  type Blocking,
  type Cell,
  type ConnectionLimits,
  ConnectionPool,
  connectTcp,
  defineProgram,
  listenTcp,
  PooledConnection,
  type Program,
  type ProgramFunction,
  readFull,
  type Syscalls,
  writeAll,
} from "epollsim/runtime";

const PORT = 5432;
const MS = 1_000_000;
const SECOND = 1000 * MS;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const REQUEST_BYTES = 64;
/** What an upload writes at once: more than the sockets of both ends hold. */
const UPLOAD_BYTES = 8 << 20;
/** Requests an hour of one worker, by the hour of the day. */
const LOAD: readonly number[] = [2, 1, 1, 1, 1, 2, 6, 15, 30, 40, 45, 40, 35, 45, 45, 40, 35, 30, 20, 15, 10, 6, 4, 2];

/** First byte of a request: what the backend does. */
const Kind = { ECHO: 0x65, STALL: 0x73, DEAF: 0x64 } as const;

const limits: ConnectionLimits = {
  maxOpen: 12,
  idleNs: 10 * MINUTE,
  lifetimeNs: 2 * HOUR,
  readNs: 5 * SECOND,
  writeNs: 5 * SECOND,
  leakNs: 3 * MINUTE,
  recycleNs: 30 * SECOND,
};

export const program = defineProgram({
  summary: "Pooled connections over a simulated day: limits, leaks, recycling",
  options: {
    hours: { default: 24, help: "how long the day is", min: 1 },
    workers: { default: 16, help: "threads that make requests", min: 1 },
  },
  *main({ machine, random, print, table, fail }, { hours, workers }) {
    const box = machine({ random });
    box.spawn("backend", backend, { daemon: true });
    const leaks = new Map<string, number>();
    const sums = { requests: 0, failed: 0, wrong: 0 };
    let pool: ConnectionPool | null = null;
    const rows: Cell[][] = [];
    box.spawn("frontend", (sys) => frontend(sys));
    yield box;

    function* frontend(sys: Syscalls): Program {
      yield sys.nanosleep(MS);
      const own = new ConnectionPool(sys, limits, {
        connect: (calls) => connectTcp(calls, "127.0.0.1", PORT),
        leaked: ({ place }) => void leaks.set(place, (leaks.get(place) ?? 0) + 1),
      });
      pool = own;
      sys.clone("recycler", (calls) => own.recycle(calls));
      for (let i = 0; i < workers; i += 1) sys.clone(`worker ${i}`, (calls) => worker(calls, own));
      for (let hour = 0; hour < hours; hour += 1) {
        const before = { ...own.stats, ...sums };
        yield sys.nanosleep(HOUR);
        const { opened, reused, idle, lifetime } = own.stats;
        const since = (now: number, then: number): number => now - then;
        rows.push([
          `${String(hour).padStart(2, "0")}:00`,
          since(sums.requests, before.requests),
          own.open,
          since(opened, before.opened),
          since(reused, before.reused),
          since(idle, before.idle),
          since(lifetime, before.lifetime),
        ]);
      }
      // The process ends here, and takes its threads with it.
    }

    function* worker(sys: Syscalls, own: ConnectionPool): Program {
      const buf = sys.memory.alloc(REQUEST_BYTES);
      for (let hour = 0; ; hour = Math.floor((sys.nowNs - SECOND) / HOUR)) {
        const perHour = LOAD[hour % LOAD.length] ?? 1;
        yield sys.nanosleep(Math.floor((HOUR / perHour) * 2 * random()));
        const chance = random();
        if (chance < 0.002) yield* forgetful(sys, own);
        else if (chance < 0.004) yield* upload(sys, own);
        else yield* request(sys, own, buf, chance < 0.01 ? Kind.STALL : Kind.ECHO);
      }
    }

    function* request(
      sys: Syscalls,
      own: ConnectionPool,
      buf: ReturnType<Syscalls["memory"]["alloc"]>,
      kind: number,
    ): Blocking<void> {
      sums.requests += 1;
      const conn = yield* own.take(sys, "request()");
      if (!(conn instanceof PooledConnection)) {
        sums.failed += 1;
        return;
      }
      buf.bytes.fill(sums.requests & 0x7f);
      buf.bytes[0] = kind;
      const question = buf.text();
      yield* conn.write(sys, buf, REQUEST_BYTES);
      const count = yield* conn.read(sys, buf, REQUEST_BYTES);
      if (count !== REQUEST_BYTES) sums.failed += 1;
      else if (buf.text() !== question) sums.wrong += 1;
      own.give(sys, conn);
    }

    /** Writes to a backend that does not read. */
    function* upload(sys: Syscalls, own: ConnectionPool): Blocking<void> {
      const conn = yield* own.take(sys, "upload()");
      if (!(conn instanceof PooledConnection)) return;
      const block = sys.memory.alloc(UPLOAD_BYTES);
      block.bytes.fill(Kind.DEAF);
      yield* conn.write(sys, block, UPLOAD_BYTES);
      sys.memory.free(block);
      own.give(sys, conn);
    }

    /** Returns early, and so never gives the connection back. */
    function* forgetful(sys: Syscalls, own: ConnectionPool): Blocking<void> {
      yield* own.take(sys, "report(), early return");
    }

    table(["hour", "requests", "open", "opened", "reused", "idled out", "too old"], rows);
    const stats = (pool as ConnectionPool | null)?.stats;
    if (stats === undefined) return {};
    print(
      `closed: ${stats.idle} idle for 10 min, ${stats.lifetime} after 2 h, ${stats.readLimit} reads and ${stats.writeLimit} writes over 5 s, ${stats.broken} found broken`,
    );
    for (const [place, count] of leaks)
      print(`leak: ${count} connections taken by ${place} were held for more than 3 min`);
    if (sums.wrong > 0) fail(`${sums.wrong} answers are wrong`);
    const rate = ((100 * stats.reused) / (stats.reused + stats.opened)).toFixed(1);
    return {
      requests: sums.requests,
      failed: sums.failed,
      opened: stats.opened,
      reused: `${rate} %`,
      leaks: stats.leaks,
    };
  },
});

/** A thread for each connection. */
const backend: ProgramFunction = function* (sys): Program {
  return yield* acceptThreads(sys, listenTcp(sys, "127.0.0.1", PORT), serve);
};

function* serve(sys: Syscalls, fd: number): Blocking<void> {
  const buf = sys.memory.alloc(REQUEST_BYTES);
  for (;;) {
    if ((yield* readFull(sys, fd, buf, REQUEST_BYTES)) !== REQUEST_BYTES) break;
    if (buf.bytes[0] === Kind.STALL) yield sys.nanosleep(20 * SECOND);
    if (buf.bytes[0] === Kind.DEAF) {
      yield sys.nanosleep(MINUTE);
      break;
    }
    if ((yield* writeAll(sys, fd, buf, REQUEST_BYTES)) < 0) break;
  }
  sys.memory.free(buf);
}
