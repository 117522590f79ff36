/**
 * One echo protocol, several ways to serve it: what each costs in system calls, switches, wake-ups and memory.
 *
 * The clients are the same each time; only the server's process is counted.
 */
import { type Cell, defineProgram } from "epollsim/runtime";
import { type EchoResult, echoClients } from "../lib/echo-clients.ts";
import { variants } from "./servers.ts";

const PORT = 8080;
const HEADER = ["server", "threads", "calls", "per round", "epoll", "switches", "wake-ups", "buffers KiB"];

export const program = defineProgram({
  summary: "The same echo server as threads, as an event loop and as goroutines: calls, switches, wake-ups, memory",
  options: {
    clients: { default: 200, help: "connections at the same time", min: 1 },
    rounds: { default: 10, help: "messages of each client", min: 1 },
    variant: { default: "all", help: "one of the servers", choices: ["all", ...Object.keys(variants)] },
  },
  *main({ machine, table, fail }, { clients, rounds, variant: wanted }) {
    const runs = Object.entries(variants)
      .filter(([name]) => wanted === "all" || wanted === name)
      .map(([name, variant]) => {
        const box = machine({ name });
        const server = variant.start(box, PORT);
        const result: EchoResult = { roundTrips: 0, wrong: 0 };
        box.spawn("clients", echoClients({ clients, rounds, port: PORT }, result));
        return { name, box, server, result };
      });
    const rows: Cell[][] = [];
    for (const { name, box, server, result } of runs) {
      yield box;
      const { threads, calls, callsTotal, switches, wakeUps } = box.counters(server);
      const epoll = [...calls].reduce((sum, [call, count]) => sum + (call.startsWith("epoll_") ? count : 0), 0);
      const perRound = (callsTotal / result.roundTrips).toFixed(2);
      const buffers = Math.round(server.memory.peakBytes / 1024);
      rows.push([name, threads, callsTotal, perRound, epoll, switches, wakeUps, buffers]);
      if (result.wrong > 0) fail(`${name}: ${result.wrong} answers are wrong`);
    }
    table(HEADER, rows);
    return { clients, rounds };
  },
});
