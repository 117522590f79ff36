/** In goroutines: a buffer is held across waits, so as many are in use as requests are; sync.Pool keeps them, until the collector comes. */
import { type Chan, type Conn, type Go, goProgram, type Pool, type Runtime } from "epollsim/go";
import { BATCH_BYTES, type Buffers, HEADER_BYTES, PORT, STORE_NS, type Start, Usage, workloads } from "./usage.ts";

/** What else the handling of a request allocates: the parsed header, strings, a response. As net/http does, roughly. */
const GARBAGE_BYTES = 2048;
/** Until a header is answered something is looked up. */
const LOOKUP_NS = 200_000;
/** Batches that wait to be stored. */
const QUEUE = 16;

interface Batch {
  readonly bytes: Uint8Array;
  filled: number;
}

interface Server {
  readonly rt: Runtime;
  readonly buffers: Buffers<Uint8Array>;
  readonly full: Chan<Batch>;
  batch: Batch | null;
}

export const startGo: Start = (box, workload, pooled) => {
  const usage = new Usage();
  const size = workloads[workload];
  let runtime: Runtime | null = null;
  let pool: Pool<Uint8Array> | null = null;
  const thread = box.spawn(
    "server",
    goProgram(
      function* main(rt) {
        runtime = rt;
        const own = rt.pool(() => rt.makeBytes(size));
        pool = own;
        const buffers = usage.watch<Uint8Array>(
          pooled
            ? { take: () => own.get() ?? rt.makeBytes(size), give: (buffer) => own.put(buffer) }
            : { take: () => rt.makeBytes(size), give: () => {} },
        );
        const server: Server = { rt, buffers, full: rt.chan<Batch>(QUEUE), batch: null };
        const { value: ln, err } = yield* rt.listen("tcp4", `127.0.0.1:${PORT}`);
        if (err !== null) return rt.panic(err.text);
        rt.go("store", () => store(server));
        const serve = workload === "headers 256 B" ? parseHeaders : logLines;
        for (;;) {
          const { value: conn } = yield* ln.accept();
          if (conn !== null) rt.go("serve", () => serve(server, conn));
        }
      },
      { gomaxprocs: 2 },
    ),
    { daemon: true },
  );
  return {
    thread,
    usage,
    reused: () => (pooled ? (pool?.hits ?? 0) : 0),
    collections: () => runtime?.stats.gc ?? 0,
  };
};

function* parseHeaders({ rt, buffers }: Server, conn: Conn): Go<void> {
  const request = rt.makeBytes(HEADER_BYTES);
  for (;;) {
    const { n, err } = yield* conn.read(request);
    if (err !== null) break;
    const header = buffers.take();
    header.set(request.subarray(0, n));
    rt.gc.malloc(GARBAGE_BYTES);
    yield* rt.sleep(LOOKUP_NS);
    yield* conn.write(header.subarray(0, n));
    buffers.give(header);
  }
  yield* conn.close();
}

function* logLines(server: Server, conn: Conn): Go<void> {
  const { rt, buffers, full } = server;
  const line = rt.makeBytes(HEADER_BYTES);
  for (;;) {
    const { n, err } = yield* conn.read(line);
    if (err !== null) break;
    rt.gc.malloc(GARBAGE_BYTES);
    const before = server.batch;
    if (before !== null && before.filled + n > BATCH_BYTES) {
      server.batch = null;
      yield* full.send(before);
    }
    server.batch ??= { bytes: buffers.take(), filled: 0 };
    server.batch.bytes.set(line.subarray(0, n), server.batch.filled);
    server.batch.filled += n;
    yield* conn.write(line.subarray(0, n));
  }
  yield* conn.close();
}

/** The goroutine that stores batches, and gives their buffers back. */
function* store({ rt, buffers, full }: Server): Go<void> {
  for (;;) {
    const batch = yield* full.recv();
    if (batch === undefined) return;
    yield* rt.sleep(STORE_NS);
    buffers.give(batch.bytes);
  }
}
