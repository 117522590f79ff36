#!/usr/bin/env node
// How many bytes fit before EAGAIN: pipes and unix sockets, for many write sizes and buffer sizes, on the model and on this
// kernel, side by side. Exit 1 when they differ anywhere.
import { Command, InvalidArgumentError } from "commander";
import { plainTable } from "../dist/cli/diff-text.js";
import { firstChoice } from "../dist/kernel/choice.js";
import { kernelProfile, NEWEST } from "../dist/kernel/profile.js";
import { AgentUnavailable, NativePort } from "../dist/native-bridge/index.js";
import { ModelPort } from "../dist/syscalls/model-port.js";
import { UserLayout } from "../dist/syscalls/port.js";
import { lower } from "../dist/trace/lower.js";
import { parseScript } from "../dist/trace/script.js";

const SIZE_MAX = 65536;
const EAGAIN = -11;
const EMSGSIZE = -90;
const WATCHDOG_NS = 60e9;
/** Writes of the first attempt; whatever is not full then gets more. */
const WRITES_FIRST = 12;
const WRITES_MORE = 16;
/** Single bytes in the largest pipe, and more than enough. An agent takes programs of 2^18 steps. */
const WRITES_MAX = 140_000;
/** Of one program with several cells. */
const STEPS_MAX = 20_000;
const [AF_UNIX, NONBLOCK, SOL_SOCKET, SO_SNDBUF, F_SETPIPE_SZ] = [1, 0o4000, 1, 7, 1031];
/** Descriptors of the pair: each cell closes them again. */
const [FIRST, SECOND] = [3, 4];
const POINTER = UserLayout.arena;
const DATA = UserLayout.arena + UserLayout.pageSize;

/** Names of buffer sizes with what is asked for; null leaves them as they are. */
const SOCKET_BUFFERS = [
  ["default", null],
  ["minimum", 1],
  ["32768", 32768],
  ["131072", 131072],
];
const PIPE_BUFFERS = [
  ["default", null],
  ["minimum", 1],
  ["32768", 32768],
  ["131072", 131072],
];
const FILES = [
  { file: "pipe", buffers: PIPE_BUFFERS, type: 0 },
  { file: "unix stream", buffers: SOCKET_BUFFERS, type: 1 },
  { file: "unix dgram", buffers: SOCKET_BUFFERS, type: 2 },
  { file: "unix seqpacket", buffers: SOCKET_BUFFERS, type: 5 },
];

function sizeNumber(text) {
  const size = Number(text);
  if (Number.isInteger(size) && size >= 1 && size <= SIZE_MAX) return size;
  throw new InvalidArgumentError(`'${text}' is no size from 1 to ${SIZE_MAX}.`);
}

const options = new Command("npm run bench:fill --")
  .description("Compares how many bytes fit before EAGAIN, on the model and on this kernel.")
  .option("--sizes <list>", "these write sizes, such as 1,100,4096", (list) => list.split(",").map(sizeNumber))
  .option("--all", `every write size from 1 to ${SIZE_MAX} (takes long), not a selection`)
  .option("--json", "print one JSON object a row, then the sums")
  .addHelpText(
    "after",
    `
A cell shows the bytes that fit; where the two differ, both. Messages that a buffer never takes are EMSGSIZE.
The selection: powers of two, their neighbours, primes, and what the kernel's own sizes make special.`,
  )
  .parse()
  .opts();

/** Powers of two and what lies around them, primes, and sizes at which an allocation or a slot becomes another. */
function selection() {
  const sizes = new Set([
    3, 7, 100, 127, 449, 450, 1000, 1471, 1472, 1984, 3000, 3776, 3777, 5000, 10000, 12288, 20480, 30000, 61440,
  ]);
  for (let power = 1; power <= SIZE_MAX; power *= 2) {
    for (const near of [-64, -1, 0, 1]) if (power + near >= 1) sizes.add(Math.min(SIZE_MAX, power + near));
  }
  for (const prime of [
    5, 13, 31, 61, 101, 251, 509, 1021, 2039, 3001, 4093, 6007, 8191, 12289, 16381, 24593, 32749, 49157, 65521,
  ]) {
    sizes.add(prime);
  }
  for (let pages = 1; pages <= 16; pages += 1) sizes.add(pages * 4096 - 320).add(pages * 4096 + 2);
  return [...sizes].filter((size) => size <= SIZE_MAX).sort((a, b) => a - b);
}

function call(name, ...args) {
  return { op: "call", task: 0, name, args, wait: true, slot: null };
}

/** Steps of one cell. */
function stepsOf({ type, ask, size, writes }) {
  const steps = [];
  if (type === 0) {
    steps.push(call("pipe2", POINTER, NONBLOCK));
    if (ask !== null) steps.push(call("fcntl", SECOND, F_SETPIPE_SZ, ask));
  } else {
    steps.push(call("socketpair", AF_UNIX, type | NONBLOCK, 0, POINTER));
    if (ask !== null) {
      steps.push({ op: "poke", addr: POINTER, bytes: Uint8Array.from([ask, ask >> 8, ask >> 16, ask >> 24]) });
      steps.push(call("setsockopt", SECOND, SOL_SOCKET, SO_SNDBUF, POINTER, 4));
    }
  }
  const from = steps.length;
  for (let i = 0; i < writes; i += 1) steps.push(call("write", SECOND, DATA, size));
  return { from, steps: [...steps, call("close", FIRST), call("close", SECOND)] };
}

