/**
 * Client swarms of all manners against one server on another host: steady ones, slow readers, half-closers, those that reset, and
 * two kinds that lose their network: for a while, and for good. The server keeps its promises to the first, and gets rid of the last.
 */
import {
  Acceptor,
  type Blocking,
  checked,
  connectTcp,
  defineProgram,
  listenTcp,
  type Machine,
  type Program,
  Reactor,
  readFull,
  Shut,
  SOL_SOCKET,
  So,
  Sock,
  type Syscalls,
  type UserBuffer,
  writeAll,
} from "epollsim/runtime";
import { IdleEcho, type IdleLimit } from "./lib/echo-connection.ts";

const PORT = 9000;
const SERVER = "10.0.0.1";
const MS = 1_000_000;
const MESSAGE_BYTES = 256;
/** What a slow reader asks for at once: more than its buffer holds. */
const FLOOD_BYTES = 64 * 1024;

interface Served {
  accepted: number;
  ended: number;
  failed: number;
  idle: number;
}

/** Notes how each ends. */
class Client extends IdleEcho {
  readonly #served: Served;

  constructor(reactor: Reactor, buffer: UserBuffer, limit: IdleLimit, served: Served) {
    super(reactor, buffer, limit);
    this.#served = served;
  }

  protected override closed(_sys: Syscalls, errno: number): void {
    if (errno > 0) this.#served.failed += 1;
    else this.#served.ended += 1;
  }
}

/** What became of the clients of one kind. */
interface Swarm {
  readonly host: string;
  readonly serve: (sys: Syscalls, fd: number) => Blocking<boolean>;
  done: number;
  failed: number;
  lastMs: number;
}

export const program = defineProgram({
  summary: "Client swarms with slow readers, half-closes, resets and partitions",
  options: {
    clients: { default: 20, help: "clients of each kind", min: 1 },
    rounds: { default: 20, help: "messages of a steady client", min: 1 },
    idle: { default: 30, help: "seconds without a byte after which the server gives up a connection", min: 1 },
  },
  *main({ machine, random, print, table, fail }, { clients, rounds, idle }) {
    const box: Machine = machine({
      random,
      hosts: { server: SERVER, clients: "10.0.0.2", far: "10.0.0.3", lost: "10.0.0.4" },
    });
    for (const host of ["clients", "far", "lost"]) box.link("server", host, { delayNs: 2 * MS, jitterNs: MS });
    const served: Served = { accepted: 0, ended: 0, failed: 0, idle: 0 };
    box.spawn("server", (sys) => serve(sys, served, idle * 1000), { daemon: true, host: "server" });
    const steady = (sys: Syscalls, fd: number): Blocking<boolean> => echoRounds(sys, fd, rounds, 50 * MS);
    const kind = (host: string, body: Swarm["serve"]): Swarm => ({ host, serve: body, done: 0, failed: 0, lastMs: 0 });
    const swarms: Record<string, Swarm> = {
      steady: kind("clients", steady),
      "slow reader": kind("clients", slowReader),
      "half-close": kind("clients", halfClose),
      reset: kind("clients", reset),
      "cut for 3 s": kind("far", steady),
      "cut for good": kind("lost", steady),
    };
    for (const [name, swarm] of Object.entries(swarms)) {
      for (let i = 0; i < clients; i += 1) box.spawn(`${name} ${i}`, (sys) => client(sys, swarm), { host: swarm.host });
    }
    box.spawn("fault", function* (sys): Program {
      yield sys.nanosleep(300 * MS);
      box.partition("server", "far");
      box.partition("server", "lost");
      yield sys.nanosleep(3000 * MS);
      box.heal("server", "far");
      yield sys.nanosleep((idle + 1) * 1000 * MS);
    });
    yield box;

    const rows = Object.entries(swarms).map(([name, { done, failed, lastMs }]) => [
      name,
      clients,
      done,
      failed,
      lastMs,
    ]);
    table(["clients", "number", "done", "failed", "last done, ms"], rows);
    const { accepted, ended, failed, idle: timedOut } = served;
    print(
      `server: ${accepted} accepted, ${ended - timedOut} ended by the peer, ${failed} failed, ${timedOut} idle for ${idle} s`,
    );
    for (const name of ["steady", "slow reader", "half-close", "cut for 3 s"]) {
      if (swarms[name]?.done !== clients)
        fail(`${name}: ${swarms[name]?.done ?? 0} of ${clients} got all their answers`);
    }
    if (ended + failed !== accepted) fail(`${accepted - ended - failed} connections are still there`);
    return { clients: clients * Object.keys(swarms).length, accepted, idle_closed: timedOut, failed };
  },
});

