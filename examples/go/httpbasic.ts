/** httpbasic: an HTTP server and a client with kept connections; requests in a row and side by side. As traces/go/src/httpbasic.go. */
import { bytesOf, counterLines, type GoError, type GoMain, goOptions, spawnGo } from "epollsim/go";
import { defineProgram } from "epollsim/runtime";
import { Client, type Handler, Server } from "./lib/http.ts";

export interface HttpBasic {
  readonly seq: number;
  readonly par: number;
}

const BIG_BYTES = 200_000;
const EACH = 5;
const MAX_IDLE = 4;
const SHUTDOWN_NS = 2e9;

export function httpbasic({ seq, par }: HttpBasic): GoMain {
  return function* main(rt) {
    const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
    if (listen.err !== null) return rt.panic(listen.err.text);
    const ln = listen.value;
    const handlers = new Map<string, Handler>([
      ["/hello", () => bytesOf("hello\n")],
      ["/big", () => new Uint8Array(BIG_BYTES)],
      ["/echo", ({ body }) => body],
    ]);
    const server = new Server(rt, handlers);
    const served = rt.chan<GoError>();
    rt.go("main.main.func4", function* () {
      yield* served.send(yield* server.serve(ln));
    });
    const client = new Client(rt, ln.addr, MAX_IDLE);
    const get = function* (path: string) {
      const body = yield* client.get(path);
      return body instanceof Uint8Array ? body.length : rt.panic(body.text);
    };
    let total = 0;
    for (let i = 0; i < seq; i += 1) total += yield* get("/hello");
    total += yield* get("/big");
    const wg = rt.waitGroup();
    const mu = rt.mutex();
    for (let i = 0; i < par; i += 1) {
      wg.add(1);
      rt.go("main.main.func6", function* () {
        for (let j = 0; j < EACH; j += 1) {
          const n = yield* get("/hello");
          yield* mu.lock();
          total += n;
          yield* mu.unlock();
        }
        wg.done();
      });
    }
    yield* wg.wait();
    yield* client.closeIdle();
    const ctx = rt.background.withTimeout(SHUTDOWN_NS);
    const err = yield* server.shutdown(ctx);
    if (err !== null) return rt.panic(err.text);
    yield* rt.println(`total ${total} serve: ${yield* served.recv()}`);
  };
}

export const program = defineProgram({
  summary: "An HTTP/1.1 server, and a client that keeps its connections",
  options: {
    seq: { default: 10, help: "requests one after the other", min: 0 },
    par: { default: 8, help: "clients at the same time, 5 requests each", min: 0 },
    ...goOptions,
  },
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "httpbasic", httpbasic(options), options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return { requests: options.seq + 1 + EACH * options.par };
  },
});
