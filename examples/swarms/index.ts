/**
 * Swarms of clients of all manners against every server, on hosts of their own: steady ones, slow readers, half-closers, those that
 * reset, and two kinds that lose their network: for a while, and for good. A server keeps its promises to all who keep theirs,
 * and gets rid of the others; every byte is compared.
 */
import { type Cell, defineProgram, type Machine, type Program, type Thread } from "epollsim/runtime";
import { newServed, type Served } from "../lib/served.ts";
import { type Server, servers } from "../lib/servers.ts";
import { halfClose, type Manner, type Outcome, reset, run, slowReader, steady } from "./clients.ts";

const PORT = 9000;
const ADDRESS = "10.0.0.1";
/** Of each of the server's connections: small, so that a slow reader shows soon. */
const SNDBUF_BYTES = 8192;
const MS = 1_000_000;
/** Every server listens by then, whoever runs first. */
const START_NS = 5 * MS;

/** A kind of clients. */
interface Kind {
  readonly host: string;
  readonly manner: Manner;
  /** What becomes of each, if all is well. */
  readonly due: (server: Server) => Outcome;
}

/** What became of the clients of one kind, and when the last of them was done. */
interface Swarm {
  readonly kind: Kind;
  readonly outcomes: Record<Outcome, number>;
  lastMs: number;
}

/** One server with all its clients. */
interface Run {
  readonly name: string;
  readonly server: Server;
  readonly box: Machine;
  readonly served: Served;
  readonly swarms: ReadonlyMap<string, Swarm>;
  answers: number;
  checked: number;
  /** Descriptors that its processes had before the first client came. */
  descriptors: number;
  readonly threads: readonly Thread[];
}

function kinds(rounds: number): Readonly<Record<string, Kind>> {
  const served = (): Outcome => "served";
  return {
    steady: { host: "clients", manner: steady(rounds), due: served },
    "slow reader": { host: "clients", manner: slowReader, due: ({ slow }) => slow },
    "half-close": { host: "clients", manner: halfClose, due: served },
    reset: { host: "clients", manner: reset, due: served },
    "cut for 3 s": { host: "far", manner: steady(rounds), due: served },
    "cut for good": { host: "lost", manner: steady(rounds), due: () => "lost" },
  };
}

export const program = defineProgram({
  summary: "Every server against slow readers, half-closes, resets and partitions",
  options: {
    server: { default: "all", help: "which server", choices: ["all", ...Object.keys(servers)] },
    clients: { default: 6, help: "clients of each kind", min: 1 },
    rounds: { default: 20, help: "questions of a steady client; the network is cut after six", min: 8 },
    idle: { default: 30, help: "seconds without a byte after which a server gives up a connection", min: 10 },
  },
  *main({ machine, random, print, table, fail }, { server: wanted, clients, rounds, idle }) {
    const runs = Object.entries(servers)
      .filter(([name]) => wanted === "all" || wanted === name)
      .map(([name, server]) => start(name, server));
    for (const { box } of runs) yield box;

    const names = Object.keys(kinds(rounds));
    table(["server", ...names, "answers", "bytes compared"], runs.map(matrixRow));
    print("");
    const seen = ["accepted", "ended", "reset", "idle", "dropped", "waits"] as const;
    table(
      ["server saw", ...seen, "left open", "calls"],
      runs.map(({ name, served, box, threads, ...rest }) => [
        name,
        ...seen.map((what) => served[what]),
        openDescriptors(threads) - rest.descriptors,
        threads.reduce((sum, thread) => sum + box.counters(thread).callsTotal, 0),
      ]),
    );
    for (const one of runs) complain(one);
    return {
      servers: runs.length,
      clients: clients * names.length * runs.length,
      answers: runs.reduce((sum, { answers }) => sum + answers, 0),
      bytes_checked: runs.reduce((sum, { checked }) => sum + checked, 0),
    };

    function start(name: string, server: Server): Run {
      const box = machine({
        name,
        random,
        hosts: { server: ADDRESS, clients: "10.0.0.2", far: "10.0.0.3", lost: "10.0.0.4" },
      });
      for (const host of ["clients", "far", "lost"]) box.link("server", host, { delayNs: 2 * MS, jitterNs: MS });
      const served = newServed();
      const threads = server.start({
        box,
        host: "server",
        port: PORT,
        idleMs: idle * 1000,
        served,
        sndbuf: SNDBUF_BYTES,
      });
      const swarms = new Map(
        Object.entries(kinds(rounds)).map(([kindName, kind]) => [
          kindName,
          { kind, outcomes: { served: 0, dropped: 0, lost: 0, wrong: 0 }, lastMs: 0 },
        ]),
      );
      const one: Run = { name, server, box, served, swarms, answers: 0, checked: 0, descriptors: 0, threads };
      for (const [kindName, swarm] of swarms) {
        for (let i = 0; i < clients; i += 1) {
          box.spawn(`${kindName} ${i}`, (sys) => client(sys, one, kindName, swarm, i), { host: swarm.kind.host });
        }
      }
      box.spawn("fault", function* (sys): Program {
        yield sys.nanosleep(START_NS - 1);
        one.descriptors = openDescriptors(threads);
        yield sys.nanosleep(300 * MS);
        box.partition("server", "far");
        box.partition("server", "lost");
        yield sys.nanosleep(3000 * MS);
        box.heal("server", "far");
        yield sys.nanosleep((2 * idle + 1) * 1000 * MS); // until the last idle connection has been given up
      });
      return one;
    }

    function* client(sys: Parameters<typeof run>[0], one: Run, kind: string, swarm: Swarm, index: number): Program {
      yield sys.nanosleep(START_NS);
      const dialogue = one.server.dialogue(kind.replaceAll(" ", "-"), index);
      const outcome = yield* run(sys, ADDRESS, PORT, dialogue, swarm.kind.manner);
      swarm.outcomes[outcome] += 1;
      swarm.lastMs = Math.round(sys.nowNs / MS) - 1000;
      one.answers += dialogue.answered;
      one.checked += dialogue.checked;
    }

    function matrixRow({ name, server, swarms, answers, checked }: Run): Cell[] {
      const cells = [...swarms].map(([kindName, { kind, outcomes, lastMs }]) => {
        const due = kind.due(server);
        return `${outcomes[due]} ${kindName === "reset" ? "reset" : due}, ${(lastMs / 1000).toFixed(1)} s`;
      });
      return [name, ...cells, answers, checked];
    }

    function complain({ name, server, served, swarms, threads, descriptors }: Run): void {
      for (const [kindName, { kind, outcomes }] of swarms) {
        const due = kind.due(server);
        if (outcomes[due] === clients) continue;
        const found = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
        fail(`${name}: ${kindName}: ${found.join(", ")}; all ${clients} should have been ${due}`);
      }
      const closed = served.ended + served.reset + served.idle + served.dropped;
      if (served.accepted !== clients * swarms.size) fail(`${name}: ${served.accepted} connections were accepted`);
      if (closed !== served.accepted) fail(`${name}: ${served.accepted - closed} connections were never closed`);
      const left = openDescriptors(threads) - descriptors;
      if (left !== 0) fail(`${name}: ${left} descriptors are left`);
    }
  },
});

function openDescriptors(threads: readonly Thread[]): number {
  return threads.reduce((sum, { task }) => sum + task.process.files.count, 0);
}
