/**
 * Buffer pools for two workloads of a server: parsing headers in 256 bytes, and collecting log lines in batches of 4 KiB.
 *
 * Each is run on the reactor twice, with a pool and with a fresh buffer each time: how many bytes had to be allocated, and how often a
 * buffer was used again.
 */
import {
  Acceptor,
  BufferPool,
  type Cell,
  Connection,
  type Counters,
  defineProgram,
  listenTcp,
  type Program,
  Reactor,
  Sock,
  type Syscalls,
  type UserBuffer,
  type UserMemory,
} from "epollsim/runtime";
import { type EchoResult, echoClients } from "./lib/echo-clients.ts";

const PORT = 8080;
const HEADER_BYTES = 256;
const BATCH_BYTES = 4096;

/** Where a server gets its buffers. */
interface Buffers {
  readonly take: (length: number) => UserBuffer;
  readonly give: (buffer: UserBuffer) => void;
}

interface Usage {
  takes: number;
  live: number;
  mostLive: number;
}

function counted(buffers: Buffers, usage: Usage): Buffers {
  return {
    take: (length) => {
      usage.takes += 1;
      usage.live += 1;
      usage.mostLive = Math.max(usage.mostLive, usage.live);
      return buffers.take(length);
    },
    give: (buffer) => {
      usage.live -= 1;
      buffers.give(buffer);
    },
  };
}

/** Every request has a header, which is parsed in a buffer of its own and answered. */
class HeaderConnection extends Connection {
  readonly #buffers: Buffers;
  protected override readonly readBuffer: UserBuffer;

  constructor(reactor: Reactor, buffers: Buffers, readBuffer: UserBuffer) {
    super(reactor);
    this.#buffers = buffers;
    this.readBuffer = readBuffer;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    const header = this.#buffers.take(HEADER_BYTES);
    header.bytes.set(buf.bytes.subarray(0, count));
    this.send(sys, header, count);
    this.#buffers.give(header);
  }
}

/** Every request is a log line too: lines are collected until the batch is full, and then written to a pipe. */
class LogConnection extends Connection {
  readonly #log: BatchedLog;
  protected override readonly readBuffer: UserBuffer;

  constructor(reactor: Reactor, log: BatchedLog, readBuffer: UserBuffer) {
    super(reactor);
    this.#log = log;
    this.readBuffer = readBuffer;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    this.#log.add(sys, buf, count);
    this.send(sys, buf, count);
  }
}

class BatchedLog {
  readonly #buffers: Buffers;
  readonly #fd: number;
  readonly #drain: UserBuffer;
  readonly #pipe: number;
  #batch: UserBuffer | null = null;
  #filled = 0;

  constructor(sys: Syscalls, buffers: Buffers) {
    const fds: number[] = [];
    sys.pipe2(fds, Sock.NONBLOCK);
    this.#pipe = fds[0] ?? -1;
    this.#fd = fds[1] ?? -1;
    this.#buffers = buffers;
    this.#drain = sys.memory.alloc(BATCH_BYTES);
  }

  add(sys: Syscalls, line: UserBuffer, count: number): void {
    if (this.#filled + count > BATCH_BYTES) this.#flush(sys);
    this.#batch ??= this.#buffers.take(BATCH_BYTES);
    this.#batch.bytes.set(line.bytes.subarray(0, count), this.#filled);
    this.#filled += count;
  }

  #flush(sys: Syscalls): void {
    const batch = this.#batch;
    if (batch === null) return;
    sys.write(this.#fd, batch, this.#filled);
    sys.read(this.#pipe, this.#drain, BATCH_BYTES); // what stores the log
    this.#buffers.give(batch);
    this.#batch = null;
    this.#filled = 0;
  }
}

const WORKLOADS = ["headers 256 B", "log batches 4 KiB"] as const;
type Workload = (typeof WORKLOADS)[number];

function server(workload: Workload, makeBuffers: (memory: UserMemory) => Buffers): (sys: Syscalls) => Program {
  return (sys) => {
    const reactor = new Reactor(sys);
    const buffers = makeBuffers(sys.memory);
    const readBuffer = sys.memory.alloc(HEADER_BYTES);
    const log = new BatchedLog(sys, buffers);
    const acceptor = new Acceptor((own, fd) => {
      const conn =
        workload === "headers 256 B"
          ? new HeaderConnection(reactor, buffers, readBuffer)
          : new LogConnection(reactor, log, readBuffer);
      conn.open(own, fd);
    });
    reactor.add(sys, listenTcp(sys, "127.0.0.1", PORT, { flags: Sock.NONBLOCK }), acceptor);
    return reactor.loop(sys);
  };
}

export const program = defineProgram({
  summary: "Size-classed buffer pools: reuse and bytes allocated, with and without",
  options: {
    clients: { default: 100, help: "connections", min: 1 },
    rounds: { default: 50, help: "requests of each", min: 1 },
  },
  *main({ machine, table, fail }, { clients, rounds }) {
    const runs = WORKLOADS.flatMap((workload) => [false, true].map((pooled) => start(workload, pooled)));
    const rows: Cell[][] = [];
    for (const { box, workload, result, row } of runs) {
      yield box;
      if (result.wrong > 0) fail(`${workload}: ${result.wrong} answers are wrong`);
      rows.push(row());
    }
    const header = ["workload", "buffers", "taken", "reused", "rate", "bytes allocated", "most at once", "calls"];
    table(header, rows);
    return { clients, requests: clients * rounds };

    function start(workload: Workload, pooled: boolean) {
      const box = machine({ name: `${workload.split(" ")[0]} ${pooled ? "pool" : "fresh"}` });
      const usage: Usage = { takes: 0, live: 0, mostLive: 0 };
      let pool: BufferPool | null = null;
      const main = box.spawn(
        "server",
        server(workload, (memory) => {
          pool = new BufferPool(memory);
          const own = pool;
          const pools: Buffers = { take: (length) => own.take(length), give: (buffer) => own.give(buffer) };
          const heap: Buffers = { take: (length) => memory.alloc(length), give: (buffer) => memory.free(buffer) };
          return counted(pooled ? pools : heap, usage);
        }),
        { daemon: true },
      );
      const result: EchoResult = { roundTrips: 0, wrong: 0 };
      box.spawn("clients", echoClients({ clients, rounds, port: PORT, messageBytes: 120 }, result));
      return { box, workload, result, row: () => rowOf(workload, pooled, usage, pool, box.counters(main)) };
    }
  },
});

function rowOf(workload: Workload, pooled: boolean, usage: Usage, pool: BufferPool | null, counters: Counters): Cell[] {
  const size = workload === "headers 256 B" ? HEADER_BYTES : BATCH_BYTES;
  const tiers = pooled && pool !== null ? pool.stats : [];
  const reused = tiers.reduce((sum, tier) => sum + tier.reused, 0);
  const allocated = pooled ? tiers.reduce((sum, tier) => sum + tier.allocatedBytes, 0) : usage.takes * size;
  const rate = `${((100 * reused) / Math.max(1, usage.takes)).toFixed(2)} %`;
  return [
    workload,
    pooled ? "pool" : "fresh",
    usage.takes,
    reused,
    rate,
    allocated,
    usage.mostLive,
    counters.callsTotal,
  ];
}
