/**
 * An HTTP/1.1 server on the reactor, and in front of it a proxy: a thread for each client, and a pool of connections to the server.
 *
 * Clients keep their connections alive, and send their requests in pairs. One of them is a slow loris: it sends a byte a second, and is
 * shown the door when its request is not complete in time.
 */
import {
  type Blocking,
  type ConnectionPool,
  connectTcp,
  defineProgram,
  Msg,
  type Program,
  type Syscalls,
  writeAll,
} from "epollsim/runtime";
import { formatMessage, MessageParser } from "./lib/http.ts";
import { httpServer } from "./lib/http-server.ts";
import { proxy, readMessage } from "./lib/proxy.ts";

const SERVER_PORT = 8000;
const PROXY_PORT = 8080;
const MS = 1_000_000;
const SECOND = 1000 * MS;
/** A request must be complete so long after its first byte. */
const REQUEST_MS = 5000;
const BUFFER_BYTES = 4096;

export const program = defineProgram({
  summary: "An HTTP/1.1 server, a proxy with a pool of connections, keep-alive clients and a slow loris",
  options: {
    clients: { default: 40, help: "clients of the proxy", min: 1 },
    rounds: { default: 10, help: "pairs of requests of each", min: 1 },
  },
  *main({ machine, print, fail }, { clients, rounds }) {
    const box = machine();
    let tooSlow = 0;
    let pool: ConnectionPool | null = null;
    let answered = 0;
    let wrong = 0;
    let loris = "";
    const noteSlow = (): void => {
      tooSlow += 1;
    };
    const notePool = (own: ConnectionPool): void => {
      pool = own;
    };
    const limits = { requestMs: REQUEST_MS, idleMs: 60_000 };
    box.spawn("server", httpServer({ port: SERVER_PORT, ...limits, tooSlow: noteSlow }), { daemon: true });
    box.spawn("proxy", proxy({ port: PROXY_PORT, serverPort: SERVER_PORT, started: notePool }), { daemon: true });
    for (let index = 0; index < clients; index += 1) box.spawn(`client ${index}`, (sys) => client(sys, index));
    box.spawn("loris", slowLoris);
    yield box;

    function* client(sys: Syscalls, index: number): Program {
      yield sys.nanosleep(MS); // both listen by then, whoever runs first
      const fd = yield* connectTcp(sys, "127.0.0.1", PROXY_PORT);
      const buf = sys.memory.alloc(BUFFER_BYTES);
      const parser = new MessageParser();
      const read = function* (): Blocking<number> {
        return yield sys.read(fd, buf, BUFFER_BYTES);
      };
      for (let round = 0; round < rounds; round += 1) {
        const said = `client ${index}, round ${round}. `.repeat(20);
        const get = formatMessage(`GET /hello/${index}-${round} HTTP/1.1`, { Host: "proxy" }, "");
        const block = sys.memory.allocText(get + formatMessage("POST /echo HTTP/1.1", { Host: "proxy" }, said));
        yield* writeAll(sys, fd, block, block.length);
        sys.memory.free(block);
        for (const expected of [`hello ${index}-${round}\n`, said]) {
          const answer = yield* readMessage(parser, read, buf);
          answered += 1;
          if (typeof answer === "number" || answer.start !== "HTTP/1.1 200 OK" || answer.body !== expected) wrong += 1;
        }
        yield sys.nanosleep(20 * MS);
      }
      sys.close(fd);
    }

    /** Talks to the server itself. */
    function* slowLoris(sys: Syscalls): Program {
      yield sys.nanosleep(MS);
      const fd = yield* connectTcp(sys, "127.0.0.1", SERVER_PORT);
      const begun = sys.nowNs;
      const buf = sys.memory.allocText("GET /hello/loris HTTP/1.1\r\nHost: server\r\nX: y\r\n\r\n");
      for (let at = 0; at < buf.length; at += 1) {
        if ((yield sys.send(fd, buf.addr + at, 1, Msg.NOSIGNAL)) < 0) break;
        yield sys.nanosleep(SECOND);
        const n = sys.recv(fd, buf, buf.length, Msg.DONTWAIT);
        if (n < 0) continue;
        loris = `${buf.text(0, n).split("\r\n")[0] ?? ""} after ${Math.round((sys.nowNs - begun) / SECOND)} s`;
        break;
      }
      sys.close(fd);
    }

    const stats = (pool as ConnectionPool | null)?.stats;
    const requests = 2 * clients * rounds;
    print(
      `${answered} answers of ${requests}, by ${stats?.opened ?? 0} connections of the proxy's, taken ${stats?.reused ?? 0} times again`,
    );
    print(`slow loris: ${loris}`);
    if (wrong > 0 || answered !== requests) fail(`${wrong} answers are wrong, ${requests - answered} are missing`);
    if (tooSlow !== 1) fail(`${tooSlow} requests were too slow, not 1`);
    return { clients, requests, pool_waits: stats?.waited ?? 0 };
  },
});
