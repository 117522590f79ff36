/**
 * Several processes behind one port: each has a listening socket of its own with SO_REUSEPORT, and Linux spreads the connections.
 */
import { Acceptor, defineProgram, listenTcp, type Program, Reactor, Sock, type Syscalls } from "epollsim/runtime";
import { type EchoResult, echoClients } from "./lib/echo-clients.ts";
import { Echo } from "./lib/echo-connection.ts";

const PORT = 8080;

export const program = defineProgram({
  summary: "Worker processes that share a port by SO_REUSEPORT",
  options: {
    workers: { default: 4, help: "processes", min: 1 },
    clients: { default: 400, help: "connections", min: 1 },
    rounds: { default: 3, help: "messages of each client", min: 1 },
  },
  *main({ machine, random, table, fail }, { workers, clients, rounds }) {
    // Which worker gets a connection is chance: without a seed the model would always take the first.
    const box = machine({ random });
    const accepted = new Array<number>(workers).fill(0);
    box.spawn(
      "parent",
      function* (sys): Program {
        for (let worker = 0; worker < workers; worker += 1) sys.fork(`worker ${worker}`, (own) => serve(own, worker));
        while ((yield sys.wait4(-1)) > 0);
      },
      { daemon: true },
    );
    const result: EchoResult = { roundTrips: 0, wrong: 0 };
    box.spawn("clients", echoClients({ clients, rounds, port: PORT }, result));
    yield box;

    function serve(sys: Syscalls, worker: number): Program {
      const reactor = new Reactor(sys, { trigger: "level" });
      const buffer = sys.memory.alloc(4096);
      // Asked for, the peer's port tells in a trace which client came to which worker.
      const peer = sys.memory.sockaddrIn(0, 0);
      const acceptor = new Acceptor((own, fd) => {
        accepted[worker] = (accepted[worker] ?? 0) + 1;
        new Echo(reactor, buffer).open(own, fd);
      }, peer);
      reactor.add(sys, listenTcp(sys, "127.0.0.1", PORT, { flags: Sock.NONBLOCK, reuseport: true }), acceptor);
      return reactor.loop(sys);
    }

    const share = (count: number): string => `${((100 * count) / clients).toFixed(1)} %`;
    const rows = accepted.map((count, worker) => [`worker ${worker}`, count, share(count)]);
    table(["process", "connections", "share"], rows);
    const sum = accepted.reduce((total, count) => total + count, 0);
    if (sum !== clients) fail(`${sum} connections of ${clients} were accepted`);
    if (result.wrong > 0) fail(`${result.wrong} answers are wrong`);
    return { workers, clients, round_trips: result.roundTrips };
  },
});