/** Nothing but a watchdog. */
const setup = { ...lower(parseScript("", "fill")).program.setup, watchdogNs: WATCHDOG_NS };

/** Runs some cells as one program. @returns for each what fitted, or null if it never got full. */
async function runProgram(port, cells) {
  const parts = cells.map(stepsOf);
  // both worlds find memory for the longest write
  const last = { op: "poke", addr: DATA + SIZE_MAX - 1, bytes: Uint8Array.from([0]) };
  const { steps, end, reason } = await port.run({ setup, steps: [last, ...parts.flatMap((part) => part.steps)] });
  if (end !== "done") throw new Error(`the program ended early: ${end}, ${reason}`);
  let at = 1;
  return cells.map(({ writes }, index) => {
    const part = parts[index];
    const results = steps.slice(at + part.from, at + part.from + writes).map(({ ret }) => ret);
    at += part.steps.length;
    const full = results.findIndex((ret) => ret < 0);
    if (full < 0) return null;
    return { bytes: results.slice(0, full).reduce((sum, ret) => sum + ret, 0), writes: full, errno: results[full] };
  });
}

/** Fills every cell in one world. */
async function fill(port, cells, progress) {
  const results = new Map();
  let open = cells.map((cell) => ({ ...cell, writes: WRITES_FIRST, cell }));
  while (open.length > 0) {
    const again = [];
    for (let from = 0; from < open.length; ) {
      let to = from + 1;
      let steps = open[from].writes;
      while (to < open.length && steps + open[to].writes + 8 <= STEPS_MAX) {
        steps += open[to].writes + 8;
        to += 1;
      }
      const batch = open.slice(from, to);
      for (const [index, result] of (await runProgram(port, batch)).entries()) {
        const entry = batch[index];
        if (result === null) again.push({ ...entry, writes: Math.min(WRITES_MAX, entry.writes * WRITES_MORE) });
        else results.set(entry.cell, result);
      }
      progress(results.size);
      from = to;
    }
    open = again;
  }
  return results;
}

function text({ bytes, errno }) {
  return errno === EMSGSIZE && bytes === 0
    ? "EMSGSIZE"
    : `${bytes}${errno === EAGAIN || errno === EMSGSIZE ? "" : ` (${errno})`}`;
}

function same(a, b) {
  return a.bytes === b.bytes && a.errno === b.errno && a.writes === b.writes;
}

/** With every size, only the rows that differ are worth a line. */
function show({ file, buffers }, columns) {
  const rows = sizes.flatMap((size, index) => {
    const row = columns.map((column) => column[index]);
    if (options.all && row.every(({ model, kernel }) => same(model, kernel))) return [];
    const values = row.flatMap(({ model, kernel }) => [
      text(model),
      same(model, kernel) ? text(kernel) : `${text(kernel)}  DIFFERS`,
    ]);
    return [[String(size), ...values]];
  });
  const head = [`${file}: size`, ...buffers.flatMap(([name]) => [`${name}: model`, "kernel"])];
  console.log(`${plainTable(head, rows, [...head.keys()])}\n`);
}

const every = () => Array.from({ length: SIZE_MAX }, (_, index) => index + 1);
const sizes = options.sizes ?? (options.all ? every() : selection());
const total = sizes.length * FILES.reduce((sum, { buffers }) => sum + buffers.length, 0);

/** One file with one buffer, all sizes, in both worlds. */
async function column(model, native, { file, type }, [buffer, ask], before) {
  const cells = sizes.map((size) => ({ file, type, buffer, ask, size }));
  const progress = (world) => (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${world}: ${before + done} of ${total} cells `);
  };
  const here = await fill(model, cells, progress("model"));
  const there = await fill(native, cells, progress("kernel"));
  const rows = cells.map((cell) => ({ model: here.get(cell), kernel: there.get(cell) }));
  const different = rows.filter((row) => !same(row.model, row.kernel)).length;
  for (const [index, row] of options.json ? rows.entries() : []) {
    console.log(JSON.stringify({ file, buffer, size: sizes[index], ...row, same: same(row.model, row.kernel) }));
  }
  return { rows, different };
}

let native;
try {
  native = await NativePort.open({});
} catch (error) {
  if (!(error instanceof AgentUnavailable)) throw error;
  console.error(`bench: no agent: ${error.message}`);
  process.exit(2);
}
try {
  const model = new ModelPort({ profile: kernelProfile(NEWEST), chooser: firstChoice, compact: true });
  let done = 0;
  let different = 0;
  for (const kind of FILES) {
    const columns = [];
    for (const buffer of kind.buffers) {
      const made = await column(model, native, kind, buffer, done);
      done += sizes.length;
      different += made.different;
      columns.push(made.rows);
    }
    if (!options.json) show(kind, columns);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  if (options.json) console.log(JSON.stringify({ total: true, cells: done, different }));
  else console.log(`cells ${done}, different ${different}`);
  process.exitCode = different === 0 ? 0 : 1;
} finally {
  await native.close();
}
