/** On the reactor: everything is done before the next event is looked at, so one buffer serves all; size classes keep it. */
import {
  Acceptor,
  BufferPool,
  Connection,
  listenTcp,
  Reactor,
  Sock,
  type Syscalls,
  type UserBuffer,
} from "epollsim/runtime";
import { BATCH_BYTES, type Buffers, HEADER_BYTES, PORT, type Start, Usage, workloads } from "./usage.ts";

/** Every request has a header, which is parsed in a buffer of its own and answered. */
class HeaderConnection extends Connection {
  readonly #buffers: Buffers<UserBuffer>;
  protected override readonly readBuffer: UserBuffer;

  constructor(reactor: Reactor, buffers: Buffers<UserBuffer>, readBuffer: UserBuffer) {
    super(reactor);
    this.#buffers = buffers;
    this.readBuffer = readBuffer;
  }

  protected override received(sys: Syscalls, buf: UserBuffer, count: number): void {
    const header = this.#buffers.take();
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
  readonly #buffers: Buffers<UserBuffer>;
  readonly #fd: number;
  readonly #drain: UserBuffer;
  readonly #pipe: number;
  #batch: UserBuffer | null = null;
  #filled = 0;

  constructor(sys: Syscalls, buffers: Buffers<UserBuffer>) {
    const fds: number[] = [];
    sys.pipe2(fds, Sock.NONBLOCK);
    this.#pipe = fds[0] ?? -1;
    this.#fd = fds[1] ?? -1;
    this.#buffers = buffers;
    this.#drain = sys.memory.alloc(BATCH_BYTES);
  }

  add(sys: Syscalls, line: UserBuffer, count: number): void {
    if (this.#filled + count > BATCH_BYTES) this.#flush(sys);
    this.#batch ??= this.#buffers.take();
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

export const startReactor: Start = (box, workload, pooled) => {
  const usage = new Usage();
  const size = workloads[workload];
  let pool: BufferPool | null = null;
  const thread = box.spawn(
    "server",
    (sys) => {
      const { memory } = sys;
      const own = new BufferPool(memory);
      pool = own;
      const buffers = usage.watch<UserBuffer>(
        pooled
          ? { take: () => own.take(size), give: (buffer) => own.give(buffer) }
          : { take: () => memory.alloc(size), give: (buffer) => memory.free(buffer) },
      );
      const reactor = new Reactor(sys);
      const readBuffer = memory.alloc(HEADER_BYTES);
      const log = new BatchedLog(sys, buffers);
      const acceptor = new Acceptor((calls, fd) => {
        const conn =
          workload === "headers 256 B"
            ? new HeaderConnection(reactor, buffers, readBuffer)
            : new LogConnection(reactor, log, readBuffer);
        conn.open(calls, fd);
      });
      reactor.add(sys, listenTcp(sys, "127.0.0.1", PORT, { flags: Sock.NONBLOCK }), acceptor);
      return reactor.loop(sys);
    },
    { daemon: true },
  );
  return {
    thread,
    usage,
    reused: () => pool?.stats.reduce((sum, tier) => sum + tier.reused, 0) ?? 0,
    collections: () => "-",
  };
};
