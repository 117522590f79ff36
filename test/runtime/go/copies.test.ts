/** Copies by sendfile and splice, many buffers by writev, and finalizers. */
import {
  bytesOf,
  type Conn,
  copy,
  copyN,
  EOF,
  ErrClosed,
  type File,
  type Go,
  type Runtime,
  readAll,
} from "epollsim/go";
import { describe, expect, test } from "vitest";
import { pair } from "../../../examples/go/lib/pair.ts";
import { Open } from "../../../src/kernel/uapi/fcntl.ts";
import { type GoRun, runGo } from "../../helpers/go.ts";

const MIB = 1 << 20;
const EAGAIN = -11;
const MS = 1_000_000;
const F_GETPIPE_SZ = 1032;
const F_SETPIPE_SZ = 1031;

/** A file of so many bytes, at its start. */
function* fileOf(rt: Runtime, length: number): Go<File> {
  const { value, err } = yield* rt.open("data", Open.RDWR | Open.CREAT);
  if (err !== null) return rt.panic(err.text);
  const bytes = Uint8Array.from({ length }, (_, i) => (i >> 12) & 0xff);
  if (length > 0) yield* value.write(bytes);
  yield* rt.syscall("lseek", (sys) => sys.call("lseek", value.fd.sysfd, 0, 0));
  return value;
}

/** Two connected unix stream sockets. */
function* unixPair(rt: Runtime): Go<[Conn, Conn]> {
  const { value: ln, err } = yield* rt.listen("unix", "@copies");
  if (err !== null) return rt.panic(err.text);
  const dial = yield* rt.dial("unix", ln.addr);
  const accept = yield* ln.accept();
  if (dial.err !== null || accept.err !== null) return rt.panic("no connection");
  yield* ln.close();
  return [dial.value, accept.value];
}

/** Reads `conn` to its end while `body` runs, which then closes `a`. */
function* received(rt: Runtime, a: Conn, b: Conn, body: () => Go<void>): Go<Uint8Array> {
  rt.go("copier", function* () {
    yield* body();
    yield* a.closeWrite();
  });
  // The buffers of both ends fill.
  yield* rt.sleep(20 * MS);
  const { bytes } = yield* readAll(b);
  return bytes;
}

/** The calls of this name: what was asked for, and what was moved. */
function moves(run: GoRun, name: "sendfile" | "splice" | "writev"): [number, number][] {
  const at = { sendfile: 3, splice: 4, writev: 2 }[name];
  return run.named(name).map((call) => [call.args[at] ?? 0, call.result ?? 0]);
}

