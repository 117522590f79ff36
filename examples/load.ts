/**
 * A load generator in the manner of wrk2, in virtual time: so many connections to one of the servers, over a link.
 *
 * Without a rate each connection asks as soon as it has its answer (a closed loop): when the server stalls, nobody asks, and the stall
 * is counted once for each connection. With `--rate` requests are due at fixed times, and latency counts from when one was due (an
 * open loop): so what a stall costs shows, as it would for users who know nothing of each other. `--stall` stops the server with SIGSTOP.
 */

import {
  type Blocking,
  connectTcp,
  defineProgram,
  Msg,
  type Program,
  Sig,
  type Syscalls,
  type Thread,
} from "epollsim/runtime";
import { build, type Histogram } from "hdr-histogram-js";
import type { Dialogue } from "./lib/dialogues.ts";
import { newServed } from "./lib/served.ts";
import { servers } from "./lib/servers.ts";

const PORT = 8080;
const ADDRESS = "10.0.0.1";
const US = 1000;
const MS = 1_000_000;
const SECOND = 1_000_000_000;
/** Every server listens by then, whoever runs first. */
const START_NS = 5 * MS;
const READ_BYTES = 4096;
const PERCENTILES = [50, 75, 90, 99, 99.9, 99.99, 99.999, 100] as const;

interface Load {
  /** From when a request was due, in us; and from when it was sent. */
  readonly latency: Histogram;
  readonly service: Histogram;
  readonly beginNs: number;
  readonly endNs: number;
  /** Between two requests of a connection; 0 for none. */
  readonly intervalNs: number;
  readonly bytes: number;
  requests: number;
  /** Bytes heard, every one compared. */
  read: number;
  broken: number;
  /** Requests that were due before the end, and never sent: the server was too slow. */
  unsent: number;
}

function histogram(): Histogram {
  // Three digits, from a microsecond upwards, as wrk2 has it.
  return build({ bitBucketSize: 64, lowestDiscernibleValue: 1, numberOfSignificantValueDigits: 3, autoResize: true });
}

export const program = defineProgram({
  summary: "A load generator like wrk2: throughput and latency of a server, in virtual time",
  options: {
    server: { default: "edge", help: "what is asked", choices: Object.keys(servers) },
    connections: { default: 100, help: "kept open all the time", min: 1 },
    duration: { default: 2, help: "seconds of virtual time", min: 1 },
    rate: { default: 0, help: "requests a second, of all connections together; 0: each asks as soon as it can" },
    bytes: { default: 128, help: "size of a request", min: 1 },
    work: { default: 50, help: "microseconds that the server computes for each request" },
    delay: { default: 250, help: "microseconds that a packet travels" },
    stall: { default: 0, help: "milliseconds that the server is stopped in the middle" },
    percentiles: { default: false, help: "print the whole distribution" },
  },
  *main({ machine, random, print, fail, progress }, options) {
    const { server: name, connections, duration, rate, bytes, work, delay, stall } = options;
    const box = machine({ random, hosts: { server: ADDRESS, clients: "10.0.0.2" } });
    box.link("server", "clients", { delayNs: delay * US, bandwidthBps: 1e9 });
    const server = servers[name];
    if (server === undefined) throw new RangeError(name);
    const beginNs = box.nowNs + START_NS;
    const load: Load = {
      latency: histogram(),
      service: histogram(),
      beginNs,
      endNs: beginNs + duration * SECOND,
      intervalNs: rate === 0 ? 0 : Math.max(1, Math.round((connections * SECOND) / rate)),
      bytes,
      requests: 0,
      read: 0,
      broken: 0,
      unsent: 0,
    };
    const idleMs = (duration + 60) * 1000 + stall;
    const setting = { box, host: "server", port: PORT, idleMs, served: newServed(), workNs: work * US };
    const threads = server.start(setting);
    progress("virtual ms", duration * 1000, () => Math.max(0, Math.round((box.nowNs - beginNs) / MS)));
    for (let i = 0; i < connections; i += 1) {
      const dialogue = server.dialogue("load", i);
      box.spawn(`connection ${i}`, (sys) => connection(sys, load, dialogue, i / connections), { host: "clients" });
    }
    if (stall > 0) box.spawn("stall", (sys) => stallHalfway(sys, load, threads, stall), { host: "server" });
    yield box;

    const seconds = (box.nowNs - beginNs) / SECOND;
    for (const line of report(load, { name, connections, duration, seconds, rate })) print(line);
    if (options.percentiles) {
      print("");
      for (const line of load.latency.outputPercentileDistribution(5, 1000).trimEnd().split("\n")) print(line);
    }
    if (load.broken > 0) fail(`${load.broken} connections broke, or heard something else than they should`);
    const at = (percentile: number): number => load.latency.getValueAtPercentile(percentile);
    return {
      server: name,
      requests: load.requests,
      requests_per_s: Math.round(load.requests / seconds),
      bytes_checked: load.read,
      p50_us: at(50),
      p90_us: at(90),
      p99_us: at(99),
      p99_9_us: at(99.9),
      max_us: load.latency.maxValue,
    };
  },
});

