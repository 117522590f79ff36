/**
 * A proxy between clients and a backend, each a Go process: its connections to the backend come from a pool with idle time-out, maximal
 * lifetime, a threshold for leaks, and recycling in the background.
 *
 * Clients come in waves. One request in a hundred is answered by a branch of the proxy that forgets to give its connection back.
 */
import {
  bytesOf,
  type Conn,
  type Go,
  GoError,
  type GoMain,
  goOptions,
  type Runtime,
  readFull,
  spawnGo,
  textOf,
} from "epollsim/go";
import { defineProgram } from "epollsim/runtime";
import { ConnPool, type PoolFigures } from "./lib/pool.ts";

const MS = 1_000_000;
const SECOND = 1_000 * MS;
const BACKEND = "127.0.0.1:9000";
const PROXY = "127.0.0.1:8080";
const MESSAGE_BYTES = 16;
const FORGETFUL_EVERY = 100;

/** Answers each message with itself, in capitals, after a while. */
function backend(thinkNs: number): GoMain {
  return function* main(rt) {
    const { value: ln, err } = yield* rt.listen("tcp4", BACKEND);
    if (err !== null) return rt.panic(err.text);
    for (;;) {
      const { value: conn } = yield* ln.accept();
      if (conn === null) return;
      rt.go("backend.answer", function* () {
        const buf = new Uint8Array(MESSAGE_BYTES);
        while ((yield* readFull(conn, buf)).err === null) {
          yield* rt.sleep(thinkNs);
          yield* conn.write(bytesOf(textOf(buf).toUpperCase()));
        }
        yield* conn.close();
      });
    }
  };
}

interface ProxyState {
  figures: PoolFigures | null;
  forgotten: number;
}

function proxy(state: ProxyState, report: (line: string) => void, maxOpen: number): GoMain {
  return function* main(rt) {
    const { value: ln, err } = yield* rt.listen("tcp4", PROXY);
    if (err !== null) return rt.panic(err.text);
    const limits = {
      maxOpen,
      maxIdle: 4,
      idleNs: 4 * SECOND,
      lifetimeNs: 10 * SECOND,
      leakNs: 3 * SECOND,
      recycleNs: SECOND / 2,
    };
    const pool = new ConnPool(rt, { network: "tcp4", address: BACKEND }, limits, (place, ns) => {
      report(`leak: a connection taken by ${place} is away for ${(ns / SECOND).toFixed(1)} s`);
    });
    state.figures = pool.figures;
    for (;;) {
      const { value: conn } = yield* ln.accept();
      if (conn === null) return;
      rt.go("proxy.serve", () => serve(rt, state, pool, conn));
    }
  };
}

/** One client: each message goes to the backend and its answer back. */
function* serve(rt: Runtime, state: ProxyState, pool: ConnPool, client: Conn): Go<void> {
  const buf = new Uint8Array(MESSAGE_BYTES);
  for (;;) {
    client.setReadDeadline(rt.now() + 5 * SECOND);
    if ((yield* readFull(client, buf)).err !== null) break;
    const forgetful = Number(textOf(buf, 1)) % FORGETFUL_EVERY === FORGETFUL_EVERY - 1;
    const upstream = yield* pool.take(forgetful ? "forgetful()" : "serve()");
    if (upstream instanceof GoError) break;
    upstream.conn.setDeadline(rt.now() + SECOND);
    yield* upstream.conn.write(buf);
    const { err } = yield* readFull(upstream.conn, buf);
    upstream.conn.setDeadline(0);
    if (forgetful) state.forgotten += 1;
    else yield* pool.put(upstream, err !== null);
    if (err !== null) break;
    yield* client.write(buf);
  }
  yield* client.close();
}

interface ClientState {
  answers: number;
  wrong: number;
}

/** Waves of clients with pauses between them. */
function clients(state: ClientState, waves: number, each: number): GoMain {
  return function* main(rt) {
    yield* rt.sleep(MS);
    let id = 0;
    for (let wave = 0; wave < waves; wave += 1) {
      const wg = rt.waitGroup();
      wg.add(each);
      for (let i = 0; i < each; i += 1) {
        const first = id;
        id += 3;
        rt.go("client", function* () {
          yield* ask(rt, state, first);
          wg.done();
        });
      }
      yield* wg.wait();
      // Every third pause is longer than an idle connection may live.
      yield* rt.sleep((wave % 3 === 2 ? 6 : 3) * SECOND);
    }
  };
}

function* ask(rt: Runtime, state: ClientState, first: number): Go<void> {
  const { value: conn, err } = yield* rt.dial("tcp4", PROXY);
  if (err !== null) return rt.panic(err.text);
  const buf = new Uint8Array(MESSAGE_BYTES);
  for (let k = 0; k < 3; k += 1) {
    const text = `m${String(first + k).padStart(MESSAGE_BYTES - 1, "0")}`;
    yield* conn.write(bytesOf(text));
    const read = yield* readFull(conn, buf);
    if (read.err !== null) break;
    state.answers += 1;
    if (textOf(buf) !== text.toUpperCase()) state.wrong += 1;
  }
  yield* conn.close();
}

export const program = defineProgram({
  summary: "A proxy whose connections to the backend are pooled, aged, recycled and watched for leaks",
  options: {
    waves: { default: 8, help: "waves of clients, three or six seconds apart", min: 1 },
    clients: { default: 20, help: "clients of a wave, three requests each", min: 1 },
    maxOpen: { default: 12, help: "connections to the backend at the same time", min: 1 },
    think: { default: 2, help: "milliseconds that the backend takes", min: 0 },
    ...goOptions,
  },
  *main({ machine, print, fail }, options) {
    const box = machine();
    const state: ProxyState = { figures: null, forgotten: 0 };
    const client: ClientState = { answers: 0, wrong: 0 };
    spawnGo(box, "backend", backend(options.think * MS), options, { daemon: true });
    spawnGo(box, "proxy", proxy(state, print, options.maxOpen), options, { daemon: true });
    spawnGo(box, "clients", clients(client, options.waves, options.clients), options);
    yield box;
    const expected = 3 * options.waves * options.clients;
    if (client.answers !== expected) fail(`${client.answers} answers of ${expected}`);
    if (client.wrong > 0) fail(`${client.wrong} answers are wrong`);
    const { figures } = state;
    if (figures === null) return {};
    return {
      answers: client.answers,
      dialed: figures.dialed,
      reused: figures.reused,
      waited: figures.waited,
      closed_idle: figures.closedIdle,
      closed_old: figures.closedOld,
      closed_surplus: figures.closedSurplus,
      forgotten: state.forgotten,
      leaks_reported: figures.leaks,
    };
  },
});