describe("sendfile", () => {
  const sent = (version: string, length: number): GoRun => {
    let n = 0;
    const run = runGo(
      function* main(rt) {
        const [a, b] = yield* pair(rt);
        const file = yield* fileOf(rt, length);
        const bytes = yield* received(rt, a, b, function* () {
          ({ n } = yield* copy(rt, a, file));
        });
        expect(bytes.length).toBe(length);
        expect(bytes[length - 1] ?? -1).toBe(length === 0 ? -1 : ((length - 1) >> 12) & 0xff);
      },
      { version },
    );
    expect(n).toBe(length);
    return run;
  };

  test("R-150: a file goes into a connection in calls of at most 4 MiB in 1.19, of 2 GiB in the newest; EAGAIN waits", () => {
    for (const [version, most] of [
      ["1.19", 4 * MIB],
      ["newest", 2 ** 31 - 1],
    ] as const) {
      const run = sent(version, 9 * MIB);
      const calls = moves(run, "sendfile");
      expect(calls.every(([asked]) => asked === most)).toBe(true);
      expect(calls.some(([, moved]) => moved === EAGAIN)).toBe(true);
      expect(calls.at(-1)?.[1]).toBe(0);
      expect(calls.reduce((sum, [, moved]) => sum + Math.max(0, moved), 0)).toBe(9 * MIB);
      expect(run.rt.stats.parksByReason.get("IO wait")).toBeGreaterThan(1);
    }
  });

  test("R-150: an empty file is copied once more by read and write in 1.19; the newest believes the first 0", () => {
    const reads = (version: string): number =>
      sent(version, 0)
        .named("read")
        .filter((call) => call.args[2] === 32_768).length;
    expect([reads("1.19"), reads("newest")]).toEqual([1, 0]);
  });

  test("copyN takes so many bytes of the file, and leaves the rest; to a unix connection only the newest uses sendfile", () => {
    const calls = (version: string): [number, number][] =>
      moves(
        runGo(
          function* main(rt) {
            const [a, b] = yield* pair(rt);
            const file = yield* fileOf(rt, 10_000);
            const bytes = yield* received(rt, a, b, function* () {
              expect(yield* copyN(rt, a, file, 6_000)).toMatchObject({ n: 6_000, err: null });
            });
            expect(bytes.length).toBe(6_000);
            const [c, d] = yield* unixPair(rt);
            const rest = yield* received(rt, c, d, function* () {
              expect((yield* copy(rt, c, file)).n).toBe(4_000);
            });
            expect(rest.length).toBe(4_000);
            expect((yield* copyN(rt, c, file, 1)).err).toBe(EOF);
          },
          { version },
        ),
        "sendfile",
      );
    expect(calls("1.19")).toEqual([[6_000, 6_000]]);
    expect(calls("newest")).toEqual([
      [6_000, 6_000],
      [2 ** 31 - 1, 4_000],
      [2 ** 31 - 1, 0],
    ]);
  });

  test("a file that is closed gives no descriptor, and the copy its error", () => {
    runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      const file = yield* fileOf(rt, 10);
      yield* file.close();
      expect((yield* copy(rt, a, file)).err?.text).toBe("file already closed");
    });
  });
});

describe("splice", () => {
  /** Two relays one after the other. */
  const relayed = (version: string): GoRun =>
    runGo(
      function* main(rt) {
        for (let round = 0; round < 2; round += 1) {
          const [s1, s2] = yield* pair(rt);
          const [t1, t2] = yield* pair(rt);
          rt.go("source", function* () {
            yield* rt.sleep(MS);
            yield* s1.write(new Uint8Array(300_000).fill(round + 1));
            yield* s1.closeWrite();
          });
          const bytes = yield* received(rt, t1, t2, function* () {
            expect(yield* copy(rt, t1, s2)).toMatchObject({ n: 300_000, err: null });
          });
          expect(bytes.length).toBe(300_000);
          expect(bytes.every((byte) => byte === round + 1)).toBe(true);
        }
      },
      { version },
    );

  test("R-150: a connection goes into another through a pipe of a pool, at most 4 MiB a call in 1.19, 1 MiB in the newest", () => {
    for (const [version, most, question] of [
      ["1.19", 4 * MIB, [F_GETPIPE_SZ, 0]],
      ["newest", MIB, [F_SETPIPE_SZ, MIB]],
    ] as const) {
      const run = relayed(version);
      const into = run.named("splice").filter((call) => call.args[4] === most);
      const out = run.named("splice").filter((call) => call.args[4] !== most);
      expect(into.some((call) => call.result === EAGAIN)).toBe(true);
      // What came in goes out, before the next comes in; 0 is the end.
      const moved = into.map((call) => call.result ?? 0).filter((n) => n >= 0);
      expect(out.map((call) => call.result)).toEqual(moved.filter((n) => n > 0));
      expect(moved.filter((n) => n === 0)).toHaveLength(2);
      expect(run.named("splice").every((call) => call.args[5] === 2)).toBe(true);
      // Made once, and asked about once; the second relay takes it from the pool.
      const [rfd] = out.map((call) => call.args[0]);
      const asked = run.named("fcntl").filter((call) => (call.args[1] ?? 0) > 1000);
      expect(asked.map((call) => call.args.slice(0, 3))).toEqual([[rfd, ...question]]);
      expect(new Set(out.map((call) => call.args[0])).size).toBe(1);
    }
  });

  test("a relay to a unix connection reads and writes in 1.19; the newest splices", () => {
    const calls = (version: string): number =>
      runGo(
        function* main(rt) {
          const [s1, s2] = yield* pair(rt);
          const [t1, t2] = yield* unixPair(rt);
          yield* s1.write(bytesOf("across"));
          yield* s1.closeWrite();
          const bytes = yield* received(rt, t1, t2, function* () {
            expect((yield* copy(rt, t1, s2)).n).toBe(6);
          });
          expect(bytes).toEqual(bytesOf("across"));
        },
        { version },
      ).named("splice").length;
    expect([calls("1.19"), calls("newest")]).toEqual([0, 3]);
  });

  test("a pipe with something left in it is closed, not kept", () => {
    const { calls } = runGo(function* main(rt) {
      const [s1, s2] = yield* pair(rt);
      const [t1, t2] = yield* pair(rt);
      yield* s1.write(new Uint8Array(1000));
      yield* t1.closeWrite();
      yield* rt.sleep(MS);
      const { n, err } = yield* copy(rt, t1, s2);
      expect([n, err?.text]).toEqual([0, "broken pipe"]);
      yield* t2.close();
    });
    const at = calls.findIndex((call) => call.name === "splice" && call.result === -32);
    expect(at).toBeGreaterThan(0);
    expect(calls.slice(at + 1, at + 3).map((call) => call.name)).toEqual(["close", "close"]);
  });

  test("R-031, R-186: a pipe that nobody takes is closed by the finalizers' goroutine, when two collections have dropped it", () => {
    const { calls } = runGo(function* main(rt) {
      const [s1, s2] = yield* pair(rt);
      const [t1] = yield* pair(rt);
      yield* s1.closeWrite();
      yield* copy(rt, t1, s2);
      for (let i = 0; i < 3; i += 1) {
        yield* rt.println("collection");
        yield* rt.collect();
        yield* rt.sleep(MS);
      }
    });
    const from = calls.findIndex((call) => call.name === "write" && call.args[0] === 1);
    const seen = calls
      .slice(from)
      .filter((call) => call.name === "close" || (call.name === "write" && call.args[0] === 1));
    expect(seen.map((call) => call.name)).toEqual(["write", "write", "close", "close", "write"]);
    const rfd = calls.find((call) => call.name === "fcntl" && call.args[1] === F_GETPIPE_SZ)?.args[0];
    expect(seen.find((call) => call.name === "close")?.args[0]).toBe(rfd);
  });
});

