/**
 * A million connections on one simulated machine, all open at once, every one with a live idle time-out.
 *
 * Clients connect, and each sends two messages of its own and compares what comes back; the second round begins when all are
 * connected. One address has 28,232 ephemeral ports, so the clients go to as many addresses of the server (127.x.y.z) as it takes.
 */
import { defineProgram } from "epollsim/runtime";
import { type Load, runClients } from "./clients.ts";
import { type ServerFigures, variants } from "./variants.ts";

const PORT = 8080;

export const program = defineProgram({
  summary: "A million echo connections at once, each checked to the byte and with a live idle time-out",
  options: {
    connections: { default: 1_000_000, help: "connections, all open at the same time", min: 1 },
    variant: { default: "reactor", help: "what the server is", choices: Object.keys(variants) },
    idle: { default: 60, help: "seconds without a byte after which the server closes a connection", min: 1 },
    expire: { default: false, help: "wait until every connection has been closed for being idle" },
  },
  heapMiB: ({ connections, variant }) => (connections * (variants[variant]?.bytesPerConnection ?? 0)) / 2 ** 20,
  *main({ machine, print, fail, progress }, { connections, variant, idle, expire }) {
    const box = machine({ sysctls: { "net.core.somaxconn": 4096 } });
    const load: Load = { connections, port: PORT, expire, roundTrips: 0, wrongBytes: 0, open: 0, closedByServer: 0 };
    const server: ServerFigures = { accepted: 0, bytes: 0, idleTimers: 0, idleClosed: 0 };
    progress("round trips", 2 * connections, () => load.roundTrips);
    const nofile = connections + 1024;
    variants[variant]?.start(box, server, { port: PORT, idleMs: idle * 1000, nofile });
    box.spawn("clients", (sys) => runClients(sys, load, () => server.idleTimers), { nofile });
    yield box;
    print(`${load.open} connections open at once, ${load.idleTimers ?? 0} idle time-outs running`);
    if (load.wrongBytes > 0) fail(`${load.wrongBytes} answers differ from what was sent`);
    if (load.roundTrips !== 2 * connections) fail(`${load.roundTrips} round trips of ${2 * connections}`);
    if (load.idleTimers !== connections) fail(`${load.idleTimers ?? 0} idle time-outs for ${connections} connections`);
    if (server.bytes !== load.roundTrips * 16) fail(`the server has sent ${server.bytes} bytes back`);
    if (expire && server.idleClosed !== connections) fail(`${server.idleClosed} connections closed for being idle`);
    return {
      variant,
      connections: load.open,
      round_trips: load.roundTrips,
      bytes_checked: load.roundTrips * 16,
      idle_timers: load.idleTimers ?? 0,
      idle_closed: server.idleClosed,
    };
  },
});