/** @param phase - in [0, 1): connections do not all ask at the same time. */
function* connection(sys: Syscalls, load: Load, dialogue: Dialogue, phase: number): Program {
  yield sys.nanosleep(Math.max(1, load.beginNs - sys.nowNs));
  const fd = yield* connectTcp(sys, ADDRESS, PORT);
  let dueNs = sys.nowNs + Math.round(phase * load.intervalNs);
  for (;;) {
    if (load.intervalNs === 0) dueNs = sys.nowNs;
    if (dueNs > sys.nowNs) yield sys.nanosleep(dueNs - sys.nowNs);
    if (dueNs >= load.endNs || sys.nowNs >= load.endNs) break;
    const sentNs = sys.nowNs;
    if (!(yield* ask(sys, fd, load, dialogue))) {
      load.broken += 1;
      break;
    }
    load.latency.recordValue(Math.round((sys.nowNs - dueNs) / US));
    load.service.recordValue(Math.round((sys.nowNs - sentNs) / US));
    load.requests += 1;
    dueNs += load.intervalNs;
  }
  load.read += dialogue.checked;
  if (load.intervalNs > 0) load.unsent += Math.max(0, Math.ceil((load.endNs - dueNs) / load.intervalNs));
  sys.close(fd);
}

/** @returns whether the answer came, whole. @throws WrongAnswer */
function* ask(sys: Syscalls, fd: number, { bytes }: Load, dialogue: Dialogue): Blocking<boolean> {
  const question = sys.memory.allocText(dialogue.ask(bytes));
  let done = 0;
  while (done < question.length) {
    const sent = yield sys.send(fd, question.addr + done, question.length - done, Msg.NOSIGNAL);
    if (sent < 0) break;
    done += sent;
  }
  sys.memory.free(question);
  if (done < question.length) return false;
  const buf = sys.memory.alloc(READ_BYTES);
  let count = 1;
  while (count > 0 && dialogue.answered < dialogue.asked) {
    count = yield sys.read(fd, buf, READ_BYTES);
    if (count > 0) dialogue.hear(buf.text(0, count));
  }
  sys.memory.free(buf);
  return count > 0;
}

function* stallHalfway(sys: Syscalls, load: Load, threads: readonly Thread[], ms: number): Program {
  yield sys.nanosleep((load.beginNs + load.endNs) / 2 - sys.nowNs);
  for (const { task } of threads) sys.kill(task.tid, Sig.STOP);
  yield sys.nanosleep(ms * MS);
  for (const { task } of threads) sys.kill(task.tid, Sig.CONT);
}

interface Head {
  readonly name: string;
  readonly connections: number;
  readonly duration: number;
  readonly seconds: number;
  readonly rate: number;
}

/** As wrk2 prints it. */
function* report(load: Load, { name, connections, duration, seconds, rate }: Head): Generator<string> {
  const { latency, service } = load;
  const loop = rate === 0 ? "closed loop" : `open loop, ${rate} requests a second`;
  yield `Running ${duration}s test @ ${name} (${loop})`;
  yield `  ${connections} connections`;
  yield "               Avg      Stdev    Max";
  yield `    Latency    ${time(latency.mean)}${time(latency.stdDeviation)}${time(latency.maxValue)}`.trimEnd();
  yield rate === 0 ? "  Latency Distribution" : "  Latency Distribution    since due     since sent";
  for (const percentile of PERCENTILES) {
    const head = `  ${percentile.toFixed(3).padStart(7)}%    `;
    const due = time(latency.getValueAtPercentile(percentile)).padEnd(14);
    yield (
      rate === 0 ? `${head}${due}` : `${head}      ${due}${time(service.getValueAtPercentile(percentile))}`
    ).trimEnd();
  }
  yield `  ${load.requests} requests in ${seconds.toFixed(2)}s, ${(load.read / 2 ** 20).toFixed(2)}MB read`;
  if (load.unsent > 0) yield `  ${load.unsent} requests were due and never sent`;
  yield `Requests/sec: ${(load.requests / seconds).toFixed(2)}`;
  yield `Transfer/sec: ${(load.read / 2 ** 20 / seconds).toFixed(2)}MB`;
}

/** Microseconds as wrk writes them: 950.00us, 1.20ms, 3.40s. */
function time(us: number): string {
  const text =
    us < 1000 ? `${us.toFixed(2)}us` : us < 1e6 ? `${(us / 1000).toFixed(2)}ms` : `${(us / 1e6).toFixed(2)}s`;
  return text.padEnd(9);
}
