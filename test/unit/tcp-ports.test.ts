/** Ports and the table of connections when there are many. */
import { expect, test } from "vitest";
import { Af, Errno, Machine, type Program, Sock } from "../../src/runtime/index.ts";

/** Runs one program to its end. */
function run(body: (sys: import("../../src/runtime/index.ts").Syscalls) => Program): void {
  const machine = new Machine();
  machine.spawn("main", body);
  machine.run();
}

test("a port that bind picks is shared by addresses that do not overlap", () => {
  run(function* (sys): Program {
    const held = (address: string): { fd: number; port: number } => {
      const fd = sys.socket(Af.INET, Sock.STREAM);
      const name = sys.memory.sockaddrIn(address, 0);
      expect(sys.bind(fd, name)).toBe(0);
      sys.getsockname(fd, name);
      return { fd, port: name.port };
    };
    const odd = new Set<number>();
    // All odd ports: with another address all of them are free again.
    for (let i = 0; i < 14_116; i += 1) odd.add(held("127.0.0.1").port);
    expect(odd.size).toBe(14_116);
    expect([...odd].every((port) => port % 2 === 1)).toBe(true);
    expect(odd.has(held("127.0.0.2").port)).toBe(true);
    const any = held("0.0.0.0");
    expect(any.port % 2).toBe(0);
    const fd = sys.socket(Af.INET, Sock.STREAM);
    expect(sys.bind(fd, sys.memory.sockaddrIn("127.0.0.2", any.port))).toBe(-Errno.EADDRINUSE);
    yield sys.getpid();
  });
});

test("connections are found by both ends among thousands, and their places come free", () => {
  run(function* (sys): Program {
    const lfd = sys.socket(Af.INET, Sock.STREAM | Sock.NONBLOCK);
    sys.bind(lfd, sys.memory.sockaddrIn("0.0.0.0", 80));
    sys.listen(lfd, 4096);
    const to = sys.memory.sockaddrIn(0, 80);
    const out = sys.memory.alloc(4);
    const words = new Int32Array(out.bytes.buffer, out.bytes.byteOffset, 1);
    const pairs: [number, number][] = [];
    for (let i = 0; i < 3000; i += 1) {
      const fd = sys.socket(Af.INET, Sock.STREAM);
      expect(yield sys.connect(fd, to.set(0x7f00_0001 + (i % 7), 80))).toBe(0);
      pairs.push([fd, yield sys.accept4(lfd, null, 0)]);
    }
    for (const [index, [client]] of pairs.entries()) {
      words[0] = index;
      expect(yield sys.write(client, out, 4)).toBe(4);
    }
    for (const [index, [client, server]] of pairs.entries()) {
      expect(yield sys.read(server, out, 4)).toBe(4);
      expect(words[0]).toBe(index);
      sys.close(index % 2 === 0 ? client : server);
    }
    for (const [index, [client, server]] of pairs.entries()) {
      expect(yield sys.read(index % 2 === 0 ? server : client, out, 4)).toBe(0);
    }
  });
});
