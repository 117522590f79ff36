// How many programs a second the native agent executes: one agent, then one for each CPU.
// usage: node scripts/agent-throughput.mjs [SECONDS] [AGENT ARGUMENTS...]
import { cpus } from "node:os";
import { NativePort } from "../dist/native-bridge/index.js";
import { UserLayout } from "../dist/syscalls/port.js";

const seconds = Number(process.argv[2] ?? 2);
const agentArgs = process.argv.slice(3);
const { arena, frozen } = UserLayout;
const event = arena;
const one = arena + 64;
const out = arena + 128;
const IN = 1;
const NONBLOCK = 0o4000;

const call = (task, name, ...args) => ({ op: "call", task, name, args, wait: true, slot: null });
const enter = (task, name, ...args) => ({ ...call(task, name, ...args), wait: false });
const poke = (addr, ...bytes) => ({ op: "poke", addr, bytes: Uint8Array.from(bytes) });
const pokeEvent = (mask, data) => poke(event, mask, 0, 0, 0, data, 0, 0, 0, 0, 0, 0, 0);
const peek = (addr, length) => ({ op: "peek", addr, length });
const spawn = (task, as) => ({ op: "spawn", task, parent: 0, as });
const await_ = (task) => ({ op: "await", task });

const addEventfd = [
  call(0, "epoll_create1", 0),
  call(0, "eventfd2", 0, NONBLOCK),
  pokeEvent(IN, 4),
  call(0, "epoll_ctl", 3, 1, 4, event),
];
const kick = [poke(one, 1, 0, 0, 0, 0, 0, 0, 0), call(0, "write", 4, one, 8)];

const twoWaiters = (as) => [
  ...addEventfd,
  spawn(1, as),
  spawn(2, as),
  enter(1, "epoll_wait", 3, out, 8, -1),
  enter(2, "epoll_wait", 3, out + 96, 8, -1),
  ...kick,
  ...kick,
  await_(1),
  peek(out, 12),
  { op: "blocked", task: 2 },
];

const programs = {
  "1 task, 5 calls": [...addEventfd, ...kick, call(0, "epoll_wait", 3, out, 8, 0), peek(out, 12)],
  "3 threads, 2 waiters": twoWaiters("thread"),
  "3 processes, 2 waiters": twoWaiters("process"),
  "3 threads, nobody sleeps": [
    ...addEventfd,
    spawn(1, "thread"),
    spawn(2, "thread"),
    ...kick,
    call(1, "epoll_wait", 3, out, 8, 0),
    peek(out, 12),
    call(2, "read", 4, out, 8),
    peek(out, 8),
    call(1, "epoll_wait", 3, out, 8, 0),
  ],
  "2 threads, frozen scan": [
    ...addEventfd,
    ...kick,
    spawn(1, "thread"),
    enter(1, "epoll_wait", 3, frozen, 8, -1),
    ...kick,
    { op: "thaw", page: 0 },
    await_(1),
  ],
  "1 task, TCP socket": [
    call(0, "socket", 2, 1, 0),
    poke(out, 2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    call(0, "bind", 3, out, 16),
    call(0, "listen", 3, 8),
  ],
};

async function rate(ports, steps) {
  const setup = { uid: null, nofile: null, sysctls: new Map(), slots: 1, watchdogNs: 5e9 };
  const program = { setup, steps };
  const first = await ports[0].run(program);
  if (first.end !== "done") return `${first.end}: ${first.reason}`;
  const end = Date.now() + seconds * 1000;
  const start = process.hrtime.bigint();
  let count = 0;
  const client = async (port) => {
    while (Date.now() < end) {
      await Promise.all(Array.from({ length: 16 }, () => port.run(program)));
      count += 16;
    }
  };
  await Promise.all(ports.map(client));
  return `${Math.round((count * 1e9) / Number(process.hrtime.bigint() - start))}/s`;
}

const nr = cpus().length;
const ports = await Promise.all(Array.from({ length: nr }, () => NativePort.open({ agentArgs })));
const { sysname, release, namespaces } = ports[0].greeting;
console.log(`${sysname} ${release}, ${nr} CPUs, namespaces: ${namespaces.join(" ") || "none"}`);
console.log(`${"programs per second".padEnd(28)}${"1 agent".padStart(12)}${`${nr} agents`.padStart(12)}`);
for (const [name, steps] of Object.entries(programs)) {
  const alone = await rate(ports.slice(0, 1), steps);
  const all = await rate(ports, steps);
  console.log(`${name.padEnd(28)}${alone.padStart(12)}${all.padStart(12)}`);
}
await Promise.all(ports.map((port) => port.close()));