function serve(sys: Syscalls, served: Served, idleMs: number): Program {
  const reactor = new Reactor(sys);
  const buffer = sys.memory.alloc(4096);
  const limit: IdleLimit = {
    idleMs,
    sys,
    idled: () => {
      served.idle += 1;
    },
  };
  const acceptor = new Acceptor((own, fd) => {
    served.accepted += 1;
    new Client(reactor, buffer, limit, served).open(own, fd);
  });
  reactor.add(sys, listenTcp(sys, "0.0.0.0", PORT, { flags: Sock.NONBLOCK }), acceptor);
  return reactor.loop(sys);
}

function* client(sys: Syscalls, swarm: Swarm): Program {
  yield sys.nanosleep(MS); // the server listens by then, whoever runs first
  const fd = yield* connectTcp(sys, SERVER, PORT);
  // Whoever lost the network for good would wait for ever: nobody tells it.
  const whole = yield* swarm.serve(sys, fd);
  if (whole) swarm.done += 1;
  else swarm.failed += 1;
  swarm.lastMs = Math.max(swarm.lastMs, Math.round(sys.nowNs / MS) - 1000);
  sys.close(fd);
}

function* echoRounds(sys: Syscalls, fd: number, rounds: number, pauseNs: number): Blocking<boolean> {
  const out = sys.memory.alloc(MESSAGE_BYTES);
  const back = sys.memory.alloc(MESSAGE_BYTES);
  for (let round = 0; round < rounds; round += 1) {
    out.bytes.fill(0x61 + (round % 26));
    if ((yield* writeAll(sys, fd, out, MESSAGE_BYTES)) < 0) return false;
    if ((yield* readFull(sys, fd, back, MESSAGE_BYTES)) !== MESSAGE_BYTES) return false;
    if (back.text() !== out.text()) return false;
    yield sys.nanosleep(pauseNs);
  }
  return true;
}

/** Asks for a lot and reads it in small bits, with long pauses: the answers pile up in the server. */
function* slowReader(sys: Syscalls, fd: number): Blocking<boolean> {
  const flood = sys.memory.alloc(FLOOD_BYTES);
  flood.bytes.fill(0x73);
  checked(sys.setsockopt(fd, SOL_SOCKET, So.RCVBUF, 4096), "setsockopt");
  let unsent = FLOOD_BYTES;
  let unread = FLOOD_BYTES;
  while (unread > 0) {
    const part = Math.min(unsent, 8192);
    if (part > 0 && (yield* writeAll(sys, fd, flood, part)) < 0) return false;
    unsent -= part;
    yield sys.nanosleep(100 * MS);
    const n = yield sys.read(fd, flood, 4096);
    if (n <= 0) return false;
    unread -= n;
  }
  return true;
}

/** Says everything, shuts its side, and reads the answer to its end. */
function* halfClose(sys: Syscalls, fd: number): Blocking<boolean> {
  const buf = sys.memory.alloc(8192);
  buf.bytes.fill(0x68);
  if ((yield* writeAll(sys, fd, buf, 8192)) < 0) return false;
  checked(sys.shutdown(fd, Shut.WR), "shutdown");
  if ((yield* readFull(sys, fd, buf, 8192)) !== 8192) return false;
  return (yield sys.read(fd, buf, 1)) === 0;
}

/** Closes with SO_LINGER 0 and answers unread: the server gets a reset. */
function* reset(sys: Syscalls, fd: number): Blocking<boolean> {
  const buf = sys.memory.alloc(4096);
  yield* writeAll(sys, fd, buf, 4096);
  yield sys.nanosleep(100 * MS);
  checked(sys.setLinger(fd, 0), "setsockopt");
  return true;
}