describe("writev", () => {
  test("R-150: at most 1024 buffers a call, in one go where the socket has room, else on from where it stopped", () => {
    const run = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      const bufs = Array.from({ length: 2500 }, (_, i) => new Uint8Array(10).fill(i & 0xff));
      const bytes = yield* received(rt, a, b, function* () {
        const { n, err } = yield* a.writeBuffers(bufs);
        expect([n, err, bufs.length]).toEqual([25_000, null, 0]);
      });
      expect(bytes.every((byte, i) => byte === (Math.floor(i / 10) & 0xff))).toBe(true);
    });
    expect(moves(run, "writev")).toEqual([
      [1024, 10_240],
      [1024, 10_240],
      [452, 4_520],
    ]);
  });

  test("R-150: EAGAIN waits; what is left begins inside a buffer", () => {
    const big = runGo(function* main(rt) {
      const [a, b] = yield* pair(rt);
      const bufs = Array.from({ length: 9 }, (_, i) => new Uint8Array(1_000_001).fill(i));
      const bytes = yield* received(rt, a, b, function* () {
        expect((yield* a.writeBuffers(bufs)).n).toBe(9_000_009);
      });
      expect(bytes.every((byte, i) => byte === Math.floor(i / 1_000_001))).toBe(true);
    });
    expect(moves(big, "writev").some(([, moved]) => moved === EAGAIN)).toBe(true);
  });

  test("nothing to write is no call, and a closed connection says so all the same", () => {
    const { named } = runGo(function* main(rt) {
      const [a] = yield* pair(rt);
      expect(yield* a.writeBuffers([])).toMatchObject({ n: 0, err: null });
      expect(yield* a.writeBuffers([new Uint8Array(0)])).toMatchObject({ n: 0, err: null });
      yield* a.close();
      expect((yield* a.writeBuffers([])).err).toBe(ErrClosed);
    });
    expect(named("writev")).toHaveLength(0);
  });
});
