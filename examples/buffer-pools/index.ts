/**
 * Buffer pools for two workloads of a server: parsing headers in 256 bytes, and collecting log lines in batches of 4 KiB.
 *
 * Each is run with a fresh buffer every time and with a pool: on the reactor, where size classes are kept, and in goroutines, where
 * sync.Pool is, which the collector empties. How many bytes had to be allocated, and how often was a buffer used again?
 */
import { type Cell, defineProgram } from "epollsim/runtime";
import { type EchoResult, echoClients } from "../lib/echo-clients.ts";
import { startGo } from "./go-server.ts";
import { startReactor } from "./reactor-server.ts";
import { PORT, type Start, type Workload, workloads } from "./usage.ts";

const HEADER = [
  "workload",
  "server",
  "buffers",
  "taken",
  "reused",
  "rate",
  "bytes allocated",
  "most at once",
  "collections",
];

/** Servers by name, with what their pool is. */
const servers: Readonly<Record<string, readonly [Start, string]>> = {
  reactor: [startReactor, "size classes"],
  goroutines: [startGo, "sync.Pool"],
};

export const program = defineProgram({
  summary: "Buffer pools by size and sync.Pool: reuse and bytes allocated, with and without",
  options: {
    clients: { default: 100, help: "connections", min: 1 },
    rounds: { default: 50, help: "requests of each", min: 1 },
    server: { default: "all", help: "which server", choices: ["all", ...Object.keys(servers)] },
  },
  *main({ machine, table, fail }, { clients, rounds, server: wanted }) {
    const runs = (Object.keys(workloads) as Workload[]).flatMap((workload) =>
      Object.entries(servers)
        .filter(([name]) => wanted === "all" || wanted === name)
        .flatMap(([name, [start, pool]]) =>
          ["fresh", pool].map((buffers) => {
            const box = machine({ name: `${workload.split(" ")[0]} ${name} ${buffers}` });
            const run = start(box, workload, buffers === pool);
            const result: EchoResult = { roundTrips: 0, wrong: 0 };
            box.spawn("clients", echoClients({ clients, rounds, port: PORT, messageBytes: 120 }, result));
            return { workload, name, buffers, box, run, result };
          }),
        ),
    );
    const rows: Cell[][] = [];
    for (const { workload, name, buffers, box, run, result } of runs) {
      yield box;
      if (result.wrong > 0) fail(`${workload}: ${result.wrong} answers are wrong`);
      const { takes, mostLive } = run.usage;
      const reused = run.reused();
      const rate = `${((100 * reused) / Math.max(1, takes)).toFixed(2)} %`;
      const allocated = (takes - reused) * workloads[workload];
      rows.push([workload, name, buffers, takes, reused, rate, allocated, mostLive, run.collections()]);
    }
    table(HEADER, rows);
    return { clients, requests: clients * rounds };
  },
});
