// How many runs of a race a second the native agents execute, one agent for each CPU, and what a run costs them in CPU time,
// which is comparable on a busy machine, too.
// usage: node scripts/race-throughput.mjs [SECONDS] [SCRIPT...]
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { NativePort } from "../dist/native-bridge/index.js";
import { lower, parseScript } from "../dist/trace/index.js";

const DEFAULT = ["grid-09-flat-level-wait-wait", "ND-02-one-edge-two-waiters", "ND-02-oneshot-two-waiters"];
const BATCH = 100;
const TICKS_PER_SECOND = 100;

const seconds = Number(process.argv[2] ?? 2);
const named = process.argv.slice(3);
const files = named.length > 0 ? named : DEFAULT.map((name) => `traces/litmus/${name}.strace`);

/** Ticks of a process, its threads and the children that it has reaped: utime, stime, cutime, cstime. */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

/** The coordinators: children of the guardians, which are ours. */
function coordinators() {
  const children = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return children(process.pid).flatMap(children);
}

const ports = await Promise.all(cpus().map(() => NativePort.open()));
const pids = coordinators();
const used = () => pids.reduce((sum, pid) => sum + ticks(pid), 0);
console.log(`${ports.length} agents\n${"script".padEnd(48)}${"runs/s".padStart(8)}${"CPU us/run".padStart(12)}`);
for (const file of files) {
  const { program } = lower(parseScript(readFileSync(file, "utf8"), file));
  const start = process.hrtime.bigint();
  const before = used();
  const end = Date.now() + seconds * 1000;
  let runs = 0;
  const client = async (port, seed) => {
    for (let batch = seed; Date.now() < end; batch += ports.length) {
      const tally = await port.tally(program, BATCH, batch);
      if (tally.runs < BATCH) throw new Error(`${file}: ${tally.results[0].result.reason}`);
      runs += tally.runs;
    }
  };
  await Promise.all(ports.map(client));
  const rate = (runs * 1e9) / Number(process.hrtime.bigint() - start);
  const cost = ((used() - before) * 1e6) / TICKS_PER_SECOND / runs;
  console.log(`${file.padEnd(48)}${rate.toFixed(0).padStart(8)}${cost.toFixed(0).padStart(12)}`);
}
await Promise.all(ports.map((port) => port.close()));
